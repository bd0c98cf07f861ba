"""The four IDX files in which MNIST and its relatives are published: found, fetched and read in pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from pnc.data.download import Progress, PublishedFile, download
from pnc.data.idx import read_idx
from pnc.errors import InvalidInputError

__all__ = [
    "Split",
    "download_idx_images",
    "find_idx_images",
    "find_or_download",
    "published_idx_files",
    "read_idx_images",
]

Split = Literal["train", "test"]

_PREFIXES = {"train": "train", "test": "t10k"}


def published_idx_files(base: str, checksums: Mapping[str, str]) -> tuple[PublishedFile, ...]:
    """The files of a data set that all lie under one address, with their MD5 checksums.

    >>> published_idx_files("https://example.org/", {"a.gz": "00"})[0].urls
    ('https://example.org/a.gz',)
    """
    return tuple(
        PublishedFile(name=name, urls=(base + name,), checksum=f"md5:{digest}") for name, digest in checksums.items()
    )


def find_or_download(
    find: Callable[[], tuple[Path, Path]],
    files: Sequence[PublishedFile],
    folder: Path,
    *,
    split: Split,
    download: bool,
    progress: Progress | None,
) -> tuple[Path, Path]:
    """What `find` finds; where it finds nothing and `download` is set, after fetching the files into `folder`.

    Raises:
        InvalidInputError: as `find`, and no network.
    """
    try:
        return find()
    except InvalidInputError:
        if not download or split not in _PREFIXES:
            raise
        download_idx_images(files, folder, split=split, progress=progress)
        return find()


def find_idx_images(places: Sequence[Path], *, split: Split, title: str, how_to_get: str) -> tuple[Path, Path]:
    """Paths of the image file and the label file of a split, in the first place that has them.

    Plain or with `.gz`, as `train-images-idx3-ubyte` or `train-images.idx3-ubyte`.

    Raises:
        InvalidInputError: an unknown split, a file that is not there.
    """
    if split not in _PREFIXES:
        raise InvalidInputError(
            got=f"split = {split!r}", expected="train or test", next_step="pass one of these as split"
        )
    prefix = _PREFIXES[split]
    found = []
    for what in ("images-idx3", "labels-idx1"):
        stems = (f"{prefix}-{what}-ubyte", f"{prefix}-{what.replace('-', '.')}-ubyte")
        files = (place / (stem + end) for place in places for stem in stems for end in (".gz", ""))
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            raise InvalidInputError(
                got=f"no {prefix}-{what}-ubyte or {prefix}-{what}-ubyte.gz in {places[0]}",
                expected=f"the {title} IDX files",
                next_step=how_to_get,
            )
        found.append(file)
    return found[0], found[1]


def download_idx_images(
    files: Sequence[PublishedFile], folder: Path, *, split: Split, progress: Progress | None = None
) -> None:
    """Fetch the two files of a split into `folder`, those that are not there."""
    for file in files:
        if file.name.startswith(_PREFIXES[split]):
            download(file, folder, progress=progress)


def read_idx_images(
    files: tuple[Path, Path],
) -> tuple[UInt8[np.ndarray, "N height width"], UInt8[np.ndarray, " N"]]:
    """Images (N, height, width) and labels (N,) of two files that belong together.

    Raises:
        InvalidInputError: files that cannot be read, or that do not fit together.
    """
    images, labels = map(read_idx, files)
    for array, axes, file in ((images, 3, files[0]), (labels, 1, files[1])):
        if array.ndim != axes or array.dtype != np.uint8:
            raise InvalidInputError(
                got=f"{file} with shape {array.shape} of {array.dtype}",
                expected=f"{axes} dimension{'s' if axes > 1 else ''} of unsigned bytes",
                next_step="check that image and label files are not swapped",
            )
    if len(images) != len(labels):
        raise InvalidInputError(
            got=f"{len(images)} images and {len(labels)} labels in {files[0].parent}",
            expected="one label an image",
            next_step="take both files from the same split of the same data set",
        )
    return images, labels
