"""Trained ReLU networks: what can be predicted of them without a fitted constant (RL1 to RL4 and RL6).

    python -m sims.relu_laws --scale smoke

Clusters about orthogonal class means, bias-free networks from small orthogonal weights, squared error, trained until
the output's within-class scatter is gone: the within-class law with the gate that says where it may be used (RL1), one
point a class in place of all samples (RL2). Orthogonal inputs: gates that never come back, and the bounds that follow
from the initial weights (RL3). Weight decay: the last cosine of two classes, at a width of 10,000 (RL4). MLPs on
Fashion-MNIST: Gaussian gates from class moments before training, on held-out and on training images, and their
quotient, the memorisation measure, for networks that are trained on some wrong labels (RL6).

`smoke`: 2 settings of one seed, 4 runs of RL3, 500 images. `paper` and `full`: 10 settings of three seeds, 24 runs,
2,000 images, three seeds. The papers say nothing of these: predictions of the project.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pnc.data import ImageData, load_splits
from pnc.measure import measure_features
from pnc.nets import build
from pnc.theory import (
    deviations_left,
    gate_share,
    gaussian_gates,
    memorisation,
    never_revived_compression,
    never_revived_scatter,
    predict_rectified,
    rectified_within_ratio,
    remaining_cosine,
)
from pnc.train import TrainSpec, train

from .common import Scale, command, new_figure, save

__all__ = ["reproduce"]


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """K clusters `√(1-s²) c_k + s t_i` of n samples, and the network."""

    classes: int = 3
    size: int = 10
    depth: int = 3
    width: int = 200
    scale: float = 0.3
    spread: float = 0.3


FITTED = (
    _Setting(),
    _Setting(spread=0.6),
    _Setting(scale=0.4),
    _Setting(scale=0.4, spread=0.6),
    _Setting(scale=0.2, spread=0.6),
    _Setting(classes=4, size=6, scale=0.4, spread=0.6),
    _Setting(classes=2),
    _Setting(classes=2, scale=0.4, spread=0.6),
    _Setting(depth=4, scale=0.4),
    _Setting(depth=4, scale=0.4, spread=0.6),
)
UNFITTED = (_Setting(depth=4, width=100, scale=0.1), _Setting(depth=4, width=200, scale=0.2))
"""Where a loss of 4e-6 is reached before the samples are fitted along their deviations."""


def _orthogonal(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T


def _forward(weights: list[np.ndarray], X: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    features, pre = [X], []
    for W in weights[:-1]:
        pre.append(features[-1] @ W.T)
        features.append(np.maximum(pre[-1], 0))
    return features, pre, features[-1] @ weights[-1].T


def _gradients(weights: list[np.ndarray], X: np.ndarray, Y: np.ndarray) -> tuple[float, list[np.ndarray]]:
    """Of ½Σ‖f - y‖²."""
    features, pre, outputs = _forward(weights, X)
    pull = outputs - Y
    loss, found = float(np.sum(pull**2)) / 2, []
    for layer in reversed(range(len(weights))):
        found.append(pull.T @ features[layer])
        if layer:
            pull = (pull @ weights[layer]) * (pre[layer - 1] > 0)
    return loss, found[::-1]


def _descend(
    weights: list[np.ndarray], X: np.ndarray, Y: np.ndarray, *, rate: float, done: Callable[[float], bool]
) -> list[np.ndarray]:
    """Gradient flow by arc length near the saddle and by the learning rate later; in place."""
    for _ in range(60_000):
        loss, found = _gradients(weights, X, Y)
        if done(loss):
            break
        step = min(rate, 0.03 / math.sqrt(sum(float(np.sum(g**2)) for g in found)))
        for W, g in zip(weights, found):
            W -= step * g
    return weights


def _clusters(setting: _Setting) -> tuple[np.ndarray, np.ndarray]:
    K, N = setting.classes, setting.classes * setting.size
    y = np.repeat(np.arange(K), setting.size)
    X = np.zeros((N, K + N))
    X[np.arange(N), y] = math.sqrt(1 - setting.spread**2)
    X[np.arange(N), K + np.arange(N)] = setting.spread
    return X, y


def _class_scatters(Z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.array([np.sum((Z[y == k] - Z[y == k].mean(axis=0)) ** 2) for k in range(y.max() + 1)]) / y.size


def _within_class_law(setting: _Setting, seed: int, *, loss: float | None = None) -> dict[str, Any]:
    """Train; the law's quotient a layer, the gate, and the curve. `loss`: stop there, whatever the gate says."""
    X, y = _clusters(setting)
    rng = np.random.default_rng(seed)
    K, width, ε = setting.classes, setting.width, setting.scale
    sizes = [max(X.shape[1], width), *[width] * (setting.depth - 1), K]
    weights = [ε * _orthogonal(b, a, rng) for a, b in zip(sizes, sizes[1:])]
    weights[0] = weights[0][:, : X.shape[1]].copy()  # no data in the others, which never move

    def gate() -> float:
        """Output's within-class scatter, relative to what a random last layer of scale ε would give it."""
        features, _, outputs = _forward(weights, X)
        scatters = (float(_class_scatters(Z, y).sum()) for Z in (outputs, features[-1]))
        return deviations_left(*scatters, residual_scale=ε, classes=K, width=width)

    checked = [0]

    def done(now: float) -> bool:
        if loss is not None:
            return now < loss
        checked[0] += 1
        return now < 1e-6 and checked[0] % 20 == 0 and gate() < 0.01

    _descend(weights, X, np.eye(K)[y], rate=0.25 / setting.size, done=done)
    features, pre, outputs = _forward(weights, X)
    quotients = []
    for layer in range(1, setting.depth):
        before = _class_scatters(features[layer - 1], y)
        opened = np.array([np.mean(pre[layer - 1][y == k].mean(axis=0) > 0) for k in range(K)])
        law = rectified_within_ratio(ε, gate_share(before, opened))
        quotients.append(float(_class_scatters(features[layer], y).sum() / before.sum() / law))
    curve = measure_features(features, y, fuzziness=False)
    return {
        "setting": vars(setting),
        "seed": seed,
        "loss": float(np.sum((outputs - np.eye(K)[y]) ** 2)) / 2,
        "gate": gate(),
        "measured_over_law": quotients,
        "C": curve.compression.tolist(),
        "D": curve.discrimination.tolist(),
        "between_scatter": curve.between_scatter.tolist(),
    }


def _class_flow(setting: _Setting, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """RL2 against trained networks: errors of C, D and of the between-class ratio of a layer."""
    X, y = _clusters(setting)
    law = predict_rectified(
        X, y, depth=setting.depth, width=setting.width, residual_scale=setting.scale, seed=1000
    ).curve
    ratios = law.between_scatter[1:] / law.between_scatter[:-1]
    C, D, B = (np.array([run[name] for run in runs]) for name in ("C", "D", "between_scatter"))
    return {
        "setting": vars(setting),
        "C_error": float(np.max(np.abs(law.compression / C - 1))),
        "D_error": float(np.max(np.abs(law.discrimination - D))),
        "between_ratio_error": float(np.max(np.abs(ratios / (B[:, 1:] / B[:, :-1]) - 1))),
    }


def _never_revived(seed: int) -> dict[str, Any]:
    """RL3 in one run: losses, decays, steps and depths by turns; inputs orthogonal, of different norms."""
    rng = np.random.default_rng(seed)
    K, n, width, depth = (2, 3)[seed % 2], (3, 4, 5)[seed % 3], 60, (2, 3)[seed // 2 % 2]
    decay, rate, cross_entropy = (0.0, 0.01)[seed // 4 % 2], (0.2, 0.5)[seed % 2], seed % 5 < 2
    y = np.repeat(np.arange(K), n)
    X = _orthogonal(K * n, K * n + 5, rng) * rng.uniform(0.7, 1.3, (K * n, 1))
    sizes = [X.shape[1], *[width] * (depth - 1), K]
    weights = [rng.standard_normal((b, a)) * 1.2 / math.sqrt(a) for a, b in zip(sizes, sizes[1:])]
    first = X @ weights[0].T > 0
    revivals, slack, C_slack = 0, math.inf, math.inf
    shares = np.array([first[y == k].mean(axis=0) for k in range(K)]).T
    for step in range(1500):
        features, pre, outputs = _forward(weights, X)
        revivals += int(np.sum((pre[0] > 0) & ~first))
        if step % 50 == 0 or step == 1499:
            curve = measure_features([features[1]], y, fuzziness=False)
            means = np.array([features[1][y == k].mean(axis=0) for k in range(K)]).T
            slack = min(slack, curve.within_scatter[0] / never_revived_scatter(shares, means))
            C_slack = min(C_slack, curve.compression[0] - never_revived_compression(float(shares.max())))
        if cross_entropy:
            soft = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            pull = (soft / soft.sum(axis=1, keepdims=True) - np.eye(K)[y]) / len(X)
        else:
            pull = (outputs - np.eye(K)[y]) / len(X)
        for layer in reversed(range(depth)):
            gradient = pull.T @ features[layer]
            if layer:
                pull = (pull @ weights[layer]) * (pre[layer - 1] > 0)
            weights[layer] = weights[layer] - rate * (gradient + decay * weights[layer])
    return {"seed": seed, "revivals": revivals, "scatter_over_bound": float(slack), "C_less_bound": float(C_slack)}


def _last_cosine(seed: int, *, width: int, marks: tuple[int, ...]) -> list[dict[str, float]]:
    """RL4(b): two layers, two orthonormal points, weight decay; 1 - D_1 at λt = marks over the law."""
    λ, rate, rng = 0.05, 0.05, np.random.default_rng(seed)
    X = Y = np.eye(2)
    weights = [0.05 * rng.standard_normal((width, 2)) / math.sqrt(width)]
    weights.append(0.05 * rng.standard_normal((2, width)) / math.sqrt(width))
    found, steps = [], 0
    for mark in marks:
        while λ * steps * rate < mark:
            # mean squared error of two samples: ½Σ‖f - y‖²
            _, pulls = _gradients(weights, X, Y)
            for W, g in zip(weights, pulls):
                W -= rate * (g + λ * W)
            steps += 1
        features, _, _ = _forward(weights, X)
        curve = measure_features([features[1]], np.array([0, 1]), fuzziness=False)
        law = remaining_cosine(depth=2, classes=2, weight_decay=λ, time=steps * rate)
        found.append({"decay_times_time": mark, "over_law": float((1 - curve.discrimination[0]) / law)})
    return found


def _gaussian(images: int, wrong: float, seed: int, *, epochs: int) -> dict[str, Any]:
    """RL6 on an MLP of five hidden layers, some training labels wrong: C over the law before and after training."""
    splits = load_splits("fashion-mnist", samples_per_class=images // 10 * (seed + 1), test_samples_per_class=100)
    X, y = _pixels(splits.train)
    X_held, y_held = _pixels(splits.test)
    # the seed's own images: the last of every class
    own = np.concatenate([np.flatnonzero(y.numpy() == k)[-(images // 10) :] for k in range(10)])
    X, y = X[own], y[own]
    shape = tuple(X.shape[1:])
    rng = np.random.default_rng(seed)
    mixed = y.clone()
    chosen = torch.as_tensor(rng.random(len(y)) < wrong)
    mixed[chosen] = torch.as_tensor(rng.integers(0, 10, int(chosen.sum())))
    model = build("mlp", input_shape=shape, classes=10, width=256, depth=6, batch_norm=False, bias=True, seed=seed)
    before = _layers_against_gates(model, X_held, y_held)
    spec = TrainSpec(loss="mse", optimiser="adamw", learning_rate=1e-3, epochs=epochs, batch_size=100, seed=seed)
    train(model, (X, mixed), spec)
    training, held_out = (_layers_against_gates(model, *part) for part in ((X, mixed), (X_held, y_held)))
    quotient = memorisation(training[0], training[1], held_out[0], held_out[1])
    with torch.no_grad():
        fitted = float((model(X).argmax(dim=1) == mixed).double().mean())
        right = float((model(X_held).argmax(dim=1) == y_held).double().mean())
    return {
        "wrong_labels": wrong,
        "seed": seed,
        "training_accuracy": fitted,
        "held_out_accuracy": right,
        "law_over_C_before_training": (before[1].compression / before[0].compression).tolist(),
        "law_over_C_held_out": (held_out[1].compression / held_out[0].compression).tolist(),
        "law_over_C_training": (training[1].compression / training[0].compression).tolist(),
        "D_error_held_out": float(np.max(np.abs(held_out[1].discrimination - held_out[0].discrimination))),
        "memorisation": quotient.tolist(),
    }


def _pixels(data: object) -> tuple[torch.Tensor, torch.Tensor]:
    assert isinstance(data, ImageData)
    return (torch.tensor(data.images, dtype=torch.float32) / 255 - 0.2860) / 0.3530, torch.tensor(data.y)


def _layers_against_gates(model: nn.Module, X: torch.Tensor, y: torch.Tensor) -> tuple[Any, Any]:
    """The measured curve after every ReLU, and that of Gaussian gates from the input's class moments."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)][:-1]
    weights = [module.weight.detach().double().numpy() for module in layers]
    biases = [None if module.bias is None else module.bias.detach().double().numpy() for module in layers]
    features, labels = [X.flatten(1).double().numpy()], y.numpy()
    for W, b in zip(weights, biases):
        features.append(np.maximum(features[-1] @ W.T + (0 if b is None else b), 0))
    return measure_features(features, labels, fuzziness=False), gaussian_gates(weights, biases, features[0], labels)


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Every law of trained ReLU networks against networks; measured over predicted, and what was violated."""
    del workers  # the networks are small: one process
    small = scale == "smoke"
    settings, seeds = (FITTED[:2], 1) if small else (FITTED, 3)

    def say(text: str) -> None:
        if not quiet:
            print(text, file=sys.stderr, flush=True)

    law, flow = [], []
    for setting in settings:
        runs = [_within_class_law(setting, seed) for seed in range(seeds)]
        law += runs
        flow.append(_class_flow(setting, runs))
        say(f"RL1 {setting}: {[np.round(run['measured_over_law'], 3).tolist() for run in runs]}; RL2 {flow[-1]}")
    unfitted = [_within_class_law(setting, 0, loss=4e-6) for setting in UNFITTED[: 1 if small else 2]]
    say(f"RL1, not fitted: {[(run['gate'], run['measured_over_law']) for run in unfitted]}")
    revived = [_never_revived(seed) for seed in range(4 if small else 24)]
    say(f"RL3: {sum(run['revivals'] for run in revived)} revivals in {len(revived)} runs")
    width, marks = (1000, (10,)) if small else (10_000, (10, 20, 40))
    cosines = [_last_cosine(seed, width=width, marks=marks) for seed in range(seeds)]
    say(f"RL4(b): {cosines}")
    gates = []
    for wrong in (0.0, 0.3) if small else (0.0, 0.2, 0.5):
        for seed in range(seeds):
            gates.append(_gaussian(500 if small else 2000, wrong, seed, epochs=40 if small else 80))
            say(f"RL6: {gates[-1]}")
    quotients = [value for run in law for value in run["measured_over_law"]]
    figure, panels = new_figure(2, height=3.4)
    panels[0].axhspan(0.93, 1.07, color="#27632a", alpha=0.12)
    for run in law:
        panels[0].plot(range(1, len(run["measured_over_law"]) + 1), run["measured_over_law"], "o", color="#1f4e79")
    for run in unfitted:
        panels[0].plot(range(1, len(run["measured_over_law"]) + 1), run["measured_over_law"], "x", color="#c0392b")
    panels[0].set(xlabel="layer", ylabel="measured / (ε² q)", title="RL1; crosses: not fitted")
    for run in gates:
        panels[1].plot(run["memorisation"], "o-", alpha=0.6, label=f"{run['wrong_labels']:.0%} wrong labels")
    panels[1].set(xlabel="layer", ylabel="memorisation", title="RL6", yscale="log")
    handles, labels = panels[1].get_legend_handles_labels()
    unique = dict(zip(labels, handles))
    panels[1].legend(unique.values(), unique.keys(), frameon=False, fontsize=8)
    return save(
        out,
        "relu_laws",
        figure,
        {
            "within_class_law": {"runs": law, "least": min(quotients), "most": max(quotients)},
            "not_fitted": unfitted,
            "class_flow": flow,
            "never_revived": {
                "runs": len(revived),
                "revivals": sum(run["revivals"] for run in revived),
                "least_scatter_over_bound": min(run["scatter_over_bound"] for run in revived),
                "least_C_less_bound": min(run["C_less_bound"] for run in revived),
            },
            "last_cosine": cosines,
            "gaussian_gates": gates,
        },
    )


if __name__ == "__main__":
    sys.exit(command(reproduce, "relu_laws"))
