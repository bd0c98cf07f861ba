"""U1 and U2: what the compression C says about the spectrum of any features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from flint import arb

from ..balls import eigenvalues
from .features import class_moments, covariance_matrix, exact_features, feature_attack
from .inequality import Attack, Batch, Triple

__all__ = ["RANK"]


def _measure_share(instance: Batch) -> Triple:
    Z, counts = instance["features"], instance["counts"]
    within, between, _, centres = class_moments(Z, counts)
    values = torch.linalg.eigvalsh(covariance_matrix(Z))
    share = values[:, -(centres.shape[1] - 1) :].sum(dim=1) / values.sum(dim=1)
    return share, 1 / (1 + within / between), torch.ones_like(share)


def _measure_stable_rank(instance: Batch) -> Triple:
    Z, counts = instance["features"], instance["counts"]
    within, between, _, centres = class_moments(Z, counts)
    covariance = covariance_matrix(Z)
    rank = covariance.diagonal(dim1=1, dim2=2).sum(1) / torch.linalg.eigvalsh(covariance)[:, -1]
    least = float(centres.shape[1] - 1)
    return rank, (1 + within / between) * least, torch.full_like(rank, least)


def _enclose_share(instance: Mapping[str, Any]) -> Triple:
    found = exact_features(instance)
    values = eigenvalues(found.covariance())
    top = sum(values[-(len(found.counts) - 1) :], start=arb(0))
    total = arb(found.within + found.between)
    return top / total, arb(found.between / (found.within + found.between)), arb(1)


def _enclose_stable_rank(instance: Mapping[str, Any]) -> Triple:
    found = exact_features(instance)
    least = len(found.counts) - 1
    rank = arb(found.within + found.between) / eigenvalues(found.covariance())[-1]
    return rank, arb((1 + found.within / found.between) * least), arb(least)


RANK: Mapping[str, Attack] = {
    "U1": feature_attack("U1: the top K-1 components hold ≥ 1/(1+C)", _measure_share, _enclose_share),
    "U2": feature_attack("U2: stable rank ≤ (1+C)(K-1)", _measure_stable_rank, _enclose_stable_rank),
}
