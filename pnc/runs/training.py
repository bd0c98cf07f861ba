"""`train_and_measure`: train a network on labelled data, measure every layer on both splits, write the run folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from pnc.compare import UniversalChecks, Verdict, check_universal, fit_laws, follow
from pnc.curves import LayerCurve
from pnc.data import Splits, load_splits, split_options
from pnc.errors import InvalidInputError
from pnc.measure import list_layers, measure_model, measure_splits
from pnc.nets import build
from pnc.records import (
    DataRecord,
    NetworkRecord,
    RunRecord,
    SplitRecord,
    check_folder,
    claimed,
    found_folder,
    held,
    read_run,
)
from pnc.report.style import SCREEN, Style
from pnc.report.training import write_training
from pnc.runs.epoch_zero import EpochZero, look_before_training
from pnc.runs.parts import Part, line_part, parts_of
from pnc.runs.requests import DataSource, MeasurementSpec, TrainRequest, request_record
from pnc.simulate.device import resolve_device
from pnc.train import (
    Batches,
    Measure,
    Processes,
    Progress,
    Samples,
    TrainedRun,
    as_split_samples,
    data_record,
    evaluate,
    joined_processes,
    load_run,
    load_weights,
    train,
)

__all__ = ["LabelledData", "TrainResult", "load_labelled", "read_training", "train_and_measure"]

_OF_COMMAND = ("command", "data", "format", "network", "recipe", "request", "software")  # of run.json alone


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledData:
    """Samples of the training split and, where there is one, of the test split.

    Args:
        train: training split.
        test: test split.
        source: what they are: at least a `name`, and `options` for `pnc.data.load_splits` where they can be loaded
            again.
    """

    train: Samples
    test: Samples | None
    source: Mapping[str, Any]

    @property
    def splits(self) -> dict[str, Samples]:
        """Name → samples."""
        return {"train": self.train} | ({} if self.test is None else {"test": self.test})

    @classmethod
    def of(cls, splits: Splits) -> LabelledData:
        """Both splits as samples.

        Raises:
            InvalidInputError: as `pnc.train.as_samples`.
        """
        train_samples, test = as_split_samples(splits)
        return cls(train=train_samples, test=test, source=splits.describe())


def load_labelled(source: DataSource) -> LabelledData:
    """The data of a request.

    Raises:
        InvalidInputError: as `pnc.data.load_splits` and `pnc.train.as_samples`.
    """
    return LabelledData.of(load_splits(**vars(source)))


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainResult:
    """A trained network and its layers on every split.

    Args:
        record: what run.json holds.
        trained: the network, its history, and what was measured on the way.
        folder: of the run, where it was written.
        complete: whether it had been finished before, so that nothing was trained.
        reports: whether this process is the one that reports, of several.
    """

    record: RunRecord
    trained: TrainedRun
    folder: Path | None = None
    complete: bool = False
    reports: bool = True

    @property
    def curves(self) -> dict[str, LayerCurve]:
        """Split → curve, the training split first."""
        return {name: split.curve for name, split in self.record.splits.items()}

    @property
    def data(self) -> DataRecord:
        """What it was trained on."""
        if self.record.data is None:
            raise TypeError("a record of a training without data")
        return self.record.data

    @property
    def converged(self) -> bool:
        """Whether enough of the training samples are learned."""
        return bool(self.record.converged)

    @cached_property
    def universal(self) -> dict[str, UniversalChecks]:
        """Split → U1–U4 at every layer."""
        return {name: check_universal(curve) for name, curve in self.curves.items()}

    @property
    def exit_status(self) -> int:
        """0 trained, 3 a theorem is violated that holds for every network, 4 not converged."""
        if any(checks.violations for checks in self.universal.values()):
            return Verdict.DISAGREES.exit_status
        return 0 if self.converged else Verdict.NOT_CONVERGED.exit_status

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: run.json without what the caller knows."""
        return {name: value for name, value in self.record.to_dict().items() if name not in _OF_COMMAND}


def train_and_measure(
    request: TrainRequest,
    *,
    data: LabelledData | None = None,
    out: str | Path | None = None,
    style: Style = SCREEN,
    resume: bool = False,
    force: bool = False,
    checkpoint_seconds: float = 60.0,
    measure: Measure | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> TrainResult:
    """Train a network and measure C_l, D_l and the rest at every layer on both splits: what `pnc train` does.

    Args:
        request: network, data, training, and what is measured.
        data: samples that are in memory already, in place of the request's.
        style: of the figures.
        out: folder of the run; while it trains, checkpoints lie beside it.
        resume: go on with a training of this folder that was interrupted; one that is finished is read.
        force: replace the run in the folder.
        checkpoint_seconds: between checkpoints.
        measure: (model, batches, split) → the curve that is kept of an epoch, in place of all layers' C and D.
        progress: called now and then.

    Raises:
        InvalidInputError: whatever is wrong with the request, the data or the folder; another process trains there.
        DivergedError: the loss or the weights became NaN or infinite; the last good checkpoint is kept.

    >>> import numpy as np
    >>> from pnc.runs import DataSource, NetworkSource, TrainRequest, train_and_measure
    >>> from pnc.train import TrainSpec
    >>> y = np.repeat([0, 1], 20)
    >>> x = np.eye(2)[y] + 0.1 * np.random.default_rng(0).normal(size=(40, 2))
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/two.npz", X=x, y=y)
    ...     result = train_and_measure(TrainRequest(
    ...         network=NetworkSource(name="mlp", width=8, depth=3), data=DataSource(data=f"{folder}/two.npz"),
    ...         training=TrainSpec(epochs=50, learning_rate=0.01), device="cpu"), out=f"{folder}/run")
    ...     sorted(path.name for path in result.folder.iterdir())[:3]
    ['SHA256SUMS', 'curves.csv', 'curves.png']
    >>> result.converged, result.curves["train"].layers.tolist()
    (True, [0, 1, 2])
    """
    device = resolve_device(request.device)
    if request.data.data is None:
        request = replace(request, data=replace(request.data, data="fashion-mnist"))
    if out is None and resume:
        raise InvalidInputError(
            got="`resume` without `out`", expected="the folder of the interrupted run", next_step="pass `out`"
        )
    folder = None if out is None else found_folder(out)
    if folder is not None and resume:
        finished = _finished(folder, request, data, force=force)
        if finished is not None:
            return finished
    checkpoints = None if folder is None else _checkpoints(folder)
    if folder is not None:
        check_folder(folder, force=force)
    with ExitStack() as stack:
        processes = stack.enter_context(joined_processes(device))
        if folder is not None and processes.first:
            stack.enter_context(claimed(folder, force=force))
        if checkpoints is not None and force and not resume and processes.first:
            shutil.rmtree(checkpoints, ignore_errors=True)
        processes.wait()
        data = load_labelled(request.data) if data is None else data
        model = _network(request, data)
        measurement = request.measurement
        # the classifier's outputs are no features
        blocks = list[str](getattr(model, "block_names", ()))[:-1]
        layers = list(measurement.layers or blocks) or None
        _check_layers(model, data.train, layers)

        def on_the_way(network: nn.Module, batches: Any, split: str) -> LayerCurve:
            return measure_model(network, batches, classes=data.train.classes, layers=layers, split=split)

        trained = train(
            model, data.train, request.training, test=data.test, low_rank=request.low_rank, device=device,
            checkpoints=checkpoints, checkpoint_seconds=checkpoint_seconds, resume=resume,
            measure=measure or on_the_way, measure_batch=measurement.batch_size, progress=progress,
        )  # fmt: skip
        splits = _measured(request, trained, data, layers, processes)
        # the same network once more, as it was: what is wrong with it or its data, the training has said
        before = look_before_training(
            _network(request, data), request.network, data.splits, trained.spec, layers=layers, device=device,
            batch_size=measurement.batch_size, drawn=request.start_from is None,
        )  # fmt: skip
        universal = check_universal(splits["train"].curve)
        parts = parts_of(model, data.train, before=before, universal=universal, batch_size=measurement.batch_size)
        record = _record(request, trained, data, splits, before, parts)
        if folder is not None and checkpoints is not None and processes.first:
            write_training(
                folder, record,
                history=trained.history, measurements=trained.measurements,
                weights={name: value.detach().cpu().numpy() for name, value in model.state_dict().items()},
                title=f"{request.network.name} on {data.source['name']}", style=style, force=force,
            )  # fmt: skip
            shutil.rmtree(checkpoints, ignore_errors=True)
    return TrainResult(record=record, trained=trained, folder=folder, reports=processes.first)


def _checkpoints(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.checkpoints"


def read_training(folder: str | Path, *, trust_code: bool = False) -> TrainResult:
    """A finished training, read from its folder.

    Raises:
        InvalidInputError: as `pnc.train.load_run`.
    """
    saved = load_run(folder, trust_code=trust_code)
    trained = TrainedRun.from_dict(saved.record.details["training"], model=saved.model)
    return TrainResult(record=saved.record, trained=trained, folder=Path(folder), complete=True)


def _finished(folder: Path, request: TrainRequest, data: LabelledData | None, *, force: bool) -> TrainResult | None:
    """The run in the folder, if it is the one that was asked for; `None` where there is none, or it may be replaced."""
    if not (folder / "run.json").is_file():
        return None
    differs = _differences(read_run(folder, command="train"), request, data)
    if differs and force:
        return None
    if differs:
        raise InvalidInputError(
            got=f"{folder}, which holds a finished run of other options: {'; '.join(differs)}",
            expected="an interrupted run, or a finished one of the same options",
            next_step="choose another `out`, or replace it with `force`",
        )
    with suppress(InvalidInputError), held(folder):  # a process that was killed after the renaming left them
        shutil.rmtree(_checkpoints(folder), ignore_errors=True)
    return read_training(folder, trust_code=True)  # the network that was asked for by name


def _differences(record: RunRecord, request: TrainRequest, data: LabelledData | None) -> list[str]:
    """How a finished run differs from what is asked for."""
    asked = _request_record(request)
    if record.request is None:
        training = record.details.get("training")
        spec = training.get("spec") if isinstance(training, dict) else None
        pairs = [("training", asked["training"], spec)]
    else:
        # what an earlier version did not know was as it is by default
        recorded = dict(record.request)
        for group, usual in (("data", DataSource()), ("measurement", MeasurementSpec())):
            if isinstance(recorded.get(group), dict):
                recorded[group] = {**vars(usual), **recorded[group]}
        pairs = [(name, value, recorded.get(name)) for name, value in asked.items() if name != "device"]
        if data is not None:
            pairs = [pair for pair in pairs if pair[0] != "data"]
    found = [text for name, new, old in pairs for text in _unlike(name, old, new)]
    if data is not None and record.data is not None:
        digests = {name: samples.digest() for name, samples in data.splits.items()}
        if digests != {name: digest for name, digest in record.data.digests.items() if digest is not None}:
            found.append("other data")
    return found


def _unlike(name: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [text for key in new for text in _unlike(key, old.get(key), new[key])]
    return [] if old == new else [f"{name} {old}, now {new}"]


def _network(request: TrainRequest, data: LabelledData) -> nn.Module:
    model = build(**vars(request.network), input_shape=data.train.input_shape, classes=data.train.classes)
    if request.start_from is not None:
        load_weights(model, request.start_from)
    return model


def _check_layers(model: nn.Module, samples: Samples, layers: list[str] | None) -> None:
    """Refuse patterns that match nothing before the training, not after it."""
    parameter = next(model.parameters(), None)
    if parameter is None:
        return  # the training says that there is nothing to train
    first, _ = next(iter(samples.batches(2, dtype=parameter.dtype)))
    list_layers(model, first, patterns=layers)


def _measured(
    request: TrainRequest, trained: TrainedRun, data: LabelledData, layers: list[str] | None, processes: Processes
) -> dict[str, SplitRecord]:
    """Everything that is asked for, on both splits; the probes are those of the training split."""
    parameter = next(trained.model.parameters())
    batches: dict[str | None, Batches] = {
        name: samples.to(parameter.device).batches(
            request.measurement.batch_size, dtype=parameter.dtype, channels_last=trained.spec.channels_last,
            rows=processes.share(len(samples)),
        )
        for name, samples in data.splits.items()
    }  # fmt: skip
    found = {name: evaluate(trained.model, some, trained.spec, processes=processes) for name, some in batches.items()}
    wanted = request.measurement
    curves = measure_splits(
        trained.model, batches, classes=data.train.classes, layers=layers, fuzziness=wanted.fuzziness,
        probes=wanted.probes, spectra=wanted.spectra, uncertainty=wanted.uncertainty,
    )  # fmt: skip
    return {
        name: SplitRecord(
            curve=curves[name], loss=found[name][0], accuracy=found[name][1], samples=len(samples),
            laws=_laws(curves[name]),
        )
        for name, samples in data.splits.items()
    }  # fmt: skip


def _laws(curve: LayerCurve) -> dict[str, Any]:
    return {name: None if fit is None else fit.to_dict() for name, fit in fit_laws(curve).items()}


def _record(
    request: TrainRequest,
    trained: TrainedRun,
    data: LabelledData,
    splits: Mapping[str, SplitRecord],
    before: EpochZero,
    parts: Sequence[Part],
) -> RunRecord:
    network = NetworkRecord(
        **vars(replace(request.network, name=_from_anywhere(request.network.name))),
        input_shape=data.train.input_shape,
        classes=data.train.classes,
        parameters=sum(p.numel() for p in trained.model.parameters()),
    )
    converged = splits["train"].accuracy >= request.accuracy_limit
    # without a squared error there is no label scale
    scale = trained.spec.label_scale if trained.spec.loss == "mse" else 1.0
    following = follow(splits["train"].curve, depth=network.matrices, label_scale=scale, converged=converged)
    return RunRecord(
        command="train",
        converged=converged,
        # training itself has no verdict: what is undecided here may be decided over seeds
        verdict=None if following.verdict in (Verdict.UNDECIDED, Verdict.BELOW_NOISE) else following.verdict.name,
        network=network,
        data=data_record(data.source, data.train, data.test),
        splits=splits,
        request=_request_record(request, data),
        details={
            "laws": dict(splits["train"].laws),
            "training": trained.to_dict(),
            "following": following.findings(),
            "initialisation": before.to_dict(),
            "parts": [part.to_dict() for part in [*parts, line_part(following.verdict.name, following.advice)]],
        },
    )


def _request_record(request: TrainRequest, data: LabelledData | None = None) -> dict[str, Any]:
    """The request as run.json holds it, with absolute paths; samples in memory are named where they can be loaded."""
    options = split_options(**vars(request.data)) if data is None else data.source.get("options")
    found = request_record(
        replace(
            request,
            network=replace(request.network, name=_from_anywhere(request.network.name)),
            data=DataSource(**options) if options else request.data,
            start_from=None if request.start_from is None else Path(request.start_from),
        )
    )
    return found if options else found | {"data": None}


def _from_anywhere(network: str) -> str:
    """The name of a network, the path of a file in it made absolute: the run can be read from any folder."""
    path, colon, function = network.rpartition(":")
    return f"{Path(path).absolute()}{colon}{function}" if path.endswith(".py") else network
