"""Figure 6 of the paper: how well trained weights satisfy the assumptions, against depth and width.

    python -m sims.fig6_assumptions --scale paper

N = 30 samples of K = 3 classes in d = 50 dimensions, orthonormal columns plus noise of Frobenius norm 1; orthogonal
initial weights, ε = 0.1; trained to a loss below 1e-10. `paper`: the runs that are plotted, L = 2…5 at width 400 and
widths 200…700 at L = 5, 10 seeds each (100 points; the ten runs at L = 5, width 400 belong to both rows and are made
once). `full`: all 360 of the paper's script, L = 2…7 and widths 200…700.

The three checks are the paper's own, on full matrices: (i) ‖W_{L:1} - Y(XᵀX)⁻¹Xᵀ‖_F, (ii) the mean over l of
‖W_{l+1}ᵀW_{l+1} - W_lW_lᵀ‖_F/‖W_l‖_F, (iii) the variance of σ_i(W_l), K+1 ≤ i ≤ d-K, over l.

What to compare with, read off the published plot: (i) 0.049 falling to 0.040 with depth and 0.059 to 0.029 with width,
(ii) 0.023, 0.066, 0.048, 0.037 for L = 2…5, (iii) about 0.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.report.axes import log_labels, whole_ticks

from .common import Scale, command, new_figure, save, sweep

if TYPE_CHECKING:
    import xarray

__all__ = ["check_assumptions", "fixed_size", "reproduce"]

_WIDTHS = [200, 300, 400, 500, 600, 700]
_GRIDS: dict[str, list[dict[str, Any]]] = {
    "smoke": [{"depth": [2, 3], "width": 60}, {"depth": 3, "width": [60, 120]}],
    "paper": [{"depth": [2, 3, 4, 5], "width": 400}, {"depth": 5, "width": _WIDTHS}],
    "full": [{"depth": [2, 3, 4, 5, 6, 7], "width": _WIDTHS}],
}
# of the initial loss, which is 1 up to ε^L: with the margin every run ends below 1e-10 itself
_TOLERANCE = 9e-11


def fixed_size(scale: Scale) -> tuple[int, int]:
    """The width at which the depth varies, and the depth at which the width does."""
    return (60, 3) if scale == "smoke" else (400, 5)


def check_assumptions(
    out: Path, *, grid: Scale, seeds: int, workers: int | None, quiet: bool
) -> tuple[xarray.Dataset, dict[str, xarray.DataArray]]:
    """The sweep over the sizes of a scale, and the three checks of its runs: of the map, the balance, the residual."""
    spec = {
        "grid": _GRIDS[grid],
        "data": "orthonormal-noise",
        "epsilon": 0.1,
        "seeds": seeds,
        "loss_tolerance": _TOLERANCE,
        "full_checks": True,
        "certificates": False,
    }
    dataset = sweep(spec, out / "sweep", workers=workers, quiet=quiet).squeeze(
        ["classes", "samples_per_class", "epsilon", "label_scale"]
    )
    return dataset, {
        "map_error": dataset.full_map_error,
        "imbalance": dataset.full_imbalance.mean("layer"),
        "residual_variance": dataset.full_residual_variance.mean("layer"),
    }


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Run the sweep and draw the checks against depth (at one width) and against width (at one depth)."""
    dataset, checks = check_assumptions(
        out, grid=scale, seeds=2 if scale == "smoke" else 10, workers=workers, quiet=quiet
    )
    labels = (
        r"(i) $\|W_{L:1} - Y(X^\top X)^{-1}X^\top\|_F$",
        r"(ii) mean $\|W_{l+1}^\top W_{l+1} - W_lW_l^\top\|_F / \|W_l\|_F$",
        r"(iii) mean Var $\sigma_i(W_l)$, $K < i \leq d-K$",
    )
    width, depth = fixed_size(scale)
    figure, panels = new_figure(3)
    for panel, (name, check), label in zip(panels, checks.items(), labels, strict=True):
        for values, axis, colour in (
            (check.sel(width=width), "depth", "#1f4e79"),
            (check.sel(depth=depth), "width", "#c0392b"),
        ):
            if axis == "width":
                panel = panel.twiny()
            there = values.dropna(axis, how="all")
            panel.errorbar(
                there[axis], there.mean("seed"), there.std("seed"), marker="o", ms=4, lw=1.2, color=colour, capsize=2
            )
            fixed = f"width {width}" if axis == "depth" else f"L = {depth}"
            if axis == "depth":
                whole_ticks(panel, there[axis].values.tolist())
            panel.set_xlabel(f"{'depth L' if axis == 'depth' else 'width'} ({fixed})", color=colour)
        if name == "residual_variance":  # of rounding: on a linear axis from 0 it would be a line at the bottom
            log_labels(panel, check.values[np.isfinite(check.values)])
        else:
            panel.set_ylim(bottom=0)
        panel.set_title(label, fontsize=9)
    outcomes, counts = np.unique(dataset.outcome.values[dataset.outcome.values != ""], return_counts=True)
    summary = {
        "runs": {str(name): int(count) for name, count in zip(outcomes, counts, strict=True)},
        "largest_loss": float(dataset.loss.max()),
        **{
            f"{name}_by_{axis}": {
                int(v): float(values.sel({axis: v}).mean()) for v in values.dropna(axis, how="all")[axis].values
            }
            for name, check in checks.items()
            for axis, values in (("depth", check.sel(width=width)), ("width", check.sel(depth=depth)))
        },
    }
    return save(out, "fig6_assumptions", figure, summary)


if __name__ == "__main__":
    sys.exit(command(reproduce, "fig6_assumptions"))
