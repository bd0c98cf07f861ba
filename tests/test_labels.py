"""Labels: what is taken, what is renumbered, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.data.labels import check_labels
from pnc.errors import InvalidInputError

quick = settings(deadline=None, max_examples=60)
label_lists = st.lists(st.integers(0, 12), min_size=2, max_size=30).filter(lambda y: len(set(y)) > 1)


@quick
@given(label_lists, st.sampled_from([np.int8, np.uint8, np.int32, np.int64, np.uint64, np.float16, np.float64]))
def test_gaps_are_closed_in_order(y, dtype):
    found, notes = check_labels(np.array(y, dtype=dtype))
    present = sorted(set(y))
    assert found.dtype == np.int64
    assert found.tolist() == [present.index(label) for label in y]
    assert bool(notes) == (present != list(range(len(present))))


@quick
@given(label_lists)
def test_stated_classes_are_never_renumbered(y):
    present = set(y)
    for classes in (len(present), max(y) + 1, max(y) + 2):
        if present == set(range(classes)):
            found, notes = check_labels(y, classes=classes)
            assert (found.tolist(), notes) == (y, ())
        else:
            with pytest.raises(InvalidInputError, match=r"no sample in class|classes stated"):
                check_labels(y, classes=classes)


def test_the_caller_keeps_the_array():
    y = np.array([0, 2])
    check_labels(y)[0][:] = 7
    check_labels(np.array([0, 1]))[0][:] = 7
    assert y.tolist() == [0, 2]


def test_many_gaps_make_a_short_note():
    _, notes = check_labels(np.arange(0, 200, 2))
    assert notes == ("labels [0, 2, 4, 6, 8, 10, …] were renumbered 0…99",)


@pytest.mark.parametrize(
    ("y", "options", "match"),
    [
        ([0, 1, 1.5], {}, "label 1.5 at sample 2; expected whole numbers"),
        ([0, np.nan, 1], {}, "label nan at sample 1"),
        ([0, np.inf, 1], {}, "label inf at sample 1"),
        ([0, 1e300], {}, "label 1e.300 at sample 1"),
        ([0, 1, -1], {}, "label -1 at sample 2"),
        ([0.0, -2.0], {}, "label -2 at sample 1"),
        (["cat", "dog"], {}, "labels of dtype <U3"),
        (["a", "b"], {}, "labels of dtype <U1"),
        ([[0], [1, 1]], {}, "labels that are not an array"),
        ([[0, 1], [1, 0]], {}, "labels of shape .2, 2."),
        (1, {}, "labels of shape ..; expected"),
        ([0, 1], {"samples": 3}, "labels of shape .2,. for 3 samples"),
        ([], {}, "0 classes in the labels"),
        ([3, 3], {}, "1 class in the labels; expected at least 2"),
        ([0, 1], {"classes": 4}, "no sample in class 2 .2 of 4 classes are empty"),
        ([0, 1, 5], {"classes": 3}, "label 5 with 3 classes stated"),
        ([0, 2], {"classes": 2}, "label 2 with 2 classes stated"),
    ],
)
def test_refused(y, options, match):
    with pytest.raises(InvalidInputError, match=match) as caught:
        check_labels(y, **options)
    assert "\n" not in str(caught.value)


def test_truth_values_are_the_labels_0_and_1():
    y, notes = check_labels(np.array([True, False, True]))
    assert (y.tolist(), notes) == ([1, 0, 1], ())
