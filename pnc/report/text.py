"""Numbers and tables as people read them."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence

__all__ = ["number", "print_table", "printable", "signed", "span"]


def number(value: float, digits: int = 4) -> str:
    """A number in as few characters as `digits` allow; a dash where it is undefined.

    >>> number(0.06130), number(1.2e-9), number(float("nan"))
    ('0.0613', '1.200e-09', '–')
    """
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:.{digits}g}"
    return f"{value:.{digits - 1}e}"


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, and none where it rounds to 0.

    >>> signed(0.126), signed(-0.001), signed(-1.5)
    ('+0.13', '0.00', '-1.50')
    """
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def span(lower: float, upper: float, digits: int = 4) -> str:
    """An interval, or a dash where it is undefined."""
    if math.isnan(lower) and math.isnan(upper):
        return "–"
    return f"[{number(lower, digits)}, {number(upper, digits)}]"


def printable(text: str, *, lines: bool = False) -> str:
    """Text that does nothing to a terminal: control characters, among them those that reverse the direction of writing,
    as escapes; line ends too unless `lines`.

    >>> printable("red \\x1b[31m\\n")
    'red \\\\x1b[31m\\\\n'
    """
    if text.isprintable():
        return text
    return "".join(
        c if (lines and c == "\n") or unicodedata.category(c)[0] != "C" else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns aligned to the right, as wide as they need to be."""
    lines = [[printable(cell) for cell in line] for line in (header, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
