"""What several specs say in the same words: the panels of `--help`, and fields that are the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pnc.errors import InvalidInputError
from pnc.fields import Option, Text, Whole, shown

__all__ = ["DATA", "NETWORK", "NONE_IS_ZERO", "OUTPUT", "SHARES", "SIZES", "TRAINING", "Seed"]

DATA, NETWORK, TRAINING, OUTPUT = "Data", "Network", "Training", "Output"

Seed = Annotated[int, Whole(0), Option("Of every random draw.")]


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInputError(
            got=shown(text),
            expected="numbers with commas between them",
            next_step="pass for instance 0.5,0.75",
        ) from None


def class_sizes(text: str) -> int | tuple[int, ...]:
    """`"10"` → 10, `"5,10,20"` → (5, 10, 20).

    Raises:
        InvalidInputError: not whole numbers separated by commas.

    >>> class_sizes("5,10,20")
    (5, 10, 20)
    """
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidInputError(
            got=f"`samples_per_class` {shown(text)}",
            expected="a whole number, or one for every class separated by commas",
            next_step="pass for instance 10 or 5,10,20",
        ) from None
    return sizes[0] if len(sizes) == 1 else sizes


def _joined(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, Sequence) else str(value)


SIZES = Text(class_sizes, _joined)
"""One number, or one a class."""

SHARES = Text(_numbers, lambda shares: ",".join(f"{share:.4g}" for share in shares))

NONE_IS_ZERO = Text(lambda number: number or None, lambda value: value or 0, kind=int)
"""A number of which 0 means none."""
