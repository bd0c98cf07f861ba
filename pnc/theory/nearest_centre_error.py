"""U3: the error of the nearest class centre, bounded by scatter, distances of means, and C and D."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError

__all__ = ["nearest_centre_error_bound", "nearest_centre_error_bound_from_curve", "smallest_separation_bound"]


def nearest_centre_error_bound(within_scatter: float, class_means: Float[np.ndarray, "K d"]) -> float:
    """Share of samples that are nearer to another class's mean, at most `4 tr Σ_W/Δ²` (theory note, U3).

    `Δ = min_{k≠k'} ‖μ_k - μ_k'‖`. A sample is safe within Δ/2 of its own mean (Chebyshev). Any features.

    Args:
        within_scatter: tr Σ_W, squared feature norm.
        class_means: (K, d).

    Returns:
        A share, at most 1 (1: nothing is said, also where two means coincide).

    Raises:
        InvalidInputError: fewer than two means.

    >>> nearest_centre_error_bound(0.01, np.eye(2))
    0.02
    """
    means = np.asarray(class_means, dtype=np.float64)
    if means.ndim != 2 or means.shape[0] < 2:
        raise InvalidInputError(
            got=f"class means of shape {means.shape}",
            expected="shape (K, d) with K ≥ 2",
            next_step="give one row a class",
        )
    pairs = np.triu_indices(means.shape[0], 1)
    nearest = float(np.min(np.sum((means[pairs[0]] - means[pairs[1]]) ** 2, axis=1)))
    return min(1.0, 4 * within_scatter / nearest) if nearest > 0 else 1.0


def smallest_separation_bound(discrimination: float, smallest_mean_norm: float) -> float:
    """Lower bound on Δ², `2 min_k ‖μ_k‖² D` (theory note, U3), squared feature norm.

    >>> smallest_separation_bound(1.0, 2.0)
    8.0
    """
    return 2 * smallest_mean_norm**2 * discrimination


def nearest_centre_error_bound_from_curve(
    compression: float,
    discrimination: float,
    mean_norms: Float[np.ndarray, " K"],
    priors: Float[np.ndarray, " K"],
) -> float:
    """Nearest-centre error from C and D, at most `2 (C/D) Σ_k p_k ‖μ_k‖² / min_k ‖μ_k‖²` (theory note, U3).

    C and D alone do not bound it: the norms of the means enter.

    Args:
        mean_norms: (K,) ‖μ_k‖.
        priors: (K,) p_k = n_k/N.

    Returns:
        A share, at most 1 (1: nothing is said).

    >>> round(nearest_centre_error_bound_from_curve(0.01, 1.0, np.ones(3), np.full(3, 1 / 3)), 12)
    0.02
    """
    squares = np.asarray(mean_norms, dtype=np.float64) ** 2
    if not (discrimination > 0 and squares.min() > 0):
        return 1.0
    spread = float(np.asarray(priors) @ squares / squares.min())
    return min(1.0, 2 * compression / discrimination * spread)
