"""U1: how much of the variance the top K-1 principal components hold, from compression alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError

__all__ = ["variance_rank_bound", "variance_share_bound"]


def variance_share_bound(compression: float | Float[np.ndarray, " L"]) -> float | Float[np.ndarray, " L"]:
    """Share of the variance of centred features that their top K-1 principal components hold at least (theory
    note, U1).

    `share ≥ 1/(1 + C)`, because the range of Σ_B has at most K-1 dimensions and holds `tr Σ_B` of
    `tr Σ_W + tr Σ_B` there (Ky Fan). Any features; C with sample weights.

    Args:
        compression: C, one or one a layer, dimensionless.

    Raises:
        InvalidInputError: a negative C.

    >>> variance_share_bound(0.25)
    0.8
    """
    C = np.asarray(compression, dtype=np.float64)
    if np.any(C < 0):
        raise InvalidInputError(got=f"compression {C.tolist()}", expected="C ≥ 0", next_step="check where C comes from")
    share = 1 / (1 + C)
    return float(share) if share.ndim == 0 else share


def variance_rank_bound(compression: float, classes: int, *, share: float = 0.95) -> int | None:
    """Upper bound on the number of principal components that hold a share τ of the variance (theory note,
    U1).

    K-1 once `C ≤ (1-τ)/τ`; `None` where C is too large to say anything.

    Args:
        share: τ in (0, 1].

    Raises:
        InvalidInputError: a negative C, or τ outside (0, 1].

    >>> variance_rank_bound(0.05, 10), variance_rank_bound(0.06, 10)
    (9, None)
    """
    if not 0 < share <= 1:
        raise InvalidInputError(
            got=f"share = {share}", expected="a share in (0, 1]", next_step="pass for instance 0.95"
        )
    return classes - 1 if variance_share_bound(compression) >= share else None
