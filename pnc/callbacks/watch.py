"""`Watch`: measures a network every few epochs on samples that stay the same, and warns where classes merge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import nn

from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError
from pnc.fields import Number, check_number, check_whole
from pnc.measure import measure_model

__all__ = ["Alarm", "ScalarWriter", "Watch", "Watched"]


_READ = 20  # times the subsample: what is looked at to find its classes


class ScalarWriter(Protocol):
    """What takes scalars: a TensorBoard `SummaryWriter`."""

    def add_scalar(self, tag: str, scalar_value: Any, global_step: int | None = None) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A class whose mean has come too near to another one's.

    Args:
        epoch: when.
        layer: its number.
        class_: number of the class.
        nearest: of the class that it merges with.
        margin: distance of the two means, over the sum of both classes' root mean square distances.
        before: the same at the first measurement.
    """

    epoch: float
    layer: int
    class_: int
    nearest: int
    margin: float
    before: float

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch:g}: class {self.class_} collapses onto class {self.nearest} at layer {self.layer}: "
            f"margin {self.margin:.3g}, at first {self.before:.3g}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Watched:
    """One measurement.

    Args:
        epoch: when.
        curve: C and D of every layer.
        alarms: classes that collapse at the last layer.
    """

    epoch: float
    curve: LayerCurve
    alarms: tuple[Alarm, ...] = ()

    def scalars(self) -> dict[str, float]:
        """Name → number, for a logger: C and D of every layer, and how many classes collapse."""
        found: dict[str, float] = {}
        for i, layer in enumerate(self.curve.layers.tolist()):
            name = self.curve.notes[i].name or "layer"
            found[f"pnc/compression/{layer:02d} {name}"] = float(self.curve.compression[i])
            found[f"pnc/discrimination/{layer:02d} {name}"] = float(self.curve.discrimination[i])
        found["pnc/collapsing classes"] = float(len(self.alarms))
        return found


@dataclass(kw_only=True, eq=False)
class Watch:
    """Measures C_l and D_l (theory note, section 1) of a network every n epochs, on a fixed subsample.

    The samples are the first of each class that the loader gives, equally many, kept in memory; a measurement is one
    forward pass of them in evaluation mode. Modes, weights, buffers and the random states of the network are as before
    afterwards. Where several processes train together, the first one measures, alone, and no other waits for it.

    An alarm: at the last layer the mean of a class has come so near to another one's that their margin is less than
    `alarm` of what it was at the first measurement.

    Args:
        samples: a loader or list of (inputs, labels), or of mappings with `labels`; read once.
        every: epochs between measurements.
        most_samples: of the subsample, which bounds the cost; up to 20 times as many are read to find its classes.
        layers: patterns of module names; by default as `pnc.measure.measure_model` has them.
        alarm: share of a class's first margin below which it is said to collapse; 0: never.
        batch: samples at a time.

    Raises:
        InvalidInputError: fewer than two classes in the samples, numbers that make no sense.

    >>> x, y = torch.eye(6, 8), torch.tensor([0, 0, 0, 1, 1, 1])
    >>> net = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> watch = Watch(samples=[(x, y)], every=2)
    >>> for epoch in range(1, 5):
    ...     found = watch(net, epoch)
    >>> [one.epoch for one in watch.history], len(found.curve)
    ([2, 4], 3)
    """

    samples: Iterable[Any]
    every: int = 1
    most_samples: int = 1000
    layers: Sequence[str] | None = None
    alarm: float = 0.5
    batch: int = 250
    history: list[Watched] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        check_whole("every", self.every, 1)
        check_whole("most_samples", self.most_samples, 2)
        check_whole("batch", self.batch, 1)
        check_number("alarm", self.alarm, Number(least=0, most=1))
        self._kept, self._classes = _subsample(self.samples, self.most_samples, self.batch)
        self.samples = ()  # read once
        self._first: dict[int, float] = {}

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """All so far."""
        return tuple(alarm for one in self.history for alarm in one.alarms)

    def due(self, epoch: float) -> bool:
        """Whether an epoch, counted from 1, is one of those that are measured."""
        return round(epoch) % self.every == 0

    def __call__(self, model: nn.Module, epoch: float, *, writer: ScalarWriter | None = None) -> Watched | None:
        """Measure, where the epoch is due and this is the first process; otherwise `None`.

        Args:
            model: which trains; of one wrapped in DistributedDataParallel the module itself.
            epoch: that has ended, counted from 1.
            writer: of TensorBoard, which is given the scalars.
        """
        if not self.due(epoch) or not _first_process():
            return None
        inner = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
        parameter = next(inner.parameters(), None)
        batches = self._kept if parameter is None else [_moved(batch, parameter.device) for batch in self._kept]
        curve = measure_model(
            inner, batches, classes=self._classes, layers=self.layers, per_class=self.alarm > 0, alone=True
        )
        found = Watched(epoch=epoch, curve=curve, alarms=self._collapsed(curve, epoch))
        self.history.append(found)
        if writer is not None:
            for name, value in found.scalars().items():
                writer.add_scalar(name, value, round(epoch))
        return found

    def _collapsed(self, curve: LayerCurve, epoch: float) -> tuple[Alarm, ...]:
        table = curve.notes[-1].class_table
        if table is None:
            return ()
        found = []
        for k, margin in enumerate(table.margin.tolist()):
            before = self._first.setdefault(k, margin)
            if margin < self.alarm * before:
                found.append(
                    Alarm(
                        epoch=epoch, layer=int(curve.layers[-1]), class_=k, nearest=int(table.nearest[k]),
                        margin=margin, before=before,
                    )
                )  # fmt: skip
        return tuple(found)


def _first_process() -> bool:
    distributed = torch.distributed
    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0


def _parts(batch: Any) -> tuple[Any, torch.Tensor]:
    """Inputs and labels of a batch, its labels as a tensor."""
    if isinstance(batch, Mapping):
        labels = batch.get("labels", batch.get("label"))
        inputs = {name: value for name, value in batch.items() if name not in ("labels", "label")}
    else:
        inputs, labels = batch[0], batch[1]
    if labels is None:
        raise InvalidInputError(
            got="a batch without labels", expected="(inputs, labels), or a mapping with `labels`", next_step="add them"
        )
    return inputs, torch.as_tensor(labels).cpu()


def _chosen(inputs: Any, rows: torch.Tensor) -> Any:
    if isinstance(inputs, Mapping):
        return {name: _chosen(value, rows) for name, value in inputs.items()}
    if isinstance(inputs, torch.Tensor):
        return inputs.detach().cpu()[rows].clone()
    return inputs


def _moved(batch: tuple[Any, torch.Tensor], device: torch.device) -> tuple[Any, torch.Tensor]:
    def to(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: to(one) for name, one in value.items()}
        return value.to(device) if isinstance(value, torch.Tensor) else value

    return to(batch[0]), batch[1].to(device)


def _subsample(samples: Iterable[Any], most: int, size: int) -> tuple[list[tuple[Any, torch.Tensor]], list[int]]:
    """The first samples of each class, equally many as far as there are, in batches; and the classes."""
    found: list[tuple[Any, torch.Tensor]] = []
    counts: dict[int, int] = {}
    seen = 0
    for batch in samples:
        inputs, labels = _parts(batch)
        rows = []
        for row, label in enumerate(labels.tolist()):
            counts[label] = counts.get(label, 0) + 1
            rows += [row] if counts[label] <= most // 2 else []  # there are two classes or more
        kept = torch.tensor(rows, dtype=torch.int64)
        found.append((_chosen(inputs, kept), labels[kept]))
        seen += len(labels)
        if seen >= _READ * most:
            break
    classes = sorted(counts)
    if len(classes) < 2:
        raise InvalidInputError(
            got=f"samples of {len(classes)} classes",
            expected="two classes or more among the first samples of the loader",
            next_step="shuffle the loader, or give more samples",
        )
    left = dict.fromkeys(classes, max(1, most // len(classes)))
    batches: list[tuple[Any, torch.Tensor]] = []
    for inputs, labels in found:
        rows = []
        for row, label in enumerate(labels.tolist()):
            if left[label] > 0:
                left[label] -= 1
                rows.append(row)
        for start in range(0, len(rows), size):
            part = torch.tensor(rows[start : start + size])
            batches.append((_chosen(inputs, part), labels[part]))
    return batches, classes
