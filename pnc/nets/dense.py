"""Fully connected bodies: some layers with an activation, then some without."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import nn

from pnc.nets.activations import activation as make_activation
from pnc.nets.checks import at_least, whole_shape
from pnc.nets.network import Body
from pnc.spec.shared import MOST_WIDTH

__all__ = ["DenseBody"]


class DenseBody(Body):
    """`nonlinear` layers `activation(norm(W x))`, then `linear` layers `W x`, all of one width.

    Args:
        input_shape: of one sample; flattened.
        width: of every layer.
        nonlinear: number of layers with an activation.
        linear: number of layers without.
        activation: name of it.
        batch_norm: normalise before every activation.
        bias: of every layer, and of the classifier that follows.

    Raises:
        InvalidInputError: no layer, a width below 1, an unknown activation.

    >>> body = DenseBody((2, 2), width=3, nonlinear=1, linear=1)
    >>> body.layer_names, tuple(body(torch.zeros(5, 2, 2)).shape)
    (('0', '1'), (5, 3))
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        *,
        width: int,
        nonlinear: int,
        linear: int,
        activation: str = "relu",
        batch_norm: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__()
        width, before = at_least("width", width, 1, MOST_WIDTH), math.prod(whole_shape(input_shape))
        at_least("hidden layers", nonlinear + linear, 1)
        for index in range(nonlinear + linear):
            layer = nn.Sequential(nn.Linear(before, width, bias=bias))
            if index < nonlinear:
                if batch_norm:
                    layer.append(nn.BatchNorm1d(width))
                layer.append(make_activation(activation))
            self.add_module(str(index), layer)
            before = width
        self.features, self.head_bias = width, bias
        self.layer_names = self.block_names = tuple(map(str, range(nonlinear + linear)))

    def forward(self, x: Float[torch.Tensor, "batch ..."]) -> Float[torch.Tensor, "batch width"]:
        x = x.flatten(1)
        for layer in self.children():
            x = layer(x)
        return x
