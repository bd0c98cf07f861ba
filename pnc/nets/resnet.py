"""ResNet-18, -34 and -50 (He, Zhang, Ren and Sun, 2016) with the stem for small images."""

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

__all__ = ["RESNET_DEPTHS", "ResNetBody", "ResidualBlock"]

RESNET_DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
"""Depth → number of residual blocks in each of the four stages (the paper's Table 1)."""

_STAGES = (1, 2, 4, 8)  # widths of the stages, times that of the first
_WIDENING = 4  # of a bottleneck block's output


class ResidualBlock(nn.Module):
    """A residual block: convolutions, each with batch norm; the shortcut is added before the last activation.

    Every activation is a module of its own, so that each can be measured.
    """

    def __init__(
        self, inputs: int, widths: Sequence[int], kernels: Sequence[int], strided: int, stride: int, activation: str
    ) -> None:
        super().__init__()
        self.size = len(widths)
        before = inputs
        for index, (width, kernel) in enumerate(zip(widths, kernels), 1):
            step = stride if index == strided else 1
            convolution = nn.Conv2d(before, width, kernel, stride=step, padding=kernel // 2, bias=False)
            self.add_module(f"conv{index}", convolution)
            self.add_module(f"norm{index}", nn.BatchNorm2d(width))
            self.add_module(f"activation{index}", make_activation(activation))
            before = width
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != before:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, before, 1, stride=stride, bias=False), nn.BatchNorm2d(before)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = x
        for index in range(1, self.size + 1):
            out = getattr(self, f"norm{index}")(getattr(self, f"conv{index}")(out))
            if index == self.size:
                out = out + self.shortcut(x)
            out = getattr(self, f"activation{index}")(out)
        return out


class ResNetBody(Body):
    """A 3 × 3 convolution of stride 1 (no max-pooling), four stages of residual blocks, and their average.

    Basic blocks for depths 18 and 34, bottlenecks (stride in the 3 × 3 convolution) for 50; where a block
    changes the shape, its shortcut is a 1 × 1 convolution with batch norm.

    Args:
        input_shape: (channels, height, width).
        depth: 18, 34 or 50.
        width: channels of the first stage, published 64; the others have 2, 4 and 8 times as many.
        activation: name of it.

    Raises:
        InvalidInputError: another depth, a width below 1, an input that is not an image, an unknown activation.

    >>> body = ResNetBody((3, 32, 32), depth=18)
    >>> body.features, len(body.layer_names), len(body.block_names)
    (512, 17, 9)
    """

    def __init__(self, input_shape: Sequence[int], *, depth: int, width: int = 64, activation: str = "relu") -> None:
        super().__init__()
        if depth not in RESNET_DEPTHS:
            raise nearest("depth of ResNet", str(depth), map(str, RESNET_DEPTHS))
        first = before = at_least("width", width, 1, MOST_WIDTH)
        self.stem = nn.Sequential()
        channels = image_shape(f"resnet-{depth}", input_shape)[0]
        self.stem.add_module("conv", nn.Conv2d(channels, before, 3, padding=1, bias=False))
        self.stem.add_module("norm", nn.BatchNorm2d(before))
        self.stem.add_module("activation", make_activation(activation))
        layer_names, block_names = ["stem.activation"], ["stem.activation"]
        for number, (times, blocks) in enumerate(zip(_STAGES, RESNET_DEPTHS[depth]), 1):
            stage, width = nn.Sequential(), times * first
            for index in range(1, blocks + 1):
                stride = 2 if number > 1 and index == 1 else 1
                if depth < 50:
                    block = ResidualBlock(before, (width, width), (3, 3), 1, stride, activation)
                else:
                    block = ResidualBlock(before, (width, width, _WIDENING * width), (1, 3, 1), 2, stride, activation)
                stage.add_module(f"block{index}", block)
                names = [f"stage{number}.block{index}.activation{i}" for i in range(1, block.size + 1)]
                layer_names += names
                block_names.append(names[-1])
                before = width if depth < 50 else _WIDENING * width
            self.add_module(f"stage{number}", stage)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.features = before
        self.layer_names, self.block_names = tuple(layer_names), tuple(block_names)

    def forward(self, x: Float[torch.Tensor, "batch channels height width"]) -> Float[torch.Tensor, "batch features"]:
        for layer in self.children():
            x = layer(x)
        return x.flatten(1)
