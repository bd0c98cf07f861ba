"""One self-contained HTML page a run: verdict, table, figure, and all that is needed to repeat it."""

from __future__ import annotations

import html
import io
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pnc.compare import Comparison
from pnc.report.canvas import PLAIN_SVG, svg_settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PAGE_STYLE", "inline_svg", "report_page"]

PAGE_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1c1c1c; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
.verdict { font-size: 1.3rem; font-weight: 600; }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: 13px; }
svg { max-width: 100%; height: auto; }
"""


def inline_svg(figure: Figure) -> str:
    """The figure as an SVG element, to stand inside a page."""
    drawing = io.StringIO()
    with svg_settings():
        figure.savefig(drawing, format="svg", metadata=PLAIN_SVG)
    svg = drawing.getvalue()
    return svg[svg.index("<svg") :]


def _cell(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "–"


def report_page(comparison: Comparison, figure: Figure, *, title: str, record: Mapping[str, Any]) -> str:
    """The page as one string: no scripts, no links, the figure as SVG.

    Args:
        comparison: what to report.
        figure: drawn of it.
        title: of the page.
        record: what was run, shown as JSON.
    """
    svg = inline_svg(figure)
    measured, predicted = comparison.measured, comparison.predicted
    rows = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"
        for cells in (
            (
                str(l),
                _cell(predicted.compression[i]),
                _cell(measured.compression[i]),
                f"{comparison.relative_error[i]:+.2%}" if math.isfinite(comparison.relative_error[i]) else "–",
                _cell(predicted.discrimination[i]),
                _cell(measured.discrimination[i]),
                _cell(comparison.discrimination_error[i]),
            )
            for i, l in enumerate(measured.layers.tolist())
        )
    )
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in comparison.reasons)
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{html.escape(title)}</title><style>{PAGE_STYLE}</style></head>
<body>
<h1>{html.escape(title)}</h1>
<p class="verdict">{comparison.verdict.name}</p>
<p>{html.escape(comparison.verdict.value)}</p>
<ul>{reasons}</ul>
{svg}
<table>
<thead><tr><th>layer</th><th>C predicted</th><th>C measured</th><th>error</th>
<th>D predicted</th><th>D measured</th><th>error of 1 − D</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
<h2>What was run</h2>
<pre>{html.escape(json.dumps(record, sort_keys=True, indent=1, allow_nan=False))}</pre>
</body>
</html>
"""
