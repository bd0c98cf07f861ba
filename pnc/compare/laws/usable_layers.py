"""The layers of a curve that a law can be fitted to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from pnc.compare.limits import Limits
from pnc.curves import LayerCurve
from pnc.measure import resolved

__all__ = ["above_noise", "features_of", "law_values"]


def above_noise(curve: LayerCurve, share: float) -> Bool[np.ndarray, " n"]:
    """Layers whose C_l rounding leaves correct to a share; all where the curve carries no noise floor."""
    if any(note.noise_floor is None for note in curve.notes):
        return np.ones(len(curve), dtype=bool)
    return np.asarray(resolved(curve, share))


def law_values(curve: LayerCurve, law: str, *, first_layer: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """The layers that a law can be fitted to, log C_l or D_l there, and the layers that were left out."""
    later = curve.layers >= first_layer
    if law == "geometric":
        usable = later & (curve.compression > 0) & above_noise(curve, Limits().compression)
        values = np.log(curve.compression[usable])
    else:
        usable = later & np.isfinite(curve.discrimination)
        values = curve.discrimination[usable]
    return curve.layers[usable].astype(np.float64), values, curve.layers[later & ~usable].tolist()


def features_of(curve: LayerCurve) -> tuple[LayerCurve, str | None]:
    """The curve without the classifier's outputs, which are no features, and its name where they were measured."""
    classifier = curve.origin.classifier
    if classifier is None or len(curve) < 2:
        return curve, None
    rest = curve.at(curve.layers[:-1])
    return replace(rest, origin=replace(rest.origin, classifier=None)), classifier
