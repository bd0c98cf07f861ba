"""Ranks of features, from their singular values: five definitions that the literature calls rank."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from pnc.errors import InvalidInputError
from pnc.measure.arrays import as_matrix, check_finite

__all__ = [
    "effective_rank",
    "numerical_rank",
    "singular_values",
    "stable_rank",
    "threshold_rank",
    "variance_rank",
]


def singular_values(features: Any, *, centred: bool = False) -> Float[np.ndarray, " r"]:
    """Singular values of (N, …) features, flattened to (N, d); decreasing, r = min(N, d), feature norm.

    Args:
        features: NumPy array or torch tensor.
        centred: subtract the mean over samples first (U1 and U2 are about centred features, the paper's rank
            is not).

    Raises:
        InvalidInputError: not (N, …) real numbers, or NaN or infinite entries.

    >>> singular_values([[3.0, 0.0], [0.0, 4.0]]).tolist()
    [4.0, 3.0]
    """
    x = as_matrix(features)
    check_finite(x)
    x = x.to(torch.float64)
    if centred:
        x = x - x[:1]  # the mean of differences: a large common mean costs no digits
        x = x - x.mean(0)
    return torch.linalg.svdvals(x).cpu().numpy()


def _checked(singular: Any) -> np.ndarray:
    singular = np.sort(np.asarray(singular, dtype=np.float64))[::-1]
    if singular.ndim != 1 or singular.size == 0 or not np.isfinite(singular).all() or singular[-1] < 0:
        raise InvalidInputError(
            got=f"singular values of shape {singular.shape}, some perhaps negative or not finite",
            expected="at least one, all finite and not negative",
            next_step="pass what singular_values returned",
        )
    return singular


def _share_rank(weights: np.ndarray, share: float) -> int:
    if not 0 < share <= 1:
        raise InvalidInputError(
            got=f"share = {share}", expected="a share in (0, 1]", next_step="pass for instance 0.95"
        )
    total = np.cumsum(weights)
    if total[-1] == 0:
        return 0
    # a share that is met exactly must not be missed by the rounding of the cumulative sum
    slack = weights.size * np.finfo(np.float64).eps
    return int(np.argmax(total >= share * total[-1] * (1 - slack))) + 1


def numerical_rank(singular: Float[np.ndarray, " r"], *, share: float = 0.95) -> int:
    """The fewest singular values that hold a share of Σσ: the paper's numerical rank (of uncentred features).

    Raises:
        InvalidInputError: singular values that are negative or not finite, a share outside (0, 1].

    >>> numerical_rank([4.0, 3.0, 2.0, 1.0], share=0.7)
    2
    """
    return _share_rank(_checked(singular), share)


def variance_rank(singular: Float[np.ndarray, " r"], *, share: float = 0.95) -> int:
    """The fewest singular values that hold a share of Σσ² (theory note, U1, for centred features).

    Raises:
        InvalidInputError: singular values that are negative or not finite, a share outside (0, 1].

    >>> variance_rank([4.0, 3.0, 2.0, 1.0], share=0.8)
    2
    """
    return _share_rank(_checked(singular) ** 2, share)


def stable_rank(singular: Float[np.ndarray, " r"]) -> float:
    """Σσ²/σ_1² = ‖Z‖_F²/‖Z‖₂² (theory note, U2, for centred features); NaN where all are zero.

    Raises:
        InvalidInputError: singular values that are negative or not finite.

    >>> stable_rank([2.0, 1.0, 1.0])
    1.5
    """
    singular = _checked(singular)
    return float(np.sum((singular / singular[0]) ** 2)) if singular[0] > 0 else float("nan")


def effective_rank(singular: Float[np.ndarray, " r"]) -> float:
    """exp(-Σ q log q), q = σ/Σσ (Roy and Vetterli 2007); NaN where all are zero.

    Raises:
        InvalidInputError: singular values that are negative or not finite.

    >>> round(effective_rank([1.0, 1.0, 1.0, 0.0]), 12)
    3.0
    """
    singular = _checked(singular)
    q = singular[singular > 0] / max(singular.sum(), np.finfo(np.float64).tiny)
    return float(np.exp(-np.sum(q * np.log(q)))) if q.size else float("nan")


def threshold_rank(singular: Float[np.ndarray, " r"], *, threshold: float = 1e-3) -> int:
    """The number of singular values above a share of the largest (Masarczyk et al. 2023: 1e-3, of a
    covariance).

    Raises:
        InvalidInputError: singular values that are negative or not finite, a threshold outside [0, 1).

    >>> threshold_rank([1.0, 0.5, 1e-4])
    2
    """
    if not 0 <= threshold < 1:
        raise InvalidInputError(
            got=f"threshold = {threshold}", expected="0 ≤ threshold < 1", next_step="pass for instance 1e-3"
        )
    singular = _checked(singular)
    return int(np.count_nonzero(singular > threshold * singular[0]))
