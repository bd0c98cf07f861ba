"""T2 and T3: class means, scatters and compression of every layer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pnc.theory.layer_statistics import LayerStatistics

__all__ = ["between_scatter", "class_mean_gram", "compression", "mean_squares", "within_scatter"]


def class_mean_gram(statistics: LayerStatistics, layer: int) -> Float[np.ndarray, "K K"]:
    """Gram matrix of the class means, `Q_l = H^{l/L-1}/α² + ε^{2l} (Q_0 - H⁻¹/α²)`, H that of Y/α (theory
    note, T2).

    As `B diag(σ^{2l}) Bᵀ` plus the Gram matrix of the residual means, which under T1 is the same and holds
    for T3 too.

    Returns:
        (K, K), squared feature norm.

    >>> from pnc.data import Problem; from pnc.spec import NetworkSpec
    >>> from pnc.theory import layer_statistics
    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> class_mean_gram(layer_statistics(problem, NetworkSpec(depth=2)), 0).round(12).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    means = statistics.mean_factor(layer)
    return means @ means.T


def within_scatter(statistics: LayerStatistics) -> Float[np.ndarray, " L"]:
    """Trace of the within-class scatter of layers 0…L-1 (theory note, T2 and T3).

    `tr Σ_W^l = Σ_i σ_i^{2l} w_i + ε^{2l} w`; where the labels are interpolated every w_i is zero (T2: exactly
    geometric).

    Returns:
        (L,), squared feature norm.

    >>> from pnc.data import Problem; from pnc.spec import NetworkSpec
    >>> from pnc.theory import layer_statistics
    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> within_scatter(layer_statistics(problem, NetworkSpec(depth=3, residual_scale=0.1))).round(12).tolist()
    [0.5, 0.005, 5e-05]
    """
    residual = np.full(statistics.depth, statistics.residual_hidden.within)
    residual[0] = statistics.residual_input.within
    return statistics.signal_powers() @ np.diag(statistics.signal_within) + residual * statistics.residual_powers()


def between_scatter(statistics: LayerStatistics) -> Float[np.ndarray, " L"]:
    """Trace of the between-class scatter of layers 0…L-1, `Σ_k p_k (Q_l)_kk - pᵀ Q_l p` (theory note, T2).

    Summed as `Σ_k p_k ‖μ_k - μ‖²`, which does not cancel when the classes share a large mean.

    Returns:
        (L,), squared feature norm.

    >>> from pnc.data import Problem; from pnc.spec import NetworkSpec
    >>> from pnc.theory import layer_statistics
    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> between_scatter(layer_statistics(problem, NetworkSpec(depth=2))).round(12).tolist()
    [0.25, 0.353553390593]
    """
    return mean_squares(statistics, centred=True)


def mean_squares(statistics: LayerStatistics, *, centred: bool = False) -> Float[np.ndarray, " L"]:
    """Mean square norm `Σ_k p_k ‖μ_k‖²` of the class means of layers 0…L-1, about 0 or `centred` about their mean.

    Only terms that are not negative are added, so nothing cancels.

    Returns:
        (L,), squared feature norm.

    >>> from pnc.data import Problem; from pnc.spec import NetworkSpec
    >>> from pnc.theory import layer_statistics
    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> mean_squares(layer_statistics(problem, NetworkSpec(depth=2))).round(12).tolist()
    [0.5, 0.707106781187]
    """

    def squares(means: np.ndarray) -> np.ndarray:
        means = statistics.centred(means) if centred else means
        return statistics.priors @ means**2

    residual = np.full(statistics.depth, squares(statistics.residual_hidden.means).sum())
    residual[0] = squares(statistics.residual_input.means).sum()
    return statistics.signal_powers() @ squares(statistics.signal_means) + residual * statistics.residual_powers()


def compression(statistics: LayerStatistics) -> Float[np.ndarray, " L"]:
    """Compression of layers 0…L-1, `C_l = tr Σ_W^l / tr Σ_B^l` (theory note, T2); NaN where the class means
    coincide.

    Returns:
        (L,), dimensionless.

    >>> from pnc.data import Problem; from pnc.spec import NetworkSpec
    >>> from pnc.theory import layer_statistics
    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> C = compression(layer_statistics(problem, NetworkSpec(depth=4, residual_scale=0.2)))
    >>> np.allclose(C, 4 * (0.2**2 / 3**0.25) ** np.arange(4))  # T2: C_0 = (n-1) K / (K-1)
    True
    """
    within, between = within_scatter(statistics), between_scatter(statistics)
    norms = mean_squares(statistics)
    # means that differ by rounding alone coincide
    rounding = (8 * np.finfo(np.float64).eps) ** 2 * (within + norms)
    return np.divide(within, between, out=np.full(within.shape, np.nan), where=between > rounding)
