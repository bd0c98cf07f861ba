"""The phase in which a law holds: where it begins, with what certainty, and the rate in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from pnc.compare.laws.criterion import corrected_criterion
from pnc.compare.laws.shapes import broken_line, line
from pnc.statistics import student_cdf, student_interval, student_reach

__all__ = ["LEAST_LAYERS", "LEAST_SHARE_LAYERS", "Phase", "find_phase", "noise_squares", "onset_price"]

LEAST_LAYERS = 3
"""Of a phase that is looked for: two have a rate and no misfit."""

_MOST_CANDIDATES = 256

LEAST_SHARE_LAYERS = 4
"""Of a phase whose R² is stated: a line through two or three layers explains most of anything."""

NEGLIGIBLE = 0.01
"""Of a curve's range: departures of this size count as noise, or an exact curve would justify any refinement."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A straight phase up to the last layer, of one curve or of several with a common onset.

    Args:
        onset: its first layer, the most probable one.
        onset_lower: the shortest run of layers that holds the onset with the stated confidence …
        onset_upper: … and its end.
        onset_weights: layer → probability that the phase begins there.
        slope: per layer: of log C_l (`exp(slope)` is the compression ratio) or of D_l; of several curves the mean.
        slope_lower: end of its interval, the uncertainty of the onset included; of several curves Student's over them.
        slope_upper: the other end.
        slopes: one a curve, in the phase from the common onset.
        starts: height of each curve's line at the onset.
        layers: how many there are in the phase.
        r_squared: share of the variance in the phase that the line explains; NaN where there is none or the phase has
            fewer than four layers, below 0 where the layers before it, whose line it has to meet, pull it away.
        misfit: largest distance of the phase's layers from the line, with its sign.
        misfit_layer: where.
        confidence: of the intervals.
    """

    onset: int
    onset_lower: int
    onset_upper: int
    onset_weights: Mapping[int, float]
    slope: float
    slope_lower: float
    slope_upper: float
    slopes: tuple[float, ...]
    starts: tuple[float, ...]
    layers: int
    r_squared: float
    misfit: float
    misfit_layer: int
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def noise_squares(values: Float[np.ndarray, "curves n"]) -> float:
    """The residual sum of squares below which a fit counts as perfect."""
    size = np.maximum(NEGLIGIBLE * np.ptp(values, axis=1), 1e-12 * np.abs(values).max(axis=1))
    return values.shape[1] * float(np.sum(np.maximum(size, 1e-150) ** 2))


def _mixture_interval(
    centres: np.ndarray, scales: np.ndarray, weights: np.ndarray, freedom: int, confidence: float
) -> tuple[float, float]:
    """The central interval of a mixture of Student distributions, by bisection."""
    scales = np.maximum(scales, 1e-15 * np.abs(centres).max() + 1e-300)

    def quantile(share: float) -> float:
        reach = scales * student_reach(freedom, abs(2 * share - 1))
        low, high = float((centres - reach).min()), float((centres + reach).max())
        for _ in range(80):
            middle = (low + high) / 2
            if weights @ student_cdf(freedom, (middle - centres) / scales) < share:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    return quantile((1 - confidence) / 2), quantile((1 + confidence) / 2)


def _shortest(weights: np.ndarray, confidence: float) -> tuple[int, int]:
    """The shortest run of indices that holds a share of the weights, of equals the weightiest."""
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    runs = [
        (i, j)
        for i in range(weights.size)
        for j in range(i, weights.size)
        if sums[j + 1] - sums[i] >= confidence - 1e-12
    ]
    return min(runs, key=lambda run: (run[1] - run[0], sums[run[0]] - sums[run[1] + 1]))


def onset_price(layers: int) -> float:
    """2 log m, what an onset adds to the criterion, m being the number of places where it may be."""
    return 2 * math.log(layers - LEAST_LAYERS)


def _candidates(n: int) -> Sequence[int]:
    """Places of the first layer of a phase; of many layers a part, so that the search does not take their square."""
    last = n - LEAST_LAYERS
    if last < _MOST_CANDIDATES:
        return range(last + 1)
    return np.linspace(0, last, _MOST_CANDIDATES).round().astype(int).tolist()


def find_phase(
    layers: Float[np.ndarray, " n"],
    values: Float[np.ndarray, "curves n"],
    *,
    confidence: float,
    onset: int | None = None,
) -> tuple[Phase, float]:
    """The last straight phase of one curve, or of several with a common onset.

    Candidates are a straight line through all layers, and a broken one at each layer from the second on that leaves
    `LEAST_LAYERS` in the phase: its two parts meet at the onset. A candidate's weight is e^{-AICc/2} times its prior:
    ½ for no break, the rest shared equally among the m layers where there may be one (which adds 2 log m to the
    criterion: the price of having searched). The slope's interval averages over the candidates with these weights. Of
    more than 256 layers 256 are candidates, evenly spread: the onset is then known to their distance.

    Args:
        layers: (n,) n ≥ 3.
        values: (curves, n), finite. All share one noise level; each has a line of its own.
        confidence: of onset and slope.
        onset: first layer of the phase where it is known; then nothing is searched, and it has no price.

    Returns:
        The phase and the criterion of the most probable candidate, ∞ where the layers are too few for one.

    >>> values = np.array([[0.0, 0.0, 0.0, -1.0, -2.0, -3.0, -4.0]])
    >>> phase, _ = find_phase(np.arange(7.0), values, confidence=0.95)
    >>> phase.onset, phase.onset_lower, phase.onset_upper, round(phase.slope, 9)
    (2, 2, 2, -1.0)
    """
    curves, n = values.shape
    floor = noise_squares(values)
    starts = _candidates(n) if onset is None else (int(np.searchsorted(layers, onset)),)
    criteria, fits = [], []
    for start in starts:
        parts = [line(layers, y) if start == 0 else broken_line(layers, y, layers[start]) for y in values]
        own = 2 if start == 0 else 3
        squares = sum(part[1] for part in parts)
        price = 0.0 if start == 0 or onset is not None else onset_price(n)
        criteria.append(
            corrected_criterion(max(squares, floor), points=curves * n, parameters=curves * own + 1) + price
        )
        fits.append(([part[0] for part in parts], squares, curves * (n - own)))
    criteria = np.array(criteria)
    finite = np.isfinite(criteria)
    if not finite.any():  # nothing can be told: all layers in one line
        finite[0] = True
    weights = np.zeros(criteria.size)
    relative = np.where(np.isfinite(criteria), criteria, 0.0)[finite]
    weights[finite] = np.exp(-(relative - relative.min()) / 2)
    weights /= weights.sum()
    place = int(np.argmax(weights))
    best, (low, high) = starts[place], (starts[end] for end in _shortest(weights, confidence))

    found = np.array(fits[place][0])
    slopes = found[:, 1]
    slope, slope_lower, slope_upper = map(float, student_interval(slopes, confidence=confidence))
    if curves == 1:
        slope_lower, slope_upper = _slope_interval(layers, starts, fits, weights, confidence)
    x, y = layers[best:], values[:, best:]
    residual = y - found[:, :1] - slopes[:, None] * (x - x[0])
    total = float(((y - y.mean(axis=1, keepdims=True)) ** 2).sum())
    at = int(np.argmax(np.abs(residual).max(axis=0)))
    misfit = residual[int(np.argmax(np.abs(residual[:, at]))), at]
    phase = Phase(
        onset=int(layers[best]),
        onset_lower=int(layers[low]),
        onset_upper=int(layers[high]),
        onset_weights={int(layers[start]): weight for start, weight in zip(starts, weights.tolist(), strict=True)},
        slope=slope,
        slope_lower=slope_lower,
        slope_upper=slope_upper,
        slopes=tuple(slopes.tolist()),
        starts=tuple(found[:, 0].tolist()),
        layers=int(n - best),
        r_squared=1 - float((residual**2).sum()) / total if total > 0 and x.size >= LEAST_SHARE_LAYERS else math.nan,
        misfit=float(misfit),
        misfit_layer=int(x[at]),
        confidence=confidence,
    )
    return phase, float(criteria[place])


def _slope_interval(
    layers: np.ndarray, starts: Sequence[int], fits: list, weights: np.ndarray, confidence: float
) -> tuple[float, float]:
    """Of one curve's slope over all candidates that have any weight and a point to spare."""
    n = layers.size
    centres, scales, kept = [], [], []
    for start, weight, ((coefficients,), squares, freedom) in zip(starts, weights.tolist(), fits, strict=True):
        if weight == 0:
            continue
        if freedom < 1:
            return math.nan, math.nan
        columns = [np.ones(n), np.maximum(layers - layers[start], 0)]
        columns += [np.minimum(layers - layers[start], 0)] if start else []
        factor = np.linalg.inv(np.linalg.qr(np.column_stack(columns), mode="r"))
        centres.append(coefficients[1])
        # one freedom for all, the least: a line without break has one more
        scales.append(math.sqrt(squares / freedom * float(factor[1] @ factor[1])))
        kept.append((weight, freedom))
    shares = np.array([weight for weight, _ in kept])
    return _mixture_interval(
        np.array(centres), np.array(scales), shares / shares.sum(), min(freedom for _, freedom in kept), confidence
    )
