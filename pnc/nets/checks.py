"""What is checked before a network is built."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable, Sequence
from typing import Any

from pnc.errors import InvalidInputError

__all__ = ["at_least", "image_shape", "nearest", "whole_shape"]


def nearest(what: str, got: str, choices: Iterable[str]) -> InvalidInputError:
    """The error for a name that does not exist, with the nearest one that does.

    >>> print(nearest("network", "resnet18", ["mlp", "resnet-18"]))
    got network = 'resnet18'; expected one of mlp, resnet-18; did you mean resnet-18?
    """
    names = list(choices)
    near = difflib.get_close_matches(str(got).lower(), names, n=1)
    return InvalidInputError(
        got=f"{what} = {got!r}",
        expected=f"one of {', '.join(names)}",
        next_step=f"did you mean {near[0]}?" if near else "choose one of these",
    )


def at_least(name: str, value: Any, least: int) -> int:
    """`value` as an `int` that is not below `least`.

    Raises:
        InvalidInputError: not a whole number, or below.

    >>> at_least("width", 3, 1)
    3
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise InvalidInputError(
            got=f"{name} = {value!r}",
            expected=f"a whole number, {least} or more",
            next_step=f"pass for instance --{name.replace('_', '-')} {least}",
        )
    return number


def whole_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    """`input_shape` as a tuple of numbers above 0: that of one sample, without the batch.

    Raises:
        InvalidInputError: empty, or not of such numbers.
    """
    try:
        shape = tuple(map(operator.index, input_shape))
    except TypeError:
        shape = ()
    if not shape or min(shape) < 1:
        raise InvalidInputError(
            got=f"input_shape = {input_shape!r}",
            expected="whole numbers above 0: (features,) or (channels, height, width)",
            next_step="pass the shape of one sample",
        )
    return shape


def image_shape(network: str, input_shape: Sequence[int]) -> tuple[int, int, int]:
    """`input_shape` as (channels, height, width).

    Raises:
        InvalidInputError: another number of axes.
    """
    shape = whole_shape(input_shape)
    if len(shape) != 3:
        raise InvalidInputError(
            got=f"input_shape = {shape} for {network}",
            expected="(channels, height, width)",
            next_step="give it images, or build an mlp",
        )
    return shape
