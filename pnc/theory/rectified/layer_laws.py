"""RL1 and RL3: trained ReLU networks without biases."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError

__all__ = [
    "deviations_left",
    "gate_share",
    "never_revived_compression",
    "never_revived_scatter",
    "rectified_within_ratio",
]


def gate_share(class_scatters: Float[np.ndarray, " K"], open_shares: Float[np.ndarray, " K"]) -> float:
    """`q_l = Σ_k S_{l-1,k} q_{l,k}/Σ_k S_{l-1,k}`, the share of gates that deviations meet open (theory note, RL1).

    Args:
        class_scatters: (K,) within-class scatter of each class in the layer before.
        open_shares: (K,) share of the layer's neurons whose mean pre-activation over class k is positive.

    Raises:
        InvalidInputError: shares outside [0, 1], negative scatters, or none above 0.

    >>> round(gate_share(np.array([3.0, 1.0]), np.array([0.4, 0.6])), 12)
    0.45
    """
    S, q = np.asarray(class_scatters, dtype=float), np.asarray(open_shares, dtype=float)
    if S.shape != q.shape or S.ndim != 1 or np.any(S < 0) or not S.sum() > 0 or np.any((q < 0) | (q > 1)):
        raise InvalidInputError(
            got=f"scatters {S.tolist()} and shares {q.tolist()}",
            expected="one scatter of 0 or more and one share from 0 to 1 a class",
            next_step="measure both on the same samples",
        )
    return float(S @ q / S.sum())


def rectified_within_ratio(residual_scale: float, share: float) -> float:
    """`S_l/S_{l-1} = ε² q_l`: what a ReLU layer multiplies tr Σ_W by (theory note, RL1; leading order).

    Small orthogonal initial weights, no biases, squared error, every sample fitted, K far below q times the width,
    gates constant within each class. One share a layer is measured; it is not ½ (that of untrained weights) in
    general. It fails where samples are not fitted along their deviations (`deviations_left`), and on orthonormal
    samples at layer 1 (RL3).

    Args:
        residual_scale: ε.
        share: q_l, from `gate_share`.

    Raises:
        InvalidInputError: a number out of range.

    >>> round(rectified_within_ratio(0.4, 0.5), 12)
    0.08
    """
    if not (math.isfinite(residual_scale) and residual_scale > 0 and 0 <= share <= 1):
        raise InvalidInputError(
            got=f"residual_scale = {residual_scale}, share = {share}",
            expected="a scale above 0 and a share from 0 to 1",
            next_step="measure the share with `gate_share`",
        )
    return residual_scale**2 * share


def deviations_left(
    output_scatter: float, last_scatter: float, *, residual_scale: float, classes: int, width: int
) -> float:
    """How far samples are from being fitted along their deviations; RL1 needs it well below 1 (theory note).

        tr Σ_W(outputs) / (ε² (K/width) tr Σ_W(last hidden layer))

    The denominator is what a last layer that still is ε times orthogonal would give the outputs. A small loss alone
    does not tell: with small ε the deviations reach the outputs so weakly that they are never fitted.

    Args:
        output_scatter: tr Σ_W of the network's outputs.
        last_scatter: tr Σ_W of the last hidden layer.
        residual_scale: ε.
        classes: K.
        width: of the last hidden layer.

    Raises:
        InvalidInputError: a number out of range.

    >>> deviations_left(0.0, 1.0, residual_scale=0.3, classes=3, width=100)
    0.0
    """
    positive = residual_scale > 0 and classes >= 1 and width >= 1 and last_scatter > 0
    if not positive or not (math.isfinite(output_scatter) and output_scatter >= 0):
        raise InvalidInputError(
            got=f"scatters {output_scatter} and {last_scatter}, residual_scale = {residual_scale}, {classes} classes",
            expected="an output's scatter of 0 or more, everything else above 0",
            next_step="measure both on the training samples",
        )
    return output_scatter / (residual_scale**2 * classes / width * last_scatter)


def never_revived_scatter(open_shares: Float[np.ndarray, "J K"], means: Float[np.ndarray, "J K"]) -> float:
    """The least that tr Σ_W after the first ReLU can be, orthogonal inputs, equal classes (theory note, RL3).

        S_1 ≥ (1/K) Σ_jk m_jk² (1 - p_jk)/p_jk

    On orthogonal inputs a neuron's pre-activation of a sample changes only while that sample switches it on, so a gate
    that is shut stays shut: any loss, step, or weight decay below 1/step. Hence shares p_jk of the *initial* weights
    may be used with the means of the trained ones.

    Args:
        open_shares: (J, K) share of the samples of class k that neuron j is on for, at the start or at any time since.
        means: (J, K) mean activation of neuron j over class k, after ReLU.

    Raises:
        InvalidInputError: shapes that differ, shares outside [0, 1], a mean where no sample is on.

    >>> never_revived_scatter(np.array([[0.5]]), np.array([[2.0]]))
    4.0
    """
    p, m = np.asarray(open_shares, dtype=float), np.asarray(means, dtype=float)
    if p.shape != m.shape or p.ndim != 2 or np.any((p < 0) | (p > 1)) or np.any((p == 0) & (m != 0)):
        raise InvalidInputError(
            got=f"shares {p.shape} and means {m.shape}",
            expected="shares from 0 to 1 and means of one shape, no mean where no sample is on",
            next_step="measure the shares on initial weights and the means on the same samples",
        )
    on = p > 0
    return float(np.sum(m[on] ** 2 * (1 - p[on]) / p[on]) / p.shape[1])


def never_revived_compression(largest_open_share: float) -> float:
    """The least that C_1 can be, orthogonal inputs, equal classes: `(1 - p_max)/p_max` (theory note, RL3).

    Args:
        largest_open_share: p_max, the largest share of a class's samples that any neuron is on for, at the start.

    Raises:
        InvalidInputError: a share outside (0, 1].

    >>> never_revived_compression(0.8)
    0.24999999999999994
    """
    if not 0 < largest_open_share <= 1:
        raise InvalidInputError(
            got=f"largest_open_share = {largest_open_share}",
            expected="a number above 0, at most 1",
            next_step="pass a share of samples",
        )
    return (1 - largest_open_share) / largest_open_share
