"""U2: the stable rank of centred features, bounded by compression."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError

__all__ = ["stable_rank_bound"]


def stable_rank_bound(compression: float | Float[np.ndarray, " L"], classes: int) -> float | Float[np.ndarray, " L"]:
    """Upper bound on the stable rank `‖Z-μ‖_F²/‖Z-μ‖₂²` of features, `(1 + C)(K - 1)` (theory note, U2).

    `‖Z-μ‖_F² = N (tr Σ_W + tr Σ_B)`, and `‖Z-μ‖₂² ≥ N ‖Σ_B‖₂ ≥ N tr Σ_B/(K-1)`. Any features; C with sample
    weights.

    Args:
        compression: C, one or one a layer, dimensionless.
        classes: K.

    Raises:
        InvalidInputError: a negative C.

    >>> stable_rank_bound(0.5, 3)
    3.0
    """
    C = np.asarray(compression, dtype=np.float64)
    if np.any(C < 0):
        raise InvalidInputError(got=f"compression {C.tolist()}", expected="C ≥ 0", next_step="check where C comes from")
    bound = (1 + C) * (classes - 1)
    return float(bound) if bound.ndim == 0 else bound
