"""What several specs say in the same words: the panels of `--help`, and fields that are the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pnc.fields import Option, Text, Whole

__all__ = [
    "DATA",
    "FRACTIONS",
    "MOST_DEPTH",
    "MOST_WIDTH",
    "NETWORK",
    "NONE_IS_ZERO",
    "NUMBERS",
    "OUTPUT",
    "PROBABILITIES",
    "PROBLEM_DATA",
    "SHARES",
    "SIZES",
    "TRAINING",
    "WHOLE_NUMBERS",
    "WORDS",
    "Components",
    "DataDir",
    "Scale",
    "Seed",
    "Whiten",
]

DATA, NETWORK, TRAINING, OUTPUT = "Data", "Network", "Training", "Output"

# of networks by name: above, torch counts bytes that no whole number of 64 bits holds, or makes layers for hours
MOST_WIDTH, MOST_DEPTH = 1_000_000, 100_000

Seed = Annotated[int, Whole(0), Option("Of every random draw.")]
DataDir = Annotated[Path | str | None, Option("Where a data set's files are.", panel=DATA)]
PROBLEM_DATA = Option(
    "A problem file (.npz or .safetensors with X, y); nearly-orthonormal (the default), orthonormal, "
    "orthonormal-noise, gaussian-clusters; fashion-mnist, mnist, cifar-10, cifar-100; a folder of images; "
    "a .csv, .tsv or .jsonl of texts.",
    panel=DATA,
    metavar="FILE|NAME",
)
Components = Annotated[int | None, Option("Keep so many principal components.", panel=DATA)]
Whiten = Annotated[bool, Option("Give all kept components the same variance.", panel=DATA)]
Scale = Annotated[
    Literal["orthonormal", "unit-norm", "unit-variance"] | None,
    Option("Scale of real data; default orthonormal (X Xᵀ = I).", panel=DATA, choices=True),
]


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

NUMBERS = replace(SHARES, write=_joined, example="0.5")

WHOLE_NUMBERS = Text(
    lambda words: tuple(int(part) for part in words.split(",")),
    _joined,
    expected="whole numbers separated by commas",
    example="2,5,10,20",
)


def _words(words: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    if not found:
        raise ValueError
    return found


WORDS = Text(_words, _joined, expected="at least one name", example="pgd")


def _fractions(words: str) -> tuple[float, ...]:
    """`"8/255,0.1"` → (0.0313…, 0.1)."""
    found = []
    for word in _words(words):
        above, slash, below = word.partition("/")
        divisor = float(below) if slash else 1.0
        number = float(above) / divisor if divisor else math.nan
        if not math.isfinite(number):
            raise ValueError
        found.append(number)
    return tuple(found)


def _pixels(values: Sequence[float]) -> str:
    """Steps of a pixel's brightness as such: 8/255."""
    steps = [round(value * 255) for value in values]
    return ",".join(
        f"{step}/255" if step / 255 == value else repr(value) for step, value in zip(steps, values, strict=True)
    )


FRACTIONS = Text(_fractions, _pixels, expected="numbers or fractions separated by commas", example="0.4,0.6")

PROBABILITIES = Text(
    lambda words: () if words == "none" else _fractions(words),
    lambda values: ",".join(f"{value:g}" for value in values) or "none",
    expected="numbers or fractions separated by commas, or none",
    example="0.4,0.6",
)

NONE_IS_ZERO = Text(lambda number: number or None, lambda value: value or 0, kind=int)
"""A number of which 0 means none."""
