"""RL4: ReLU networks trained for long with weight decay."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError, NotApplicableError
from pnc.theory.numerics import root_between

__all__ = ["rectified_mean_norms", "rectified_signal", "remaining_cosine"]


def rectified_signal(*, depth: int, classes: int, weight_decay: float, mean_norm: float = 1.0) -> float:
    """σ, what the trained network multiplies the norm of every class mean by (theory note, RL4a).

        (2/K) r (σr - 1) + λ σ^{2/L-1} = 0,   the largest root;   0 where there is none

    Clusters of equal size about orthogonal class means, mean squared error of one-hot targets, no biases; a statement
    about descent from wide networks: solutions whose classes share no neuron need not have the smallest loss for L > 2
    and K > 2 (Súkeník, Mondelli and Lampert 2024). Above V4's threshold (`escape_decay`) training never starts.

    Args:
        depth: L, weight matrices.
        classes: K.
        weight_decay: λ, as of plain gradient descent on the mean squared error.
        mean_norm: r, the norm of the input's class means.

    Raises:
        InvalidInputError: a number out of range.

    >>> round(rectified_signal(depth=2, classes=2, weight_decay=0.05), 12)
    0.95
    """
    _check(depth, classes, weight_decay, mean_norm)

    def pull(σ: float) -> float:
        return 2 / classes * mean_norm * (1 - σ * mean_norm) * σ ** (1 - 2 / depth) - weight_decay

    if weight_decay == 0:
        return 1 / mean_norm
    # largest where σr = (L-2)/(2L-2)
    turn = (depth - 2) / (2 * depth - 2) / mean_norm
    if pull(turn) < 0:
        return 0.0
    return root_between(pull, turn, 1 / mean_norm)


def rectified_mean_norms(
    *, depth: int, classes: int, weight_decay: float, mean_norm: float = 1.0
) -> Float[np.ndarray, " L"]:
    """`‖μ_k^l‖² = r²σ^{2l/L}` of layers 0…L-1 in the limit of long training, where D_l → 1 (theory note, RL4a).

    Args:
        depth, classes, weight_decay, mean_norm: see `rectified_signal`.

    Returns:
        (L,) squared norms.

    Raises:
        InvalidInputError: a number out of range.

    >>> rectified_mean_norms(depth=2, classes=2, weight_decay=0.19).round(12).tolist()
    [1.0, 0.81]
    """
    σ = rectified_signal(depth=depth, classes=classes, weight_decay=weight_decay, mean_norm=mean_norm)
    return mean_norm**2 * σ ** (2 * np.arange(depth) / depth)


def remaining_cosine(*, depth: int, classes: int, weight_decay: float, time: float, mean_norm: float = 1.0) -> float:
    """`1 - D_1 → 1/(4sλt)`, s = rσ: how slowly two classes come to share no neuron (theory note, RL4b).

    The cosine of two classes' means after the one hidden layer. Heuristic, and for very wide networks: the width is
    large before the time is. At width 10,000 it holds to 5 % from λt = 10 to 40.

    Args:
        depth: L; only 2.
        classes: K; only 2 (1.07 and 1.26 times as much was measured for 3 and 6).
        weight_decay: λ.
        time: t, steps times their size.
        mean_norm: r, the norm of the input's class means.

    Raises:
        NotApplicableError: another depth or number of classes, no weight decay, a time too short, or a network that
            dies.
        InvalidInputError: a number out of range.

    >>> round(remaining_cosine(depth=2, classes=2, weight_decay=0.05, time=400.0), 12)
    0.013157894737
    """
    _check(depth, classes, weight_decay, mean_norm)
    if not (math.isfinite(time) and time > 0):
        raise InvalidInputError(
            got=f"time = {time}", expected="a number above 0", next_step="pass steps times their size"
        )
    if (depth, classes) != (2, 2):
        raise NotApplicableError(
            statement="RL4(b)",
            assumption=f"depth 2 and 2 classes, not depth {depth} and {classes} classes",
            instead="`rectified_mean_norms` gives the limit, where D is 1",
        )
    s = mean_norm * rectified_signal(depth=depth, classes=classes, weight_decay=weight_decay, mean_norm=mean_norm)
    if not s * weight_decay * time > 1:
        raise NotApplicableError(
            statement="RL4(b)",
            assumption=f"weight_decay times time well above 1, sλt = {s * weight_decay * time:.3g}",
            instead="use `predict_rectified`, which is without weight decay, or train longer",
        )
    return 1 / (4 * s * weight_decay * time)


def _check(depth: int, classes: int, weight_decay: float, mean_norm: float) -> None:
    numbers = math.isfinite(weight_decay) and weight_decay >= 0 and math.isfinite(mean_norm) and mean_norm > 0
    if depth < 2 or classes < 2 or not numbers:
        raise InvalidInputError(
            got=f"depth = {depth}, classes = {classes}, weight_decay = {weight_decay}, mean_norm = {mean_norm}",
            expected="at least 2 layers and 2 classes, a weight decay of 0 or more, a norm above 0",
            next_step="describe a network with a hidden layer",
        )
