"""T6's remainder |D_l - (1 - t m)| over every class geometry Ψ that data with entrywise θ can have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from flint import arb

from ..balls import ball_matrix, eigenvalues
from .exact import exact_matrix, float_ball, largest_cosine_ball
from .inequality import Attack, Batch, Triple
from .tensors import largest_cosine, normal, pairs, spectral, symmetric_box, uniform

__all__ = ["DISCRIMINATION"]


def _draw_geometry(options: Mapping[str, Any], restarts: int, generator: Any) -> Batch:
    K = options["classes"]
    return {
        "raw_box": 0.5 * normal(restarts, K, K, generator=generator),
        "theta": uniform(options["theta"], restarts, generator),
        "share": uniform(options["t"], restarts, generator),
        "classes": K,
    }


def _build_geometry(point: Batch) -> Batch:
    """|Ψ_ij| ≤ log(1+θ)/K, so |(e^Ψ - 1)_ij| ≤ θ/K.

    Hence G = I + B(e^Ψ - 1)Bᵀ is θ-nearly orthonormal, and its H is n e^{-Ψ}.
    """
    size = point["theta"].log1p() / point["classes"]
    K = point["classes"]
    pattern = symmetric_box(point["raw_box"])
    pattern = pattern / pattern.abs().amax(dim=(1, 2), keepdim=True)
    geometry = size[:, None, None] * pattern
    departure = torch.linalg.matrix_exp(geometry.detach()) - torch.eye(K, dtype=geometry.dtype)
    return {
        "geometry": geometry,
        "share": point["share"],
        "theta": K * departure.abs().amax(dim=(1, 2)),
        "classes": K,
    }


def _remainder_original(low: Any, high: Any) -> Any:
    """(e^τ - 1 - τ) e^τ + τ (e^τ - 1), τ = t ‖Ψ‖₂."""
    τ = (abs(low) + abs(high) + abs(abs(low) - abs(high))) / 2
    grown = τ.exp()
    return (grown - 1 - τ) * grown + τ * (grown - 1)


def _remainder_sharp(low: Any, high: Any) -> Any:
    """(√(2τ/(1-e^{-2τ})) - 1)², τ = t (λ_max - λ_min)/2."""
    τ = (high - low) / 2
    return ((2 * τ / (1 - (-2 * τ).exp())).sqrt() - 1) ** 2


def _measure_remainder(remainder: Callable[[Any, Any], Any]) -> Callable[[Batch], Triple]:
    def measure(instance: Batch) -> Triple:
        Ψ, t = instance["geometry"], instance["share"]
        steepest = t * pairs(Ψ).amax(dim=1)
        cosine = largest_cosine(spectral(Ψ, t, exponential=True))
        values = torch.linalg.eigvalsh(Ψ) * t[:, None]
        return (cosine - steepest).abs(), remainder(values[:, 0], values[:, -1]), t.new_zeros(t.shape)

    return measure


def _enclose_remainder(remainder: Callable[[Any, Any], Any]) -> Callable[[Mapping[str, Any]], Triple]:
    def enclose(instance: Mapping[str, Any]) -> Triple:
        Ψ, t = exact_matrix(instance["geometry"]), float_ball(instance["share"])
        K = Ψ.nrows()
        steepest = t * arb(max(Ψ[i, j] for i in range(K) for j in range(i)))
        cosine = largest_cosine_ball((ball_matrix(Ψ) * t).exp())
        values = eigenvalues(Ψ)
        return abs(cosine - steepest), remainder(t * values[0], t * values[-1]), arb(0)

    return enclose


def _geometry_attack(statement: str, remainder: Callable[[Any, Any], Any]) -> Attack:
    return Attack(
        statement=statement,
        draw=_draw_geometry,
        build=_build_geometry,
        measure=_measure_remainder(remainder),
        enclose=_enclose_remainder(remainder),
        options={"classes": 6, "theta": (0.45, 0.9), "t": (0.1, 0.9)},
    )


DISCRIMINATION: Mapping[str, Attack] = {
    "T6-remainder": _geometry_attack("T6: |D_l - (1 - t m)|, with τ = t‖Ψ‖₂", _remainder_original),
    "T6-sharp-remainder": _geometry_attack("T6': |D_l - (1 - t m)| ≤ (√(2τ/(1-e^{-2τ})) - 1)²", _remainder_sharp),
}
