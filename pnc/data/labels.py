"""Labels: 0…K-1 integers, from whatever a file held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from pnc.errors import InvalidInputError

__all__ = ["check_labels", "named_labels"]


def check_labels(
    y: Any, *, samples: int | None = None, classes: int | None = None
) -> tuple[Int[np.ndarray, " N"], tuple[str, ...]]:
    """Labels as (N,) int64 in 0…K-1, with notes on what was changed.

    Integer-like floats and truth values (0 and 1) are taken. Where `classes` is not stated, gaps are closed (labels
    0, 2, 5 become 0, 1, 2) with a note; where it is stated, every class must have a sample.

    Raises:
        InvalidInputError: not one label a sample, labels that are negative, not whole numbers or not finite,
            fewer than two classes, a stated class without a sample.

    >>> check_labels([0.0, 2.0, 2.0])
    (array([0, 1, 1]), ('labels [0, 2] were renumbered 0…1',))
    """
    try:
        y = np.asarray(y)
    except ValueError as error:  # rows of different lengths
        raise InvalidInputError(
            got=f"labels that are not an array ({error})",
            expected="one label a sample",
            next_step="encode the classes as integers",
        ) from error
    if y.ndim != 1 or (samples is not None and y.shape[0] != samples):
        raise InvalidInputError(
            got=f"labels of shape {y.shape}" + (f" for {samples} samples" if samples is not None else ""),
            expected=f"shape ({samples if samples is not None else 'N'},), one label a sample",
            next_step="check that X and y come from the same samples",
        )
    if y.dtype.kind == "b":
        y = y.astype(np.int64)
    if y.dtype.kind == "f" or y.dtype.name == "bfloat16":  # JAX's, a dtype that NumPy alone does not know
        y = y.astype(np.float64)  # float16 has no room for the bound below, from which on there is no int64 to become
        wrong = np.flatnonzero(~(np.isfinite(y) & (y == np.floor(y)) & (np.abs(y) < 2.0**63)))
        if wrong.size:
            raise InvalidInputError(
                got=f"label {y[wrong[0]]} at sample {wrong[0]}",
                expected="whole numbers 0…K-1",
                next_step="encode the classes as integers",
            )
    elif y.dtype.kind not in "iu":
        raise InvalidInputError(
            got=f"labels of dtype {y.dtype}",
            expected="whole numbers 0…K-1",
            next_step="encode the classes as integers",
        )
    y = y.astype(np.int64)
    if y.size and y.min() < 0:
        wrong = int(np.argmin(y))
        raise InvalidInputError(
            got=f"label {y[wrong]} at sample {wrong}",
            expected="whole numbers 0…K-1",
            next_step="drop unlabelled samples or encode the classes from 0",
        )
    present, renumbered = np.unique(y, return_inverse=True)
    if classes is not None:
        outside = present[present >= classes]
        if outside.size:
            raise InvalidInputError(
                got=f"label {outside[0]} with {classes} classes stated",
                expected=f"labels 0…{classes - 1}",
                next_step="state more classes or check the labels",
            )
        if present.size < classes:
            empty = np.setdiff1d(np.arange(classes), present)
            raise InvalidInputError(
                got=f"no sample in class {empty[0]} ({empty.size} of {classes} classes are empty)",
                expected="at least 1 sample in every stated class",
                next_step="state fewer classes or add samples",
            )
    if present.size < 2:
        raise InvalidInputError(
            got=f"{present.size} class{'es' if present.size != 1 else ''} in the labels",
            expected="at least 2 classes",
            next_step="give samples of at least two classes",
        )
    if present[-1] == present.size - 1:
        return y, ()
    shown = ", ".join(map(str, present[:6].tolist())) + (", …" if present.size > 6 else "")
    return renumbered.astype(np.int64), (f"labels [{shown}] were renumbered 0…{present.size - 1}",)


def named_labels(
    y: Any, names: Sequence[str] = (), *, samples: int | None = None, classes: int | None = None
) -> tuple[Int[np.ndarray, " N"], tuple[str, ...], tuple[str, ...]]:
    """Labels as `check_labels` gives them, the names of their classes, and notes.

    Args:
        y, samples, classes: as those of `check_labels`.
        names: of the labels 0, 1, … as they are given; `()`: the numbers themselves. Where gaps are closed, those of
            the classes that are there remain.

    Raises:
        InvalidInputError: as `check_labels`, fewer names than classes.

    >>> named_labels([1, 2, 2], ["cat", "dog", "fish"])[:2]
    (array([0, 1, 1]), ('dog', 'fish'))
    >>> named_labels([3, 5, 5])[1]
    ('3', '5')
    """
    checked, notes = check_labels(y, samples=samples, classes=classes)
    present = np.unique(np.asarray(y).astype(np.int64)).tolist() if notes else list(range(int(checked.max()) + 1))
    if not names:
        return checked, tuple(map(str, present)), notes
    if len(names) == len(present):  # of the classes that are there, as when labels were checked before
        return checked, tuple(names), notes
    if len(names) <= present[-1]:
        raise InvalidInputError(
            got=f"{len(names)} names for the labels up to {present[-1]}",
            expected="a name for every class",
            next_step="pass as many `class_names` as there are classes",
        )
    return checked, tuple(names[k] for k in present), notes
