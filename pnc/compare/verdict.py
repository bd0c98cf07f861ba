"""`Verdict`: what a comparison concludes, and what to do about it."""

from __future__ import annotations

from enum import Enum

__all__ = ["Verdict"]


class Verdict(Enum):
    """The conclusion of a comparison; the value is advice.

    >>> Verdict.AGREES.exit_status, Verdict.DISAGREES.exit_status, Verdict.NOT_CONVERGED.exit_status
    (0, 3, 4)
    """

    AGREES = "theory and measurement agree within the stated limits"
    DISAGREES = (
        "the assumptions hold within their limits and yet the curves differ: look at the layer that is named, and at "
        "the assumption measured furthest from its ideal"
    )
    NOT_CONVERGED = "training has not reached its minimum, so there is nothing to compare yet"
    BELOW_NOISE = (
        "a layer is compressed below what this arithmetic resolves: use float64, a larger --epsilon or fewer layers"
    )
    ASSUMPTION_VIOLATED = "the weights do not satisfy what the statement assumes, so it says nothing about them"

    @property
    def exit_status(self) -> int:
        """Of the command line: 0 agrees, 3 disagrees, 4 inconclusive."""
        return {Verdict.AGREES: 0, Verdict.DISAGREES: 3}.get(self, 4)
