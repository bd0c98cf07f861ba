"""Weights that satisfy A1–A3 exactly, for any hidden width that lets the labels through."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from pnc.data.problem import Problem
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec
from pnc.theory.signal import signal_modes

__all__ = ["exact_weights", "residual_projection_of"]


def exact_weights(problem: Problem, network: NetworkSpec, *, seed: int = 0) -> list[np.ndarray]:
    """Weights W_1…W_L with minimum norm, balance and one residual scale (theory note, section 1, A1–A3).

    `W_1 = O_1 [S^{1/L} Vᵀ; ε C]`, `W_l = O_l diag(S^{1/L}, ε I) O_{l-1}ᵀ`, `W_L = U S^{1/L} O_{L-1}ᵀ` on its
    first r columns, with Haar-random orthogonal O_l and rows C that complete Vᵀ: all of its complement when
    d_h ≥ d, a Haar-random part of d_h - r dimensions otherwise (`residual_projection_of` reads it back).
    Truncated directions are residual (T3).

    Args:
        network: width d_h ≥ r; `None` means d_h = max(d, K).
        seed: of the rotations.

    Returns:
        L arrays of shapes (d_h, d), (d_h, d_h), …, (K, d_h).

    Raises:
        InvalidInputError: a width below the number of signal directions.

    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> weights = exact_weights(problem, NetworkSpec(depth=3, width=5), seed=1)
    >>> np.allclose(weights[2] @ weights[1] @ weights[0] @ problem.X.T, [[1, 1, 0, 0], [0, 0, 1, 1]])  # A1
    True
    """
    modes, rng = signal_modes(problem, network), np.random.default_rng(seed)
    d, r = modes.right.shape
    width = max(d, problem.classes) if network.width is None else network.width
    scales = modes.values ** (1 / network.depth)
    ε = network.residual_scale
    rows = min(width, d)
    complement = _complement(modes.right) @ _haar(rng, d - r)[:, : rows - r]
    first = np.vstack([scales[:, None] * modes.right.T, ε * complement.T])
    rotation = _haar(rng, width)
    weights = [rotation[:, :rows] @ first]
    middle = np.concatenate([scales, np.full(width - r, ε)])
    for _ in range(network.depth - 2):
        turned = _haar(rng, width)
        weights.append((turned * middle) @ rotation.T)
        rotation = turned
    weights.append((modes.left * scales) @ rotation[:, :r].T)
    return weights


def residual_projection_of(
    weights: Sequence[np.ndarray], problem: Problem, network: NetworkSpec
) -> Float[np.ndarray, "m d"]:
    """Orthonormal rows spanning the residual directions that W_1 lets through (theory note, T1 for d_h < d).

    The right singular vectors of W_1 off the signal; Π is the projection onto them.

    Args:
        weights: W_1…W_L; only W_1, (d_1, d), is read.

    Returns:
        (m, d), m = min(d_1, d) - r, orthogonal to the signal directions.

    Raises:
        InvalidInputError: W_1 does not act on inputs of this dimension.

    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> network = NetworkSpec(depth=3, width=5)
    >>> residual_projection_of(exact_weights(problem, network), problem, network).shape
    (3, 6)
    """
    first, V = np.asarray(weights[0], dtype=np.float64), signal_modes(problem, network).right
    if first.ndim != 2 or first.shape[1] != V.shape[0]:
        raise InvalidInputError(
            got=f"W_1 of shape {first.shape}",
            expected=f"shape (d_1, {V.shape[0]})",
            next_step="pass the weights of a network for this problem, W_1 first",
        )
    off_signal = first - (first @ V) @ V.T
    return np.linalg.svd(off_signal, full_matrices=False)[2][: max(min(first.shape) - V.shape[1], 0)]


def _haar(rng: np.random.Generator, size: int) -> np.ndarray:
    """A Haar-random orthogonal matrix: QR of a Gaussian one with the signs of R's diagonal taken out."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)


def _complement(columns: np.ndarray) -> np.ndarray:
    """(d, d - r) orthonormal basis of the complement of r orthonormal columns."""
    return np.linalg.qr(columns, mode="complete")[0][:, columns.shape[1] :]
