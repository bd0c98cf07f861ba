"""From a page's model to one file of HTML: no scripts, no links, nothing to fetch."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnc.report.canvas import PLAIN_SVG, new_panel
from pnc.report.pages.model import Page, Plot
from pnc.report.style import PAGE, in_variables

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["accessible_svg", "page_html", "plot_svg"]

_MARKS = {"good": "✓", "bad": "✗", "open": "?"}
_LEAST_FOLDED = 60_000  # characters of a record that a page shows; the rest is in run.json


def plot_svg(plot: Plot, *, prefix: str) -> str:
    """A plot as an SVG element in the page's colours, its title and description read to those who do not see it."""
    with new_panel(PAGE) as (figure, axis):
        plot.draw(axis, PAGE)
        drawing = io.StringIO()
        figure.savefig(drawing, format="svg", metadata=PLAIN_SVG, transparent=True)
    return accessible_svg(in_variables(drawing.getvalue()), title=plot.title, description=plot.caption, prefix=prefix)


def accessible_svg(svg: str, *, title: str, description: str, prefix: str) -> str:
    """An SVG to stand inside a page: names of its parts unlike those of any other, a title, a description.

    Args:
        svg: as matplotlib writes it.
        title: in a few words.
        description: in a sentence or two.
        prefix: of the names.
    """
    from markupsafe import escape

    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-")
    head, rest = svg.split(">", 1)
    head = re.sub(r'\s(?:width|height)="[^"]*"', "", head)
    named = f'{head} role="img" aria-labelledby="{prefix}-title {prefix}-desc">'
    words = f'<title id="{prefix}-title">{escape(title)}</title><desc id="{prefix}-desc">{escape(description)}</desc>'
    return named + words + rest


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )


def page_html(page: Page) -> str:
    """The page as one string; all of its text is escaped."""
    numbers = itertools.count(1)
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            page=page,
            mark=_MARKS[page.tone],
            record=_record(page.record),
            svg=lambda plot: plot_svg(plot, prefix=f"p{next(numbers)}"),
            picture=lambda name, shown: accessible_svg(
                shown[1], title=name, description=shown[0], prefix=f"p{next(numbers)}"
            ),
            gif=lambda data: "data:image/gif;base64," + base64.b64encode(data).decode("ascii"),
        )
    )


def _record(record: Mapping[str, Any]) -> str:
    text = json.dumps(record, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False)
    if len(text) <= _LEAST_FOLDED:
        return text
    kept = {key: value for key, value in record.items() if len(json.dumps(value)) < _LEAST_FOLDED // 20}
    return json.dumps(kept, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False)
