"""Separation fuzziness tr(Σ_W Σ_B⁺): a second pass over the features, without any d × d matrix."""

from __future__ import annotations

from copy import copy
from typing import Any

import torch
from jaxtyping import Float, Int

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.deviations import deviations, require_complete
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.arrays import as_labels, as_matrix
from pnc.measure.quantities.scatter import between_factor, class_weights

__all__ = ["FuzzinessPass", "between_whitening"]

_LEAST_UNSHIFTED = 1024  # rows of a batch
_UNSHIFTED_ENTRIES = 2**17  # 1 MiB of float64, which stays in the cache
_DIGITS_LOST = 1e3


def between_whitening(
    means: Float[torch.Tensor, "*batch K d"],
    counts: Int[torch.Tensor, " K"],
    within: Float[torch.Tensor, "*batch"],
    *,
    rounding: float,
) -> tuple[Float[torch.Tensor, "*batch r d"], Int[torch.Tensor, "*batch"]]:
    """T = R⁺B (up to a rotation), so that Σ_B⁺ = TᵀT, and its rank (theory note, T4).

    With B = U S Vᵀ the factor of Σ_B, R = BBᵀ and R⁺B = U S⁺Vᵀ; the rotation U changes no norm and is left
    out. A singular value counts as zero, and its row of T is zero, where it is at most what rounding can have
    made of zero:

        max(K, d) u S_1 + 8u max_k ‖μ_k‖ + u' sqrt((max_k ‖μ_k‖² + tr Σ_W) K/N)

    (the decomposition, the means in float64, u' rounding of the features averaged over a class). At most K-1
    count.

    Args:
        means: (…, K, d) class means, float64.
        counts: (K,) samples of each class.
        within: (…) tr Σ_W.
        rounding: u', the unit of rounding of the features.

    >>> T, rank = between_whitening(torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64),
    ...                             torch.tensor([5, 5]), torch.tensor(0.1), rounding=2.2e-16)
    >>> T.abs().round(decimals=12).tolist(), rank.item()
    ([[1.0, 0.0]], 1)
    """
    classes, dimension = means.shape[-2:]
    unit = torch.finfo(torch.float64).eps
    _, singular, rows = torch.linalg.svd(between_factor(means, class_weights(counts)), full_matrices=False)
    singular, rows = singular[..., : classes - 1], rows[..., : classes - 1, :]
    largest = means.square().sum(-1).amax(-1)
    features = torch.sqrt((largest + within) * classes / counts.sum())
    tolerance = unit * (max(classes, dimension) * singular[..., 0] + 8 * largest.sqrt()) + rounding * features
    counted = singular > tolerance[..., None]
    inverse = torch.where(counted, 1 / torch.where(counted, singular, 1), 0)
    return inverse[..., None] * rows, counted.sum(-1)


class FuzzinessPass:
    """tr(Σ_W Σ_B⁺) = (1/N) Σ_i ‖R⁺B(z_i - μ_{y_i})‖² (theory note, T4), accumulated over batches.

    Needs the moments of the same features first; keeps O(K d) numbers. Mergeable.

    Args:
        moments: of all samples, complete.
        rounding: unit of rounding of the features' dtype, such as `numpy.finfo(dtype).eps`; it decides which
            directions between class means are more than rounding.

    Raises:
        InvalidInputError: moments without samples, or with a class that has none.

    >>> x, y = [[0.0], [2.0], [4.0], [6.0]], [0, 0, 1, 1]
    >>> moments = ClassMoments(classes=2, dimension=1).update(x, y)
    >>> round(FuzzinessPass(moments).update(x, y).value(), 12)
    0.25
    """

    def __init__(self, moments: ClassMoments, *, rounding: float = torch.finfo(torch.float64).eps) -> None:
        require_complete(moments)
        self._moments = moments
        within = moments.means.new_tensor(moments.within_scatter())
        whitening, rank = between_whitening(moments.means, moments.counts, within, rounding=rounding)
        self.rank = int(rank)  # of Σ_B, at most K-1
        self._whitening = whitening[: self.rank]
        self._samples = 0
        self._total = torch.zeros((), dtype=torch.float64, device=moments.device)
        # where class means are not much larger than the deviations, rows are centred after the projection, not before
        larger = moments.counts * torch.linalg.vector_norm(moments.means, dim=1).square_()
        near = bool((larger <= _DIGITS_LOST * moments.squares).all())
        self._projected = moments.means @ self._whitening.mT if near and moments.device.type == "cpu" else None

    def _unshifted(self, features: Any, labels: Any) -> tuple[torch.Tensor, int] | None:
        """Σ ‖R⁺B z_i - R⁺B μ_{y_i}‖² of a batch and its samples; `None` of few samples, or features in float64."""
        x = as_matrix(features, device=self._moments.device)
        if (
            self._projected is None
            or x.dtype == torch.float64
            or x.shape[0] < _LEAST_UNSHIFTED
            or x.shape[1] != self._moments.dimension
        ):
            return None
        y = as_labels(labels, samples=x.shape[0], classes=self._moments.classes, device="cpu")
        total = torch.zeros_like(self._total)
        rows = max(16, _UNSHIFTED_ENTRIES // x.shape[1])
        for start in range(0, x.shape[0], rows):
            t = x[start : start + rows].to(torch.float64) @ self._whitening.mT
            flat = t.sub_(self._projected[y[start : start + rows]]).reshape(-1)
            total += torch.dot(flat, flat)
        return total, x.shape[0]

    @torch.no_grad()
    def update(self, features: Any, labels: Any) -> FuzzinessPass:
        """Add a batch of the features that the moments were taken of: (N, …), flattened, and (N,) labels.

        Raises:
            InvalidInputError: shapes or labels that do not fit.
        """
        if self._projected is not None and (found := self._unshifted(features, labels)) is not None:
            self._total += found[0]
            self._samples += found[1]
            return self
        y, chunks = deviations(self._moments, features, labels)
        total = torch.zeros_like(self._total)  # a batch that fails half way leaves nothing behind
        for _, t in chunks:
            projected = (t @ self._whitening.mT).reshape(-1)
            total += torch.dot(projected, projected)
        self._total += total
        self._samples += y.numel()
        return self

    def empty(self) -> FuzzinessPass:
        """The same pass, which has seen nothing."""
        other = copy(self)
        other._samples, other._total = 0, torch.zeros_like(self._total)
        return other

    def add(self, total: float, samples: int) -> FuzzinessPass:
        """Add the `total` of another pass with the same moments, and how many samples it has seen."""
        self._total += total
        self._samples += samples
        return self

    def merge(self, other: FuzzinessPass) -> FuzzinessPass:
        """Add what another pass with the same moments has seen."""
        self._samples += other._samples
        self._total += other._total.to(self._total.device)
        return self

    def total(self) -> float:
        """Σ_i ‖R⁺B(z_i - μ_{y_i})‖² of the samples seen so far: what several processes add up."""
        return float(self._total)

    def value(self) -> float:
        """tr(Σ_W Σ_B⁺), dimensionless; NaN where the class means coincide.

        Raises:
            InvalidInputError: the pass has not seen as many samples as the moments.
        """
        if self._samples != self._moments.samples:
            raise InvalidInputError(
                got=f"{self._samples} samples in the second pass",
                expected=f"{self._moments.samples}, as in the first",
                next_step="pass every batch once",
            )
        return float(self._total / self._samples) if self.rank else float("nan")
