"""A run folder of `pnc train`, read again: the network with its weights, and the data that it was trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pnc.data import Splits, load_splits
from pnc.errors import InvalidInputError
from pnc.nets import build
from pnc.spec.training import TrainSpec
from pnc.train.samples import Samples, as_samples
from pnc.train.weights import load_weights

__all__ = ["SavedRun", "as_split_samples", "data_record", "load_run"]

_TEST = "the test split"


@dataclass(frozen=True, kw_only=True, eq=False)
class SavedRun:
    """What `pnc train --out` left.

    Args:
        folder: where.
        model: the trained network, on the CPU, in evaluation mode.
        record: run.json.
        spec: how it was trained.
    """

    folder: Path
    model: nn.Module
    record: Mapping[str, Any]
    spec: TrainSpec

    @property
    def name(self) -> str:
        """Of the network, as `pnc train` was given it."""
        return self.record["network"]["name"]

    @property
    def classes(self) -> int:
        """K."""
        return self.record["network"]["classes"]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return tuple(self.record["network"]["input_shape"])

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, and of the samples that the network takes."""
        return torch.float64 if self.spec.precision == "float64" else torch.float32

    def load_split(self, split: str) -> Samples | None:
        """The samples of `train` or `test` as the run used them, pixels to be standardised as in training.

        Loaded once and kept.

        Returns:
            `None` where the run had no test split.

        Raises:
            InvalidInputError: another split, data that are not there any more, or that have changed since.
        """
        if split not in ("train", "test"):
            raise InvalidInputError(
                got=f"split = {split!r}", expected="train or test", next_step="choose one of the two"
            )
        return self._samples[split == "test"]

    def take(self, data: Any, *, name: str = "the data") -> Samples:
        """Other labelled data as this network takes them: its classes, and pixels on the scale of its training split.

        Args:
            data: as for `as_samples`.
            name: of the data, in errors.

        Raises:
            InvalidInputError: as `as_samples`; pixels where the network was trained on other numbers, or the reverse.
        """
        pixels = self.record["data"].get("pixels")
        kept = {} if pixels is None else {key: torch.tensor(pixels[key], dtype=torch.float64) for key in pixels}
        like = Samples(
            x=torch.empty((1, *self.input_shape)),
            y=torch.zeros(1, dtype=torch.int64),
            classes=self.classes,
            **kept,
        )
        samples = as_samples(data, like=like, name=name)
        if (samples.x.dtype == torch.uint8) != (pixels is not None):
            kinds = ("numbers", "pixels") if pixels is not None else ("pixels", "numbers")
            raise InvalidInputError(
                got=f"{kinds[0]} in {name} for a network that was trained on {kinds[1]}",
                expected=f"{kinds[1]}, as in {self.folder}",
                next_step="pass data of that kind",
            )
        return samples

    @cached_property
    def _samples(self) -> tuple[Samples, Samples | None]:
        data = self.record["data"]
        found = as_split_samples(load_splits(**data["options"]))
        for split, samples in zip(("train", "test"), found, strict=True):
            recorded = data["digests"].get(split)
            if recorded != (None if samples is None else samples.digest()):
                raise InvalidInputError(
                    got=f"a {split} split of {data['options']['data']} that is not the one of {self.folder}",
                    expected=f"the samples of the run, digest {recorded}",
                    next_step="put the data back as they were, or pass data of your own",
                )
        return found


def as_split_samples(splits: Splits) -> tuple[Samples, Samples | None]:
    """Both splits as samples; classes and the mean and scale of pixels are those of the training split.

    Raises:
        InvalidInputError: as `as_samples`.
    """
    train = as_samples(splits.train)
    return train, None if splits.test is None else as_samples(splits.test, like=train, name=_TEST)


def data_record(splits: Splits, train: Samples, test: Samples | None) -> dict[str, Any]:
    """What run.json has to hold of the data for `load_run`: what they are, how to load them again, what they were."""
    pixels = None if train.mean is None else {"mean": train.mean.tolist(), "scale": train.scale.tolist()}
    digests = {"train": train.digest(), "test": None if test is None else test.digest()}
    return {**splits.describe(), "pixels": pixels, "digests": digests}


def load_run(folder: str | Path) -> SavedRun:
    """The run in a folder that `pnc train --out` wrote.

    Weights are read from safetensors, never from a pickle. A network of `module:function` has to be importable
    again; importing it runs its code. Data are not read before they are asked for.

    Raises:
        InvalidInputError: no such folder, a run of another command or an older version, a network that cannot be
            built again, weights that do not fit it.
    """
    folder = Path(folder)
    record = _record(folder)
    network = record["network"]
    options = {key: value for key, value in network.items() if key in _BUILD}
    spec = _spec(folder, record["training"]["spec"])
    # all of the weights are replaced: the law that they were drawn from costs time and says nothing here
    model = build(**options, initial="default")
    model = model.to(torch.float64) if spec.precision == "float64" else model
    load_weights(model, folder / "weights.safetensors")
    return SavedRun(folder=folder, model=model.eval(), record=record, spec=spec)


_BUILD = (
    "name", "input_shape", "classes", "width", "depth", "nonlinear", "activation", "batch_norm", "bias", "projection",
    "seed",
)  # fmt: skip


def _record(folder: Path) -> dict[str, Any]:
    expected = "a folder that `pnc train --out` wrote"
    path = folder / "run.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or f"not JSON: {error}"
        raise InvalidInputError(
            got=f"{path}, which cannot be read ({reason})", expected=expected, next_step="check the path"
        ) from error
    if not isinstance(record, dict) or record.get("command") != "train":
        command = record.get("command", "something else") if isinstance(record, dict) else "something else"
        raise InvalidInputError(
            got=f"{folder}, which holds a run of {command}", expected=expected, next_step="pass such a folder"
        )
    wanted = {"network": ("name", "input_shape", "classes"), "data": ("options", "digests"), "training": ("spec",)}
    for part, keys in wanted.items():
        for key in keys:
            if not isinstance(record.get(part), dict) or key not in record[part]:
                raise InvalidInputError(
                    got=f"{path} without {part}.{key}",
                    expected="a run of this version of pnc",
                    next_step="train the network again",
                )
    return record


def _spec(folder: Path, recorded: Any) -> TrainSpec:
    known = {field.name for field in fields(TrainSpec)}
    try:
        return TrainSpec(**{key: value for key, value in recorded.items() if key in known})
    except (AttributeError, TypeError, InvalidInputError) as error:
        raise InvalidInputError(
            got=f"a training.spec in {folder / 'run.json'} that says nothing ({error})",
            expected="what `pnc train` wrote",
            next_step="train the network again",
        ) from error
