"""What several specs say in the same words: the panels of `--help`, and fields that are the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pnc.fields import Option, Text, Whole

__all__ = ["DATA", "NETWORK", "NONE_IS_ZERO", "OUTPUT", "SHARES", "SIZES", "TRAINING", "Seed"]

DATA, NETWORK, TRAINING, OUTPUT = "Data", "Network", "Training", "Output"

Seed = Annotated[int, Whole(0), Option("Of every random draw.")]


def _sizes(words: str) -> int | tuple[int, ...]:
    sizes = tuple(int(part) for part in words.split(","))
    return sizes[0] if len(sizes) == 1 else sizes


def _joined(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, Sequence) else str(value)


SIZES = Text(
    _sizes, _joined, expected="a whole number, or one for every class separated by commas", example="10 or 5,10,20"
)

SHARES = Text(
    lambda words: tuple(float(part) for part in words.split(",")),
    lambda shares: ",".join(f"{share:.4g}" for share in shares),
    expected="numbers with commas between them",
    example="0.5,0.75",
)

NONE_IS_ZERO = Text(lambda number: number or None, lambda value: value or 0, kind=int)
"""A number of which 0 means none."""
