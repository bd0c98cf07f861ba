"""Reading what a curve's JSON says of its layers and its origin: each entry is checked once, here."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError

__all__ = [
    "read_bool", "read_list", "read_mapping", "read_number", "read_numbers", "read_pair", "read_whole", "read_word",
    "unreadable",
]  # fmt: skip

T = TypeVar("T")


def unreadable(name: str, value: object, expected: str) -> InvalidInputError:
    """The error for an entry that no measurement and no prediction writes."""
    return InvalidInputError(
        got=f"{value!r:.60} in the provenance's {name}",
        expected=expected,
        next_step="write the curve again with `pnc measure --json`, `pnc train --out` or `pnc predict --json`",
    )


def read_number(name: str, value: object) -> float:
    """A number; null, which JSON writes for what is not finite, is NaN."""
    if value is None:
        return math.nan
    if isinstance(value, Real) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):  # a whole number of hundreds of digits
            return float(value)
    raise unreadable(name, value, "a number or null")


def read_whole(name: str, value: object) -> int:
    """A whole number, 0 or more."""
    number = read_number(name, value)
    if number >= 0 and number.is_integer():
        return int(number)
    raise unreadable(name, value, "a whole number")


def read_word(name: str, value: object) -> str:
    """A text."""
    if isinstance(value, str):
        return value
    raise unreadable(name, value, "a text")


def read_bool(name: str, value: object) -> bool:
    """true or false."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise unreadable(name, value, "true or false")


def read_list(name: str, value: object, entry: Callable[[str, object], T]) -> tuple[T, ...]:
    """A list whose entries are read one by one."""
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes):
        return tuple(entry(name, item) for item in value)
    raise unreadable(name, value, "a list")


def read_numbers(name: str, value: object) -> Float[np.ndarray, " n"]:
    """A list of numbers, as an array."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        return value.astype(np.float64)
    return np.array(read_list(name, value, read_number), dtype=np.float64)


def read_pair(name: str, value: object) -> tuple[float, float]:
    """Two numbers, the least and the most; one number, or null, is both of them."""
    ends = value if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes) else (value, value)
    if len(ends) != 2:
        raise unreadable(name, value, "two numbers, the least and the most")
    return _end(name, ends[0]), _end(name, ends[1])


def _end(name: str, value: object) -> float:
    """A count stays a whole number, in JSON too."""
    number = read_number(name, value)
    return int(number) if isinstance(value, Integral) else number


def read_mapping(name: str, value: object) -> Mapping[str, Any]:
    """An object."""
    if isinstance(value, Mapping):
        return value
    raise unreadable(name, value, "an object")
