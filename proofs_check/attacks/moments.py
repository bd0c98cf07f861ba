"""T7, the log-convexity of tr Σ_W^l and tr Σ_B^l: balanced weights, W_{l:1}ᵀW_{l:1} = (W_1ᵀW_1)^l."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from flint import arb, fmpq, fmpq_mat

from .exact import exact_matrix
from .inequality import Attack, Batch, Triple
from .tensors import normal

__all__ = ["LOG_CONVEXITY"]


def _draw_weights(options: Mapping[str, Any], restarts: int, generator: Any) -> Batch:
    d, width, N = options["dimension"], options["width"], options["samples"]
    return {
        "raw_weights": normal(restarts, width, d, generator=generator) / d**0.5,
        "raw_inputs": normal(restarts, d, N, generator=generator),
        "between": torch.randint(0, 2, (restarts,), generator=generator).double(),
        "layer": torch.randint(1, options["layers"] + 1, (restarts,), generator=generator).double(),
        "most_layers": options["layers"],
        "classes": options["classes"],
    }


def _build_weights(point: Batch) -> Batch:
    return {
        "weights": point["raw_weights"],
        "inputs": point["raw_inputs"],
        **{k: v for k, v in point.items() if not k.startswith("raw_")},
    }


def _measure_moments(instance: Batch) -> Triple:
    """tr_l against the geometric mean of its neighbours; tr_l = tr Σ_W^l or tr Σ_B^l."""
    W, X, l = instance["weights"], instance["inputs"], instance["layer"]
    K = instance["classes"]
    classes = X.reshape(*X.shape[:2], K, -1)
    means = classes.mean(dim=3, keepdim=True)
    within = (classes - means).reshape(X.shape)
    between = (means - means.mean(dim=2, keepdim=True)).squeeze(3)
    A = W.mT @ W
    traces = []
    parts = [within, between]
    for _ in range(instance["most_layers"] + 2):
        pair = [(start * part).sum(dim=(1, 2)) for start, part in zip((within, between), parts)]
        traces.append(torch.where(instance["between"] > 0, pair[1], pair[0]))
        parts = [A @ part for part in parts]
    stacked = torch.stack(traces, dim=1)
    index = l.long()[:, None]
    before, here, after = (stacked.gather(1, index + shift)[:, 0] for shift in (-1, 0, 1))
    return here / (before * after).sqrt(), torch.ones_like(here), torch.zeros_like(here)


def _enclose_moments(instance: Mapping[str, Any]) -> Triple:
    W, X, l, K = (
        exact_matrix(instance["weights"]),
        exact_matrix(instance["inputs"]),
        int(instance["layer"]),
        instance["classes"],
    )
    N = X.ncols()
    n = N // K
    average = fmpq_mat(N, N, [fmpq(int(i // n == j // n), n) for i in range(N) for j in range(N)])
    flat = fmpq_mat(N, N, [fmpq(1, N)] * (N * N))
    start = X * (average - flat) if instance["between"] > 0 else X - X * average
    A = W.transpose() * W
    traces, part = [], start
    for _ in range(l + 2):
        traces.append(sum((a * b for a, b in zip(start.entries(), part.entries())), start=fmpq(0)))
        part = A * part
    return arb(traces[l]) / (arb(traces[l - 1]) * arb(traces[l + 1])).sqrt(), arb(1), arb(0)


LOG_CONVEXITY: Mapping[str, Attack] = {
    "T7": Attack(
        statement="T7: tr Σ_W^l and tr Σ_B^l are log-convex in l for balanced weights",
        draw=_draw_weights,
        build=_build_weights,
        measure=_measure_moments,
        enclose=_enclose_moments,
        options={"dimension": 6, "width": 5, "samples": 9, "classes": 3, "layers": 3},
    ),
}
