"""Compression, discrimination, scatters and fuzziness of layers whose Gram matrices are known."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int

from pnc.curves import LayerCurve, Origin
from pnc.errors import InvalidInputError
from pnc.theory.discrimination import discrimination_of_gram

__all__ = ["curve_of_grams"]

_ROUNDING = 64 * float(np.finfo(np.float64).eps)


def curve_of_grams(
    grams: Iterable[Float[np.ndarray, "N N"]],
    y: Int[np.ndarray, " N"],
    *,
    origin: Origin | None = None,
) -> LayerCurve:
    """The curve of layers 0, 1, … from the Gram matrices `Z_lᵀZ_l` of their features (theory note, section 1).

    With Ȳ averaging the samples of each class, `Q = Ȳ G Ȳᵀ` is the Gram matrix of the class means, `tr Σ_W = (tr G -
    Σ_k n_k Q_kk)/N`, `tr Σ_B = Σ_k p_k Q_kk - pᵀQp`, and fuzziness is T4's `tr(R⁺R⁺FFᵀ)/N`. The matrices are taken one
    at a time, so that a generator needs the memory of one.

    Args:
        grams: one (N, N) matrix a layer, squared feature norm.
        y: (N,) integer labels 0…K-1, every class present.
        origin: where the matrices come from.

    Raises:
        InvalidInputError: no matrix, or one that is not N × N.

    >>> curve = curve_of_grams([np.eye(6), np.diag([1.0, 1, 1, 2, 2, 2])], np.array([0, 0, 0, 1, 1, 1]))
    >>> curve.compression.round(12).tolist(), curve.discrimination.tolist()
    ([4.0, 4.0], [1.0, 1.0])
    """
    y = np.asarray(y)
    counts = np.bincount(y)
    samples, priors = y.size, counts / y.size
    average = np.eye(counts.size)[:, y] / counts[:, None]
    rows = []
    for gram in grams:
        if gram.shape != (samples, samples):
            raise InvalidInputError(
                got=f"a Gram matrix of shape {gram.shape} for {samples} samples",
                expected=f"shape ({samples}, {samples})",
                next_step="give the Gram matrix of all samples, in the order of the labels",
            )
        means = average @ gram  # (K, N): of class means with samples
        within = gram - means[y]
        within = within - (within @ average.T)[:, y]  # P_W G P_W
        shifted = means - priors @ means  # J Ȳ G
        centred = shifted @ average.T
        centred = centred - centred @ priors[:, None]  # J Q Jᵀ
        norm = float(np.trace(gram)) / samples
        spread = float(priors @ np.diag(centred))
        if spread <= _ROUNDING * norm:
            spread = float("nan")
        rows.append(
            (
                float(np.trace(within)) / samples,
                spread,
                discrimination_of_gram(means @ average.T),
                _fuzziness(centred, shifted, y, average, priors, norm),
            )
        )
    if not rows:
        raise InvalidInputError(
            got="no Gram matrix", expected="one a layer", next_step="give that of the input at least"
        )
    within_scatter, between_scatter, discrimination, fuzziness = np.array(rows).T
    return LayerCurve(
        layers=np.arange(len(rows)),
        compression=within_scatter / between_scatter,
        discrimination=discrimination,
        within_scatter=within_scatter,
        between_scatter=np.nan_to_num(between_scatter),
        separation_fuzziness=fuzziness,
        origin=origin or Origin(kind="theory"),
    )


def _fuzziness(
    centred: np.ndarray, shifted: np.ndarray, y: np.ndarray, average: np.ndarray, priors: np.ndarray, norm: float
) -> float:
    """`tr(R⁺R⁺FFᵀ)/N` with the rank of R⁺ that of the class means, at most K - 1; NaN where none is left."""
    root = np.sqrt(priors)[:, None]
    values, U = np.linalg.eigh(root * centred * root.T)
    kept = values > _ROUNDING * norm
    kept[0] = False  # √p is a null vector
    if not kept.any():
        return float("nan")
    F = root * (shifted - (shifted @ average.T)[:, y])
    return float(np.sum((U[:, kept].T @ F) ** 2 / values[kept, None] ** 2) / y.size)
