"""Figures: C_l on a logarithmic axis with prediction and bounds, D_l beside it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pnc.compare import Comparison
from pnc.report.canvas import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["comparison_figure"]

_PREDICTED, _MEASURED, _BOUND = "#1f4e79", "#c0392b", "#9db7d1"


def comparison_figure(comparison: Comparison, *, title: str = "") -> Figure:
    """C_l (logarithmic) and D_l against the layer: prediction, bounds, measurement, fitted geometric law.

    Layers with C_l = 0 have no place on a logarithmic axis and are left out of the left panel.

    Args:
        comparison: what to draw.
        title: above both panels.
    """
    figure, (left, right) = new_figure(9.6, 3.8, columns=2)
    from matplotlib.ticker import MaxNLocator

    predicted, measured, bounds = comparison.predicted, comparison.measured, comparison.bounds
    layers = measured.layers

    if bounds is not None:
        for axis, lower, upper, name in (
            (left, bounds.compression_lower, bounds.compression_upper, "bounds (T5)"),
            (right, bounds.discrimination_lower, bounds.discrimination_upper, "bounds (T6)"),
        ):
            if np.isfinite(lower).any():
                axis.fill_between(bounds.layers, lower, upper, color=_BOUND, alpha=0.45, lw=0, label=name)
    for axis, name in ((left, "compression"), (right, "discrimination")):
        values = [np.where(getattr(curve, name) > 0, getattr(curve, name), np.nan) for curve in (predicted, measured)]
        axis.plot(layers, values[0], "-", color=_PREDICTED, lw=1.6, label="predicted")
        axis.plot(layers, values[1], "o", color=_MEASURED, ms=5, mfc="none", mew=1.4, label="measured")
        axis.set_xlabel("layer $l$")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.25, lw=0.6)
    if np.any(measured.compression > 0) or np.any(predicted.compression > 0):
        left.set_yscale("log")
    left.set_ylabel(r"compression $C_l = \mathrm{tr}\,\Sigma_W / \mathrm{tr}\,\Sigma_B$")
    right.set_ylabel(r"discrimination $D_l$")
    right.ticklabel_format(axis="y", useOffset=False)
    fit = comparison.geometric
    if fit is not None:
        left.set_title(f"$C_{{l+1}}/C_l$ = {math.exp(fit.slope):.4g} from layer {fit.onset}", fontsize=10)
    fit = comparison.linear
    if fit is not None:
        right.set_title(f"$D_{{l+1}} - D_l$ = {fit.slope:.3g} from layer {fit.onset}", fontsize=10)
    for axis in (left, right):
        axis.legend(frameon=False, fontsize=9)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure
