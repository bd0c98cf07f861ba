"""Saved features in one file or in many: parts of one data set, checked against each other before any is read."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from pnc.data.array_files import npy_parts, read_arrow, read_npy_part, read_parquet, read_zarr
from pnc.data.files import FeatureFile, Stored, contents, feature_layers, refuse_unreadable
from pnc.data.labels import check_labels
from pnc.errors import InvalidInputError

__all__ = ["FEATURES_ACCEPTED", "FEATURE_SUFFIXES", "FeatureShard", "FeatureShards", "holds_features", "open_features"]

_READERS = {".zarr": read_zarr, ".parquet": read_parquet, ".arrow": read_arrow, ".feather": read_arrow}
FEATURE_SUFFIXES = (".npz", ".safetensors", ".npy", *_READERS)
FEATURES_ACCEPTED = ".npz, .safetensors, .npy with y beside, .zarr, .parquet, .arrow"
_MAGIC = frozenset("*?[")


@dataclass(frozen=True, kw_only=True)
class FeatureShard:
    """Where one part of saved features is; small enough to be sent to another process.

    Args:
        name: for messages.
        files: name of an array → its file, of `.npy` files; otherwise '' → the file.
    """

    name: str
    files: tuple[tuple[str, str], ...]

    def arrays(self) -> dict[str, Stored]:
        """What is stored, from headers.

        Raises:
            InvalidInputError: a file that is damaged, or with arrays that are no numbers.
        """
        paths = {array: Path(file) for array, file in self.files}
        if "" not in paths:
            found = read_npy_part(paths)
        elif (reader := _READERS.get(paths[""].suffix.lower())) is not None:
            found = reader(paths[""])
        else:
            return contents(paths[""])
        for alias in ("labels", "label"):
            if "y" not in found and alias in found:
                found["y"] = found.pop(alias)
        # columns that are no numbers, such as names of files, are none of the features
        kept = {array: stored for array, stored in found.items() if array == "y" or array.startswith("layer_")}
        refuse_unreadable(Path(self.name), kept)
        return kept

    def features(self) -> FeatureFile:
        """The layers, read when they are asked for."""
        return FeatureFile(feature_layers(Path(self.name), self.arrays()))

    def blocks(self, layer: int, rows: int) -> Iterator[Float[np.ndarray, "n d"]]:
        """A layer in its order, so many rows at a time."""
        return self.features().blocks(layer, rows)

    def labels(self) -> Int[np.ndarray, " n"]:
        """As they are stored, checked to be whole numbers from 0 on.

        Raises:
            InvalidInputError: labels that are none.
        """
        y = self.arrays()["y"].read()
        if y.dtype == np.int64 and y.size and y.min() >= 0:
            return y
        try:
            check_labels(np.append(y, np.array([0, 1], y.dtype)))  # two more, so that a shard may be of one class
        except InvalidInputError as error:
            raise InvalidInputError(
                got=f"{error.got} of {self.name}", expected=error.expected, next_step=error.next_step
            ) from error
        return y.astype(np.int64)

    def state(self) -> list[list[object]]:
        """Files with their sizes and times of change: other than before, where any was written again."""
        found: list[list[object]] = []
        for _, file in self.files:
            for path in sorted(Path(file).rglob("*")) if os.path.isdir(file) else [Path(file)]:
                said = path.stat()
                found.append([str(path.absolute()), said.st_size, said.st_mtime_ns])
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureShards:
    """Parts of one data set, which have the same layers of the same widths and dtypes.

    Args:
        source: what was asked for.
        parts: in the order of their names.
        sizes: samples of each part.
        shapes: layer → of one sample.
        dtypes: layer → name of the stored dtype.
        ignored: arrays of the first part that are no layers.
    """

    source: str
    parts: tuple[FeatureShard, ...]
    sizes: tuple[int, ...]
    shapes: Mapping[int, tuple[int, ...]]
    dtypes: Mapping[int, str]
    ignored: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """N of all parts together."""
        return sum(self.sizes)

    @property
    def bytes(self) -> int:
        """Of all layers, as stored."""
        return sum(self.samples * int(np.prod(self.shapes[l])) * _width(self.dtypes[l]) for l in self.shapes)

    @cached_property
    def label_counts(self) -> tuple[Int[np.ndarray, " K"], tuple[dict[int, int], ...]]:
        """The labels that there are, in order, and how often each part has which: label → number."""
        counted = []
        for part in self.parts:
            values, numbers = np.unique(part.labels(), return_counts=True)
            counted.append(dict(zip(values.tolist(), numbers.tolist(), strict=True)))
        return np.array(sorted(set().union(*counted)), dtype=np.int64), tuple(counted)


def _width(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def holds_features(source: str | Path) -> bool:
    """Whether this is a feature file, a pattern of them, or a folder with nothing but features in mind: no run folder.

    >>> holds_features("features/*.npz"), holds_features("f.safetensors"), holds_features("resnet-18")
    (True, True, False)
    """
    path = Path(source)
    if path.is_dir() and path.suffix.lower() != ".zarr":
        return not (path / "run.json").exists() and any(_suffix(one) for one in _visible(path))
    return _suffix(path) is not None or (bool(_MAGIC & set(str(source))) and not path.exists())


def _suffix(path: Path) -> str | None:
    ending = path.suffix.lower()
    return ending if ending in FEATURE_SUFFIXES else None


def _visible(folder: Path) -> list[Path]:
    """What is in a folder, without what file systems and other programs leave there for themselves."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "_")))


def open_features(source: str | Path | Sequence[str | Path]) -> FeatureShards:
    """Saved features: a file, a folder of shards, a pattern such as `features/*.safetensors`, or a list of files.

    Every shard holds `y` (or `labels`) and `layer_0`, `layer_1`, …: arrays of `.npz`, `.safetensors` and Zarr, columns
    of Parquet and Arrow, or `.npy` files of one name, `a.layer_1.npy` beside `a.y.npy`. Headers alone are read.

    Raises:
        InvalidInputError: nothing there; other files among the shards; shards that are damaged, or that disagree about
            layers, widths or dtypes, with their names.

    >>> import tempfile
    >>> from pnc.data import save_features
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for i in range(2):
    ...         save_features(f"{folder}/{i}.npz", {1: np.ones((3, 2), np.float32)}, [0, 1, 1])
    ...     shards = open_features(folder)
    ...     shards.samples, shards.shapes, len(shards.parts)
    (6, {1: (2,)}, 2)
    """
    shown = str(source) if isinstance(source, str | Path) else f"{len(source)} files"
    parts = tuple(_parts(_files(source), shown))
    first: dict[int, Stored] = {}
    sizes, ignored = [], ()
    for part in parts:
        arrays = part.arrays()
        layers = feature_layers(Path(part.name), arrays)
        if not first:
            first = layers
            ignored = tuple(sorted(set(arrays) - {f"layer_{layer}" for layer in layers} - {"y"}))
        else:
            _compare(parts[0].name, first, part.name, layers)
        sizes.append(arrays["y"].shape[0])
    return FeatureShards(
        source=shown,
        parts=parts,
        sizes=tuple(sizes),
        shapes={layer: tuple(first[layer].shape[1:]) for layer in sorted(first)},
        dtypes={layer: first[layer].dtype for layer in sorted(first)},
        ignored=ignored,
    )


def _files(source: str | Path | Sequence[str | Path]) -> list[Path]:
    if not isinstance(source, str | Path):
        return [Path(one) for one in source]
    path = Path(source)
    if path.is_dir() and path.suffix.lower() != ".zarr":
        found = _visible(path)
        wrong = [one for one in found if _suffix(one) is None]
        endings = {ending for one in found if (ending := _suffix(one)) is not None}
        if wrong or len(endings) != 1:
            likely = next(iter(sorted(endings)), ".npz")
            raise InvalidInputError(
                got=f"{path}, a folder with {wrong[0].name} in it ({len(wrong)} files that are no features)"
                if wrong
                else f"{path}, a folder with files of several kinds ({', '.join(sorted(endings))})"
                if endings
                else f"{path}, an empty folder",
                expected=f"a folder of shards of one kind alone: {FEATURES_ACCEPTED}",
                next_step=f"name the shards by a quoted pattern: '{path}/*{likely}'",
            )
        return found
    if _MAGIC & set(str(source)) and not path.exists():
        found = sorted(map(Path, glob.glob(str(source), recursive=True)))
        if not found:
            raise InvalidInputError(
                got=f"the pattern {source}, which fits no file",
                expected=f"a pattern of shards: {FEATURES_ACCEPTED}",
                next_step="check the folder; quote the pattern, so that the shell leaves it alone",
            )
        return found
    return [path]


def _parts(files: Sequence[Path], source: str) -> Iterator[FeatureShard]:
    if not files:
        raise InvalidInputError(got="no files", expected="at least one shard", next_step="name the files")
    wrong = next((one for one in files if _suffix(one) is None), None)
    if wrong is not None:
        raise InvalidInputError(
            got=f"{wrong}" + (f" in {source}" if source != str(wrong) else ""),
            expected=f"saved features: {FEATURES_ACCEPTED}",
            next_step="convert it, or leave it out of the pattern",
        )
    if len(files) == 1 and files[0].suffix.lower() == ".npy" and files[0].parent.is_dir():
        files = _beside(files[0])
    lone = [one for one in files if one.suffix.lower() != ".npy"]
    if lone and len(lone) < len(files):
        raise InvalidInputError(
            got=f"{source}: .npy files and others ({lone[0].name})",
            expected="shards of one kind",
            next_step="name those of one kind by a quoted pattern",
        )
    for one in lone:
        yield FeatureShard(name=str(one), files=(("", str(one)),))
    for name, arrays in npy_parts(files).items() if not lone else ():
        some = next(iter(arrays.values()))
        if "y" not in arrays:
            raise InvalidInputError(
                got=f"{some} without labels beside it",
                expected=f"{Path(name).name}.y.npy (N,) beside it: a .npy file holds one array, and features are "
                "layers and labels together",
                next_step="save the labels there, or all together: numpy.savez('features.npz', y=y, layer_1=…)",
            )
        yield FeatureShard(name=name, files=tuple(sorted((array, str(file)) for array, file in arrays.items())))


def _beside(file: Path) -> list[Path]:
    """A lone `.npy` file and those of the same part beside it."""
    if not file.is_file():
        return [file]
    files = [one for one in file.parent.iterdir() if one.suffix.lower() == ".npy"]
    return next(list(arrays.values()) for arrays in npy_parts(files).values() if file in arrays.values())


def _compare(first: str, known: Mapping[int, Stored], name: str, found: Mapping[int, Stored]) -> None:
    """Refuse a shard whose layers are others than those of the first one."""

    def refuse(got: str, expected: str) -> None:
        raise InvalidInputError(
            got=f"{name} with {got}",
            expected=f"{expected}, as in {first}",
            next_step="save all shards from one model, or leave this one out",
        )

    if set(found) != set(known):
        refuse(f"the layers {_numbers(found)}", f"the layers {_numbers(known)}")
    for layer, stored in found.items():
        if stored.shape[1:] != known[layer].shape[1:]:
            refuse(
                f"layer {layer} of shape {stored.shape}", f"shape (N, {', '.join(map(str, known[layer].shape[1:]))})"
            )
        if stored.dtype != known[layer].dtype:
            refuse(f"layer {layer} of dtype {stored.dtype}", f"dtype {known[layer].dtype}")


def _numbers(layers: Mapping[int, Stored]) -> str:
    return ", ".join(map(str, sorted(layers)))
