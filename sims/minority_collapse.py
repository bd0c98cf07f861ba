"""Weight decay: minority classes die first (V5), on orthonormal data and on data that are not.

    python -m sims.minority_collapse --scale smoke

Left: each class's scale in every layer over time, four class sizes, at a weight decay between their thresholds.
Right: D_l of nearly orthonormal data in the end, where the means of dead classes fall into the directions that live.
`smoke`: depth 3; `paper` and `full`: depths 3 and 4. The papers have no weight decay: this is a prediction of the
project.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from pnc.data import draw
from pnc.simulate import simulate_regularised
from pnc.spec import NetworkSpec, ProblemSpec
from pnc.theory import class_fates, class_growth, minority_curves, predict_weight_decay

from .common import Scale, command, new_figure, save

__all__ = ["reproduce"]

SIZES = (24, 12, 6, 3)
START = 0.5
LARGER_START = 0.8  # from which the second class escapes at a decay that kills the third


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Which classes live at which weight decay, in time and in the end, trained against predicted."""
    del workers  # the networks are small: one process
    depths = (3,) if scale == "smoke" else (3, 4)
    figure, panels = new_figure(2, rows=len(depths), height=3.6)
    found: dict[str, Any] = {"class_sizes": list(SIZES)}
    white = draw(ProblemSpec(classes=4, samples_per_class=SIZES, theta=0.0))
    rough = draw(ProblemSpec(classes=4, samples_per_class=SIZES, theta=0.6))
    for row, depth in enumerate(depths):
        death = class_fates(SIZES, depth=depth, weight_decay=0.0, start=START, aligned=True).death
        decay = float(np.sqrt(death[2] * death[1]))  # between the deaths of the second and the third class
        fate = class_fates(SIZES, depth=depth, weight_decay=decay, start=START, aligned=True)
        network = NetworkSpec(depth=depth, residual_scale=START)
        times = np.linspace(0, 15 / decay, 60)
        run = simulate_regularised(white, network, times=times, weight_decay=decay, weights="aligned")
        law = minority_curves(times, SIZES, depth=depth, weight_decay=decay, start=START)
        x = class_growth(times, SIZES, depth=depth, weight_decay=decay, start=START)
        early = decay * times <= 4  # later the residual is below the tolerance of the integration
        for k, size in enumerate(SIZES):
            panels[2 * row].plot(times, x[:, k], label=f"n = {size}")
        panels[2 * row].set_yscale("log")
        panels[2 * row].set_title(f"L = {depth}, λ = {decay:.3g}", fontsize=9)
        panels[2 * row].set_xlabel("time")
        panels[2 * row].set_ylabel("scale of the class in a layer")
        panels[2 * row].legend(frameon=False, fontsize=8)
        slow = class_fates(SIZES, depth=depth, weight_decay=0.0, start=LARGER_START)
        late = float(np.sqrt(slow.death[2] * slow.escape[1]))
        network = NetworkSpec(depth=depth, residual_scale=LARGER_START)
        end = simulate_regularised(rough, network, times=[40 / late], weight_decay=late).measured
        limit = predict_weight_decay(rough, network, weight_decay=late)
        panels[2 * row + 1].plot(limit.layers, limit.discrimination, label="law (ε → 0)")
        panels[2 * row + 1].plot(end.layers, end.discrimination, "o", label="trained, λt = 40")
        panels[2 * row + 1].set_xlabel("layer")
        panels[2 * row + 1].set_ylabel("D")
        panels[2 * row + 1].legend(frameon=False, fontsize=8)
        found[f"depth {depth}"] = {
            "weight_decay": decay,
            "death": fate.death,
            "order": [SIZES[k] for k in fate.order],
            "fates": list(fate.fates),
            "alive": [bool(norm > 0.1) for norm in np.linalg.norm(run.maps[-1], axis=1)],
            "largest_error_of_C": float(np.max(np.abs(run.compression / law.compression - 1)[early])),
            "late_weight_decay": late,
            "D_trained": end.discrimination,
            "D_law": limit.discrimination,
        }
        if not quiet:
            print(f"L = {depth}: {found[f'depth {depth}']['fates']}", file=sys.stderr)
    return save(out, "minority_collapse", figure, found)


if __name__ == "__main__":
    sys.exit(command(reproduce, "minority_collapse"))
