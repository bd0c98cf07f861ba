"""R3: the compression of a residual block, on data with ‖G - I‖₂ ≤ θ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from flint import arb, fmpq, fmpq_mat

from ..balls import ball, ball_matrix, eigenvalues, identity, trace
from ..r3_residual_bounds import enclosed_growth, scalar_growth
from .exact import exact_matrix
from .inequality import Attack, Batch, Triple
from .tensors import normal, uniform

__all__ = ["RESIDUAL_BLOCKS"]


def _draw(options: Mapping[str, Any], restarts: int, generator: Any) -> Batch:
    size = options["classes"] * options["samples_per_class"]
    return {
        "raw_box": normal(restarts, size, size, generator=generator),
        "theta": uniform(options["theta"], restarts, generator),
        "layer": torch.randint(0, options["blocks"], (restarts,), generator=generator).double(),
        "classes": options["classes"],
        "samples_per_class": options["samples_per_class"],
        "blocks": options["blocks"],
    }


def _build(point: Batch) -> Batch:
    raw = point["raw_box"] + point["raw_box"].mT
    size = torch.linalg.matrix_norm(raw, ord=2)
    return {
        **{k: v for k, v in point.items() if k not in ("raw_box", "theta")},
        "perturbation": raw * (point["theta"] / size)[:, None, None],
    }


def _growth(values: Any, blocks: int) -> Any:
    """g of each value, β = 1, by Newton's method in log(g - 1)."""
    target = values.log()
    v = target
    for _ in range(40):
        x = v.exp()
        v = v - (v + blocks * torch.log1p(x) - target) / (1 + blocks * x / (1 + x))
    return 1 + v.exp()


def _measure(*, upper: bool) -> Callable[[Batch], Triple]:
    def measure(instance: Batch) -> Triple:
        K, n, m, l = (instance[name] for name in ("classes", "samples_per_class", "blocks", "layer"))
        E = instance["perturbation"]
        G = torch.eye(n * K, dtype=E.dtype) + E

        def compress(matrix: Any) -> Any:
            return matrix.reshape(-1, K, n, K, n).sum(dim=(2, 4))

        inverse = compress(torch.linalg.inv(G))  # H
        h, U = torch.linalg.eigh((inverse + inverse.mT) / 2)
        g = _growth(h, m)

        def centred(matrix: Any) -> Any:
            return matrix.diagonal(dim1=-2, dim2=-1).sum(-1) - matrix.sum(dim=(-2, -1)) / K

        rest = centred(compress(G) / n**2) - centred((U / h[:, None, :]) @ U.mT)
        here = centred((U * (g ** l[:, None] / h)[:, None, :]) @ U.mT) + rest
        after = centred((U * (g ** (l[:, None] + 1) / h)[:, None, :]) @ U.mT) + rest
        θ = torch.linalg.matrix_norm(E.detach(), ord=2)
        limit = 1 / _growth(torch.full_like(θ, float(n)), m)
        if not upper:
            return here / after, 1 / _growth(n / (1 - θ), m), limit
        slow = _growth(n / (1 + θ), m)
        r = θ**2 / (1 - θ**2) * slow**-l
        return here / after, (1 + r) / (slow + r), limit

    return measure


def _enclose(*, upper: bool) -> Callable[[Mapping[str, Any]], Triple]:
    def enclose(instance: Mapping[str, Any]) -> Triple:
        K, n, m = (int(instance[name]) for name in ("classes", "samples_per_class", "blocks"))
        l, N = int(instance["layer"]), K * n
        E = exact_matrix(instance["perturbation"])
        E = (E + E.transpose()) * fmpq(1, 2)
        values = eigenvalues(E)
        θ = arb(abs(values[0]).max(abs(values[-1])).upper())
        G, one = identity(N) + E, fmpq(1)
        Y = fmpq_mat(K, N, [int(j // n == k) for k in range(K) for j in range(N)])
        h = Y * G.inv() * Y.transpose()
        growth = enclosed_growth(h, m, one)
        weights = ball_matrix(identity(K) - fmpq_mat(K, K, [fmpq(1, K)] * K**2))
        rest = ball_matrix(Y * G * Y.transpose() * fmpq(1, n**2) - h.inv())
        signal = ball_matrix(h.inv())
        for _ in range(l):
            signal = signal * growth
        value = ball(trace(weights * (signal + rest))) / ball(trace(weights * (signal * growth + rest)))
        limit = 1 / scalar_growth(arb(n), m, one)
        if not upper:
            return value, 1 / scalar_growth(n / (1 - θ), m, one), limit
        slow = scalar_growth(n / (1 + θ), m, one)
        r = θ**2 / (1 - θ**2) / slow**l
        return value, (1 + r) / (slow + r), limit

    return enclose


RESIDUAL_BLOCKS: Mapping[str, Attack] = {
    f"R3-{side}": Attack(
        statement=f"R3: C_(l+1)/C_l of a residual block, the {side} bound",
        draw=_draw,
        build=_build,
        measure=_measure(upper=side == "upper"),
        enclose=_enclose(upper=side == "upper"),
        options={"classes": 3, "samples_per_class": 3, "blocks": 4, "theta": (0.1, 0.9)},
    )
    for side in ("upper", "lower")
}
