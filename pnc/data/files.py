"""Problem files and feature files: `.npz` and `.safetensors`, read lazily, written whole or not at all.

A problem file holds `X` (N, d) and `y` (N,). A feature file holds `y` (N,) and one array `layer_0`,
`layer_1`, … of shape (N, …) for each layer. Nothing is ever unpickled, and torch is not needed, not even for
bfloat16.
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
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pnc.data.problem import Problem
from pnc.errors import InvalidInputError

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
}
# RuntimeError: a damaged flag says that the file is encrypted or compressed in an unknown way
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError)
_LAYER = re.compile(r"layer_(\d+)")


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """An array in a file: what its header says, and how to read it."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]


class FeatureFile(Mapping[int, Float[np.ndarray, "N d"]]):
    """The layers of a feature file, each read when it is asked for and flattened to (N, d_l).

    Layers of a `.safetensors` file are memory maps; those of an `.npz` file, and bfloat16 ones (as float32),
    are read into memory one at a time, and not kept.
    """

    def __init__(self, layers: Mapping[int, _Stored]) -> None:
        self._layers = dict(layers)

    def __getitem__(self, layer: int) -> Float[np.ndarray, "N d"]:
        stored = self._layers[layer]
        return stored.read().reshape(stored.shape[0], -1)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._layers))

    def __len__(self) -> int:
        return len(self._layers)


def load_problem(path: str | Path, classes: int | None = None) -> Problem:
    """The problem in a file with `X` (N, d) and `y` (N,).

    Args:
        path: a `.npz` or `.safetensors` file.
        classes: K where it is stated; every class must then have a sample.

    Raises:
        InvalidInputError: no such file, a damaged one, arrays that are missing, or that are not a problem.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_problem(Path(folder) / "two.npz", Problem(X=np.eye(4), y=[0, 0, 1, 1]))
    ...     load_problem(Path(folder) / "two.npz").samples
    4
    """
    path = Path(path)
    arrays = _contents(path)
    _require(path, arrays, "X", "y", what="a problem file with X (N, d) and y (N,)")
    return Problem(
        X=arrays["X"].read(),
        y=arrays["y"].read(),
        classes=classes,
        name=path.stem,
        provenance={"source": "file", "file": str(path), "dtype": arrays["X"].dtype},
    )


def save_problem(path: str | Path, problem: Problem) -> None:
    """Write `X` and `y` to a `.npz` or `.safetensors` file.

    Raises:
        InvalidInputError: another kind of file, or a folder that cannot be written to.
    """
    _save(Path(path), {"X": problem.X, "y": problem.y})


def load_features(path: str | Path) -> tuple[FeatureFile, Int[np.ndarray, " N"], dict[str, Any]]:
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
    arrays = _contents(path)
    expected = "a feature file with y (N,) and layer_0, layer_1, …, each (N, …)"
    _require(path, arrays, "y", what=expected)
    names = {name: int(match[1]) for name in arrays if (match := _LAYER.fullmatch(name))}
    if not names:
        raise InvalidInputError(
            got=f"no layer_* in {path} (it has {_listed(arrays)})",
            expected=expected,
            next_step="name the arrays layer_1, layer_2, …",
        )
    if len(set(names.values())) < len(names):
        raise InvalidInputError(
            got=f"the layers {_listed(names)} in {path}",
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
    y = arrays["y"].read()
    layers = {layer: arrays[name] for name, layer in names.items()}
    provenance = {
        "source": "file",
        "file": str(path),
        "dtypes": {layer: stored.dtype for layer, stored in sorted(layers.items())},
        "shapes": {layer: list(stored.shape) for layer, stored in sorted(layers.items())},
        "ignored": sorted(set(arrays) - set(names) - {"y"}),
    }
    return FeatureFile(layers), y, provenance


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
    if array.dtype.kind not in "fiu":
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
                np.savez(file, **arrays)
            else:
                from safetensors.numpy import save

                file.write(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
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
    if path.suffix not in (".npz", ".safetensors"):
        raise InvalidInputError(
            got=f"{path}",
            expected="a .npz or .safetensors file",
            next_step="convert it, or name it by its format",
        )
    return path.suffix


def _contents(path: Path) -> dict[str, _Stored]:
    """Headers of all arrays in a file, checked against the size of the file."""
    kind = _kind(path)
    if not path.is_file():
        raise InvalidInputError(
            got=f"{path}, which is not there" if not path.exists() else f"{path}, which is a folder",
            expected="a .npz or .safetensors file",
            next_step="check the path",
        )
    arrays = _npz(path) if kind == ".npz" else _safetensors(path)
    for name, stored in arrays.items():
        if stored.dtype.startswith("unreadable "):
            raise InvalidInputError(
                got=f"{name} of dtype {stored.dtype.removeprefix('unreadable ')} in {path}",
                expected="real numbers",
                next_step="convert it to float32 or float64 (pickled objects are never loaded)",
            )
    return arrays


def _damaged(path: Path, error: Exception) -> InvalidInputError:
    reason = " ".join(str(error).split()) or type(error).__name__  # of one line
    return InvalidInputError(
        got=f"{path}, which is empty, truncated or damaged ({reason})",
        expected=f"a complete {path.suffix} file",
        next_step="write or copy it again",
    )


def _npz(path: Path) -> dict[str, _Stored]:
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as file:
                    version = np.lib.format.read_magic(file)
                    header = np.lib.format.read_array_header_1_0
                    if version != (1, 0):
                        header = np.lib.format.read_array_header_2_0
                    shape, _, dtype = header(file)
                    rest = entry.file_size - file.tell()
                if not dtype.hasobject and math.prod(shape) * dtype.itemsize != rest:
                    raise ValueError(f"{entry.filename} has {rest} bytes for shape {shape} of {dtype}")
                stored = dtype.name if dtype.kind in "fiu" else f"unreadable {dtype}"
                reader = _npz_reader(path, entry.filename)
                arrays[entry.filename.removesuffix(".npy")] = _Stored(shape=shape, dtype=stored, read=reader)
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    return arrays


def _npz_reader(path: Path, member: str) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        try:
            with zipfile.ZipFile(path) as archive, archive.open(member) as file:
                return np.lib.format.read_array(file, allow_pickle=False)
        except _DAMAGE as error:
            raise _damaged(path, error) from error

    return read


def _safetensors(path: Path) -> dict[str, _Stored]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np"):  # checks the header, and that the file is as long as it says
            pass
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from error
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        code, shape = entry["dtype"], tuple(entry["shape"])
        dtype = _SAFETENSORS_DTYPES.get(code)
        stored = "bfloat16" if code == "BF16" else f"unreadable {code}" if dtype is None else dtype.name
        reader = _safetensors_reader(path, 8 + length + entry["data_offsets"][0], shape, dtype, stored)
        arrays[name] = _Stored(shape=shape, dtype=stored, read=reader)
    return arrays


def _safetensors_reader(
    path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype | None, stored: str
) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        if 0 in shape:  # which cannot be mapped
            return np.empty(shape, dtype)
        try:
            array = np.memmap(path, dtype, "r", offset, shape)
        except (OSError, ValueError) as error:
            raise _damaged(path, error) from error
        if stored != "bfloat16":
            return array
        # bfloat16 is the upper half of a float32
        widened = array.astype("<u4")
        widened <<= 16
        return widened.view("<f4")

    return read


def _require(path: Path, arrays: Mapping[str, _Stored], *names: str, what: str) -> None:
    missing = [name for name in names if name not in arrays]
    if missing:
        raise InvalidInputError(
            got=f"no {' and no '.join(missing)} in {path} (it has {_listed(arrays)})",
            expected=what,
            next_step=f"save the array under the name {missing[0]}",
        )


def _listed(names: Mapping[str, Any]) -> str:
    shown = sorted(names)
    return (", ".join(shown[:6]) + (", …" if len(shown) > 6 else "")) or "nothing"
