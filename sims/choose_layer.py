"""Which layer to read out: `pnc choose` against trained probes, other scores and trivial rules, over transfer tasks.

    python -m sims.choose_layer --scale smoke

A network is trained on five classes of Fashion-MNIST; a linear readout of the other five is then wanted from 20 or 200
images of each. Every layer of it (feature maps averaged over positions) is scored from these few images alone. What a
layer is worth is the accuracy on 2,000 other images of scikit-learn's `LogisticRegressionCV`, fitted to the same few.
The regret of a rule is what its layer loses against the network's best one, in points of accuracy. The input, with all
its pixels, is no candidate; how often it beats every layer, so that no network is needed, is said beside the table.

Scores: `leave-one-out accuracy` is that of `pnc choose`; `leave-one-out error` its squared error; `fuzziness`
tr(Σ_W Σ_B⁺), `C`, `D`; `H-score` tr(Σ_T⁺ Σ_B) (Bao et al. 2019); `LogME` (You et al. 2021), per sample and class.

`smoke`: 2 splits of the classes, VGG-11 of width 16, 3 epochs on 1,500 images. `paper`: 6 splits, VGG-11 (10 epochs on
4,000 images), and ResNet-18 of width 16 and an MLP of width 256 on two of them. `full`: 12 splits, all networks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from pnc.choose import choose_from_features
from pnc.data import ImageData, load_splits
from pnc.measure import capture, measure_features
from pnc.nets import build

from .common import Scale, command, new_figure, save

__all__ = ["h_score", "log_evidence", "reproduce"]

SPLITS = [
    (0, 1, 2, 3, 4), (5, 6, 7, 8, 9), (0, 2, 4, 6, 8), (1, 3, 5, 7, 9), (0, 3, 5, 6, 9), (1, 2, 4, 7, 8),
    (0, 1, 5, 6, 7), (2, 3, 4, 8, 9), (0, 4, 5, 7, 8), (1, 2, 3, 6, 9), (0, 2, 7, 8, 9), (1, 3, 4, 5, 6),
]  # fmt: skip
FEW = (20, 200)
HELD_OUT = 400  # images of a class
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "vgg-11-bn": {"width": 16},
    "resnet-18": {"width": 16},
    "mlp": {"width": 256, "depth": 7, "batch_norm": True},
}
SIZES = {"smoke": (2, 3, 300), "paper": (6, 10, 800), "full": (12, 20, 5000)}  # splits, epochs, images of a class
SCORES = ("leave-one-out accuracy", "leave-one-out error", "fuzziness", "C", "D", "H-score", "LogME")
RULES = ("last layer", "first layer", "middle layer", "three quarters", "widest layer")


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Images and labels of both splits of Fashion-MNIST, the pixels standardised."""

    train: torch.Tensor
    train_y: Int[np.ndarray, " N"]
    test: torch.Tensor
    test_y: Int[np.ndarray, " M"]


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Regret of every score and rule over all tasks; a finished task is not run again."""
    splits, epochs, images = SIZES[scale]
    pool = _pool()
    tasks = []
    for network in NETWORKS:
        several = splits if network == "vgg-11-bn" else {"smoke": 0, "paper": 2, "full": splits}[scale]
        for number in range(several):
            tasks += _tasks(network, number, epochs, images, pool, out / "tasks", quiet=quiet)
    return save(out, "choose_layer", _figure(tasks), _summary(tasks))


def _pool() -> Pool:
    data = load_splits("fashion-mnist")
    assert isinstance(data.train, ImageData) and isinstance(data.test, ImageData)  # noqa: PT018
    pixels = [torch.from_numpy(part.images).float() / 255 for part in (data.train, data.test)]
    mean, scale = pixels[0].mean(), pixels[0].std()
    train, test = ((part - mean) / scale for part in pixels)
    return Pool(train=train, train_y=np.asarray(data.train.y), test=test, test_y=np.asarray(data.test.y))


def _tasks(
    network: str, number: int, epochs: int, images: int, pool: Pool, folder: Path, *, quiet: bool
) -> list[dict[str, Any]]:
    """The tasks of one pre-trained network: the same layers read out from few and from more images."""
    files = [folder / f"{network}-{number}-{few}.json" for few in FEW]
    if all(file.exists() for file in files):
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]
    before = SPLITS[number]
    after = [k for k in range(10) if k not in before]
    x, y = _drawn(pool.train, pool.train_y, before, images, seed=number)
    net = _trained(network, x, y, epochs, seed=number)
    names = [name for name in net.layer_names if name != "head"]
    held, held_y = _drawn(pool.test, pool.test_y, after, HELD_OUT, seed=number)
    found = []
    for few, file in zip(FEW, files):
        seen, seen_y = _drawn(pool.train, pool.train_y, after, few, seed=100 + number)
        layers = {"input": (seen.flatten(1).numpy(), held.flatten(1).numpy())}
        parts = [_features(net, part, names) for part in (seen, held)]
        layers |= {name: (parts[0][name], parts[1][name]) for name in names}
        task = {
            "network": network, "trained_on": list(before), "images_of_a_class": few, "layers": list(layers),
            "widths": [part.shape[1] for part, _ in layers.values()],
            "accuracy": [_probe(a, seen_y, b, held_y) for a, b in layers.values()],
            "scores": _scores([part for part, _ in layers.values()], seen_y),
        }  # fmt: skip
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(task, indent=1) + "\n", encoding="utf-8")
        found.append(task)
        if not quiet:
            print(f"{network}, trained on {before}, {few} images: best {max(task['accuracy']):.1%}", file=sys.stderr)
    return found


def _drawn(
    images: torch.Tensor, y: np.ndarray, classes: Sequence[int], each: int, *, seed: int
) -> tuple[torch.Tensor, Int[np.ndarray, " n"]]:
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(y == k))[:each] for k in classes]
    labels = np.repeat(np.arange(len(classes)), [len(part) for part in rows])
    return images[np.concatenate(rows)], labels


def _trained(network: str, x: torch.Tensor, y: np.ndarray, epochs: int, *, seed: int) -> Any:
    from pnc.train import TrainSpec, as_samples, train

    net = build(network, input_shape=tuple(x.shape[1:]), classes=5, seed=seed, **NETWORKS[network])
    spec = TrainSpec(loss="cross-entropy", epochs=epochs, seed=seed, measure_every=None)
    return train(net, as_samples((x, torch.from_numpy(y)), classes=5), spec).model.eval()


def _features(net: Any, x: torch.Tensor, names: Sequence[str]) -> dict[str, np.ndarray]:
    kept: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for part in x.split(256):
        for name, value in capture(net, part, layers=list(names)).items():
            if name in kept:
                kept[name].append((value.flatten(2).mean(2) if value.ndim > 2 else value).numpy())
    return {name: np.concatenate(parts) for name, parts in kept.items()}


def _probe(x: np.ndarray, y: np.ndarray, held: np.ndarray, held_y: np.ndarray) -> float:
    """Held-out accuracy of logistic regression, its penalty cross-validated on the few images."""
    import warnings

    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a penalty for which it has not converged is not the one that is chosen
        model = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=7, cv=3, max_iter=400))
        return float(model.fit(x, y).score(held, held_y))


def _scores(features: Sequence[np.ndarray], y: np.ndarray) -> dict[str, list[float]]:
    """Every score of every layer, turned so that more is better."""
    curve = measure_features(list(features), y)
    readouts = choose_from_features(list(features), y).readouts
    return {
        "leave-one-out accuracy": [readout.accuracy - 1e-6 * readout.squared_error for readout in readouts],
        "leave-one-out error": [-readout.squared_error for readout in readouts],
        "fuzziness": (-np.nan_to_num(curve.separation_fuzziness, nan=np.inf)).tolist(),
        "C": (-curve.compression).tolist(),
        "D": curve.discrimination.tolist(),
        "H-score": [h_score(part, y) for part in features],
        "LogME": [log_evidence(part, y) for part in features],
    }


def h_score(features: Float[np.ndarray, "N d"], y: Int[np.ndarray, " N"]) -> float:
    """`tr(Σ_T⁺ Σ_B)` of the features in sample (Bao et al. 2019): K - 1 times the R² of least squares.

    >>> h_score(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 0, 1, 1]))
    1.0
    """
    centred = np.asarray(features, dtype=np.float64) - features.mean(0)
    means = np.stack([centred[y == k].mean(0) for k in range(y.max() + 1)])[y]
    return float(np.trace(np.linalg.pinv(centred.T @ centred, hermitian=True) @ (means.T @ means)))


def log_evidence(features: Float[np.ndarray, "N d"], y: Int[np.ndarray, " N"], *, steps: int = 50) -> float:
    """LogME: the largest log evidence of Bayesian linear regression of each class's indicator, a sample and class.

    With weights N(0, 1/a) and noise N(0, 1/b), a and b are raised to the maximum by MacKay's fixed point.

    >>> round(log_evidence(np.array([[0.0], [0.1], [1.0], [1.1]]), np.array([0, 0, 1, 1])), 3)
    -0.276
    """
    z = np.asarray(features, dtype=np.float64)
    left, singular, _ = np.linalg.svd(z, full_matrices=False)
    squares, (n, d) = singular**2, z.shape
    found = []
    for k in range(y.max() + 1):
        t = (y == k).astype(np.float64)
        along = left.T @ t
        missed = float(t @ t - along @ along)
        a = b = 1.0
        for _ in range(steps):
            shrunk = a + b * squares
            effective = np.sum(b * squares / shrunk)
            weights = float(np.sum((b * singular * along / shrunk) ** 2))
            residual = float(np.sum((a * along / shrunk) ** 2)) + missed
            a, b = effective / max(weights, 1e-12), (n - effective) / max(residual, 1e-12)
        shrunk = a + b * squares
        weights = float(np.sum((b * singular * along / shrunk) ** 2))
        residual = float(np.sum((a * along / shrunk) ** 2)) + missed
        evidence = n * np.log(b) + d * np.log(a) - np.sum(np.log(shrunk)) - (d - len(squares)) * np.log(a)
        found.append((evidence - b * residual - a * weights - n * np.log(2 * np.pi)) / (2 * n))
    return float(np.mean(found))


def _of_network(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task without the input, which is no layer of the network."""
    return {
        **task,
        **{key: task[key][1:] for key in ("layers", "widths", "accuracy")},
        "scores": {name: values[1:] for name, values in task["scores"].items()},
    }


def _chosen(task: Mapping[str, Any], rule: str) -> int:
    """The layer that a score or a rule takes, of a task without the input."""
    last = len(task["layers"]) - 1
    if rule in task["scores"]:
        return int(np.argmax(task["scores"][rule]))
    places = {
        "last layer": last, "first layer": 0, "middle layer": last // 2, "three quarters": 3 * last // 4,
        "widest layer": int(np.argmax(task["widths"])),
    }  # fmt: skip
    return places[rule]


def _regrets(tasks: Sequence[Mapping[str, Any]], rule: str) -> list[float]:
    """Points of accuracy that a rule loses, task by task."""
    own = [_of_network(task) for task in tasks]
    return [100 * (max(task["accuracy"]) - task["accuracy"][_chosen(task, rule)]) for task in own]


def _summary(tasks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    regrets = {rule: _regrets(tasks, rule) for rule in (*SCORES, *RULES)}
    return {
        "tasks": len(tasks),
        "tasks_in_which_the_input_beats_every_layer": sum(int(np.argmax(task["accuracy"])) == 0 for task in tasks),
        "rules": {
            rule: {"mean_regret": float(np.mean(found)), "worst_regret": float(np.max(found))}
            for rule, found in regrets.items()
        },
    }


def _figure(tasks: Sequence[Mapping[str, Any]]) -> Any:
    figure, (panel,) = new_figure(1)
    panel.boxplot([_regrets(tasks, rule) for rule in (*SCORES, *RULES)], whis=(0, 100))
    panel.set_xticks(range(1, 1 + len(SCORES) + len(RULES)), [*SCORES, *RULES], rotation=60, ha="right", fontsize=7)
    panel.set_ylabel("regret, points of accuracy")
    return figure


if __name__ == "__main__":
    sys.exit(command(reproduce, "choose_layer"))
