"""Problem files and feature files: `.npz` and `.safetensors`, read lazily, written whole or not at all.

A problem file holds `X` (N, d) and `y` (N,). A feature file holds `y` (N,) and one array `layer_0`,
`layer_1`, … of shape (N, …) for each layer. Nothing is ever unpickled, and torch is not needed, not even for
bfloat16. What a file would take in memory is read from its headers and held against what there is before anything is
unpacked. Both kinds carry checksums: an `.npz` file those of ZIP, a `.safetensors` file that was written here a CRC-32
of every array, and what has been damaged since is refused when it is read.
"""

from __future__ import annotations

import json
import math
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast, overload

import numpy as np
from jaxtyping import Real, Shaped

from pnc.data.inputs import StreamedProblem
from pnc.data.labels import check_labels
from pnc.data.problem import Problem
from pnc.errors import InvalidInputError
from pnc.memory import require_memory

__all__ = ["FeatureFile", "load_features", "load_problem", "save_features", "save_problem"]

_SAFETENSORS_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),  # its bits: NumPy has no bfloat16
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
REAL = "fiub"  # kinds of NumPy's dtypes that can be read
_CHECKSUMS = "crc32"  # key of the metadata of a .safetensors file under which `save_features` leaves its checksums
_STREAMED = 1 << 25  # bytes from which on inputs are read in blocks where that is enough
# RuntimeError: a damaged flag says that the file is encrypted or compressed in an unknown way
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError)
_LAYER = re.compile(r"layer_(\d+)")
_SMALLER = "use a machine with more memory, or save fewer samples or layers in a file"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An array in a file: what its header says, and how to read it."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]
    blocks: Callable[[int], Iterator[np.ndarray]] | None = None  # of rows, in order; `None`: not kept row by row


class FeatureFile(Mapping[int, Real[np.ndarray, "N d"]]):
    """The layers of a feature file, each read when it is asked for and flattened to (N, d_l).

    Layers of a `.safetensors` file are memory maps; those of an `.npz` file, and bfloat16 ones (as float32),
    are read into memory one at a time, and not kept.
    """

    def __init__(self, layers: Mapping[int, Stored]) -> None:
        self._layers = dict(layers)

    def __getitem__(self, layer: int) -> Real[np.ndarray, "N d"]:
        stored = self._layers[layer]
        return stored.read().reshape(stored.shape[0], -1)

    def blocks(self, layer: int, rows: int) -> Iterator[Real[np.ndarray, "n d"]]:
        """A layer in its order, so many rows at a time, without ever holding the whole of it.

        An array that a file keeps column by column (Fortran's order) is read whole, for there is no other way.
        """
        stored = self._layers[layer]
        if stored.blocks is not None:
            for part in stored.blocks(rows):
                yield part.reshape(part.shape[0], -1)
            return
        whole = self[layer]
        for start in range(0, len(whole), rows):
            yield whole[start : start + rows]

    @property
    def stored(self) -> Mapping[int, Stored]:
        """What the file says of every layer, before any is read."""
        return self._layers

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._layers))

    def __len__(self) -> int:
        return len(self._layers)


@overload
def load_problem(path: str | Path, classes: int | None = None, *, whole: Literal[True] = True) -> Problem: ...


@overload
def load_problem(path: str | Path, classes: int | None = None, *, whole: bool) -> Problem | StreamedProblem: ...


def load_problem(path: str | Path, classes: int | None = None, *, whole: bool = True) -> Problem | StreamedProblem:
    """The problem in a file with `X` (N, d) and `y` (N,).

    Args:
        path: a `.npz` or `.safetensors` file.
        classes: K where it is stated; every class must then have a sample.
        whole: `False`: many samples of few dimensions (N > 2d, 32 MB or more) stay in the file, and are read a block of
            rows at a time whenever they are asked for.

    Raises:
        InvalidInputError: no such file, a damaged one, arrays that are missing, or that are not a problem.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_problem(Path(folder) / "two.npz", Problem(X=np.eye(4), y=[0, 0, 1, 1]))
    ...     load_problem(Path(folder) / "two.npz").samples
    4
    """
    path = Path(path)
    arrays = contents(path)
    _require(path, arrays, "X", "y", what="a problem file with X (N, d) and y (N,)")
    X, given = arrays["X"], {"classes": classes, "name": path.stem}
    given["provenance"] = {"source": "file", "file": str(path), "dtype": X.dtype}
    y = arrays["y"].read()
    if not whole and X.blocks is not None and len(X.shape) == 2 and X.shape[0] > 2 * X.shape[1] > 0:
        if X.shape[0] != y.shape[0]:
            check_labels(y, samples=X.shape[0])  # refuses
        if math.prod(X.shape) * 8 >= _STREAMED:
            return StreamedProblem(y=y, dimension=X.shape[1], read=X.blocks, **given)
    require_memory(math.prod(X.shape) * 8, what=f"X of shape {X.shape} in {path} as float64", next_step=_SMALLER)
    return Problem(X=X.read(), y=y, **given)


def save_problem(path: str | Path, problem: Problem) -> None:
    """Write `X` and `y` to a `.npz` or `.safetensors` file.

    Raises:
        InvalidInputError: another kind of file, or a folder that cannot be written to.
    """
    _save(Path(path), {"X": problem.X, "y": problem.y})


def load_features(path: str | Path) -> tuple[FeatureFile, Shaped[np.ndarray, " N"], dict[str, Any]]:
    """The layers, labels and provenance of a feature file.

    Returns:
        layers: layer index → (N, d_l), read when asked for.
        y: (N,) labels as they were stored.
        provenance: `file`; `dtypes` (layer index → name of the stored dtype, for noise floors); `shapes`,
            before flattening; `ignored`, names of arrays that are not layers.

    Raises:
        InvalidInputError: no such file, a damaged one, no `y` or no `layer_*` in it, layers of different N,
            entries that are not real numbers.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_features(Path(folder) / "f.npz", {1: np.ones((3, 2, 2), np.float32)}, [0, 1, 1])
    ...     layers, y, provenance = load_features(Path(folder) / "f.npz")
    ...     layers[1].shape, provenance["dtypes"]
    ((3, 4), {1: 'float32'})
    """
    path = Path(path)
    arrays = contents(path)
    layers = feature_layers(path, arrays)
    y = arrays["y"].read()
    provenance = {
        "source": "file",
        "file": str(path),
        "dtypes": {layer: stored.dtype for layer, stored in sorted(layers.items())},
        "shapes": {layer: list(stored.shape) for layer, stored in sorted(layers.items())},
        "ignored": sorted(name for name in arrays if name != "y" and not _LAYER.fullmatch(name)),
    }
    return FeatureFile(layers), y, provenance


def feature_layers(path: Path, arrays: Mapping[str, Stored]) -> dict[int, Stored]:
    """The layers among the arrays of a feature file, which has one label a row.

    Raises:
        InvalidInputError: no `y` or no `layer_*`, a layer twice, layers of different N.
    """
    expected = "a feature file with y (N,) and layer_0, layer_1, …, each (N, …)"
    _require(path, arrays, "y", what=expected)
    names = {name: int(match[1]) for name in arrays if (match := _LAYER.fullmatch(name))}
    if not names:
        raise InvalidInputError(
            got=f"no layer_* in {path} (it has {listed(arrays)})",
            expected=expected,
            next_step="name the arrays layer_1, layer_2, …",
        )
    if len(set(names.values())) < len(names):
        raise InvalidInputError(
            got=f"the layers {listed(names)} in {path}",
            expected="each layer once",
            next_step="number the layers without leading zeros",
        )
    if len(arrays["y"].shape) != 1:
        raise InvalidInputError(
            got=f"y of shape {arrays['y'].shape} in {path}",
            expected="shape (N,), one label a sample",
            next_step="save class indices, not one-hot rows",
        )
    samples = arrays["y"].shape[0]
    for name in names:
        shape = arrays[name].shape
        if not shape or shape[0] != samples or 0 in shape:
            raise InvalidInputError(
                got=f"{name} of shape {shape} for {samples} labels in {path}",
                expected=f"shape ({samples}, …), one row a label and at least one entry a row",
                next_step="save every layer, and y, from the same samples",
            )
    return {layer: arrays[name] for name, layer in names.items()}


def save_features(path: str | Path, features: Mapping[int, Any] | Sequence[Any], y: Any) -> None:
    """Write layers, each (N, …), and labels (N,) to a `.npz` or `.safetensors` file.

    Args:
        path: the file; replaced in one step where it exists.
        features: layer index → array, or a sequence of layers 0, 1, …; anything that NumPy can read.
        y: (N,) labels.

    Raises:
        InvalidInputError: another kind of file, arrays that NumPy cannot hold, layers of different N.
    """
    layers = features if isinstance(features, Mapping) else dict(enumerate(features))
    arrays = {"y": _as_array("y", y)}
    for layer, values in layers.items():
        arrays[f"layer_{layer}"] = array = _as_array(f"layer_{layer}", values)
        if array.shape[:1] != arrays["y"].shape:
            raise InvalidInputError(
                got=f"layer_{layer} of shape {array.shape} and y of shape {arrays['y'].shape}",
                expected="y of shape (N,) and layers of shape (N, …)",
                next_step="save every layer, and y, from the same samples",
            )
    _save(Path(path), arrays)


def _as_array(name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(
            got=f"{name} that NumPy cannot read ({error})",
            expected="an array of real numbers",
            next_step="convert it first, a torch tensor by .detach().cpu().float().numpy()",
        ) from error
    if array.dtype.name == "bfloat16":  # JAX's, which NumPy itself could write but not read
        array = array.astype(np.float32)
    if array.dtype.kind not in (REAL if name == "y" else "fiu"):
        raise InvalidInputError(
            got=f"{name} of dtype {array.dtype}",
            expected="real numbers",
            next_step="convert it to float32 or float64",
        )
    return array


def _save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    kind = _kind(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(unfinished, "xb") as file:
            if kind == ".npz":
                # NumPy's stub takes the names of the arrays for options of its own
                cast("Callable[..., None]", np.savez)(file, **arrays)
            else:
                from safetensors.numpy import save

                whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
                sums = {name: zlib.crc32(array.reshape(-1).view(np.uint8).data) for name, array in whole.items()}
                file.write(save(whole, metadata={_CHECKSUMS: json.dumps(sums)}))
        unfinished.replace(path)
    except OSError as error:
        raise InvalidInputError(
            got=f"{path}, which cannot be written ({error.strerror or error})",
            expected="a file in a folder that exists and can be written to",
            next_step="make the folder, or choose another one",
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in (".npz", ".safetensors"):
        advice = "convert it, or name it by its format"
        if kind == ".npy":
            advice = "a .npy file holds one array: save inputs or layers and y together with numpy.savez"
        raise InvalidInputError(got=f"{path}", expected="a .npz or .safetensors file", next_step=advice)
    return kind


def contents(path: Path) -> dict[str, Stored]:
    """Headers of all arrays in a file, checked against the size of the file."""
    kind = _kind(path)
    if not path.is_file():
        raise InvalidInputError(
            got=f"{path}, which is not there" if not path.exists() else f"{path}, which is a folder",
            expected="a .npz or .safetensors file",
            next_step="check the path",
        )
    arrays = _npz(path) if kind == ".npz" else _safetensors(path)
    refuse_unreadable(path, arrays)
    return arrays


def refuse_unreadable(path: Path, arrays: Mapping[str, Stored]) -> None:
    """Refuse arrays that are no real numbers.

    Raises:
        InvalidInputError: there is one.
    """
    for name, stored in arrays.items():
        # a truth value is a label, 0 or 1; as a feature it is more likely a mistake
        if stored.dtype.startswith("unreadable ") or (stored.dtype == "bool" and name != "y"):
            raise InvalidInputError(
                got=f"{name} of dtype {stored.dtype.removeprefix('unreadable ')} in {path}",
                expected="real numbers",
                next_step="convert it to float32 or float64 (pickled objects are never loaded; NumPy saves a bfloat16 "
                "array as raw bytes)",
            )


def damaged(path: Path, error: Exception) -> InvalidInputError:
    reason = " ".join(str(error).split()) or type(error).__name__  # of one line
    return InvalidInputError(
        got=f"{path}, which is empty, truncated or damaged ({reason})",
        expected=f"a complete {path.suffix} file",
        next_step="write or copy it again",
    )


def _npz(path: Path) -> dict[str, Stored]:
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    # NumPy writes no other; bzip2 and LZMA unpack gigabytes before a header can be read
                    raise ValueError(f"{entry.filename} is compressed in another way than NumPy does")
                with archive.open(entry) as file:
                    shape, fortran, dtype = npy_header(file)
                    rest = entry.file_size - file.tell()
                if not dtype.hasobject and math.prod(shape) * dtype.itemsize != rest:
                    raise ValueError(f"{entry.filename} has {rest} bytes for shape {shape} of {dtype}")
                stored = dtype.name if dtype.kind in REAL else f"unreadable {dtype}"
                arrays[entry.filename.removesuffix(".npy")] = Stored(
                    shape=shape,
                    dtype=stored,
                    read=_npz_reader(path, entry.filename, rest),
                    blocks=None if fortran and len(shape) > 1 else _npz_blocks(path, entry.filename),
                )
    except DAMAGE as error:
        raise damaged(path, error) from error
    return arrays


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the order is Fortran's, and dtype."""
    if np.lib.format.read_magic(file) == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


def _npz_reader(path: Path, member: str, size: int) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        require_memory(size, what=f"{member} of {path}", next_step=_SMALLER)
        try:
            with zipfile.ZipFile(path) as archive, archive.open(member) as file:
                return np.lib.format.read_array(file, allow_pickle=False)
        except DAMAGE as error:
            raise damaged(path, error) from error

    return read


def _npz_blocks(path: Path, member: str) -> Callable[[int], Iterator[np.ndarray]]:
    """Rows in order; the archive's checksum is compared when the last one has been read."""

    def blocks(rows: int) -> Iterator[np.ndarray]:
        try:
            with zipfile.ZipFile(path) as archive, archive.open(member) as file:
                shape, _, dtype = npy_header(file)
                width = math.prod(shape[1:]) * dtype.itemsize
                for start in range(0, shape[0], rows):
                    count = min(rows, shape[0] - start)
                    content = file.read(count * width)
                    if len(content) != count * width:
                        raise ValueError(f"{member} ends within row {start + len(content) // max(width, 1)}")
                    yield np.frombuffer(content, dtype).reshape(count, *shape[1:])
                file.read(1)  # at the end the checksum is compared
        except DAMAGE as error:
            raise damaged(path, error) from error

    return blocks


def _safetensors(path: Path) -> dict[str, Stored]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np"):  # checks the header, and that the file is as long as it says
            pass
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        sums = json.loads(header.pop("__metadata__", {}).get(_CHECKSUMS, "{}"))
        if not isinstance(sums, dict):
            raise ValueError("checksums that are no table")
        if sums and set(sums) != set(header):
            raise ValueError("arrays of other names than were saved")
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    arrays = {}
    for name, entry in header.items():
        code, shape = entry["dtype"], tuple(entry["shape"])
        dtype = _SAFETENSORS_DTYPES.get(code)
        stored = "bfloat16" if code == "BF16" else f"unreadable {code}" if dtype is None else dtype.name
        offset = 8 + length + entry["data_offsets"][0]
        read = blocks = None
        if dtype is not None:
            read = _safetensors_reader(path, offset, shape, dtype, stored, name, sums.get(name))
            blocks = _safetensors_blocks(path, offset, shape, dtype, stored, name, sums.get(name))
        arrays[name] = Stored(shape=shape, dtype=stored, read=read or _never, blocks=blocks)
    return arrays


def _never() -> np.ndarray:
    raise AssertionError("an array of unreadable dtype is refused before it is read")


def _widened(array: np.ndarray, stored: str) -> np.ndarray:
    if stored != "bfloat16":
        return array
    # bfloat16 is the upper half of a float32
    wide = array.astype("<u4")
    wide <<= 16
    return wide.view("<f4")


def _compare(path: Path, name: str, found: int, expected: Any) -> None:
    if expected is not None and found != expected:
        raise damaged(path, ValueError(f"the checksum of {name} is {found}, not {expected}"))


def _safetensors_reader(
    path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype, stored: str, name: str, checksum: Any
) -> Callable[[], np.ndarray]:
    checked = False

    def read() -> np.ndarray:
        nonlocal checked
        if 0 in shape:  # which cannot be mapped
            return np.empty(shape, dtype)
        try:
            array = np.memmap(path, dtype, "r", offset, shape)
        except (OSError, ValueError) as error:
            raise damaged(path, error) from error
        if checksum is not None and not checked:
            _compare(path, name, zlib.crc32(array.reshape(-1).view(np.uint8).data), checksum)
            checked = True
        if stored == "bfloat16":
            require_memory(2 * array.nbytes, what=f"{name} of {path} as float32", next_step=_SMALLER)
        return _widened(array, stored)

    return read


def _safetensors_blocks(
    path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype, stored: str, name: str, checksum: Any
) -> Callable[[int], Iterator[np.ndarray]]:
    """Rows in order, read rather than mapped, so that none of them stays in memory."""

    def blocks(rows: int) -> Iterator[np.ndarray]:
        found = 0
        try:
            with open(path, "rb") as file:
                file.seek(offset)
                for start in range(0, shape[0], rows):
                    count = min(rows, shape[0] - start)
                    array = np.fromfile(file, dtype, count * math.prod(shape[1:])).reshape(count, *shape[1:])
                    if checksum is not None:
                        found = zlib.crc32(array.reshape(-1).view(np.uint8).data, found)
                    yield _widened(array, stored)
        except (OSError, ValueError) as error:
            raise damaged(path, error) from error
        _compare(path, name, found, checksum)

    return blocks


def _require(path: Path, arrays: Mapping[str, Stored], *names: str, what: str) -> None:
    missing = [name for name in names if name not in arrays]
    if missing:
        raise InvalidInputError(
            got=f"no {' and no '.join(missing)} in {path} (it has {listed(arrays)})",
            expected=what,
            next_step=f"save the array under the name {missing[0]}",
        )


def listed(names: Mapping[str, Any]) -> str:
    shown = sorted(names)
    return (", ".join(shown[:6]) + (", …" if len(shown) > 6 else "")) or "nothing"
