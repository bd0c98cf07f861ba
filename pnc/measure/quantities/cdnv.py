"""Class-distance normalised variance of features, from their class moments."""

from __future__ import annotations

import torch

from pnc.measure.accumulate.moments import ClassMoments

__all__ = ["class_distance_normalised_variance"]


def class_distance_normalised_variance(moments: ClassMoments) -> float:
    """CDNV, the mean over pairs k ≠ k' of (v_k + v_k') / (2 ‖μ_k - μ_k'‖²); dimensionless.

    v_k is the mean squared distance of class k from its mean (Galanti, György and Hutter 2022). NaN where two
    means coincide or a class has no sample.

    >>> moments = ClassMoments(classes=2, dimension=1).update([[0.0], [2.0], [4.0], [6.0]], [0, 0, 1, 1])
    >>> class_distance_normalised_variance(moments)
    0.0625
    """
    if bool((moments.counts == 0).any()):
        return float("nan")
    variance = moments.squares / moments.counts
    # differences, not ‖μ‖² - 2 μ·μ' + ‖μ'‖²: distances between close means keep their digits
    distances = torch.cdist(moments.means, moments.means, compute_mode="donot_use_mm_for_euclid_dist").square()
    first, second = torch.triu_indices(moments.classes, moments.classes, offset=1, device=variance.device)
    spread, distance = variance[first] + variance[second], distances[first, second]
    unit = torch.finfo(torch.float64).eps
    largest = moments.means.square().sum(-1).amax()
    if bool((distance <= (8 * unit) ** 2 * largest).any()):
        return float("nan")
    return float((spread / (2 * distance)).mean())
