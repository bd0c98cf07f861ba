"""What is checked before a network is built."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from pnc.errors import InvalidInputError
from pnc.fields import check_whole

__all__ = ["at_least", "image_shape", "whole_shape"]


def at_least(name: str, value: Any, least: int, most: int | None = None) -> int:
    """`value` as an `int` that is not below `least` and not above `most`.

    Raises:
        InvalidInputError: not a whole number, or out of range.

    >>> at_least("width", 3, 1)
    3
    """
    return check_whole(name, value, least) if most is None else check_whole(name, value, least, most)


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
