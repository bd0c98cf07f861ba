"""The passes of a measurement: what is kept of each layer while batches go through a model, and what comes of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from pnc.curves import LayerCurve, LayerNotes, Origin
from pnc.errors import InvalidInputError
from pnc.measure.accumulate.class_table import class_table, named_pair
from pnc.measure.accumulate.fuzziness import FuzzinessPass
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.accumulate.processes import (
    gather_moments,
    gather_objects,
    process_count,
    sum_over_processes,
    together,
)
from pnc.measure.accumulate.running import BatchLabels, RunningMoments
from pnc.measure.accumulate.same_samples import SameSamples, other_samples
from pnc.measure.accumulate.sampling_error import SamplingErrorPass
from pnc.measure.accumulate.spectrum import StreamingSpectrum, spectrum_notes
from pnc.measure.arrays import dtype_name
from pnc.measure.model.batches import BatchSource, SomeOfEachClass, run_pass
from pnc.measure.model.hooks import unwrapped
from pnc.measure.model.layers import Layer, LayerList, layer_output, list_layers
from pnc.measure.model.memory import bytes_needed, free_memory, groups_within
from pnc.measure.model.pooling import Pooling
from pnc.measure.model.samples import first_tensor
from pnc.measure.quantities.class_pairs import class_pairs
from pnc.measure.quantities.noise_floor import noise_floor, rounding_unit
from pnc.measure.readout.layer_probes import LayerProbes
from pnc.measure.readout.probe import LinearProbe

__all__ = ["Measurement"]

_LOOKED_AT, _LEAST_OF_A_CLASS, _BATCH = 512, 8, 128  # samples that standard errors are taken from
_INPUT = Layer(name="input", module="", call=1, kind="input", shape=())


class Measurement:
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
        per_class: bool = False,
    ) -> None:
        if classes < 2:
            raise InvalidInputError(
                got=f"classes = {classes}",
                expected="at least 2 classes",
                next_step="give samples of at least two classes",
            )
        self.model, self.source, self.classes = model, source, classes
        self.pooling, self.reduce, self.progress, self.per_class = pooling, reduce, progress, per_class
        self.input_size = 1  # entries of a sample; of a process without samples, unknown
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
        self.all_listed, self.whole_batches = listed.layers, listed.whole_batches
        self.dtypes: dict[str, str] = {}
        self.begin(list(self.layers))

    def begin(self, group: Sequence[str]) -> None:
        """Start on some of the layers, with nothing kept of others."""
        self.active = set(group)
        self.listed = [layer for layer in self.all_listed if layer.name in self.active]
        self.modules = sorted({layer.module for layer in self.listed})
        self.fuzzy: dict[str, FuzzinessPass] = {}
        self.probes: dict[str, LayerProbes] = {}
        self.errors: dict[str, SamplingErrorPass] = {}
        self.same: dict[str, SameSamples] = {}
        self.own_counts = torch.zeros(self.classes, dtype=torch.int64)
        self.moments: dict[str, ClassMoments] = {}
        self.spectrum: dict[str, StreamingSpectrum] = {}

    def groups(self, *, fuzziness: bool, probes: bool, spectra: tuple[int, int] | None) -> list[list[str]]:
        """The layers in as few groups as fit into memory, which a note says where there are several.

        Raises:
            InvalidInputError: a layer that does not fit by itself, or several groups of batches that can be read once.
        """
        sizes = {layer.name: self.pooling.size(layer.shape) for layer in self.all_listed}
        if self.reduce is not None or None in sizes.values():
            return [list(self.layers)]
        sizes = {"input": self.input_size, **sizes}
        options = {"fuzziness": fuzziness, "probes": probes, "spectra": spectra}
        needed = {name: bytes_needed(self.classes, size or 1, **options) for name, size in sizes.items()}
        known = [free for free in gather_objects(free_memory(self.device)) if free is not None]
        free = min(known, default=None)
        momentary = 24 * self.classes * max(size or 1 for size in sizes.values())
        groups = groups_within(needed, free, largest=momentary)
        if len(groups) > 1:
            said = (
                f"{sum(needed.values()) / 2**30:.3g} GiB for all layers at once, of {(free or 0) / 2**30:.3g} GiB free"
            )
            if self.source.once:
                raise InvalidInputError(
                    got=f"batches that can be read once only, and a need of {said}",
                    expected="batches that can be read for one group of layers after another",
                    next_step="pass the loader itself, or fewer `layers`",
                )
            how = f"in {len(groups)} groups, each in passes of its own"
            warnings.warn(f"{said}: the layers are measured {how}", stacklevel=4)
            self.notes.append(f"{said}: the layers were measured {how}")
        return groups

    def _listed(self, patterns: Sequence[str] | None) -> LayerList | None:
        first = self.source.first()
        if first is None:
            return None
        self.pooling.begin(first)
        tensor = first_tensor(first)
        self.input_size = 1 if tensor is None else self.pooling.size(tuple(tensor.shape[1:])) or 1
        return list_layers(self.model, first, patterns=patterns)

    def _rows(self, name: str, output: Any, size: int) -> torch.Tensor | None:
        """(N, d) features of a layer; None, and the layer is given up with a reason, where there are none."""
        layer = self.layers.get(name)
        if layer is None or name not in self.active or name in self.skipped:
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

        consumers = [update_moments]
        if spectra is not None:
            width, sketch = spectra

            def update_spectrum(name: str, output: Any, labels: torch.Tensor, first: int) -> None:
                rows = self._rows(name, output, labels.shape[0])
                if rows is None:
                    return
                if name not in spectrum:
                    spectrum[name] = StreamingSpectrum(
                        dimension=rows.shape[1], width=width, sketch=sketch, device=self.device
                    )
                spectrum[name].update(rows)

            consumers.append(update_spectrum)

        self.samples, notes = together(
            lambda: run_pass(
                self.model,
                self.source,
                consumers,
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
        for name in self.layers:
            if name in self.skipped or name not in self.active:
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
        spectrum = spectrum_notes(self.spectrum[name], self.classes) if self.spectrum else {}
        return LayerNotes(
            name=name,
            kind=layer.kind,
            shape=tuple(layer.shape),
            dtype=self.dtypes[name],
            dimension=moments.dimension,
            noise_floor=self._noise_floor(name),
            between_rank=self.fuzzy[name].rank if name in self.fuzzy else None,
            **vars(class_pairs(moments)),
            closest_classes=named_pair(moments),
            class_table=class_table(moments) if self.per_class else None,
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
