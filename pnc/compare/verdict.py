"""`Verdict`: what a comparison concludes, and what to do about it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from enum import Enum

__all__ = ["Verdict", "worst_status"]


class _InNotebook:
    """An enum's own body takes no such name."""

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return importlib.import_module("pnc.report.notebook").html_of(self)


class Verdict(_InNotebook, Enum):
    """The conclusion of a comparison; the value is advice.

    AGREES to ASSUMPTION_VIOLATED are about deep linear networks and their closed form; FOLLOWS, DEPARTS and UNDECIDED
    about the shape of any network's curves; MASKED about a defence against adversarial attacks.

    >>> Verdict.AGREES.exit_status, Verdict.DISAGREES.exit_status, Verdict.NOT_CONVERGED.exit_status
    (0, 3, 4)
    """

    AGREES = "theory and measurement agree within the stated limits"
    DISAGREES = "theory and measurement differ by more than the stated limits: look at the layer that is named"
    NOT_CONVERGED = "training has not reached its minimum, so there is nothing to compare yet"
    BELOW_NOISE = (
        "a layer is compressed below what this arithmetic resolves: use float64, a larger `residual_scale` or fewer "
        "layers"
    )
    ASSUMPTION_VIOLATED = "the weights do not satisfy what the statement assumes, so it says nothing about them"
    FOLLOWS = "the layers follow the law from the layer that is named, better than the alternatives explain them"
    DEPARTS = "the layers do not follow the law: an alternative explains them as well, or better"
    UNDECIDED = (
        "the layers are too few or too scattered to tell the law from an alternative: compare several seeds at once"
    )
    MASKED = "the defence hides gradients instead of removing errors, so accuracy under attack means nothing here"

    def __repr__(self) -> str:
        return f"<Verdict.{self.name}: {self.value}>"

    @property
    def exit_status(self) -> int:
        """Of the command line: 0 agrees or follows, 3 disagrees, departs or is masked, 4 inconclusive."""
        return {"AGREES": 0, "FOLLOWS": 0, "DISAGREES": 3, "DEPARTS": 3, "MASKED": 3}.get(self.name, 4)


def worst_status(names: Iterable[str]) -> int:
    """The exit status of many comparisons: 3 where any disagrees, else 4 where any is inconclusive, else 0.

    Args:
        names: of the verdicts.

    >>> worst_status(["AGREES", "NOT_CONVERGED"]), worst_status(["DISAGREES", "NOT_CONVERGED"]), worst_status([])
    (4, 3, 0)
    """
    found = {Verdict[name].exit_status for name in names}
    return next((status for status in (3, 4) if status in found), 0)
