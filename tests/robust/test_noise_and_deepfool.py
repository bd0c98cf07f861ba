"""Random pixels by their definition, DeepFool by the geometry of a linear network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pnc.robust import PixelModel, deepfool, pixel_noise, predicted_classes, replaced_pixels
from tests.robust.nets import clusters, golden, golden_network, trained


def test_the_share_of_replaced_pixels_is_p_and_the_rest_is_as_it_was():
    images = torch.rand(50, 3, 20, 20)
    p = 0.3
    noisy = replaced_pixels(images, p, seed=1)
    changed = noisy != images
    # a pixel is a position: all channels or none
    assert torch.equal(changed.any(1), changed.all(1))
    n = 50 * 400
    assert abs(changed[:, 0].float().mean().item() - p) < 5 * np.sqrt(p * (1 - p) / n)
    new = np.sort(noisy[changed].numpy())
    assert np.abs(new - np.arange(len(new)) / len(new)).max() < np.sqrt(np.log(2 / 1e-6) / (2 * len(new)))
    channels = noisy.transpose(0, 1)[:, changed[:, 0]]
    assert abs(np.corrcoef(channels[0], channels[1])[0, 1]) < 5 / np.sqrt(channels.shape[1])


def test_what_is_replaced_at_a_small_p_is_at_a_larger_one():
    images = torch.rand(20, 1, 8, 8)
    small, large, all_of_it = (replaced_pixels(images, p) for p in (0.2, 0.6, 1.0))
    changed = small != images
    assert torch.equal(small[changed], large[changed])
    assert (all_of_it != images).all()
    assert torch.equal(replaced_pixels(images, 0.0), images)


def test_the_draws_belong_to_the_sample():
    images = torch.rand(10, 1, 8, 8)
    assert torch.equal(replaced_pixels(images, 0.5)[4:], replaced_pixels(images[4:], 0.5, first=4))
    assert not torch.equal(replaced_pixels(images, 0.5, seed=1), replaced_pixels(images, 0.5, seed=2))


def test_nothing_but_noise_leaves_chance():
    x, y = clusters(400, 3)
    net = PixelModel(trained())
    clean, half, noise = (pixel_noise(net, x, y, p, seed=2) for p in (0.0, 0.5, 1.0))
    assert clean.correct.tolist() == (predicted_classes(net, x) == y).tolist()
    assert clean.accuracy > half.accuracy > noise.accuracy
    assert noise.interval(0.9999)[0] < 1 / 4 < noise.interval(0.9999)[1]
    assert noise.to_dict()["probability"] == 1.0


def test_deepfool_of_a_linear_network_is_the_way_to_the_nearest_hyperplane():
    draw = np.random.default_rng(0)
    w, b = draw.standard_normal((3, 10)), 0.1 * draw.standard_normal(3)
    net = nn.Linear(10, 3).double()
    with torch.no_grad():
        net.weight.copy_(torch.from_numpy(w))
        net.bias.copy_(torch.from_numpy(b))
    mean, scale = 0.5, 2.0
    x = 0.5 + 0.02 * draw.standard_normal((40, 10))
    z = (x - mean) / scale @ w.T + b
    k = z.argmax(1)
    expected = np.empty(40)
    for i in range(40):
        others = [j for j in range(3) if j != k[i]]
        expected[i] = min((z[i, k[i]] - z[i, j]) / np.linalg.norm((w[j] - w[k[i]]) / scale) for j in others)
    inside = expected < 0.4  # so that no pixel is clipped
    assert inside.sum() > 20
    result = deepfool(PixelModel(net, mean, scale), x[inside], overshoot=0.02)
    assert result.found.all()
    # one step: 1.02 times the distance, and 1.02 times the 1e-4 that foolbox adds to it
    np.testing.assert_allclose(result.distance, 1.02 * (expected[inside] + 1e-4), rtol=1e-6)
    relative = result.distance / np.linalg.norm(x[inside], axis=1)
    np.testing.assert_allclose(result.relative, relative, rtol=1e-12)
    assert result.mean_relative == pytest.approx(relative.mean())
    assert result.standard_error == pytest.approx(relative.std(ddof=1) / np.sqrt(len(relative)))


def test_deepfool_does_not_depend_on_the_batch():
    images = golden()[0]["images"]
    whole, parts = (deepfool(golden_network(torch.float64), images, batch_size=n) for n in (256, 7))
    np.testing.assert_allclose(whole.distance, parts.distance, rtol=1e-9)


def test_deepfool_that_finds_nothing_says_so():
    class Constant(nn.Module):
        def forward(self, x):
            return torch.tensor([1.0, 0.0]) + 0 * x[:, :2]

    result = deepfool(PixelModel(Constant()), np.array([[0.2, 0.4], [0.0, 0.0]]), steps=3)
    assert not result.found.any()
    assert np.isnan(result.mean_relative)
    assert result.to_dict()["mean_relative"] is None
    assert np.isnan(result.relative[1])  # ‖x‖ = 0
