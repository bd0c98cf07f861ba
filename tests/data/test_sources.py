"""From a name or a path to a problem: every word that `--data` takes, and those that it refuses."""

from typing import get_args

import numpy as np
import pytest

from pnc.data.fashion_mnist import load_fashion_mnist
from pnc.data.preprocess import preprocess
from pnc.data.problem import Problem
from pnc.data.sources import DATA_NAMES, resolve_data
from pnc.data.synthetic import draw
from pnc.errors import InvalidInputError
from pnc.spec import DataKind, ProblemSpec

from .test_fashion_mnist import installed, write_split


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.npz"
    rng = np.random.default_rng(0)
    np.savez(path, X=rng.standard_normal((12, 5)) + 2, y=np.arange(12) % 3)
    return path


def same(first, second):
    return np.array_equal(first.X, second.X) and np.array_equal(first.y, second.y)


@pytest.mark.parametrize("kind", [None, *get_args(DataKind)])
def test_draws(kind):
    sizes = {"classes": 2, "samples_per_class": (3, 4), "dimension": 9, "theta": 0.7, "seed": 5}
    spec = ProblemSpec(**sizes, **({"kind": kind} if kind else {}))
    problem = resolve_data(kind, **sizes)
    assert same(problem, draw(spec))
    assert problem.provenance == draw(spec).provenance


def test_the_default_draw():
    assert same(resolve_data(), draw(ProblemSpec()))
    assert same(resolve_data(seed=3), draw(ProblemSpec(seed=3)))


def test_clusters_may_have_fewer_dimensions_than_samples():
    assert resolve_data("gaussian-clusters", samples_per_class=9, dimension=2).X.shape == (27, 2)


def test_draws_are_preprocessed_only_where_asked():
    problem = resolve_data("gaussian-clusters", dimension=7, components=2, whiten=True)
    assert problem.provenance["preprocessing"]["scale"] == "orthonormal"
    assert np.allclose(problem.X.T @ problem.X, np.eye(2))
    assert "preprocessing" not in resolve_data("gaussian-clusters", dimension=7).provenance


@pytest.mark.parametrize("options", [{"components": 3}, {"whiten": True}, {"scale": "unit-norm"}])
def test_files_are_preprocessed_only_where_asked(file, options):
    with np.load(file) as stored:
        X, y = stored["X"], stored["y"]
    assert np.array_equal(resolve_data(str(file)).X, X)
    assert np.array_equal(resolve_data(file, classes=3, seed=8).y, y)
    assert same(resolve_data(file, **options), preprocess(Problem(X=X, y=y), **options))


def test_a_file_that_bears_the_name_of_a_kind(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    file.rename("orthonormal.npz")
    assert resolve_data("./orthonormal.npz").X.shape == (12, 5)
    assert resolve_data("orthonormal.npz").X.shape == (12, 5)
    assert resolve_data("orthonormal").X.shape == (30, 50)


def test_fashion_mnist_from_a_folder(tmp_path):
    write_split(tmp_path, samples=40)
    write_split(tmp_path, "t10k", samples=20)
    problem = resolve_data("fashion-mnist", data_dir=tmp_path, classes=10)
    assert problem.counts.tolist() == [4] * 10
    # the images of `write_split` are constant: one direction
    assert np.linalg.norm(problem.X) ** 2 == pytest.approx(1)
    assert problem.provenance["folder"] == str(tmp_path)
    assert problem.provenance["split"] == "train"
    assert problem.provenance["preprocessing"]["scale"] == "orthonormal"
    test = resolve_data("fashion-mnist", data_dir=tmp_path, split="test", components=1, scale="unit-norm")
    assert test.X.shape == (20, 1)
    assert np.mean(test.X**2) == pytest.approx(1)
    with pytest.raises(InvalidInputError, match="no sample in class 10"):
        resolve_data("fashion-mnist", data_dir=tmp_path, classes=11)
    whitened = resolve_data("fashion-mnist", data_dir=tmp_path, whiten=True)
    assert whitened.notes == ("whitening kept 1 of 784 directions; the others do not vary",)


@installed
def test_the_real_fashion_mnist_is_the_preprocessed_pixels():
    images, labels = load_fashion_mnist(split="test")
    expected = preprocess(Problem(X=images.reshape(10_000, -1), y=labels), components=8, whiten=True)
    assert same(resolve_data("fashion-mnist", split="test", components=8, whiten=True), expected)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("fashion_mnist", "fashion-mnist"),
        ("Fashion-MNIST", "fashion-mnist"),
        ("fashionmnist", "fashion-mnist"),
        ("gaussian-cluster", "gaussian-clusters"),
        ("orthonormal_noise", "orthonormal-noise"),
        ("orthnormal", "orthonormal"),
        ("nearly_orthonormal", "nearly-orthonormal"),
    ],
)
def test_the_nearest_name_is_suggested(word, meant):
    with pytest.raises(InvalidInputError, match=f"did you mean {meant}[?]") as caught:
        resolve_data(word)
    assert all(name in caught.value.expected for name in DATA_NAMES)


@pytest.mark.parametrize(
    ("data", "options", "match"),
    [
        ("zzz", {}, "data = 'zzz'; expected .*check the name"),
        ("", {}, "data = ''"),
        ("missing.npz", {}, "missing.npz"),
        ("no/such/folder", {}, "no/such/folder"),
        (".", {}, "got"),
        (
            None,
            {"data_dir": "here"},
            "`data_dir` with no `data`; expected `data_dir` only with an image data set",
        ),
        ("orthonormal", {"split": "test"}, "`split` with `data=orthonormal`"),
        ("mine.npz", {"samples_per_class": 5}, "`samples_per_class` with `data=mine.npz`"),
        ("fashion-mnist", {"theta": 0.1}, "`theta` with `data=fashion-mnist`"),
        ("cifar10", {}, "did you mean cifar-10"),
        ("cifar-100", {"data_dir": "nowhere"}, "no cifar-100 in nowhere"),
        ("mnist", {"data_dir": "nowhere"}, "train-images-idx3-ubyte"),
        ("mnist", {"data_dir": "nowhere", "split": "dev"}, "split = 'dev'"),
        (
            "mine.npz",
            {"dimension": 5},
            "`dimension` with `data=mine.npz`; expected .* only with synthetic data",
        ),
        ("mine.npz", {"theta": 0.1}, "`theta`"),
        ("mine.npz", {"data_dir": "."}, "`data_dir`"),
        ("mine.npz", {"classes": 4}, "no sample in class 3"),
        ("mine.npz", {"components": 6}, "at most 5 components"),
        ("mine.npz", {"scale": "unit"}, "expected one of orthonormal, unit-norm"),
        ("fashion-mnist", {"data_dir": "nowhere"}, "dataset-fashion-mnist"),
        ("orthonormal", {"classes": 1}, "classes = 1"),
        ("gaussian-clusters", {"components": 0}, "components = 0"),
    ],
)
def test_refused(file, monkeypatch, data, options, match):
    monkeypatch.chdir(file.parent)
    with pytest.raises(InvalidInputError, match=match) as caught:
        resolve_data(data, **options)
    assert "\n" not in str(caught.value)


def test_options_are_checked_before_sixty_thousand_images_are_read(tmp_path):
    with pytest.raises(InvalidInputError, match="components = 0"):
        resolve_data("fashion-mnist", data_dir=tmp_path / "nowhere", components=0)
