"""Layers ranked for a linear readout: of a model in one pass, or of saved features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from pnc.choose.choice import Choice, LayerReadout
from pnc.choose.sampled_features import SampledFeatures
from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError
from pnc.measure import count_classes, fit_linear_map, measure_features, measure_model
from pnc.measure.accumulate.processes import process_count
from pnc.measure.model.pooling import Pool

__all__ = ["averaged", "choose_from_features", "choose_layer"]

_FEW = 5  # samples of a class below which a readout says little


def choose_layer(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    classes: int | None = None,
    layers: Sequence[str] | None = None,
    pool: Pool | Callable[[torch.Tensor, Any], torch.Tensor] | None = None,
    most_samples: int = 4096,
    most_dimensions: int = 512,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Choice:
    """The layers of a model ranked by what a linear readout of the labels gets out of them, from one pass.

    The criterion is the accuracy of a ridge regression of the one-hot labels, every sample in turn left out, in closed
    form (Allen 1974; see `fit_linear_map`): no probe is trained and no sample is held back. It is computed from at most
    `most_samples` samples, the same at every layer. C_l and D_l stand beside it; neither alone ranks layers well.

    Args:
        model: torch module.
        batches: of (inputs, labels), see `measure_model`.
        classes: K; by default counted, which reads the labels once.
        layers: patterns of module names, see `measure_model`.
        pool: as `measure_model`'s; by default features are averaged, as readouts do: over tokens (those of the batch's
            mask where there is one), over the positions of images. The input is taken as it is.
        most_samples: that readouts are fitted to; a uniform draw where there are more.
        most_dimensions: wider features are projected at random into so many.
        seed: of both draws.
        device: see `measure_model`.
        progress: see `measure_model`.

    Raises:
        InvalidInputError: as `measure_model`, or a class with fewer than 2 samples.

    >>> net = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> x = torch.arange(20.0)[:, None]
    >>> choose_layer(net, [(x, (x[:, 0] > 9).long())]).best.accuracy
    1.0
    """
    if process_count() > 1:
        raise InvalidInputError(
            got=f"{process_count()} processes, each with a share of the samples",
            expected="one process",
            next_step="choose a layer on one process, with all samples or some of them",
        )
    number = count_classes(batches) if classes is None else classes
    kept = SampledFeatures(most_samples=most_samples, most_dimensions=most_dimensions, seed=seed)
    curve = measure_model(
        model,
        batches,
        classes=number,
        layers=layers,
        pool=pool,
        reduce=averaged if pool is None else None,
        device=device,
        progress=progress,
        observe=kept.take,
    )
    names = [note.name or str(number) for note, number in zip(curve.notes, curve.layers.tolist())]
    notes = ["features are averaged over tokens and positions"] if pool is None else []
    return _choice(curve, names, kept, [*curve.origin.remarks, *notes])


def choose_from_features(
    features: Mapping[int, Any] | Sequence[Any],
    y: Any,
    *,
    names: Sequence[str] | None = None,
    most_samples: int = 4096,
    most_dimensions: int = 512,
    seed: int = 0,
) -> Choice:
    """`choose_layer` of features that were saved: layer → (N, …) array, flattened to (N, d).

    Args:
        features: as `measure_features` takes them.
        y: (N,) labels.
        names: of the layers; by default their numbers.
        most_samples, most_dimensions, seed: see `choose_layer`.

    Raises:
        InvalidInputError: as `measure_features`, or a class with fewer than 2 samples.

    >>> x = np.arange(12.0)
    >>> choice = choose_from_features([np.stack([x, x], 1), np.cos(9 * x)[:, None]], (x > 5).astype(int))
    >>> choice.best.layer
    0
    """
    curve = measure_features(features, y, fuzziness=False)
    labels = torch.from_numpy(np.unique(np.asarray(y), return_inverse=True)[1])
    kept = SampledFeatures(most_samples=most_samples, most_dimensions=most_dimensions, seed=seed)
    numbers = curve.layers.tolist()
    names = [f"layer {number}" for number in numbers] if names is None else list(names)
    step = 4096
    for name, number in zip(names, numbers, strict=True):
        array = features[number]
        for first in range(0, len(labels), step):
            part = torch.as_tensor(np.asarray(array[first : first + step])).flatten(1)
            kept.take(name, part.to(torch.float32), labels[first : first + step], first)
    return _choice(curve, names, kept, list(curve.origin.remarks))


def averaged(output: torch.Tensor) -> torch.Tensor:
    """(N, channels, height, width) → (N, channels), (N, tokens, d) → (N, d), (N, d) as it is."""
    if output.ndim == 3:
        return output.mean(1)
    return output.flatten(2).mean(2) if output.ndim > 2 else output


def _choice(curve: LayerCurve, names: Sequence[str], kept: SampledFeatures, notes: list[str]) -> Choice:
    labels = kept.labels()
    classes, counts = torch.unique(labels, return_counts=True)
    if len(classes) < 2 or int(counts.min()) < 2:
        raise InvalidInputError(
            got=f"{int(counts.min())} sample of class {int(classes[counts.argmin()])}",
            expected="at least 2 classes with 2 samples each, so that one can be left out",
            next_step="give more samples, or leave this class out",
        )
    if int(counts.min()) < _FEW:
        notes.append(f"a class has {int(counts.min())} samples: the readout's accuracy is uncertain beyond its error")
    targets = nn.functional.one_hot(labels).to(torch.float64)
    readouts = []
    for number, name, note in zip(curve.layers.tolist(), names, curve.notes, strict=True):
        assert note.dimension is not None
        width = note.dimension
        features = kept.features(name)
        if kept.projected(name):
            notes.append(f"{name}: {width} dimensions projected at random into {features.shape[1]}")
        fitted = fit_linear_map(features, targets)
        scores = fitted.left_out.nan_to_num(nan=-torch.inf)
        right = (scores.argmax(1) == labels) & fitted.left_out.isfinite().all(1)
        readouts.append(
            LayerReadout(
                name=name,
                layer=number,
                width=width,
                used=features.shape[1],
                right=right.numpy(),
                squared_error=fitted.left_out_error,
                ridge=fitted.ridge,
            )
        )
    if kept.seen > len(labels):
        notes.append(f"readouts are fitted to {len(labels)} of {kept.seen} samples, drawn at random")
    return Choice(curve=curve, readouts=tuple(readouts), samples=len(labels), seen=kept.seen, notes=tuple(notes))
