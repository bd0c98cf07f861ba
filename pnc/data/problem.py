"""`Problem`: labelled samples, checked once; everything downstream relies on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int, Real

from pnc.data.labels import named_labels
from pnc.errors import InvalidInputError
from pnc.fields import NOT_GIVEN, FilledIn

__all__ = ["Problem"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Inputs and labels of a classification problem.

    Args:
        X: (N, d) inputs, one row a sample; kept as float64.
        y: (N,) labels 0…K-1; gaps are closed with a note, integer-like floats are taken.
        classes: K where it is stated; every class must then have a sample.
        class_names: K names, in the order of the labels; `()`: the labels as numbers.
        name: what to call it in tables.
        provenance: how it was drawn or read (kind, seed, file, preprocessing).
        notes: what was done to the input on the way that a user should know.

    Raises:
        InvalidInputError: X not (N, d), NaN or infinite entries, labels that do not fit, fewer than 2
            classes.

    >>> problem = Problem(X=np.eye(4), y=[0, 0, 1, 1])
    >>> problem.classes, problem.counts.tolist()
    (2, [2, 2])
    """

    X: Real[np.ndarray, "N d"]
    y: Int[np.ndarray, " N"]
    classes: FilledIn[int] = NOT_GIVEN
    class_names: tuple[str, ...] = ()
    name: str = "problem"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            X = np.asarray(self.X)
        except ValueError as error:  # rows of different lengths
            raise InvalidInputError(
                got=f"X that is not an array ({error})",
                expected="shape (N, d), one row a sample",
                next_step="give every sample the same number of features",
            ) from error
        if X.ndim != 2 or 0 in X.shape:
            raise InvalidInputError(
                got=f"X of shape {X.shape}",
                expected="shape (N, d), one row a sample",
                next_step="reshape X to two dimensions, neither of them empty",
            )
        if X.dtype.kind not in "fiu":
            raise InvalidInputError(
                got=f"X of dtype {X.dtype}",
                expected="real numbers",
                next_step="convert X to float64",
            )
        X = X.astype(np.float64)
        # one pass over the sum finds trouble; the position is looked for only when there is some
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = not np.isfinite(X.sum())
        if suspicious and not np.isfinite(X).all():
            i, j = np.argwhere(~np.isfinite(X))[0].tolist()
            raise InvalidInputError(
                got=f"X[{i}, {j}] = {X[i, j]} ({np.count_nonzero(~np.isfinite(X))} such entries)",
                expected="finite numbers",
                next_step="remove or impute these samples",
            )
        y, names, notes = named_labels(self.y, self.class_names, samples=X.shape[0], classes=self.classes)
        object.__setattr__(self, "class_names", names)
        object.__setattr__(self, "X", X)
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "classes", int(y.max()) + 1)
        object.__setattr__(self, "notes", (*self.notes, *notes))
        object.__setattr__(self, "provenance", dict(self.provenance))
        for array in (self.X, self.y):
            array.setflags(write=False)

    def blocks(self, rows: int) -> Iterator[tuple[slice, Real[np.ndarray, "rows d"]]]:
        """All rows of X in order, at most so many at a time, and where they stand; views."""
        for start in range(0, self.samples, rows):
            part = slice(start, min(start + rows, self.samples))
            yield part, self.X[part]

    @property
    def samples(self) -> int:
        """N, the number of samples."""
        return self.X.shape[0]

    @property
    def dimension(self) -> int:
        """d, the input dimension."""
        return self.X.shape[1]

    @cached_property
    def counts(self) -> Int[np.ndarray, " K"]:
        """Class sizes n_1, …, n_K."""
        return np.bincount(self.y, minlength=self.classes)

    @property
    def balanced(self) -> bool:
        """Whether every class has as many samples as the others."""
        return bool(np.all(self.counts == self.counts[0]))
