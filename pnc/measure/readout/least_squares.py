"""Least squares with the penalty that predicts best, every sample in turn left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float

from pnc.errors import InvalidInputError
from pnc.measure.arrays import as_matrix

__all__ = ["LinearMap", "fit_linear_map"]

_PENALTIES = (0.0, *(10.0**power for power in range(-12, 2)))  # relative to the largest squared singular value


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearMap:
    """z → W z + b.

    Args:
        weights: (K, d) float64.
        bias: (K,) float64.
        ridge: the penalty λ/σ_1² that it was fitted with.
        left_out: (N, K) outputs of each sample by the fit to all others; NaN where only the sample itself determines
            one.
        left_out_error: mean squared error of the samples, each predicted by the fit to all others.
    """

    weights: Float[torch.Tensor, "K d"]
    bias: Float[torch.Tensor, " K"]
    ridge: float
    left_out: Float[torch.Tensor, "N K"]
    left_out_error: float

    @torch.no_grad()
    def __call__(self, features: Any) -> Float[torch.Tensor, "N K"]:
        """Its outputs for (N, d) features, float64."""
        return as_matrix(features, device=self.bias.device).to(torch.float64) @ self.weights.mT + self.bias


@torch.no_grad()
def fit_linear_map(features: Any, targets: Any) -> LinearMap:
    """The affine map from features to targets with the least squared error, and a penalty chosen by leave-one-out.

        min Σ_i ‖W (z_i - z̄) + t̄ - t_i‖² + λ‖W‖²

    With centred features U S Vᵀ, the fit's residuals r_i and leverages h_i = 1/N + Σ_j u_ij² s_j²/(s_j² + λ), sample i
    is missed by r_i/(1 - h_i) when it is left out (Allen 1974): every λ is tried at the cost of one decomposition, and
    of equal errors the smallest is kept. Features that determine the targets linearly are fitted exactly (λ = 0).

    Args:
        features: (N, d).
        targets: (N, K).

    Raises:
        InvalidInputError: not one row of targets a sample, or fewer than 2 samples.

    >>> fitted = fit_linear_map([[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.0]])
    >>> fitted.weights.round(decimals=9).tolist(), fitted.bias.round(decimals=9).tolist()
    ([[2.0]], [1.0])
    """
    z, t = as_matrix(features).to(torch.float64), as_matrix(targets).to(torch.float64)
    n = z.shape[0]
    if t.shape[0] != n or n < 2:
        raise InvalidInputError(
            got=f"{n} samples and {t.shape[0]} rows of targets",
            expected="one row of targets a sample, 2 samples at least",
            next_step="give features and targets of the same samples",
        )
    centre, level = z.mean(0), t.mean(0)
    left, singular, right = _decomposed(z - centre)
    unit = torch.finfo(torch.float64).eps
    kept = singular > max(z.shape) * unit * singular.max()  # minimum norm where directions are missing
    left, singular, right = left[:, kept], singular[kept], right[kept]
    along = left.mT @ (t - level)
    # what is left of each sample, and of its target, without a penalty: apart from the rest, with which it would cancel
    room = 1 - 1 / n - left.square().sum(1)
    room = torch.where(room > n * unit, room, 0.0)
    outside = torch.where((room > 0)[:, None], t - level - left @ along, 0.0)
    best: tuple[float, float, torch.Tensor, torch.Tensor] | None = None
    for ridge in _PENALTIES:
        penalty = ridge * float(singular.max()) ** 2 if singular.numel() else 1.0
        withheld = penalty / (singular**2 + penalty)
        free = room + left.square() @ withheld
        residual = outside + left @ (withheld[:, None] * along)
        # a sample that the fit passes through whatever its target says nothing of the rest
        missed = torch.where(free[:, None] > 0, residual / free[:, None], torch.inf)
        error = float(missed.square().sum(1).mean())
        # rounding decides nothing: a larger penalty has to be better by more than that
        if best is None or error < best[1] * (1 - 1e-6):
            best = ridge, error, (1 - withheld) / singular, missed
    assert best is not None
    ridge, error, gain, missed = best
    left_out = torch.where(missed.isfinite(), t - missed, torch.nan)
    weights = along.mT @ (gain[:, None] * right)
    return LinearMap(
        weights=weights, bias=level - weights @ centre, ridge=ridge, left_out=left_out, left_out_error=error
    )


def _decomposed(centred: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The thin singular value decomposition; of many samples by way of their triangular factor, a few times faster."""
    n, d = centred.shape
    if n < 2 * d:
        return torch.linalg.svd(centred, full_matrices=False)
    q, r = torch.linalg.qr(centred)
    left, singular, right = torch.linalg.svd(r, full_matrices=False)
    return q @ left, singular, right
