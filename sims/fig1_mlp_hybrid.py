"""Figures 1 and 5 of the paper: rank, probe accuracy, C_l and D_l of an MLP and of a hybrid network.

    python -m sims.fig1_mlp_hybrid --scale smoke

Seven layers and a classifier; the hybrid has 3 nonlinear layers, then 4 linear ones. Three seeds, each network with
batch norm before its activations, as in the published code, and without. Points are means, bars 95 % intervals.

`smoke`: 2,000 images of Fashion-MNIST, width 256; PyTorch's default initial weights, ‖f(x) - y‖², AdamW at 1e-3
(cosine), batches of 128, 100 epochs.
`full`: all of Fashion-MNIST at width 1024, otherwise the same.
`paper`: CIFAR-10, width 1024, by the published recipe (`sims.fig1_published_recipe`, which runs it on Fashion-MNIST
too), with batch norm alone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .common import Scale, command, new_figure, save
from .networks import Case, Data, draw, image_data, summary, train_from_seeds

__all__ = ["PUBLISHED", "layer_figure", "reproduce"]

QUANTITIES = ("numerical_rank", "held_out_linear_probe_accuracy", "compression", "discrimination")
COLOURS = {"mlp": "#1f4e79", "hybrid": "#c0392b", "mlp-plain": "#2e86ab", "hybrid-plain": "#b9770e"}
PUBLISHED = {"optimiser": "momentum", "learning_rate": 1e-4, "weight_decay": 1e-4, "epochs": 400}
"""Of its script: momentum 0.9, cosine (there epoch by epoch, here at every step), batches of 128."""

LABEL_SCALES = {"mlp": 1.0, "hybrid": 100.0}


def published(width: int) -> dict[str, Case]:
    """Both networks by the recipe of the published script."""
    options = {"width": width, "initial": "orthogonal(0.1)"}
    return {
        name: Case(network=name, options=options, training={**PUBLISHED, "label_scale": scale})
        for name, scale in LABEL_SCALES.items()
    }


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Train the networks from every seed, one after another, and draw the four quantities on the training split."""
    if scale == "paper":
        data = image_data("cifar-10", train=None, test=None)
        return layer_figure(out, "fig1_mlp_hybrid", published(1024), data, quiet=quiet)
    size, width = ((200, 100), 256) if scale == "smoke" else ((None, None), 1024)
    data = image_data("fashion-mnist", train=size[0], test=size[1])
    cases = {
        f"{network}{suffix}": Case(
            network=network,
            options={"width": width, "batch_norm": not suffix},
            training={"optimiser": "adamw", "learning_rate": 1e-3, "epochs": 100},
        )
        for suffix in ("", "-plain")
        for network in ("mlp", "hybrid")
    }
    return layer_figure(out, "fig1_mlp_hybrid", cases, data, quiet=quiet)


def layer_figure(out: Path, name: str, cases: Mapping[str, Case], data: Data, *, quiet: bool) -> dict[str, Any]:
    """The four quantities of each case against the layer, and the numbers that follow from them."""
    figure, panels = new_figure(len(QUANTITIES))
    found = {}
    for label, case in cases.items():
        runs = train_from_seeds(label, case, data, out, quiet=quiet)
        found[label] = summary(runs, QUANTITIES)
        shown = label.replace("-plain", ", no batch norm")
        for panel, quantity in zip(panels, QUANTITIES, strict=True):
            draw(panel, runs, quantity, colour=COLOURS[label], label=shown)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(cases), frameon=False)
    return save(out, name, figure, found)


if __name__ == "__main__":
    sys.exit(command(reproduce, "fig1_mlp_hybrid"))
