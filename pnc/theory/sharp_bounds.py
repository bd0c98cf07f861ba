"""T5' and T6': the sharp bounds on compression rate and discrimination for entrywise nearly orthonormal data.

Statements, proofs, extremal data and the counter-example to the stronger conjecture: `docs/sharper.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError

__all__ = [
    "SharpRatioBounds",
    "default_weights_ratios",
    "sharp_cosine_bound",
    "sharp_cosine_remainder",
    "sharp_ratio_bounds",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class SharpRatioBounds:
    """T5' for the ratios C_{l+1}/C_l, l = 0…L-2; dimensionless.

    Args:
        lower: (L-1,) guaranteed lower bounds.
        upper: (L-1,) guaranteed upper bounds.
        limit: their common limit for θ → 0, `ε² (α²/n)^{1/L}`.
        lower_is_sharp: (L-1,) whether `lower` is `limit (1-2θ/K)^{1/L}`, which some data attain.
        upper_is_sharp: (L-1,) whether `upper` is `limit (1+2θ/K)^{1/L}`, which some data attain.
    """

    lower: Float[np.ndarray, " H"]
    upper: Float[np.ndarray, " H"]
    limit: float
    lower_is_sharp: np.ndarray
    upper_is_sharp: np.ndarray


def sharp_ratio_bounds(
    *,
    theta_entrywise: float,
    classes: int,
    samples_per_class: int,
    depth: int,
    epsilon: float,
    label_scale: float = 1.0,
) -> SharpRatioBounds:
    """Bounds on C_{l+1}/C_l of entrywise θ-nearly orthonormal data with equal classes (theory note, T5').

        limit (1 - 2θ/K)^{1/L}  ≤  C_{l+1}/C_l  ≤  limit (1 + 2θ/K)^{1/L},     limit = ε² (α²/n)^{1/L}

    wherever the curvature conditions of T5' hold (every K, L, l at θ ≤ 0.48 below and θ ≤ 0.65 above, for
    small enough ε); elsewhere with the residual term of T5', or T5 where that is tighter or alone applies.

    Args:
        theta_entrywise: θ in [0, 1): `|G_ii - 1| ≤ θ/N` and `|G_ij| ≤ θ/N`.
        classes: K ≥ 2.
        samples_per_class: n.
        depth: L ≥ 2.
        epsilon: residual scale ε > 0.
        label_scale: α > 0.

    Raises:
        InvalidInputError: an argument outside its range.

    >>> found = sharp_ratio_bounds(
    ...     theta_entrywise=0.3, classes=3, samples_per_class=10, depth=4, epsilon=0.1)
    >>> (found.upper / found.limit).round(6).tolist() == [round(1.2**0.25, 6)] * 3
    True
    >>> bool(found.lower_is_sharp.all() and found.upper_is_sharp.all())
    True
    """
    θ, K, n, L = theta_entrywise, classes, samples_per_class, depth
    _check(θ, K, n, L)
    if not (epsilon > 0 and label_scale > 0):
        raise InvalidInputError(
            got=f"epsilon = {epsilon}, label_scale = {label_scale}",
            expected="both above 0",
            next_step="pass the scale of the residual singular values and of the labels",
        )
    h = 1 / L
    r = epsilon**2 * (label_scale**2 / n) ** h
    l = np.arange(L - 1)
    t = 1 - l * h
    # T5, always valid: spectral, with Kantorovich's ρ
    ρ, q = θ**2 / (1 - θ**2), r * (1 + θ) ** h
    lower = r * (1 - θ) ** h / (1 + ρ * q ** (l + 1))
    upper = r * (1 + θ) ** h * (1 + ρ * q**l)
    # T5': ς bounds tr(P S) and ‖S‖, S = Q_0 - H⁻¹ in units of 1/n
    ς = 1 - np.sqrt(1 - θ**2)
    least = (K - 1) * (1 - θ) ** (t - h)

    gain = (1 + 2 * θ / K) ** h
    excess = r**l * (1 - gain * r) - h * (1 + 2 * θ / K) ** (t - 1) * np.array(
        [_upper_margin(θ, K, float(s), h) for s in t]
    )
    sharp_upper = r * (gain + ς * np.maximum(excess, 0) / least)

    loss = (1 - 2 * θ / K) ** h
    missing = r**l * (loss * r - 1) - h * (1 - 2 * θ / K) ** (t - 1) * _lower_margin(θ, K)
    share = ς / (least + r ** (l + 1) * ς)
    sharp_lower = r * (loss - np.maximum(missing, 0) * share)
    return SharpRatioBounds(
        lower=np.maximum(lower, sharp_lower),
        upper=np.minimum(upper, sharp_upper),
        limit=float(r),
        lower_is_sharp=missing <= 0,
        upper_is_sharp=excess <= 0,
    )


def sharp_cosine_bound(
    *,
    theta_entrywise: float,
    classes: int,
    samples_per_class: int,
    depth: int,
    epsilon: float,
    label_scale: float = 1.0,
) -> Float[np.ndarray, " L"]:
    """Bound on every |cos(μ_k, μ_k')| of layers 0…L-1, hence on |1 - D_l| (theory note, T6').

        (κ^t - 1)/(κ^t + 1),     κ = 1 + 2θ/(K (1-θ)),     t = 1 - l/L

    for entrywise θ-nearly orthonormal data, any θ < 1. Attained by `1 - D_l` of the signal part for n even
    or K = 2. The residual part does not raise it where `r^l ≤ t (1+2θ/K)^{t-1}`, `r = ε² (α²/n)^{1/L}`;
    elsewhere κ^t becomes `κ^t (1 + ς [r^l - t (1+2θ/K)^{t-1}])`, `ς = 1 - √(1-θ²)`.

    Raises:
        InvalidInputError: an argument outside its range.

    >>> sharp_cosine_bound(
    ...     theta_entrywise=0.5, classes=2, samples_per_class=4, depth=2, epsilon=0.1).round(6).tolist()
    [0.333333, 0.171573]
    """
    θ, K, n, L = theta_entrywise, classes, samples_per_class, depth
    _check(θ, K, n, L)
    κ = 1 + 2 * θ / (K * (1 - θ))
    l = np.arange(L)
    t = 1 - l / L
    r = epsilon**2 * (label_scale**2 / n) ** (1 / L)
    surplus = np.maximum(r**l - t * (1 + 2 * θ / K) ** (t - 1), 0) * (1 - np.sqrt(1 - θ**2))
    ratio = κ**t * (1 + surplus)
    return (ratio - 1) / (ratio + 1)


def sharp_cosine_remainder(
    spread: float | Float[np.ndarray, "*L"],
) -> Float[np.ndarray, "*L"]:
    """Largest distance of a cosine of the signal part from its line t Ψ_kk' (theory note, T6').

    `(√(2τ/(1-e^{-2τ})) - 1)² = τ²/4 + O(τ³)`, `τ = t ω`, ω half the spread of Ψ's eigenvalues, so that
    `τ ≤ t artanh θ`. Proved for τ ≤ 0.9; beyond, the larger value that the proof gives is returned.

    Args:
        spread: τ ≥ 0, a number or one a layer.

    Raises:
        InvalidInputError: negative τ.

    >>> float(sharp_cosine_remainder(0.2).round(6)), float(sharp_cosine_remainder(0.0))
    (0.010302, 0.0)
    """
    τ = np.asarray(spread, dtype=float)
    if np.any(τ < 0) or not np.all(np.isfinite(τ)):
        raise InvalidInputError(
            got=f"spread = {spread}",
            expected="finite τ ≥ 0",
            next_step="pass t times half the spread of Ψ",
        )
    safe = np.where(τ > 0, τ, 1.0)
    central = np.sqrt(2 * safe / -np.expm1(-2 * safe)) - 1
    sharp = np.where(τ > 0, central**2, 0.0)
    return np.where(τ > 0.9, np.maximum(sharp, _opposite_signs(safe)), sharp)


def default_weights_ratios(
    *,
    dimension: int,
    width: int,
    samples: int,
    classes: int,
    depth: int,
    label_scale: float = 1.0,
) -> Float[np.ndarray, " H"]:
    """Predicted C_{l+1}/C_l, l = 0…L-2, trained from PyTorch's default initial weights (theory note, T9').

    With `τ = d_h/(3d)` the first layer's gain s and the later ones' h solve

        h = s + (1 - N/d)₊/3 - τ²/s,     s h^{L-2} (h - (1 - K/d_h)/3) = n/α²

    and `C_1/C_0 = τ f/s`, `C_{l+1}/C_l = f/(3h)`, `f = 1 - (K/d_h)(3h-2)/(3h-1)`. An approximation, not a
    bound: nearly orthonormal data, equal hidden widths, K/d_h ≤ 0.1, training that converges.

    Raises:
        InvalidInputError: sizes that are not positive, L < 3 or d_h ≤ K.

    >>> default_weights_ratios(dimension=50, width=50, samples=30, classes=3, depth=4).round(3).tolist()
    [0.176, 0.169, 0.169]
    """
    from scipy.optimize import root_scalar  # keeps `import pnc` light

    d, w, N, K, L = dimension, width, samples, classes, depth
    if min(d, N, K) < 1 or L < 3 or w <= K or label_scale <= 0:
        raise InvalidInputError(
            got=f"dimension {d}, width {w}, samples {N}, classes {K}, depth {L}",
            expected="positive sizes, depth ≥ 3 and width above the number of classes",
            next_step="choose a wider or deeper network",
        )
    τ, η, last = w / (3 * d), max(0.0, 1 - N / d) / 3, (1 - K / w) / 3
    target = N / K / label_scale**2

    def later(s: float) -> float:
        return s + η - τ**2 / s

    def surplus(s: float) -> float:
        return np.log(s) + (L - 2) * np.log(later(s)) + np.log(later(s) - last) - np.log(target)

    lowest = ((last - η) + np.sqrt((last - η) ** 2 + 4 * τ**2)) / 2  # later(lowest) = last
    low, high = lowest * (1 + 1e-12), lowest + 1 + target + τ
    s = float(root_scalar(surplus, bracket=(low, high), xtol=1e-14).root)
    h = later(s)
    f = 1 - (K / w) * (3 * h - 2) / (3 * h - 1)
    return np.array([τ * f / s] + [f / (3 * h)] * (L - 2))


def _upper_margin(θ: float, K: int, t: float, h: float) -> float:
    """Λ₊ of T5': a(t) - c^{1/L} a(t-1/L) ≤ -c^{t-1} Λ₊ tr(P S)/L; -∞ unless 2θ c₂ < c = 1+2θ/K."""
    if θ == 0:
        return np.inf
    c = 1 + 2 * θ / K
    y = (1 - θ) / c - 1
    top = max(t, 0.5 + h)
    c2 = (((1 + y) ** top - (1 + y) ** (top - h)) / h - y) / y**2
    margin = _margin(θ, c, c2, 1.0)
    return max(margin, 0.0) if K == 2 else margin  # K = 2: P has rank one, so the spectrum alone gives it


def _lower_margin(θ: float, K: int) -> float:
    """Λ₋ of T5': a(t) - c^{1/L} a(t-1/L) ≥ c^{t-1} Λ₋ tr(P S)/L; -∞ unless 2θ c₃ < c = 1-2θ/K."""
    if θ == 0:
        return np.inf
    if K == 2:
        return max(_margin(θ, 1 - θ, 0.5, -1.0), 0.0)
    c = 1 - 2 * θ / K
    y = (1 - θ) / c - 1
    return _margin(θ, c, (y - np.log1p(y)) / y**2, -1.0)


def _margin(θ: float, c: float, curvature: float, sign: float) -> float:
    root = np.sqrt(1 - θ**2)
    η = c / (2 * θ * curvature) - 1
    if η <= 0:
        return -np.inf
    return sign + (1 + root) / (2 * θ) - curvature * (1 - root) * (1 + 1 / η) / c


def _opposite_signs(τ: np.ndarray) -> np.ndarray:
    """Bound on cos - t Ψ_kk' for cos ≥ 0 ≥ Ψ_kk', from above on a grid."""
    S0 = (np.log(np.sinh(τ) / τ) - 1 + τ / np.tanh(τ)) / 2
    u = np.linspace(0, 1, 2001)[:, None] * np.atleast_1d(S0)
    step = np.atleast_1d(S0) / 2000
    first = np.exp(S0) * np.sinh(S0 - u)  # falling in u
    second = np.tanh(S0 - u / np.cosh(τ))  # falling in u
    # both fall, so on each cell u + min(...) is at most the right end's u with the left end's values
    return (u + step + np.minimum(first, second)).max(axis=0).reshape(np.shape(τ))


def _check(θ: float, K: int, n: int, L: int) -> None:
    if not 0 <= θ < 1:
        raise InvalidInputError(
            got=f"theta = {θ}", expected="0 ≤ theta < 1", next_step="use data nearer to orthonormal, or T3"
        )
    if K < 2 or n < 1 or L < 2:
        raise InvalidInputError(
            got=f"classes = {K}, samples per class = {n}, depth = {L}",
            expected="classes ≥ 2, samples per class ≥ 1, depth ≥ 2",
            next_step="check the sizes",
        )
