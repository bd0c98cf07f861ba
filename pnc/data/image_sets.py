"""Image data sets by name: Fashion-MNIST, MNIST, CIFAR-10, CIFAR-100, or a folder of images."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

import numpy as np

from pnc.data.cifar import CifarName, load_cifar
from pnc.data.download import Progress
from pnc.data.fashion_mnist import FASHION_MNIST_NAMES, find_fashion_mnist, load_fashion_mnist
from pnc.data.idx_images import Split
from pnc.data.image_folder import load_image_folder
from pnc.data.images import ImageData
from pnc.data.mnist import find_mnist, load_mnist
from pnc.errors import InvalidInputError

__all__ = ["IMAGE_SETS", "load_images"]

IMAGE_SETS = ("fashion-mnist", "mnist", *get_args(CifarName))
"""The image data sets that have a name; a path to a folder of images is taken too."""

_IDX = {
    "fashion-mnist": (load_fashion_mnist, find_fashion_mnist, FASHION_MNIST_NAMES),
    "mnist": (load_mnist, find_mnist, tuple("0123456789")),
}


def load_images(
    name: str | Path,
    data_dir: str | Path | None = None,
    *,
    split: str | None = None,
    samples_per_class: int | Sequence[int] | None = None,
    download: bool = False,
    size: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> ImageData:
    """Labelled images (N, channels, height, width), as bytes.

    Args:
        name: one of `IMAGE_SETS`, or a folder with one sub-folder of images a class.
        data_dir: where the files of a named data set are; `None`: their usual places (see `load_cifar`,
            `find_mnist`, `find_fashion_mnist`).
        split: `train` (`None`) or `test`; of a folder of images, the sub-folder that holds the classes.
        samples_per_class: only the first n images of every class, or n_k, one size a class.
        download: fetch a named data set where it is not found.
        size: (height, width) that the images of a folder are resized to; `None`: all have to be of one size.
        progress: of the download, see `pnc.data.download.download`.

    Raises:
        InvalidInputError: an unknown name, files that are not there or cannot be read, more samples than a
            class has.

    >>> load_images("cifar10")
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got images = 'cifar10'; expected one of fashion-mnist, ...; did you mean cifar-10?
    """
    if name in _IDX:
        data = _idx(str(name), data_dir, split or "train", download, progress)
    elif name in IMAGE_SETS:
        data = load_cifar(
            cast("CifarName", name),  # what is left of IMAGE_SETS
            data_dir,
            split=cast("Split", split or "train"),  # `load_cifar` refuses what is none
            download=download,
            progress=progress,
        )
    elif Path(name).is_dir():
        data = load_image_folder(name, split=split, size=size)
    else:
        near = difflib.get_close_matches(str(name).lower(), IMAGE_SETS, n=1)
        raise InvalidInputError(
            got=f"images = {str(name)!r}",
            expected=f"one of {', '.join(IMAGE_SETS)}, or a folder of images",
            next_step=f"did you mean {near[0]}?" if near else "check the name or the path",
        )
    return data if samples_per_class is None else data.subset(samples_per_class)


def _idx(name: str, data_dir: str | Path | None, split: str, download: bool, progress: Progress | None) -> ImageData:
    load, find, class_names = _IDX[name]
    images, labels = load(data_dir, split=split, download=download, progress=progress)
    return ImageData(
        images=images[:, None],
        y=labels.astype(np.int64),
        class_names=class_names,
        name=name,
        provenance={
            "source": name,
            "split": split,
            "folder": str(find(data_dir, split=split)[0].parent),
        },
    )
