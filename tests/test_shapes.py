"""That shapes are checked in the whole suite: the check itself is seen to fail, and it is there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int, TypeCheckError, jaxtyped

import pnc.theory
from pnc.errors import InvalidInputError
from tests.shapes import CALLS, FUNCTIONS, checked, count_anew


@jaxtyped(typechecker=checked)
def centred(
    x: Float[np.ndarray, "N d"], y: Int[np.ndarray, " N"] | None = None, *, wrong: bool = False
) -> Float[np.ndarray, "N d"]:
    if x.shape[0] == 0:
        raise InvalidInputError(got="no sample", expected="one", next_step="pass one")
    return x.T if wrong else x - x.mean(0)


@jaxtyped(typechecker=checked)
def several(
    parts: Sequence[Float[torch.Tensor, "n ..."]], table: dict[str, Float[np.ndarray, " k"]]
) -> tuple[int, ...]:
    return tuple(len(part) for part in parts)


@jaxtyped(typechecker=checked)
def either(x: Sequence[float] | Float[np.ndarray, " N"]) -> int:
    return len(x)


def test_right_shapes_pass():
    assert either([1, 2]) == either(np.ones(2)) == 2
    assert centred(np.ones((3, 2)), np.arange(3)).shape == (3, 2)
    assert centred(np.ones((1, 1))).shape == (1, 1)
    assert several([torch.ones(2, 3), torch.ones(2)], {"a": np.ones(4), "b": np.ones(4)}) == (2, 2)


def test_the_first_calls_of_every_test_are_checked():
    for _ in range(CALLS):
        centred(np.ones((2, 1)))
    centred(np.ones(3))  # one too many to be looked at
    count_anew()
    with pytest.raises(TypeCheckError):
        centred(np.ones(3))


@pytest.mark.parametrize(
    "call",
    [
        lambda: centred(np.ones(3)),
        lambda: centred(np.ones((3, 2)), np.arange(2)),
        lambda: centred(np.ones((3, 2)), np.ones(3)),
        lambda: centred(np.ones((3, 2), dtype=int)),
        lambda: centred(np.ones((3, 2)), wrong=True),
        lambda: centred(torch.ones(3, 2)),
        lambda: either(np.ones((2, 2))),
        lambda: either(np.array([1, 2])),
        lambda: several([torch.ones(2), torch.ones(3)], {}),
        lambda: several([], {"a": np.ones(4), "b": np.ones(5)}),
    ],
)
def test_wrong_shapes_are_noticed(call):
    with pytest.raises(TypeCheckError):
        call()


def test_a_function_refuses_first():
    with pytest.raises(InvalidInputError, match="no sample"):
        centred(np.ones(0))


def test_the_package_is_checked():
    """By the import hook of pyproject.toml, in every test."""
    assert "pnc.theory.moment_law.moment_law" in FUNCTIONS
    assert len(FUNCTIONS) > 60
    pnc.theory.moment_law(np.array([4.0, 2.0, 1.0]))
    with pytest.raises(TypeCheckError):
        pnc.theory.moment_law(np.array([4, 2, 1]))
