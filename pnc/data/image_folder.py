"""Image folders: one sub-folder a class, PNG or JPEG files in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pnc.data.image_files import read_image_files
from pnc.data.images import ImageData
from pnc.errors import InvalidInputError

__all__ = ["IMAGE_SUFFIXES", "load_image_folder"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
"""Endings of the files that count as images, in small or capital letters."""

_SPLITS = ("train", "test", "val", "validation")
_LARGEST_SIDE = 1 << 15
_OTHERS, _NESTED, _DANGLING = "files that are not PNG or JPEG", "folders within a class folder", "dangling links"


def load_image_folder(
    folder: str | Path,
    *,
    split: str | None = None,
    size: Sequence[int] | None = None,
    grey: bool = False,
) -> ImageData:
    """Images (N, channels, height, width) of a folder with one sub-folder a class.

    Classes are numbered in the alphabetical order of their folders' names, images ordered by class and then
    by file name. Colours are RGB; where every file is grey there is one channel. Grey values of 16 bits are scaled to
    0…255, transparent pixels are laid over white, and an image is turned the way up that its EXIF tag says. Hidden
    files and folders are left out; files of other kinds, folders within a class and dangling links are counted in
    notes. The size of every image is read before any is unpacked.

    Args:
        folder: of the class folders; or of `train`, `test`, `val` or `validation` folders that hold them.
        split: which of these; `None`: `train`, where there is one.
        size: (height, width) to resize to, bilinearly; `None`: as they are, all of one size.
        grey: one channel, whatever the files hold.

    Raises:
        InvalidInputError: no such folder, no class folders, a class without images, an image that cannot be
            read, images of different sizes.
    """
    if size is not None and (len(size) != 2 or min(size) < 1 or max(size) > _LARGEST_SIDE):
        raise InvalidInputError(
            got=f"size = {tuple(size)}",
            expected=f"a height and a width of 1…{_LARGEST_SIDE} pixels",
            next_step="pass for instance `size=(32, 32)`",
        )
    folder = _split_folder(Path(folder), split)
    classes = [entry for entry in _visible(folder) if entry.is_dir()]
    if len(classes) < 2:
        raise InvalidInputError(
            got=f"{len(classes)} sub-folder{'s' if len(classes) != 1 else ''} in {folder}",
            expected="one sub-folder a class, at least two",
            next_step="put the images of each class into a folder of its own",
        )
    files: list[Path] = []
    labels: list[int] = []
    left_out = Counter({_DANGLING: sum(not entry.exists() for entry in _visible(folder))})
    for label, entry in enumerate(classes):
        inside = _visible(entry)
        images = [file for file in inside if file.is_file() and file.suffix.lower() in IMAGE_SUFFIXES]
        left_out[_OTHERS] += sum(file.is_file() for file in inside) - len(images)
        left_out[_NESTED] += sum(file.is_dir() for file in inside)
        left_out[_DANGLING] += sum(not file.exists() for file in inside)
        if not images:
            raise InvalidInputError(
                got=f"no {', '.join(IMAGE_SUFFIXES)} file in {entry}",
                expected="at least one image in every class folder",
                next_step="add images, or remove the folder",
            )
        files += images
        labels += [label] * len(images)
    pixels, changed = read_image_files(files, None if size is None else (size[0], size[1]), grey=grey)
    return ImageData(
        images=pixels,
        y=np.array(labels),
        class_names=tuple(entry.name for entry in classes),
        name=folder.name if folder.name not in _SPLITS else folder.parent.name,
        provenance={"source": "image folder", "folder": str(folder), "size": None if size is None else list(size)},
        notes=(*(f"{count} {what} were left out" for what, count in left_out.items() if count), *changed),
    )


def _split_folder(folder: Path, split: str | None) -> Path:
    if not folder.is_dir():
        raise InvalidInputError(
            got=f"{folder}, which is not a folder",
            expected="a folder with one sub-folder a class",
            next_step="check the path",
        )
    if split is not None and not (folder / split).is_dir():
        raise InvalidInputError(
            got=f"split = {split!r}, but no folder {folder / split}",
            expected="a sub-folder of that name",
            next_step="leave out `split`, or pass the folder of the split",
        )
    if split is None:
        names = {entry.name for entry in _visible(folder) if entry.is_dir()}
        split = "train" if "train" in names and names <= set(_SPLITS) else "."
    return folder / split


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
