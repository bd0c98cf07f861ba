"""T4: He and Su's separation fuzziness of every layer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pnc.theory.layer_statistics import LayerStatistics

__all__ = ["centred_mean_rank", "separation_fuzziness"]


def separation_fuzziness(statistics: LayerStatistics) -> Float[np.ndarray, " L"]:
    """Separation fuzziness of layers 0…L-1, `tr(Σ_W Σ_B⁺) = tr(R⁺ R⁺ F Fᵀ) / N` (theory note, T4).

    R = Φ Φᵀ with Φ the centred class means times √p, and `F Fᵀ / N = Φ Σ_W Φᵀ`, from T1 where it applies and
    from T3 otherwise. The rank of R⁺ is that of the class means, at most K-1, never that of a cutoff on R.

    Returns:
        (L,), dimensionless; NaN where the class means coincide, or where R has a direction lost to rounding.

    >>> from pnc.data import Problem; from pnc.spec import NetworkSpec
    >>> from pnc.theory import layer_statistics
    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> bool(np.all(separation_fuzziness(layer_statistics(problem, NetworkSpec(depth=3))) < 1e-30))
    True
    """
    values = np.full(statistics.depth, np.nan)
    ranks = [centred_mean_rank(statistics, l) for l in range(min(2, statistics.depth))]  # of input and hidden layers
    for layers, factors in statistics.mean_factors():
        if rank := ranks[min(layers.start, 1)]:
            values[layers] = _fuzziness(statistics, layers, factors, rank)
    return values


def centred_mean_rank(statistics: LayerStatistics, layer: int) -> int:
    """Rank of the class means of a layer about their mean, at most K-1: that of signal and residual at scale
    1.

    Scales σ^l and ε^l are positive and cannot change it, however far apart they are.

    >>> from pnc.data import Problem; from pnc.spec import NetworkSpec
    >>> from pnc.theory import layer_statistics
    >>> centred_mean_rank(layer_statistics(Problem(X=np.eye(4), y=[0, 0, 1, 1]), NetworkSpec(depth=3)), 2)
    1
    """
    residual = statistics.residual(layer).means
    means = statistics.centred(np.hstack([statistics.signal_means, residual]))
    s = np.linalg.svd(means, compute_uv=False)
    scale = np.linalg.norm(statistics.signal_means) + np.linalg.norm(residual)
    most = statistics.priors.size - 1
    return min(most, int(np.count_nonzero(s > 64 * max(means.shape) * np.finfo(np.float64).eps * scale)))


def _fuzziness(
    statistics: LayerStatistics, layers: slice, factors: Float[np.ndarray, "l K m"], rank: int
) -> Float[np.ndarray, " l"]:
    """Of a block of layers with the same residual, whose class means have the given rank about their mean."""
    root_p = np.sqrt(statistics.priors)[:, None]
    U, phi, _ = np.linalg.svd(root_p * statistics.centred(factors), full_matrices=False)
    U, phi = U[:, :, :rank], phi[:, :rank]
    lost = phi[:, -1] <= 64 * statistics.priors.size * np.finfo(np.float64).eps * phi[:, 0]
    residual, ε2 = statistics.residual(layers.start), statistics.residual_powers()[layers, None, None]
    # features of layer l once more times their scale: σ^{2l} on the signal, ε^{2l} on the residual
    signal = statistics.centred(statistics.signal_means) * statistics.signal_powers()[layers, None, :]
    mixed = ε2 * (signal @ residual.cross_of_means)
    spread = signal @ statistics.signal_within @ signal.swapaxes(1, 2)
    spread = spread + mixed + mixed.swapaxes(1, 2) + ε2**2 * residual.within_of_means
    along = np.einsum("lkr,lkj,ljr->lr", U, root_p * spread * root_p.T, U, optimize=True)
    return np.where(lost, np.nan, np.sum(along / np.where(lost[:, None], 1.0, phi) ** 4, axis=1))
