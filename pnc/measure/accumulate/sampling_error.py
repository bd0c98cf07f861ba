"""Standard errors of C_l and D_l from sampling: what other samples of the same classes would have made of them."""

from __future__ import annotations

from copy import copy
from typing import Any

import torch

from pnc.measure.accumulate.deviations import deviations, require_complete
from pnc.measure.accumulate.moments import ClassMoments

__all__ = ["SamplingErrorPass"]


class SamplingErrorPass:
    """Standard errors of C and D by the delta method, from a second look at all of the samples or some.

    The samples of a class are taken as independent draws, class sizes and the network as given. A small change of the
    class means δμ_k and of the spreads moves the two numbers (theory note, section 1) by

        δC = Σ_k p_k mean_{i∈k} φ_i,   φ_i = (‖t_i‖² - 2 C t_i·(μ_k - μ)) / tr Σ_B,   t_i = z_i - μ_k
        δD = -(û_b - c û_a)·δμ_a/‖μ_a‖ - (û_a - c û_b)·δμ_b/‖μ_b‖,   c = cos(μ_a, μ_b) = û_a·û_b

    with (a, b) the pair of classes whose cosine is the largest. Both are sums of means over the samples of a class, so
    that their variances are Σ_k p_k² Var_k(φ)/n_k and Σ_{k∈{a,b}} Var_k(h_k·t)/n_k. To first order in 1/n; where
    another pair of classes comes as near as (a, b), D errs to one side by more than this says. On the samples that a
    network was trained on they tell the scatter at this network, not what training on other samples would give.

    Variances within a class can be estimated from some of its samples: O(K d) numbers are kept, and no d × d matrix.
    Mergeable.

    Args:
        moments: of all samples, complete.

    Raises:
        InvalidInputError: moments with a class that has no sample.

    >>> x, y = [[0.0], [2.0], [4.0], [6.0]], [0, 0, 1, 1]
    >>> moments = ClassMoments(classes=2, dimension=1).update(x, y)
    >>> SamplingErrorPass(moments).update(x, y).compression()  # φ is 0, 1/2, 1/2, 0: sqrt(2 (1/2)² (1/8)/2)
    0.176...
    """

    def __init__(self, moments: ClassMoments) -> None:
        require_complete(moments)
        self._moments = moments
        counts = moments.counts.to(torch.float64)
        self._counts, self._shares = counts, counts / counts.sum()
        self._mean = self._shares @ moments.means
        self._between = moments.between_scatter()
        self._ratio = moments.compression()
        self._pair = moments.closest_pair()
        self._towards = _gradient(moments.means, self._pair)
        self._place = torch.zeros_like(moments.counts)  # row of `_towards`, 0 where D does not depend on the class
        self._place[self._pair] = torch.arange(1, 3, device=counts.device)
        # about the class's own mean of ‖t‖², so that nothing cancels; rows: φ, h·t
        self._centre = moments.squares / counts
        self._seen = torch.zeros_like(counts)
        self._sums = counts.new_zeros((2, counts.numel()))
        self._squares = torch.zeros_like(self._sums)

    @torch.no_grad()
    def update(self, features: Any, labels: Any) -> SamplingErrorPass:
        """Add a batch of the features that the moments were taken of: (N, …), flattened, and (N,) labels.

        Raises:
            InvalidInputError: shapes or labels that do not fit.
        """
        y, chunks = deviations(self._moments, features, labels)
        sums, squares = torch.zeros_like(self._sums), torch.zeros_like(self._squares)
        for k, t in chunks:
            outward, towards = self._moments.means[k] - self._mean, self._towards[self._place[k]]
            along = torch.stack([torch.linalg.vecdot(t, direction) for direction in (outward, towards)])
            k = k.expand(t.shape[0])
            along[0].mul_(-2 * self._ratio).add_(torch.linalg.vecdot(t, t) - self._centre[k])
            sums.index_add_(1, k, along)
            squares.index_add_(1, k, along.square())
        self._sums += sums
        self._squares += squares
        self._seen += torch.bincount(y, minlength=self._seen.numel())
        return self

    def totals(self) -> torch.Tensor:
        """(5, K) sums of the samples seen so far: what several processes add up (see `with_totals`)."""
        return torch.cat([self._seen[None], self._sums, self._squares])

    def empty(self) -> SamplingErrorPass:
        """The same pass, which has seen nothing."""
        return copy(self).with_totals(torch.zeros_like(self.totals()))

    def with_totals(self, totals: torch.Tensor) -> SamplingErrorPass:
        """These moments with the sums of all processes."""
        self._seen = totals[0].clone()
        self._sums, self._squares = totals[1:3].clone(), totals[3:].clone()
        return self

    @property
    def samples(self) -> int:
        """How many were looked at."""
        return int(self._seen.sum())

    def _variances(self, row: int) -> torch.Tensor:
        """Of φ tr Σ_B (0) or h·t (1) within each class, (K,); NaN for a class with fewer than two samples."""
        mean = self._sums[row] / self._seen
        left = self._squares[row] - self._sums[row] * mean
        return torch.where(self._seen > 1, left.clamp(min=0) / (self._seen - 1), torch.nan)

    def compression(self) -> float:
        """Standard error of C; NaN where C is, or where a class has fewer than two samples."""
        variance = (self._shares.square() * self._variances(0) / self._counts).sum()
        return float(variance.sqrt() / self._between) if self._ratio == self._ratio else float("nan")

    def compression_bias(self) -> float:
        """By how much C of so few samples differs from C of very many on average: below 0, of order K/N relative.

        With s_k = Σ_{i∈k} ‖t_i‖²/(n_k - 1), tr Σ_W of very many is Σ_k p_k s_k, and tr Σ_B is what is measured less
        Σ_k p_k (1 - p_k) s_k/n_k, the scatter of the means. NaN where C is, where a class has one sample, or where no
        tr Σ_B is left.
        """
        spread = self._moments.squares / (self._counts - 1)
        within = float((self._shares * spread).sum())
        between = self._between - float((self._shares * (1 - self._shares) * spread / self._counts).sum())
        return self._ratio - within / between if between > 0 else float("nan")

    def discrimination(self) -> float:
        """Standard error of D; NaN where D is, or where one of the two classes has fewer than two samples."""
        if self._moments.discrimination() != self._moments.discrimination():
            return float("nan")
        return float((self._variances(1) / self._counts)[self._pair].sum().sqrt())


def _gradient(means: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
    """(3, d) zero, ∂D/∂μ_a, ∂D/∂μ_b, with (a, b) the pair of classes whose cosine is the largest."""
    means = means[pair]
    norms = torch.linalg.vector_norm(means, dim=1)
    units = means / torch.where(norms == 0, 1, norms)[:, None]
    gradient = means.new_zeros((3, means.shape[1]))
    # û_b - c û_a as the part of û_b - û_a across û_a: nearly parallel means keep their digits
    for row, (one, other) in enumerate(((0, 1), (1, 0)), 1):
        gap = units[other] - units[one]
        across = gap - (gap @ units[one]) * units[one]
        gradient[row] = -across / torch.where(norms[one] == 0, 1, norms[one])
    return gradient
