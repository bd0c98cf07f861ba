"""What a training leaves behind, and what it says while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from pnc.curves import LayerCurve
from pnc.errors import PncError
from pnc.spec import LowRankSpec
from pnc.spec.training import TrainSpec

__all__ = ["DivergedError", "EpochRecord", "LowRankOutcome", "Measurement", "Progress", "TrainedRun"]


class DivergedError(PncError):
    """The loss or the weights became NaN or infinite: NOT_CONVERGED on the command line.

    Args:
        step: at which, counted from 1.
        epoch: likewise.
        what: `loss` or the name of the weights.
        checkpoint: the last good one, where there is one.

    >>> str(DivergedError(step=3, epoch=1, what="loss"))
    'training stopped at step 3 (epoch 1): the loss is NaN or infinite; no checkpoint had been written; lower
    `learning_rate`'
    """

    exit_status = 4

    def __init__(self, *, step: int, epoch: int, what: str, checkpoint: Path | None = None) -> None:
        self.step = step
        self.epoch = epoch
        self.what = what
        self.checkpoint = checkpoint
        kept = "no checkpoint had been written" if checkpoint is None else f"the last good checkpoint is {checkpoint}"
        super().__init__(
            f"training stopped at step {step} (epoch {epoch}): the {what} is NaN or infinite; {kept}; "
            "lower `learning_rate`"
        )


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One epoch of training.

    Args:
        epoch: epochs done.
        step: steps done.
        loss: mean over the samples as they were trained on, batch by batch.
        accuracy: likewise, a share.
        learning_rate: of the last step.
        seconds: of wall time since the training began, interruptions left out.
    """

    epoch: int
    step: int
    loss: float
    accuracy: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Every layer at one time of the training, on one split, the network in evaluation mode.

    Args:
        epoch: epochs done.
        split: `train` or `test`.
        loss: mean over the split.
        accuracy: share of the split.
        curve: of the layers.
    """

    epoch: int
    split: str
    loss: float
    accuracy: float
    curve: LayerCurve

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "curve": self.curve.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Measurement:
        """The inverse of `to_dict`."""
        return cls(**{**data, "curve": LayerCurve.from_dict(data["curve"])})


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training stands.

    Args:
        epoch: the one that is under way, from 1.
        epochs: of all.
        step: steps taken.
        steps: of all.
        loss: mean over the epoch so far.
        accuracy: likewise.
        compression: layer → C_l on the training split as last measured; some of the layers.
        seconds_left: from the pace of this process so far.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    compression: Mapping[int, float]
    seconds_left: float | None


@dataclass(frozen=True, kw_only=True)
class LowRankOutcome:
    """What virtual low-rank layers did, and what they cost.

    Args:
        spec: as given.
        sites: full names of the modules, in the order of the computation.
        widths: entries of a sample's activations at each.
        units: feature norm that counts as 1 at each.
        before: split → site → share of the variance in r directions before training, see `variance_shares`.
        after: likewise, of the trained network.
        history: of each epoch, L_c and L_n at each site, means over the epoch; `None` where there was no W
            or no unit yet.
        projections: how many times W was projected.
        projection_seconds: of all of them.
        step_seconds: of a step (forward, backward) `with` the layers and `without`, medians of a few steps of each
            taken in turn after training, and the `overhead`: with / without - 1, projections included. `None` where
            several processes trained.
    """

    spec: LowRankSpec
    sites: tuple[str, ...]
    widths: tuple[int, ...]
    units: tuple[float, ...]
    before: Mapping[str, Mapping[str, Mapping[str, float]]]
    after: Mapping[str, Mapping[str, Mapping[str, float]]]
    history: tuple[Mapping[str, Any], ...]
    projections: int
    projection_seconds: float
    step_seconds: Mapping[str, float] | None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LowRankOutcome:
        """The inverse of `to_dict`."""
        lists = {name: tuple(data[name]) for name in ("sites", "widths", "units", "history")}
        return cls(**{**data, **lists, "spec": LowRankSpec(**data["spec"])})

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "spec": self.spec.to_dict(), "sites": list(self.sites), "widths": list(self.widths),
                "units": list(self.units), "history": list(self.history)}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedRun:
    """A trained network and its history.

    Args:
        model: the network, trained in place, in evaluation mode.
        spec: how it was trained.
        history: one record an epoch.
        measurements: in the order in which they were made; the last of each split is of the trained network.
        notes: what a reader of the numbers should know.
        steps: taken, by this process and by those it went on from.
        resumed_from: step of the checkpoint that it went on from, or `None`.
        seconds: of wall time, interruptions left out.
        device: where.
        processes: how many.
        low_rank: of virtual low-rank layers, where there were any.
    """

    model: nn.Module
    spec: TrainSpec
    history: tuple[EpochRecord, ...]
    measurements: tuple[Measurement, ...]
    notes: tuple[str, ...]
    steps: int
    resumed_from: int | None
    seconds: float
    device: str
    processes: int = field(default=1)
    low_rank: LowRankOutcome | None = None

    def last(self, split: str = "train") -> Measurement | None:
        """The last measurement of a split, or `None` where it was not measured."""
        return next((m for m in reversed(self.measurements) if m.split == split), None)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, model: nn.Module) -> TrainedRun:
        """The inverse of `to_dict`."""
        low_rank = data["low_rank"]
        return cls(
            **{
                **data,
                "model": model,
                "spec": TrainSpec(**data["spec"]),
                "history": tuple(EpochRecord(**record) for record in data["history"]),
                "measurements": tuple(Measurement.from_dict(m) for m in data["measurements"]),
                "notes": tuple(data["notes"]),
                "low_rank": None if low_rank is None else LowRankOutcome.from_dict(low_rank),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the network."""
        return {
            "spec": self.spec.to_dict(),
            "history": [asdict(record) for record in self.history],
            "measurements": [m.to_dict() for m in self.measurements],
            "notes": list(self.notes),
            "steps": self.steps,
            "resumed_from": self.resumed_from,
            "seconds": self.seconds,
            "device": self.device,
            "processes": self.processes,
            "low_rank": None if self.low_rank is None else self.low_rank.to_dict(),
        }
