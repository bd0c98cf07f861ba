"""U3 and U4: the nearest-centre error of any features, also after projection, and the gap between class means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from flint import acb_mat, arb, arb_mat, fmpq

from .exact import largest_cosine_ball
from .features import (
    ExactFeatures,
    class_moments,
    class_sizes,
    covariance_matrix,
    exact_features,
    feature_attack,
    squared_distance,
)
from .inequality import Attack, Batch, Triple
from .tensors import largest_cosine, pairs

__all__ = ["SEPARABILITY"]

_TEMPERATURE = 0.03  # of the smooth stand-in for the count of errors, in units of the smallest gap


def _errors(points: Any, counts: str, *, temperature: float) -> Any:
    """Share of samples at least as near to another class's centre; smoothed above temperature 0."""
    sizes = class_sizes(counts)
    _, _, _, centres = class_moments(points, counts)
    squared = ((points[:, :, None, :] - centres[:, None, :, :]) ** 2).sum(dim=3)
    own = torch.nn.functional.one_hot(torch.arange(len(sizes)).repeat_interleave(sizes)).bool()
    mine = squared[:, own].reshape(len(points), -1)
    nearest = squared.masked_fill(own, torch.inf).amin(dim=2)
    if temperature == 0:
        return (mine >= nearest).double().mean(dim=1)
    scale = _smallest_gap(centres)[:, None]
    return torch.sigmoid((mine - nearest) / (temperature * scale) - 2).mean(dim=1)


def _gaps(centres: Any) -> Any:
    return pairs(((centres[:, :, None, :] - centres[:, None, :, :]) ** 2).sum(dim=3))


def _smallest_gap(centres: Any) -> Any:
    """Δ²."""
    return _gaps(centres).amin(dim=1)


def _measure_error(temperature: float) -> Callable[[Batch], Triple]:
    def measure(instance: Batch) -> Triple:
        Z, counts = instance["features"], instance["counts"]
        within, _, _, centres = class_moments(Z, counts)
        error = _errors(Z, counts, temperature=temperature)
        return error, 4 * within / _smallest_gap(centres), error.new_zeros(error.shape)

    return measure


def _measure_error_norms(temperature: float) -> Callable[[Batch], Triple]:
    def measure(instance: Batch) -> Triple:
        Z, counts = instance["features"], instance["counts"]
        within, between, _, centres = class_moments(Z, counts)
        weights = class_sizes(counts).double() / Z.shape[1]
        norms = (centres**2).sum(dim=2)
        D = 1 - largest_cosine(centres @ centres.mT)
        bound = 2 * within / between / D * (weights * norms).sum(dim=1) / norms.amin(dim=1)
        error = _errors(Z, counts, temperature=temperature)
        return error, torch.where(D > 0, bound, torch.inf), torch.zeros_like(error)

    return measure


def _measure_gap(instance: Batch) -> Triple:
    _, _, _, centres = class_moments(instance["features"], instance["counts"])
    D = 1 - largest_cosine(centres @ centres.mT)
    value = 2 * (centres**2).sum(dim=2).amin(dim=1) * D
    return value, _smallest_gap(centres), torch.zeros_like(value)


def _measure_projected(temperature: float) -> Callable[[Batch], Triple]:
    def measure(instance: Batch) -> Triple:
        Z, counts = instance["features"], instance["counts"]
        within, _, _, centres = class_moments(Z, counts)
        top = torch.linalg.eigh(covariance_matrix(Z)).eigenvectors[:, :, -(centres.shape[1] - 1) :]
        error = _errors(Z @ top, counts, temperature=temperature)
        inverse = Z.shape[1] / class_sizes(counts).double()
        inverse_sums = pairs((inverse[:, None] + inverse[None, :]).expand(len(Z), -1, -1))
        bracket = (_gaps(centres) - within[:, None] * inverse_sums).amin(dim=1)
        bound = torch.where(bracket > 0, 4 * within / bracket.clamp(min=1e-300), torch.inf)
        return error, bound, torch.zeros_like(error)

    return measure


def _count_errors(points: Any, centres: Any, counts: tuple[int, ...]) -> Any:
    """Share of samples not certainly nearer to their own centre than to every other: ties count as errors."""
    wrong, i = 0, 0
    for own, n in enumerate(counts):
        for _ in range(n):
            mine = squared_distance(points, i, centres, own)
            others = (squared_distance(points, i, centres, k) for k in range(len(counts)) if k != own)
            wrong += not all(mine < other for other in others)
            i += 1
    return arb(wrong) / i


def _enclose_error(instance: Mapping[str, Any]) -> Triple:
    found = exact_features(instance)
    K = len(found.counts)
    gap = min(found.gap(i, j) for i in range(K) for j in range(i))
    return _count_errors(found.features, found.centres, found.counts), arb(4 * found.within / gap), arb(0)


def _exact_discrimination(found: ExactFeatures) -> tuple[Any, list[Any]]:
    centres = arb_mat(found.centres)
    gram = centres * centres.transpose()
    exact = found.centres * found.centres.transpose()
    return 1 - largest_cosine_ball(gram), [exact[k, k] for k in range(len(found.counts))]


def _enclose_error_norms(instance: Mapping[str, Any]) -> Triple:
    found = exact_features(instance)
    D, norms = _exact_discrimination(found)
    weighted = sum((n * norm for n, norm in zip(found.counts, norms)), start=fmpq(0)) / found.samples
    bound = arb(2 * found.within / found.between * weighted / min(norms)) / D
    return _count_errors(found.features, found.centres, found.counts), bound, arb(0)


def _enclose_gap(instance: Mapping[str, Any]) -> Triple:
    found = exact_features(instance)
    K = len(found.counts)
    D, norms = _exact_discrimination(found)
    return 2 * arb(min(norms)) * D, arb(min(found.gap(i, j) for i in range(K) for j in range(i))), arb(0)


def _enclose_projected(instance: Mapping[str, Any]) -> Triple:
    found = exact_features(instance)
    K = len(found.counts)
    covariance = found.covariance()
    values, vectors = acb_mat(arb_mat(covariance)).eig(right=True)
    order = sorted(range(len(values)), key=lambda i: float(values[i].real.mid()))
    size = covariance.nrows()
    keep = acb_mat(size, size)
    for i in order[-(K - 1) :]:
        keep[i, i] = 1
    projection = (vectors * keep * vectors.inv()).real
    error = _count_errors(arb_mat(found.features) * projection, arb_mat(found.centres) * projection, found.counts)
    bracket = min(
        found.gap(i, j) - found.within * (fmpq(found.samples, found.counts[i]) + fmpq(found.samples, found.counts[j]))
        for i in range(K)
        for j in range(i)
    )
    return error, arb(4 * found.within / bracket), arb(0)


SEPARABILITY: Mapping[str, Attack] = {
    "U3": feature_attack(
        "U3: nearest-centre error ≤ 4 tr Σ_W/Δ²",
        _measure_error(0),
        _enclose_error,
        soften=_measure_error(_TEMPERATURE),
        counts=(6, 6, 6),
    ),
    "U3-gap": feature_attack("U3: Δ² ≥ 2 min‖μ_k‖² D", _measure_gap, _enclose_gap),
    "U3-norms": feature_attack(
        "U3: nearest-centre error ≤ 2 (C/D) Σ p_k‖μ_k‖²/min‖μ_k‖²",
        _measure_error_norms(0),
        _enclose_error_norms,
        soften=_measure_error_norms(_TEMPERATURE),
        counts=(6, 6, 6),
    ),
    "U4": feature_attack(
        "U4: error after projection ≤ 4 tr Σ_W / min[‖μ_k-μ_k'‖² - tr Σ_W (1/p_k + 1/p_k')]",
        _measure_projected(0),
        _enclose_projected,
        soften=_measure_projected(_TEMPERATURE),
        counts=(6, 6, 6),
        compression=(0.02, 0.5),
    ),
}
