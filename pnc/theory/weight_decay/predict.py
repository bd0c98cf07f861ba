"""V1 and V2 as a `LayerCurve`: what weight decay makes of every layer, at some time or in the end."""

from __future__ import annotations

import math

from pnc.curves import LayerCurve
from pnc.data.problem import Problem
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec
from pnc.theory.given_map import predict_from_map
from pnc.theory.weight_decay.regularised_map import regularised_map

__all__ = ["decayed_scale", "predict_weight_decay"]


def decayed_scale(
    residual_scale: float, *, weight_decay: float, time: float | None, learning_rate: float | None = None
) -> float:
    """ε_t, what is left of the residual scale after a time t of weight decay (theory note, V1).

    `ε e^{-λt}` under the flow, `ε (1-ηλ)^{t/η}` after t/η steps of descent with step η; 0 without a time (V2).

    Args:
        residual_scale: ε.
        weight_decay: λ.
        time: t, the sum of the steps; `None`: the limit.
        learning_rate: η; `None`: the flow.

    Raises:
        InvalidInputError: a negative time.

    >>> decayed_scale(0.4, weight_decay=0.5, time=2.0, learning_rate=1.0)
    0.1
    """
    if time is None:
        return 0.0 if weight_decay > 0 else residual_scale
    if not (math.isfinite(time) and time >= 0):
        raise InvalidInputError(got=f"time = {time}", expected="0 or later", next_step="set `time` to 0 or more")
    if learning_rate is None:
        return residual_scale * math.exp(-weight_decay * time)
    return residual_scale * (1 - learning_rate * weight_decay) ** (time / learning_rate)


def predict_weight_decay(
    problem: Problem,
    network: NetworkSpec,
    *,
    weight_decay: float,
    time: float | None = None,
    learning_rate: float | None = None,
) -> LayerCurve:
    """C_l, D_l and the rest of layers 0…L-1 of a network trained with weight decay λ (theory note, V1 and V2).

    T3 as it stands, with M_λ for M and ε_t for ε. Without a time the limit of long training: ε_t → 0, and C_l falls to
    a floor that is 0 for orthonormal data and above 0 for others. None of it is in the papers. It holds once
    `W_{L:1} = M_λ`, which takes about 1/λ beyond the training itself near a threshold (V3), and not above λ_esc (V4).

    Args:
        problem: inputs and labels.
        network: depth, ε and α; wide enough for every direction.
        weight_decay: λ, as PyTorch's `weight_decay` of plain gradient descent: `dW = -∇ - λW`.
        time: the sum of the steps of training; `None`: the limit.
        learning_rate: of descent, where ε_t shall be that of its steps.

    Returns:
        `LayerCurve` of layers 0…L-1.

    Raises:
        InvalidInputError: a negative λ or time, a width below the input dimension.

    >>> import numpy as np
    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> curve = predict_weight_decay(problem, NetworkSpec(depth=3), weight_decay=0.01)
    >>> curve.compression.round(12).tolist(), curve.origin.statement
    ([4.0, 0.0, 0.0], 'V2')
    """
    if network.width is not None and network.width < problem.dimension:
        raise InvalidInputError(
            got=f"width = {network.width} for inputs of dimension {problem.dimension}",
            expected="a width of at least the input dimension: V1 is not stated for narrower layers",
            next_step="leave out `width`, or simulate",
        )
    found = regularised_map(problem, depth=network.depth, weight_decay=weight_decay, label_scale=network.label_scale)
    assert network.residual_scale is not None
    scale = decayed_scale(network.residual_scale, weight_decay=weight_decay, time=time, learning_rate=learning_rate)
    return predict_from_map(
        problem,
        found.map,
        depth=network.depth,
        residual_scale=scale,
        statement="V2" if time is None else "V1",
        reason="the limit of long training" if time is None else "converged to M_λ, residual scale decayed",
        further={
            "weight_decay": weight_decay,
            "time": time,
            "directions_lost": found.lost,
            "map_defect": found.defect,
            "network": network.to_dict(),
        },
    )
