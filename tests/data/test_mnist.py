"""MNIST's files: found, told apart from Fashion-MNIST's, downloaded; and images as a problem."""

import hashlib

import numpy as np
import pytest

from pnc.data import fashion_mnist, mnist
from pnc.data.download import PublishedFile
from pnc.data.image_sets import IMAGE_SETS, load_images
from pnc.data.images import ImageData
from pnc.data.mnist import load_mnist
from pnc.data.preprocess import Preprocessing, preprocess
from pnc.data.problem import Problem
from pnc.data.sources import resolve_data
from pnc.data.subset import first_of_each_class
from pnc.errors import InvalidInputError
from pnc.train import as_samples

from .server import Site, serve
from .test_fashion_mnist import installed, write_split


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("place", [".", "MNIST/raw"])
def test_every_layout(tmp_path, compress, place):
    write_split(tmp_path / place, samples=20, compress=compress)
    images, labels = load_mnist(tmp_path)
    assert images.shape == (20, 28, 28)
    assert np.array_equal(images[:, 5, 5], labels)


def test_a_folder_that_holds_both(tmp_path):
    write_split(tmp_path / "MNIST/raw", samples=20)
    write_split(tmp_path / "FashionMNIST/raw", samples=30)
    assert load_images("mnist", tmp_path).samples == 20
    assert load_images("fashion-mnist", tmp_path).samples == 30


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("module", "name"), [(mnist, "mnist"), (fashion_mnist, "fashion-mnist")])
def test_downloaded(tmp_path, monkeypatch, module, name, split):
    prefix = {"train": "train", "test": "t10k"}[split]
    write_split(tmp_path / "there", prefix, samples=20)
    files = {f"/{path.name}": path.read_bytes() for path in (tmp_path / "there").iterdir()}
    with serve(Site(files=files)) as site:
        published = tuple(
            PublishedFile(
                name=path[1:],
                urls=(site.address + path,),
                checksum="md5:" + hashlib.md5(content).hexdigest(),
            )
            for path, content in files.items()
        )
        monkeypatch.setattr(module, "_FILES", published)
        monkeypatch.setattr(fashion_mnist, "FASHION_MNIST_FOLDER", tmp_path / "nowhere")
        monkeypatch.setenv("PNC_DATA_DIR", str(tmp_path / "here"))
        with pytest.raises(InvalidInputError, match="data_dir"):
            load_images(name, split=split)
        assert site.asked == []
        assert load_images(name, split=split, download=True).samples == 20
        assert len(site.asked) == 2
        assert load_images(name, split=split).samples == 20
        assert load_images(name, tmp_path / "other", split=split, download=True).samples == 20


@pytest.mark.parametrize("module", [mnist, fashion_mnist])
def test_published_checksums(module):
    assert sorted(file.name for file in module._FILES) == sorted(
        f"{split}-{what}-ubyte.gz" for split in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
    )
    digests = [file.checksum for file in module._FILES]
    assert all(len(bytes.fromhex(digest.removeprefix("md5:"))) == 16 for digest in digests)
    assert len(set(digests)) == 4


# --- subsets and problems of images


def test_the_first_of_every_class(tmp_path):
    write_split(tmp_path, samples=50)
    data = load_images("mnist", tmp_path, samples_per_class=2)
    assert data.counts.tolist() == [2] * 10
    whole = load_images("mnist", tmp_path)
    assert np.array_equal(data.images, whole.images[:20])
    assert data.provenance["samples_per_class"] == 2
    sizes = tuple(range(1, 6)) * 2
    assert load_images("mnist", tmp_path, samples_per_class=sizes).counts.tolist() == list(sizes)


def test_subsets_are_nested():
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(4), 30))
    kept = [set(first_of_each_class(y, n).tolist()) for n in range(1, 31)]
    assert all(small < large for small, large in zip(kept, kept[1:]))
    slow = [i for i in range(y.size) if np.count_nonzero(y[:i] == y[i]) < 7]
    assert first_of_each_class(y, 7).tolist() == slow


@pytest.mark.parametrize(
    ("sizes", "match"),
    [
        (6, "samples_per_class = 6 for class 0, which has 5"),
        (0, "samples_per_class = 0"),
        (-1, "samples_per_class = -1"),
        ((1, 2), r"\(1, 2\) for 10 classes"),
        (2.5, "2.5 for 10 classes"),
        ((5,) * 9 + (6,), "for class 9"),
    ],
)
def test_subsets_that_are_refused(tmp_path, sizes, match):
    write_split(tmp_path, samples=50)
    with pytest.raises(InvalidInputError, match=match):
        resolve_data("mnist", data_dir=tmp_path, samples_per_class=sizes)


@installed
def test_a_subset_of_the_real_files_is_preprocessed_by_itself():
    data = load_images("fashion-mnist", samples_per_class=30)
    assert data.class_names[data.y[0]] == "Ankle boot"
    problem = resolve_data("fashion-mnist", samples_per_class=30, components=12)
    expected = preprocess(Problem(X=data.images.reshape(300, -1), y=data.y), components=12)
    assert np.array_equal(problem.X, expected.X)
    assert np.linalg.norm(problem.X) ** 2 == pytest.approx(12)
    assert problem.provenance["samples_per_class"] == 30


def statistics_of(images):
    """Mean and standard deviation of every channel, by which a network's images are standardised."""
    samples = as_samples(images)
    return samples.mean.numpy(), samples.scale.numpy()


@installed
def test_channel_statistics_of_the_real_files():
    mean, deviation = statistics_of(load_images("fashion-mnist"))
    assert mean == pytest.approx([0.2860], abs=5e-5)
    assert deviation == pytest.approx([0.3530], abs=5e-5)


def test_channel_statistics_against_numpy():
    images = np.random.default_rng(0).integers(0, 256, (7, 3, 4, 5), dtype=np.uint8)
    images[:, 1] = 255  # a constant channel, where sums of squares could cancel
    mean, deviation = statistics_of(ImageData(images=images, y=[0, 1] * 3 + [1]))
    assert mean == pytest.approx(images.mean((0, 2, 3)) / 255, rel=1e-14)
    expected = images.std((0, 2, 3)) / 255
    assert deviation[[0, 2]] == pytest.approx(expected[[0, 2]], rel=1e-13, abs=0)
    assert deviation[1] == 1  # a constant channel is divided by 1 and stays at 0


@pytest.mark.parametrize(
    ("images", "y", "match"),
    [
        (np.zeros((4, 2, 2), np.uint8), [0, 1, 0, 1], r"shape \(4, 2, 2\)"),
        (np.zeros((4, 1, 2, 2)), [0, 1, 0, 1], "float64"),
        (np.zeros((4, 1, 2, 2), np.uint8), [0, 1, 0], "labels of shape"),
        (np.zeros((4, 1, 2, 2), np.uint8), [0, 0, 0, 0], "1 class"),
    ],
)
def test_images_that_are_refused(images, y, match):
    with pytest.raises(InvalidInputError, match=match):
        ImageData(images=images, y=y)


def test_a_stated_class_without_an_image(tmp_path):
    write_split(tmp_path, samples=50)
    with pytest.raises(InvalidInputError, match="no sample in class 10"):
        load_images("mnist", tmp_path).to_problem(Preprocessing(), classes=11)


@pytest.mark.parametrize("name", IMAGE_SETS)
def test_every_name_is_loaded(tmp_path, name):
    with pytest.raises(InvalidInputError, match=str(tmp_path)):
        load_images(name, tmp_path / "nowhere")
    with pytest.raises(InvalidInputError, match="split = 'dev'"):
        load_images(name, tmp_path, split="dev")
