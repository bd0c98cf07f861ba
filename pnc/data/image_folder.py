"""Image folders: one sub-folder a class, PNG or JPEG files in it; read by Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pnc.data.images import ImageData
from pnc.errors import InvalidInputError

__all__ = ["IMAGE_SUFFIXES", "load_image_folder"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
"""Endings of the files that count as images, in small or capital letters."""

_SPLITS = ("train", "test", "val", "validation")


def load_image_folder(
    folder: str | Path,
    *,
    split: str | None = None,
    size: tuple[int, int] | None = None,
    grey: bool = False,
) -> ImageData:
    """Images (N, channels, height, width) of a folder with one sub-folder a class.

    Classes are numbered in the alphabetical order of their folders' names, images ordered by class and then
    by file name. Colours are RGB; where every file is grey there is one channel. Hidden files and folders are
    left out, other kinds of files are counted in a note.

    Args:
        folder: of the class folders; or of `train`, `test`, `val` or `validation` folders that hold them.
        split: which of these; `None`: `train`, where there is one.
        size: (height, width) to resize to, bilinearly; `None`: as they are, all of one size.
        grey: one channel, whatever the files hold.

    Raises:
        InvalidInputError: no such folder, no class folders, a class without images, an image that cannot be
            read, images of different sizes.
    """
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
    others = 0
    for label, entry in enumerate(classes):
        inside = [file for file in _visible(entry) if file.is_file()]
        images = [file for file in inside if file.suffix.lower() in IMAGE_SUFFIXES]
        others += len(inside) - len(images)
        if not images:
            raise InvalidInputError(
                got=f"no {', '.join(IMAGE_SUFFIXES)} file in {entry}",
                expected="at least one image in every class folder",
                next_step="add images, or remove the folder",
            )
        files += images
        labels += [label] * len(images)
    return ImageData(
        images=_read_all(files, size, grey),
        y=np.array(labels),
        class_names=tuple(entry.name for entry in classes),
        name=folder.name if folder.name not in _SPLITS else folder.parent.name,
        provenance={"source": "image folder", "folder": str(folder), "size": None if size is None else list(size)},
        notes=(f"{others} files that are not PNG or JPEG were left out",) if others else (),
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


def _read_all(
    files: list[Path], size: tuple[int, int] | None, grey: bool
) -> UInt8[np.ndarray, "N channels height width"]:
    mode = "L" if grey or all(_is_grey(file) for file in files) else "RGB"
    first = _read(files[0], mode, size)
    images = np.empty((len(files), *first.shape), np.uint8)  # once: a list and its copy would need it twice
    for i, file in enumerate(files):
        image = _read(file, mode, size)
        if image.shape != first.shape:
            raise InvalidInputError(
                got=f"{file} of {image.shape[1]} × {image.shape[2]} pixels, {files[0]} of "
                f"{first.shape[1]} × {first.shape[2]}",
                expected="images of one size",
                next_step="resize them first, or call load_image_folder with a size",
            )
        images[i] = image
    return images


def _is_grey(file: Path) -> bool:
    with _opened(file) as image:
        return image.mode in ("1", "L", "I;16", "I", "F")


def _read(file: Path, mode: str, size: tuple[int, int] | None) -> UInt8[np.ndarray, "channels height width"]:
    with _opened(file) as image:
        try:
            converted = image.convert(mode)
            if size is not None:
                converted = converted.resize((size[1], size[0]), 2)  # 2: bilinear
            pixels = np.asarray(converted, np.uint8)
        except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for damaged files
            raise _unreadable(file, error) from error
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _opened(file: Path):
    try:
        from PIL import Image
    except ImportError as error:
        raise InvalidInputError(
            got=f"{file}, without Pillow to read it",
            expected="Pillow, for image folders",
            next_step="pip install pillow",
        ) from error
    try:
        return Image.open(file, formats=("PNG", "JPEG"))
    except (OSError, Image.DecompressionBombError) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> InvalidInputError:
    return InvalidInputError(
        got=f"{file}, which is not a whole PNG or JPEG image ({error})",
        expected="images that can be read",
        next_step="remove or replace the file",
    )
