"""Labelled inputs that are not in memory whole: read in blocks of rows, or known by their Gram matrix alone.

The theory asks little of the inputs: scatters, class means, what a linear map can tell. Both kinds hold that much, and
`Inputs` is what the theory's functions take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pnc.data.labels import check_labels
from pnc.data.problem import Problem
from pnc.errors import InvalidInputError
from pnc.fields import NOT_GIVEN, FilledIn

__all__ = ["GramProblem", "Inputs", "StreamedProblem"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Labelled:
    y: Int[np.ndarray, " N"]
    dimension: int
    classes: FilledIn[int] = NOT_GIVEN
    name: str = "problem"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        y, notes = check_labels(self.y, classes=self.classes)
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "classes", int(y.max()) + 1)
        object.__setattr__(self, "notes", (*self.notes, *notes))
        object.__setattr__(self, "provenance", dict(self.provenance))
        y.setflags(write=False)

    @property
    def samples(self) -> int:
        """N, the number of samples."""
        return self.y.size

    @cached_property
    def counts(self) -> Int[np.ndarray, " K"]:
        """Class sizes n_1, …, n_K."""
        return np.bincount(self.y, minlength=self.classes or 0)

    @property
    def balanced(self) -> bool:
        """Whether every class has as many samples as the others."""
        return bool(np.all(self.counts == self.counts[0]))


@dataclass(frozen=True, kw_only=True, eq=False)
class StreamedProblem(_Labelled):
    """Inputs and labels of which the inputs are read again, a block of rows at a time, whenever they are asked for.

    Args:
        y: (N,) labels, as those of a `Problem`.
        dimension: d.
        read: number of rows → the rows of X in order, so many at a time, real numbers of any dtype.
        classes, name, provenance, notes: as those of a `Problem`.

    Raises:
        InvalidInputError: labels that do not fit; on reading, entries that are NaN or infinite.

    >>> X = np.arange(12.0).reshape(4, 3)
    >>> problem = StreamedProblem(y=[0, 0, 1, 1], dimension=3, read=lambda rows: iter([X[:2], X[2:]]))
    >>> [block.shape for _, block in problem.blocks(2)]
    [(2, 3), (2, 3)]
    """

    read: Callable[[int], Iterator[np.ndarray]]

    def blocks(self, rows: int) -> Iterator[tuple[slice, Float[np.ndarray, "rows d"]]]:
        """All rows in order, at most so many at a time, as float64, and where they stand."""
        start = 0
        for block in self.read(rows):
            block = np.asarray(block, dtype=np.float64)
            with np.errstate(over="ignore", invalid="ignore"):
                suspicious = not np.isfinite(block.sum())
            if suspicious and not np.isfinite(block).all():
                i, j = np.argwhere(~np.isfinite(block))[0].tolist()
                raise InvalidInputError(
                    got=f"X[{start + i}, {j}] = {block[i, j]}",
                    expected="finite numbers",
                    next_step="remove or impute these samples",
                )
            yield slice(start, start + len(block)), block
            start += len(block)


@dataclass(frozen=True, kw_only=True, eq=False)
class GramProblem(_Labelled):
    """Labels and the Gram matrix G = X Xᵀ of inputs that were never made.

    Compression, discrimination and bounds of every layer depend on the inputs through G alone (theory note, T1, T2).
    G has to be invertible, which is for whoever makes it to see to.

    Args:
        gram: (N, N), symmetric and positive definite, squared feature norm; `None`: the identity, which is not stored.
        dimension: d of the inputs, N or more.
        y, classes, name, provenance, notes: as those of a `Problem`.

    Raises:
        InvalidInputError: labels that do not fit, a matrix of another shape, a dimension below N.

    >>> GramProblem(gram=None, dimension=6, y=[0, 0, 1, 1]).samples
    4
    """

    gram: Float[np.ndarray, "N N"] | None

    def __post_init__(self) -> None:
        super().__post_init__()
        N = self.samples
        if (self.gram is not None and self.gram.shape != (N, N)) or self.dimension < N:
            shape = "none" if self.gram is None else self.gram.shape
            raise InvalidInputError(
                got=f"a Gram matrix of shape {shape} and dimension {self.dimension} for {N} samples",
                expected=f"shape ({N}, {N}) and a dimension of {N} or more",
                next_step="check that it belongs to these samples",
            )


Inputs = Problem | StreamedProblem | GramProblem
"""What the theory's functions take; those that need the inputs themselves take a `Problem`."""
