"""Akaike's corrected information criterion, and who wins by it."""

from __future__ import annotations

import math

from pnc.compare.verdict import Verdict

__all__ = ["DECISIVE", "corrected_criterion", "verdict_between"]

DECISIVE = 2.0
"""By how much the criterion of a richer description has to be lower for it to win."""


def corrected_criterion(squares: float, *, points: int, parameters: int) -> float:
    """AICc = n log(S/n) + 2k + 2k(k+1)/(n-k-1) of a least-squares fit with normal residuals of one unknown variance.

    The correction is what makes it usable with few points: without it, or with BIC, of seven points on a noisy line one
    in three would ask for another parameter.

    Args:
        squares: S, residual sum of squares, above 0.
        points: n.
        parameters: k, the variance included.

    Returns:
        The criterion, dimensionless; ∞ where n ≤ k+1, where it says nothing.

    >>> round(corrected_criterion(0.07, points=7, parameters=3), 3), corrected_criterion(0.1, points=4, parameters=3)
    (-18.236, inf)
    """
    left = points - parameters - 1
    if left <= 0:
        return math.inf
    return points * math.log(squares / points) + 2 * parameters + 2 * parameters * (parameters + 1) / left


def verdict_between(law: float, alternative: float, *, further_parameters: int) -> Verdict:
    """FOLLOWS, DEPARTS or UNDECIDED, from the criteria of the law and of one alternative.

    Of two descriptions the richer one wins where its criterion is lower by `DECISIVE`, and loses where it is not lower
    at all; of equally rich ones each needs `DECISIVE`; in between nothing is decided. An alternative with one parameter
    more than a true law then wins in at most 5 % of cases whatever the number of points (the corrected criterion asks
    for more the fewer there are).

    Args:
        law: criterion of the law.
        alternative: of the alternative.
        further_parameters: of the alternative; negative where it has fewer.

    >>> [verdict_between(-10, -11, further_parameters=more).name for more in (-1, 0, 1)]
    ['DEPARTS', 'UNDECIDED', 'UNDECIDED']
    """
    difference = alternative - law
    if difference >= (0.0 if further_parameters > 0 else DECISIVE):
        return Verdict.FOLLOWS
    if difference <= (0.0 if further_parameters < 0 else -DECISIVE):
        return Verdict.DEPARTS
    return Verdict.UNDECIDED
