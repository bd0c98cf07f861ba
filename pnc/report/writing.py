"""A page in a folder: report.html, and every plot as a figure with its caption and its numbers beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pnc.curves import FIELDS, LayerCurve
from pnc.records import RunRecord, new_folder, write_record
from pnc.report.canvas import PLAIN_SVG, drawing, new_panel
from pnc.report.html import page_html
from pnc.report.pages.model import Page, Plot, Table
from pnc.report.style import SCREEN, Style

__all__ = [
    "add_page",
    "again",
    "class_names",
    "shown_record",
    "write_page",
    "write_plot",
    "write_result",
    "write_tables",
]

_ELSEWHERE = ("comparison", "following", "history", "layers", "measurements", "provenance", "splits", *FIELDS)
"""Of run.json: what the page shows otherwise."""

_TIMES = ("projection_seconds", "resumed_from", "seconds", "step_seconds")
"""In run.json alone, so that equal runs have equal pages, also one that was interrupted."""


def shown_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a page shows, folded away, of run.json: neither its numbers, which the page has, nor times."""

    def kept(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: kept(item) for key, item in value.items() if key not in _TIMES}
        return [kept(item) for item in value] if isinstance(value, list | tuple) else value

    return kept({name: value for name, value in record.items() if name not in _ELSEWHERE})


def class_names(data: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Names of the classes that the record of labelled data has; empty where it has none."""
    names = ((data or {}).get("preparation") or {}).get("class_names") or ()
    return tuple(str(name) for name in names)


def again(command: str) -> tuple[str, ...]:
    """How to repeat a run whose options run.json holds."""
    return ("# in this folder", f"pnc {command} --config . --out ../again")


def write_result(
    path: str | Path,
    record: RunRecord,
    page: Page,
    *,
    curves: Mapping[str, LayerCurve] | None = None,
    more: Callable[[Path], None] | None = None,
    style: Style = SCREEN,
    force: bool = False,
) -> Path:
    """Write a folder of results, whole or not at all: run.json, a CSV for each curve, report.html and figures/.

    Args:
        path: the folder; its parents are made.
        record: what was run.
        page: what was found.
        curves: name of the file → curve.
        more: writes whatever else belongs there.
        style: of the figures.
        force: replace a folder that exists.

    Raises:
        InvalidInputError: as `new_folder`.
        DrawingError: the results are written, but not every figure.
    """
    with drawing(Path(path)) as figures, new_folder(path, force=force) as folder:
        write_record(folder, record)
        for name, curve in (curves or {}).items():
            curve.to_csv(folder / f"{name}.csv")
        if more is not None:
            more(folder)
        with figures:
            write_page(folder, page, style=style)
    return Path(path)


def add_page(folder: Path, page: Page, *, style: Style = SCREEN) -> None:
    """Put a page into a folder that exists, its figures first; a killed process leaves the page that was there."""
    new = folder / ".report.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        write_page(new, page, style=style)
        if (new / "figures").exists():
            shutil.rmtree(folder / "figures", ignore_errors=True)
            os.replace(new / "figures", folder / "figures")
        os.replace(new / "report.html", folder / "report.html")
    finally:
        shutil.rmtree(new, ignore_errors=True)


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
        figure.canvas.draw()
        figure.set_layout_engine("none")  # laid out once, for all three
        figure.savefig(
            folder / f"{plot.name}.png", dpi=300 if style.name == "paper" else 150, metadata={"Software": None}
        )
        figure.savefig(folder / f"{plot.name}.svg", metadata=PLAIN_SVG)
        figure.savefig(folder / f"{plot.name}.pdf", metadata=dict.fromkeys(("Creator", "Producer", "CreationDate")))
    (folder / f"{plot.name}.csv").write_text(plot.table.to_csv(), encoding="utf-8")
    (folder / f"{plot.name}.txt").write_text(f"{plot.title}. {plot.caption}\n", encoding="utf-8")


def write_tables(folder: Path, tables: Sequence[Table]) -> None:
    """Write tables.csv and, last, tables.md: whole, or those that were there before."""
    parts = [("csv", [f"# {table.caption}\n{table.to_csv()}" for table in tables])]
    parts.append(("md", [_markdown(table) for table in tables]))
    for ending, found in parts:
        new = folder / f".tables.{ending}.new"
        new.write_text("\n".join(found), encoding="utf-8")
        os.replace(new, folder / f"tables.{ending}")


def _markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    rows = [line(table.header), line(["---"] * len(table.header)), *(line(row) for row in table.shown())]
    return f"**{table.caption}**\n\n" + "\n".join(rows) + "\n"
