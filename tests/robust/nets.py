"""Small networks for attacks: the golden one, honest ones, and defences that only hide their gradients."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pnc.robust import PixelModel
from tests.robust.oracles import TwoLayers

GOLDEN = Path(__file__).parents[1] / "golden" / "attacks.npz"
SHAPE, CLASSES = (1, 8, 8), 4


@functools.cache
def golden():
    with np.load(GOLDEN) as file:
        found = {name: file[name] for name in file}
    return found, json.loads(str(found["provenance"]))


def golden_network(dtype=torch.float32, **standard):
    found, _ = golden()
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 24), nn.ReLU(), nn.Linear(24, 4))
    net.load_state_dict({k.removeprefix("weights_"): torch.from_numpy(v) for k, v in found.items() if "weights_" in k})
    return PixelModel(net.to(dtype).eval(), **standard)


def golden_by_hand(**standard):
    found, _ = golden()
    return TwoLayers(*(found[f"weights_{name}"] for name in ("1.weight", "1.bias", "3.weight", "3.bias")), **standard)


def clusters(samples, seed):
    """Four overlapping classes of 8 × 8 images."""
    centres = np.random.default_rng(99).uniform(0.25, 0.75, (CLASSES, *SHAPE))
    draw = np.random.default_rng(seed)
    y = np.arange(samples) % CLASSES
    return (centres[y] + 0.2 * draw.standard_normal((samples, *SHAPE))).clip(0, 1).astype(np.float32), y


@functools.cache
def trained(*, radius=0.0, seed=0, width=64, steps=250):
    """A small MLP; with a radius, trained on PGD's images (Madry et al. 2018), written out here."""
    x, y = (torch.from_numpy(part) for part in clusters(600, 1))
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, CLASSES))
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(steps):
        rows = torch.randint(len(x), (128,), generator=generator)
        given = x[rows]
        moved = given.clone()
        for _ in range(5 if radius else 0):
            moved.requires_grad_()
            (g,) = torch.autograd.grad(nn.functional.cross_entropy(net(moved), y[rows]), moved)
            moved = (given + (moved.detach() + 0.4 * radius * g.sign() - given).clamp(-radius, radius)).clamp(0, 1)
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(moved), y[rows]).backward()
        optimiser.step()
    return net.eval()


class Scaled(nn.Module):
    """Logits so large that softmax has no gradient left."""

    def __init__(self, net, factor=1e4):
        super().__init__()
        self.net, self.factor = net, factor

    def forward(self, x):
        return self.factor * self.net(x)


class Quantised(nn.Module):
    """Inputs in five levels: rounding has gradient 0."""

    def forward(self, x):
        return (4 * x).round() / 4


class Threshold(nn.Module):
    """Inputs in two levels by a comparison: no path for a gradient at all."""

    def forward(self, x):
        return 0.3 + 0.4 * (x > 0.5).float()


class Shattered(nn.Module):
    """A ripple that no eye sees and that turns the gradient's signs."""

    def forward(self, x):
        return x + 0.01 * torch.sin(2000 * x)


class Noisy(nn.Module):
    """Random numbers in evaluation mode too."""

    def __init__(self, deviation):
        super().__init__()
        self.deviation = deviation

    def forward(self, x):
        return x + self.deviation * torch.randn_like(x)


class RandomRipple(nn.Module):
    """A ripple with a new phase at every call: single gradients are noise, their mean is not."""

    def forward(self, x):
        return x + 0.02 * torch.sin(300 * x + 2 * torch.pi * torch.rand_like(x))


def behind(layer, net):
    return PixelModel(nn.Sequential(layer, net).eval())
