"""`measure_model`: every quantity of the theory, for each layer of a torch model, in one pass over the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from pnc.curves import LayerCurve, LayerNotes, LayerRanks, Origin, Ranks, SpectrumError
from pnc.errors import InvalidInputError
from pnc.measure.accumulate.fuzziness import FuzzinessPass
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.accumulate.processes import (
    gather_moments,
    gather_objects,
    in_this_process,
    process_count,
    sum_over_processes,
    together,
)
from pnc.measure.accumulate.running import BatchLabels, RunningMoments
from pnc.measure.accumulate.same_samples import SameSamples, other_samples
from pnc.measure.accumulate.sampling_error import SamplingErrorPass
from pnc.measure.accumulate.spectrum import StreamingSpectrum
from pnc.measure.arrays import dtype_name
from pnc.measure.model.batches import BatchSource, SomeOfEachClass, run_pass
from pnc.measure.model.hooks import same_randomness, unwrapped
from pnc.measure.model.layers import Layer, LayerList, layer_output, list_layers
from pnc.measure.model.pooling import Pool, Pooling
from pnc.measure.model.probing import LayerProbes
from pnc.measure.quantities.class_pairs import class_pairs
from pnc.measure.quantities.noise_floor import noise_floor, rounding_unit
from pnc.measure.readout.probe import LinearProbe

__all__ = ["measure_model", "measure_splits"]

_LOOKED_AT, _LEAST_OF_A_CLASS, _BATCH = 512, 8, 128  # samples that standard errors are taken from
_INPUT = Layer(name="input", module="", call=1, kind="input", shape=())


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
            measurement = _Measurement(
                model,
                BatchSource(batches, model, again=fuzziness or probes, names=names),
                classes=classes if isinstance(classes, int) else len(classes),
                patterns=layers,
                pooling=Pooling(pool, unwrapped(model)),
                reduce=reduce,
                progress=progress,
            )
            measurement.first_pass(spectra=(width, sketch) if spectra else None, observe=observe)
            if fuzziness or probes:
                measurement.second_pass(fuzziness=fuzziness, probes=probes, uncertainty=uncertainty, fitted=fitted)
            elif uncertainty:
                measurement.second_look()
            fitted = fitted or {name: found.probes for name, found in measurement.probes.items()}
            curves[split] = measurement.curve(split)
    return curves


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


class _Measurement:
    """What `measure_model` keeps between its passes."""

    def __init__(
        self,
        model: nn.Module,
        source: BatchSource,
        *,
        classes: int,
        patterns: Sequence[str] | None,
        pooling: Pooling,
        reduce: Callable[[torch.Tensor], torch.Tensor] | None,
        progress: Callable[[int], None] | None,
    ) -> None:
        if classes < 2:
            raise InvalidInputError(
                got=f"classes = {classes}",
                expected="at least 2 classes",
                next_step="give samples of at least two classes",
            )
        self.model, self.source, self.classes = model, source, classes
        self.pooling, self.reduce, self.progress = pooling, reduce, progress
        # float64 totals: kept on the CPU where the model's device has none
        self.device = torch.device("cpu") if source.device.type == "mps" else source.device
        found = gather_objects(together(lambda: self._listed(patterns)))
        listed: LayerList | None = next((item for item in found if item is not None), None)
        if listed is None:
            raise InvalidInputError(
                got="no batches", expected="at least one batch", next_step="check the data and the split"
            )
        self.layers = {layer.name: layer for layer in (_INPUT, *listed.layers)}
        self.skipped = dict(listed.skipped)
        self.notes = [*listed.notes, *source.notes]
        self.listed, self.whole_batches = listed.layers, listed.whole_batches
        self.modules = sorted({layer.module for layer in listed.layers})
        self.dtypes: dict[str, str] = {}
        self.fuzzy: dict[str, FuzzinessPass] = {}
        self.probes: dict[str, LayerProbes] = {}
        self.errors: dict[str, SamplingErrorPass] = {}
        self.same: dict[str, SameSamples] = {}
        self.own_counts = torch.zeros(classes, dtype=torch.int64)

    def _listed(self, patterns: Sequence[str] | None) -> LayerList | None:
        first = self.source.first()
        return None if first is None else list_layers(self.model, first, patterns=patterns)

    def _rows(self, name: str, output: Any, size: int) -> torch.Tensor | None:
        """(N, d) features of a layer; None, and the layer is given up with a reason, where there are none."""
        layer = self.layers.get(name)
        if layer is None or name in self.skipped:
            return None
        value = layer_output(layer, output)
        if value is None:
            self.skipped[name] = "its output is not always of one form"
            return None
        value = self.pooling(name, value)
        if self.reduce is not None and name != "input":
            value = self.reduce(value)
        if value.ndim == 0 or value.shape[0] != size:
            self.skipped[name] = f"shape {tuple(value.shape)} for {size} samples: no row a sample"
            return None
        if value.is_complex():
            self.skipped[name] = "complex numbers"
            return None
        if name == "input" and value.dtype in (torch.int64, torch.int32):
            self.skipped[name] = "whole numbers, such as the indices of words"
            return None
        rows = value.detach().reshape(size, -1).to(self.device)
        if not rows.is_floating_point():
            rows = rows.to(torch.float64)
        self.dtypes.setdefault(name, dtype_name(rows))
        return rows

    def first_pass(
        self,
        *,
        spectra: tuple[int, int] | None,
        observe: Callable[[str, torch.Tensor, torch.Tensor, int], None] | None = None,
    ) -> None:
        """Moments, and where asked spectra, of this process's samples; then of all."""
        running: dict[str, RunningMoments] = {}
        spectrum: dict[str, StreamingSpectrum] = {}
        cached: tuple[Any, BatchLabels] | None = None

        def update_moments(name: str, output: Any, labels: torch.Tensor, first: int) -> None:
            nonlocal cached
            rows = self._rows(name, output, labels.shape[0])
            if rows is None:
                return
            if cached is None or cached[0] is not labels:  # sorted once for all layers
                y = BatchLabels.of(
                    labels, samples=labels.shape[0], classes=self.classes, device=self.device, first_sample=first
                )
                cached = labels, y
            dimension = rows.shape[1]
            if name not in running:
                running[name] = RunningMoments(classes=self.classes, dimension=dimension, device=self.device)
            if running[name].dimension != dimension:
                self.skipped[name] = f"dimension {running[name].dimension} in one batch, {dimension} in another"
                return
            running[name].update(rows, cached[1], name=f"layer {name}", first_sample=first)
            if observe is not None:
                observe(name, rows, labels, first)

        def update_spectrum(name: str, output: Any, labels: torch.Tensor, first: int) -> None:
            rows = self._rows(name, output, labels.shape[0])
            if rows is None:
                return
            if name not in spectrum:
                width, sketch = spectra
                spectrum[name] = StreamingSpectrum(
                    dimension=rows.shape[1], width=width, sketch=sketch, device=self.device
                )
            spectrum[name].update(rows)

        self.samples, notes = together(
            lambda: run_pass(
                self.model,
                self.source,
                [update_moments] if spectra is None else [update_moments, update_spectrum],
                modules=self.modules,
                progress=self.progress,
                before=self.pooling.begin,
            )
        )
        self.notes += notes + self.pooling.notes + ([self.source.cast] if self.source.cast else [])
        self._join(running, spectrum)

    def _join(self, running: dict[str, RunningMoments], spectrum: dict[str, StreamingSpectrum]) -> None:
        """The processes' moments and spectra as one, and the layers that all of the samples passed through."""
        for skipped in gather_objects(self.skipped):
            self.skipped |= skipped
        sizes = gather_objects({name: accumulator.dimension for name, accumulator in running.items()})
        dimensions: dict[str, int] = {}
        for seen in sizes:
            for name, dimension in seen.items():
                if dimensions.setdefault(name, dimension) != dimension:
                    self.skipped[name] = f"dimension {dimensions[name]} in one process, {dimension} in another"
        for name, kind in ((n, k) for kinds in gather_objects(self.dtypes) for n, k in kinds.items()):
            self.dtypes.setdefault(name, kind)
        self.total = int(sum_over_processes([self.samples], device=self.device)[0])
        self.moments: dict[str, ClassMoments] = {}
        self.spectrum: dict[str, StreamingSpectrum] = {}
        for name in self.layers:
            if name in self.skipped:
                continue
            if name not in dimensions:
                self.skipped[name] = "never called"
                continue
            own = running.pop(name, None) or RunningMoments(
                classes=self.classes, dimension=dimensions[name], device=self.device
            )
            self.own_counts = torch.maximum(self.own_counts, own.moments().counts.cpu())
            moments = gather_moments(own.moments())
            if moments.samples != self.total:
                self.skipped[name] = f"called for {moments.samples} of {self.total} samples"
                continue
            self.moments[name] = moments
            pieces = [piece for piece in gather_objects(spectrum.get(name)) if piece is not None]
            if pieces:
                self.spectrum[name] = pieces[0]
                for piece in pieces[1:]:
                    pieces[0].merge(piece)
        if not self.moments:
            raise InvalidInputError(
                got="no layer to measure; " + "; ".join(f"{n}: {why}" for n, why in list(self.skipped.items())[:3]),
                expected="at least one layer with a row a sample",
                next_step="choose layers whose output is a tensor of one size",
            )
        counts = next(iter(self.moments.values())).counts
        empty = torch.nonzero(counts == 0).flatten().tolist()
        if empty:
            raise InvalidInputError(
                got=f"no sample in class {empty[0]} ({len(empty)} of {self.classes} classes are empty)",
                expected="at least 1 sample in every stated class",
                next_step="add samples, or pass `classes` as the list of the labels that there are",
            )

    def second_pass(
        self, *, fuzziness: bool, probes: bool, uncertainty: bool, fitted: Mapping[str, dict[str, LinearProbe]]
    ) -> None:
        """Everything that needs the class means first, of all samples."""
        for name, moments in self.moments.items():
            self.same[name] = SameSamples(moments, rounding=rounding_unit(self.dtypes[name]))
            if fuzziness:
                self.fuzzy[name] = FuzzinessPass(moments, rounding=rounding_unit(self.dtypes[name]))
            if uncertainty:
                self.errors[name] = SamplingErrorPass(moments)
            if probes:
                self.probes[name] = LayerProbes(
                    moments,
                    counts=self.own_counts,
                    spectrum=self.spectrum.get(name),
                    fitted=fitted.get(name, {}) if fitted else None,
                    name=name,
                )

        def update_fuzziness(name: str, output: Any, labels: torch.Tensor, first: int) -> None:
            rows = self._rows(name, output, labels.shape[0]) if name in self.fuzzy else None
            if rows is not None:
                self.fuzzy[name].update(rows, labels)

        def update_same(name: str, output: Any, labels: torch.Tensor, first: int) -> None:
            rows = self._rows(name, output, labels.shape[0]) if name in self.same else None
            if rows is not None:
                self.same[name].update(rows, labels)

        def update_probes(name: str, output: Any, labels: torch.Tensor, first: int) -> None:
            rows = self._rows(name, output, labels.shape[0]) if name in self.probes else None
            if rows is None:
                return
            self.probes[name].update(rows, labels)

        samples, notes = together(
            lambda: run_pass(
                self.model,
                self.source,
                [update_same, update_fuzziness, update_probes, self._update_errors],
                modules=self.modules,
                progress=self.progress,
                before=self.pooling.begin,
            )
        )
        self.notes += [note for note in notes if note not in self.notes]
        if samples != self.samples:
            raise InvalidInputError(
                got=f"{samples} samples in the second pass and {self.samples} in the first",
                expected="the same samples in both passes",
                next_step="pass a loader that yields every sample once each time",
            )
        for name, same in self.same.items():
            own = same.totals()
            totals = sum_over_processes(own.flatten().tolist(), device=self.device)
            if same.differs(own.new_tensor(totals).reshape(own.shape)):
                raise other_samples(name)
        for name in self.probes:
            self.probes[name].finish()

    def _update_errors(self, name: str, output: Any, labels: torch.Tensor, first: int) -> None:
        rows = self._rows(name, output, labels.shape[0]) if name in self.errors else None
        if rows is not None:
            self.errors[name].update(rows, labels)

    def second_look(self) -> None:
        """Standard errors from some samples of each class: a few hundred forward passes more."""
        if self.source.once:
            self.notes.append("the batches can be read once only: no standard errors")
            return
        self.errors = {name: SamplingErrorPass(moments) for name, moments in self.moments.items()}
        each = max(_LEAST_OF_A_CLASS, -(-_LOOKED_AT // self.classes))
        numbers = torch.clamp(self.own_counts, max=-(-each // process_count()))
        some = self.source if self.whole_batches else SomeOfEachClass(self.source, numbers, size=_BATCH)
        together(
            lambda: run_pass(self.model, some, [self._update_errors], modules=self.modules, before=self.pooling.begin)
        )

    def _standard_errors(self, names: list[str]) -> dict[str, dict[str, float]]:
        """Layer → standard errors and bias, of the samples of all processes."""
        found: dict[str, dict[str, float]] = {name: {} for name in names}
        for name in names if self.errors else ():
            own = self.errors[name].totals()
            totals = sum_over_processes(own.flatten().tolist(), device=self.device)
            self.errors[name].with_totals(own.new_tensor(totals).reshape(own.shape))
            found[name] = {
                "compression_error": self.errors[name].compression(),
                "compression_bias": self.errors[name].compression_bias(),
                "discrimination_error": self.errors[name].discrimination(),
            }
        return found

    def _classifier(self, last: str) -> str | None:
        """The last layer, where it is the network's last linear module and has one output a class: no features."""
        linear = [name for name, module in unwrapped(self.model).named_modules() if isinstance(module, nn.Linear)]
        found = linear and self.layers[last].module == linear[-1] and self.moments[last].dimension == self.classes
        return last if found else None

    def curve(self, split: str | None) -> LayerCurve:
        """What was measured, with what is known of each layer and of the whole."""
        names = list(self.moments)
        order = list(self.layers)
        notes = [*self.notes, *self.source.counted(self.total), *self._missing()]
        for name, moments in self.moments.items():
            if np.isnan(moments.compression()):
                notes.append(f"layer {name}: the class means coincide, so compression is undefined")
            if np.isnan(moments.discrimination()):
                notes.append(f"layer {name}: a class mean is zero, so discrimination is undefined")
        counts = self.moments[names[0]].counts.tolist()
        if max(counts) == 1:
            notes.append("each class has one sample: tr Σ_W is 0 by definition")
        accuracies, errors = self._accuracies(names), self._standard_errors(names)
        return LayerCurve(
            # a layer that was given up leaves its number free
            layers=[order.index(name) for name in names],
            compression=[self.moments[name].compression() for name in names],
            discrimination=[self.moments[name].discrimination() for name in names],
            within_scatter=[self.moments[name].within_scatter() for name in names],
            between_scatter=[self.moments[name].between_scatter() for name in names],
            separation_fuzziness=self._fuzziness(names),
            notes=[self._notes(name, {**accuracies[name], **errors[name]}) for name in names],
            origin=Origin(
                source="measured on a model",
                classifier=self._classifier(names[-1]),
                skipped=self.skipped,
                mode="evaluation",
                device=str(self.source.device),
                samples=self.total,
                classes=self.classes,
                class_counts=tuple(counts),
                split=split,
                processes=process_count(),
                error_samples=self.errors[names[0]].samples if self.errors else None,
                remarks=tuple(notes),
            ),
        )

    def _missing(self) -> list[str]:
        """Layers that a reader would expect and does not find, with the way to have them."""
        missing = [layer.name for layer in self.listed if layer.name not in self.moments]
        if not missing:
            return []
        sizes = any("in another" in self.skipped[name] for name in missing)
        return [
            f"{len(missing)} of {len(self.listed)} layers are not measured: {missing[0]}: {self.skipped[missing[0]]}"
            + (", …" if len(missing) > 1 else "")
            + ("; states of tokens have one size where `pool` averages them" if sizes else "")
        ]

    def _notes(self, name: str, further: Mapping[str, Any]) -> LayerNotes:
        """What is known of one layer."""
        layer, moments = self.layers[name], self.moments[name]
        spectrum: dict[str, Any] = {}
        if self.spectrum:
            uncentred, centred = self.spectrum[name].value(), self.spectrum[name].value(centred=True)
            spectrum = {
                "ranks": LayerRanks(
                    uncentred=Ranks.from_dict(uncentred.ranks()), centred=Ranks.from_dict(centred.ranks())
                ),
                "singular_values": uncentred.values,
                "singular_values_centred": centred.values,
                "spectrum_error": SpectrumError(
                    exact=uncentred.exact, squared_error=uncentred.squared_error, missing=uncentred.missing
                ),
                "leading_variance": centred.variance_share(self.classes - 1),
            }
        return LayerNotes(
            name=name,
            kind=layer.kind,
            shape=tuple(layer.shape),
            dtype=self.dtypes[name],
            dimension=moments.dimension,
            noise_floor=self._noise_floor(name),
            between_rank=self.fuzzy[name].rank if name in self.fuzzy else None,
            **vars(class_pairs(moments)),
            **spectrum,
            **further,
        )

    def _accuracies(self, names: list[str]) -> dict[str, dict[str, float]]:
        """Layer → probe → share of the samples of all processes that it classifies correctly."""
        found: dict[str, dict[str, float]] = {name: {} for name in names}
        for kind in dict.fromkeys(kind for probes in self.probes.values() for kind in probes.hits):
            local = [self.probes[name].hits.get(kind, 0.0) for name in names]
            for name, hit in zip(names, sum_over_processes(local, device=self.device), strict=True):
                if kind in self.probes[name].hits:
                    found[name][kind] = hit / self.total
        for name, probes in self.probes.items():
            found[name] |= probes.accuracies
        return found

    def _fuzziness(self, names: list[str]) -> list[float]:
        if not self.fuzzy:
            return [float("nan")] * len(names)
        totals = sum_over_processes([self.fuzzy[name].total() for name in names], device=self.device)
        return [
            total / self.total if self.fuzzy[name].rank else float("nan")
            for name, total in zip(names, totals, strict=True)
        ]

    def _noise_floor(self, name: str) -> float:
        moments = self.moments[name]
        return noise_floor(
            dtype=self.dtypes[name],
            dimension=moments.dimension,
            largest_mean=float(torch.linalg.vector_norm(moments.means, dim=1).max()),
            between_scatter=moments.between_scatter(),
            repeated=self.total > self.classes,
        )
