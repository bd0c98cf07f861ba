"""Problems: synthetic draws, real data sets, saved files."""

from pnc.data.labels import check_labels
from pnc.data.problem import Problem

__all__ = ["Problem", "check_labels"]
