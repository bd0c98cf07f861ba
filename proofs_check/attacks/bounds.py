"""Right-hand sides of T5, T5', T6 and T6' for entrywise θ; r = ε² n^{-1/L}.

Written once for torch tensors and for balls, which share arithmetic, sqrt, log, exp and abs.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "compression_rate",
    "conjectured_compression_rate",
    "explicit_cosine",
    "sharp_compression_rate",
    "sharp_cosine",
]


def _positive(x: Any) -> Any:
    return (x + abs(x)) / 2


def _choose(condition: Any, yes: Any, no: Any) -> Any:
    if isinstance(condition, bool):
        return yes if condition else no
    return yes.where(condition, no)


def compression_rate(θ: Any, r: Any, l: Any, K: int, L: int, *, one: Any, upper: bool) -> Any:
    """T5: r (1+θ)^{1/L} (1 + ρ q^l) above, r (1-θ)^{1/L} / (1 + ρ q^{l+1}) below, ρ = θ²/(1-θ²), q = r (1+θ)^{1/L}."""
    h = one / L
    ρ, q = θ * θ / (1 - θ * θ), r * (1 + θ) ** h
    return r * (1 + θ) ** h * (1 + ρ * q**l) if upper else r * (1 - θ) ** h / (1 + ρ * q ** (l + 1))


def sharp_compression_rate(θ: Any, r: Any, l: Any, K: int, L: int, *, one: Any, upper: bool) -> Any:
    """T5': the factor (1 ± 2θ/K)^{1/L} and the residual term where it can matter; T5 where 2θ c_2 ≥ c."""
    h = one / L
    t = 1 - l * h
    root = (1 - θ * θ).sqrt()
    c = 1 + 2 * θ / K if upper else 1 - 2 * θ / K
    x = (1 - θ) / c
    if upper:
        start = one / 2 + h
        top = (t + start + abs(t - start)) / 2
        curvature = ((x**top - x ** (top - h)) / h - (x - 1)) / (x - 1) ** 2
    elif K == 2:
        curvature = one / 2
    else:
        curvature = (x - 1 - x.log()) / (x - 1) ** 2
    η = c / (2 * θ * curvature) - 1
    sign = 1 if upper else -1
    margin = sign + (1 + root) / (2 * θ) - curvature * (1 - root) * (1 + 1 / η) / c
    least = (K - 1) * (1 - θ) ** (t - h)
    if upper:
        excess = _positive(r**l * (1 - c**h * r) - h * c ** (t - 1) * margin)
        sharp = r * (c**h + (1 - root) * excess / least)
    else:
        missing = _positive(r**l * (c**h * r - 1) - h * c ** (t - 1) * margin)
        sharp = r * (c**h - missing * (1 - root) / (least + r ** (l + 1) * (1 - root)))
    return _choose(η > 0, sharp, compression_rate(θ, r, l, K, L, one=one, upper=upper))


def conjectured_compression_rate(θ: Any, r: Any, l: Any, K: int, L: int, *, one: Any, upper: bool) -> Any:
    """The factor (1 ± 2θ/K)^{1/L} alone, for every θ < 1."""
    return r * (1 + (2 if upper else -2) * θ / K) ** (one / L)


def explicit_cosine(θ: Any, r: Any, l: Any, K: int, L: int, *, one: Any, upper: bool) -> Any:
    """T6: [a + 2θ² r^l / ((1-2θ)K)] / (1-a), a = (((1-θ)/(1-2θ))^t - 1)/K, t = 1 - l/L."""
    a = (((1 - θ) / (1 - 2 * θ)) ** (1 - l * one / L) - 1) / K
    return (a + 2 * θ * θ * r**l / ((1 - 2 * θ) * K)) / (1 - a)


def sharp_cosine(θ: Any, r: Any, l: Any, K: int, L: int, *, one: Any, upper: bool) -> Any:
    """T6': (κ^t - 1)/(κ^t + 1), κ = 1 + 2θ/(K(1-θ)), t = 1 - l/L; κ^t grows where the residual part counts."""
    t = 1 - l * one / L
    ratio = (1 + 2 * θ / (K * (1 - θ))) ** t
    surplus = _positive(r**l - t * (1 + 2 * θ / K) ** (t - 1))
    ratio = ratio * (1 + surplus * (1 - (1 - θ * θ).sqrt()))
    return (ratio - 1) / (ratio + 1)
