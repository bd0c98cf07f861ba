"""The quantities that statements speak of, from their definitions and from closed forms, on exact or ball matrices.

`moments` reads features and uses only the definitions of section 1. `closed_form` reads the Gram matrix of the input
and uses T2. The two share nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Generic, TypeVar

from flint import arb, arb_mat, fmpq, fmpq_mat

from .balls import ball, ball_matrix, identity, root, trace
from .instances import averaging, diagonal, labels, within_projection

if TYPE_CHECKING:
    from flint.flint_base.flint_base import flint_mat

__all__ = ["ClosedForm", "Moments", "class_scatter", "closed_form", "cosines", "hidden_map", "moments"]

Matrix = fmpq_mat | arb_mat
Number = TypeVar("Number", fmpq, arb)


@dataclass(frozen=True, kw_only=True)
class Moments(Generic[Number]):
    """Class moments of features, by summing over samples."""

    means: list[list[Number]]
    mean: list[Number]
    within: Number
    between: Number
    counts: tuple[int, ...]

    @property
    def compression(self) -> Number:
        """C = tr Σ_W / tr Σ_B."""
        return self.within / self.between

    def inner(self, first: int, second: int) -> Number:
        """μ_kᵀμ_k'."""
        return sum((a * b for a, b in zip(self.means[first], self.means[second])), start=0 * self.within)

    def cosine(self, first: int, second: int) -> arb:
        """cos(μ_k, μ_k')."""
        norms = ball(self.inner(first, first)) * ball(self.inner(second, second))
        return ball(self.inner(first, second)) / norms.sqrt()

    def distance_square(self, first: int, second: int) -> Number:
        """‖μ_k - μ_k'‖²."""
        return sum(((a - b) * (a - b) for a, b in zip(self.means[first], self.means[second])), start=0 * self.within)

    @property
    def discrimination(self) -> arb:
        """D = 1 - max cos."""
        return 1 - largest([self.cosine(a, b) for a, b in combinations(range(len(self.counts)), 2)])


def largest(values: Sequence[arb]) -> arb:
    """An enclosure of the maximum."""
    best = values[0]
    for value in values[1:]:
        best = best.max(value)
    return best


def moments(features: flint_mat[Number], counts: Sequence[int]) -> Moments[Number]:
    """Class moments of Z (d × N, classes in blocks), sample weights, straight from the definitions."""
    rows = features.tolist()
    nothing = 0 * rows[0][0]
    samples = sum(counts)
    mean = [sum(row, start=nothing) / samples for row in rows]
    means: list[list[Number]] = []
    within = between = nothing
    start = 0
    for size in counts:
        block = [row[start : start + size] for row in rows]
        centre = [sum(row, start=nothing) / size for row in block]
        means.append(centre)
        within += sum(((entry - c) * (entry - c) for row, c in zip(block, centre) for entry in row), start=nothing)
        between += size * sum(((c - m) * (c - m) for c, m in zip(centre, mean)), start=nothing)
        start += size
    return Moments(means=means, mean=mean, within=within / samples, between=between / samples, counts=tuple(counts))


def class_scatter(features: fmpq_mat, counts: Sequence[int]) -> tuple[fmpq_mat, fmpq_mat]:
    """(Σ_W, Σ_B) as d × d matrices, from the definitions."""
    found = moments(features, counts)
    samples, size = sum(counts), features.nrows()
    within = fmpq_mat(size, size, [0] * size**2)
    between = fmpq_mat(size, size, [0] * size**2)
    start = 0
    for k, number in enumerate(counts):
        for i in range(start, start + number):
            gap = fmpq_mat(size, 1, [features[r, i] - found.means[k][r] for r in range(size)])
            within = within + gap * gap.transpose()
        shift = fmpq_mat(size, 1, [found.means[k][r] - found.mean[r] for r in range(size)])
        between = between + number * (shift * shift.transpose())
        start += number
    return within * fmpq(1, samples), between * fmpq(1, samples)


@dataclass(frozen=True, kw_only=True)
class ClosedForm:
    """T2 on a Gram matrix: H, Q_0 - H⁻¹ and the between-class form, all for the labels Y/α."""

    gram: fmpq_mat
    counts: tuple[int, ...]
    depth: int
    residual_scale: fmpq
    label_scale: fmpq
    h: fmpq_mat
    h_root: arb_mat
    residual: fmpq_mat

    def signal(self, layer: int) -> arb_mat:
        """The signal part H^{l/L-1}/α² of Q_l."""
        power = ball_matrix(self.h.inv())
        for _ in range(layer):
            power = power * self.h_root
        return power * ball(1 / self.label_scale**2)

    def means_gram(self, layer: int) -> arb_mat:
        """Q_l = H^{l/L-1}/α² + ε^{2l} (Q_0 - H⁻¹/α²)."""
        return self.signal(layer) + ball_matrix(self.residual * self.residual_scale ** (2 * layer))

    def within(self, layer: int) -> fmpq:
        """tr Σ_W^l = ε^{2l} tr(P_W G)/N."""
        samples = sum(self.counts)
        first = trace(within_projection(self.counts) * self.gram) / samples
        return first * self.residual_scale ** (2 * layer)

    def between(self, layer: int) -> arb:
        """tr Σ_B^l = Σ p_k (Q_l)_kk - pᵀ Q_l p."""
        return ball(trace(ball_matrix(self.weights) * self.means_gram(layer)))

    @property
    def weights(self) -> fmpq_mat:
        """diag(p) - ppᵀ."""
        samples = sum(self.counts)
        shares = [fmpq(n, samples) for n in self.counts]
        size = len(shares)
        outer = fmpq_mat(size, size, [a * b for a in shares for b in shares])
        return diagonal(shares) - outer

    def compression(self, layer: int) -> arb:
        """C_l."""
        return ball(self.within(layer)) / self.between(layer)


def closed_form(
    gram: fmpq_mat,
    counts: Sequence[int],
    *,
    depth: int,
    residual_scale: fmpq,
    label_scale: fmpq | None = None,
) -> ClosedForm:
    """Sets up T2 for an exact Gram matrix (invertible)."""
    label_scale = fmpq(1) if label_scale is None else label_scale
    y, ybar = labels(counts), averaging(counts)
    h = y * gram.inv() * y.transpose() * (1 / label_scale**2)
    residual = ybar * gram * ybar.transpose() - h.inv() * (1 / label_scale**2)
    return ClosedForm(
        gram=gram,
        counts=tuple(counts),
        depth=depth,
        residual_scale=residual_scale,
        label_scale=label_scale,
        h=h,
        h_root=root(h, depth),
        residual=residual,
    )


def cosines(means_gram: Matrix) -> list[arb]:
    """cos(μ_k, μ_k') for all pairs, from the Gram matrix of the means."""
    size = means_gram.nrows()
    return [
        ball(means_gram[a, b]) / (ball(means_gram[a, a]) * ball(means_gram[b, b])).sqrt()
        for a, b in combinations(range(size), 2)
    ]


def hidden_map(data: fmpq_mat, targets: fmpq_mat, depth: int, residual_scale: fmpq) -> tuple[arb_mat, arb_mat]:
    """Balls around W_l (l < L, all equal) and W_L of exact weights in square coordinates, for any data.

    W_l = (MᵀM)^{1/2L} + ε (I - M⁺M) and W_L = H^{1/2L - 1/2} M, with M = (Y/α) X⁺ of full row rank.
    """
    size = data.nrows()
    if data.ncols() <= size:
        inverse = (data.transpose() * data).inv() * data.transpose()
    else:
        inverse = data.transpose() * (data * data.transpose()).inv()
    m = targets * inverse
    h = m * m.transpose()
    half = root(h, 2 * depth)
    exact = ball_matrix(m)
    projector = m.transpose() * h.inv() * m
    hidden = exact.transpose() * half * ball_matrix(h.inv()) * exact
    hidden = hidden + ball_matrix((identity(size) - projector) * residual_scale)
    power = half
    for _ in range(depth - 1):
        power = power * half
    return hidden, half * power.inv() * exact
