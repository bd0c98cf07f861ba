"""The setting of He and Su: their small images, their layers."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from pnc.data import ImageData
from pnc.nets import build
from sims.he_su_law import shrink


@pytest.mark.parametrize(("height", "width", "side"), [(28, 28, 10), (32, 32, 10), (9, 15, 4), (10, 10, 10)])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_means_over_areas(height, width, side, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (2, channels, height, width), dtype=np.uint8)
    small = shrink(ImageData(images=pixels, y=[0, 1]), side).images
    # each pixel as side × side equal ones: then every area is a block of whole ones
    fine = np.kron(pixels.mean(1), np.ones((1, side, side)))
    means = fine.reshape(2, side, height, side, width).mean((2, 4))
    assert small.shape == (2, 1, side, side)
    assert np.abs(small[:, 0] - means).max() <= 0.5 + 1e-9  # the rounding to bytes


def test_layers_are_linear_then_norm_then_relu():
    network = build("mlp", input_shape=(1, 10, 10), classes=10, width=100, depth=5, batch_norm=True, bias=True)
    kinds = [[type(part) for part in layer] for layer in network.body.children()]
    assert kinds == [[nn.Linear, nn.BatchNorm1d, nn.ReLU]] * 4
    assert all(layer[0].bias is not None for layer in network.body.children())
