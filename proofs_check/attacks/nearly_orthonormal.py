"""Nearly orthonormal data, |G - I|_ij ≤ θ/N: the compression rate (T5, T5') and the largest cosine (T6, T6')."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from flint import arb, fmpq, fmpq_mat

from ..balls import ball_matrix, identity, root
from .bounds import (
    compression_rate,
    conjectured_compression_rate,
    explicit_cosine,
    sharp_compression_rate,
    sharp_cosine,
)
from .exact import exact_matrix, float_ball, integer_power, largest_cosine_ball
from .inequality import Attack, Batch, Triple
from .tensors import largest_cosine, normal, spectral, symmetric_box, uniform

__all__ = ["COMPRESSION_RATE", "LARGEST_COSINE", "REFUTED", "build_box", "class_blocks", "draw_box"]


def draw_box(options: Mapping[str, Any], restarts: int, generator: Any) -> Batch:
    """θ-nearly orthonormal data, with a layer and a residual scale drawn for each restart."""
    K, n, L = options["classes"], options["samples_per_class"], options["depth"]
    epsilon = uniform(np.log(options["epsilon"]), restarts, generator).exp()
    first, last = options["layers"][0], min(options["layers"][1], L - 2)
    layer = torch.randint(first, last + 1, (restarts,), generator=generator).double()
    return {
        "raw_box": _sign_patterns(restarts, K, n, generator),
        "theta": uniform(options["theta"], restarts, generator),
        "epsilon": epsilon,
        "layer": layer,
        "classes": K,
        "samples_per_class": n,
        "depth": L,
    }


def _sign_patterns(restarts: int, K: int, n: int, generator: Any) -> Any:
    """Half noise, half ±zzᵀ with random signs z (every other one constant in each class)."""
    noise = normal(restarts, n * K, n * K, generator=generator)
    signs = normal(restarts, K, n, generator=generator).sign()
    signs[::2] = signs[::2, :, :1]
    z = signs.reshape(restarts, n * K)
    rank_one = z[:, :, None] * z[:, None, :] * normal(restarts, 1, 1, generator=generator).sign()
    rank_one[: restarts // 2] = 0
    return 0.5 * noise + 1.5 * rank_one


def build_box(point: Batch) -> Batch:
    """Perturbations with entries in (-θ/N, θ/N), and the smallest θ that they satisfy."""
    N = point["classes"] * point["samples_per_class"]
    perturbation = (point["theta"] / N)[:, None, None] * symmetric_box(point["raw_box"])
    attained = N * perturbation.detach().abs().amax(dim=(1, 2))  # the smallest θ these data satisfy
    return {
        **{k: v for k, v in point.items() if k != "raw_box"},
        "perturbation": perturbation,
        "theta": attained,
    }


def class_blocks(instance: Batch) -> tuple[Any, Any]:
    """BᵀG⁻¹B = H/n and BᵀGB = n Q_0, B the normalised class indicators."""
    K, n = instance["classes"], instance["samples_per_class"]
    E = instance["perturbation"]
    G = torch.eye(n * K, dtype=E.dtype) + E

    def compress(matrix: Any) -> Any:
        return matrix.reshape(-1, K, n, K, n).sum(dim=(2, 4)) / n

    inverse = compress(torch.linalg.inv(G))
    return (inverse + inverse.mT) / 2, compress(G)


def _centred_trace(matrix: Any) -> Any:
    """tr(P A), P = I - 11ᵀ/K."""
    return matrix.diagonal(dim1=-2, dim2=-1).sum(-1) - matrix.sum(dim=(-2, -1)) / matrix.shape[-1]


def _rate(instance: Batch) -> Any:
    """ε² n^{-1/L}, the limit of C_{l+1}/C_l for θ → 0."""
    return instance["epsilon"] ** 2 * instance["samples_per_class"] ** (-1.0 / instance["depth"])


def _ratio(instance: Batch) -> Any:
    """C_{l+1}/C_l of T2's class means, in units of n."""
    inverse, gram = class_blocks(instance)
    l, L, r = instance["layer"], instance["depth"], _rate(instance)
    t = 1 - l / L
    rest = _centred_trace(gram - spectral(inverse, -r.new_ones(r.shape)))
    here = _centred_trace(spectral(inverse, -t)) + r**l * rest
    after = _centred_trace(spectral(inverse, -(t - 1 / L))) + r ** (l + 1) * rest
    return r * here / after


def _box_cosine(instance: Batch) -> Any:
    """1 - D_l of T2's class means."""
    inverse, gram = class_blocks(instance)
    l, L, r = instance["layer"], instance["depth"], _rate(instance)
    rest = gram - spectral(inverse, -r.new_ones(r.shape))
    return largest_cosine(spectral(inverse, -(1 - l / L)) + (r**l)[:, None, None] * rest)


def _measure_box(bound: Callable[..., Any], *, upper: bool, cosine: bool) -> Callable[[Batch], Triple]:
    def measure(instance: Batch) -> Triple:
        r = _rate(instance)
        ceiling = bound(
            instance["theta"],
            r,
            instance["layer"],
            instance["classes"],
            instance["depth"],
            one=r.new_ones(()),
            upper=upper,
        )
        if cosine:
            return _box_cosine(instance), ceiling, r.new_zeros(r.shape)
        return _ratio(instance), ceiling, r

    return measure


def _enclose_box(bound: Callable[..., Any], *, upper: bool, cosine: bool) -> Callable[[Mapping[str, Any]], Triple]:
    def enclose(instance: Mapping[str, Any]) -> Triple:
        K, n, L, l = (
            instance["classes"],
            instance["samples_per_class"],
            instance["depth"],
            int(instance["layer"]),
        )
        E = exact_matrix(instance["perturbation"])
        N = n * K
        θ = N * max(abs(entry) for entry in E.entries())  # what these very data satisfy
        G = identity(N) + E
        Y = fmpq_mat(K, N, [int(j // n == k) for k in range(K) for j in range(N)])
        scale = fmpq(1, n)
        M = (Y * G.inv() * Y.transpose() * scale).inv()
        rest = ball_matrix(Y * G * Y.transpose() * scale - M)
        base = root(M, L)
        r = float_ball(instance["epsilon"]) ** 2 * arb(n) ** (arb(-1) / L)

        def means(layer: int) -> Any:
            return integer_power(base, L - layer) + rest * r**layer

        ceiling = bound(arb(θ), r, arb(l), K, L, one=arb(1), upper=upper)
        if cosine:
            return largest_cosine_ball(means(l)), ceiling, arb(0)

        def centred(matrix: Any) -> Any:
            diagonal = sum((matrix[k, k] for k in range(K)), start=arb(0))
            return diagonal - sum(matrix.entries(), start=arb(0)) / K

        return r * centred(means(l)) / centred(means(l + 1)), ceiling, r

    return enclose


def _box_attack(
    statement: str, bound: Callable[..., Any], *, upper: bool = True, cosine: bool = False, **options: Any
) -> Attack:
    defaults = {
        "classes": 3,
        "samples_per_class": 4,
        "depth": 6,
        "layers": (1, 100),
        "epsilon": (0.05, 1.5),
        "theta": (0.3, 0.9),
    }
    return Attack(
        statement=statement,
        draw=draw_box,
        build=build_box,
        measure=_measure_box(bound, upper=upper, cosine=cosine),
        enclose=_enclose_box(bound, upper=upper, cosine=cosine),
        options={**defaults, **options},
    )


COMPRESSION_RATE: Mapping[str, Attack] = {
    "T5-upper": _box_attack("T5: C_{l+1}/C_l ≤ ε² ((1+θ)/n)^{1/L} (1 + ρ q^l)", compression_rate),
    "T5-lower": _box_attack("T5: C_{l+1}/C_l ≥ ε² ((1-θ)/n)^{1/L} / (1 + ρ q^{l+1})", compression_rate, upper=False),
    "T5-sharp-upper": _box_attack(
        "T5': C_{l+1}/C_l ≤ ε² ((1+2θ/K)/n)^{1/L}, with its residual term", sharp_compression_rate, theta=(0.3, 0.65)
    ),
    "T5-sharp-lower": _box_attack(
        "T5': C_{l+1}/C_l ≥ ε² ((1-2θ/K)/n)^{1/L}, with its residual term",
        sharp_compression_rate,
        upper=False,
        theta=(0.3, 0.48),
    ),
}

LARGEST_COSINE: Mapping[str, Attack] = {
    "T6-explicit": _box_attack(
        "T6: 1 - D_l ≤ [a + 2θ² ε^{2l} n^{-l/L} / ((1-2θ)K)] / (1-a)",
        explicit_cosine,
        cosine=True,
        theta=(0.3, 0.45),
    ),
    "T6-sharp-cosine": _box_attack(
        "T6': 1 - D_l ≤ (κ^t - 1)/(κ^t + 1), κ = 1 + 2θ/(K(1-θ))", sharp_cosine, cosine=True
    ),
}

# what T5's first conjecture claimed; for small epsilon the upper one is open above θ = 0.65
REFUTED: Mapping[str, Attack] = {
    "T5-conjecture-upper": _box_attack(
        "refuted: C_{l+1}/C_l ≤ ε² ((1+2θ/K)/n)^{1/L} for every θ < 1 and ε",
        conjectured_compression_rate,
        depth=12,
        layers=(1, 1),
        epsilon=(0.4, 0.7),
        theta=(0.9, 0.99),
    ),
    "T5-conjecture-lower": _box_attack(
        "refuted: C_{l+1}/C_l ≥ ε² ((1-2θ/K)/n)^{1/L} for every θ < 1",
        conjectured_compression_rate,
        upper=False,
        classes=4,
        samples_per_class=2,
        depth=20,
        layers=(18, 18),
        epsilon=(0.01, 0.1),
        theta=(0.9, 0.99),
    ),
}
