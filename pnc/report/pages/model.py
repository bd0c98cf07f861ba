"""What a page says, before it is HTML: a verdict in words, sections of text, tables and plots."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pnc.report.style import Style
from pnc.report.text import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Cell", "Page", "Plot", "Section", "Table", "Tone"]

Cell = str | float | int | None
Tone = Literal["good", "bad", "open"]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Numbers in rows; the first column names the row.

    Args:
        caption: what they are, units included.
        header: names of the columns.
        rows: text as it is; numbers with every digit, shown with four; `None` for what is not known.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def shown(self) -> list[list[str]]:
        """The rows as people read them."""
        return [[_shown(cell) for cell in row] for row in self.rows]

    def without_empty_columns(self) -> Table:
        """The same without columns in which nothing is known."""
        kept = [
            place
            for place in range(len(self.header))
            if place == 0 or any(not _missing(row[place]) for row in self.rows)
        ]
        return Table(
            caption=self.caption,
            header=tuple(self.header[place] for place in kept),
            rows=tuple(tuple(row[place] for place in kept) for row in self.rows),
        )

    def to_csv(self) -> str:
        """Every digit; what is not known is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(["" if _missing(cell) else cell for cell in row] for row in self.rows)
        return text.getvalue()


def _missing(cell: Cell) -> bool:
    return cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell))


def _shown(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    if cell is None:
        return "–"
    return str(cell) if isinstance(cell, int) else number(cell)


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One panel, its caption, and the numbers that it draws.

    Args:
        name: of its files.
        title: above it.
        caption: what it shows, with the numbers that matter; read to those who do not see it.
        table: what is drawn.
        draw: onto a panel, in a style.
    """

    name: str
    title: str
    caption: str
    table: Table
    draw: Callable[[Axes, Style], None]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page.

    Args:
        title: of the part.
        text: sentences.
        plots: beside each other where there is room.
        tables: below them.
        lists: heading → lines.
        pictures: drawings that were made elsewhere, name → (caption, SVG).
        animation: a GIF and what it shows.
    """

    title: str
    text: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    tables: tuple[Table, ...] = ()
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)
    pictures: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    animation: tuple[bytes, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    """A report.

    Args:
        command: which found it.
        title: one line on what was looked at.
        verdict: its name, or what was done.
        tone: whether that is good, bad, or leaves the question open.
        meaning: of the verdict, in words.
        reasons: that led to it, with numbers.
        steps: what to do first, and next.
        sections: in order.
        record: what was run, as JSON has it.
        again: how to run it again; empty where it cannot be said.
    """

    command: str
    title: str
    verdict: str
    tone: Tone
    meaning: str
    reasons: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    again: tuple[str, ...] = ()

    @property
    def plots(self) -> tuple[Plot, ...]:
        """All of them, in order."""
        return tuple(plot for section in self.sections for plot in section.plots)
