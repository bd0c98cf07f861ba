"""The open question T9: PyTorch's default initial weights, what rate of compression, against what prediction.

    python -m sims.default_weights --scale paper

Square networks (input dimension = width) trained by gradient flow from `nn.Linear`'s own initial weights. T9's first
answer is `C_{l+1}/C_l ≈ 1/(3 n^{1/L})`: the within-class scatter falls by 1/3 a layer, the between-class scatter grows
by n^{1/L}. What the runs show (the summary has the numbers):

* The within-class half of it is right: 3 × the ratio tends to 1 at every layer as the width grows, within the scatter
  of one draw of the weights. No correction in depth or n is needed.
* The between-class half is not uniform. The first layer gives less than n^{1/L} (0.89 of it at L = 6), every later one
  more (1.06 to 1.13), so C falls by less than predicted at first and by more from then on, by about a tenth; and this
  does not go away with width. The product over the layers errs less than its factors.
* The sign of it follows from T7: up to the imbalance of the initial weights, which is zero on average in square
  layers, the between-class traces are moments of W_1ᵀW_1, so that their ratios do not fall with depth; equal ratios
  n^{1/L} would need signal directions that are singular directions from the start, which random weights do not have.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from .common import Scale, command, new_figure, save, sweep

__all__ = ["reproduce"]


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Measured ratios of C_l, tr Σ_W and tr Σ_B from layer to layer, over those of T9's first answer."""
    widths, depths, sizes, seeds = {
        "smoke": ([60, 120], [3, 4], [10], 2),
        "paper": ([60, 120, 240], [2, 3, 4, 6], [4, 10, 20], 5),
        "full": ([60, 120, 240, 480], [2, 3, 4, 6, 8], [4, 10, 20], 10),
    }[scale]
    spec = {
        "grid": [{"width": w, "dimension": w, "samples_per_class": [n for n in sizes if 3 * n <= w]} for w in widths],
        "depth": depths,
        "weights": "default",
        "seeds": seeds,
        "loss_tolerance": 1e-10,
        "certificates": False,
    }
    data = sweep(spec, out / "sweep", workers=workers, quiet=quiet)
    data = _square(data)
    n, L = data.samples_per_class, data.depth
    first_answer = {"within_scatter": 1 / 3 + 0 * n * L, "between_scatter": n ** (1 / L)}
    first_answer["compression"] = first_answer["within_scatter"] / first_answer["between_scatter"]
    ratios = {}
    for name, expected in first_answer.items():
        values = data[name]
        ratio = values.isel(layer=slice(1, None)) / values.isel(layer=slice(None, -1)).values
        ratios[name] = ratio / expected

    figure, panels = new_figure(3)
    titles = {"within_scatter": "tr Σ_W", "between_scatter": "tr Σ_B", "compression": "C"}
    size = 10
    for panel, (name, ratio) in zip(panels, ratios.items(), strict=True):
        for depth, colour in zip(depths, ("#5d6d7e", "#1f4e79", "#27632a", "#c0392b", "#7d3c98"), strict=False):
            for width, style in zip(widths, (":", "--", "-", "-"), strict=False):
                shown = ratio.sel(depth=depth, width=width, samples_per_class=size)
                label = f"L = {depth}" if width == widths[-1] else None
                panel.plot(shown.layer, shown.mean("seed"), style, marker="o", ms=3, color=colour, lw=1, label=label)
        panel.axhline(1, color="k", lw=0.6)
        panel.set_title(f"ratio of {titles[name]} over T9's first answer", fontsize=9)
        panel.set_xlabel("into layer $l$")
    panels[0].legend(frameon=False, fontsize=8)
    wide = {name: ratio.sel(width=widths[-1]).mean("seed") for name, ratio in ratios.items()}
    summary = {
        "outcomes": {str(o): int((data.outcome == o).sum()) for o in np.unique(data.outcome) if o},
        "worst_error_of_C": float(abs(ratios["compression"].mean("seed") - 1).max()),
        "worst_error_of_within_by_width": {
            int(w): float(abs(ratios["within_scatter"].sel(width=w).mean("seed") - 1).max()) for w in widths
        },
        "widest": {
            name: {
                f"L {depth}, n {size}": [
                    round(float(v), 3) for v in ratio.sel(depth=depth, samples_per_class=size).values[: depth - 1]
                ]
                for depth in depths
                for size in sizes
            }
            for name, ratio in wide.items()
        },
    }
    return save(out, "default_weights", figure, summary)


def _square(data: Any) -> Any:
    """The cells of square networks, with one axis for width and dimension."""
    import xarray

    parts = [data.sel(width=w, dimension=w).drop_vars("dimension") for w in data.width.values]
    return xarray.concat(parts, "width").squeeze(["classes", "theta", "epsilon", "label_scale"])


if __name__ == "__main__":
    sys.exit(command(reproduce, "default_weights"))
