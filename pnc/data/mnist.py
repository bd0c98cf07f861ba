"""MNIST, handwritten digits, from IDX files."""

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

__all__ = ["find_mnist", "load_mnist"]

_FILES = published_idx_files(
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
)
_HOW_TO_GET = "pass the folder of its four IDX files as `data_dir`, or allow the download with `download=True`"


def find_mnist(data_dir: str | Path | None = None, *, split: Split = "train") -> tuple[Path, Path]:
    """Paths of the image file and the label file of a split, without reading them.

    Looked for in `MNIST/raw` of `data_dir`, as torchvision keeps them, then in `data_dir` itself; plain or
    with `.gz`. `None`: where downloads go (see `data_folder`).

    Raises:
        InvalidInputError: an unknown split, a file that is not there.

    >>> find_mnist("/nowhere")
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got no train-images-idx3-ubyte or train-images-idx3-ubyte.gz in /nowhere; ...
    """
    folder = data_folder() if data_dir is None else Path(data_dir)
    # a folder that holds both has MNIST/raw and FashionMNIST/raw, and neither data set's files itself
    places = [folder] if not _downloads(folder).is_dir() else [_downloads(folder), folder]
    return find_idx_images(places, split=split, title="MNIST", how_to_get=_HOW_TO_GET)


def load_mnist(
    data_dir: str | Path | None = None,
    *,
    split: Split = "train",
    download: bool = False,
    progress: Progress | None = None,
) -> tuple[UInt8[np.ndarray, "N height width"], UInt8[np.ndarray, " N"]]:
    """Images (N, 28, 28) with pixels 0…255, and labels (N,) 0…9; 60,000 for `train`, 10,000 for `test`.

    Args:
        data_dir: where the files are, see `find_mnist`.
        split: `train` or `test`.
        download: fetch the files where they are not found, into `MNIST/raw` of `data_dir` or of
            `data_folder()`.
        progress: see `pnc.data.download.download`.

    Raises:
        InvalidInputError: files that are not there or cannot be read, images and labels that do not fit
            together, no network.
    """
    files = find_or_download(
        lambda: find_mnist(data_dir, split=split),
        _FILES,
        _downloads(data_folder() if data_dir is None else Path(data_dir)),
        split=split,
        download=download,
        progress=progress,
    )
    return read_idx_images(files)


def _downloads(folder: Path) -> Path:
    return folder / "MNIST" / "raw"
