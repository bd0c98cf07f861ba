"""How figures look: colours that the colour-blind tell apart, on screens, in print, in a light or a dark page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PAGE", "PAPER", "SCREEN", "STYLES", "Style", "in_variables"]


@dataclass(frozen=True, kw_only=True)
class Style:
    """Colours and sizes of a figure.

    Args:
        name: `screen`, `paper` or `page`.
        size: of one panel, width and height in inches.
        ink: of text and axes.
        grid: of the lines behind.
        band: of bounds and intervals.
        series: one colour a curve (Okabe and Ito 2008), told apart by markers and dashes, too.
        settings: of matplotlib.
    """

    name: str
    size: tuple[float, float]
    ink: str
    grid: str
    band: str
    series: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
    DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)), (0, (8, 2)))

    def look(self, place: int, *, joined: bool = True) -> dict[str, Any]:
        """Colour, marker and dashes of the curve at a place; every place up to 56 has a look of its own."""
        return {
            "color": self.series[place % len(self.series)],
            "marker": self.MARKERS[place % len(self.MARKERS)],
            "linestyle": self.DASHES[place % len(self.DASHES)] if joined else "none",
        }

    @property
    def rc(self) -> dict[str, Any]:
        """Settings of matplotlib to draw and to save with."""
        of_ink = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "legend.labelcolor")
        return {
            **dict.fromkeys(of_ink, self.ink),
            "axes.titlecolor": self.ink,
            "axes.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.color": self.grid,
            "legend.frameon": False,
            "lines.linewidth": 1.5,
            "lines.markersize": 4.5,
            "svg.hashsalt": "pnc",
            **self.settings,
        }


_OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

SCREEN = Style(
    name="screen", size=(5.2, 3.5), ink="#1c1c1c", grid="#d9d9d9", band="#9db7d1", series=_OKABE_ITO,
    settings={"font.size": 10},
)  # fmt: skip
PAPER = Style(
    name="paper", size=(3.3, 2.3), ink="#000000", grid="#e3e3e3", band="#9db7d1", series=_OKABE_ITO,
    # 8 points in a column of 3.3 inches; TrueType outlines are embedded, text stays text
    settings={"font.size": 8, "legend.fontsize": 7, "lines.linewidth": 1.1, "lines.markersize": 3.5,
              "pdf.fonttype": 42, "ps.fonttype": 42, "axes.linewidth": 0.6},
)  # fmt: skip

# in a page colours are variables of its style sheet; until they are, a number that nothing else has
_VARIABLES = ("ink", "grid", "band", "c0", "c1", "c2", "c3", "c4", "c5", "c6")
_NUMBERS = {name: f"#0b0c{place + 16:02x}" for place, name in enumerate(_VARIABLES)}
PAGE = Style(
    name="page", size=(5.2, 3.5), ink=_NUMBERS["ink"], grid=_NUMBERS["grid"], band=_NUMBERS["band"],
    series=tuple(_NUMBERS[f"c{place}"] for place in range(7)),
    settings={"font.size": 11, "legend.fontsize": 10, "svg.fonttype": "none",
              "font.family": "sans-serif", "mathtext.default": "regular"},
)  # fmt: skip

STYLES = {style.name: style for style in (SCREEN, PAPER)}


def in_variables(svg: str) -> str:
    """An SVG that was drawn with `PAGE`, its colours as the page's variables."""
    for name, number in _NUMBERS.items():
        svg = svg.replace(number, f"var(--{name})")
    return svg
