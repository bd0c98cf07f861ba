"""CIFAR-10 and CIFAR-100 from the published archives, packed or unpacked.

The authors publish them twice. The binary archives hold bytes and names, and are what is downloaded. The python
archives, which other programs download, hold pickles; these are read by `pnc.data.inert_pickle`, which runs nothing of
what they name.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from pnc.data.download import Progress, PublishedFile, data_folder
from pnc.data.download import download as fetch
from pnc.data.idx_images import Split
from pnc.data.images import ImageData
from pnc.data.inert_pickle import load_inert_pickle
from pnc.errors import InvalidInputError

__all__ = ["CifarName", "load_cifar"]

CifarName = Literal["cifar-10", "cifar-100"]

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE
_LARGEST = 1 << 28  # bytes; the largest published batch has 155 million

_Read = Callable[[str], bytes]


@dataclass(frozen=True, kw_only=True)
class _Binary:
    """How a binary archive is laid out: records of label bytes, the last of them the fine label, and 3072 pixels."""

    archive: PublishedFile
    folder: str
    batches: dict[str, tuple[str, ...]]
    meta: str
    label_bytes: int


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How a python archive is laid out, and the binary one of the same images."""

    binary: _Binary
    archive: PublishedFile
    folder: str
    batches: dict[str, tuple[str, ...]]
    labels: str
    meta: str
    names: str
    classes: int


def _archive(name: str, checksum: str) -> PublishedFile:
    # the authors' page has moved once; the third is a copy of the same bytes
    places = (
        "https://www.cs.toronto.edu/~kriz/",
        "https://cave.cs.toronto.edu/kriz/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    )
    return PublishedFile(name=name, urls=tuple(place + name for place in places), checksum=f"sha256:{checksum}")


def _binary_archive(name: str, checksum: str) -> PublishedFile:
    places = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")
    return PublishedFile(name=name, urls=tuple(place + name for place in places), checksum=f"md5:{checksum}")


_LAYOUTS: dict[str, _Layout] = {
    "cifar-10": _Layout(
        binary=_Binary(
            archive=_binary_archive("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
            folder="cifar-10-batches-bin",
            batches={"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)},
            meta="batches.meta.txt",
            label_bytes=1,
        ),
        archive=_archive("cifar-10-python.tar.gz", "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"),
        folder="cifar-10-batches-py",
        batches={"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)},
        labels="labels",
        meta="batches.meta",
        names="label_names",
        classes=10,
    ),
    "cifar-100": _Layout(
        binary=_Binary(
            archive=_binary_archive("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),
            folder="cifar-100-binary",
            batches={"train": ("train.bin",), "test": ("test.bin",)},
            meta="fine_label_names.txt",
            label_bytes=2,
        ),
        archive=_archive("cifar-100-python.tar.gz", "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"),
        folder="cifar-100-python",
        batches={"train": ("train",), "test": ("test",)},
        labels="fine_labels",
        meta="meta",
        names="fine_label_names",
        classes=100,
    ),
}


def load_cifar(
    name: CifarName,
    data_dir: str | Path | None = None,
    *,
    split: Split = "train",
    download: bool = False,
    progress: Progress | None = None,
) -> ImageData:
    """Images (N, 3, 32, 32), fine labels and their names; 50,000 for `train`, 10,000 for `test`.

    Looked for in `data_dir`: the unpacked batches; their folder (`cifar-10-batches-bin`, `cifar-100-binary`, or
    `cifar-10-batches-py`, `cifar-100-python`); the archive (`cifar-10-binary.tar.gz` and so on), which is read without
    unpacking it. Binary files are taken before pickles.

    Args:
        name: `cifar-10` or `cifar-100`.
        data_dir: where the files are; `None`: where downloads go (see `data_folder`).
        split: `train` or `test`.
        download: fetch the binary archive into `data_dir` where nothing is found, or else the python one.
        progress: see `pnc.data.download.download`.

    Raises:
        InvalidInputError: an unknown name or split, nothing found, a damaged archive, a pickle that is not
            the published one's kind, no network.

    >>> load_cifar("cifar-10", "/nowhere")
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got no cifar-10 in /nowhere; expected cifar-10-batches-bin, ...
    """
    for what, value, choices in (("data set", name, _LAYOUTS), ("split", split, ("train", "test"))):
        if value not in choices:
            raise InvalidInputError(
                got=f"{what} = {value!r}",
                expected=" or ".join(choices),
                next_step=f"pass one of these as {what}",
            )
    layout = _LAYOUTS[name]
    folder = data_folder() if data_dir is None else Path(data_dir)
    if download and _place(layout.binary, folder) is None and _place(layout, folder) is None:
        try:
            fetch(layout.binary.archive, folder, progress=progress)
        except InvalidInputError:
            fetch(layout.archive, folder, progress=progress)  # which a third place has, too
    for kind, read in ((layout.binary, _assemble_binary), (layout, _assemble)):
        if (place := _place(kind, folder)) is not None:
            wanted = (*kind.batches[split], kind.meta)
            contents = _unpacked(place, wanted) if place.is_dir() else _packed(place, kind.folder, wanted)
            return read(name, split, layout, place, contents)
    kinds = (layout.binary, layout)
    raise InvalidInputError(
        got=f"no {name} in {folder}",
        expected=f"{', '.join(kind.folder for kind in kinds)} or {' or '.join(kind.archive.name for kind in kinds)}"
        " in that folder",
        next_step="pass the folder as `data_dir` (or in PNC_DATA_DIR), or allow the download with `download=True`",
    )


def _place(layout: _Layout | _Binary, folder: Path) -> Path | None:
    """The folder of batches or the archive; a folder counts by its table of names, which both splits need."""
    for place in (folder, folder / layout.folder):
        if (place / layout.meta).is_file() and (place / layout.batches["train"][0]).is_file():
            return place
    archive = folder / layout.archive.name
    return archive if archive.is_file() else None


def _unpacked(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    contents = {}
    for name in names:
        try:
            with open(folder / name, "rb") as file:
                contents[name] = file.read(_LARGEST)
        except OSError as error:
            raise InvalidInputError(
                got=f"{folder / name}, which cannot be read ({error.strerror})",
                expected="every batch of the published archive",
                next_step="unpack the archive again",
            ) from error
    return contents


def _packed(archive: Path, folder: str, names: Iterable[str]) -> dict[str, bytes]:
    """The members that are wanted, by name: nothing is written to disk, so no path in the archive matters."""
    wanted = {f"{folder}/{name}": name for name in names}
    contents: dict[str, bytes] = {}
    try:
        # one pass over the compressed bytes, to the very end: the checksum of the compression stands there
        with gzip.open(archive) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as members:
                for member in members:
                    name = wanted.get(member.name.removeprefix("./"))
                    inside = members.extractfile(member) if name is not None and member.isfile() else None
                    if name is not None and inside is not None:
                        contents[name] = inside.read(_LARGEST)
            while stream.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InvalidInputError(
            got=f"{archive}, which is damaged or cut short ({error})",
            expected="the published archive, whole",
            next_step="delete it and download it again",
        ) from error
    missing = sorted(set(wanted.values()) - set(contents))
    if missing:
        raise InvalidInputError(
            got=f"{archive} without {folder}/{missing[0]}",
            expected="the published archive",
            next_step="delete it and download it again",
        )
    return contents


def _assemble_binary(name: str, split: Split, layout: _Layout, place: Path, contents: dict[str, bytes]) -> ImageData:
    binary = layout.binary
    size = binary.label_bytes + _PIXELS
    images, labels = [], []
    for batch in binary.batches[split]:
        content = contents[batch]
        if not content or len(content) % size:
            raise InvalidInputError(
                got=f"{batch} of {place} with {len(content)} bytes",
                expected=f"records of {size} bytes",
                next_step="download the archive again",
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, size)
        images.append(records[:, binary.label_bytes :])
        labels.append(records[:, binary.label_bytes - 1])
    y = np.concatenate(labels)
    if y.max() >= layout.classes:
        raise InvalidInputError(
            got=f"label {y.max()} in {place}",
            expected=f"labels 0…{layout.classes - 1}",
            next_step="download the archive again",
        )
    names = contents[binary.meta].decode("utf-8", "replace").split()
    if len(names) != layout.classes:
        raise InvalidInputError(
            got=f"{binary.meta} of {place} with {len(names)} names",
            expected=f"the names of {layout.classes} classes",
            next_step="download the archive again",
        )
    return ImageData(
        images=np.concatenate(images).reshape(-1, 3, _SIDE, _SIDE),
        y=y.astype(np.int64),
        class_names=tuple(names),
        name=name,
        provenance={"source": name, "split": split, "folder": str(place)},
    )


def _assemble(name: str, split: Split, layout: _Layout, place: Path, contents: dict[str, bytes]) -> ImageData:
    loaded = {file: load_inert_pickle(content, source=f"{file} of {place}") for file, content in contents.items()}
    images, labels = [], []
    for batch in layout.batches[split]:
        pixels, y = _batch(loaded[batch], layout, f"{batch} of {place}")
        images.append(pixels)
        labels.append(y)
    return ImageData(
        images=np.concatenate(images).reshape(-1, 3, _SIDE, _SIDE),
        y=np.concatenate(labels),
        class_names=_names(loaded[layout.meta], layout, f"{layout.meta} of {place}"),
        name=name,
        provenance={"source": name, "split": split, "folder": str(place)},
    )


def _batch(content: Any, layout: _Layout, source: str) -> tuple[np.ndarray, np.ndarray]:
    fields: dict[str, Any] = content if isinstance(content, dict) else {}
    pixels, labels = fields.get("data"), cast("Any", fields.get(layout.labels))
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != _PIXELS:
        found = f"{pixels.dtype} of shape {pixels.shape}" if isinstance(pixels, np.ndarray) else "nothing"
        raise InvalidInputError(
            got=f"{source} with {found} as data",
            expected=f"bytes of shape (N, {_PIXELS})",
            next_step="download the archive again",
        )
    if isinstance(labels, np.ndarray) and labels.ndim == 1 and labels.dtype.kind in "iu":
        labels = labels.tolist()
    whole = isinstance(labels, list) and all(type(label) is int for label in labels)
    if not whole or len(labels) != len(pixels):
        raise InvalidInputError(
            got=f"{source} without {len(pixels)} whole numbers as {layout.labels}",
            expected="one label an image",
            next_step="download the archive again",
        )
    outside = [label for label in labels if not 0 <= label < layout.classes]
    if outside:
        raise InvalidInputError(
            got=f"label {outside[0]} in {source}",
            expected=f"labels 0…{layout.classes - 1}",
            next_step="download the archive again",
        )
    return pixels, np.array(labels, dtype=np.int64)


def _names(content: Any, layout: _Layout, source: str) -> tuple[str, ...]:
    names = content.get(layout.names) if isinstance(content, dict) else None
    if not isinstance(names, list) or len(names) != layout.classes:
        raise InvalidInputError(
            got=f"{source} without {layout.classes} {layout.names}",
            expected="the names of the classes",
            next_step="download the archive again",
        )
    return tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names)
