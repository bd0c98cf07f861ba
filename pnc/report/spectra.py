"""Figures of spectra: variance-ratio curves with U1 and U2 on their axes, and accuracy against kept dimensions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pnc.compare import variance_floors
from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError
from pnc.measure import CompressedSite, curve_spectra, variance_curve
from pnc.report.canvas import new_figure
from pnc.theory import projected_nearest_centre_error_bound

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_accuracies", "draw_centre_error", "projected_error_bound", "variance_figure"]

_COLOURS = ("#1f4e79", "#c0392b", "#2e7d32", "#b26a00", "#6a3d9a")


def variance_figure(
    curves: Mapping[str, LayerCurve], *, uncentred: Sequence[str] = (), title: str = "", columns: int = 5
) -> Figure:
    """One panel a layer: share of the variance in the first m directions, of several measurements of one network.

    Solid lines are of centred activations, filled between their bounds where they come from a sketch; dotted ones of
    uncentred activations. Triangles are floors that follow from C_l alone: at m = K-1 U1's 1/(1 + C_l), at m = 1 U2's
    1/((1 + C_l)(K-1)), the reciprocal of its bound on the stable rank. Every solid line passes above its triangles.

    Args:
        curves: label → curve with spectra, all of the same layers.
        uncentred: labels whose uncentred curve is drawn too.
        title: above the panels.
        columns: panels in a row.

    Raises:
        InvalidInputError: no curves, or curves of different layers.
    """
    names = [[note.name or "" for note in curve.notes] for curve in curves.values()]
    if not names or any(other != names[0] for other in names):
        raise InvalidInputError(
            got=f"{len(curves)} curves" + (" of different layers" if names else ""),
            expected="at least one, all of the same layers",
            next_step="measure one network's layers each time",
        )
    rows = math.ceil(len(names[0]) / columns)
    wide = min(columns, len(names[0]))
    figure, panels = new_figure(3.1 * wide, 2.8 * rows + 0.5, columns=wide, rows=rows, share_y=True)
    for colour, (label, curve) in zip(_COLOURS, curves.items()):
        floors = {floor.name: floor for floor in variance_floors(curve)}
        last = (curve.origin.classes or 2) - 1
        centred, plain = curve_spectra(curve, centred=True), curve_spectra(curve, centred=False)
        for panel, name, spectrum, other in zip(panels, names[0], centred, plain):
            lower, upper = variance_curve(spectrum)
            m = np.arange(1, lower.size + 1)
            panel.fill_between(m, lower, upper, color=colour, alpha=0.25, lw=0)
            panel.plot(m, lower, color=colour, lw=1.4, label=label)
            if label in uncentred:
                share = variance_curve(other)[0]
                panel.plot(np.arange(1, share.size + 1), share, ":", color=colour, lw=1.0, label=f"{label}, uncentred")
            if name in floors:
                floor = floors[name]
                marks = [1, min(last, lower.size)], [1 / floor.stable_rank_ceiling, floor.share_floor]
                panel.plot(*marks, "^", color=colour, mfc="none", ms=5)
    for panel, name, note in zip(panels, names[0], list(curves.values())[-1].notes):
        panel.set_xscale("log")
        panel.set_ylim(0, 1.02)
        panel.set_title(f"{name} (d = {note.dimension})", fontsize=8, parse_math=False)
        panel.set_xlabel("directions $m$", fontsize=8)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.25, lw=0.6)
    for panel in panels[len(names[0]) :]:
        panel.set_axis_off()
    panels[0].set_ylabel("share of the variance", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)
    if title:
        figure.suptitle(title, fontsize=9, parse_math=False)
    return figure


def draw_accuracies(
    panel: Axes, sites: Iterable[CompressedSite], field: str, *, colour: str, label: str = "", style: str = "o-"
) -> None:
    """An accuracy against kept dimensions: the mean over several runs and their range; dashed, in all dimensions.

    Args:
        panel: to draw on.
        sites: of runs that differ by their seed.
        field: of `KeptDimensions`.
    """
    sites = list(sites)
    m = [kept.dimensions for kept in sites[0].kept]
    values = np.array([[getattr(kept, field) for kept in site.kept] for site in sites], dtype=np.float64)
    panel.fill_between(m, values.min(0), values.max(0), color=colour, alpha=0.2, lw=0)
    panel.plot(m, values.mean(0), style, color=colour, ms=4, lw=1.3, label=label)
    whole = [getattr(site.whole, field) for site in sites]
    if all(value is not None for value in whole):
        panel.axhline(float(np.mean(whole)), color=colour, lw=0.9, ls="--")
    _dimensions_on(panel, m)


def projected_error_bound(site: CompressedSite) -> float:
    """U4 for a site's training activations in K-1 or more principal components (theory note, U4); 1 says nothing.

    The proof uses of the components only that they lose no more variance than tr Σ_W, which K-1 exact ones do; of a
    sketch it is checked where a measured number of at least K-1 components is given, and nothing is said if it fails.
    """
    moments = site.moments
    within = moments.within_scatter()
    total = within + moments.between_scatter()
    held = [kept.variance for kept in site.kept if kept.dimensions >= site.classes - 1]
    if not site.exact and (not held or (1 - held[0]) * total > within):
        return 1.0
    counts = moments.counts.cpu().numpy()
    return projected_nearest_centre_error_bound(within, moments.class_means(), counts / counts.sum())


def draw_centre_error(panel: Axes, site: CompressedSite, *, colour: str, label: str = "") -> None:
    """Error of the nearest class centre on the training samples against kept dimensions, with U4 from m = K-1 on."""
    m = [kept.dimensions for kept in site.kept]
    panel.plot(m, [kept.centre_error for kept in site.kept], "o-", color=colour, ms=4, lw=1.3, label=label)
    bound = projected_error_bound(site)
    if bound < 1:
        panel.plot([site.classes - 1, max(m)], [bound, bound], "--", color=colour, lw=1.2, label=f"{label}, U4")
    panel.set_ylim(bottom=0)
    _dimensions_on(panel, m)


def _dimensions_on(panel: Axes, dimensions: Sequence[int]) -> None:
    """A logarithmic axis with numbers that were measured at: those that begin with 1, 2 or 5."""
    panel.set_xscale("log")
    shown = [m for m in dimensions if str(m)[0] in "125" and not int(str(m)[1:] or 0)]
    panel.set_xticks(shown, [str(m) for m in shown])
    panel.minorticks_off()
    panel.set_xlabel("dimensions $m$ kept", fontsize=8)
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25, lw=0.6)
