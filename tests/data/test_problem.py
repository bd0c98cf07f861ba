"""`Problem`: what it takes, what it refuses, what it promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.data.problem import Problem
from pnc.errors import InvalidInputError, PncError


def test_what_it_promises():
    X = np.arange(12).reshape(4, 3)
    problem = Problem(X=X, y=np.array([1.0, 0.0, 0.0, 2.0]))
    assert problem.X.dtype == np.float64
    assert problem.y.dtype == np.int64
    assert (problem.samples, problem.dimension, problem.classes) == (4, 3, 3)
    assert problem.counts.tolist() == [2, 1, 1]
    assert not problem.balanced
    assert Problem(X=X, y=[0, 1, 1, 0]).balanced


def test_it_is_a_copy_that_nobody_can_write_to():
    X = np.ones((4, 3))
    problem = Problem(X=X, y=np.array([0, 0, 1, 1]))
    X[0, 0] = 5
    assert problem.X[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        problem.X[0, 0] = 5
    with pytest.raises(ValueError, match="read-only"):
        problem.y[0] = 5


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint8, np.int64])
def test_dtypes(dtype):
    assert np.array_equal(Problem(X=np.eye(4, dtype=dtype), y=[0, 0, 1, 1]).X, np.eye(4))


def test_gaps_in_the_labels_are_noted_after_earlier_notes():
    problem = Problem(X=np.eye(3), y=[0, 2, 2], notes=("read from here",))
    assert problem.notes == ("read from here", "labels [0, 2] were renumbered 0…1")
    assert problem.classes == 2


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([np.nan, np.inf, -np.inf]), st.data())
def test_the_first_bad_entry_is_named(N, d, value, data):
    X = np.zeros((N, d))
    bad = data.draw(st.lists(st.tuples(st.integers(0, N - 1), st.integers(0, d - 1)), min_size=1, unique=True))
    for entry in bad:
        X[entry] = value
    i, j = min(bad)
    with pytest.raises(InvalidInputError) as caught:
        Problem(X=X, y=np.arange(N))
    assert caught.value.got == f"X[{i}, {j}] = {value} ({len(bad)} such entries)"


def test_infinities_of_both_signs_and_sums_that_overflow():
    with pytest.raises(InvalidInputError, match=r"X\[0, 0\] = inf .2 such"):
        Problem(X=np.array([[np.inf, -np.inf], [1.0, 1.0]]), y=[0, 1])
    assert Problem(X=np.full((2, 2), 1e308), y=[0, 1]).X.max() == 1e308


@pytest.mark.parametrize(
    ("X", "y", "options", "match"),
    [
        (np.ones(3), [0, 1, 1], {}, "X of shape .3,."),
        (np.ones((0, 3)), [], {}, "X of shape .0, 3."),
        (np.ones((3, 0)), [0, 1, 1], {}, "X of shape .3, 0."),
        (np.ones((2, 2, 2)), [0, 1], {}, "X of shape .2, 2, 2."),
        (np.ones((2, 2)) + 1j, [0, 1], {}, "X of dtype complex128"),
        (np.array([["a"], ["b"]]), [0, 1], {}, "X of dtype <U1"),
        ([[1.0], [1.0, 2.0]], [0, 1], {}, "X that is not an array"),
        (np.ones((3, 2)), [0, 1], {}, "labels of shape .2,. for 3 samples"),
        (np.ones((2, 2)), [0, 0], {}, "1 class in the labels"),
        (np.ones((2, 2)), [0, 1], {"classes": 3}, "no sample in class 2"),
        (np.ones((2, 2)), [0, 2], {"classes": 2}, "label 2 with 2 classes stated"),
    ],
)
def test_refused(X, y, options, match):
    with pytest.raises(InvalidInputError, match=match) as caught:
        Problem(X=X, y=y, **options)
    assert isinstance(caught.value, PncError)
    assert "\n" not in str(caught.value)
