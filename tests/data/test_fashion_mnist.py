"""Fashion-MNIST: the real files where they are installed, small ones of the same form elsewhere."""

import gzip
import struct

import numpy as np
import pytest

from pnc.data import fashion_mnist
from pnc.data.fashion_mnist import FASHION_MNIST_FOLDER, find_fashion_mnist, load_fashion_mnist
from pnc.data.preprocess import Preprocessing
from pnc.errors import InvalidInputError

installed = pytest.mark.skipif(
    not FASHION_MNIST_FOLDER.is_dir(),
    reason="Fashion-MNIST is not installed (apt install dataset-fashion-mnist)",
)


def write_split(folder, prefix="train", samples=6, *, labels=None, compress=True, separator="-", classes=10):
    """Images whose every pixel is the label, in MNIST's files."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = samples if labels is None else labels
    y = np.arange(labels) % classes
    pixels = np.repeat(np.arange(samples) % classes, 28 * 28).astype(np.uint8)
    for what, content in (
        ("images{}idx3", struct.pack(">4I", 0x803, samples, 28, 28) + pixels.tobytes()),
        ("labels{}idx1", struct.pack(">2I", 0x801, labels) + y.astype(np.uint8).tobytes()),
    ):
        name = f"{prefix}-{what.format(separator)}-ubyte"
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


@installed
@pytest.mark.parametrize(("split", "samples"), [("train", 60_000), ("test", 10_000)])
def test_the_real_files(split, samples):
    images, labels = load_fashion_mnist(split=split)
    assert images.shape == (samples, 28, 28)
    assert images.dtype == np.uint8
    assert np.bincount(labels).tolist() == [samples // 10] * 10
    if split == "train":
        # mean and deviation as published with the data set's benchmarks: 0.2860, 0.3530 of 255
        assert images.mean() / 255 == pytest.approx(0.2860, abs=5e-5)
        assert images.std() / 255 == pytest.approx(0.3530, abs=5e-5)
        assert labels[:5].tolist() == [9, 0, 0, 3, 0]


@installed
def test_sixty_thousand_images_are_whitened_to_rounding():
    images, _ = load_fashion_mnist()
    pixels = images.reshape(len(images), -1)
    fitted = Preprocessing(components=64, whiten=True).fit(pixels)
    Z = fitted.apply(pixels)
    assert Z.shape == (60_000, 64)
    assert np.abs(Z.T @ Z - np.eye(64)).max() <= 1e-10
    assert np.abs(Z.mean(axis=0)).max() <= 1e-12


@installed
def test_share_of_variance_of_real_images():
    """Against the eigenvalues of the covariance matrix as NumPy computes it."""
    pixels = load_fashion_mnist(split="test")[0].reshape(10_000, -1)
    eigenvalues = np.linalg.eigvalsh(np.cov(pixels.T))[::-1]
    fitted = Preprocessing(components=64).fit(pixels)
    assert fitted.explained_variance == pytest.approx(eigenvalues[:64].sum() / eigenvalues.sum(), rel=1e-10)
    # mean variance of a kept component: Z = factor (X - mean) V
    kept = (fitted.apply(pixels) ** 2).sum() / fitted.factor**2
    assert kept == pytest.approx(9999 * eigenvalues[:64].sum(), rel=1e-10)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("separator", ["-", "."])
@pytest.mark.parametrize("place", [".", "FashionMNIST/raw", "MNIST/raw"])
def test_every_layout(tmp_path, compress, separator, place):
    write_split(tmp_path / place, compress=compress, separator=separator)
    write_split(tmp_path / place, "t10k", 3, compress=compress, separator=separator)
    for split, samples in (("train", 6), ("test", 3)):
        images, labels = load_fashion_mnist(tmp_path, split=split)
        assert images.shape == (samples, 28, 28)
        assert np.array_equal(images[:, 5, 5], labels)


def refused(match, *args, **options):
    with pytest.raises(InvalidInputError, match=match) as caught:
        load_fashion_mnist(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_absent_files_name_the_package(tmp_path, monkeypatch):
    assert "dataset-fashion-mnist" in refused("not a folder", tmp_path / "nowhere")
    assert "dataset-fashion-mnist" in refused("no train-images-idx3-ubyte", tmp_path)
    monkeypatch.setattr(fashion_mnist, "FASHION_MNIST_FOLDER", tmp_path / "nowhere")
    assert "data_dir" in refused("no Fashion-MNIST at")


def test_one_file_absent(tmp_path):
    write_split(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    refused("no train-labels-idx1-ubyte", tmp_path)
    refused("no t10k-images-idx3-ubyte", tmp_path, split="test")


def test_images_and_labels_that_do_not_fit(tmp_path):
    write_split(tmp_path, samples=6, labels=5)
    refused("6 images and 5 labels", tmp_path)


def test_swapped_files(tmp_path):
    write_split(tmp_path)
    images, labels = find_fashion_mnist(tmp_path)
    aside = images.with_name("aside")
    images.rename(aside)
    labels.rename(images)
    aside.rename(labels)
    refused("swapped", tmp_path)


def test_truncated_file(tmp_path):
    write_split(tmp_path)
    images, _ = find_fashion_mnist(tmp_path)
    images.write_bytes(images.read_bytes()[:-9])
    refused("compression is broken", tmp_path)


def test_unknown_split(tmp_path):
    refused("expected train or test", tmp_path, split="validation")
