"""Other data are matched with a training split by the names of the classes, and texts by its words."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from pnc.data import ImageData, Preparation, Problem, load_splits, load_text
from pnc.data.labels import named_labels
from pnc.errors import InvalidInputError


def folders(path, colours):
    """One folder a class, two images of one grey value in each."""
    for name, value in colours.items():
        (path / name).mkdir(parents=True)
        for i in range(2):
            Image.new("L", (2, 2), value).save(path / name / f"{i}.png")
    return path


def texts(path, rows):
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    return path


def test_folders_are_matched_by_name_not_by_place(tmp_path):
    trained = load_splits(folders(tmp_path / "a", {"cat": 10, "dog": 20}))
    # capital letters come first: Dog would be class 0
    with pytest.raises(InvalidInputError, match=r"the class 'Dog' in .*which the training split does not have"):
        load_splits(folders(tmp_path / "b", {"cat": 10, "Dog": 20}), like=trained.preparation)
    other = load_splits(folders(tmp_path / "c", {"dog": 20, "cat": 10}), like=trained.preparation).train
    assert [(other.class_names[k], int(image.mean())) for k, image in zip(other.y, other.images)] == [
        ("cat", 10), ("cat", 10), ("dog", 20), ("dog", 20)
    ]  # fmt: skip


def test_labels_that_are_numbers_are_matched_as_they_were_written(tmp_path):
    for name, y in (("a", [3, 3, 5, 5]), ("b", [5, 5, 8, 8]), ("c", [5, 5, 3, 3]), ("d", [3, 3, 3, 5])):
        np.savez(tmp_path / f"{name}.npz", X=np.eye(4), y=y)
    trained = load_splits(tmp_path / "a.npz").preparation
    assert trained.class_names == ("3", "5")
    with pytest.raises(InvalidInputError, match=r"the class '8' in .*b.npz"):
        load_splits(tmp_path / "b.npz", like=trained)
    assert load_splits(tmp_path / "c.npz", like=trained).train.y.tolist() == [1, 1, 0, 0]
    assert load_splits(tmp_path / "d.npz", like=trained).train.y.tolist() == [0, 0, 0, 1]


def test_numbers_for_names_are_said():
    trained = Preparation(class_names=("cat", "dog", "fish"))
    other = trained.matched(Problem(X=np.eye(6), y=[2, 1, 0, 0, 1, 2]), "x.npz")
    assert other.y.tolist() == [2, 1, 0, 0, 1, 2]
    assert other.notes == (
        "the classes of x.npz are numbers, taken as those of the training split: 0 is cat, 1 is dog, 2 is fish",
    )
    with pytest.raises(InvalidInputError, match=r"the class 'fish' in x.npz|no sample of the class 'fish'"):
        trained.matched(Problem(X=np.eye(4), y=[1, 1, 0, 0]), "x.npz")


def test_a_split_without_a_class_names_that_class(tmp_path):
    np.savez(tmp_path / "train.npz", X=np.eye(6), y=[0, 0, 1, 1, 2, 2])
    np.savez(tmp_path / "test.npz", X=np.eye(4, 6), y=[1, 1, 2, 2])
    with pytest.raises(InvalidInputError, match=r"no sample of the class '0' in .*test.npz"):
        load_splits(tmp_path / "train.npz", test_data=tmp_path / "test.npz")
    names = ("a", "b", "c")
    images = ImageData(images=np.zeros((4, 1, 2, 2), np.uint8), y=[1, 1, 2, 2], class_names=names)
    assert images.class_names == ("b", "c")
    with pytest.raises(InvalidInputError, match=r"no sample of the class 'a' in it"):
        Preparation(class_names=names).matched(images, "it")


def test_texts_are_given_in_the_words_of_the_training_texts(tmp_path):
    """Words and weights by hand: idf of the training texts, not of these."""
    trained = load_splits(texts(tmp_path / "a.csv", [("red red blue", "x"), ("green blue", "y")])).preparation
    again = Preparation.from_dict(json.loads(json.dumps(trained.to_dict())), source="run.json")
    other = load_splits(texts(tmp_path / "b.csv", [("green new", "y"), ("red blue new", "x")]), like=again).train
    idf = {"blue": 1.0, "green": 1 + np.log(3 / 2), "red": 1 + np.log(3 / 2)}
    words = trained.tf_idf.vocabulary
    assert set(words) == set(idf)
    expected = np.array([[idf[w] if w in text else 0.0 for w in words] for text in (["green"], ["red", "blue"])])
    np.testing.assert_allclose(other.X, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-12)
    assert other.y.tolist() == [1, 0]
    with pytest.raises(InvalidInputError, match="`vocabulary`"):
        load_splits(tmp_path / "b.csv", like=again, vocabulary=3)
    with pytest.raises(InvalidInputError, match="not trained on texts"):
        load_splits(tmp_path / "b.csv", like=Preparation(class_names=("x", "y")))


@pytest.mark.parametrize(
    "wrong",
    [None, [], {}, {"class_names": "ab"}, {"class_names": ["a"]}, {"class_names": [1, 2]},
     {"class_names": ["a", "b"], "vocabulary": ["w"], "weights": []},
     {"class_names": ["a", "b"], "vocabulary": [3], "weights": [1.0]},
     {"class_names": ["a", "b"], "vocabulary": ["w"], "weights": ["1"]},
     {"class_names": ["a", "b"], "vocabulary": ["w"], "weights": [float("nan")]}],
)  # fmt: skip
def test_a_record_that_says_nothing_is_refused(wrong):
    with pytest.raises(InvalidInputError, match=r"run.json without the names of the classes"):
        Preparation.from_dict(wrong, source="run.json")


def test_labels_alike_in_number_are_kept_apart(tmp_path):
    """int() takes 1_10 for 110 and ١ for 1."""
    rows = [("one text", "1_10"), ("two text", "11_0"), ("three text", "1"), ("four text", "١"), ("five", "a")]
    data = load_text(texts(tmp_path / "a.csv", rows))
    assert data.class_names == tuple(sorted({label for _, label in rows}))
    assert len(set(data.y.tolist())) == 5
    assert "the labels '11_0' and '1_10' are different classes" in data.notes
    assert "the labels '1' and '١' are different classes" in data.notes


def test_names_of_labels():
    y, names, notes = named_labels(np.array([7, 7, 2]), ())
    assert (y.tolist(), names, len(notes)) == ([1, 1, 0], ("2", "7"), 1)
    with pytest.raises(InvalidInputError, match="2 names for the labels up to 4"):
        named_labels([0, 1, 4], ["a", "b"])
