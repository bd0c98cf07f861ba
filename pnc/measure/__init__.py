"""Measurement: what the features of a network do, layer by layer. Importing it loads torch."""

from typing import Any

from pnc.measure.between import ClassWeights, between_scatter
from pnc.measure.capture import Layer, LayerList, capture, list_layers
from pnc.measure.cdnv import class_distance_normalised_variance
from pnc.measure.compressed import CompressedSite, KeptDimensions, measure_compressed
from pnc.measure.compression import compression
from pnc.measure.discrimination import discrimination
from pnc.measure.features import measure_features
from pnc.measure.fuzziness import FuzzinessPass
from pnc.measure.linear_tail import fit_linear_tail
from pnc.measure.model import measure_model
from pnc.measure.moments import ClassMoments
from pnc.measure.neural_collapse import NeuralCollapse, measure_neural_collapse
from pnc.measure.noise_floor import noise_floor, resolved, rounding_unit
from pnc.measure.principal_components import PrincipalComponents, principal_components
from pnc.measure.probe import LinearProbe, fit_linear_probe, logistic_probe_accuracy, nearest_centre_probe
from pnc.measure.rank import (
    effective_rank,
    numerical_rank,
    singular_values,
    stable_rank,
    threshold_rank,
    variance_rank,
)
from pnc.measure.ridge import LinearMap, fit_linear_map
from pnc.measure.spectrum import Spectrum, StreamingSpectrum
from pnc.measure.summary import ClassSummary, measure_linear
from pnc.measure.svm import linear_svm_accuracy
from pnc.measure.variance_curve import curve_spectra, variance_curve

__all__ = [
    "ClassMoments",
    "ClassSummary",
    "ClassWeights",
    "CompressedSite",
    "CompressionMetric",
    "FuzzinessPass",
    "KeptDimensions",
    "Layer",
    "LayerList",
    "LinearMap",
    "LinearProbe",
    "NeuralCollapse",
    "PrincipalComponents",
    "Spectrum",
    "StreamingSpectrum",
    "between_scatter",
    "capture",
    "class_distance_normalised_variance",
    "compression",
    "curve_spectra",
    "discrimination",
    "effective_rank",
    "fit_linear_map",
    "fit_linear_probe",
    "fit_linear_tail",
    "linear_svm_accuracy",
    "list_layers",
    "logistic_probe_accuracy",
    "measure_compressed",
    "measure_features",
    "measure_linear",
    "measure_model",
    "measure_neural_collapse",
    "nearest_centre_probe",
    "noise_floor",
    "numerical_rank",
    "principal_components",
    "resolved",
    "rounding_unit",
    "singular_values",
    "stable_rank",
    "threshold_rank",
    "variance_curve",
    "variance_rank",
]


def __getattr__(name: str) -> Any:
    if name == "CompressionMetric":  # it loads torchmetrics
        from pnc.measure.metrics import CompressionMetric

        return CompressionMetric
    raise AttributeError(f"module 'pnc.measure' has no attribute {name!r}")
