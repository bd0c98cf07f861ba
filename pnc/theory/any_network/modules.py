"""U5 and RL5: what each module of a network can do to the scatters of its features."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError

__all__ = ["attributed_compression", "linear_within_factor", "rectified_cosine_bound", "sum_scatter_bound"]


def attributed_compression(
    within_scatter: Float[np.ndarray, " S"], between_scatter: Float[np.ndarray, " S"]
) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Each module's share of log C, from the scatters at S = M + 1 sites along a path (theory note, U5).

        log C_out - log C_in = Σ_modules (Δ log tr Σ_W - Δ log tr Σ_B)

    Args:
        within_scatter: (S,) tr Σ_W before the first module and after each.
        between_scatter: (S,) tr Σ_B there.

    Returns:
        Δ log tr Σ_W and -Δ log tr Σ_B of each module, (M,) each; their sums over all modules are log C_out/C_in.

    Raises:
        InvalidInputError: arrays of different lengths or fewer than two sites, or a scatter that is not above 0.

    >>> within, between = attributed_compression(np.array([2.0, 1.0, 0.5]), np.array([1.0, 1.0, 4.0]))
    >>> bool(np.isclose(within.sum() + between.sum(), np.log(0.125 / 2)))
    True
    """
    within, between = np.asarray(within_scatter, dtype=float), np.asarray(between_scatter, dtype=float)
    usable = within.ndim == 1 and within.shape == between.shape and within.size >= 2
    if not usable or not (np.all(within > 0) and np.all(between > 0)):
        raise InvalidInputError(
            got=f"scatters {within.tolist()} and {between.tolist()}",
            expected="as many of one as of the other, at least two, all above 0",
            next_step="leave out sites at which a scatter has vanished",
        )
    return np.diff(np.log(within)), -np.diff(np.log(between))


def linear_within_factor(weights: Float[np.ndarray, "out in"], within_covariance: Float[np.ndarray, "in in"]) -> float:
    """What a linear map multiplies tr Σ_W by: `tr(W Σ_W Wᵀ)/tr Σ_W`, at most ‖W‖₂² (theory note, U5).

    Args:
        weights: (out, in) W.
        within_covariance: (in, in) Σ_W of its input.

    Raises:
        InvalidInputError: shapes that do not fit, or Σ_W = 0.

    >>> linear_within_factor(np.diag([2.0, 0.0]), np.diag([1.0, 3.0]))
    1.0
    """
    W, S = np.asarray(weights, dtype=float), np.asarray(within_covariance, dtype=float)
    if W.ndim != 2 or S.shape != (W.shape[1],) * 2 or not np.trace(S) > 0:
        raise InvalidInputError(
            got=f"weights {W.shape} and a covariance {S.shape}",
            expected="(out, in) and (in, in), the covariance not 0",
            next_step="pass the within-class covariance of what the layer takes in",
        )
    return float(np.sum((W @ S) * W) / np.trace(S))


def sum_scatter_bound(first: float, second: float) -> float:
    """The most that tr Σ_W (or tr Σ_B) of a sum u + v can be: `(√S(u) + √S(v))²` (theory note, U5).

    >>> sum_scatter_bound(4.0, 1.0)
    9.0
    """
    if not (first >= 0 and second >= 0):
        raise InvalidInputError(
            got=f"scatters {first} and {second}", expected="two numbers of 0 or more", next_step="pass traces of Σ"
        )
    return (math.sqrt(first) + math.sqrt(second)) ** 2


def rectified_cosine_bound(cosine: float) -> float:
    """The largest cosine that two vectors can have after ReLU: `√(1-c²)` for c < 0, 1 for c ≥ 0 (theory note, RL5).

    The smallest is 0 in every case. Both are attained.

    >>> round(rectified_cosine_bound(-0.6), 12), rectified_cosine_bound(0.3)
    (0.8, 1.0)
    """
    if not -1 <= cosine <= 1:
        raise InvalidInputError(
            got=f"cosine = {cosine}", expected="a number from -1 to 1", next_step="divide by the norms"
        )
    return math.sqrt(1 - cosine**2) if cosine < 0 else 1.0
