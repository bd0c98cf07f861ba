"""Which layer's features to use: layers ranked for a linear readout, from one pass and without training a probe.

`pnc.choose(model, loader)` is `choose_layer`; features saved elsewhere go to `choose_from_features`. `measure_tails`
says what the part of a network behind each layer is worth, `detect_foreign` which layer tells that an input is foreign.
"""

from __future__ import annotations

from pnc.callable_room import make_callable
from pnc.choose.choice import Choice, LayerReadout
from pnc.choose.foreign import Detection, ForeignInputs, detect_foreign
from pnc.choose.layers import choose_from_features, choose_layer
from pnc.choose.sampled_features import SampledFeatures
from pnc.choose.tail import CutTail, TailCosts, measure_tails

__all__ = [
    "Choice",
    "CutTail",
    "Detection",
    "ForeignInputs",
    "LayerReadout",
    "SampledFeatures",
    "TailCosts",
    "choose_from_features",
    "choose_layer",
    "detect_foreign",
    "measure_tails",
]


make_callable("pnc.choose", choose_layer)
