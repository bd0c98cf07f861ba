"""Y3: the few numbers of the data that training needs; no step depends on the number of samples beyond them.

With the economical factorisation `X = U S Vᵀ` (columns are samples, rank m) the loss is

    ‖W X - Y/α‖²_F = ‖W F - T‖²_F + const,    F = U S (d × m),    T = (Y/α) V (K × m),

and the constant, what no linear map can fit, takes no part in training. The excess is computed from `W F - T` itself:
from `X Xᵀ` and `Y Xᵀ` it would cancel (theory note, Y3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import scipy.linalg
from jaxtyping import Float

from pnc.data import Problem
from pnc.spec import NetworkSpec
from pnc.theory import SIGNAL_MARGIN

__all__ = ["EconomicalData", "economical", "orthogonal_triangular"]

_GRAM_SAMPLES = 512  # fewer samples are decomposed at once as they are
_GRAM_SPREAD = 100.0  # of the Gram matrix's eigenvalues, up to which it takes the place of the inputs


@dataclass(frozen=True, eq=False)
class EconomicalData:
    """Data and targets of a linear network in the coordinates of the data's own span.

    Args:
        basis: (d, m) orthonormal basis U of the span of the inputs.
        scale: (m,) singular values of the data, S, decreasing.
        target: (K, m) T = (Y/α) V.
        signal_left: (K, r) left singular vectors of the minimum-norm map M that count as signal, s > ε^L (T3).
        signal_values: (r,) singular values s of M that count as signal, decreasing.
        samples: N.
    """

    basis: Float[np.ndarray, "d m"]
    scale: Float[np.ndarray, " m"]
    target: Float[np.ndarray, "K m"]
    signal_left: Float[np.ndarray, "K r"]
    signal_values: Float[np.ndarray, " r"]
    samples: int


def orthogonal_triangular(
    matrix: Float[np.ndarray, "rows columns"], *, mode: Literal["economic", "full"] = "economic"
) -> tuple[np.ndarray, np.ndarray]:
    """Q and R of a matrix of finite numbers."""
    found = scipy.linalg.qr(matrix, mode=mode, check_finite=False)
    return cast("tuple[np.ndarray, np.ndarray]", found)  # SciPy's one function gives one, two or three by its options


def _span(X: Float[np.ndarray, "N d"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Singular value decomposition of `X` as (V, S, Uᵀ), cut at its numerical rank.

    Of many samples that are close to orthonormal, from their Gram matrix: squaring their singular values then costs two
    digits at most, and the decomposition takes a fifth of the time.
    """
    samples, dimension = X.shape
    if _GRAM_SAMPLES <= samples < dimension:
        squares, left = np.linalg.eigh(X @ X.T)
        if squares[-1] <= _GRAM_SPREAD * squares[0]:
            left, scale = left[:, ::-1], np.sqrt(squares[::-1])
            return left, scale, (left / scale).T @ X
    if samples > 4 * dimension:  # tall: the triangular factor first, so that the decomposition is d × d
        q, triangle = orthogonal_triangular(X)
        left, scale, right = scipy.linalg.svd(triangle, full_matrices=False, check_finite=False)
        left = q @ left
    else:
        left, scale, right = scipy.linalg.svd(X, full_matrices=False, check_finite=False)
    rank = int(np.count_nonzero(scale > scale[0] * max(X.shape) * np.finfo(np.float64).eps))
    return left[:, :rank], scale[:rank], right[:rank]


def economical(problem: Problem, network: NetworkSpec) -> EconomicalData:
    """The economical factor of a problem's data and targets (theory note, Y3).

    A singular value s of the minimum-norm map counts as signal when it exceeds ε^L by `SIGNAL_MARGIN`: below that, the
    initial weights cannot tell it from a residual direction (T3).

    >>> from pnc.data import Problem
    >>> data = economical(Problem(X=np.eye(4), y=[0, 0, 1, 1]), NetworkSpec(depth=3))
    >>> data.signal_values.round(6).tolist()
    [1.414214, 1.414214]
    """
    left, scale, right = _span(problem.X)
    target = np.empty((problem.classes, scale.size))
    for k in range(problem.classes):
        target[k] = left[problem.y == k].sum(axis=0)
    target /= network.label_scale
    rounding = max(target.shape) * np.finfo(np.float64).eps * scale[0] / scale[-1]
    signal_left, values, _ = np.linalg.svd(target / scale, full_matrices=False)
    floor = max(SIGNAL_MARGIN * network.residual_scale**network.depth, 8 * rounding * values[0])
    rank = int(np.count_nonzero(values > floor))
    return EconomicalData(
        basis=right.T,
        scale=scale,
        target=target,
        signal_left=signal_left[:, :rank],
        signal_values=values[:rank],
        samples=problem.samples,
    )
