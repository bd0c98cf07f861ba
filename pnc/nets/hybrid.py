"""The hybrid network of the paper's Figure 1: nonlinear layers first, then linear ones."""

from __future__ import annotations

from collections.abc import Sequence

from pnc.errors import InvalidInputError
from pnc.nets.checks import at_least
from pnc.nets.dense import DenseBody
from pnc.spec.shared import MOST_DEPTH

__all__ = ["hybrid"]


def hybrid(
    input_shape: Sequence[int],
    *,
    width: int = 1024,
    depth: int = 8,
    nonlinear: int = 3,
    activation: str = "relu",
    batch_norm: bool = True,
    bias: bool = False,
) -> DenseBody:
    """`nonlinear` layers with an activation, then L - 1 - `nonlinear` without; the paper's: 3 and 4.

    Args:
        input_shape: of one sample.
        width: d_h.
        depth: L, the number of weight matrices, the classifier included; at least 2.
        nonlinear: number of layers with an activation, 1 to L - 2.
        activation: name of it.
        batch_norm: normalise before every activation.
        bias: of every layer, and of the classifier.

    Raises:
        InvalidInputError: a number out of range, an unknown activation.

    >>> [len(layer) for layer in hybrid((4,), width=8, depth=5, nonlinear=2).children()]
    [3, 3, 1, 1]
    """
    depth, nonlinear = at_least("depth", depth, 3, MOST_DEPTH), at_least("nonlinear", nonlinear, 1)
    if nonlinear > depth - 2:
        raise InvalidInputError(
            got=f"nonlinear = {nonlinear} with depth = {depth}",
            expected=f"1 to {depth - 2} nonlinear layers, so that a linear one follows before the classifier",
            next_step="raise `depth`, or build an mlp",
        )
    return DenseBody(
        input_shape,
        width=width,
        nonlinear=nonlinear,
        linear=depth - 1 - nonlinear,
        activation=activation,
        batch_norm=batch_norm,
        bias=bias,
    )
