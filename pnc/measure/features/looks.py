"""What is done with one part of saved features, here or in another process: a first look at a layer, and a second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from pnc.measure.accumulate.fuzziness import FuzzinessPass
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.accumulate.sampling_error import SamplingErrorPass
from pnc.measure.accumulate.spectrum import StreamingSpectrum
from pnc.measure.arrays import as_matrix, take_of_each_class
from pnc.measure.readout.layer_probes import LayerProbes

__all__ = ["ArrayPart", "Layer", "Part", "SecondPasses", "Seen", "first_look", "second_look"]

_BATCH_BYTES = 2**26  # of features at a time: enough for long runs of each class, little beside the features
_SCORES = 2**24  # of samples × classes at a time


class Part(Protocol):
    """Some of the samples: their features layer by layer, and their labels."""

    @property
    def name(self) -> str: ...

    def labels(self) -> np.ndarray: ...

    def blocks(self, layer: int, rows: int) -> Iterator[Any]: ...


@dataclass(frozen=True, kw_only=True)
class ArrayPart:
    """Features that are in memory, or that a mapping reads when it is asked for a layer."""

    features: Mapping[int, Any]
    y: np.ndarray
    name: str = ""

    def labels(self) -> np.ndarray:
        return self.y

    def blocks(self, layer: int, rows: int) -> Iterator[Any]:
        if (read := getattr(self.features, "blocks", None)) is not None:
            yield from read(layer, rows)
            return
        array = self.features[layer]
        if not (torch.is_tensor(array) or isinstance(array, np.ndarray)):
            array = np.asarray(array)
        for start in range(0, array.shape[0], rows):
            yield array[start : start + rows]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer, and how it is looked at.

    Args:
        layer: its number.
        values: (K,) labels in the order of their classes.
        dimension: d.
        itemsize: bytes of an entry.
        device: where to work.
        spectra: the width up to which spectra are exact, and the rows of a sketch; `None`: no spectrum.
        each: samples of each class that are kept for standard errors; 0: none.
        batch: rows at a time, where it is stated.
        named: whether errors say which part is meant.
    """

    layer: int
    values: np.ndarray
    dimension: int
    itemsize: int
    device: torch.device | str
    spectra: tuple[int, int] | None = None
    each: int = 0
    batch: int | None = None
    named: bool = False

    @property
    def classes(self) -> int:
        """K."""
        return self.values.size

    def moments(self) -> ClassMoments:
        """Of no samples yet."""
        return ClassMoments(classes=self.classes, dimension=self.dimension, device=self.device)

    def spectrum(self) -> StreamingSpectrum | None:
        """Of no samples yet."""
        if self.spectra is None:
            return None
        width, sketch = self.spectra
        return StreamingSpectrum(dimension=self.dimension, width=width, sketch=sketch, device=self.device)

    def batches(self, part: Part, *, scores: bool = False) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        """First row, features and labels of each block; fewer rows where every class gets a score."""
        rows = self.batch or max(1, _BATCH_BYTES // (self.dimension * self.itemsize))
        if scores:
            rows = min(rows, max(64, _SCORES // self.classes))
        labels = torch.from_numpy(np.searchsorted(self.values, part.labels()))
        start = 0
        for block in part.blocks(self.layer, rows):
            x = as_matrix(block, device=self.device)
            yield start, x, labels[start : start + x.shape[0]]
            start += x.shape[0]


@dataclass(kw_only=True)
class Seen:
    """What a first look has seen.

    Args:
        moments: of the samples.
        spectrum: of them, where asked.
        rows, labels: the samples that are kept for standard errors.
    """

    moments: ClassMoments
    spectrum: StreamingSpectrum | None
    rows: list[torch.Tensor]
    labels: list[torch.Tensor]

    @classmethod
    def nothing(cls, layer: Layer) -> Seen:
        """Before the first part."""
        return cls(moments=layer.moments(), spectrum=layer.spectrum(), rows=[], labels=[])

    def merge(self, packed: Mapping[str, Any]) -> None:
        """Add what was packed elsewhere."""
        self.moments.merge_classes(*(tensor.to(self.moments.device) for tensor in packed["moments"]))
        if self.spectrum is not None:
            self.spectrum.merge(packed["spectrum"])
        self.rows += packed["rows"]
        self.labels += packed["labels"]

    def pack(self) -> dict[str, Any]:
        """What travels: of the moments, those of classes that occurred."""
        return {
            "moments": tuple(tensor.cpu() for tensor in self.moments.present()),
            "spectrum": self.spectrum,
            "rows": self.rows,
            "labels": self.labels,
        }


@dataclass(frozen=True, kw_only=True)
class PartTask:
    """A part, and how many samples of each class come in the parts before it: (K,)."""

    part: Part
    seen: torch.Tensor


@torch.no_grad()
def look(layer: Layer, task: PartTask, into: Seen) -> None:
    """A first look at a part, added to what was seen before."""
    left = (layer.each - task.seen).clamp(min=0) if layer.each else None
    name = f"layer {layer.layer}" + (f" of {task.part.name}" if layer.named else "")
    for start, x, y in layer.batches(task.part):
        into.moments.update(x, y, name=name, first_sample=start)
        if into.spectrum is not None:
            into.spectrum.update(x)
        if left is not None and (kept := take_of_each_class(y, left)).numel():
            into.rows.append(x[kept.to(x.device)].clone())
            into.labels.append(y[kept])


def first_look(layer: Layer, task: PartTask) -> dict[str, Any]:
    """A first look at a part alone, packed."""
    into = Seen.nothing(layer)
    look(layer, task, into)
    return into.pack()


@dataclass(kw_only=True)
class SecondPasses:
    """What needs the class means of all samples: fuzziness, standard errors, probes; those that are wanted."""

    layer: Layer
    fuzzy: FuzzinessPass | None = None
    errors: SamplingErrorPass | None = None
    probes: LayerProbes | None = None

    @property
    def wanted(self) -> bool:
        """Whether any is."""
        return any(each is not None for each in (self.fuzzy, self.errors, self.probes))

    def add(self, totals: Mapping[str, Any]) -> None:
        """Add what was seen of a part."""
        if self.fuzzy is not None:
            self.fuzzy.add(*totals["fuzzy"])
        if self.errors is not None:
            self.errors.with_totals(self.errors.totals() + totals["errors"].to(self.errors.totals().device))
        if self.probes is not None:
            self.probes.add(totals["probes"])


@torch.no_grad()
def second_look(passes: SecondPasses, task: PartTask) -> dict[str, Any]:
    """A second look at a part: sums alone, and the samples that a probe is fitted to."""
    fuzzy = None if passes.fuzzy is None else passes.fuzzy.empty()
    errors = None if passes.errors is None else passes.errors.empty()
    probes = None if passes.probes is None else passes.probes.empty(task.seen)
    samples = 0
    for _, x, y in passes.layer.batches(task.part, scores=probes is not None):
        samples += x.shape[0]
        for each in (fuzzy, errors):
            if each is not None:
                each.update(x, y)
        if probes is not None:
            probes.update(x, y)
    return {
        "fuzzy": None if fuzzy is None else (fuzzy.total(), samples),
        "errors": None if errors is None else errors.totals().cpu(),
        "probes": None if probes is None else probes.totals(),
    }
