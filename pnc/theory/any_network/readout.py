"""U6: how well a linear readout does, from class moments alone."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError

__all__ = ["readout_error", "readout_error_bound"]


def readout_error(
    within_covariance: Float[np.ndarray, "d d"], between_covariance: Float[np.ndarray, "d d"], *, classes: int
) -> float:
    """`1 - R²` of least squares of centred one-hot labels on centred features, equal classes (theory note, U6).

        R² = tr((Σ_W + Σ_B)⁺ Σ_B)/(K-1)

    Args:
        within_covariance: (d, d) Σ_W.
        between_covariance: (d, d) Σ_B.
        classes: K.

    Raises:
        InvalidInputError: fewer than 2 classes or shapes that do not fit.

    >>> round(readout_error(np.eye(2), np.diag([3.0, 0.0]), classes=2), 12)
    0.25
    """
    W, B = np.asarray(within_covariance, dtype=float), np.asarray(between_covariance, dtype=float)
    if classes < 2 or W.ndim != 2 or W.shape != B.shape or W.shape[0] != W.shape[1]:
        raise InvalidInputError(
            got=f"covariances {W.shape} and {B.shape}, {classes} classes",
            expected="two (d, d) matrices and at least 2 classes",
            next_step="pass Σ_W and Σ_B of the same layer",
        )
    return 1 - float(np.trace(np.linalg.pinv(W + B, hermitian=True) @ B)) / (classes - 1)


def readout_error_bound(separation_fuzziness: float, *, classes: int) -> float:
    """The most that `1 - R²` of the least-squares readout can be: `F/(K-1+F)` (theory note, U6).

    Equal classes, class means of rank K-1; attained.

    Args:
        separation_fuzziness: F = tr(Σ_W Σ_B⁺).
        classes: K.

    Raises:
        InvalidInputError: a negative F or fewer than 2 classes.

    >>> readout_error_bound(1.0, classes=3)
    0.3333333333333333
    """
    if classes < 2 or not (math.isfinite(separation_fuzziness) and separation_fuzziness >= 0):
        raise InvalidInputError(
            got=f"separation_fuzziness = {separation_fuzziness}, {classes} classes",
            expected="a finite number of 0 or more and at least 2 classes",
            next_step="leave out layers at which the class means coincide",
        )
    return separation_fuzziness / (classes - 1 + separation_fuzziness)
