"""The report of networks held against the laws: figure, page, JSON."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pnc.compare import Following, FollowingSeeds, LawEvidence, Phase, alternative_fit
from pnc.curves import LayerCurve
from pnc.records import new_folder, software_versions
from pnc.report.axes import log_labels, whole_ticks
from pnc.report.canvas import drawing, new_figure, save_figure
from pnc.report.pages.networks import following_page
from pnc.report.style import SCREEN, Style
from pnc.report.writing import write_page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["following_figure", "write_following"]

_MEASURED, _LAW, _ALTERNATIVE, _ONSET = "#c0392b", "#1f4e79", "#8a8a8a", "#9db7d1"
_BOUNDS = {"U1": "#2f7d4f", "U2": "#1f4e79", "U3": "#c0392b", "U4": "#8e5ea2"}


def _runs(found: Following | FollowingSeeds) -> tuple[Following, ...]:
    return (found,) if isinstance(found, Following) else found.runs


def _curve(found: Following | FollowingSeeds) -> LayerCurve:
    """Of one run, or the mean over the seeds."""
    return found.curve if isinstance(found, Following) else found.mean_curve


def _law_panel(axis: Axes, found: Following | FollowingSeeds, evidence: LawEvidence | None, name: str) -> None:
    """One quantity of every run, the law's line from the onset on, and where the onset may be."""
    geometric = name == "compression"
    runs = _runs(found)
    for i, run in enumerate(runs):
        values = getattr(run.curve, name)
        shown = np.where(values > 0, values, np.nan) if geometric else values
        axis.plot(
            run.curve.layers, shown, "o-", color=_MEASURED, ms=4, mfc="none", lw=0.6, alpha=0.8,
            label="measured" if i == 0 else None,
        )  # fmt: skip
    if evidence is not None and (phase := evidence.phase) is not None:
        low, high = phase.onset_lower, phase.onset_upper
        label = f"onset, {phase.confidence:.0%}"
        axis.axvspan(low - 0.12, high + 0.12, color=_ONSET, alpha=0.35, lw=0, label=label)
        x = np.linspace(phase.onset, evidence.layers[-1], 50)
        for i, slope in enumerate(phase.slopes):
            line = phase.starts[i] + slope * (x - phase.onset)
            axis.plot(
                x, np.exp(line) if geometric else line, "-", color=_LAW, lw=1.8, alpha=0.85,
                label="law" if i == 0 else None,
            )  # fmt: skip
        for style, (alternative, values) in zip(("--", ":"), _nearest(found, evidence, phase, name), strict=False):
            axis.plot(
                evidence.layers, np.exp(values) if geometric else values, style, color=_ALTERNATIVE, lw=1.2,
                label=alternative,
            )  # fmt: skip
    if geometric and any(np.any(run.curve.compression > 0) for run in runs):
        log_labels(axis)


def _nearest(
    found: Following | FollowingSeeds, evidence: LawEvidence, phase: Phase, name: str
) -> list[tuple[str, np.ndarray]]:
    """The best fits of the two alternatives with the least criteria, to the mean over the runs."""
    curve = _curve(found)
    index = np.searchsorted(curve.layers, evidence.layers)
    values = getattr(curve, name)[index]
    values = np.log(values) if name == "compression" else values
    ranked = sorted(
        (a for a in evidence.alternatives if math.isfinite(a.criterion)), key=lambda alternative: alternative.criterion
    )
    return [
        (
            f"{a.name}, AICc {a.difference:+.1f}",
            alternative_fit(a.name, np.array(evidence.layers, dtype=np.float64), values, onset=phase.onset),
        )
        for a in ranked[:2]
    ]


def following_figure(found: Following | FollowingSeeds, *, title: str = "") -> Figure:
    """C_l (logarithmic) and D_l with the phase, the onset's interval and alternatives; how far U1–U4 are from failing.

    Args:
        found: what to draw.
        title: above the panels.
    """
    figure, (left, middle, right) = new_figure(13.6, 4.1, columns=3)
    for axis, evidence, name, label in (
        (left, found.geometric, "compression", r"compression $C_l = \mathrm{tr}\,\Sigma_W / \mathrm{tr}\,\Sigma_B$"),
        (middle, found.linear, "discrimination", "discrimination $D_l$"),
    ):
        _law_panel(axis, found, evidence, name)
        axis.set_ylabel(label)
        verdict = "not asked for" if evidence is None else evidence.verdict.name
        phase = None if evidence is None else evidence.phase
        if phase is not None:
            rate = f"$C_{{l+1}}/C_l$ = {math.exp(phase.slope):.3g}" if axis is left else (
                f"$D_{{l+1}} - D_l$ = {phase.slope:.3g}"
            )  # fmt: skip
            verdict += f": {rate} from layer {phase.onset}"
        axis.set_title(verdict, fontsize=10)
        axis.legend(frameon=False, fontsize=8)
    _bounds_panel(right, found)
    for axis in (left, middle, right):
        axis.set_xlabel("layer $l$")
        whole_ticks(axis, [layer for run in _runs(found) for layer in run.curve.layers.tolist()])
        axis.grid(alpha=0.25, lw=0.6)
    if title:
        figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _bounds_panel(axis: Axes, found: Following | FollowingSeeds) -> None:
    """Measured value over bound for U2–U4, bound over measured value for U1: all must stay below 1."""
    runs = _runs(found)
    lowest, drawn = 1.0, list[str]()
    for name, colour in _BOUNDS.items():
        for i, run in enumerate(runs):
            checks = run.universal.checks.get(name, ())
            shares = [c.bound / c.value if name == "U1" else c.value / c.bound for c in checks if c.bound and c.value]
            layers = [c.layer for c in checks if c.bound and c.value]
            if layers:
                lowest = min(lowest, *shares)
                drawn += [name] if name not in drawn else []
                axis.plot(layers, shares, "o-", color=colour, ms=4, lw=0.9, label=name if i == 0 else None)
    axis.axhline(1.0, color="black", lw=1.2)
    axis.set_ylabel("share of the bound that is used")
    axis.set_title(f"{', '.join(drawn) or 'U1-U4'}: true of every network", fontsize=10)
    if drawn:
        axis.set_ylim(lowest / 1.5, 1.6)
        log_labels(axis)
        axis.legend(frameon=False, fontsize=8)
    else:
        axis.text(0.5, 0.5, "not computed", ha="center", va="center", transform=axis.transAxes)


def write_following(
    path: str | Path,
    found: Following | FollowingSeeds,
    *,
    names: Sequence[str],
    title: str = "pnc compare",
    style: Style = SCREEN,
    force: bool = False,
) -> Path:
    """Write following.json, curves.csv, following.png and .svg, report.html and figures/.

    Args:
        path: the folder; it appears whole or not at all.
        found: what was found.
        names: where the curves were read from.
        title: of page and figure.
        style: of the figures in figures/.
        force: replace a folder that exists.

    Raises:
        InvalidInputError: the folder exists and `force` is not given, or cannot be written.
    """
    record = {"command": "compare", "names": list(names), "software": software_versions()}
    with drawing(Path(path)) as figures, new_folder(path, force=force) as folder:
        text = json.dumps({**found.to_dict(), **record}, sort_keys=True, indent=1, allow_nan=False) + "\n"
        (folder / "following.json").write_text(text, encoding="utf-8")
        _curve(found).to_csv(folder / "curves.csv")
        with figures:
            figure = following_figure(found, title=title)
            save_figure(figure, folder, "following")
            page = following_page(found, title=title, record=record, again=(shlex.join(["pnc", "compare", *names]),))
            write_page(folder, page, style=style)
    return Path(path)
