"""R3: two-sided bounds on the compression of a residual block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pnc.errors import InvalidInputError, NotApplicableError
from pnc.theory.compression_bounds import RatioBounds
from pnc.theory.residual.growth import block_growth
from pnc.theory.residual.spec import ResidualSpec

__all__ = ["residual_ratio_bounds"]


def residual_ratio_bounds(theta: float, class_sizes: Sequence[int] | np.ndarray, network: ResidualSpec) -> RatioBounds:
    """Bounds on C_{l+1}/C_l, l = 0…m-1, for data with `‖G - I‖₂ ≤ θ < 1` (theory note, R3).

    With `g₊ = g(n_max/((1-θ)α²))`, `g₋ = g(n_min/((1+θ)α²))`, `ρ = θ²/(1-θ²)` and `r_l = ρ g₋^{-l}`:

        1/g₊  ≤  C_{l+1}/C_l  ≤  (1 + r_l)/(g₋ + r_l)

    Proof. `C_l = tr Σ_W⁰/tr(Π Q_l)`, `Q_l = H⁻¹g^l + Q_0 - H⁻¹` (R2), Π = diag p - ppᵀ. With
    `a_l = tr(Π H⁻¹g^l)` and `0 ≤ t = tr(Π(Q_0 - H⁻¹)) ≤ ρ a_0` (Marshall, Olkin), `g₋a_l ≤ a_{l+1} ≤ g₊a_l` and
    `a_0 ≤ g₋^{-l}a_l`; the ratio `(a_l + t)/(a_{l+1} + t)` is at least `a_l/a_{l+1}`, and at most
    `(a_l + t)/(g₋a_l + t)`, which grows with `t/a_l ≤ r_l`. ∎

    Args:
        theta: θ in [0, 1).
        class_sizes: (K,) n_1, …, n_K.

    Returns:
        `RatioBounds` with m ratios and m + 1 cumulative bounds.

    Raises:
        InvalidInputError: θ outside [0, 1).
        NotApplicableError: not one-matrix blocks and a classifier from zero.

    >>> bounds = residual_ratio_bounds(0.0, [10, 10], ResidualSpec(depth=5))
    >>> bool(np.allclose(bounds.lower, bounds.upper))
    True
    """
    if not 0 <= theta < 1:
        raise InvalidInputError(
            got=f"theta = {theta}", expected="0 ≤ theta < 1", next_step="use R1, which holds for any data"
        )
    if network.block != "one-matrix" or network.embedding_scale is not None or network.classifier_scale > 0:
        raise NotApplicableError(
            statement="R3",
            assumption="one-matrix blocks from zero, no embedding and a classifier from zero",
            instead="use predict_residual, which covers R6 to R8",
        )
    n, m, α2 = np.asarray(class_sizes), network.blocks, network.label_scale**2
    extremes = np.sqrt(np.array([n.min() / (1 + theta), n.max() / (1 - theta)]) / α2)
    slow, fast = block_growth(extremes, blocks=m, block_scale=network.block_scale)
    ρ = theta**2 / (1 - theta**2)
    l = np.arange(m + 1)
    r = ρ * slow ** -l[:-1].astype(float)
    lower, upper = np.full(m, 1 / fast), (1 + r) / (slow + r)
    direct = (1 + ρ) / (slow ** l.astype(float) + ρ)
    return RatioBounds(
        lower=lower,
        upper=upper,
        cumulative_lower=np.cumprod([1.0, *lower]),
        cumulative_upper=np.minimum(np.cumprod([1.0, *upper]), direct),
    )
