"""T2 and T3: discrimination of every layer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pnc.theory.compression import mean_squares, within_scatter
from pnc.theory.layer_statistics import LayerStatistics

__all__ = ["discrimination", "discrimination_of_gram"]


def discrimination_of_gram(gram: Float[np.ndarray, "K K"]) -> float:
    """Discrimination of class means with Gram matrix Q, `D = 1 - max_{k≠k'} Q_kk' / √(Q_kk Q_k'k')` (theory
    note, T2).

    The means are not centred. NaN where a class mean is zero: its direction is undefined.

    Args:
        gram: (K, K), squared feature norm.

    >>> discrimination_of_gram(np.array([[1.0, 0.5], [0.5, 1.0]]))
    0.5
    """
    norms = np.sqrt(np.diag(gram))
    if not np.all(norms > 0):
        return float("nan")
    cosines = gram / np.outer(norms, norms)
    np.fill_diagonal(cosines, -np.inf)
    return float(1 - cosines.max())


def discrimination(statistics: LayerStatistics) -> Float[np.ndarray, " L"]:
    """Discrimination of layers 0…L-1, `D_l = 1 - max_{k≠k'} cos(μ_k, μ_k')` (theory note, T2 and T3).

    Returns:
        (L,), dimensionless, in [0, 2]; NaN where a class mean is zero.

    >>> from pnc.data import Problem; from pnc.spec import NetworkSpec
    >>> from pnc.theory import layer_statistics
    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> discrimination(layer_statistics(problem, NetworkSpec(depth=3))).round(12).tolist()
    [1.0, 1.0, 1.0]
    """
    # root mean square norm of the features of a layer: what a mean is called zero against
    size = np.sqrt(within_scatter(statistics) + mean_squares(statistics))
    values = np.full(statistics.depth, np.nan)
    for layers, means in statistics.mean_factors():
        norms = np.linalg.norm(means, axis=2)
        # unit rows first: products of norms as small as ε^l must not underflow, nor large ones hide a zero
        # mean
        zero = norms <= 4 * np.finfo(np.float64).eps * size[layers, None]
        unit = means / np.where(zero, np.nan, norms)[:, :, None]
        cosines = unit @ unit.swapaxes(1, 2)
        cosines[:, range(norms.shape[1]), range(norms.shape[1])] = -np.inf
        values[layers] = 1 - np.where(zero.any(axis=1), np.nan, cosines.max(axis=(1, 2)))
    return values
