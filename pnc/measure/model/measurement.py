"""`measure_model`: every quantity of the theory, for each layer of a torch model, in one pass over the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from pnc.curves import LayerCurve
from pnc.measure.accumulate.processes import (
    in_this_process,
)
from pnc.measure.model.batches import BatchSource
from pnc.measure.model.hooks import same_randomness, unwrapped
from pnc.measure.model.passes import Measurement
from pnc.measure.model.pooling import Pool, Pooling
from pnc.measure.readout.probe import LinearProbe

__all__ = ["measure_model", "measure_splits"]


def measure_model(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    classes: int | Sequence[Any],
    layers: Sequence[str] | None = None,
    fuzziness: bool = False,
    probes: bool = False,
    spectra: bool = False,
    uncertainty: bool = False,
    per_class: bool = False,
    width: int = 1024,
    sketch: int = 128,
    pool: Pool | Callable[[torch.Tensor, Any], torch.Tensor] | None = None,
    reduce: Callable[[torch.Tensor], torch.Tensor] | None = None,
    device: torch.device | str | None = None,
    split: str | None = None,
    alone: bool = False,
    progress: Callable[[int], None] | None = None,
    observe: Callable[[str, torch.Tensor, torch.Tensor, int], None] | None = None,
) -> LayerCurve:
    """C_l, D_l and scatters of each layer of a model on labelled batches (theory note, section 1).

    One pass, O(K d_l) memory a layer: features are measured in the forward hook that sees them and are not
    kept. Fuzziness and probes take a second pass, standard errors a second look at some 500 samples. The model is
    run in evaluation mode (batch norm with its running statistics, no dropout), without gradients; its modes and
    hooks are as before afterwards, also after an error. Where `torch.distributed` joins several processes, each
    gives its own share of the samples (which may be none) and all get the curve of the whole.

    Layer 0 is the input; the others are numbered in the order in which the model computes them. Train and
    test splits are two calls.

    Args:
        model: torch module.
        batches: a DataLoader or list of (inputs, labels), or of mappings with `labels`; inputs are a tensor,
            a tuple of positional or a mapping of keyword arguments.
        classes: K, for labels 0…K-1; or the labels themselves, numbers or text, in the order of their classes. Every
            class must have a sample.
        layers: patterns of module names (`layer*`, `relu#2`); by default blocks and, outside them, the
            activation of each linear or convolutional module (see `list_layers`).
        fuzziness: a second pass for tr(Σ_W Σ_B⁺).
        probes: a second pass for the accuracy of the nearest class centre and, with `spectra`, of a logistic probe with
            a cross-validated penalty: on the samples that they were fitted to and, as `held_out_…`, each sample left
            out of its class mean, or of the fit (see `LayerProbes`).
        spectra: singular values and ranks, exact for d_l ≤ `width`; O(d_l²) memory there and O(sketch · d_l)
            above.
        uncertainty: standard errors of C_l and D_l, and the bias of C_l, from sampling (see `SamplingErrorPass`):
            from all samples where there is a second pass, otherwise from the first 512/K of each class, 8 at least.
            Batches that can be read once only have none, which a note says.
        per_class: of every layer the spread, nearest class, angle and margin of each class (`curve.classes`).
        width: the largest d_l whose spectrum is exact.
        sketch: rows of the sketch above it.
        pool: what becomes of the states of tokens, (N, T, d): `masked-mean` over the mask that is in the batch, `mean`
            (of images, over positions), `cls`, the first, `last`, the last one in the mask, `flatten`, or a function of
            a layer's (N, …) output and the batch's inputs. By default `masked-mean` where there is a mask, which a
            note says, and `flatten` where there is none.
        reduce: from a layer's (N, …) output to (N, …) features, after `pool`.
        device: where to run the model, which is brought back afterwards; by default where it is.
        split: said in the origin: train, test.
        alone: whether to measure in this process only, whatever `torch.distributed` joins.
        progress: called with the number of samples so far, after each batch is begun.
        observe: given a layer's name, its (N, d) features, their labels and the index of the first sample, for every
            layer and batch as it is measured in the first pass.

    Returns:
        A curve whose `notes` hold what is known of each layer (`LayerNotes`): name, kind, shape, dtype, dimension,
        noise floor and the numbers of `ClassPairs`; where asked the ranks, singular values and their error (see
        `curve_spectra`), the share of the variance in the top K-1 principal components, accuracies of the probes (of
        the projected centres, U4, only where the spectrum is exact) and standard errors.
        Its `origin` says device, samples, classes, split, processes, what was skipped and why, and remarks.

    Raises:
        InvalidInputError: a pattern that matches nothing (with the nearest names), labels or batches that
            cannot be used, a class without samples, NaN or infinite features (with layer and sample), out of
            memory with a single sample.

    >>> net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 2))
    >>> batch = torch.tensor([[0.0], [2.0], [4.0], [6.0]]), torch.tensor([0, 0, 1, 1])
    >>> curve = measure_model(net, [batch], classes=2)
    >>> [note.name for note in curve.notes], curve.compression[0].item()
    (['input', '1', '2'], 0.25)
    """
    return measure_splits(
        model,
        {split: batches},
        classes=classes,
        layers=layers,
        fuzziness=fuzziness,
        probes=probes,
        spectra=spectra,
        uncertainty=uncertainty,
        per_class=per_class,
        width=width,
        sketch=sketch,
        pool=pool,
        reduce=reduce,
        device=device,
        alone=alone,
        progress=progress,
        observe=observe,
    )[split]


def measure_splits(
    model: nn.Module,
    splits: Mapping[str | None, Iterable[Any]],
    *,
    classes: int | Sequence[Any],
    layers: Sequence[str] | None = None,
    fuzziness: bool = False,
    probes: bool = False,
    spectra: bool = False,
    uncertainty: bool = False,
    per_class: bool = False,
    width: int = 1024,
    sketch: int = 128,
    pool: Pool | Callable[[torch.Tensor, Any], torch.Tensor] | None = None,
    reduce: Callable[[torch.Tensor], torch.Tensor] | None = None,
    device: torch.device | str | None = None,
    alone: bool = False,
    progress: Callable[[int], None] | None = None,
    observe: Callable[[str, torch.Tensor, torch.Tensor, int], None] | None = None,
) -> dict[str | None, LayerCurve]:
    """`measure_model` of every split, each by itself; probes are fitted to the first and tried on all.

    Accuracies of the samples that the probes saw (U3 and U4 of the theory note are about these) are given of the first
    split alone; `held_out_nearest_centre_accuracy` and `held_out_linear_probe_accuracy` are of samples that they did
    not see: of the first split by cross-validation.

    Args:
        model: torch module.
        splits: name → batches, the training split first.

    The other arguments, and what is raised, are those of `measure_model`.

    >>> net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 2))
    >>> x, y = torch.tensor([[0.0], [2.0], [4.0], [6.0]]), torch.tensor([0, 0, 1, 1])
    >>> curves = measure_splits(net, {"train": [(x, y)], "test": [(x + 1.5, y)]}, classes=2, probes=True)
    >>> curves["train"].notes[0].nearest_centre_accuracy
    1.0
    >>> curves["test"].notes[0].held_out_nearest_centre_accuracy
    0.75
    """
    curves: dict[str | None, LayerCurve] = {}
    fitted: dict[str, dict[str, LinearProbe]] = {}
    names = None if isinstance(classes, int) else tuple(classes)
    here = in_this_process() if alone else nullcontext()
    with here, _on_device(model, device), same_randomness(*splits.values()):
        for split, batches in splits.items():
            measurement = Measurement(
                model,
                BatchSource(batches, model, again=fuzziness or probes, names=names),
                classes=classes if isinstance(classes, int) else len(classes),
                patterns=layers,
                pooling=Pooling(pool, unwrapped(model)),
                reduce=reduce,
                progress=progress,
                per_class=per_class,
            )
            exact = (width, sketch) if spectra else None
            parts: list[LayerCurve] = []
            found: dict[str, dict[str, LinearProbe]] = {}
            for group in measurement.groups(fuzziness=fuzziness, probes=probes, spectra=exact):
                measurement.begin(group)
                measurement.first_pass(spectra=exact, observe=observe)
                if fuzziness or probes:
                    measurement.second_pass(fuzziness=fuzziness, probes=probes, uncertainty=uncertainty, fitted=fitted)
                elif uncertainty:
                    measurement.second_look()
                found |= {name: probed.probes for name, probed in measurement.probes.items()}
                parts.append(measurement.curve(split))
            fitted = fitted or found
            curves[split] = _joined(parts)
    return curves


def _joined(parts: Sequence[LayerCurve]) -> LayerCurve:
    """The curve of layers that were measured in several groups, each in passes of its own."""
    if len(parts) == 1:
        return parts[0]
    order = np.argsort(np.concatenate([part.layers for part in parts]))
    notes = [note for part in parts for note in part.notes]
    remarks = dict.fromkeys(remark for part in parts for remark in part.origin.remarks)
    skipped = {name: why for part in parts for name, why in (part.origin.skipped or {}).items()}

    def joined(field: str) -> np.ndarray:
        return np.concatenate([getattr(part, field) for part in parts])[order]

    return LayerCurve(
        layers=joined("layers"),
        compression=joined("compression"),
        discrimination=joined("discrimination"),
        within_scatter=joined("within_scatter"),
        between_scatter=joined("between_scatter"),
        separation_fuzziness=joined("separation_fuzziness"),
        notes=[notes[i] for i in order],
        origin=replace(parts[-1].origin, skipped=skipped, remarks=tuple(remarks)),
    )


@contextmanager
def _on_device(model: nn.Module, device: torch.device | str | None):
    before = next((parameter.device for parameter in model.parameters()), None)
    if device is None or before is None or torch.device(device) == before:
        yield
        return
    try:
        model.to(device)
        yield
    finally:
        model.to(before)
