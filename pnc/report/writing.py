"""A page in a folder: report.html, and every plot as a figure with its caption and its numbers beside it."""

from __future__ import annotations

from pathlib import Path

from pnc.report.canvas import PLAIN_SVG, new_panel
from pnc.report.html import page_html
from pnc.report.pages.model import Page, Plot
from pnc.report.style import SCREEN, Style

__all__ = ["write_page", "write_plot"]


def write_page(folder: Path, page: Page, *, style: Style = SCREEN) -> None:
    """Write report.html, and below figures/ every plot of it.

    Args:
        folder: that exists.
        page: what to write.
        style: of the figures' files.
    """
    (folder / "report.html").write_text(page_html(page), encoding="utf-8")
    figures = folder / "figures"
    for plot in page.plots:
        figures.mkdir(exist_ok=True)
        write_plot(figures, plot, style=style)


def write_plot(folder: Path, plot: Plot, *, style: Style = SCREEN) -> None:
    """Write `name`.png, .svg, .pdf (fonts embedded), .csv (what is drawn) and .txt (the caption).

    Args:
        folder: that exists.
        plot: what to draw.
        style: `SCREEN`, or `PAPER`: the size of a column, small print.
    """
    with new_panel(style) as (figure, axis):
        plot.draw(axis, style)
        if style is SCREEN:
            axis.set_title(plot.title, fontsize=10, parse_math=False)
        figure.savefig(folder / f"{plot.name}.png", dpi=300 if style.name == "paper" else 150, metadata={"Software": None})
        figure.savefig(folder / f"{plot.name}.svg", metadata=PLAIN_SVG)
        figure.savefig(folder / f"{plot.name}.pdf", metadata=dict.fromkeys(("Creator", "Producer", "CreationDate")))
    (folder / f"{plot.name}.csv").write_text(plot.table.to_csv(), encoding="utf-8")
    (folder / f"{plot.name}.txt").write_text(f"{plot.title}. {plot.caption}\n", encoding="utf-8")
