"""What an attack consists of: instances of one inequality, and its two sides in floats and in balls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Attack", "Batch", "Triple"]

Batch = dict[str, Any]  # torch tensors, restarts first, and plain integers shared by all restarts
Triple = tuple[Any, Any, Any]  # value, bound, limit


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One inequality and how it is attacked.

    Args:
        statement: the inequality, in words and symbols, with its number in the theory note.
        draw: (options, restarts, generator) → starting point; tensors named `raw_…` are climbed.
        build: starting point → instance that satisfies the hypotheses.
        measure: instance → value, bound, limit (torch).
        enclose: one instance as NumPy arrays → value, bound, limit (balls).
        options: default sizes and ranges.
        soften: a smooth stand-in for `measure` where the value counts errors.
    """

    statement: str
    draw: Callable[[Mapping[str, Any], int, Any], Batch]
    build: Callable[[Batch], Batch]
    measure: Callable[[Batch], Triple]
    enclose: Callable[[Mapping[str, Any]], Triple]
    options: Mapping[str, Any]
    soften: Callable[[Batch], Triple] | None = None
