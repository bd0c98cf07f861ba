"""Small networks, samples and a measurement of their own: the tests of training stand on no other room."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from pnc.curves import LayerCurve
from pnc.measure import measure_features
from pnc.train import Batches, TrainSpec

CLASSES = 3


def clusters(samples: int = 60, *, dimension: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clusters that overlap a little."""
    draw = np.random.default_rng(seed)
    y = np.arange(samples) % CLASSES
    centres = np.random.default_rng(99).standard_normal((CLASSES, dimension))
    return centres[y] + 0.5 * draw.standard_normal((samples, dimension)), y


def images(samples: int = 24, *, size: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Grey images of bytes, a brighter row for each class."""
    draw = np.random.default_rng(seed)
    y = np.arange(samples) % CLASSES
    x = draw.integers(0, 80, (samples, size, size), dtype=np.uint8)
    x[np.arange(samples), 1 + y] += 120
    return x, y


def network(*, dropout: float = 0.0, norm: bool = False, seed: int = 0, dimension: int = 8) -> nn.Sequential:
    """Two hidden layers; `Flatten` is layer 0 of `measure`."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        norms = [nn.BatchNorm1d(16)] if norm else []
        drops = [nn.Dropout(dropout)] if dropout else []
        return nn.Sequential(
            nn.Flatten(), nn.Linear(dimension, 16), *norms, nn.ReLU(), *drops, nn.Linear(16, 16), nn.Tanh(),
            nn.Linear(16, CLASSES),
        )  # fmt: skip


def measure(model: nn.Sequential, batches: Batches, split: str) -> LayerCurve:
    """Features after every module but the last."""
    assert not model.training
    found: list[list[torch.Tensor]] = [[] for _ in model]
    labels = []
    for x, y in batches:
        for l, module in enumerate(model):
            found[l].append(x := module(x))
        labels.append(y)
    features = [torch.cat(layer).cpu().numpy() for layer in found[:-1]]
    return measure_features(features, torch.cat(labels).cpu().numpy())


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    """Bit for bit."""
    one, other = a.state_dict(), b.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def spec(**options: object) -> TrainSpec:
    """A short training with everything that has a state: momentum, a schedule, small batches."""
    usual = {"optimiser": "momentum", "learning_rate": 0.05, "epochs": 4, "batch_size": 16, "measure_every": None}
    return TrainSpec(**{**usual, **options})
