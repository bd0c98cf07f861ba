"""T5: two-sided bounds on how fast compression falls from layer to layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec

__all__ = ["RatioBounds", "compression_ratio_bounds", "compression_ratio_bounds_of_gram"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RatioBounds:
    """Bounds on the ratios C_{l+1}/C_l, l = 0…L-2, and on C_l/C_0, l = 0…L-1; dimensionless.

    Args:
        lower: (L-1,) of C_{l+1}/C_l.
        upper: (L-1,) of C_{l+1}/C_l.
        cumulative_lower: (L,) of C_l/C_0.
        cumulative_upper: (L,) of C_l/C_0.
    """

    lower: Float[np.ndarray, " H"]
    upper: Float[np.ndarray, " H"]
    cumulative_lower: Float[np.ndarray, " L"]
    cumulative_upper: Float[np.ndarray, " L"]


def compression_ratio_bounds(
    theta: float, class_sizes: Sequence[int] | np.ndarray, network: NetworkSpec
) -> RatioBounds:
    """Bounds on C_{l+1}/C_l for θ-nearly orthonormal data (theory note, T5, for any class sizes and label
    scale).

    With `h_min = n_min/(1+θ)`, `h_max = n_max/(1-θ)`, `ρ = θ²/(1-θ²)`, `e = ε α^{1/L}` and
    `q = e² / h_min^{1/L}`:

        e² h_max^{-1/L} / (1 + ρ q^{l+1})  ≤  C_{l+1}/C_l  ≤  e² h_min^{-1/L} (1 + ρ q^l)

    Only `‖G - I‖₂ ≤ θ` is needed, which the entrywise θ implies (Gershgorin).

    Proof. α: H of Y/α is H₁/α², so by T2 `Q_l = α^{-2l/L} [H₁^{l/L-1} + e^{2l} (Q_0 - H₁⁻¹)]`, which is α = 1
    with e for ε up to a factor that `C_l = ε^{2l} tr Σ_W⁰ / tr(Π Q_l)`, `Π = diag p - ppᵀ ⪰ 0`, turns into
    e^{2l} too. Class sizes: `YYᵀ = diag n` and `(1+θ)⁻¹ ≤ G⁻¹ ≤ (1-θ)⁻¹` give `h_min ≤ H ≤ h_max`. With
    `E = diag(n)^{-1/2} Y`, whose rows are orthonormal, `Q_0 = diag(n)^{-1/2} E G Eᵀ diag(n)^{-1/2}` and
    `H⁻¹ = diag(n)^{-1/2} (E G⁻¹ Eᵀ)⁻¹ diag(n)^{-1/2}`, so Marshall and Olkin's `E G Eᵀ ≤ (1+ρ)(E G⁻¹ Eᵀ)⁻¹`
    gives `0 ≤ Q_0 - H⁻¹ ≤ ρ H⁻¹`, for any sizes. Let `a_l = tr(Π H^{l/L-1}) = Σ_i π_i h_i^{l/L-1}`,
    `π_i = u_iᵀ Π u_i ≥ 0`, and `b_l = a_l + e^{2l} t`, `0 ≤ t ≤ ρ a_0`. Then
    `h_min^{1/L} a_l ≤ a_{l+1} ≤ h_max^{1/L} a_l`, `a_0 ≤ h_min^{-l/L} a_l`, and
    `C_{l+1}/C_l = e² b_l/b_{l+1}` lies between `e² a_l / (a_{l+1} + e^{2(l+1)} ρ a_0)` and
    `e² (a_l + e^{2l} ρ a_0) / a_{l+1}`. ∎ The same steps for `b_0/b_l` bound `C_l/C_0` by
    `e^{2l} h_min^{-l/L} (1+ρ)` and `e^{2l} h_max^{-l/L} / (1 + ρ q^l)`; the cumulative bounds are the better
    of these and the products.

    Args:
        theta: θ in [0, 1).
        class_sizes: (K,) n_1, …, n_K.

    Raises:
        InvalidInputError: θ outside [0, 1).

    >>> bounds = compression_ratio_bounds(0.0, [10, 10, 10], NetworkSpec(depth=6, residual_scale=0.3))
    >>> np.allclose([bounds.lower, bounds.upper], 0.3**2 / 10 ** (1 / 6))
    True
    """
    if not 0 <= theta < 1:
        raise InvalidInputError(
            got=f"theta = {theta}",
            expected="0 ≤ theta < 1",
            next_step="use compression_ratio_bounds_of_gram, which needs only an invertible Gram matrix",
        )
    return compression_ratio_bounds_of_gram(1 - theta, 1 + theta, class_sizes, network)


def compression_ratio_bounds_of_gram(
    smallest: float, largest: float, class_sizes: Sequence[int] | np.ndarray, network: NetworkSpec
) -> RatioBounds:
    """T5 from the extreme eigenvalues g, g' of any invertible G (theory note, T5): 1-θ and 1+θ there, free
    here.

    `h_min = n_min/g'`, `h_max = n_max/g`, `ρ = (g'-g)²/(4 g g')` (Kantorovich's constant); the proof is that
    of `compression_ratio_bounds`. It holds at any scale of the data and never asks for θ < 1.

    Args:
        smallest: smallest eigenvalue of G, above 0.
        largest: largest eigenvalue of G.
        class_sizes: (K,) n_1, …, n_K.

    Raises:
        InvalidInputError: not 0 < smallest ≤ largest.

    >>> network = NetworkSpec(depth=4, residual_scale=0.2)
    >>> given = compression_ratio_bounds(0.5, [5, 5], network)
    >>> np.array_equal(given.upper, compression_ratio_bounds_of_gram(0.5, 1.5, [5, 5], network).upper)
    True
    """
    if not 0 < smallest <= largest:
        raise InvalidInputError(
            got=f"Gram eigenvalues between {smallest} and {largest}",
            expected="0 < smallest ≤ largest: an invertible Gram matrix",
            next_step="use T3 (predict), which needs no invertible Gram matrix",
        )
    L = network.depth
    e2 = network.residual_scale**2 * network.label_scale ** (2 / L)
    n = np.asarray(class_sizes)
    fastest = e2 * (smallest / n.max()) ** (1 / L)
    slowest = e2 * (largest / n.min()) ** (1 / L)  # = q
    ρ = (largest - smallest) ** 2 / (4 * largest * smallest)
    l = np.arange(L)
    lower = fastest / (1 + ρ * slowest ** (l[:-1] + 1))
    upper = slowest * (1 + ρ * slowest ** l[:-1])
    direct_lower = np.where(l == 0, 1.0, fastest**l / (1 + ρ * slowest**l))
    direct_upper = np.where(l == 0, 1.0, slowest**l * (1 + ρ))
    return RatioBounds(
        lower=lower,
        upper=upper,
        cumulative_lower=np.maximum(np.cumprod([1.0, *lower]), direct_lower),
        cumulative_upper=np.minimum(np.cumprod([1.0, *upper]), direct_upper),
    )
