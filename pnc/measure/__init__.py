"""Measurement: what the features of a network do, layer by layer. Importing it loads torch."""

from pnc.measure.between import ClassWeights, between_scatter
from pnc.measure.compression import compression
from pnc.measure.discrimination import discrimination
from pnc.measure.features import measure_features
from pnc.measure.fuzziness import FuzzinessPass
from pnc.measure.moments import ClassMoments
from pnc.measure.noise_floor import noise_floor, resolved, rounding_unit
from pnc.measure.rank import (
    effective_rank,
    numerical_rank,
    singular_values,
    stable_rank,
    threshold_rank,
    variance_rank,
)
from pnc.measure.summary import ClassSummary, measure_linear

__all__ = [
    "ClassMoments",
    "ClassSummary",
    "ClassWeights",
    "FuzzinessPass",
    "between_scatter",
    "compression",
    "discrimination",
    "effective_rank",
    "measure_features",
    "measure_linear",
    "noise_floor",
    "numerical_rank",
    "resolved",
    "rounding_unit",
    "singular_values",
    "stable_rank",
    "threshold_rank",
    "variance_rank",
]
