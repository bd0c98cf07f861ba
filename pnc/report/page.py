"""One self-contained HTML page a run: verdict, table, figure, and all that is needed to repeat it."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnc.compare import Comparison
from pnc.report.canvas import PLAIN_SVG, svg_settings

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

__all__ = ["inline_svg", "rendered", "report_page"]


def inline_svg(figure: Figure) -> str:
    """The figure as an SVG element, to stand inside a page."""
    drawing = io.StringIO()
    with svg_settings():
        figure.savefig(drawing, format="svg", metadata=PLAIN_SVG)
    svg = drawing.getvalue()
    return svg[svg.index("<svg") :]


def _cell(value: str | float | None) -> str:
    """Text as it is, numbers with four digits, a dash for what is not known."""
    if isinstance(value, str):
        return value
    return f"{value:.4g}" if value is not None and math.isfinite(value) else "–"


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters["cell"] = _cell
    return environment


def rendered(template: str, *, figure: Figure, record: Mapping[str, Any], **values: Any) -> str:
    """A page of one of the templates beside this file; text in `values` is escaped.

    Args:
        template: its name.
        figure: stands inside the page, as SVG.
        record: what was run, shown as JSON.
        values: what the template names.
    """
    shown = json.dumps(record, sort_keys=True, indent=1, allow_nan=False)
    return _templates().get_template(template).render(svg=inline_svg(figure), record=shown, **values)


def report_page(comparison: Comparison, figure: Figure, *, title: str, record: Mapping[str, Any]) -> str:
    """The page as one string: no scripts, no links, the figure as SVG.

    Args:
        comparison: what to report.
        figure: drawn of it.
        title: of the page.
        record: what was run, shown as JSON.
    """
    measured, predicted = comparison.measured, comparison.predicted
    rows = [
        (
            str(l),
            predicted.compression[i],
            measured.compression[i],
            f"{comparison.relative_error[i]:+.2%}" if math.isfinite(comparison.relative_error[i]) else "–",
            predicted.discrimination[i],
            measured.discrimination[i],
            comparison.discrimination_error[i],
        )
        for i, l in enumerate(measured.layers.tolist())
    ]
    return rendered(
        "comparison.html.j2", figure=figure, record=record, found=comparison, rows=rows, title=title,
        record_title="What was run",
    )  # fmt: skip
