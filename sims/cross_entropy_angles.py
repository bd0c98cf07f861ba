"""Cross-entropy: D of the last hidden layer over training, where the simplex is reached and where it is not (E2, E4).

    python -m sims.cross_entropy_angles --scale smoke

Balanced classes, orthonormal data, orthogonal initial weights, gradient flow; against the closed form for balanced
weights (E2, by the training loss), which ends at K/(K-1). `smoke`: K = 3, 4, 6 and L = 2, 3; `paper` and `full`: K =
3, 4, 6, 10 and L = 2, 3, 4. The papers train with the squared error: this is a prediction of the project.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from pnc.data import draw
from pnc.simulate import simulate_regularised
from pnc.spec import NetworkSpec, ProblemSpec
from pnc.theory import predict_cross_entropy, predict_from_map, simplex_expected

from .common import Scale, command, new_figure, save

__all__ = ["reproduce"]

START = 0.4
END = 1e-3  # loss, nats


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """D of the last hidden layer against the training loss, a panel a depth, a line a number of classes."""
    del workers  # the networks are small: one process
    every, depths = ((3, 4, 6), (2, 3)) if scale == "smoke" else ((3, 4, 6, 10), (2, 3, 4))
    figure, panels = new_figure(len(depths), height=3.6)
    found: dict[str, Any] = {}
    for panel, depth in zip(panels, depths, strict=False):
        for colour, K in enumerate(every):
            problem = draw(ProblemSpec(classes=K, samples_per_class=4, theta=0.0))
            network = NetworkSpec(depth=depth, residual_scale=START, width=1000)
            end = simulate_regularised(problem, network, until_loss=END, loss="cross-entropy", relative_tolerance=1e-6)
            times = np.geomspace(float(end.time[-1]) / 100, float(end.time[-1]), 12)
            run = simulate_regularised(problem, network, times=times, loss="cross-entropy", relative_tolerance=1e-6)
            D = run.discrimination[:, -1]
            law = predict_cross_entropy(problem, network, loss=float(run.loss[-1]))
            measured = predict_from_map(problem, run.maps[-1], depth=depth, residual_scale=START)
            found[f"K = {K}, L = {depth}"] = {
                "D": float(D[-1]),
                "simplex": K / (K - 1),
                "simplex_expected": simplex_expected(classes=K, depth=depth),
                "D_law": float(law.discrimination[-1]),
                "D_of_the_measured_map": float(measured.discrimination[-1]),
            }
            panel.plot(run.loss, D * (K - 1) / K, "o-", color=f"C{colour}", markersize=3, label=f"K = {K}")
            if not quiet:
                print(f"K = {K}, L = {depth}: D = {D[-1]:.4f} of {K / (K - 1):.4f}", file=sys.stderr)
        panel.axhline(1.0, color="0.6", linewidth=0.8)
        panel.set_xscale("log")
        panel.invert_xaxis()
        panel.set_title(f"L = {depth}", fontsize=9)
        panel.set_xlabel("training loss")
        panel.set_ylabel("D (K-1)/K, last hidden layer")
        panel.legend(frameon=False, fontsize=8)
    return save(out, "cross_entropy_angles", figure, found)


if __name__ == "__main__":
    sys.exit(command(reproduce, "cross_entropy_angles"))
