"""Both splits from the words of a command line: prepared alike, and loaded again from what was recorded."""

import json

import numpy as np
import pytest
from PIL import Image

from pnc.data import load_splits, load_text_splits
from pnc.data.fashion_mnist import FASHION_MNIST_FOLDER, load_fashion_mnist
from pnc.data.text import TfIdf
from pnc.errors import InvalidInputError
from tests.data.test_text import write_rows

TRAIN = [("wheat rose", "grain"), ("a ship sank", "ship"), ("wheat fell", "grain"), ("ship left", "ship")]
TEST = [("the ship left port", "ship"), ("wheat wheat", "grain")]


def problem(path, y, dimension=3):
    np.savez(path, X=np.arange(len(y) * dimension, dtype=float).reshape(len(y), dimension) ** 2, y=y)
    return path


def refused(match, *args, **options):
    with pytest.raises(InvalidInputError, match=match) as caught:
        load_splits(*args, **options)
    assert "\n" not in str(caught.value)


def again(splits):
    """What the recorded options load, after they have been through JSON."""
    return load_splits(**json.loads(json.dumps(splits.options)))


def test_texts_are_weighted_as_the_training_split_says(tmp_path):
    files = write_rows(tmp_path / "train.csv", TRAIN), write_rows(tmp_path / "test.csv", TEST)
    splits = load_splits(*files[:1], test_data=files[1], vocabulary=3)
    fitted = TfIdf(vocabulary=3).fit([text for text, _ in TRAIN])
    assert np.array_equal(splits.test.X, fitted.apply([text for text, _ in TEST]))
    assert splits.train.y.tolist() == [0, 1, 0, 1]
    assert splits.test.y.tolist() == [1, 0]
    assert np.array_equal(again(splits).test.X, splits.test.X)


@pytest.mark.parametrize("labels", [("4", "7", "9"), (4, 7, 9), ("c", "a", "b")])
def test_classes_have_the_numbers_of_the_training_split(tmp_path, labels):
    rows = [(f"text {label}", label) for label in labels]
    train = write_rows(tmp_path / "train.jsonl", rows)
    test = write_rows(tmp_path / "test.jsonl", [(text, f"0{k}" if str(k).isdigit() else k) for text, k in rows[::-1]])
    one, other = load_text_splits(train, test)
    assert other.y.tolist() == one.y.tolist()[::-1]


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([*TEST, ("oil", "crude")], "the class 'crude' in .*test.csv, .*; expected .* 'grain', 'ship'"),
        (TEST[:1] * 2, "1 class in the labels, in .*test.csv"),
    ],
)
def test_labels_of_the_test_texts_that_do_not_fit(tmp_path, rows, match):
    test = write_rows(tmp_path / "test.csv", rows)
    refused(match, write_rows(tmp_path / "train.csv", TRAIN), test_data=test)


def test_problem_files(tmp_path):
    train, test = problem(tmp_path / "train.npz", [0, 1, 2, 2]), problem(tmp_path / "test.npz", [2, 1, 0])
    splits = load_splits(train, test_data=test)
    assert (splits.train.samples, splits.test.samples) == (4, 3)
    assert splits.describe()["name"] == "train"
    assert again(splits).test.y.tolist() == [2, 1, 0]
    assert load_splits(train).test is None


def test_gaps_in_the_labels_have_to_be_the_same(tmp_path):
    train = problem(tmp_path / "train.npz", [0, 3, 5, 5])
    same, other = problem(tmp_path / "same.npz", [5, 3, 0]), problem(tmp_path / "other.npz", [0, 1, 5])
    assert load_splits(train, test_data=same).test.y.tolist() == [2, 1, 0]
    refused(r"the class '1' in .*other.npz, .* expected its classes: '0', '3', '5'", train, test_data=other)
    refused("the classes .3., .5. in", problem(tmp_path / "plain.npz", [0, 1, 2]), test_data=same)


@pytest.mark.skipif(not FASHION_MNIST_FOLDER.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_real_images():
    splits = load_splits("fashion-mnist", samples_per_class=3, test_samples_per_class=[2] * 10)
    assert (splits.train.samples, splits.test.samples) == (30, 20)
    images, labels = load_fashion_mnist(split="test")
    assert np.array_equal(splits.test.images[0, 0], images[0])
    assert splits.test.y[0] == labels[0]
    assert np.array_equal(again(splits).train.images, splits.train.images)


@pytest.mark.parametrize("tested", [True, False])
def test_a_folder_of_images(tmp_path, tested):
    for split in ("train", "test") if tested else (".",):
        for label in "ab":
            folder = tmp_path / "images" / split / label
            folder.mkdir(parents=True)
            Image.fromarray(np.full((2, 2), ord(label), np.uint8)).save(folder / "1.png")
    splits = load_splits(tmp_path / "images")
    assert splits.train.samples == 2
    assert (splits.test is not None) == tested
    if not tested:
        refused("`test_samples_per_class`", tmp_path / "images", test_samples_per_class=1)


def test_class_folders_have_to_be_the_same(tmp_path):
    for place in ("train/a", "train/b", "train/c", "test/a", "test/c", "test/d"):
        (tmp_path / place).mkdir(parents=True)
        Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / place / "1.png")
    refused(r"the class .d. in the test split of", tmp_path)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"data": "fashion-minst"}, "did you mean fashion-mnist"),
        ({"data": "nowhere"}, "data = 'nowhere'"),
        ({"data": "fashion-mnist", "test_data": "t.npz"}, "`test_data` with `data=fashion-mnist`"),
        ({"data": "fashion-mnist", "vocabulary": 3}, "`vocabulary`"),
        ({"data": "p.npz", "samples_per_class": 3}, "`samples_per_class` .* only with images and texts"),
        ({"data": "p.npz", "data_dir": "."}, "`data_dir`"),
        ({"data": "p.npz", "download": True}, "`download`"),
        ({"data": "p.npz", "text_column": "body"}, "`text_column`"),
        ({"data": "t.csv", "data_dir": "."}, "`data_dir`"),
        ({"data": "t.csv"}, "t.csv, which cannot be read"),
        ({"data": "p.npz"}, "p.npz, which is not there"),
    ],
)
def test_options_without_meaning_are_refused(options, match):
    refused(match, options.pop("data"), **options)


def test_a_test_size_without_a_test_split(tmp_path):
    refused("`test_samples_per_class`", write_rows(tmp_path / "train.csv", TRAIN), test_samples_per_class=1)
