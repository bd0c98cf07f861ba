"""Measurement: what the features of a network do, layer by layer. Importing it loads torch.

The package is a function too: `pnc.measure(model, loader)` is `measure_model` of all classes in the loader, with the
standard errors of what it measures.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from pnc.callable_room import make_callable
from pnc.curves import LayerCurve
from pnc.data import FeatureShards
from pnc.errors import InvalidInputError
from pnc.measure.accumulate.fuzziness import FuzzinessPass
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.accumulate.sampling_error import SamplingErrorPass
from pnc.measure.accumulate.spectrum import StreamingSpectrum
from pnc.measure.compress.compressed import CompressedSite, KeptDimensions, measure_compressed
from pnc.measure.compress.linear_tail import fit_linear_tail
from pnc.measure.features import measure_features
from pnc.measure.model.attribution import Attribution, ModuleEffect, attribute_compression
from pnc.measure.model.batches import count_classes, labels_in
from pnc.measure.model.layers import Layer, LayerList, capture, list_layers
from pnc.measure.model.measurement import measure_model, measure_splits
from pnc.measure.model.neural_collapse import NeuralCollapse, measure_neural_collapse
from pnc.measure.model.saved_features import GivenBatches, GivenLayers
from pnc.measure.quantities.class_pairs import class_distance_normalised_variance, discrimination
from pnc.measure.quantities.noise_floor import noise_floor, resolved, rounding_unit
from pnc.measure.quantities.rank import (
    effective_rank,
    numerical_rank,
    singular_values,
    stable_rank,
    threshold_rank,
    variance_rank,
)
from pnc.measure.quantities.scatter import ClassWeights, between_scatter, compression
from pnc.measure.quantities.spectrum import Spectrum, curve_spectra, variance_curve
from pnc.measure.readout.least_squares import LinearMap, fit_linear_map
from pnc.measure.readout.principal_components import PrincipalComponents, principal_components
from pnc.measure.readout.probe import LinearProbe, fit_linear_probe, logistic_probe_accuracy, nearest_centre_probe
from pnc.measure.readout.svm import linear_svm_accuracy
from pnc.measure.summary import ClassSummary, measure_linear

if TYPE_CHECKING:
    from pnc.measure.metrics import CompressionMetric

__all__ = [
    "Attribution",
    "ClassMoments",
    "ClassSummary",
    "ClassWeights",
    "CompressedSite",
    "CompressionMetric",
    "FuzzinessPass",
    "GivenBatches",
    "GivenLayers",
    "KeptDimensions",
    "Layer",
    "LayerList",
    "LinearMap",
    "LinearProbe",
    "ModuleEffect",
    "NeuralCollapse",
    "PrincipalComponents",
    "SamplingErrorPass",
    "Spectrum",
    "StreamingSpectrum",
    "attribute_compression",
    "between_scatter",
    "capture",
    "class_distance_normalised_variance",
    "compression",
    "count_classes",
    "curve_spectra",
    "discrimination",
    "effective_rank",
    "fit_linear_map",
    "fit_linear_probe",
    "fit_linear_tail",
    "linear_svm_accuracy",
    "list_layers",
    "logistic_probe_accuracy",
    "measure",
    "measure_compressed",
    "measure_features",
    "measure_linear",
    "measure_model",
    "measure_neural_collapse",
    "measure_splits",
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


def measure(
    model: nn.Module | str | Path | FeatureShards,
    batches: Iterable[Any] | None = None,
    *,
    classes: int | Sequence[Any] | None = None,
    uncertainty: bool = True,
    **options: Any,
) -> LayerCurve:
    """C_l, D_l and scatters of each layer of a model, with their standard errors: `pnc.measure(model, loader)`.

    Features that were saved have their own labels: `pnc.measure("features/*.safetensors")` (see `measure_features`).

    Args:
        model: torch module; or the file, folder or pattern of saved features.
        batches: a DataLoader or list of (inputs, labels), see `measure_model`.
        classes: K, or the labels in the order of their classes; by default the labels that there are, numbered in
            order with a note where they are not 0…K-1.
        uncertainty: and the other options: see `measure_model`, of saved features `measure_features`.

    Raises:
        InvalidInputError: as `measure_model` and `count_classes`.

    >>> import torch, pnc
    >>> net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 2))
    >>> batch = torch.tensor([[0.0], [2.0], [4.0], [6.0]]), torch.tensor([0, 0, 1, 1])
    >>> pnc.measure(net, [batch]).compression[0].item()
    0.25
    """
    if not isinstance(model, nn.Module):
        if isinstance(model, str | Path | FeatureShards) and (classes is None or isinstance(classes, int)):
            return measure_features(model, batches, classes=classes, uncertainty=uncertainty, **options)
        raise InvalidInputError(
            got=f"{type(model).__name__} to measure" + (f" with `classes={classes!r}`" if classes is not None else ""),
            expected="a torch module, or the file, folder or pattern of saved features, whose `classes` are a number",
            next_step="pass the model itself",
        )
    if batches is None:
        raise InvalidInputError(
            got="a model without `batches`", expected="labelled batches to run it on", next_step="pass a loader"
        )
    if classes is not None:
        return measure_model(model, batches, classes=classes, uncertainty=uncertainty, **options)
    found = labels_in(batches)
    number = count_classes(batches) if found is None else len(found)
    if found is None or found == list(range(number)):
        return measure_model(model, batches, classes=number, uncertainty=uncertainty, **options)
    curve = measure_model(model, batches, classes=found, uncertainty=uncertainty, **options)
    shown = ", ".join(map(str, found[:8])) + (", …" if number > 8 else "")
    said = f"the labels {shown} are classes 0…{number - 1} in this order"
    return replace(curve, origin=replace(curve.origin, remarks=(*curve.origin.remarks, said)))


make_callable(__name__, measure)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name == "CompressionMetric":  # it loads torchmetrics
        from pnc.measure.metrics import CompressionMetric

        return CompressionMetric
    raise AttributeError(f"module 'pnc.measure' has no attribute {name!r}")
