"""RL3: the within-class scatter that gates leave which never come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from flint import arb, fmpq

from .exact import exact_matrix
from .inequality import Attack, Batch, Triple
from .tensors import normal

__all__ = ["RECTIFIED"]


def _draw(options: Mapping[str, Any], restarts: int, generator: Any) -> Batch:
    K, n, units = options["classes"], options["samples_per_class"], options["units"]
    allowed = torch.rand(restarts, K * n, units, generator=generator, dtype=torch.float64) < 0.7
    return {
        "raw_activations": normal(restarts, K * n, units, generator=generator),
        "allowed": allowed.to(torch.float64),
        "classes": K,
    }


def _build(point: Batch) -> Batch:
    """Activations of 0 or more, and 0 where the gate was shut at the start."""
    return {
        "activations": point["raw_activations"].abs() * point["allowed"],
        "allowed": point["allowed"],
        "classes": point["classes"],
    }


def _measure(instance: Batch) -> Triple:
    K, shape = instance["classes"], instance["activations"].shape
    Z, on = (instance[name].reshape(shape[0], K, shape[1] // K, -1) for name in ("activations", "allowed"))
    means, share = Z.mean(dim=2), on.mean(dim=2)
    least = torch.where(share > 0, means**2 * (1 - share) / share.clamp(min=1e-9), torch.zeros_like(means))
    within = ((Z - means[:, :, None]) ** 2).sum(dim=(1, 2, 3)) / shape[1]
    value = least.sum(dim=(1, 2)) / K
    return value, within, torch.zeros_like(value)


def _enclose(instance: Mapping[str, Any]) -> Triple:
    Z, on = (exact_matrix(instance[name]) for name in ("activations", "allowed"))
    K, N = int(instance["classes"]), Z.nrows()
    n, value, within = N // K, fmpq(0), fmpq(0)
    for unit in range(Z.ncols()):
        for k in range(K):
            column = [Z[i, unit] for i in range(k * n, (k + 1) * n)]
            share = sum((on[i, unit] for i in range(k * n, (k + 1) * n)), start=fmpq(0)) / n
            mean = sum(column, start=fmpq(0)) / n
            value += mean**2 * (1 - share) / share / K if share > 0 else 0
            within += sum(((entry - mean) ** 2 for entry in column), start=fmpq(0)) / N
    return arb(value), arb(within), arb(0)


RECTIFIED: Mapping[str, Attack] = {
    "RL3": Attack(
        statement="RL3: tr Σ_W ≥ (1/K) Σ m²(1-p)/p for gates that never come back",
        draw=_draw,
        build=_build,
        measure=_measure,
        enclose=_enclose,
        options={"classes": 2, "samples_per_class": 4, "units": 3},
    )
}
