"""Comparison: theory held against measurement."""

from pnc.compare.compare import Comparison, assumption_failures, compare
from pnc.compare.laws import LawFit, fit_geometric_law, fit_linear_law
from pnc.compare.limits import Limits
from pnc.compare.verdict import Verdict

__all__ = [
    "Comparison",
    "LawFit",
    "Limits",
    "Verdict",
    "assumption_failures",
    "compare",
    "fit_geometric_law",
    "fit_linear_law",
]
