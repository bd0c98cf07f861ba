"""`measure_features`: every quantity of the theory, for each layer's features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pnc.curves import LayerCurve, LayerNotes, Origin
from pnc.data import check_labels
from pnc.errors import InvalidInputError
from pnc.measure.accumulate.class_table import class_table, named_pair
from pnc.measure.accumulate.fuzziness import FuzzinessPass
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.accumulate.sampling_error import SamplingErrorPass
from pnc.measure.arrays import as_matrix, dtype_name
from pnc.measure.quantities.noise_floor import noise_floor, rounding_unit

__all__ = ["measure_features"]

_BATCH_BYTES = 2**26  # of features at a time: enough for long runs of each class, little beside the features


def measure_features(
    features: Mapping[int, Any] | Sequence[Any],
    y: Any,
    *,
    classes: int | None = None,
    fuzziness: bool = True,
    uncertainty: bool = False,
    per_class: bool = False,
    batch: int | None = None,
    device: torch.device | str | None = None,
    dtypes: Mapping[int, str] | None = None,
) -> LayerCurve:
    """C_l, D_l, tr Σ_W, tr Σ_B and tr(Σ_W Σ_B⁺) of each layer's features (theory note, section 1 and T4).

    One layer is looked at at a time, a batch of rows at a time: features may be memory-mapped, or a mapping
    that reads a layer when it is asked for.

    Args:
        features: layer index → (N, …) features, flattened to (N, d_l); a sequence has layers 0, 1, …. NumPy
            arrays or torch tensors, any float dtype, accumulated in float64.
        y: (N,) labels 0…K-1; gaps are closed with a note.
        classes: K where it is stated; every class must then have a sample.
        fuzziness: whether to make the second pass, for tr(Σ_W Σ_B⁺).
        uncertainty: standard errors of C_l and D_l, and the bias of C_l, from sampling, in that pass too (see
            `SamplingErrorPass`).
        per_class: of every layer the spread, nearest class, angle and margin of each class (`curve.classes`).
        batch: rows at a time; by default 64 MiB of them.
        device: where to work; by default where each layer's features are.
        dtypes: layer index → name of the dtype that features were computed in, where it is not the array's
            own (bfloat16 read as float32); it sets the noise floor.

    Returns:
        A curve whose `notes` hold, of each layer, `dtype`, `dimension`, `noise_floor`, `between_rank` (directions
        between class means; `None` without the second pass), and where asked `compression_error`,
        `compression_bias` and `discrimination_error`; its `origin` says device, samples, classes and remarks.

    Raises:
        InvalidInputError: no layers, layers of different N, features or labels that cannot be used; NaN or
            infinite entries, with their layer and position.

    >>> x = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 0.0], [6.0, 0.0]])
    >>> curve = measure_features({1: x, 2: x[:, :1]}, [0, 0, 1, 1])
    >>> curve.compression.round(12).tolist(), curve.origin.samples
    ([0.235294117647, 0.25], 4)
    """
    layers = _checked_layers(features)
    if batch is not None and batch < 1:
        raise InvalidInputError(
            got=f"batch = {batch}", expected="at least 1 row at a time", next_step="leave batch out"
        )
    dtypes = dtypes or {}
    labels, notes = check_labels(y.detach().cpu().numpy() if torch.is_tensor(y) else y, classes=classes)
    counts = np.bincount(labels)
    notes = list(notes)
    if counts.max() == 1:
        notes.append("each class has one sample: tr Σ_W is 0 by definition")

    measured = []
    for layer in layers:
        array = features[layer]
        if not (torch.is_tensor(array) or isinstance(array, np.ndarray)):
            array = np.asarray(array)
        result = _measure_layer(
            array,
            labels,
            classes=counts.size,
            fuzziness=fuzziness,
            uncertainty=uncertainty,
            per_class=per_class,
            batch=batch,
            device=device,
            dtype=dtypes.get(layer, dtype_name(array)),
            name=f"layer {layer}",
        )
        if np.isnan(result["compression"]):
            notes.append(f"layer {layer}: the class means coincide, so compression is undefined")
        if np.isnan(result["discrimination"]):
            notes.append(f"layer {layer}: a class mean is zero, so discrimination is undefined")
        measured.append(result)

    def column(name: str) -> list[Any]:
        return [result[name] for result in measured]

    devices = sorted(set(column("device")))
    return LayerCurve(
        layers=layers,
        compression=column("compression"),
        discrimination=column("discrimination"),
        within_scatter=column("within_scatter"),
        between_scatter=column("between_scatter"),
        separation_fuzziness=column("separation_fuzziness"),
        notes=column("notes"),
        origin=Origin(
            source="measured on features",
            device=", ".join(devices),
            samples=labels.size,
            classes=counts.size,
            class_counts=tuple(counts.tolist()),
            remarks=tuple(notes),
        ),
    )


def _checked_layers(features: Mapping[int, Any] | Sequence[Any]) -> list[int]:
    layers = sorted(features) if isinstance(features, Mapping) else list(range(len(features)))
    if not layers:
        raise InvalidInputError(
            got="no layers", expected="the features of at least one layer", next_step="pass {1: features}"
        )
    wrong = [layer for layer in layers if not isinstance(layer, int | np.integer)]
    if wrong:
        raise InvalidInputError(
            got=f"layer {wrong[0]!r}",
            expected="whole numbers as layers",
            next_step="number the layers, the input being 0",
        )
    return layers


def _measure_layer(
    array: Any,
    labels: np.ndarray,
    *,
    classes: int,
    fuzziness: bool,
    uncertainty: bool,
    per_class: bool,
    batch: int | None,
    device: torch.device | str | None,
    dtype: str,
    name: str,
) -> dict[str, Any]:
    shape = tuple(array.shape)
    if not shape or shape[0] != labels.size or 0 in shape:
        raise InvalidInputError(
            got=f"{name} of shape {shape} for {labels.size} labels",
            expected=f"shape ({labels.size}, …), one row a label and at least one entry a row",
            next_step="save every layer, and y, from the same samples",
        )
    if device is None:
        device = array.device if torch.is_tensor(array) and array.device.type != "mps" else "cpu"
    dimension = int(np.prod(shape[1:]))
    itemsize = array.element_size() if torch.is_tensor(array) else array.dtype.itemsize
    rows = batch or max(1, _BATCH_BYTES // (dimension * itemsize))

    def batches() -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        for start in range(0, labels.size, rows):
            stop = start + rows
            yield start, as_matrix(array[start:stop], device=device), torch.from_numpy(labels[start:stop])

    moments = ClassMoments(classes=classes, dimension=dimension, device=device)
    for start, x, y in batches():
        moments.update(x, y, name=name, first_sample=start)
    second = FuzzinessPass(moments, rounding=rounding_unit(dtype)) if fuzziness else None
    errors = SamplingErrorPass(moments) if uncertainty else None
    passes = [each for each in (second, errors) if each is not None]
    for _, x, y in batches() if passes else ():
        for each in passes:
            each.update(x, y)
    between = moments.between_scatter()
    return {
        "compression": moments.compression(),
        "discrimination": moments.discrimination(),
        "within_scatter": moments.within_scatter(),
        "between_scatter": between,
        "separation_fuzziness": float("nan") if second is None else second.value(),
        "device": str(moments.device),
        "notes": LayerNotes(
            dtype=dtype,
            dimension=dimension,
            between_rank=None if second is None else second.rank,
            closest_classes=named_pair(moments),
            class_table=class_table(moments) if per_class else None,
            compression_error=None if errors is None else errors.compression(),
            compression_bias=None if errors is None else errors.compression_bias(),
            discrimination_error=None if errors is None else errors.discrimination(),
            noise_floor=noise_floor(
                dtype=dtype,
                dimension=dimension,
                largest_mean=float(torch.linalg.vector_norm(moments.means, dim=1).max()),
                between_scatter=between,
                repeated=moments.samples > classes,
            ),
        ),
    }
