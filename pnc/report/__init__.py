"""Reports: run folders, figures, the self-contained HTML page, tables of text, a live line. Loaded as they are used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pnc.report.dynamics import dynamics_animation, dynamics_figure, shown_times
    from pnc.report.figures import comparison_figure
    from pnc.report.html import page_html
    from pnc.report.run_folder import write_run

__all__ = [
    "comparison_figure",
    "dynamics_animation",
    "dynamics_figure",
    "page_html",
    "shown_times",
    "write_run",
]

_HOME = {
    "comparison_figure": "figures",
    "dynamics_animation": "dynamics",
    "dynamics_figure": "dynamics",
    "page_html": "html",
    "shown_times": "dynamics",
    "write_run": "run_folder",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"pnc.report.{_HOME[name]}"), name)
    raise AttributeError(f"module 'pnc.report' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
