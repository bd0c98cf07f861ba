"""Figures: C_l on a logarithmic axis with prediction and bounds, D_l beside it."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from pnc.compare import Comparison
from pnc.report.axes import log_labels, whole_ticks
from pnc.report.canvas import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["comparison_figure"]

_PREDICTED, _MEASURED, _BOUND, _CERTIFICATE = "#1f4e79", "#c0392b", "#9db7d1", "#2f7d4f"
_LINE = 150  # characters of a note under the panels


def comparison_figure(comparison: Comparison, *, title: str = "") -> Figure:
    """C_l (logarithmic) and D_l against the layer: prediction, bounds, certificate, measurement, fitted laws.

    Under the panels stand what became of each law, and why points may lie outside the bounds for ideal weights. Layers
    with C_l = 0 have no place on a logarithmic axis and are left out of the left panel.

    Args:
        comparison: what to draw.
        title: above both panels.
    """
    figure, (left, right) = new_figure(9.6, 3.8, columns=2)
    predicted, measured, bounds = comparison.predicted, comparison.measured, comparison.bounds
    layers = measured.layers

    if bounds is not None:
        for axis, lower, upper, name in (
            (left, bounds.compression_lower, bounds.compression_upper, "bounds (T5)"),
            (right, bounds.discrimination_lower, bounds.discrimination_upper, "bounds (T6)"),
        ):
            if np.isfinite(lower).any():
                axis.fill_between(bounds.layers, lower, upper, color=_BOUND, alpha=0.45, lw=0, label=name)
    certificate = comparison.certificate
    if certificate is not None:  # ends that say nothing are left out: they would set the scale
        for axis, name in ((left, "compression"), (right, "discrimination")):
            ends = getattr(certificate, f"{name}_lower"), getattr(certificate, f"{name}_upper")
            middle = getattr(measured, name)
            place = np.searchsorted(certificate.layers, layers)
            low, high = (np.where(np.isfinite(end[place]), end[place], middle) for end in ends)
            axis.errorbar(
                layers, middle, yerr=[np.maximum(middle - low, 0), np.maximum(high - middle, 0)], fmt="none",
                ecolor=_CERTIFICATE, elinewidth=3, alpha=0.6, capsize=4, label="certificate (T8)",
            )  # fmt: skip
    for axis, name in ((left, "compression"), (right, "discrimination")):
        values = [np.where(getattr(curve, name) > 0, getattr(curve, name), np.nan) for curve in (predicted, measured)]
        axis.plot(layers, values[0], "-", color=_PREDICTED, lw=1.6, label="predicted")
        axis.plot(layers, values[1], "o", color=_MEASURED, ms=5, mfc="none", mew=1.4, label="measured")
        axis.set_xlabel("layer $l$")
        whole_ticks(axis, layers.tolist())
        axis.grid(alpha=0.25, lw=0.6)
    if np.any(measured.compression > 0) or np.any(predicted.compression > 0):
        log_labels(left)
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
    told = [f"law of C: {comparison.laws['geometric']}", f"law of D: {comparison.laws['linear']}"]
    lines = [line for text in (*told, *comparison.notes) for line in textwrap.wrap(text, _LINE)]
    figure.set_figheight(3.8 + 0.15 * len(lines))
    figure.supxlabel("\n".join(lines), fontsize=7, x=0.01, ha="left")
    if title:
        figure.suptitle(title, fontsize=10, parse_math=False)
    return figure
