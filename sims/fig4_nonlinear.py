"""The nonlinear panel of Figure 4 of the paper: compression and discrimination of a 10-layer network with ReLU.

    python -m sims.fig4_nonlinear --scale smoke

Of the published panel the depth and the ends of its curves are known: C from about 12 to 1.7, D from about 0.22 to
0.63. The rest is taken here from the linear panel and from the published code: N = 30 samples of K = 3 classes in d =
50 dimensions, orthonormal columns plus noise of Frobenius norm 1; width 50, batch norm before every activation,
orthogonal initial weights with ε = 0.3, full-batch descent at 0.1. Beside it the same networks without batch norm,
whose initial weights are orthogonal with ε = 1: with 0.3 nothing reaches the tenth layer.

The published code, run on a CPU, gives C too small by the factor 1 - 1/n (here 0.9): `comparable` says C with it.

The second row is the same for real images: the first of every class of Fashion-MNIST, width 256, default initial
weights, AdamW.

`smoke`: 3 seeds, 1,000 images. `paper`: 10 seeds (3 of the images), 2,000 images. `full`: all images, width 1024.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .common import Scale, command, new_figure, save
from .networks import Case, Data, draw, image_data, summary, train_from_seeds

__all__ = ["reproduce"]

QUANTITIES = ("compression", "discrimination")
COLOURS = {True: "#1f4e79", False: "#c0392b"}
DESCENT = {"optimiser": "sgd", "learning_rate": 0.1, "schedule": "constant", "batch_size": None, "epochs": 3000}


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """C_l and D_l of every layer over seeds: synthetic data above, images below."""
    size = {"smoke": 100, "paper": 200, "full": None}[scale]
    width = 1024 if scale == "full" else 256
    images = image_data("fashion-mnist", train=size, test=size)
    figure, panels = new_figure(2, rows=2)
    found: dict[str, Any] = {}
    for row, name, data, seeds in ((panels[:2], "synthetic", _synthetic, 3 if scale == "smoke" else 10),
                                   (panels[2:], "images", images, 3)):  # fmt: skip
        for batch_norm, colour in COLOURS.items():
            label = name if batch_norm else f"{name}-plain"
            options = {"depth": 10, "batch_norm": batch_norm}
            if name == "synthetic":
                options |= {"width": 50, "initial": "orthogonal(0.3)" if batch_norm else "orthogonal(1)"}
                case = Case(network="mlp", options=options, training=DESCENT, measured=("fuzziness",))
            else:
                training = {"optimiser": "adamw", "learning_rate": 1e-3, "epochs": 100}
                case = Case(
                    network="mlp", options={**options, "width": width}, training=training, measured=("fuzziness",)
                )
            runs = train_from_seeds(label, case, data, out, seeds=seeds, quiet=quiet)
            found[label] = summary(runs, QUANTITIES)
            if name == "synthetic":
                found[label]["comparable"] = 0.9 * found[label]["compression"]["mean"]
            for panel, quantity in zip(row, QUANTITIES, strict=True):
                draw(panel, runs, quantity, colour=colour, label="batch norm" if batch_norm else "no batch norm")
        for panel in row:
            panel.set_title(f"{panel.get_title()}, {name}", fontsize=9)
    panels[0].legend(frameon=False, fontsize=8)
    return save(out, "fig4_nonlinear", figure, found)


def _synthetic(seed: int) -> Data:
    """The problem of the linear panel, drawn from the seed; it has no test split."""
    from pnc.data import draw as draw_problem
    from pnc.spec import ProblemSpec
    from pnc.train import as_samples

    spec = ProblemSpec(classes=3, samples_per_class=10, dimension=50, kind="orthonormal-noise", seed=seed)
    problem = draw_problem(spec)
    return Data(train=as_samples(problem), test=None, source={"name": problem.name, **problem.provenance})


if __name__ == "__main__":
    sys.exit(command(reproduce, "fig4_nonlinear"))
