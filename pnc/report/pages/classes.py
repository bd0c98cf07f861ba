"""Classes: angles between their means, and the pairs that are worst separated."""

from __future__ import annotations

from pnc.curves import LayerCurve
from pnc.report.pages.model import Section

__all__ = ["classes_section"]


def classes_section(label: str, curve: LayerCurve) -> Section | None:
    """Where the classes were measured; `None` elsewhere."""
    return None
