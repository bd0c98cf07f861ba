"""What a person decides from a network's layers: which to read out, where to cut, which tells foreign inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pnc.choose import (
    Choice,
    ForeignInputs,
    TailCosts,
    choose_from_features,
    choose_layer,
    detect_foreign,
    measure_tails,
)
from pnc.data import load_features, load_splits
from pnc.data.text import TEXT_SUFFIXES
from pnc.errors import InvalidInputError
from pnc.records import RunRecord
from pnc.report.pages.decisions import choice_page, tail_page
from pnc.report.style import SCREEN, Style
from pnc.report.writing import again, shown_record, write_result
from pnc.runs.measurement import is_features, resolve_subject
from pnc.runs.requests import ChooseRequest, MeasureRequest, TailRequest, request_record
from pnc.runs.reserved import reserved
from pnc.runs.subject import Subject
from pnc.simulate.device import resolve_device
from pnc.train import Batches, as_samples

__all__ = ["ChooseResult", "TailResult", "choose_for", "cut_for"]

Report = Callable[[str, float, str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class ChooseResult:
    """The layers of what was named, ranked; and which tells foreign inputs, where any were given.

    Args:
        title: one line on what it is.
        choice: layers ranked for a linear readout.
        foreign: scores of foreign inputs.
        notes: what a reader of the numbers should know.
        folder: where it was written.
    """

    title: str
    choice: Choice
    foreign: ForeignInputs | None = None
    notes: tuple[str, ...] = ()
    folder: Path | None = None

    exit_status = 0

    def to_dict(self) -> dict[str, Any]:
        """What `pnc choose --json` prints."""
        found = self.choice.to_dict()
        found["notes"] = [*self.notes, *found["notes"]]
        return found | {"title": self.title} | ({} if self.foreign is None else {"foreign": self.foreign.to_dict()})


@dataclass(frozen=True, kw_only=True, eq=False)
class TailResult:
    """What it costs to cut after each layer of what was named.

    Args:
        title: one line on what it is.
        costs: of every layer.
        notes: what a reader of the numbers should know.
        folder: where it was written.
    """

    title: str
    costs: TailCosts
    notes: tuple[str, ...] = ()
    folder: Path | None = None

    exit_status = 0

    def to_dict(self) -> dict[str, Any]:
        """What `pnc tail --json` prints."""
        found = self.costs.to_dict()
        found["notes"] = [*self.notes, *found["notes"]]
        return found | {"title": self.title}


def choose_for(
    request: ChooseRequest,
    *,
    out: str | Path | None = None,
    style: Style = SCREEN,
    force: bool = False,
    progress: Report | None = None,
) -> ChooseResult:
    """Rank the layers of a run, a network, an encoder of texts or saved features: what `pnc choose` does.

    Of a run on its own data the test split is taken, where there is one: the network has seen the other.

    Args:
        request: the model, and what is asked.
        out: folder for numbers, figures and page.
        style: of the figures.
        force: replace what is in the folder.
        progress: called with a word, the share that is done and the state, now and then.

    Raises:
        InvalidInputError: as `measure_subject`; foreign data without a held-out split of one's own.

    >>> import numpy as np, tempfile
    >>> x = np.random.default_rng(0).normal(size=(40, 3)) + np.repeat([0, 3], 20)[:, None]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/f.npz", y=np.repeat([0, 1], 20), layer_0=x[:, :1] * 0 + 1.0 * x[:, :1] ** 2, layer_1=x)
    ...     choose_for(ChooseRequest(model=f"{folder}/f.npz")).choice.best.layer
    1
    """
    device = resolve_device(request.device)
    with reserved(out, force=force) as folder:
        result = _chosen(request, device, progress)
        if folder is None:
            return result
        record = RunRecord(command="choose", request=request_record(request), details=result.to_dict())
        page = choice_page(
            result.choice, result.foreign, title=result.title, notes=result.notes,
            record=shown_record(record.to_dict()), again=again("choose"),
        )  # fmt: skip
        write_result(folder, record, page, curves={"curves": result.choice.curve}, style=style, force=force)
    return replace(result, folder=folder)


def _chosen(request: ChooseRequest, device: torch.device, progress: Report | None) -> ChooseResult:
    if is_features(request):
        if request.foreign is not None:
            raise InvalidInputError(
                got=f"`foreign` with {request.model}",
                expected="a model, whose features of the foreign inputs can be computed",
                next_step="leave out `foreign`, or use pnc.choose.detect_foreign",
            )
        layers, y, _ = load_features(request.model)
        choice = choose_from_features(
            layers, y, most_samples=request.most_samples, most_dimensions=request.most_dimensions
        )
        return ChooseResult(title=f"features: {request.model}", choice=choice)
    subject = resolve_subject(request, device)
    names = _layers(subject, request)
    own_run = Path(request.model).is_dir() and request.data.data is None
    # what a network was trained on is no sample of what its layers are worth
    split = "test" if own_run and "test" in subject.splits else next(iter(subject.splits))
    batches, notes = subject.splits[split], list(subject.notes)
    if own_run and split == "train":
        notes.append("the network was trained on these samples: what its layers are worth for others is less")
    choice = choose_layer(
        subject.model, batches, classes=subject.classes, layers=names, most_samples=request.most_samples,
        most_dimensions=request.most_dimensions, seed=request.shape.seed, progress=_seen(progress, subject, split),
    )  # fmt: skip
    foreign = None if request.foreign is None else _foreign(request.foreign, request, subject, names)
    return ChooseResult(title=f"{subject.title}, {split} split", choice=choice, foreign=foreign, notes=tuple(notes))


def cut_for(
    request: TailRequest,
    *,
    out: str | Path | None = None,
    style: Style = SCREEN,
    force: bool = False,
    progress: Report | None = None,
) -> TailResult:
    """Say what the part behind each layer of a run or a network is worth: what `pnc tail` does.

    Args:
        request: the model, and what is asked.
        out: folder for numbers, figures and page.
        style: of the figures.
        force: replace what is in the folder.
        progress: called with a word, the share that is done and the state, now and then.

    Raises:
        InvalidInputError: as `measure_subject`; saved features or an encoder of texts, which have no tail.
    """
    device = resolve_device(request.device)
    with reserved(out, force=force) as folder:
        result = _costs(request, device)
        if folder is None:
            return result
        record = RunRecord(command="tail", request=request_record(request), details=result.to_dict())
        page = tail_page(
            result.costs, title=result.title, notes=result.notes, record=shown_record(record.to_dict()),
            again=again("tail"),
        )  # fmt: skip
        write_result(folder, record, page, curves={"curves": result.costs.curve}, style=style, force=force)
    return replace(result, folder=folder)


def _costs(request: TailRequest, device: torch.device) -> TailResult:
    subject = None if is_features(request) else resolve_subject(request, device)
    if subject is None or not subject.classifies:
        raise InvalidInputError(
            got=f"{request.model}, which has no classifier at its end",
            expected="a run folder or a network that classifies",
            next_step="use `pnc choose`, which needs no classifier",
        )
    splits: Mapping[str, Any] = subject.splits
    train = splits.get("train", next(iter(splits.values())))
    costs = measure_tails(
        subject.model, train, splits.get("test"), classes=subject.classes, layers=_layers(subject, request),
        limit=request.limit, most_samples=request.most_samples, most_dimensions=request.most_dimensions,
        seed=request.shape.seed,
    )  # fmt: skip
    return TailResult(title=subject.title, costs=costs, notes=tuple(subject.notes))


def _layers(subject: Subject, request: MeasureRequest) -> list[str] | None:
    return subject.layers if request.measurement.layers is None else list(request.measurement.layers)


def _seen(progress: Report | None, subject: Subject, split: str) -> Callable[[int], None] | None:
    if progress is None:
        return None
    total = subject.samples[split]
    return lambda samples: progress("measuring", min(samples / total, 1.0), f"{samples} samples")


def _foreign(data: str | Path, request: ChooseRequest, subject: Subject, names: list[str] | None) -> ForeignInputs:
    """Held-out samples of the subject's own data against those of the foreign data, on the same scale of pixels."""
    train, own = subject.splits.get("train"), subject.splits.get("test")
    if train is None or own is None:
        raise InvalidInputError(
            got="`foreign` without a training and a held-out split of the network's own data",
            expected="both: what is known, and what foreign inputs are to be told from",
            next_step="leave out `split`, and pass `test_data` where the data have no test split",
        )
    if not isinstance(train, Batches) or Path(data).suffix.lower() in TEXT_SUFFIXES:
        raise InvalidInputError(
            got=f"`foreign={data}` with {request.model}",
            expected="images or a problem file, and a network of such data",
            next_step="leave out `foreign`; of texts, give their features to pnc.choose.detect_foreign",
        )
    splits = load_splits(data, data_dir=request.data.data_dir, download=request.data.download)
    found = as_samples(splits.train if splits.test is None else splits.test, name="the foreign data")
    pixels = (train.samples.mean is None, found.mean is None)
    if pixels[0] != pixels[1]:
        raise InvalidInputError(
            got=f"foreign data that are {'pixels' if pixels[0] else 'no pixels'}",
            expected=f"{'numbers' if pixels[0] else 'pixels'}, as the network's own data",
            next_step="give data of that kind",
        )
    foreign = replace(found, mean=train.samples.mean, scale=train.samples.scale)
    batches = replace(train, samples=foreign.to(train.samples.x.device))
    return detect_foreign(
        subject.model, train, own, batches, classes=subject.classes, layers=names, most_samples=request.most_samples,
        most_dimensions=request.most_dimensions, seed=request.shape.seed,
    )  # fmt: skip
