"""Residual networks: total compression against depth for block scales β = 1, 1/√m and 1/m (R5).

    python -m sims.residual_depth --scale smoke

Deep linear residual networks of m blocks from zero weights, orthonormal data, three classes of ten; descent with its
step extrapolated to 0, against the closed form and the two-sided bound. `smoke`: up to 16 blocks; `paper` and `full`:
up to 64. The papers have no residual networks: this is a prediction of the project.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pnc.data import draw
from pnc.simulate import simulate_residual
from pnc.spec import ProblemSpec
from pnc.theory import ResidualSpec, depth_limit

from .common import Scale, command, new_figure, save

__all__ = ["reproduce"]

SCALES: dict[str, tuple[str, Callable[[int], float]]] = {
    "1": ("β = 1", lambda m: 1.0),
    "1/sqrt(m)": ("β = 1/√m", lambda m: m**-0.5),
    "1/m": ("β = 1/m", lambda m: 1 / m),
}
COLOURS = {"1": "#c0392b", "1/sqrt(m)": "#1f4e79", "1/m": "#27632a"}


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """C_0/C_m of trained networks and of the law, a line for each block scale."""
    del workers  # the networks are small: one process
    problem = draw(ProblemSpec(classes=3, samples_per_class=10, theta=0.0))
    blocks = [1, 2, 4, 8, 16] if scale == "smoke" else [1, 2, 4, 8, 16, 32, 64]
    found: dict[str, Any] = {"blocks": blocks, "largest_error": 0.0}
    figure, panels = new_figure(1, height=3.8)
    panel = panels[0]
    for name, (label, block_scale) in SCALES.items():
        rows: dict[str, list[float]] = {"trained": [], "law": [], "least": [], "most": []}
        for m in blocks:
            network = ResidualSpec(depth=m + 1, block_scale=block_scale(m))
            curve = simulate_residual(problem, network).measured
            limit = depth_limit(10, network)
            rows["trained"].append(float(curve.compression[0] / curve.compression[-1]))
            rows["law"].append(limit.total_compression)
            rows["least"].append(limit.total_compression_least)
            rows["most"].append(limit.total_compression_limit)
            if not quiet:
                print(f"{label}, m = {m}: {rows['trained'][-1]:.4g}, law {rows['law'][-1]:.4g}", file=sys.stderr)
        found[name] = rows
        error = float(np.max(np.abs(np.array(rows["trained"]) / np.array(rows["law"]) - 1)))
        found["largest_error"] = max(found["largest_error"], error)
        panel.fill_between(blocks, rows["least"], rows["most"], color=COLOURS[name], alpha=0.15)
        panel.plot(blocks, rows["law"], color=COLOURS[name], label=label)
        panel.plot(blocks, rows["trained"], "o", color=COLOURS[name])
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xlabel("blocks m")
    panel.set_ylabel("total compression C_0/C_m")
    panel.legend(frameon=False, fontsize=8)
    return save(out, "residual_depth", figure, found)


if __name__ == "__main__":
    sys.exit(command(reproduce, "residual_depth"))
