"""The multi-layer perceptron of the paper's Figure 1."""

from __future__ import annotations

from collections.abc import Sequence

from pnc.nets.checks import at_least
from pnc.nets.dense import DenseBody
from pnc.spec.shared import MOST_DEPTH

__all__ = ["mlp"]


def mlp(
    input_shape: Sequence[int],
    *,
    width: int = 1024,
    depth: int = 8,
    activation: str = "relu",
    batch_norm: bool = True,
    bias: bool = False,
) -> DenseBody:
    """L - 1 nonlinear layers of one width; the defaults are the paper's 7 layers of 1024 (and its head).

    The published code of the paper has batch norm before every activation, and no bias.

    Args:
        input_shape: of one sample.
        width: d_h.
        depth: L, the number of weight matrices, the classifier included; at least 2.
        activation: name of it.
        batch_norm: normalise before every activation.
        bias: of every layer, and of the classifier.

    Raises:
        InvalidInputError: a number out of range, an unknown activation.

    >>> len(mlp((1, 28, 28), width=16).layer_names)
    7
    """
    return DenseBody(
        input_shape,
        width=width,
        nonlinear=at_least("depth", depth, 2, MOST_DEPTH) - 1,
        linear=0,
        activation=activation,
        batch_norm=batch_norm,
        bias=bias,
    )
