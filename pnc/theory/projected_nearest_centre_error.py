"""U4: the error of the nearest class centre after projection to the top K-1 principal components."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError

__all__ = ["projected_nearest_centre_error_bound"]


def projected_nearest_centre_error_bound(
    within_scatter: float, class_means: Float[np.ndarray, "K d"], priors: Float[np.ndarray, " K"]
) -> float:
    """Nearest-centre error in the top K-1 principal components of centred features (theory note, U4).

    `4 tr Σ_W / min_{k≠k'} [‖μ_k-μ_k'‖² - tr Σ_W (1/p_k + 1/p_k')]`, where the bracket is positive for every
    pair: by Ky Fan the components lose at most tr Σ_W of the variance, so at most `tr Σ_W (1/p_k + 1/p_k')`
        of a squared distance.

    Args:
        within_scatter: tr Σ_W, squared feature norm.
        class_means: (K, d).
        priors: (K,) p_k = n_k/N.

    Returns:
        A share, at most 1 (1: nothing is said).

    Raises:
        InvalidInputError: not one prior a class, or fewer than two means.

    >>> round(projected_nearest_centre_error_bound(0.01, np.eye(2), np.array([0.5, 0.5])), 6)
    0.020408
    """
    means, p = np.asarray(class_means, dtype=np.float64), np.asarray(priors, dtype=np.float64)
    if means.ndim != 2 or means.shape[0] < 2 or p.shape != means.shape[:1]:
        raise InvalidInputError(
            got=f"class means of shape {means.shape} and priors of shape {p.shape}",
            expected="shapes (K, d) and (K,) with K ≥ 2",
            next_step="give one row and one prior a class",
        )
    first, second = np.triu_indices(means.shape[0], 1)
    distances = np.sum((means[first] - means[second]) ** 2, axis=1)
    left = float(np.min(distances - within_scatter * (1 / p[first] + 1 / p[second])))
    return min(1.0, 4 * within_scatter / left) if left > 0 else 1.0
