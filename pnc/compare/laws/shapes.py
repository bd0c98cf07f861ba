"""Shapes that a curve over the layers may have, each fitted by least squares: the law's and its alternatives."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

__all__ = ["approach", "bend", "broken_line", "constant", "flat_from", "floor", "line", "squares"]

_LOG_RATES = (math.log(0.02), math.log(6.0))  # per layer: from a straight line over 20 layers to a step between two
_COARSE, _FINE, _ROUNDS = 41, 9, 14  # points an axis of the first grid and of each of the finer ones


def _solve(columns: Float[np.ndarray, "n p"], y: Float[np.ndarray, " n"]) -> tuple[np.ndarray, float]:
    """Coefficients and residual sum of squares."""
    coefficients = np.linalg.lstsq(columns, y, rcond=None)[0]
    return coefficients, squares(y, columns @ coefficients)


def line(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> tuple[np.ndarray, float]:
    """y = a + b (x - x_1): (a, b) and the residual sum of squares.

    >>> line(np.array([1.0, 2, 3]), np.array([3.0, 2, 1]))[0].round(9).tolist()
    [3.0, -1.0]
    """
    return _solve(np.column_stack([np.ones_like(x), x - x[0]]), y)


def broken_line(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], onset: float) -> tuple[np.ndarray, float]:
    """y = a + b (x - s) from the onset s on and a + b' (x - s) before it: (a, b, b') and the residual sum of squares.

    The two meet at s. Where one point alone lies before s, b' passes through it, so it is left out of the fit.

    >>> x, y = np.arange(5.0), np.array([0.0, 0.0, 0.0, -1.0, -2.0])
    >>> (broken_line(x, y, 2.0)[0].round(9) + 0).tolist()
    [0.0, -1.0, 0.0]
    """
    return _solve(np.column_stack([np.ones_like(x), np.maximum(x - onset, 0), np.minimum(x - onset, 0)]), y)


def squares(y: Float[np.ndarray, " n"], fitted: Float[np.ndarray, " n"]) -> float:
    """Residual sum of squares."""
    return float(((y - fitted) ** 2).sum())


def constant(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The best y = a, at x: nothing happens."""
    return np.full(y.shape, y.mean())


def flat_from(onset: float, x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The best y = a from the onset s on and a + b' (x - s) before it, at x: nothing happens in the phase."""
    columns = np.column_stack([np.ones_like(x), np.minimum(x - onset, 0)])
    return columns @ _solve(columns, y)[0]


def bend(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The best y = a + b x + c x², at x: the rate changes steadily."""
    t = x - x.mean()
    columns = np.column_stack([np.ones_like(t), t, t**2])
    return columns @ _solve(columns, y)[0]


def _lowest(score: Callable[..., np.ndarray], *ranges: tuple[float, float]) -> np.ndarray:
    """Where a function of one or two numbers is least: the best of a grid, then of finer grids around it."""
    low, high = np.array(ranges).T
    at = low
    for points in (_COARSE, *[_FINE] * _ROUNDS):
        axes = np.linspace(low, high, points).T
        grid = [axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")]
        best = int(np.argmin(score(*grid)))
        at = np.array([axis[best] for axis in grid])
        step = 2 * (high - low) / (points - 1)  # two cells to each side: valleys run askew
        low, high = np.maximum(low, at - step), np.minimum(high, at + step)
    return at


def approach(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The best y = a + b e^{-c x}, c > 0, at x: one exponential approach to a limit.

    >>> x = np.arange(7.0)
    >>> y = 0.9 - 0.7 * np.exp(-0.5 * x)
    >>> squares(y, approach(x, y)) < 1e-9
    True
    """

    def fitted(log_rate: np.ndarray) -> np.ndarray:
        e = np.exp(-np.exp(log_rate)[:, None] * (x - x[0]))
        e -= e.mean(axis=1, keepdims=True)
        return y.mean() + e * ((e @ (y - y.mean())) / np.sum(e**2, axis=1))[:, None]

    return fitted(_lowest(lambda log_rate: ((y - fitted(log_rate)) ** 2).sum(axis=1), _LOG_RATES))[0]


def floor(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The best y = log(c + A e^{-b x}), b, A, c > 0, at x: geometric down to a floor.

    Given b and the layer at which the exponential meets the floor, y - log(1 + e^{-b (x - meeting)}) is a constant.

    >>> x = np.arange(7.0)
    >>> y = np.log(0.05 + 0.9 * 0.3**x)
    >>> squares(y, floor(x, y)) < 1e-9
    True
    """
    span = x[-1] - x[0]

    def fitted(log_rate: np.ndarray, meeting: np.ndarray) -> np.ndarray:
        shape = np.logaddexp(0, -np.exp(log_rate)[:, None] * (x - meeting[:, None]))
        return shape + (y - shape).mean(axis=1, keepdims=True)

    best = _lowest(lambda *at: ((y - fitted(*at)) ** 2).sum(axis=1), _LOG_RATES, (x[0] - span, x[-1] + span))
    return fitted(*best[:, None])[0]
