"""E2 and E3 as a `LayerCurve`: what cross-entropy makes of every layer."""

from __future__ import annotations

import numpy as np

from pnc.curves import LayerCurve
from pnc.data.problem import Problem
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.spec import NetworkSpec
from pnc.theory.cross_entropy.margin import final_margin, loss_of_margin, margin_growth, margin_of_loss
from pnc.theory.cross_entropy.simplex import simplex_expected
from pnc.theory.given_map import predict_from_map
from pnc.theory.signal import data_modes
from pnc.theory.weight_decay import check_decay, decayed_scale

__all__ = ["predict_cross_entropy"]

_NEAR = 1e-6  # how far singular values of the data may be from 1 to count as orthonormal


def predict_cross_entropy(
    problem: Problem,
    network: NetworkSpec,
    *,
    loss: float | None = None,
    time: float | None = None,
    weight_decay: float = 0.0,
) -> LayerCurve:
    """C_l, D_l and the rest of layers 0…L-1 of a network trained on the cross-entropy (theory note, E2 and E3).

        r = ε²/(n z²)^{1/L},     C_l = C_0 r^l,     D_l = K/(K - 1 + r^l) = K/(K - 1 + C_l/C_0)

    for balanced classes, orthonormal data and balanced weights; z is the margin. D_l saturates at K/(K-1): it is not
    linear. Without decay training never ends, so the curve is that of a given training loss or a given time; with decay
    λ it also has an end (E3), where `ε → ε e^{-λt}` is 0. None of it is in the papers.

    Args:
        problem: orthonormal inputs, equal classes.
        network: depth and ε. Labels are not scaled: α must be 1.
        loss: mean cross-entropy of training, in nats; the clock.
        time: gradient-flow time, in units of 1 / (loss per squared weight).
        weight_decay: λ.

    Returns:
        `LayerCurve` of layers 0…L-1; its origin says whether the paper's initial weights reach this shape (E4).

    Raises:
        InvalidInputError: neither a loss nor a time where there is no decay, or both; a number out of range.
        NotApplicableError: unequal classes, data that are not orthonormal, labels that are scaled.

    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 1, 1, 2, 2])
    >>> curve = predict_cross_entropy(problem, NetworkSpec(depth=3, residual_scale=0.1), loss=1e-3)
    >>> curve.discrimination.round(4).tolist()
    [1.0, 1.4985, 1.5]
    """
    check_decay(weight_decay)
    n = _balanced(problem, network)
    K, L, ε = int(problem.counts.size), network.depth, network.residual_scale
    assert ε is not None
    if (loss is not None and time is not None) or (loss is None and time is None and weight_decay == 0):
        raise InvalidInputError(
            got=f"loss = {loss} and time = {time}",
            expected="one of them: cross-entropy without weight decay never converges",
            next_step="set `loss` to the training loss at which the layers are looked at",
        )
    if loss is not None:
        if weight_decay > 0:
            raise NotApplicableError(
                statement="E3",
                assumption="a time: with weight decay the loss alone does not tell how far ε has decayed",
                instead="set `time`, or neither for the limit",
            )
        margin, scale, statement = margin_of_loss(loss, K), ε, "E2"
    elif time is not None:
        [margin] = margin_growth(
            np.array([time]), classes=K, samples_per_class=n, depth=L, start=ε, weight_decay=weight_decay
        )
        scale, statement = decayed_scale(ε, weight_decay=weight_decay, time=time), "E3" if weight_decay else "E2"
    else:
        margin, scale = final_margin(classes=K, samples_per_class=n, depth=L, weight_decay=weight_decay), 0.0
        statement = "E3"
    margin = float(margin)
    Y = np.eye(K)[problem.y].T
    map = margin * (Y - 1 / K) @ problem.X  # z (I - 11ᵀ/K) Y X⁺
    return predict_from_map(
        problem,
        map,
        depth=L,
        residual_scale=scale,
        statement=statement,
        reason="balanced classes, orthonormal data, cross-entropy"
        + (f", weight decay {weight_decay:g}" if weight_decay else ""),
        further={
            "margin": margin,
            "loss": loss_of_margin(margin, K),
            "time": time,
            "weight_decay": weight_decay,
            "simplex_expected": simplex_expected(classes=K, depth=L),
            "note": "for balanced, aligned initial weights"
            if simplex_expected(classes=K, depth=L)
            else "for balanced, aligned initial weights; from orthogonal ones D stays below this at such depth and "
            "number of classes (E4): use the measured map (E1)",
            "network": network.to_dict(),
        },
    )


def _balanced(problem: Problem, network: NetworkSpec) -> int:
    """n, once E2's assumptions hold."""
    instead = "simulate, which measures the map and uses E1 (`predict_from_map`): that needs none of this"
    if not problem.balanced:
        raise NotApplicableError(
            statement="E2", assumption=f"equal classes, measured {problem.counts.tolist()}", instead=instead
        )
    if network.label_scale != 1:
        raise NotApplicableError(
            statement="E2", assumption=f"labels that are not scaled, got α = {network.label_scale:g}", instead=instead
        )
    if network.width is not None and network.width < problem.dimension:
        raise NotApplicableError(
            statement="E2", assumption=f"a width of at least d = {problem.dimension}", instead="leave out the width"
        )
    data = data_modes(problem)
    off = float(np.abs(data.singular_values - 1).max())
    if not data.gram_invertible or off > _NEAR:
        raise NotApplicableError(
            statement="E2",
            assumption="orthonormal inputs, "
            + (f"measured singular values up to {off:.2g} off 1" if data.gram_invertible else "N ≤ d"),
            instead=instead,
        )
    return int(problem.counts[0])
