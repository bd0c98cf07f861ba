"""T2 and T3: discrimination of every layer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

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
    values = []
    for l in statistics.layers():
        means = statistics.mean_factor(l)
        norms = np.linalg.norm(means, axis=1, keepdims=True)
        # unit rows first: products of norms as small as ε^l must not underflow, nor large ones hide a zero
        # mean
        zero = norms <= 4 * np.finfo(np.float64).eps * _feature_norm(statistics, l)
        unit = means / np.where(zero, np.nan, norms)
        values.append(discrimination_of_gram(unit @ unit.T) if not zero.any() else float("nan"))
    return np.array(values)


def _feature_norm(statistics: LayerStatistics, layer: int) -> float:
    """Root mean square norm of the features of a layer: what a mean is called zero against."""
    residual = statistics.residual(layer)
    squares = np.diag(statistics.signal_within) @ statistics.signal_scales ** (2 * layer)
    squares += residual.within * statistics.residual_scale ** (2 * layer)
    squares += statistics.priors @ np.sum(statistics.mean_factor(layer) ** 2, axis=1)
    return float(np.sqrt(squares))
