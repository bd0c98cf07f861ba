"""He & Su's law of data separation: log fuzziness falls along a straight line over the layers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.special

from pnc.compare.laws.shapes import line
from pnc.curves import LayerCurve
from pnc.statistics import student_reach

__all__ = ["EquiSeparation", "equi_separation"]


@dataclass(frozen=True, kw_only=True)
class EquiSeparation:
    """The law tr(Σ_W Σ_B⁺) ≈ A ρ^l (He and Su, PNAS 120(36), 2023).

    Args:
        pearson: correlation of log fuzziness with l.
        pearson_lower: end of its interval, by Fisher's z; NaN with fewer than 4 layers.
        pearson_upper: the other end.
        ratio: ρ, per layer.
        ratio_lower: end of its interval; NaN with fewer than 3 layers.
        ratio_upper: the other end.
        layers: that were used, the input included.
        confidence: of the intervals.
    """

    pearson: float
    pearson_lower: float
    pearson_upper: float
    ratio: float
    ratio_lower: float
    ratio_upper: float
    layers: tuple[int, ...]
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def equi_separation(curve: LayerCurve, *, confidence: float = 0.95) -> EquiSeparation | None:
    """Fit log tr(Σ_W Σ_B⁺) against the layer index, as He & Su do: all layers, the input included, no onset.

    Under T1 the rate is the square of the compression rate to leading order (theory note, T4).

    Args:
        curve: layers whose fuzziness is 0 or was not computed are left out.
        confidence: of the intervals.

    Returns:
        The fit, or `None` with fewer than 3 usable layers, or with a constant fuzziness.

    >>> curve = LayerCurve(layers=range(5), compression=[1.0] * 5, discrimination=[1.0] * 5, within_scatter=[1.0] * 5,
    ...                    between_scatter=[1.0] * 5, separation_fuzziness=[9 * 0.5**l for l in range(5)])
    >>> law = equi_separation(curve)
    >>> round(law.pearson, 12), round(law.ratio, 12)
    (-1.0, 0.5)
    """
    usable = np.isfinite(curve.separation_fuzziness) & (curve.separation_fuzziness > 0)
    n = int(usable.sum())
    if n < 3:
        return None
    x, y = curve.layers[usable].astype(np.float64), np.log(curve.separation_fuzziness[usable])
    coefficients, residual = line(x, y)
    slope = float(coefficients[1])
    spread, total = float(((x - x.mean()) ** 2).sum()), float(((y - y.mean()) ** 2).sum())
    if total == 0:
        return None
    pearson = max(-1.0, min(1.0, slope * math.sqrt(spread / total)))
    error = math.sqrt(residual / (n - 2) / spread)
    reach = error * student_reach(n - 2, confidence)
    low = high = math.nan
    if n > 3:
        low = high = pearson
        if abs(pearson) < 1:
            wide = float(scipy.special.ndtri((1 + confidence) / 2)) / math.sqrt(n - 3)
            low, high = math.tanh(math.atanh(pearson) - wide), math.tanh(math.atanh(pearson) + wide)
    return EquiSeparation(
        pearson=pearson,
        pearson_lower=low,
        pearson_upper=high,
        ratio=math.exp(slope),
        ratio_lower=math.exp(slope - reach),
        ratio_upper=math.exp(slope + reach),
        layers=tuple(curve.layers[usable].tolist()),
        confidence=confidence,
    )
