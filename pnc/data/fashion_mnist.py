"""Fashion-MNIST (and MNIST, whose files have the same names) from IDX files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from pnc.data.idx import read_idx
from pnc.errors import InvalidInputError

__all__ = ["FASHION_MNIST_FOLDER", "Split", "find_fashion_mnist", "load_fashion_mnist"]

Split = Literal["train", "test"]
FASHION_MNIST_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package `dataset-fashion-mnist` puts the files."""

_PREFIXES = {"train": "train", "test": "t10k"}
_HOW_TO_GET = (
    "on Debian or Ubuntu `apt install dataset-fashion-mnist`; elsewhere get its four .gz files "
    "(github.com/zalandoresearch/fashion-mnist, data/fashion) and pass their folder as --data-dir"
)


def find_fashion_mnist(data_dir: str | Path | None = None, *, split: Split = "train") -> tuple[Path, Path]:
    """Paths of the image file and the label file of a split, without reading them.

    Looked for in `data_dir`, and in the sub-folders that torchvision uses (`FashionMNIST/raw`, `MNIST/raw`),
    plain or with `.gz`, as `train-images-idx3-ubyte` or `train-images.idx3-ubyte`. `None`: in Debian's place.

    Raises:
        InvalidInputError: an unknown split, no such folder, a file that is not there.

    >>> find_fashion_mnist("/nowhere")
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got data_dir = /nowhere, which is not a folder; expected ...
    """
    if split not in _PREFIXES:
        raise InvalidInputError(
            got=f"split = {split!r}", expected="train or test", next_step="pass one of these as split"
        )
    folder = FASHION_MNIST_FOLDER if data_dir is None else Path(data_dir)
    if not folder.is_dir():
        what = "no Fashion-MNIST at" if data_dir is None else "data_dir ="
        raise InvalidInputError(
            got=f"{what} {folder}, which is not a folder",
            expected="a folder with the Fashion-MNIST IDX files",
            next_step=_HOW_TO_GET,
        )
    images, labels = (_find(folder, _PREFIXES[split], what) for what in ("images-idx3", "labels-idx1"))
    return images, labels


def _find(folder: Path, prefix: str, what: str) -> Path:
    for place in (folder, folder / "FashionMNIST" / "raw", folder / "MNIST" / "raw"):
        for name in (f"{prefix}-{what}-ubyte", f"{prefix}-{what.replace('-', '.')}-ubyte"):
            for file in (place / f"{name}.gz", place / name):
                if file.is_file():
                    return file
    raise InvalidInputError(
        got=f"no {prefix}-{what}-ubyte or {prefix}-{what}-ubyte.gz in {folder}",
        expected="the Fashion-MNIST IDX files",
        next_step=_HOW_TO_GET,
    )


def load_fashion_mnist(
    data_dir: str | Path | None = None, *, split: Split = "train"
) -> tuple[UInt8[np.ndarray, "N height width"], UInt8[np.ndarray, " N"]]:
    """Images (N, 28, 28) with pixels 0…255, and labels (N,) 0…9; 60,000 for `train`, 10,000 for `test`.

    Any data set in MNIST's format can be read through `data_dir` (see `find_fashion_mnist`).

    Raises:
        InvalidInputError: files that are not there or cannot be read, images and labels that do not fit
            together.
    """
    files = find_fashion_mnist(data_dir, split=split)
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
