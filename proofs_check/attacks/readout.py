"""U6, U7 and RL5: a linear readout from moments, the rank of weights, and cosines through ReLU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from flint import arb, fmpq, fmpq_mat

from ..balls import ball, eigenvalues, frobenius_square, identity, trace
from ..t4_separation_fuzziness import pseudo_inverse
from .exact import exact_matrix
from .features import class_moments, covariance_matrix, exact_features, feature_attack
from .inequality import Attack, Batch, Triple
from .tensors import normal

__all__ = ["READOUT"]


def _measure_readout(instance: Batch) -> Triple:
    Z, counts = instance["features"], instance["counts"]
    _, _, spread, centres = class_moments(Z, counts)
    K, N = centres.shape[1], Z.shape[1]
    deviations, means = Z - spread, centres - centres.mean(dim=1, keepdim=True)
    within = deviations.mT @ deviations / N
    total = covariance_matrix(Z)
    between = means.mT @ means / K
    share = (torch.linalg.solve(total, between)).diagonal(dim1=1, dim2=2).sum(1) / (K - 1)
    # Σ_B⁺ through the K × K Gram matrix of the means, whose null vector is constant
    gram = means @ means.mT + torch.ones(K, K, dtype=Z.dtype)
    inverse = torch.linalg.inv(gram) - torch.ones(K, K, dtype=Z.dtype) / K**2
    spread_out = inverse @ means
    fuzziness = K * ((spread_out @ within @ spread_out.mT).diagonal(dim1=1, dim2=2).sum(1))
    return 1 - share, fuzziness / (K - 1 + fuzziness), torch.zeros_like(share)


def _enclose_readout(instance: Mapping[str, Any]) -> Triple:
    found = exact_features(instance)
    K, d = len(found.counts), found.features.ncols()
    mean = fmpq_mat(1, K, [fmpq(1, K)] * K) * found.centres
    means = fmpq_mat(K, d, [found.centres[k, a] - mean[0, a] for k in range(K) for a in range(d)])
    between = means.transpose() * means * fmpq(1, K)
    total = found.covariance()
    within = total - between
    fuzziness = trace(within * pseudo_inverse(between))
    value = 1 - trace(total.inv() * between) / (K - 1)

    return arb(value), arb(fuzziness / (K - 1 + fuzziness)), arb(0)


def _draw_layer(options: Mapping[str, Any], restarts: int, generator: Any) -> Batch:
    K, n, d, outputs = (options[name] for name in ("classes", "samples_per_class", "dimension", "outputs"))
    return {
        "raw_inputs": normal(restarts, K * n, d, generator=generator),
        "raw_errors": normal(restarts, K * n, outputs, generator=generator),
        "raw_gradient": 0.1 * normal(restarts, outputs, d, generator=generator),
        "classes": K,
    }


def _build_layer(point: Batch) -> Batch:
    return {name.removeprefix("raw_"): value for name, value in point.items()}


def _measure_layer(instance: Batch) -> Triple:
    Z, δ, gradient, K = (instance[name] for name in ("inputs", "errors", "gradient", "classes"))
    N = Z.shape[1]
    W = gradient - δ.mT @ Z / N  # λ = 1
    classes = Z.reshape(Z.shape[0], K, N // K, -1)
    within = ((classes - classes.mean(dim=2, keepdim=True)) ** 2).sum(dim=(1, 2, 3)) / N
    value = (torch.linalg.svdvals(W)[:, K:] ** 2).sum(1).sqrt()
    error = (δ**2).sum(dim=(1, 2)) / N
    return value, (gradient**2).sum(dim=(1, 2)).sqrt() + (error * within).sqrt(), torch.zeros_like(value)


def _enclose_layer(instance: Mapping[str, Any]) -> Triple:
    Z, δ, gradient = (exact_matrix(instance[name]) for name in ("inputs", "errors", "gradient"))
    K, N = int(instance["classes"]), Z.nrows()
    n = N // K
    W = gradient - δ.transpose() * Z * fmpq(1, N)
    small = W * W.transpose() if W.nrows() <= W.ncols() else W.transpose() * W
    values = eigenvalues(small)
    tail = sum(values[: len(values) - K], start=arb(0))
    average = fmpq_mat(N, N, [fmpq(int(i // n == j // n), n) for i in range(N) for j in range(N)])
    rest = (identity(N) - average) * Z
    bound = ball(frobenius_square(gradient)).sqrt() + ball(frobenius_square(δ) * frobenius_square(rest) / N**2).sqrt()
    return tail.sqrt(), bound, arb(0)


def _draw_pair(options: Mapping[str, Any], restarts: int, generator: Any) -> Batch:
    return {
        "raw_first": normal(restarts, options["dimension"], generator=generator),
        "raw_second": normal(restarts, options["dimension"], generator=generator),
    }


def _build_pair(point: Batch) -> Batch:
    """Pairs at an obtuse angle: the second vector's part along the first is turned round where it is not."""
    a, b = point["raw_first"], point["raw_second"]
    along = (a * b).sum(1) / (a * a).sum(1)
    turn = along + along.abs() + 1e-3
    return {"first": a, "second": b - torch.where(along > -1e-3, turn, torch.zeros_like(turn))[:, None] * a}


def _measure_pair(instance: Batch) -> Triple:
    a, b = instance["first"], instance["second"]
    cosine = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
    up, other = a.clamp(min=0), b.clamp(min=0)
    after = (up * other).sum(1) / (up.norm(dim=1) * other.norm(dim=1)).clamp(min=1e-30)
    return after, (1 - cosine**2).clamp(min=1e-30).sqrt(), torch.zeros_like(after)


def _enclose_pair(instance: Mapping[str, Any]) -> Triple:
    a, b = (exact_matrix(instance[name].reshape(1, -1)) for name in ("first", "second"))

    def inner(x: Any, y: Any) -> Any:
        return sum((p * q for p, q in zip(x, y)), start=fmpq(0))

    a, b = a.entries(), b.entries()
    if inner(a, b) >= 0:
        raise ValueError("the pair is not at an obtuse angle")
    up, other = ([max(v, fmpq(0)) for v in vector] for vector in (a, b))
    sizes = inner(up, up) * inner(other, other)
    after = ball(inner(up, other)) / ball(sizes).sqrt() if sizes > 0 else arb(0)
    return after, ball(1 - inner(a, b) ** 2 / (inner(a, a) * inner(b, b))).sqrt(), arb(0)


READOUT: Mapping[str, Attack] = {
    "U5-cosine": Attack(
        statement="U5: cos(a,b) = c < 0 ⇒ cos(a₊,b₊) ≤ √(1-c²)",
        draw=_draw_pair,
        build=_build_pair,
        measure=_measure_pair,
        enclose=_enclose_pair,
        options={"dimension": 4},
    ),
    "U6": feature_attack("U6: 1 - R² ≤ F/(K-1+F)", _measure_readout, _enclose_readout, counts=(4, 4, 4), dimension=4),
    "U7": Attack(
        statement="U7: singular values of weights beyond K are bounded by compression",
        draw=_draw_layer,
        build=_build_layer,
        measure=_measure_layer,
        enclose=_enclose_layer,
        options={"classes": 2, "samples_per_class": 4, "dimension": 4, "outputs": 3},
    ),
}
