"""Least-squares fits of the two laws: log C_l against l (geometric), D_l against l (linear)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pnc.curves import LayerCurve
from pnc.statistics import student_reach

__all__ = ["LawFit", "fit_geometric_law", "fit_linear_law"]

_NEGLIGIBLE = 0.01  # of the range of a curve: a bend smaller than this is no phase


@dataclass(frozen=True, kw_only=True)
class LawFit:
    """A straight line through the later part of a curve.

    Args:
        slope: per layer: of log C_l (so that `exp(slope)` is the compression ratio) or of D_l.
        slope_lower: end of the confidence interval of the slope; NaN with fewer than 3 layers.
        slope_upper: the other end.
        intercept: of the line at l = 0.
        r_squared: share of the variance that the line explains; NaN for a constant curve.
        onset: first layer of the phase that the line describes.
        layers: how many layers the line was fitted to.
        confidence: of the interval.
    """

    slope: float
    slope_lower: float
    slope_upper: float
    intercept: float
    r_squared: float
    onset: int
    layers: int
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Slope, intercept and residual sum of squares of the least-squares line."""
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    intercept = float(y.mean() - slope * x.mean())
    residual = y - intercept - slope * x
    return slope, intercept, float(residual @ residual)


def _onset(x: np.ndarray, y: np.ndarray) -> int:
    """Index at which the last straight phase begins: the two-phase fit of least Bayesian information criterion.

    Before the onset the curve follows a line of its own (two points or more) or is a single outlying layer; no onset
    costs 3 parameters (line, variance), an onset 3 more. Curves without noise would justify any number of phases, so
    departures from a line by less than `_NEGLIGIBLE` of the curve's range count as noise.
    """
    n = x.size
    floor = n * max(_NEGLIGIBLE * float(np.ptp(y)), 1e-12 * float(np.abs(y).max()), 1e-150) ** 2

    def score(residual: float, parameters: int) -> float:
        return n * math.log(max(residual, floor) / n) + parameters * math.log(n)

    best, chosen = score(_line(x, y)[2], 3), 0
    for start in range(1, n - 2):
        before = _line(x[:start], y[:start])[2] if start > 1 else 0.0
        value = score(before + _line(x[start:], y[start:])[2], 6 if start > 1 else 5)
        if value < best:
            best, chosen = value, start
    return chosen


def _fit(layers: np.ndarray, values: np.ndarray, *, confidence: float, onset: int | None) -> LawFit | None:
    usable = np.isfinite(values)
    x, y = layers[usable].astype(np.float64), values[usable]
    if x.size < 2:
        return None
    if onset is None:
        start = _onset(x, y) if x.size >= 5 else 0
    else:
        start = int(np.searchsorted(x, onset))
        if x.size - start < 2:
            return None
    x, y = x[start:], y[start:]
    slope, intercept, residual = _line(x, y)
    total = float(((y - y.mean()) ** 2).sum())
    lower = upper = math.nan
    if x.size > 2:
        freedom = x.size - 2
        error = math.sqrt(residual / freedom / float(((x - x.mean()) ** 2).sum()))
        reach = error * student_reach(freedom, confidence)
        lower, upper = slope - reach, slope + reach
    return LawFit(
        slope=slope,
        slope_lower=lower,
        slope_upper=upper,
        intercept=intercept,
        r_squared=1 - residual / total if total > 0 else math.nan,
        onset=int(x[0]),
        layers=int(x.size),
        confidence=confidence,
    )


def fit_geometric_law(curve: LayerCurve, *, confidence: float = 0.95, onset: int | None = None) -> LawFit | None:
    """The geometric law: log C_l = intercept + slope · l from the onset on (theory note, T2).

    Args:
        curve: layers with C_l = 0 or undefined are left out.
        confidence: of the slope's interval (Student's t, residuals taken as independent and normal).
        onset: first layer of the phase; found by the Bayesian information criterion where not given.

    Returns:
        The fit, or `None` with fewer than two usable layers.

    >>> curve = LayerCurve(layers=range(6), compression=[3 * 0.1**l for l in range(6)], discrimination=[1.0] * 6,
    ...                    within_scatter=[1.0] * 6, between_scatter=[1.0] * 6)
    >>> fit = fit_geometric_law(curve)
    >>> round(math.exp(fit.slope), 12), fit.onset
    (0.1, 0)
    """
    positive = curve.compression > 0
    values = np.full(curve.compression.shape, np.nan)
    values[positive] = np.log(curve.compression[positive])
    return _fit(curve.layers, values, confidence=confidence, onset=onset)


def fit_linear_law(curve: LayerCurve, *, confidence: float = 0.95, onset: int | None = None) -> LawFit | None:
    """The linear law: D_l = intercept + slope · l from the onset on (theory note, T6).

    Arguments and result as for `fit_geometric_law`.

    >>> curve = LayerCurve(layers=range(6), compression=[1.0] * 6, discrimination=[0.5 + 0.1 * l for l in range(6)],
    ...                    within_scatter=[1.0] * 6, between_scatter=[1.0] * 6)
    >>> round(fit_linear_law(curve).slope, 12)
    0.1
    """
    return _fit(curve.layers, curve.discrimination, confidence=confidence, onset=onset)
