"""Figures without a display: drawn by Agg whatever the environment asks for; equal numbers give equal bytes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnc.errors import PncError
from pnc.report.style import Style

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PLAIN_SVG", "DrawingError", "drawing", "new_figure", "new_panel", "save_figure", "svg_settings"]

PLAIN_SVG = dict.fromkeys(("Creator", "Date", "Format", "Type"))
"""Metadata of figures: none, neither addresses nor the hour."""


class DrawingError(PncError):
    """Results are written, but not their figures."""


@contextmanager
def drawing(path: Path) -> Iterator[ExitStack]:
    """Around `new_folder(path)`, what it gives is to be entered where figures are drawn.

    Results do not go down with their figures: an error while drawing is raised once the folder is complete.

    Raises:
        DrawingError: something could not be drawn.
    """
    failed: list[Exception] = []

    def keep(kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        del kind, trace
        if not isinstance(error, Exception) or isinstance(error, OSError | MemoryError):
            return False
        failed.append(error)
        return True

    stack = ExitStack()
    stack.push(keep)
    yield stack
    if failed:
        reason = " ".join(f"{type(failed[0]).__name__}: {failed[0]}".split())
        raise DrawingError(f"{path} is written, but its figures could not be drawn ({reason})") from failed[0]


def _import_matplotlib() -> None:
    """Import matplotlib for the first time: it refuses to be imported where MPLBACKEND names a backend it lacks."""
    if "matplotlib" in sys.modules:
        return
    asked = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib

        if asked is not None:
            with suppress(ValueError):  # what is not there is said by pyplot, to those who use it
                matplotlib.rcParams["backend"] = asked
    finally:
        if asked is not None:
            os.environ["MPLBACKEND"] = asked


def new_figure(
    width: float, height: float, *, columns: int = 1, rows: int = 1, share_y: bool = False
) -> tuple[Figure, np.ndarray]:
    """A figure of so many inches, and its panels, row by row.

    >>> figure, panels = new_figure(6, 3, columns=2)
    >>> len(panels)
    2
    """
    _import_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, sharey=share_y).ravel()


@contextmanager
def new_panel(style: Style) -> Iterator[tuple[Figure, Axes]]:
    """A figure of one panel in a style; drawn and saved inside, where the style's settings hold."""
    _import_matplotlib()
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rc: Any = style.rc  # names of settings, which a type checker does not know one by one
    with matplotlib.rc_context(rc):
        figure = Figure(figsize=style.size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots()


def svg_settings() -> Any:
    """Inside, names of parts of an SVG follow from what is drawn, not from chance."""
    import matplotlib

    return matplotlib.rc_context({"svg.hashsalt": "pnc"})


def save_figure(figure: Figure, folder: Path, name: str) -> None:
    """Write `name`.png and `name`.svg."""
    figure.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None})
    with svg_settings():
        figure.savefig(folder / f"{name}.svg", metadata=PLAIN_SVG)
