"""Projection heads: the few layers between a network and its classifier that are thrown away for transfer."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import nn

from pnc.errors import InvalidInputError
from pnc.nets.activations import activation as make_activation
from pnc.nets.checks import at_least
from pnc.spec.shared import MOST_WIDTH

__all__ = ["MOST_PROJECTION_LAYERS", "ProjectionHead"]

MOST_PROJECTION_LAYERS = 5
"""As many as the paper tries."""


class ProjectionHead(nn.Module):
    """1 to 5 layers `activation(norm(W x + b))` of one width: (batch, inputs) → (batch, width).

    Args:
        inputs: width of what comes in.
        layers: how many, 1 to 5.
        width: of every layer; `None`: `inputs`.
        activation: name of it.
        batch_norm: normalise before every activation.

    Raises:
        InvalidInputError: a number out of range, an unknown activation.

    >>> head = ProjectionHead(4, layers=2)
    >>> head.layer_names, head.features
    (('0', '1'), 4)
    """

    def __init__(
        self,
        inputs: int,
        *,
        layers: int,
        width: int | None = None,
        activation: str = "relu",
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if at_least("projection", layers, 1) > MOST_PROJECTION_LAYERS:
            raise InvalidInputError(
                got=f"projection = {layers}",
                expected=f"1 to {MOST_PROJECTION_LAYERS} layers",
                next_step=f"pass `projection={MOST_PROJECTION_LAYERS}` or fewer",
            )
        self.features = inputs if width is None else at_least("projection width", width, 1, MOST_WIDTH)
        before = inputs
        for index in range(layers):
            layer = nn.Sequential(nn.Linear(before, self.features))
            if batch_norm:
                layer.append(nn.BatchNorm1d(self.features))
            layer.append(make_activation(activation))
            self.add_module(str(index), layer)
            before = self.features
        self.layer_names = tuple(map(str, range(layers)))

    def forward(self, x: Float[torch.Tensor, "batch inputs"]) -> Float[torch.Tensor, "batch width"]:
        for layer in self.children():
            x = layer(x)
        return x
