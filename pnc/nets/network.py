"""`Network`: a body, perhaps a projection head, and a classifier; it knows the names of its layers."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import nn

from pnc.nets.projection_head import ProjectionHead

__all__ = ["Body", "Network"]


class Body(nn.Module):
    """What comes before the classifier: maps (batch, …) to (batch, features).

    Attributes:
        features: width of what it gives.
        layer_names: of the modules whose outputs are its layers 1, 2, … in the order of the computation:
            after the activation, where there is one.
        block_names: those of them that end a block (a residual block, a stage between poolings); where there
            are none, all.
        head_bias: whether the classifier after it has a bias.
    """

    features: int
    layer_names: tuple[str, ...]
    block_names: tuple[str, ...]
    head_bias: bool = True


class Network(nn.Module):
    """`head(projection(body(x)))`: (batch, …) → (batch, classes).

    Args:
        body: the layers before the head.
        classes: K.
        projection: between body and head; `None`: none.

    Attributes:
        layer_names: names of the modules whose outputs are the layers 1, …, L, the classifier last, for
            `get_submodule` and for patterns of layers.
        block_names: those of them that end a block, and the classifier.
    """

    def __init__(self, body: Body, *, classes: int, projection: ProjectionHead | None = None) -> None:
        super().__init__()
        self.body = body
        self.projection = nn.Identity() if projection is None else projection
        inside = () if projection is None else tuple(f"projection.{name}" for name in projection.layer_names)
        features = body.features if projection is None else projection.features
        self.head = nn.Linear(features, classes, bias=body.head_bias)
        self.layer_names = (*(f"body.{name}" for name in body.layer_names), *inside, "head")
        self.block_names = (*(f"body.{name}" for name in body.block_names), *inside, "head")

    def forward(self, x: Float[torch.Tensor, "batch ..."]) -> Float[torch.Tensor, "batch classes"]:
        return self.head(self.projection(self.body(x)))
