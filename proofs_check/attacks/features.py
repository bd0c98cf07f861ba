"""Free features with a drawn compression C, for U1 to U4, and their moments: batched floats and exact rationals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from flint import fmpq, fmpq_mat

from .exact import exact_matrix
from .inequality import Attack, Batch, Triple
from .tensors import normal, uniform

__all__ = [
    "ExactFeatures",
    "class_moments",
    "class_sizes",
    "covariance_matrix",
    "exact_features",
    "feature_attack",
    "squared_distance",
]


def _draw_features(options: Mapping[str, Any], restarts: int, generator: Any) -> Batch:
    """Free class means and deviations, and a C for each restart."""
    counts = options["counts"]
    K, N, d = len(counts), sum(counts), options["dimension"]
    return {
        "raw_means": normal(restarts, K, d, generator=generator),
        "raw_within": normal(restarts, N, d, generator=generator),
        "compression": uniform(np.log(options["compression"]), restarts, generator).exp(),
        "counts": ",".join(str(n) for n in counts),
    }


def _build_features(point: Batch) -> Batch:
    """Features with the drawn C: the within part is scaled to it."""
    within = point["raw_within"]
    parts = class_moments(within, point["counts"])
    deviations = within - parts[2]
    spread = class_moments(point["raw_means"].repeat_interleave(class_sizes(point["counts"]), dim=1), point["counts"])
    scale = (point["compression"] * spread[1] / (deviations**2).sum(dim=(1, 2)) * within.shape[1]).sqrt()
    features = point["raw_means"].repeat_interleave(class_sizes(point["counts"]), dim=1)
    return {"features": features + scale[:, None, None] * deviations, "counts": point["counts"]}


def class_sizes(counts: str) -> Any:
    """Samples in each class, from "3,4,5"."""
    return torch.tensor([int(n) for n in counts.split(",")])


def class_moments(features: Any, counts: str) -> tuple[Any, Any, Any, Any]:
    """tr Σ_W, tr Σ_B, each sample's class mean (N rows) and the class means (K rows)."""
    sizes = class_sizes(counts)
    N = features.shape[1]
    means = [part.mean(dim=1, keepdim=True) for part in features.split(sizes.tolist(), dim=1)]
    centres = torch.cat(means, dim=1)
    spread_out = centres.repeat_interleave(sizes, dim=1)
    overall = features.mean(dim=1, keepdim=True)
    within = ((features - spread_out) ** 2).sum(dim=(1, 2)) / N
    between = ((spread_out - overall) ** 2).sum(dim=(1, 2)) / N
    return within, between, spread_out, centres


def covariance_matrix(features: Any) -> Any:
    """Covariance matrix of centred features."""
    centred = features - features.mean(dim=1, keepdim=True)
    return centred.mT @ centred / features.shape[1]


@dataclass(frozen=True, kw_only=True)
class ExactFeatures:
    """Moments of exact rational features, samples in rows."""

    features: Any
    counts: tuple[int, ...]
    centres: Any
    within: Any
    between: Any

    @property
    def samples(self) -> int:
        """N."""
        return sum(self.counts)

    def gap(self, i: int, j: int) -> Any:
        """‖μ_i - μ_j‖²."""
        return squared_distance(self.centres, i, self.centres, j)

    def covariance(self) -> Any:
        """Σ_W + Σ_B."""
        N = self.samples
        flat = fmpq_mat(N, N, [fmpq(1, N)] * (N * N))
        centred = self.features - flat * self.features
        return centred.transpose() * centred * fmpq(1, N)


def squared_distance(left: Any, i: int, right: Any, j: int) -> Any:
    """‖row i of left - row j of right‖², exact or enclosed."""
    terms = ((left[i, a] - right[j, a]) ** 2 for a in range(left.ncols()))
    total = next(terms)
    for term in terms:
        total = total + term
    return total


def exact_features(instance: Mapping[str, Any]) -> ExactFeatures:
    """An instance's features and their moments as rational numbers."""
    counts = tuple(int(n) for n in str(instance["counts"]).split(","))
    Z = exact_matrix(instance["features"])
    N, K = sum(counts), len(counts)
    labels = [k for k, n in enumerate(counts) for _ in range(n)]
    average = fmpq_mat(K, N, [fmpq(int(labels[i] == k), counts[k]) for k in range(K) for i in range(N)])
    centres = average * Z
    overall = fmpq_mat(1, N, [fmpq(1, N)] * N) * Z
    within = sum((squared_distance(Z, i, centres, labels[i]) for i in range(N)), start=fmpq(0)) / N
    between = sum((n * squared_distance(centres, k, overall, 0) for k, n in enumerate(counts)), start=fmpq(0)) / N
    return ExactFeatures(features=Z, counts=counts, centres=centres, within=within, between=between)


def feature_attack(
    statement: str,
    measure: Callable[[Batch], Triple],
    enclose: Callable[[Mapping[str, Any]], Triple],
    *,
    soften: Callable[[Batch], Triple] | None = None,
    **options: Any,
) -> Attack:
    """An attack over free features of given class sizes."""
    return Attack(
        statement=statement,
        draw=_draw_features,
        build=_build_features,
        measure=measure,
        enclose=enclose,
        soften=soften,
        options={"counts": (3, 4, 5), "dimension": 5, "compression": (0.05, 5.0), **options},
    )
