"""Class moments in one pass over batches of features, mergeable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.centred_rows import centred_chunks
from pnc.measure.arrays import as_labels, as_matrix, first_nonfinite, zeros
from pnc.measure.quantities.class_pairs import closest_pair, discrimination_of_pair
from pnc.measure.quantities.scatter import ClassWeights, between_scatter, class_weights, compression

__all__ = ["ClassMoments"]

_LEAST_UNSHIFTED = 1024  # rows of a batch from which on it is worth the try
_UNSHIFTED_ENTRIES = 2**17  # 1 MiB of float64, which stays in the cache
_DIGITS_LOST = 1e3
_BLOCK_ENTRIES = 2**21  # of class means that are merged at a time


class ClassMoments:
    """Counts, means and within-class sums of squares of labelled features, from any number of batches.

    A batch is centred at what the class means were before it (or, for a class not seen yet, at its first
    sample), its sums are taken in float64, and the result is merged with Chan, Golub and LeVeque's update
    (1979): no square of a large mean is ever subtracted from another. The order of batches, and how they are
    cut, change rounding only.

    The whole state is three tensors of fixed shape (`state`), so that moments gathered from several processes
    can be merged.

    Args:
        classes: K, at least 2.
        dimension: d, entries of a flattened sample.
        device: where totals are kept and batches are worked on; it must offer float64.

    Raises:
        InvalidInputError: K < 2, d < 1, or a device without float64.

    >>> moments = ClassMoments(classes=2, dimension=1)
    >>> _ = moments.update([[0.0], [2.0]], [0, 0]).update([[4.0], [6.0]], [1, 1])
    >>> moments.compression(), moments.within_scatter(), moments.between_scatter()
    (0.25, 1.0, 4.0)
    """

    def __init__(self, *, classes: int, dimension: int, device: torch.device | str = "cpu") -> None:
        if classes < 2 or dimension < 1:
            raise InvalidInputError(
                got=f"{classes} classes of dimension {dimension}",
                expected="at least 2 classes and 1 dimension",
                next_step="give samples of at least two classes",
            )
        device = torch.device(device)
        if device.type == "mps":
            raise InvalidInputError(
                got="device mps, which has no float64",
                expected="a device with float64",
                next_step="pass device='cpu'",
            )
        self.counts: Int[torch.Tensor, " K"] = torch.zeros(classes, dtype=torch.int64, device=device)
        self.means: Float[torch.Tensor, "K d"] = zeros(classes, dimension, dtype=torch.float64, device=device)
        self.squares: Float[torch.Tensor, " K"] = torch.zeros(classes, dtype=torch.float64, device=device)
        self._centres = False  # whether a batch showed that sums of squares would cost digits
        # what takes a look at all class means is kept until these change
        self._closest: tuple[torch.Tensor, int, torch.Tensor] | None = None
        self._scatter: tuple[torch.Tensor, int, int, ClassWeights, float] | None = None

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return self.means.shape[0]

    @property
    def dimension(self) -> int:
        """d, entries of a sample."""
        return self.means.shape[1]

    @property
    def samples(self) -> int:
        """N, samples so far."""
        return int(self.counts.sum())

    @property
    def device(self) -> torch.device:
        """Where the totals are kept."""
        return self.means.device

    @torch.no_grad()
    def update(self, features: Any, labels: Any, *, name: str = "features", first_sample: int = 0) -> ClassMoments:
        """Add a batch; nothing is added where an exception is raised.

        Args:
            features: (N, …) NumPy array or torch tensor, flattened to (N, d); any float dtype, or whole
                numbers.
            labels: (N,) whole numbers 0…K-1.
            name: what to call the features in an error.
            first_sample: index of the first row in an error.

        Raises:
            InvalidInputError: shapes or labels that do not fit, entries that are NaN, infinite, or too large
                to square.
        """
        x = as_matrix(features, device=self.device)
        if x.shape[1] != self.dimension:
            raise InvalidInputError(
                got=f"{name} of dimension {x.shape[1]}",
                expected=f"dimension {self.dimension}, as before",
                next_step="measure each layer with moments of its own",
            )
        y = as_labels(labels, samples=x.shape[0], classes=self.classes, device=self.device)
        if self._add_unshifted(x, y):
            return self
        # only classes that the batch holds: a small batch of many classes then costs what it holds
        present, local, counts = torch.unique(y, return_inverse=True, return_counts=True)
        order = torch.argsort(local, stable=True)
        before = self.counts[present]
        first = x[order[counts.cumsum(0) - counts]].to(torch.float64)
        shifts = torch.where((before > 0)[:, None], self.means[present], first)
        sums = torch.zeros_like(shifts)
        squares = torch.zeros(present.numel(), dtype=torch.float64, device=self.device)
        ones = sums.new_ones(x.shape[0])
        for k, t in centred_chunks(x, order, counts, shifts):
            if isinstance(k, int):
                flat = t.reshape(-1)
                squares[k] += torch.dot(flat, flat)
                sums[k].addmv_(t.mT, ones[: t.shape[0]])
            else:
                squares.index_add_(0, k, torch.linalg.vecdot(t, t))
                sums.index_add_(0, k, t)
        if not torch.isfinite(squares).all():
            self._explain_nonfinite(x, name, first_sample)
        n, m = before.to(torch.float64), counts.to(torch.float64)
        delta = sums / m[:, None]
        # Chan's n m/(n+m) ‖δ‖² less the m ‖δ‖² by which squares about the shift exceed squares about the mean
        squares -= m**2 / (n + m) * torch.linalg.vecdot(delta, delta)
        self.squares.index_add_(0, present, squares.clamp_(min=0))
        self.means[present] = shifts + delta * (m / (n + m))[:, None]
        self.counts.index_add_(0, present, counts)
        return self

    def _add_unshifted(self, x: torch.Tensor, y: torch.Tensor) -> bool:
        """Add a batch of narrow features by sums of them and of their squares in float64, where that costs no digits.

        Each square of such a number is exact in float64, or nearly so, and Σ‖z‖² - ‖Σz‖²/n loses the digits by which it
        is smaller than Σ‖z‖²: three at most, or the batch is centred first. The rows are read once, in their order.
        """
        if x.dtype == torch.float64 or x.device.type != "cpu" or x.shape[0] < _LEAST_UNSHIFTED:
            return False
        if self._centres:
            return False
        present, local, counts = torch.unique(y, return_inverse=True, return_counts=True)
        sums = zeros(present.numel(), self.dimension, dtype=torch.float64)
        squares = torch.zeros(present.numel(), dtype=torch.float64)
        rows = min(x.shape[0], max(16, _UNSHIFTED_ENTRIES // self.dimension))
        wide = torch.empty((rows, self.dimension), dtype=torch.float64)
        for start in range(0, x.shape[0], rows):
            k = local[start : start + rows]
            t = wide[: k.numel()].copy_(x[start : start + rows])
            squares.index_add_(0, k, torch.linalg.vector_norm(t, dim=1).square_())
            sums.index_add_(0, k, t)
        means = sums.div_(counts.to(torch.float64)[:, None])
        within = squares - counts * torch.linalg.vector_norm(means, dim=1).square_()
        one = counts == 1
        if not bool(torch.isfinite(squares).all()):
            return False  # what is wrong is said there
        if not bool(((squares <= _DIGITS_LOST * within) | one).all()):
            self._centres = True
            return False
        self.merge_classes(present, counts, means, torch.where(one, 0, within))
        return True

    @staticmethod
    def _explain_nonfinite(x: torch.Tensor, name: str, first_sample: int) -> None:
        position = first_nonfinite(x)
        if position is None:
            raise InvalidInputError(
                got=f"{name} up to {x.abs().max().item():.3g}, whose squares overflow float64",
                expected="features whose squares are finite",
                next_step="scale the features; compression and discrimination do not change",
            )
        row, column = position
        raise InvalidInputError(
            got=f"{name}: sample {first_sample + row}, entry {column} is {x[row, column].item()}",
            expected="finite numbers",
            next_step="remove these samples, or look for the layer that diverged",
        )

    @torch.no_grad()
    def merge(self, other: ClassMoments) -> ClassMoments:
        """Add what another accumulator has seen; either may be empty, or lack some of the classes.

        Raises:
            InvalidInputError: another number of classes or another dimension.

        >>> first = ClassMoments(classes=2, dimension=1).update([[0.0], [4.0]], [0, 1])
        >>> second = ClassMoments(classes=2, dimension=1).update([[2.0], [6.0]], [0, 1])
        >>> first.merge(second).within_scatter()
        1.0
        """
        if other.means.shape != self.means.shape:
            raise InvalidInputError(
                got=f"moments of {other.classes} classes in dimension {other.dimension}",
                expected=f"{self.classes} classes in dimension {self.dimension}",
                next_step="merge moments of the same layer and labels only",
            )
        n, m = self.counts.to(torch.float64), other.counts.to(self.device, torch.float64)
        share = torch.where(m > 0, m / (n + m), 0)
        added = torch.zeros_like(self.squares)
        # a block after another, in place: K × d numbers more would be as much as all that is kept
        for rows, columns in _blocks(self.classes, self.dimension):
            mine = self.means[rows, columns]
            theirs = other.means[rows, columns].to(self.device)
            delta = theirs - mine
            added[rows] += torch.linalg.vecdot(delta, delta)
            # an empty side takes the other's mean as it is, not to rounding
            mine.copy_(torch.where((n[rows] == 0)[:, None], theirs, mine + delta * share[rows, None]))
        self.squares += other.squares.to(self.device) + n * share * added
        self.counts = self.counts + other.counts.to(self.device)
        return self

    @torch.no_grad()
    def merge_classes(
        self,
        present: Int[torch.Tensor, " P"],
        counts: Int[torch.Tensor, " P"],
        means: Float[torch.Tensor, "P d"],
        squares: Float[torch.Tensor, " P"],
    ) -> ClassMoments:
        """Add the moments of some of the classes, each of which has a sample; the others are not touched.

        >>> moments = ClassMoments(classes=3, dimension=1).update([[0.0], [4.0]], [0, 1])
        >>> one = torch.tensor([2]), torch.tensor([1]), torch.tensor([[6.0]]), torch.zeros(1)
        >>> moments.merge_classes(*one).counts.tolist()
        [1, 1, 1]
        """
        for rows, columns in _blocks(present.numel(), self.dimension):
            k = present[rows]
            n, m = self.counts[k].to(torch.float64), counts[rows].to(torch.float64)
            share = m / (n + m)
            target = self.means[:, columns]
            # the mean of a class without samples is zero, so that its share of 1 makes the other's of it
            delta = means[rows, columns].to(torch.float64) - target.index_select(0, k)
            self.squares.index_add_(0, k, n * share * torch.linalg.vector_norm(delta, dim=1).square_())
            target.index_add_(0, k, delta.mul_(share[:, None]))
        self.squares.index_add_(0, present, squares.to(torch.float64))
        self.counts.index_add_(0, present, counts)
        return self

    def present(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Classes that have samples, with their counts, means and squares: what `merge_classes` takes."""
        classes = torch.nonzero(self.counts)[:, 0]
        return classes, self.counts[classes], self.means[classes], self.squares[classes]

    def state(self) -> dict[str, torch.Tensor]:
        """Copies of `counts` (K,), `means` (K, d) and `squares` (K,), within-class sums of squares."""
        return {name: getattr(self, name).clone() for name in ("counts", "means", "squares")}

    @classmethod
    def from_state(cls, state: Mapping[str, torch.Tensor]) -> ClassMoments:
        """The inverse of `state`.

        Raises:
            InvalidInputError: a tensor is missing, or their shapes do not fit together.

        >>> moments = ClassMoments(classes=2, dimension=1).update([[0.0], [4.0]], [0, 1])
        >>> ClassMoments.from_state(moments.state()).between_scatter()
        4.0
        """
        shapes = {name: tuple(state[name].shape) for name in ("counts", "means", "squares") if name in state}
        classes, dimension = (*shapes.get("means", ()), 0, 0)[:2]
        if shapes != {"counts": (classes,), "means": (classes, dimension), "squares": (classes,)}:
            raise InvalidInputError(
                got=f"a state of shapes {shapes}",
                expected="counts (K,), means (K, d), squares (K,)",
                next_step="pass what ClassMoments.state() returned",
            )
        moments = cls(classes=classes, dimension=dimension, device=state["means"].device)
        moments.counts = state["counts"].to(torch.int64).clone()
        moments.means = state["means"].to(torch.float64).clone()
        moments.squares = state["squares"].to(torch.float64).clone()
        return moments

    def class_means(self) -> Float[np.ndarray, "K d"]:
        """μ_k as a NumPy array; zero for a class without samples."""
        return self.means.cpu().numpy().copy()

    def within_scatter(self) -> float:
        """tr Σ_W = (1/N) Σ_k Σ_{i∈k} ‖z_i - μ_k‖² (theory note, section 1); squared feature norm.

        NaN without samples.
        """
        return float(self.squares.sum() / self.counts.sum())

    def between_scatter(self, weights: ClassWeights = "samples") -> float:
        """tr Σ_B = Σ_k p_k ‖μ_k - μ‖² (theory note, section 1); squared feature norm.

        p_k = n_k/N or, for `classes`, 1/K. NaN without samples, and for `classes` where a class has none.
        """
        key = (self.means, self.means._version, self.counts._version, weights)
        if self._scatter is not None and self._scatter[0] is key[0] and self._scatter[1:4] == key[1:]:
            return self._scatter[4]
        p = class_weights(self.counts, weights)
        if weights == "classes" and bool((self.counts == 0).any()):
            return float("nan")
        value = float(between_scatter(self.means, p))
        self._scatter = (*key, value)
        return value

    def compression(self, weights: ClassWeights = "samples") -> float:
        """C = tr Σ_W / tr Σ_B (theory note, section 1), dimensionless; NaN where the class means coincide."""
        as_tensor = self.means.new_tensor
        within, between = as_tensor(self.within_scatter()), as_tensor(self.between_scatter(weights))
        return float(compression(within, between, self.means))

    def discrimination(self) -> float:
        """D = 1 - max_{k≠k'} cos(μ_k, μ_k') (theory note, section 1), dimensionless.

        NaN where a mean is zero.
        """
        spread = torch.sqrt(self.squares / self.counts.clamp(min=1))
        return float(discrimination_of_pair(self.means, self.closest_pair(), spread))

    def closest_pair(self) -> Int[torch.Tensor, " 2"]:
        """The two classes whose means have the largest cosine: of many classes it takes a product of all pairs."""
        key = (self.means, self.means._version)
        if self._closest is None or self._closest[0] is not key[0] or self._closest[1] != key[1]:
            self._closest = (*key, closest_pair(self.means))
        return self._closest[2]


def _blocks(classes: int, dimension: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of a (K, d) matrix that are worked on together."""
    rows, columns = max(1, _BLOCK_ENTRIES // dimension), min(dimension, _BLOCK_ENTRIES)
    for row in range(0, classes, rows):
        for column in range(0, dimension, columns):
            yield slice(row, row + rows), slice(column, column + columns)
