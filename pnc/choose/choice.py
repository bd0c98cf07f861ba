"""`Choice`: the layers in the order of what a linear readout gets out of them, and what follows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from pnc.curves import LayerCurve, json_ready
from pnc.statistics import student_reach

__all__ = ["CONFIDENCE", "Choice", "LayerReadout"]

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerReadout:
    """What a ridge regression of the classes reads out of one layer.

    Args:
        name: of the layer.
        layer: its number.
        width: entries of a sample's features.
        used: dimensions that the readout saw, fewer where wide features were projected.
        right: (n,) whether each sample is classified correctly by the readout fitted to all others.
        squared_error: mean squared error of the one-hot labels, likewise.
        ridge: penalty relative to the largest squared singular value.
    """

    name: str
    layer: int
    width: int
    used: int
    right: Bool[np.ndarray, " n"]
    squared_error: float
    ridge: float

    @property
    def accuracy(self) -> float:
        """Share of the samples that is classified correctly when left out."""
        return float(self.right.mean())

    @property
    def standard_error(self) -> float:
        """Of the accuracy, `√(a (1 - a)/n)`; with none or all right, that of half a sample more."""
        n = self.right.size
        hits = min(max(float(self.right.sum()), 0.5), n - 0.5)
        return math.sqrt(hits * (n - hits) / n**3)


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """Layers ranked for a linear readout of the given labels.

    Args:
        curve: C, D and scatters of every layer.
        readouts: one for each layer of the curve, in order.
        samples: n that the readouts were fitted to.
        seen: samples that passed.
        notes: what a reader of the numbers should know.
    """

    curve: LayerCurve
    readouts: tuple[LayerReadout, ...]
    samples: int
    seen: int
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> LayerReadout:
        """The layer with the highest accuracy; of equal ones that with the smaller squared error."""
        return max(self.readouts, key=lambda readout: (readout.accuracy, -readout.squared_error))

    def gap(self, readout: LayerReadout) -> tuple[float, float]:
        """How much less accurate than the best layer one is, and the standard error of the paired difference."""
        difference = self.best.right.astype(np.float64) - readout.right
        return float(difference.mean()), float(difference.std(ddof=1) / math.sqrt(difference.size))

    @property
    def ties(self) -> tuple[LayerReadout, ...]:
        """Layers that are not worse than the best one within a one-sided 95 % error, the best one among them."""
        reach = student_reach(self.samples - 1, 2 * CONFIDENCE - 1)  # one-sided
        gaps = ((readout, *self.gap(readout)) for readout in self.readouts)
        return tuple(readout for readout, gap, error in gaps if gap <= reach * error)

    def to_dict(self) -> dict[str, Any]:
        """What `pnc choose --json` prints: one number for each layer of `layers`, and the numbers of the chosen."""
        last = self.readouts[-1]
        cost, error = self.gap(last)
        return json_ready(
            {
                "layers": self.curve.layers,
                "names": [readout.name for readout in self.readouts],
                "widths": [readout.width for readout in self.readouts],
                "dimensions_used": [readout.used for readout in self.readouts],
                "compression": self.curve.compression,
                "discrimination": self.curve.discrimination,
                "separation_fuzziness": self.curve.separation_fuzziness,
                "criterion": [readout.accuracy for readout in self.readouts],
                "criterion_name": "accuracy of a ridge readout, every sample left out in turn",
                "standard_error": [readout.standard_error for readout in self.readouts],
                "squared_error": [readout.squared_error for readout in self.readouts],
                "best": self.best.layer,
                "ties": [readout.layer for readout in self.ties],
                "last_layer": {"layer": last.layer, "cost": cost, "standard_error": error},
                "samples": self.samples,
                "samples_seen": self.seen,
                "notes": list(self.notes),
            }
        )

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, str]:
        return {"text/plain": repr(self)}

    def __repr__(self) -> str:
        best = self.best
        accuracy = f"{best.accuracy:.3f} ± {best.standard_error:.3f}"
        return f"Choice(best={best.name!r}, accuracy={accuracy}, layers={len(self.readouts)})"
