"""Figure 4 of the paper: compression and discrimination of a deep linear network, layer by layer, against the theory.

    python -m sims.fig4_linear --scale paper

N = 30 samples of K = 3 classes in d = 50 dimensions, orthonormal columns plus noise of Frobenius norm 1; L = 6, width
50, orthogonal initial weights with ε = 0.3, full-batch descent to a loss below 1e-11. `smoke`: 2 seeds. `paper`: 10.
`full`: also ε = 0.1 and 0.5, and gradient flow beside descent.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from pnc.report.axes import log_labels, whole_ticks

from .common import Scale, command, new_figure, save, sweep

__all__ = ["reproduce"]


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """C_l and D_l of every layer: mean and standard deviation over seeds, and the prediction without free
    parameters."""
    spec = {
        "depth": 6,
        "width": 50,
        "epsilon": [0.1, 0.3, 0.5] if scale == "full" else 0.3,
        "data": "orthonormal-noise",
        "engine": "descent",
        "learning_rate": 0.1,
        "seeds": 2 if scale == "smoke" else 10,
        "loss_tolerance": 1e-11,
        "certificates": False,
    }
    runs = {"descent": sweep(spec, out / "descent", workers=workers, quiet=quiet)}
    if scale == "full":
        flow = {name: value for name, value in spec.items() if name != "learning_rate"} | {"engine": "flow"}
        runs["flow"] = sweep(flow, out / "flow", workers=workers, quiet=quiet)
    figure, (left, right) = new_figure(2)
    summary: dict[str, Any] = {}
    colours = iter(("#c0392b", "#1f4e79", "#27632a", "#7d3c98", "#b9770e", "#5d6d7e"))
    for engine, found in runs.items():
        data = found.squeeze(["classes", "samples_per_class", "depth", "width", "label_scale"])
        for epsilon in data.epsilon.values:
            at, colour = data.sel(epsilon=epsilon), next(colours)
            label = f"ε = {epsilon:g}, {engine}" if len(runs) > 1 else f"ε = {epsilon:g}"
            converged = at.outcome == "CONVERGED"
            for panel, name in ((left, "compression"), (right, "discrimination")):
                measured = at[name].where(converged)
                predicted = at[f"predicted_{name}"].mean("seed")
                label_of_law = "theory" if panel is left and colour == "#c0392b" else None
                panel.plot(at.layer, predicted, "-", color="#1c1c1c", lw=1, zorder=3, label=label_of_law)
                panel.errorbar(
                    at.layer,
                    measured.mean("seed"),
                    measured.std("seed"),
                    fmt="o",
                    ms=5,
                    mfc="none",
                    color=colour,
                    label=f"{label}, mean ± standard deviation",
                )
            ratio = np.exp(at.geometric_slope.where(converged).mean())
            summary[f"{engine}, epsilon {epsilon:g}"] = {
                "converged": int(converged.sum()),
                "runs": int(at.seed.size),
                "ratio_measured": float(ratio),
                "ratio_predicted": float(np.exp(at.geometric_slope_predicted.mean())),
                "ratio_of_orthonormal_data": float(epsilon**2 / 10 ** (1 / 6)),
                "worst_relative_error": float(abs(at.relative_error.where(converged)).max()),
                "verdicts": {str(v): int((at.verdict == v).sum()) for v in np.unique(at.verdict)},
            }
    log_labels(left)
    left.set_ylabel("$C_l$")
    right.set_ylabel("$D_l$")
    for panel in (left, right):
        whole_ticks(panel, [layer for found in runs.values() for layer in found.layer.values.tolist()])
        panel.set_xlabel("layer $l$")
        panel.legend(frameon=False, fontsize=8)
    return save(out, "fig4_linear", figure, summary)


if __name__ == "__main__":
    sys.exit(command(reproduce, "fig4_linear"))
