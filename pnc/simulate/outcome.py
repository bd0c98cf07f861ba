"""How a simulation ended; each outcome knows what to do about it."""

from __future__ import annotations

from enum import Enum

__all__ = ["Outcome"]


class Outcome(Enum):
    """How training ended. The value is advice to the user.

    >>> Outcome.CONVERGED.converged, Outcome.PLATEAU.converged
    (True, False)
    """

    CONVERGED = "the loss on the signal directions reached its tolerance"
    PLATEAU = (
        "the step budget ended on the initial plateau, whose length grows like epsilon^-(L-2): "
        "use `engine=flow`, a larger `residual_scale`, a smaller `depth` or more `steps`"
    )
    STEP_LIMIT = "the step budget ended while the loss was still falling: raise `steps`"
    STALLED = (
        "the loss stopped falling above its tolerance, at the rounding of the arithmetic: "
        "use `dtype=float64` or a larger `loss_tolerance`"
    )
    DIVERGED = (
        "the loss grew without bound (what is shown is the last state before that): use a smaller `learning_rate`"
    )
    INTERRUPTED = "training was interrupted: what is shown is the state at that moment"

    @property
    def converged(self) -> bool:
        """Whether theory and experiment can be compared."""
        return self is Outcome.CONVERGED
