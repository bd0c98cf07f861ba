"""U1 and U2 on the features that T1 predicts for nearly orthonormal data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from flint import arb, arb_mat, fmpq, fmpq_mat

from ..balls import ball_matrix, eigenvalues, identity, root
from .exact import exact_matrix, float_ball, integer_power
from .inequality import Attack, Batch, Triple
from .nearly_orthonormal import build_box, class_blocks, draw_box
from .tensors import spectral

__all__ = ["RANK_OF_PREDICTED"]


def _measure_predicted(kind: str) -> Callable[[Batch], Triple]:
    def measure(instance: Batch) -> Triple:
        K, n, L, l = instance["classes"], instance["samples_per_class"], instance["depth"], instance["layer"]
        inverse, _ = class_blocks(instance)

        def lift(matrix: Any) -> Any:
            return matrix.repeat_interleave(n, dim=1).repeat_interleave(n, dim=2) / n

        E = instance["perturbation"]
        ones = l.new_ones(l.shape)
        residual = torch.eye(n * K, dtype=E.dtype) + E - lift(spectral(inverse, -ones))
        signal = (n ** (l / L))[:, None, None] * lift(spectral(inverse, l / L - 1))
        gram = signal + (instance["epsilon"] ** (2 * l))[:, None, None] * residual
        centred = gram - gram.mean(dim=1, keepdim=True)
        centred = centred - centred.mean(dim=2, keepdim=True)
        total = centred.diagonal(dim1=1, dim2=2).sum(dim=1)
        between = centred.reshape(-1, K, n, K, n).sum(dim=(2, 4)).diagonal(dim1=1, dim2=2).sum(dim=1) / n
        values = torch.linalg.eigvalsh((centred + centred.mT) / 2)
        if kind == "share":
            return values[:, -(K - 1) :].sum(dim=1) / total, between / total, ones
        return total / values[:, -1], total / between * (K - 1), (K - 1) * ones

    return measure


def _enclose_predicted(kind: str) -> Callable[[Mapping[str, Any]], Triple]:
    def enclose(instance: Mapping[str, Any]) -> Triple:
        K, n, L = instance["classes"], instance["samples_per_class"], instance["depth"]
        l, N = int(instance["layer"]), n * K
        G = identity(N) + exact_matrix(instance["perturbation"])
        Y = fmpq_mat(K, N, [int(j // n == k) for k in range(K) for j in range(N)])
        H = Y * G.inv() * Y.transpose()
        signal = arb_mat(Y.transpose()) * integer_power(root(H.inv(), L), L - l) * arb_mat(Y)
        residual = ball_matrix(G - Y.transpose() * H.inv() * Y)
        gram = signal + residual * float_ball(instance["epsilon"]) ** (2 * l)
        flat = fmpq_mat(N, N, [fmpq(1, N)] * (N * N))
        centre = ball_matrix(identity(N) - flat)
        centred = centre * gram * centre
        total = sum((centred[i, i] for i in range(N)), start=arb(0))
        means = arb_mat(Y) * centred * arb_mat(Y.transpose())
        between = sum((means[k, k] for k in range(K)), start=arb(0)) / n
        values = eigenvalues((centred + centred.transpose()) / 2)
        if kind == "share":
            return sum(values[-(K - 1) :], start=arb(0)) / total, between / total, arb(1)
        return total / values[-1], total / between * (K - 1), arb(K - 1)

    return enclose


def _predicted_attack(statement: str, kind: str) -> Attack:
    return Attack(
        statement=statement,
        draw=draw_box,
        build=build_box,
        measure=_measure_predicted(kind),
        enclose=_enclose_predicted(kind),
        options={
            "classes": 3,
            "samples_per_class": 4,
            "depth": 4,
            "layers": (1, 100),
            "epsilon": (0.1, 0.7),
            "theta": (0.3, 0.9),
        },
    )


RANK_OF_PREDICTED: Mapping[str, Attack] = {
    "U1-predicted": _predicted_attack("U1 on T1's features of θ-nearly orthonormal data", "share"),
    "U2-predicted": _predicted_attack("U2 on T1's features of θ-nearly orthonormal data", "rank"),
}
