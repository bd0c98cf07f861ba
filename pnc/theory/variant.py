"""The law of a variant: residual networks, weight decay, cross-entropy."""

from __future__ import annotations

from pnc.curves import LayerCurve
from pnc.data.problem import Problem
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.spec import NetworkSpec, VariantSpec
from pnc.theory.cross_entropy import predict_cross_entropy
from pnc.theory.predict import predict
from pnc.theory.residual import ResidualSpec, predict_residual
from pnc.theory.signal import data_modes, fitted_modes
from pnc.theory.weight_decay import escape_decay, predict_weight_decay

__all__ = ["predict_variant", "refuse_untrainable", "residual_network"]


def residual_network(network: NetworkSpec, variant: VariantSpec) -> ResidualSpec:
    """The residual network that a variant with skip connections describes.

    Raises:
        InvalidInputError: options of a residual network without `skip`, or with a width.
        NotApplicableError: weight decay or cross-entropy with skip connections.

    >>> residual_network(NetworkSpec(depth=4), VariantSpec(skip=0.5)).blocks
    3
    """
    if variant.skip is None:
        raise InvalidInputError(
            got="options of residual blocks without `skip`", expected="both, or neither", next_step="pass `skip=1`, too"
        )
    if variant.weight_decay > 0 or variant.loss != "mse" or variant.time is not None or variant.training_loss:
        raise NotApplicableError(
            statement="R1",
            assumption="squared error without weight decay, trained to the end",
            instead="leave out `skip`, or `weight_decay`, `loss` and `time`: their combination is not stated",
        )
    if network.width is not None:
        raise InvalidInputError(
            got=f"width = {network.width} with skip connections",
            expected="no width: the blocks are as wide as the input",
            next_step="leave out `width`",
        )
    return ResidualSpec(
        depth=network.depth,
        block_scale=variant.skip,
        label_scale=network.label_scale,
        block=variant.block,
        initial_scale=None if variant.block == "one-matrix" else network.residual_scale,
        embedding_scale=variant.embedding,
        classifier_scale=variant.classifier,
    )


def predict_variant(problem: Problem, network: NetworkSpec, variant: VariantSpec) -> LayerCurve:
    """The law of a problem for a plain network or a variant of it: T1 to T3, R1 to R8, V1, V2, E2, E3.

    Args:
        problem: inputs and labels.
        network: depth, ε and α.
        variant: what differs.

    Raises:
        InvalidInputError: options that contradict each other.
        NotApplicableError: a combination or data that no statement covers; it says which is missing.

    >>> import numpy as np
    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> predict_variant(problem, NetworkSpec(depth=3), VariantSpec(skip=1.0)).origin.statement
    'R1'
    """
    if variant.plain:
        return predict(problem, network)
    parts = variant.block != "one-matrix" or variant.embedding is not None or variant.classifier > 0
    if variant.skip is not None or parts:
        return predict_residual(problem, residual_network(network, variant))
    if variant.loss == "cross-entropy":
        return predict_cross_entropy(
            problem, network, loss=variant.training_loss, time=variant.time, weight_decay=variant.weight_decay
        )
    if variant.training_loss is not None:
        raise InvalidInputError(
            got=f"`training_loss={variant.training_loss:g}` with the squared error",
            expected="a cross-entropy",
            next_step="pass `loss=cross-entropy`, too, or leave it out",
        )
    if variant.weight_decay == 0:
        raise InvalidInputError(
            got=f"`time={variant.time}` without weight decay or cross-entropy",
            expected="training to the end",
            next_step="leave out `time`; the curves in time of plain networks are `predict_dynamics`",
        )
    return predict_weight_decay(problem, network, weight_decay=variant.weight_decay, time=variant.time)


def refuse_untrainable(problem: Problem, network: NetworkSpec, variant: VariantSpec) -> None:
    """Say before any time is spent that weight decay keeps a network at zero weights (theory note, V4).

    Raises:
        InvalidInputError: λ is above λ_esc of every direction, by a tenth, which the heuristic part of V4 may be off.

    >>> import numpy as np
    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> refuse_untrainable(problem, NetworkSpec(depth=3), VariantSpec(weight_decay=0.01))
    """
    if variant.weight_decay == 0 or variant.loss != "mse" or network.depth < 3:
        return
    ε = network.residual_scale
    assert ε is not None
    modes, data = fitted_modes(problem, label_scale=network.label_scale), data_modes(problem)
    along = data.singular_values[:, None] * (data.right.T @ modes.right)
    highest = max(
        (
            escape_decay(float(s), depth=network.depth, start=ε, samples=problem.samples, input_scale=float(x @ x))
            for s, x in zip(modes.values, along.T)
            if ε**network.depth < s
        ),
        default=0.0,
    )
    if variant.weight_decay > 1.1 * highest:
        raise InvalidInputError(
            got=f"weight_decay = {variant.weight_decay:g}",
            expected=f"below λ_esc ≈ {highest:.3g}: above it weights that start at ε = {ε:g} fall to zero and never "
            "learn, whether or not a solution exists (V4)",
            next_step="lower `weight_decay`, or raise `epsilon` or lower `depth`; predict gives the solution",
        )
