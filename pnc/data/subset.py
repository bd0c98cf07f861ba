"""The first samples of every class: subsets that need no seed and are nested in each other."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from pnc.errors import InvalidInputError

__all__ = ["first_of_each_class"]


def first_of_each_class(y: Int[np.ndarray, " N"], samples_per_class: int | Sequence[int]) -> Int[np.ndarray, " kept"]:
    """Positions of the first n samples of every class, in the order of the data.

    Args:
        y: (N,) labels 0…K-1.
        samples_per_class: n, or one size a class.

    Raises:
        InvalidInputError: a size below 1 or above what a class holds, or not one size a class.

    >>> first_of_each_class(np.array([1, 0, 1, 1, 0]), 2).tolist()
    [0, 1, 2, 4]
    >>> first_of_each_class(np.array([1, 0, 1, 1, 0]), (1, 3)).tolist()
    [0, 1, 2, 3]
    """
    counts = np.bincount(y)
    sizes = _sizes(samples_per_class, counts.size)
    for label, (size, count) in enumerate(zip(sizes, counts.tolist())):
        if not 1 <= size <= count:
            raise InvalidInputError(
                got=f"samples_per_class = {size} for class {label}, which has {count} samples",
                expected=f"1 to {count}",
                next_step=f"pass `samples_per_class={counts.min()}` or fewer",
            )
    # a stable sort groups the classes and keeps the order within each
    grouped = np.argsort(y, kind="stable")
    starts = np.cumsum(counts) - counts
    return np.sort(np.concatenate([grouped[start : start + size] for start, size in zip(starts, sizes)]))


def _sizes(samples_per_class: int | Sequence[int], classes: int) -> tuple[int, ...]:
    try:
        if not isinstance(samples_per_class, Sequence):
            return (operator.index(samples_per_class),) * classes
        sizes = tuple(map(operator.index, samples_per_class))
    except TypeError:
        sizes = ()
    if len(sizes) != classes:
        raise InvalidInputError(
            got=f"samples_per_class = {samples_per_class!r} for {classes} classes",
            expected="a whole number, or one for every class",
            next_step="pass for instance `samples_per_class=100`",
        )
    return sizes
