"""Roots, and ends of integrations: SciPy's, with the types that they have here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["StopAtZero", "root_between"]


def root_between(function: Callable[[float], float], low: float, high: float) -> float:
    """The root of a continuous function between two points at which its signs differ, to rounding (Brent's method).

    >>> round(root_between(lambda x: x * x - 2, 0.0, 2.0), 12)
    1.414213562373
    """
    import scipy.optimize  # keeps `import pnc` light

    found: Any = scipy.optimize.brentq(function, low, high, xtol=1e-300, rtol=np.float64(1e-14))
    return float(found)


class StopAtZero:
    """An event that ends `scipy.integrate.solve_ivp` where a function of the state is 0.

    >>> StopAtZero(lambda y: float(y[0]))(0.0, np.array([2.0]))
    2.0
    """

    terminal = True

    def __init__(self, function: Callable[[np.ndarray], float]) -> None:
        self.function = function

    def __call__(self, _: float, y: np.ndarray) -> float:
        return self.function(y)
