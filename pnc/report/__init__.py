"""Reports: run folders, figures, the self-contained HTML page, tables of text, a live line. Loaded as they are used."""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "check_folder": "pnc.records",
    "comparison_figure": "pnc.report.figures",
    "dynamics_animation": "pnc.report.dynamics",
    "dynamics_figure": "pnc.report.dynamics",
    "new_folder": "pnc.records",
    "report_page": "pnc.report.page",
    "shown_times": "pnc.report.dynamics",
    "software_versions": "pnc.records",
    "write_run": "pnc.report.run_folder",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'pnc.report' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
