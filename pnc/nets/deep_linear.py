"""Deep linear networks: the ones that the theory is exact for."""

from __future__ import annotations

from collections.abc import Sequence

from pnc.nets.checks import at_least
from pnc.nets.dense import DenseBody
from pnc.spec.shared import MOST_DEPTH

__all__ = ["deep_linear"]


def deep_linear(input_shape: Sequence[int], *, width: int = 1024, depth: int = 8) -> DenseBody:
    """L - 1 linear layers of one width, without bias: Z_l = W_l ⋯ W_1 X (theory note, section 1).

    Args:
        input_shape: of one sample.
        width: d_h.
        depth: L, the number of weight matrices, the classifier included; at least 2.

    Raises:
        InvalidInputError: a number out of range.

    >>> [tuple(weight.shape) for weight in deep_linear((4,), width=8, depth=3).parameters()]
    [(8, 4), (8, 8)]
    """
    return DenseBody(input_shape, width=width, nonlinear=0, linear=at_least("depth", depth, 2, MOST_DEPTH) - 1)
