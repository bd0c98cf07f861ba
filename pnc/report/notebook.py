"""What a notebook shows of curves, comparisons and verdicts: small tables in HTML, and figures."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from pnc.compare import Comparison, Following, FollowingSeeds, Verdict
from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError
from pnc.report.canvas import new_figure
from pnc.report.pages.curves import curve_plot
from pnc.report.pages.laws import comparison_sections, following_sections, tone_of
from pnc.report.pages.model import Plot
from pnc.report.style import SCREEN, STYLES, Style
from pnc.report.text import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figure_of", "html_of"]

_ROWS = 40  # layers that a table in a notebook shows: the first and the last of more
_MARKS = {"good": "✓", "bad": "✗", "open": "?"}


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Markup:
    if len(rows) > _ROWS:
        half = _ROWS // 2
        rows = [*rows[:half], ["…"] * len(header), *rows[-half:]]
    heads = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in header)
    lines = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(_cell(cell)) for cell in row))
        for row in rows
    )
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(heads, lines)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return number(value) if isinstance(value, float) else str(value)


def _verdict(verdict: Verdict, reasons: Sequence[str]) -> Markup:
    lines = Markup("").join(Markup("<li>{}</li>").format(reason) for reason in reasons)
    mark = _MARKS[tone_of(verdict.name)]
    told = Markup("<p><strong>{} {}</strong>: {}.</p>").format(mark, verdict.name, verdict.value)
    return told + (Markup("<ul>{}</ul>").format(lines) if reasons else Markup(""))


@singledispatch
def html_of(found: Any) -> str:
    """HTML for a notebook; every text in it is escaped."""
    return str(escape(repr(found)))


@html_of.register
def _(found: LayerCurve) -> str:
    known = [
        ("name", [note.name for note in found.notes]),
        ("C", found.compression.tolist()),
        ("± C", [note.compression_error for note in found.notes]),
        ("D", found.discrimination.tolist()),
        ("± D", [note.discrimination_error for note in found.notes]),
        ("tr Σ_W", found.within_scatter.tolist()),
        ("tr Σ_B", found.between_scatter.tolist()),
        ("fuzziness", found.separation_fuzziness.tolist()),
    ]
    kept = [(name, column) for name, column in known if not all(_unknown(value) for value in column)]
    rows = list(zip(found.layers.tolist(), *(column for _, column in kept), strict=True))
    return str(Markup("<p>{}</p>").format(repr(found)) + _table(["layer", *(name for name, _ in kept)], rows))


def _unknown(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


@html_of.register
def _(found: Verdict) -> str:
    return str(_verdict(found, ()))


@html_of.register
def _(found: Comparison) -> str:
    table = comparison_sections(found)[0].tables[0]
    return str(_verdict(found.verdict, found.reasons) + _table(table.header, table.shown()))


@html_of.register(Following)
@html_of.register(FollowingSeeds)
def _(found: Following | FollowingSeeds) -> str:
    parts = [_verdict(found.verdict, found.reasons)]
    for section in following_sections(found):
        parts.append(Markup("<h4>{}</h4>").format(section.title))
        parts += [Markup("<p>{}</p>").format(text) for text in section.text]
        parts += [_table(table.header, table.shown()) for table in section.tables[:1]]
    return str(Markup("").join(parts))


def figure_of(found: Any, *, style: str = "screen") -> Figure:
    """Two panels, C and D, of a curve, a comparison or networks held against the laws.

    Raises:
        InvalidInputError: a style that there is not.
    """
    if style not in STYLES:
        raise InvalidInputError(
            got=f"`style={style}`", expected=f"one of {', '.join(STYLES)}", next_step="pass `style=screen`"
        )
    return _drawn(_plots(found), STYLES[style])


@singledispatch
def _plots(found: Any) -> list[Plot]:
    raise TypeError(f"{type(found).__name__} has no plot")


@_plots.register
def _(found: LayerCurve) -> list[Plot]:
    label = found.origin.split or "curve"
    return [curve_plot("compression", {label: found}), curve_plot("discrimination", {label: found})]


@_plots.register
def _(found: Comparison) -> list[Plot]:
    return list(comparison_sections(found)[0].plots)


@_plots.register(Following)
@_plots.register(FollowingSeeds)
def _(found: Following | FollowingSeeds) -> list[Plot]:
    return [plot for section in following_sections(found) for plot in section.plots]


def _drawn(plots: Sequence[Plot], style: Style) -> Figure:
    import matplotlib

    rc: Any = style.rc
    with matplotlib.rc_context(rc):
        figure, axes = new_figure(style.size[0] * len(plots), style.size[1], columns=len(plots))
        for axis, plot in zip(axes, plots, strict=True):
            plot.draw(axis, style)
            if style is SCREEN:
                axis.set_title(plot.title, fontsize=10, parse_math=False)

    def as_png() -> bytes:
        drawn = io.BytesIO()
        with matplotlib.rc_context(rc):
            figure.savefig(drawn, format="png", dpi=110, facecolor="white")
        return drawn.getvalue()

    figure._repr_png_ = as_png  # type: ignore[attr-defined]  # a notebook draws it without pyplot
    return figure
