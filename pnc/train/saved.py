"""A run folder of `pnc train`, read again: the network with its weights, and the data that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pnc.data import Preparation, Splits, load_splits
from pnc.errors import InvalidInputError
from pnc.nets import build, runs_code
from pnc.records import DataRecord, NetworkRecord, Pixels, RunRecord, read_run
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
        network: of the record.
        data: of the record.
        spec: how it was trained.
    """

    folder: Path
    model: nn.Module
    record: RunRecord
    network: NetworkRecord
    data: DataRecord
    spec: TrainSpec

    @property
    def name(self) -> str:
        """Of the network, as `pnc train` was given it."""
        return self.network.name

    @property
    def classes(self) -> int:
        """K."""
        return self.network.classes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return self.network.input_shape

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

    def split(self, name: str) -> Samples:
        """`load_split` of a split that the run has to have.

        Raises:
            InvalidInputError: it has none, and as `load_split`.
        """
        found = self.load_split(name)
        if found is None:
            raise InvalidInputError(
                got=f"{self.folder}, a run without a {name} split",
                expected="a run that has one",
                next_step="train again with `test_data`",
            )
        return found

    @property
    def preparation(self) -> Preparation:
        """The classes of the training split by name, and the words of its texts: what other data are matched by.

        Runs of format 1 do not say; their own data do, as long as they are there.

        Raises:
            InvalidInputError: a run that does not say, and whose data have gone or changed.
        """
        if self.record.format == 1 and "preparation" not in self.data.origin:
            return self._loaded[0].preparation
        return Preparation.from_dict(self.data.origin.get("preparation"), source=str(self.folder / "run.json"))

    def load_other(self, data: str | Path, **options: Any) -> Splits:
        """Other data as this run's network takes them: classes matched by name, texts in the run's own words.

        Args:
            data, options: as those of `load_splits`.

        Raises:
            InvalidInputError: as `load_splits`, classes that are not those of the run, texts for a network of other
                inputs.
        """
        return load_splits(data, **options, like=self.preparation)

    def take(self, data: Any, *, name: str = "the data") -> Samples:
        """Other labelled data as this network takes them: its classes, and pixels on the scale of its training split.

        Args:
            data: as for `as_samples`.
            name: of the data, in errors.

        Raises:
            InvalidInputError: as `as_samples`; pixels where the network was trained on other numbers, or the reverse.
        """
        pixels = self._pixels
        kept = (
            {}
            if pixels is None
            else {key: torch.tensor(values, dtype=torch.float64) for key, values in vars(pixels).items()}
        )
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

    @property
    def _pixels(self) -> Pixels | None:
        """Of the training split; the experiments of format 1 did not record it, so that it is computed again."""
        if self.data.pixels is None and self.record.format == 1:
            return _pixels(self._samples[0])
        return self.data.pixels

    @property
    def _samples(self) -> tuple[Samples, Samples | None]:
        return self._loaded[1]

    @cached_property
    def _loaded(self) -> tuple[Splits, tuple[Samples, Samples | None]]:
        if not self.data.options:
            raise InvalidInputError(
                got=f"a run on {self.data.name}, whose data were not loaded from files",
                expected="data that can be loaded again",
                next_step="pass `data` of your own",
            )
        splits = load_splits(**self.data.options)
        found = as_split_samples(splits)
        for split, samples in zip(("train", "test"), found, strict=True):
            recorded = self.data.digests.get(split)
            if recorded != (None if samples is None else samples.digest()):
                raise InvalidInputError(
                    got=f"a {split} split of {self.data.options['data']} that is not the one of {self.folder}",
                    expected=f"the samples of the run, digest {recorded}",
                    next_step="put the data back as they were, or pass data of your own",
                )
        return splits, found


def as_split_samples(splits: Splits) -> tuple[Samples, Samples | None]:
    """Both splits as samples; classes and the mean and scale of pixels are those of the training split.

    Raises:
        InvalidInputError: as `as_samples`.
    """
    train = as_samples(splits.train)
    return train, None if splits.test is None else as_samples(splits.test, like=train, name=_TEST)


def data_record(source: Mapping[str, Any], train: Samples, test: Samples | None) -> DataRecord:
    """What run.json has to hold of the data for `load_run`: what they are, how to load them again, what they were.

    Args:
        source: what the loader says of them (`Splits.describe`): at least a `name`, and `options` to load them by.
        train, test: the samples.
    """
    known = ("name", "notes", "options")
    return DataRecord(
        name=source["name"],
        notes=tuple(source.get("notes", ())),
        options=source.get("options", {}),
        digests={"train": train.digest(), "test": None if test is None else test.digest()},
        pixels=_pixels(train),
        origin={key: value for key, value in source.items() if key not in known},
    )


def _pixels(train: Samples) -> Pixels | None:
    if train.mean is None or train.scale is None:
        return None
    return Pixels(mean=tuple(train.mean.tolist()), scale=tuple(train.scale.tolist()))


def load_run(folder: str | Path, *, trust_code: bool = False) -> SavedRun:
    """The run in a folder that `pnc train --out` wrote.

    Weights are read from safetensors, never from a pickle. Data are not read before they are asked for.

    Args:
        folder: of the run.
        trust_code: whether the code of a network that is named by its module or file may be run. A folder is data:
            whoever gave it to you chose the name that is in it.

    Raises:
        InvalidInputError: no such folder, a run of another command, a damaged one, one of a later version, code that
            is not trusted, a network that cannot be built again, weights that do not fit it.
    """
    folder = Path(folder)
    record = read_run(folder, command="train")
    network, data = record.network, record.data
    if not isinstance(network, NetworkRecord) or data is None:  # a run of `pnc train` has both
        raise TypeError(f"{folder}: a record of a training without network or data")
    spec = _spec(folder, record.details.get("training"))
    if runs_code(network.name) and not trust_code:
        raise InvalidInputError(
            got=f"{folder}, whose network is the code {network.name}",
            expected="a network of this package, or your word that this code may be run",
            next_step="read that code, and pass `trust_code` if you trust it",
        )
    # all of the weights are replaced: the law that they were drawn from costs time and says nothing here
    model = build(**network.options, initial="default")
    model = model.to(torch.float64) if spec.precision == "float64" else model
    load_weights(model, folder / "weights.safetensors")
    return SavedRun(folder=folder, model=model.eval(), record=record, network=network, data=data, spec=spec)


def _spec(folder: Path, training: Any) -> TrainSpec:
    known = {field.name for field in fields(TrainSpec)}
    try:
        return TrainSpec(**{key: value for key, value in training["spec"].items() if key in known})
    except (AttributeError, KeyError, TypeError, InvalidInputError) as error:
        raise InvalidInputError(
            got=f"a training.spec in {folder / 'run.json'} that says nothing ({error})",
            expected="what `pnc train` wrote",
            next_step="train the network again",
        ) from error
