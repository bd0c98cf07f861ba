"""VGG-11, -13, -16 and -19 (Simonyan and Zisserman, 2015) for small images, with or without batch norm."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import nn

from pnc.fields import nearest
from pnc.nets.activations import activation as make_activation
from pnc.nets.checks import at_least, image_shape
from pnc.nets.network import Body
from pnc.spec.shared import MOST_WIDTH

__all__ = ["VGG_DEPTHS", "VGGBody"]

VGG_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Depth → number of convolutions in each of the five stages (the paper's Table 1: A, B, D, E)."""

_WIDENING = (1, 2, 4, 8, 8)  # of the stages, times the width of the first


class VGGBody(Body):
    """Five stages of 3 × 3 convolutions, each followed by 2 × 2 max-pooling; then the average of what is left.

    As is usual for CIFAR, one linear classifier on 512 features takes the place of the published three layers,
    which are made for 224 × 224 images. Odd sides are rounded up in pooling, so that images of any size pass.

    Args:
        input_shape: (channels, height, width).
        depth: 11, 13, 16 or 19: counts the convolutions and the published three layers.
        width: channels of the first stage, published 64; the others have 2, 4, 8 and 8 times as many.
        activation: name of it.
        batch_norm: normalise after every convolution.

    Raises:
        InvalidInputError: another depth, a width below 1, an input that is not an image, an unknown activation.

    >>> body = VGGBody((1, 28, 28), depth=11)
    >>> body.features, len(body.layer_names), body.block_names[0]
    (512, 8, 'stage1.pool')
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        *,
        depth: int,
        width: int = 64,
        activation: str = "relu",
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        if depth not in VGG_DEPTHS:
            raise nearest("depth of VGG", str(depth), map(str, VGG_DEPTHS))
        width = at_least("width", width, 1, MOST_WIDTH)
        before = image_shape(f"vgg-{depth}", input_shape)[0]
        layer_names, block_names = [], []
        for number, (times, convolutions) in enumerate(zip(_WIDENING, VGG_DEPTHS[depth]), 1):
            stage, channels = nn.Sequential(), times * width
            for index in range(1, convolutions + 1):
                stage.add_module(f"conv{index}", nn.Conv2d(before, channels, 3, padding=1))
                if batch_norm:
                    stage.add_module(f"norm{index}", nn.BatchNorm2d(channels))
                stage.add_module(f"activation{index}", make_activation(activation))
                layer_names.append(f"stage{number}.activation{index}")
                before = channels
            stage.add_module("pool", nn.MaxPool2d(2, ceil_mode=True))
            block_names.append(f"stage{number}.pool")
            self.add_module(f"stage{number}", stage)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.features = before
        self.layer_names, self.block_names = tuple(layer_names), tuple(block_names)

    def forward(self, x: Float[torch.Tensor, "batch channels height width"]) -> Float[torch.Tensor, "batch features"]:
        for layer in self.children():
            x = layer(x)
        return x.flatten(1)
