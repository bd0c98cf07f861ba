"""`LayerCurve`: what theory predicts and measurement returns, and what is known of each layer and of the whole."""

from pnc.curves.class_table import ClassTable
from pnc.curves.curve import FIELDS, LayerCurve
from pnc.curves.json_ready import json_ready
from pnc.curves.notes import LayerNotes, LayerRanks, Ranks, SpectrumError
from pnc.curves.origin import Origin
from pnc.curves.shown import Shown
from pnc.curves.units import QUANTITIES, described

__all__ = [
    "FIELDS",
    "QUANTITIES",
    "ClassTable",
    "LayerCurve",
    "LayerNotes",
    "LayerRanks",
    "Origin",
    "Ranks",
    "Shown",
    "SpectrumError",
    "described",
    "json_ready",
]
