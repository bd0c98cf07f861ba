"""The report of networks held against the laws: figure, page, JSON."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.compare import BoundCheck, Following, FollowingSeeds, LawEvidence, Verdict, alternative_fit
from pnc.records import new_folder, software_versions
from pnc.report.canvas import drawing, new_figure, save_figure
from pnc.report.page import PAGE_STYLE, inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["following_figure", "following_page", "write_following"]

_MEASURED, _LAW, _ALTERNATIVE, _ONSET = "#c0392b", "#1f4e79", "#8a8a8a", "#9db7d1"
_BOUNDS = {"U1": "#2f7d4f", "U2": "#1f4e79", "U3": "#c0392b", "U4": "#8e5ea2"}


def _law_panel(axis: Axes, found: Following | FollowingSeeds, evidence: LawEvidence | None, name: str) -> None:
    """One quantity of every run, the law's line from the onset on, and where the onset may be."""
    geometric = name == "compression"
    runs = getattr(found, "runs", None) or (found,)
    for i, run in enumerate(runs):
        values = getattr(run.curve, name)
        shown = np.where(values > 0, values, np.nan) if geometric else values
        axis.plot(
            run.curve.layers, shown, "o-", color=_MEASURED, ms=4, mfc="none", lw=0.6, alpha=0.8,
            label="measured" if i == 0 else None,
        )  # fmt: skip
    phase = None if evidence is None else evidence.phase
    if phase is not None:
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
        for style, (alternative, values) in zip(("--", ":"), _nearest(found, evidence, name), strict=False):
            axis.plot(
                evidence.layers, np.exp(values) if geometric else values, style, color=_ALTERNATIVE, lw=1.2,
                label=alternative,
            )  # fmt: skip
    if geometric and any(np.any(run.curve.compression > 0) for run in runs):
        axis.set_yscale("log")


def _nearest(found: Following | FollowingSeeds, evidence: LawEvidence, name: str) -> list[tuple[str, np.ndarray]]:
    """The best fits of the two alternatives with the least criteria, to the mean over the runs."""
    curve = getattr(found, "mean_curve", None) or found.curve
    index = np.searchsorted(curve.layers, evidence.layers)
    values = getattr(curve, name)[index]
    values = np.log(values) if name == "compression" else values
    ranked = sorted(
        (a for a in evidence.alternatives if math.isfinite(a.criterion)), key=lambda alternative: alternative.criterion
    )
    return [
        (
            f"{a.name}, AICc {a.difference:+.1f}",
            alternative_fit(a.name, np.array(evidence.layers, dtype=np.float64), values, onset=evidence.phase.onset),
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
    from matplotlib.ticker import MaxNLocator

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
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.25, lw=0.6)
    if title:
        figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _bounds_panel(axis: Axes, found: Following | FollowingSeeds) -> None:
    """Measured value over bound for U2–U4, bound over measured value for U1: all must stay below 1."""
    runs = getattr(found, "runs", None) or (found,)
    lowest, drawn = 1.0, False
    for name, colour in _BOUNDS.items():
        for i, run in enumerate(runs):
            checks = run.universal.checks.get(name, ())
            shares = [c.bound / c.value if name == "U1" else c.value / c.bound for c in checks if c.bound and c.value]
            layers = [c.layer for c in checks if c.bound and c.value]
            if layers:
                lowest, drawn = min(lowest, *shares), True
                axis.plot(layers, shares, "o-", color=colour, ms=4, lw=0.9, label=name if i == 0 else None)
    axis.axhline(1.0, color="black", lw=1.2)
    axis.set_ylabel("share of the bound that is used")
    axis.set_title("U1-U4: true of every network", fontsize=10)
    if drawn:
        axis.set_yscale("log")
        axis.set_ylim(lowest / 1.5, 1.6)
        axis.legend(frameon=False, fontsize=8)
    else:
        axis.text(0.5, 0.5, "not computed", ha="center", va="center", transform=axis.transAxes)


def _cell(value: Any, digits: int = 4) -> str:
    if isinstance(value, str):
        return html.escape(value)
    return f"{value:.{digits}g}" if value is not None and math.isfinite(value) else "–"


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"


def _law_section(evidence: LawEvidence | None, title: str) -> str:
    if evidence is None:
        return f"<h2>{title}</h2>\n<p>D is 1 at every layer: not asked for.</p>\n"
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in evidence.reasons)
    text = f"<h2>{title}: {evidence.verdict.name}</h2>\n<ul>{reasons}</ul>\n"
    phase = evidence.phase
    if phase is None:
        return text
    onsets = [[str(layer), weight] for layer, weight in phase.onset_weights.items()]
    better = {Verdict.FOLLOWS: "the law", Verdict.DEPARTS: "this", Verdict.UNDECIDED: "open"}
    criteria = [["law", evidence.criterion, 0.0, ""]]
    criteria += [[a.name, a.criterion, a.difference, better[a.verdict]] for a in evidence.alternatives]
    return (
        text
        + _table(["description", "AICc", "less the law's", "better is"], criteria)
        + "<p>Probability that the phase begins at a layer:</p>\n"
        + _table(["layer", "probability"], onsets)
    )


def _universal_section(found: Following | FollowingSeeds) -> str:
    """Of each statement: how often it was checked, and how near it came to failing."""
    checks: dict[str, list[BoundCheck]] = {}
    why: dict[str, str] = {}
    for run in getattr(found, "runs", None) or (found,):
        why |= run.universal.not_computed
        for name, some in run.universal.checks.items():
            checks.setdefault(name, []).extend(some)
    rows = []
    for name, some in sorted(checks.items()):
        least = min(some, key=lambda check: check.slack)
        rows.append([name, str(len(some)), least.slack, str(least.layer), least.value, least.bound])
    missing = "".join(f"<li>{name}: {html.escape(text)}</li>" for name, text in why.items() if name not in checks)
    return (
        "<h2>U1–U4: true of every network</h2>\n"
        + (_table(["statement", "checks", "least slack", "at layer", "measured", "bound"], rows) if rows else "")
        + f"<ul>{missing}</ul>\n"
    )


def following_page(found: Following | FollowingSeeds, figure: Figure, *, title: str, record: dict[str, Any]) -> str:
    """The page as one string: no scripts, no links, the figure as SVG.

    Args:
        found: what to report.
        figure: drawn of it.
        title: of the page.
        record: what was compared, shown as JSON.
    """
    svg = inline_svg(figure)
    curve = getattr(found, "mean_curve", None) or found.curve
    layers = _table(
        ["layer", "C", "D", "tr Σ_W", "tr Σ_B", "fuzziness"],
        [
            [str(l), *(float(getattr(curve, name)[i]) for name in (
                "compression", "discrimination", "within_scatter", "between_scatter", "separation_fuzziness"
            ))]
            for i, l in enumerate(curve.layers.tolist())
        ],
    )  # fmt: skip
    over_seeds = ""
    if isinstance(found, FollowingSeeds):
        over_seeds = "<h2>Over seeds</h2>\n" + _table(
            ["quantity", *(str(i + 1) for i in range(len(found.runs))), "mean", "lower", "upper"],
            [
                [name.replace("_", " "), *row.values, row.mean, row.lower, row.upper]
                for name, row in found.table.items()
            ],
        )
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in found.reasons)
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in found.notes)
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{html.escape(title)}</title><style>{PAGE_STYLE}</style></head>
<body>
<h1>{html.escape(title)}</h1>
<p class="verdict">{found.verdict.name}</p>
<p>{html.escape(found.verdict.value)}</p>
<ul>{reasons}</ul>
{svg}
{over_seeds}{_law_section(found.geometric, "Geometric law of C")}{_law_section(found.linear, "Linear law of D")}
{_universal_section(found)}<h2>Layers</h2>
{layers}<h2>Notes</h2>
<ul>{notes}</ul>
<h2>What was compared</h2>
<pre>{html.escape(json.dumps(record, sort_keys=True, indent=1, allow_nan=False))}</pre>
</body>
</html>
"""


def write_following(
    path: str | Path,
    found: Following | FollowingSeeds,
    *,
    names: Sequence[str],
    title: str = "pnc compare",
    force: bool = False,
) -> Path:
    """Write following.json, curves.csv, following.png and .svg, report.html.

    Args:
        path: the folder; it appears whole or not at all.
        found: what was found.
        names: where the curves were read from.
        title: of page and figure.
        force: replace a folder that exists.

    Raises:
        InvalidInputError: the folder exists and `force` is not given, or cannot be written.
    """
    record = {"command": "compare", "names": list(names), "software": software_versions()}
    with drawing(Path(path)) as figures, new_folder(path, force=force) as folder:
        text = json.dumps({**found.to_dict(), **record}, sort_keys=True, indent=1, allow_nan=False) + "\n"
        (folder / "following.json").write_text(text, encoding="utf-8")
        (getattr(found, "mean_curve", None) or found.curve).to_csv(folder / "curves.csv")
        with figures:
            figure = following_figure(found, title=title)
            save_figure(figure, folder, "following")
            page = following_page(found, figure, title=title, record=record)
            (folder / "report.html").write_text(page, encoding="utf-8")
    return Path(path)
