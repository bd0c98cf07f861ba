"""Fashion-MNIST (and any data set in files of the same names) from IDX files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pnc.data.download import Progress, data_folder
from pnc.data.idx_images import (
    Split,
    find_idx_images,
    find_or_download,
    published_idx_files,
    read_idx_images,
)
from pnc.errors import InvalidInputError

__all__ = ["FASHION_MNIST_FOLDER", "FASHION_MNIST_NAMES", "Split", "find_fashion_mnist", "load_fashion_mnist"]

FASHION_MNIST_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package `dataset-fashion-mnist` puts the files."""

FASHION_MNIST_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""What the labels 0…9 stand for."""

_FILES = published_idx_files(
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
)
_HOW_TO_GET = (
    "on Debian or Ubuntu `apt install dataset-fashion-mnist`; elsewhere get its four .gz files "
    "(github.com/zalandoresearch/fashion-mnist, data/fashion) and pass their folder as `data_dir`"
)


def find_fashion_mnist(data_dir: str | Path | None = None, *, split: Split = "train") -> tuple[Path, Path]:
    """Paths of the image file and the label file of a split, without reading them.

    Looked for in `data_dir`, and in the sub-folders that torchvision uses (`FashionMNIST/raw`, `MNIST/raw`),
    plain or with `.gz`, as `train-images-idx3-ubyte` or `train-images.idx3-ubyte`. `None`: in Debian's place,
    then where downloads go (see `data_folder`).

    Raises:
        InvalidInputError: an unknown split, no such folder, a file that is not there.

    >>> find_fashion_mnist("/nowhere")
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got data_dir = /nowhere, which is not a folder; expected ...
    """
    if data_dir is None:
        folder, places = FASHION_MNIST_FOLDER, [FASHION_MNIST_FOLDER, _downloads(None)]
    else:
        folder = Path(data_dir)
        places = [folder, _downloads(folder), folder / "MNIST" / "raw"]
    if not any(place.is_dir() for place in places):
        what = "no Fashion-MNIST at" if data_dir is None else "data_dir ="
        raise InvalidInputError(
            got=f"{what} {folder}, which is not a folder",
            expected="a folder with the Fashion-MNIST IDX files",
            next_step=_HOW_TO_GET,
        )
    return find_idx_images(places, split=split, title="Fashion-MNIST", how_to_get=_HOW_TO_GET)


def load_fashion_mnist(
    data_dir: str | Path | None = None,
    *,
    split: Split = "train",
    download: bool = False,
    progress: Progress | None = None,
) -> tuple[UInt8[np.ndarray, "N height width"], UInt8[np.ndarray, " N"]]:
    """Images (N, 28, 28) with pixels 0…255, and labels (N,) 0…9; 60,000 for `train`, 10,000 for `test`.

    Any data set in MNIST's format can be read through `data_dir` (see `find_fashion_mnist`).

    Args:
        data_dir: where the files are.
        split: `train` or `test`.
        download: fetch the files where they are not found, into `FashionMNIST/raw` of `data_dir` or of
            `data_folder()`.
        progress: see `pnc.data.download.download`.

    Raises:
        InvalidInputError: files that are not there or cannot be read, images and labels that do not fit
            together, no network.
    """
    files = find_or_download(
        lambda: find_fashion_mnist(data_dir, split=split),
        _FILES,
        _downloads(data_dir),
        split=split,
        download=download,
        progress=progress,
    )
    return read_idx_images(files)


def _downloads(data_dir: str | Path | None) -> Path:
    """Where the files are put, as torchvision does, so that both find them."""
    return (data_folder() if data_dir is None else Path(data_dir)) / "FashionMNIST" / "raw"
