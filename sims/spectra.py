"""Spectra of activations: variance-ratio curves per block with U1 and U2, T1's closed form, U4 over the measured error.

    python -m sims.spectra --scale smoke

VGG-19 (batch norm), ResNet-18 and ResNet-50 on Fashion-MNIST, every block, before and after training, on the training
and on the test split. Centred activations are drawn solid, uncentred ones of the trained network's training split
dotted; triangles are what C_l alone guarantees (U1 at K-1 directions, U2 at one).

`smoke`: an eighth of the published widths, 1,000 images. `paper`: the published widths, all images, for a GPU. `full`:
the same on CIFAR-10.

The last figure holds theory against measurement: the spectrum of every layer of a deep linear network (T1) against
gradient flow, and U4's bound on the error of the nearest class centre against what an MLP's layers show.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from .common import Scale, command, new_figure, save

__all__ = ["reproduce"]

_NETWORKS = ("vgg-19-bn", "resnet-18", "resnet-50")
_RECIPES: dict[str, dict[str, Any]] = {
    "smoke": {"data": "fashion-mnist", "train": 100, "test": 100, "width": 8, "epochs": 10, "sketch": 64},
    "paper": {"data": "fashion-mnist", "train": None, "test": None, "width": 64, "epochs": 30, "sketch": 128},
    "full": {"data": "cifar-10", "train": None, "test": None, "width": 64, "epochs": 100, "sketch": 128},
}
_LEARNING_RATE = 2e-3
_BATCH = 256
_DIMENSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 50, 100)


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Train each network once from seed 0, draw its spectra before and after; then the two panels of theory."""
    from pnc.data import load_images
    from pnc.simulate.device import resolve_device
    from pnc.train import as_samples

    recipe, device = _RECIPES[scale], resolve_device("auto")
    training, test = (
        load_images(recipe["data"], split=split, samples_per_class=recipe[split]) for split in ("train", "test")
    )
    samples = as_samples(training)
    splits = {"train": samples, "test": as_samples(test, like=samples, name="the test split")}
    summary: dict[str, Any] = {}
    for name in _NETWORKS:
        summary[name] = _network(out, name, recipe, splits, device)
        if not quiet:
            print(f"{name}: {_told(summary[name])}", file=sys.stderr)
    figure, [left, right] = new_figure(2, height=3.8)
    figure.set_size_inches(10, 4)
    linear = _deep_linear(left)
    bound = _nearest_centre(right, splits)
    summary = {name: _told(found) for name, found in summary.items()} | {"deep_linear": linear, "u4": bound}
    return save(out, "spectra_theory", figure, summary)


def _network(out: Path, name: str, recipe: dict[str, Any], splits: dict[str, Any], device: Any) -> dict[str, Any]:
    from pnc.compare import variance_floors
    from pnc.measure import measure_model
    from pnc.nets import Network, build
    from pnc.report.spectra import variance_figure
    from pnc.train import TrainSpec, evaluate, train

    model = build(
        name, input_shape=splits["train"].input_shape, classes=splits["train"].classes, width=recipe["width"], seed=0
    ).to(device)  # fmt: skip
    assert isinstance(model, Network)  # by its name
    spec = TrainSpec(
        loss="cross-entropy", epochs=recipe["epochs"], learning_rate=_LEARNING_RATE, batch_size=64, measure_every=None
    )

    def measured() -> dict[str, Any]:
        return {
            split: measure_model(
                model, some.to(device).batches(_BATCH), classes=some.classes, layers=list(model.block_names)[:-1],
                spectra=True, sketch=recipe["sketch"], split=split,
            )
            for split, some in splits.items()
        }  # fmt: skip

    curves = {f"before, {split}": curve for split, curve in measured().items()}
    train(model, splits["train"], spec, device=device)
    curves |= {f"trained, {split}": curve for split, curve in measured().items()}
    # the pixels are the same before and after
    curves = {label: curve.at(curve.layers[1:]) for label, curve in curves.items()}
    accuracy = {
        split: evaluate(model, some.to(device).batches(_BATCH), spec)[1] for split, some in splits.items()
    }  # fmt: skip
    figure = variance_figure(
        curves, uncentred=["trained, train"],
        title=f"{name}, width {recipe['width']}, on {recipe['data']}: test accuracy {accuracy['test']:.1%}; "
        "triangles: guaranteed by U1 (K-1 directions) and U2 (one)",
    )  # fmt: skip
    floors = {label: [floor.to_dict() for floor in variance_floors(curve)] for label, curve in curves.items()}
    return save(
        out, f"spectra_{name.replace('-', '_')}", figure,
        {
            "accuracy": accuracy,
            "floors": floors,
            "ranks": {label: [n.ranks.to_dict() for n in curve.notes if n.ranks] for label, curve in curves.items()},
        },
    )  # fmt: skip


def _told(found: dict[str, Any]) -> dict[str, Any]:
    """The last block's share in K-1 directions before and after, and the slack of U1 and U2 over all blocks."""
    floors = found["floors"]
    every = [floor for some in floors.values() for floor in some]
    return {
        "test_accuracy": found["accuracy"]["test"],
        "last_block_share": {label: some[-1]["share"] for label, some in floors.items()},
        "last_block_share_floor": {label: some[-1]["share_floor"] for label, some in floors.items()},
        "holds": f"{sum(floor['holds'] for floor in every)} of {len(every)}",
        "share_slack": [min(f["share_slack"] for f in every), max(f["share_slack"] for f in every)],
        "stable_rank_slack": [min(f["stable_rank_slack"] for f in every), max(f["stable_rank_slack"] for f in every)],
    }


def _deep_linear(panel: Any) -> dict[str, Any]:
    """Eigenvalues of every layer's Gram matrix: T1 (lines) and gradient flow (circles); the largest errors."""
    from pnc import NetworkSpec, ProblemSpec, SimulationSpec
    from pnc.data import draw
    from pnc.measure import numerical_rank, singular_values
    from pnc.simulate import simulate
    from pnc.theory import layer_spectrum, predicted_numerical_rank

    problem = draw(ProblemSpec(classes=3, samples_per_class=10, theta=0.5, seed=0))
    network = NetworkSpec(depth=6, width=512, residual_scale=0.3)
    run = simulate(problem, network, SimulationSpec(seed=0))
    weights, basis = run.written_out()
    features, found = problem.X @ basis, {"signal_error": [], "residual_error": [], "rank_predicted": [], "rank": []}
    for l in range(network.depth):
        if l:
            features = features @ weights[l - 1].T
        measured = singular_values(features) ** 2
        predicted = layer_spectrum(problem, network, l)[: measured.size]
        place = np.arange(1, predicted.size + 1)
        colour = str(0.75 - 0.75 * l / network.depth)
        panel.plot(place, predicted, "-", color=colour, lw=1.0)
        panel.plot(place, measured[: place.size], "o", color=colour, ms=3.5, mfc="none", label=f"layer {l}")
        error = np.abs(measured[: place.size] / predicted - 1)
        found["signal_error"].append(error[: problem.classes].max())
        found["residual_error"].append(error[problem.classes :].max())
        found["rank_predicted"].append(predicted_numerical_rank(predicted))
        found["rank"].append(numerical_rank(np.sqrt(measured)))
    panel.set_yscale("log")
    panel.set_xlabel("direction", fontsize=8)
    panel.set_title("eigenvalues of $Z_l^T Z_l$: T1 (lines), gradient flow (circles)", fontsize=9)
    panel.legend(frameon=False, fontsize=7, loc="upper right", ncols=3)
    panel.grid(alpha=0.25, lw=0.6)
    return found


def _nearest_centre(panel: Any, splits: dict[str, Any]) -> dict[str, Any]:
    """Error of the nearest class centre in m components of layers of an MLP, and U4 where it says something."""
    from pnc.measure import measure_compressed
    from pnc.nets import Network, build
    from pnc.report.spectra import draw_centre_error, projected_error_bound
    from pnc.train import TrainSpec, train

    samples = splits["train"]
    model = build("mlp", input_shape=samples.input_shape, classes=samples.classes, width=256, depth=7, batch_norm=True)
    assert isinstance(model, Network)  # by its name
    epochs = max(1, 60_000 // len(samples))  # as many steps on few images as on all
    train(
        model, samples,
        TrainSpec(loss="cross-entropy", epochs=min(epochs, 60), learning_rate=1e-3, measure_every=None),
    )  # fmt: skip
    found = {}
    batches = samples.batches(_BATCH)
    for name, colour in zip(model.layer_names[1:-1:2], ("#8fb3d9", "#1f4e79", "#c0392b")):
        site = measure_compressed(
            model, batches, batches, classes=samples.classes, site=name, dimensions=_DIMENSIONS, svm=False
        )
        draw_centre_error(panel, site, colour=colour, label=f"{name}, C = {site.moments.compression():.3g}")
        bound, last = projected_error_bound(site), _DIMENSIONS.index(samples.classes - 1)
        found[name] = {
            "compression": site.moments.compression(),
            "bound": bound if bound < 1 else None,
            "error": [kept.centre_error for kept in site.kept],
            "holds": bool(all(kept.centre_error <= bound for kept in site.kept[last:])),
        }
    panel.set_title("error of the nearest class centre, training samples; dashed: U4", fontsize=9)
    panel.legend(frameon=False, fontsize=7)
    return found


if __name__ == "__main__":
    sys.exit(command(reproduce, "spectra"))
