"""PNG and JPEG files as bytes of one size, read by Pillow: what they would take in memory is known before."""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from pnc.errors import InvalidInputError
from pnc.memory import require_memory

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["read_image_files"]

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # a PNG has no more, whatever Pillow reads them into
_GREY = ("1", "L", "LA", "La", "F", *_SIXTEEN_BITS)
_TRANSPOSED = (5, 6, 7, 8)  # EXIF orientations that exchange height and width
_ORIENTATION = 0x0112


def read_image_files(
    files: list[Path], size: tuple[int, int] | None, *, grey: bool = False
) -> tuple[UInt8[np.ndarray, "N channels height width"], tuple[str, ...]]:
    """All images (N, channels, height, width), and notes on what had to be changed.

    Args:
        files: PNG or JPEG.
        size: (height, width) to resize to, bilinearly; `None`: all have to be of one size.
        grey: one channel, whatever the files hold; otherwise three where any file has colours.

    Raises:
        InvalidInputError: a file that cannot be read, images of different sizes, more pixels than there is memory.
    """
    heads = [_head(file) for file in files]
    channels = 1 if grey or all(is_grey for _, is_grey in heads) else 3
    shape = size or heads[0][0]
    for file, (found, _) in zip(files, heads, strict=True):
        if size is None and found != shape:
            raise InvalidInputError(
                got=f"{file} of {found[0]} × {found[1]} pixels, {files[0]} of {shape[0]} × {shape[1]}",
                expected="images of one size",
                next_step=f"pass `size=({shape[0]}, {shape[1]})`, or another size, to resize them",
            )
    pixels = len(files) * channels * shape[0] * shape[1]
    # one image at a time is unpacked: in its own mode, turned, over white, and resized, four bytes a pixel each
    largest = max(found[0] * found[1] for found, _ in heads)
    advice = "pass a smaller `size`, or fewer images"
    require_memory(pixels + 16 * largest, what=f"{len(files)} images, unpacked", next_step=advice)
    images = np.empty((len(files), channels, *shape), np.uint8)  # once: a list and its copy would need it twice
    changes: Counter[str] = Counter()
    for image, file in zip(images, files, strict=True):
        image[...] = _pixels(file, "L" if channels == 1 else "RGB", size, changes)
    return images, tuple(f"{count} {what}" for what, count in changes.items())


def _head(file: Path) -> tuple[tuple[int, int], bool]:
    """Height and width, the way up that it is shown, and whether it is grey; nothing is unpacked."""
    with _opened(file) as image:
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION) in _TRANSPOSED
        return (width, height) if turned else (height, width), image.mode in _GREY


def _pixels(file: Path, mode: str, size: tuple[int, int] | None, changes: Counter[str]) -> np.ndarray:
    from PIL import Image, ImageOps

    with _opened(file) as opened:
        image, turned = opened, opened.getexif().get(_ORIENTATION, 1)
        if image.mode in _SIXTEEN_BITS:
            changes["images of 16 bits a pixel were scaled to 8"] += 1
            values = np.asarray(image).astype(np.int64).clip(0, 65535)
            image = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))  # v/257, to the nearest
            image.getexif()[_ORIENTATION] = turned
        if turned not in (0, 1):
            changes["images were turned as their EXIF tag says"] += 1
            image = ImageOps.exif_transpose(image)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            if np.asarray(image.getchannel("A")).min() < 255:
                changes["images have transparent pixels, which were laid over white"] += 1
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert(mode)
        if size is not None and image.size != (size[1], size[0]):
            image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        pixels = np.asarray(image, np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    try:
        from PIL import Image
    except ImportError as error:
        raise InvalidInputError(
            got=f"{file}, without Pillow to read it",
            expected="Pillow, for image folders",
            next_step="pip install pillow",
        ) from error
    try:
        with warnings.catch_warnings():
            # of many pixels: their memory is asked for here, for all images together
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=("PNG", "JPEG")) as image:
                yield image
    except InvalidInputError:
        raise
    except Exception as error:  # a damaged image, its text and its colour profile fail in any way that Pillow can
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InvalidInputError(
            got=f"{file}, which is not a whole PNG or JPEG image ({reason})",
            expected="images that can be read",
            next_step="remove or replace the file",
        ) from error
