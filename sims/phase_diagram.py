"""Phase diagram, depth against ε: where the geometric law holds, and where the plateau outlasts the budget.

    python -m sims.phase_diagram --scale paper

Descent at a stable step with a budget of steps, as in practice: deep networks with small ε end on the initial plateau,
whose length Y1 predicts; shallow ones with large ε hide the signal (ε^L above the singular values of M). Between them
lies the region where C_l follows T2 within 10 %. The curve is the budget, from Y1 for unaligned initial weights, with
no constant fitted.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from pnc.report.axes import whole_ticks
from pnc.theory import plateau_time

from .common import Scale, command, new_figure, save, sweep

__all__ = ["reproduce"]

_CLASSES, _SAMPLES = 3, 10
_PHASES = {
    "AGREES": ("the law holds", "#2e7d32"),
    "DISAGREES": ("converged, off by more than 10 %", "#f2b134"),
    "ASSUMPTION_VIOLATED": ("converged, A1–A3 fail", "#c65d21"),
    "BELOW_NOISE": ("below rounding", "#7e8ca3"),
    "PLATEAU": ("still on the plateau", "#1f4e79"),
    "NOT_CONVERGED": ("not converged otherwise", "#8fb3d9"),
    "REFUSED": ("ε hides the signal", "#dddddd"),
}


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """One cell a depth and ε, coloured by what became of its run; Y1's boundary over it."""
    depths, epsilons, seeds, steps = {
        "smoke": ("2:5", "0.1,0.3,0.6", 1, 2_000),
        "paper": ("2:10", "0.05:0.8:0.05", 1, 10_000),
        "full": ("2:16", "0.025:1:0.025", 3, 100_000),
    }[scale]
    spec = {
        "depth": depths,
        "epsilon": epsilons,
        "seeds": seeds,
        "samples_per_class": _SAMPLES,
        "classes": _CLASSES,
        "engine": "descent",
        "steps": steps,
        "loss_tolerance": 1e-12,
        "certificates": False,
    }
    data = sweep(spec, out / "sweep", workers=workers, quiet=quiet)
    data = data.squeeze(["classes", "samples_per_class", "theta", "label_scale"]).isel(seed=0)
    phase = data.verdict.where(data.outcome != "PLATEAU", "PLATEAU").where(data.outcome != "REFUSED", "REFUSED")
    names = list(_PHASES)
    codes = np.vectorize(names.index)(phase.transpose("epsilon", "depth").values.astype(str))

    samples, s = _CLASSES * _SAMPLES, math.sqrt(_SAMPLES)
    boundary = {}
    for depth in data.depth.values.tolist():
        # the step that the engine takes: stable to the end (the data are whitened up to θ)
        rate = samples / (2 * depth * s ** (2 - 2 / depth))
        lowest, highest = 5e-3, 0.9 * (s / 2) ** (1 / depth)
        for _ in range(40):
            middle = math.sqrt(lowest * highest)
            late = plateau_time(s, depth=depth, start=middle, samples=samples, aligned=False) / rate > steps
            lowest, highest = (middle, highest) if late else (lowest, middle)
        boundary[depth] = highest

    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    figure, [panel] = new_figure(1, height=4.2)
    figure.set_size_inches(6.6, 4.0)
    panel.pcolormesh(
        data.depth,
        data.epsilon,
        codes,
        cmap=ListedColormap([colour for _, colour in _PHASES.values()]),
        vmin=-0.5,
        vmax=len(names) - 0.5,
        shading="nearest",
    )
    shown = [(d, e) for d, e in boundary.items() if e > float(data.epsilon[0])]
    panel.plot(*zip(*shown, strict=True), "k--", lw=1.4) if shown else None
    whole_ticks(panel, data.depth.values.tolist())
    panel.set_xlabel("depth $L$")
    panel.set_ylabel("ε")
    drawn = "; dashed: Y1, no free parameter" if shown else "; Y1's boundary lies outside"
    panel.set_title(f"{steps:,} steps of descent{drawn}", fontsize=9)
    present = sorted(set(codes.ravel().tolist()))
    panel.legend(
        handles=[Patch(color=_PHASES[names[c]][1], label=_PHASES[names[c]][0]) for c in present],
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        fontsize=8,
    )
    # how often Y1 says rightly whether a cell is on the plateau: cells that are not hidden, one step of the grid from
    # the line
    right = total = 0
    for depth in data.depth.values.tolist():
        for epsilon in data.epsilon.values.tolist():
            found = str(phase.sel(depth=depth, epsilon=epsilon).values)
            if found != "REFUSED":
                total += 1
                right += (found == "PLATEAU") == (epsilon < boundary[depth])
    counts = {name: int((codes == i).sum()) for i, name in enumerate(names) if (codes == i).any()}
    return save(
        out,
        "phase_diagram",
        figure,
        {"cells": counts, "plateau_predicted_rightly": f"{right} of {total}", "boundary": boundary, "steps": steps},
    )


if __name__ == "__main__":
    sys.exit(command(reproduce, "phase_diagram"))
