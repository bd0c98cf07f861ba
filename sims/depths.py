"""Depths 5, 7 and 9 with PyTorch's default initial weights: C_l and D_l of MLPs on Fashion-MNIST and CIFAR-10.

    python -m sims.depths --scale smoke

`smoke`: 1,000 images of Fashion-MNIST, width 256. `paper` and `full`: all images, width 1024; CIFAR-10 too, where it
is there. ‖f(x) - y‖², AdamW at 1e-3 (cosine), 100 epochs; of the published runs the depths, the data and the initial
law are known. Three seeds; above with batch norm before the activations, as in the published code, below without.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pnc.errors import InvalidInputError

from .common import Scale, command, new_figure, save
from .networks import Case, draw, image_data, summary, train_from_seeds

__all__ = ["reproduce"]

QUANTITIES = ("compression", "discrimination")
COLOURS = {5: "#27632a", 7: "#1f4e79", 9: "#c0392b"}


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """C_l and D_l against the layer for each depth, a column of two panels for each data set."""
    size, width = (100, 256) if scale == "smoke" else (None, 1024)
    data = {"fashion-mnist": image_data("fashion-mnist", train=size, test=size)}
    found: dict[str, Any] = {}
    if scale != "smoke":
        try:
            data["cifar-10"] = image_data("cifar-10", train=size, test=size)
        except InvalidInputError as error:
            found["left_out"] = f"cifar-10: {error}"
            print(f"without cifar-10: {error}", file=sys.stderr)
    columns = len(QUANTITIES) * len(data)
    figure, panels = new_figure(columns, rows=2)
    for row, batch_norm in enumerate((True, False)):
        for column, (name, some) in enumerate(data.items()):
            own = panels[row * columns + len(QUANTITIES) * column :]
            for depth, colour in COLOURS.items():
                label = f"{name}-{depth}{'' if batch_norm else '-plain'}"
                case = Case(
                    network="mlp",
                    options={"width": width, "depth": depth, "batch_norm": batch_norm},
                    training={"optimiser": "adamw", "learning_rate": 1e-3, "epochs": 100},
                    measured=("fuzziness",),
                )
                runs = train_from_seeds(label, case, some, out, quiet=quiet)
                found[label] = summary(runs, QUANTITIES)
                for panel, quantity in zip(own, QUANTITIES, strict=False):
                    draw(panel, runs, quantity, colour=colour, label=f"L = {depth}")
                    norm = "batch norm" if batch_norm else "no batch norm"
                    panel.set_title(f"{panel.get_title()}, {name}, {norm}", fontsize=9)
    panels[0].legend(frameon=False, fontsize=8)
    return save(out, "depths", figure, found)


if __name__ == "__main__":
    sys.exit(command(reproduce, "depths"))
