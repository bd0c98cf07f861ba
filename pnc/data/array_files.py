"""Features in the other files that people keep arrays in: `.npy` side by side, Zarr, Parquet and Arrow.

As of `.npz` and `.safetensors`, headers are read first, and rows in blocks. Zarr needs the package `zarr`, Parquet and
Arrow need `pyarrow`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.data.files import DAMAGE, REAL, Stored, damaged, npy_header
from pnc.errors import InvalidInputError

if TYPE_CHECKING:
    import pyarrow

__all__ = ["npy_parts", "read_arrow", "read_npy_part", "read_parquet", "read_zarr"]

_PART = re.compile(r"(?:(?P<part>.*?)[._-])?(?P<array>layer_\d+|y|labels?)", re.DOTALL)
_WIDTH_SAMPLE = 1  # rows of a list column that say how wide it is


# --- .npy -------------------------------------------------------------------------------------------------------------


def npy_parts(paths: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """`.npy` files by the part of the data that they belong to: part → name of the array → file.

    `a.layer_1.npy`, `a_layer_2.npy` and `a_y.npy` (or `a.labels.npy`) are part a; `layer_1.npy` and `y.npy` a part
    without a name; `a.npy` beside `a_y.npy` is layer 1 of part a.

    >>> parts = npy_parts([Path("a.npy"), Path("a_y.npy"), Path("b.layer_2.npy"), Path("b.y.npy")])
    >>> {part: sorted(arrays) for part, arrays in parts.items()}
    {'a': ['layer_1', 'y'], 'b': ['layer_2', 'y']}
    """
    parts: dict[str, dict[str, Path]] = {}
    for path in sorted(paths):
        match = _PART.fullmatch(path.stem)
        part, array = (path.stem, "layer_1") if match is None else (match["part"] or "", match["array"])
        array = "y" if array.startswith("label") else array
        held = parts.setdefault(str(path.with_name(part)) if part else str(path.parent), {})
        if array in held:
            raise InvalidInputError(
                got=f"{held[array]} and {path}, both {array} of the same part",
                expected="one file for every array",
                next_step="remove or rename one of them",
            )
        held[array] = path
    return parts


def read_npy_part(arrays: Mapping[str, Path]) -> dict[str, Stored]:
    """Headers of the arrays of one part, each held against the size of its file.

    Raises:
        InvalidInputError: no such file, or a truncated one.
    """
    found = {}
    for name, path in arrays.items():
        if not path.is_file():
            raise InvalidInputError(
                got=f"{path}, which is not there", expected="a .npy file", next_step="check the path"
            )
        try:
            with open(path, "rb") as file:
                shape, fortran, dtype = npy_header(file)
                offset = file.tell()
            rest = path.stat().st_size - offset
            if not dtype.hasobject and math.prod(shape) * dtype.itemsize != rest:
                raise ValueError(f"{rest} bytes for shape {shape} of {dtype}")
        except DAMAGE as error:
            raise damaged(path, error) from error
        by_row = not fortran or len(shape) < 2
        found[name] = Stored(
            shape=shape,
            dtype=dtype.name if dtype.kind in REAL else f"unreadable {dtype}",
            read=_npy_reader(path),
            blocks=_npy_blocks(path, offset, shape, dtype) if by_row else None,
        )
    return found


def _npy_reader(path: Path) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except DAMAGE as error:
            raise damaged(path, error) from error

    return read


def _npy_blocks(
    path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype
) -> Callable[[int], Iterator[np.ndarray]]:
    def blocks(rows: int) -> Iterator[np.ndarray]:
        try:
            with open(path, "rb") as file:
                file.seek(offset)
                for start in range(0, shape[0], rows):
                    count = min(rows, shape[0] - start)
                    yield np.fromfile(file, dtype, count * math.prod(shape[1:])).reshape(count, *shape[1:])
        except DAMAGE as error:
            raise damaged(path, error) from error

    return blocks


# --- Zarr -------------------------------------------------------------------------------------------------------------


def read_zarr(path: Path) -> dict[str, Stored]:
    """The arrays of a Zarr group.

    Raises:
        InvalidInputError: no group, or one with chunks that were never written; zarr is not installed.
    """
    with _package("zarr", path):
        import zarr
    try:
        group = zarr.open_group(path, mode="r")
        arrays = {name: array for name, array in group.arrays()}
        for name, array in arrays.items():
            # a chunk that is missing would be read as zeros
            if array.nchunks_initialized != array.nchunks:
                raise ValueError(f"{name} has {array.nchunks_initialized} of {array.nchunks} chunks")
    except (*DAMAGE, KeyError, TypeError) as error:
        raise damaged(path, error) from error
    return {name: _zarr_array(path, array) for name, array in arrays.items()}


def _zarr_array(path: Path, array: Any) -> Stored:
    dtype = np.dtype(array.dtype)

    def part(start: int, stop: int) -> np.ndarray:
        try:
            return np.asarray(array[start:stop])
        except (*DAMAGE, KeyError, TypeError) as error:
            raise damaged(path, error) from error

    def blocks(rows: int) -> Iterator[np.ndarray]:
        chunk = array.chunks[0] if array.chunks else 1
        rows = max(1, rows // chunk) * chunk  # whole chunks, none of which is unpacked twice
        for start in range(0, array.shape[0], rows):
            yield part(start, min(start + rows, array.shape[0]))

    return Stored(
        shape=tuple(array.shape),
        dtype=dtype.name if dtype.kind in REAL else f"unreadable {dtype}",
        read=lambda: part(0, array.shape[0]),
        blocks=blocks,
    )


# --- Parquet and Arrow ------------------------------------------------------------------------------------------------


def read_parquet(path: Path) -> dict[str, Stored]:
    """The columns of a Parquet file: numbers, and lists of numbers of one length.

    Raises:
        InvalidInputError: a damaged file; pyarrow is not installed.
    """
    with _package("pyarrow", path):
        import pyarrow
        import pyarrow.parquet as parquet

    def parts(name: str, rows: int) -> Iterator[pyarrow.Array]:
        with _reading(path, pyarrow), parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=rows, columns=[name]):
                yield batch.column(0)

    with _reading(path, pyarrow), parquet.ParquetFile(path) as file:
        schema, samples = file.schema_arrow, file.metadata.num_rows
    return {field.name: _column(path, field, samples, parts) for field in schema}


def read_arrow(path: Path) -> dict[str, Stored]:
    """The columns of an Arrow (Feather) file or stream: numbers, and lists of numbers of one length.

    Raises:
        InvalidInputError: a damaged file; pyarrow is not installed.
    """
    with _package("pyarrow", path):
        import pyarrow

    @contextmanager
    def batches() -> Iterator[tuple[pyarrow.Schema, Iterable[pyarrow.RecordBatch]]]:
        with _reading(path, pyarrow), pyarrow.memory_map(str(path)) as file:
            try:
                reader = pyarrow.ipc.open_file(file)
            except pyarrow.ArrowInvalid:  # written as a stream
                file.seek(0)
                stream = pyarrow.ipc.open_stream(file)
                yield stream.schema, stream
                return
            yield reader.schema, (reader.get_batch(i) for i in range(reader.num_record_batches))

    def parts(name: str, rows: int) -> Iterator[pyarrow.Array]:
        with batches() as (_, found):
            for batch in found:
                column = batch.column(name)
                for start in range(0, len(column), rows):
                    yield column.slice(start, rows)

    with batches() as (schema, found):
        samples = sum(batch.num_rows for batch in found)
    return {field.name: _column(path, field, samples, parts) for field in schema}


Parts = Callable[[str, int], "Iterator[pyarrow.Array]"]


def _column(path: Path, field: pyarrow.Field, samples: int, parts: Parts) -> Stored:
    import pyarrow

    kind, name = field.type, field.name
    shape: tuple[int, ...] = (samples,)
    inner = kind
    if isinstance(kind, pyarrow.FixedSizeListType):
        shape, inner = (samples, kind.list_size), kind.value_type
    elif isinstance(kind, pyarrow.ListType | pyarrow.LargeListType):
        first = next((part for part in parts(name, _WIDTH_SAMPLE) if len(part)), None)
        width = 0 if first is None or first[0].as_py() is None else len(first[0])
        shape, inner = (samples, width), kind.value_type
    try:
        dtype = np.dtype(inner.to_pandas_dtype())
    except (NotImplementedError, TypeError):
        dtype = np.dtype(object)

    def blocks(rows: int) -> Iterator[np.ndarray]:
        start = 0
        for part in parts(name, rows):
            yield _numbers(path, name, part, shape[1:], start)
            start += len(part)
        if start != samples:
            raise damaged(path, ValueError(f"{name} ends within row {start} of {samples}"))

    def read() -> np.ndarray:
        found = [*blocks(2**16)]
        return np.concatenate(found) if found else np.empty(shape, dtype)

    return Stored(
        shape=shape, dtype=dtype.name if dtype.kind in REAL else f"unreadable {kind}", read=read, blocks=blocks
    )


def _numbers(path: Path, name: str, part: pyarrow.Array, width: tuple[int, ...], start: int) -> np.ndarray:
    """A block of a column as an array, none of whose entries is missing."""
    flat = part
    if width:
        lengths = part.value_lengths().to_numpy(zero_copy_only=False) if part.null_count == 0 else None
        if lengths is None or bool((lengths != width[0]).any()):
            row = 0 if lengths is None else int(np.argmax(lengths != width[0]))
            raise InvalidInputError(
                got=f"{name} of {path}: row {start + row} is missing or of another length"
                if lengths is None
                else f"{name} of {path}: {int(lengths[row])} numbers in row {start + row}, {width[0]} in the first",
                expected="as many numbers in every row",
                next_step="save rows of one length",
            )
        flat = part.flatten()
    if flat.null_count:
        raise InvalidInputError(
            got=f"{name} of {path}: {flat.null_count} missing numbers in the rows from {start} on",
            expected="a number in every entry",
            next_step="remove these samples",
        )
    return flat.to_numpy(zero_copy_only=False).reshape(len(part), *width)


@contextmanager
def _reading(path: Path, pyarrow: Any) -> Iterator[None]:
    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        raise damaged(path, error) from error


@contextmanager
def _package(name: str, path: Path) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise InvalidInputError(
            got=f"{path} without the package {name}",
            expected=f"{name}, which reads {path.suffix} files",
            next_step=f"pip install {name}",
        ) from None
