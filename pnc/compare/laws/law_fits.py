"""The rates of the two laws: log C_l against l (geometric), D_l against l (linear), in the phase of `find_phase`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pnc.compare.laws.phase import find_phase
from pnc.compare.laws.usable_layers import features_of, law_values
from pnc.curves import LayerCurve

__all__ = ["LawFit", "fit_geometric_law", "fit_laws", "fit_linear_law"]


@dataclass(frozen=True, kw_only=True)
class LawFit:
    """A straight line through the later part of a curve.

    Args:
        slope: per layer: of log C_l (so that `exp(slope)` is the compression ratio) or of D_l.
        slope_lower: end of the confidence interval of the slope; NaN with fewer than 3 layers.
        slope_upper: the other end.
        intercept: of the line at l = 0.
        r_squared: share of the variance in the phase that the line explains; NaN with fewer than four layers in the
            phase, or for a constant curve.
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


def _fit(x: np.ndarray, y: np.ndarray, *, confidence: float, onset: int | None) -> LawFit | None:
    if onset is not None and (x >= onset).sum() < 2:
        return None
    if x.size < 3:  # nothing to search, and no misfit
        if x.size < 2:
            return None
        slope = float((y[1] - y[0]) / (x[1] - x[0]))
        return LawFit(
            slope=slope, slope_lower=math.nan, slope_upper=math.nan, intercept=float(y[0] - slope * x[0]),
            r_squared=math.nan, onset=int(x[0]), layers=2, confidence=confidence,
        )  # fmt: skip
    phase, _ = find_phase(x, y[None], confidence=confidence, onset=onset)
    return LawFit(
        slope=phase.slope,
        slope_lower=phase.slope_lower,
        slope_upper=phase.slope_upper,
        intercept=phase.starts[0] - phase.slope * phase.onset,
        r_squared=phase.r_squared,
        onset=phase.onset,
        layers=phase.layers,
        confidence=confidence,
    )


def fit_geometric_law(curve: LayerCurve, *, confidence: float = 0.95, onset: int | None = None) -> LawFit | None:
    """The geometric law: log C_l = intercept + slope · l from the onset on (theory note, T2).

    Args:
        curve: layers where C_l is 0, undefined or below its noise floor are left out.
        confidence: of the slope's interval (residuals taken as independent and normal).
        onset: first layer of the phase; where not given it is found by `find_phase`, as for a verdict of `follow`, and
            the slope's interval has the uncertainty of the onset in it.

    Returns:
        The fit, or `None` with fewer than two usable layers.

    >>> curve = LayerCurve(layers=range(6), compression=[3 * 0.1**l for l in range(6)], discrimination=[1.0] * 6,
    ...                    within_scatter=[1.0] * 6, between_scatter=[1.0] * 6)
    >>> fit = fit_geometric_law(curve)
    >>> round(math.exp(fit.slope), 12), fit.onset
    (0.1, 0)
    """
    layers, values, _ = law_values(curve, "geometric", first_layer=int(curve.layers[0]))
    return _fit(layers, values, confidence=confidence, onset=onset)


def fit_linear_law(curve: LayerCurve, *, confidence: float = 0.95, onset: int | None = None) -> LawFit | None:
    """The linear law: D_l = intercept + slope · l from the onset on (theory note, T6).

    Arguments and result as for `fit_geometric_law`.

    >>> curve = LayerCurve(layers=range(6), compression=[1.0] * 6, discrimination=[0.5 + 0.1 * l for l in range(6)],
    ...                    within_scatter=[1.0] * 6, between_scatter=[1.0] * 6)
    >>> round(fit_linear_law(curve).slope, 12)
    0.1
    """
    layers, values, _ = law_values(curve, "linear", first_layer=int(curve.layers[0]))
    return _fit(layers, values, confidence=confidence, onset=onset)


def fit_laws(curve: LayerCurve, *, confidence: float = 0.95) -> dict[str, LawFit | None]:
    """Both laws of a network as `follow` judges them: `geometric` and `linear`.

    The input is the data's and not the network's, and the outputs of a classifier are no features: both are left out.

    >>> curve = LayerCurve(layers=range(6), compression=[9, 3, 1, 1 / 3, 1 / 9, 1 / 27], discrimination=[0.9] * 6,
    ...                    within_scatter=[1.0] * 6, between_scatter=[1.0] * 6)
    >>> fit_laws(curve)["geometric"].onset
    1
    """
    features = features_of(curve)[0]
    hidden = features.layers[features.layers >= 1]
    if hidden.size == 0:
        return {"geometric": None, "linear": None}
    features = features.at(hidden.tolist())
    return {
        "geometric": fit_geometric_law(features, confidence=confidence),
        "linear": fit_linear_law(features, confidence=confidence),
    }
