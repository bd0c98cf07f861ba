"""Figures 1 and 5 of the paper: rank, probe accuracy, C_l and D_l of an MLP and of a hybrid network.

    python -m sims.fig1_mlp_hybrid --scale smoke

Seven layers and a classifier; the hybrid has 3 nonlinear layers, then 4 linear ones. Three seeds.

`smoke`: 2,000 images of Fashion-MNIST, width 256, default initial weights, ‖f(x) - y‖², AdamW, 20 epochs.
`full`: all of Fashion-MNIST at width 1024, otherwise the same.
`paper`: CIFAR-10, width 1024, orthogonal initial weights of scale 0.1, ‖α f(x) - y‖² with α = 1 (MLP) and 100 (hybrid),
SGD with momentum 0.9 at 1e-4, weight decay 1e-4, cosine (here at every step), batches of 128, 400 epochs: the recipe of
its published script.

What to compare with, read off the published plot (uncentred features, 95 % of the sum of the singular values): ranks
860, 896, 872, 815, 749, 636, 441 (MLP) and 908, 922, 919, 912, 893, 841, 709 (hybrid).
"""

from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from sims.common import Scale, command, new_figure, save

__all__ = ["reproduce"]

_SEEDS = 3
_NETWORKS = {"mlp": "#1f4e79", "hybrid": "#c0392b"}
_OURS = {"initial": "default", "width": 256, "spec": {"optimiser": "adamw", "learning_rate": 1e-3, "epochs": 20}}
_RECIPES: dict[str, dict[str, Any]] = {
    "smoke": {**_OURS, "data": "fashion-mnist", "train": 200, "test": 100},
    "full": {**_OURS, "data": "fashion-mnist", "train": None, "test": None, "width": 1024},
    "paper": {
        "data": "cifar-10",
        "train": None,
        "test": None,
        "width": 1024,
        "initial": "orthogonal(0.1)",
        "spec": {"optimiser": "momentum", "learning_rate": 1e-4, "weight_decay": 1e-4, "epochs": 400},
        "label_scale": {"mlp": 1.0, "hybrid": 100.0},
    },
}
_QUANTITIES = {
    "numerical_rank": "numerical rank",
    "probe_accuracy": "accuracy of a linear probe",
    "compression": "$C_l$",
    "discrimination": "$D_l$",
}


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Train both networks from every seed, one after another, and draw the four quantities on the training split."""
    from pnc.data.image_sets import load_images
    from pnc.simulate.device import resolve_device
    from pnc.train import as_samples

    recipe = _RECIPES[scale]
    training, test = (
        load_images(recipe["data"], split=split, samples_per_class=recipe[split]) for split in ("train", "test")
    )
    samples = as_samples(training)
    tested = as_samples(test, like=samples, name="the test split")
    figure, panels = new_figure(len(_QUANTITIES))
    summary: dict[str, Any] = {}
    for name, colour in _NETWORKS.items():
        runs = []
        for seed in range(_SEEDS):
            folder = out / "checkpoints" / f"{name}-{seed}"
            found = _run(name, seed, recipe, samples, tested, resolve_device("auto"), folder)
            if not quiet:
                print(f"{name}, seed {seed}: accuracy {found['train_accuracy']:.2%}", file=sys.stderr)
            runs.append(found)
        summary[name] = _summary(runs)
        for panel, quantity in zip(panels, _QUANTITIES, strict=True):
            values = np.array([run[quantity] for run in runs])
            panel.errorbar(
                np.arange(values.shape[1]), values.mean(0), values.std(0, ddof=1), color=colour, marker="o", ms=4,
                lw=1.2, capsize=2, label=name,
            )  # fmt: skip
    for panel, label in zip(panels, _QUANTITIES.values(), strict=True):
        panel.set_xlabel("layer $l$")
        panel.set_title(label, fontsize=9)
        panel.grid(alpha=0.25, lw=0.6)
    panels[2].set_yscale("log")
    panels[0].legend(frameon=False, fontsize=9)
    saved = save(out, "fig1_mlp_hybrid", figure, summary)
    shutil.rmtree(out / "checkpoints")
    return saved


def _run(
    name: str, seed: int, recipe: dict[str, Any], samples: Any, tested: Any, device: Any, folder: Path
) -> dict[str, Any]:
    """One network from one seed; what was interrupted goes on from its last checkpoint."""
    from pnc.measure.model import measure_model
    from pnc.nets import build
    from pnc.train import NetTrainSpec, evaluate, train

    model = build(
        name, input_shape=samples.input_shape, classes=samples.classes, width=recipe["width"],
        initial=recipe["initial"], seed=seed,
    )  # fmt: skip
    spec = NetTrainSpec(
        **recipe["spec"], label_scale=recipe.get("label_scale", {}).get(name, 1.0), seed=seed, measure_every=None
    )
    train(model, samples, spec, device=device, checkpoints=folder, resume=True)
    splits = {split: some.to(device).batches(512) for split, some in (("train", samples), ("test", tested))}
    curve = measure_model(
        model, splits["train"], classes=samples.classes, layers=list(model.block_names)[:-1], probes=True, spectra=True
    )
    return {
        "numerical_rank": [np.mean(ranks["uncentred"]["numerical_rank"]) for ranks in curve.provenance["ranks"]],
        "probe_accuracy": curve.provenance["linear_probe_accuracy"],
        "compression": curve.compression,
        "discrimination": curve.discrimination,
        "train_accuracy": evaluate(model, splits["train"], spec)[1],
        "test_accuracy": evaluate(model, splits["test"], spec)[1],
        "curve": curve,
    }


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean over seeds of every quantity, and both laws, as [mean, standard deviation over seeds]."""
    from pnc.compare import fit_geometric_law, fit_linear_law

    def over_seeds(values: list[float]) -> list[float]:
        return [float(np.mean(values)), float(np.std(values, ddof=1))]

    geometric = [fit_geometric_law(run["curve"]) for run in runs]
    return {
        **{quantity: np.mean([run[quantity] for run in runs], axis=0) for quantity in _QUANTITIES},
        **{key: over_seeds([run[key] for run in runs]) for key in ("train_accuracy", "test_accuracy")},
        "compression_ratio": over_seeds([math.exp(fit.slope) for fit in geometric]),
        "geometric_r_squared": over_seeds([fit.r_squared for fit in geometric]),
        "geometric_onset": [fit.onset for fit in geometric],
        "discrimination_slope": over_seeds([fit_linear_law(run["curve"]).slope for run in runs]),
    }


if __name__ == "__main__":
    sys.exit(command(reproduce, "fig1_mlp_hybrid"))
