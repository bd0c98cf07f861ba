"""Comparison: theory held against measurement."""

from pnc.compare.compare import Comparison, assumption_failures, compare
from pnc.compare.laws import LawFit, fit_geometric_law, fit_linear_law
from pnc.compare.limits import Limits
from pnc.compare.variance_floors import VarianceFloor, variance_floors
from pnc.compare.verdict import Verdict

__all__ = [
    "Comparison",
    "LawFit",
    "Limits",
    "VarianceFloor",
    "Verdict",
    "assumption_failures",
    "compare",
    "fit_geometric_law",
    "fit_linear_law",
    "variance_floors",
]
