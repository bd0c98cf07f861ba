"""Weight decay and depth: where a network lives, where it dies and where it never starts (V3, V4).

    python -m sims.weight_decay_map --scale smoke

Two classes of eight, orthonormal data, balanced aligned weights of scale 0.3: every point of a grid of depth and
weight decay is trained and compared with the two thresholds. `smoke`: depths 2 to 4, 6 weight decays; `paper` and
`full`: depths 2 to 8, 24 of them. The papers have no weight decay: this is a prediction of the project.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from pnc.data import draw
from pnc.simulate import simulate_regularised
from pnc.spec import NetworkSpec, ProblemSpec
from pnc.theory import class_fates

from .common import Scale, command, new_figure, save

__all__ = ["reproduce"]

START, SIZE = 0.3, 8
COLOURS = {"lives": "#27632a", "never starts": "#d9a441", "dies": "#c0392b"}


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """The fate of every point, predicted and trained; points within 5 % of a threshold are not counted."""
    del workers  # the networks are small: one process
    depths, count = (range(2, 5), 6) if scale == "smoke" else (range(2, 9), 24)
    problem = draw(ProblemSpec(classes=2, samples_per_class=SIZE, theta=0.0))
    figure, panels = new_figure(1, height=3.8)
    rows, wrong, counted = [], 0, 0
    for depth in depths:
        network = NetworkSpec(depth=depth, residual_scale=START)
        free = class_fates([SIZE, SIZE], depth=depth, weight_decay=0.0, start=START, aligned=True)
        thresholds = float(free.escape[0]), float(free.death[0])
        for decay in np.geomspace(0.2 * thresholds[0], 3 * thresholds[1], count).tolist():
            fate = class_fates([SIZE, SIZE], depth=depth, weight_decay=decay, start=START, aligned=True).fates[0]
            run = simulate_regularised(
                problem, network, times=[30 / decay], weight_decay=decay, weights="aligned", relative_tolerance=1e-6
            )
            alive = bool(np.linalg.norm(run.maps[-1]) > 0.1)
            near = min(abs(np.log(decay / threshold)) for threshold in thresholds) < 0.05
            counted += not near
            wrong += not near and alive != (fate == "lives")
            rows.append({"depth": depth, "weight_decay": decay, "predicted": fate, "alive": alive, "near": near})
            panels[0].plot(depth, decay, "o" if alive else "x", color=COLOURS[fate])
        if not quiet:
            print(f"L = {depth}: λ_esc = {thresholds[0]:.4g}, λ_c = {thresholds[1]:.4g}", file=sys.stderr)
    panels[0].set_yscale("log")
    panels[0].set_xlabel("depth L")
    panels[0].set_ylabel("weight decay λ")
    panels[0].set_title("circles: trained networks that live", fontsize=9)
    for name, colour in COLOURS.items():
        panels[0].plot([], [], "s", color=colour, label=name)
    panels[0].legend(frameon=False, fontsize=8)
    return save(out, "weight_decay_map", figure, {"points": rows, "counted": counted, "wrong": wrong})


if __name__ == "__main__":
    sys.exit(command(reproduce, "weight_decay_map"))
