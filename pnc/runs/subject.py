"""What is measured: a run, a network or the hidden states of texts, with the batches of its splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pnc.data import load_splits, load_text_splits
from pnc.errors import InvalidInputError
from pnc.measure.model.saved_features import GivenBatches, GivenLayers
from pnc.nets import build, encode_texts
from pnc.runs.requests import MeasureRequest
from pnc.train import Samples, as_split_samples, data_record, load_run, load_weights

__all__ = ["TEXTS", "Subject", "network_subject", "run_subject", "text_subject"]

TEXTS = "transformers:"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model, and what it is measured on.

    Args:
        title: what to call it.
        model: on the device where it is measured.
        splits: name of a split → batches, the training split first.
        samples: name of a split → N.
        classes: K.
        layers: names of those that are measured where no others are asked for.
        classifies: whether it has a classifier at its end.
        record: what it is, for JSON.
        notes: what a reader of the numbers should know.
        trained: whether its weights are said to be those of a training.
    """

    title: str
    model: nn.Module
    splits: Mapping[str, Any]
    samples: Mapping[str, int]
    classes: int
    layers: list[str] | None = None
    classifies: bool = True
    record: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    trained: bool = True


def _chosen(found: Mapping[str, Any], split: str | None, data: str | Path) -> dict[str, Any]:
    """The splits that were asked for (`None`: those that there are) out of those that were found."""
    names = ("train", "test") if split in (None, "both") else (split,)
    kept = {name: found[name] for name in names if found.get(name) is not None}
    if split is not None and len(kept) < len(names):
        missing = next(name for name in names if name not in kept)
        raise InvalidInputError(
            got=f"`split={split}` with {data}, which has no {missing} split",
            expected="a split that is there",
            next_step="leave out `split`, or pass `test_data`",
        )
    return kept


def _batches(samples: Any, model: nn.Module, size: int, *, channels_last: bool = False) -> Any:
    parameter = next(model.parameters(), torch.empty(0))
    return samples.to(parameter.device).batches(size, dtype=parameter.dtype, channels_last=channels_last)


def _own_layers(model: nn.Module) -> list[str] | None:
    """The blocks that a network names, without its classifier, whose outputs are no features."""
    return list[str](getattr(model, "block_names", ()))[:-1] or None


def run_subject(request: MeasureRequest, device: torch.device) -> Subject:
    """A run of `pnc train`, on its own data or on others.

    Raises:
        InvalidInputError: as `pnc.train.load_run`, and what is wrong with the data.
    """
    folder, data, split = Path(request.model), request.data.data, request.split
    run = load_run(folder, trust_code=request.trust_code)
    if data is None:
        found = _chosen({name: run.load_split(name) for name in ("train", "test")}, split, str(folder))
        source = run.data.to_dict()
    else:
        splits = run.load_other(**vars(request.data))
        found = _chosen({"train": splits.train, "test": splits.test}, split, data)
        found = {name: run.take(some, name=f"the {name} split of {data}") for name, some in found.items()}
        source = splits.describe()
    model = run.model.to(device)
    return Subject(
        title=f"{run.name} of {folder}, on {source['name']}",
        model=model,
        splits={
            split: _batches(samples, model, request.measurement.batch_size, channels_last=run.spec.channels_last)
            for split, samples in found.items()
        },
        samples={split: len(samples) for split, samples in found.items()},
        classes=run.classes,
        layers=_own_layers(model),
        record={
            "run": str(folder),
            "network": run.network.to_dict(),
            "data": source,
            "converged": run.record.converged,
        },
        notes=tuple(source.get("notes", ())),
    )


def _standardised(samples: Samples, given: Mapping[str, Sequence[float] | None]) -> Samples:
    """Samples with another mean or scale of their pixels, where one is given: that of the training of the weights."""
    changed: dict[str, torch.Tensor] = {}
    for option, values in given.items():
        if values is None:
            continue
        if samples.mean is None:
            raise InvalidInputError(
                got=f"`{option}` with data that are no pixels",
                expected=f"`{option}` only with images",
                next_step=f"leave out `{option}`",
            )
        channels = samples.mean.numel()
        numbers = torch.tensor(list(values), dtype=torch.float64)
        positive = option != "pixel_scale" or bool((numbers > 0).all())
        if numbers.numel() not in (1, channels) or not bool(torch.isfinite(numbers).all()) or not positive:
            raise InvalidInputError(
                got=f"`{option}={','.join(f'{value:g}' for value in values)}`",
                expected=f"a number, or {channels} with commas between them" + ("" if positive else ", above 0"),
                next_step=f"pass for instance `{option}=0.5`",
            )
        changed[option.removeprefix("pixel_")] = numbers.expand(channels)
    return replace(samples, **changed)


def _pixels_in_effect(training: Samples, *, given: Mapping[str, Sequence[float] | None]) -> list[str]:
    """By which mean and scale pixels are standardised, and where these are from."""
    if training.mean is None or training.scale is None:
        return []
    mean, scale = (", ".join(f"{value:.4g}" for value in each.tolist()) for each in (training.mean, training.scale))
    stated = [name for name, value in given.items() if value is not None]
    if len(stated) == len(given):
        origin = "as given"
    else:
        origin = f"{f'`{stated[0]}` as given, the other' if stated else 'those'} of this training split"
    return [f"pixels / 255 less {mean}, divided by {scale}: {origin}"]


def network_subject(request: MeasureRequest, device: torch.device) -> Subject:
    """A network by its name, with weights where they are given.

    Raises:
        InvalidInputError: what is wrong with the network, its weights or the data.
    """
    name, weights, shape = request.model, request.weights, vars(request.shape)
    pixels = {"pixel_mean": request.pixel_mean, "pixel_scale": request.pixel_scale}
    splits = load_splits(**vars(request.data))
    train, test = as_split_samples(splits)
    training = _standardised(train, pixels)
    tested = None if test is None else _standardised(test, pixels)
    model = build(name, input_shape=training.input_shape, classes=training.classes, **shape)
    if weights is not None:
        load_weights(model, weights)
    model.to(device)
    found = _chosen({"train": training, "test": tested}, request.split, str(request.data.data))
    notes = () if weights is not None else ("no `weights`: the network is as it was built",)
    return Subject(
        title=f"{name}, on {splits.train.name}",
        model=model,
        splits={split: _batches(some, model, request.measurement.batch_size) for split, some in found.items()},
        samples={split: len(some) for split, some in found.items()},
        classes=training.classes,
        layers=_own_layers(model),
        record={
            "network": {"name": name, "weights": None if weights is None else str(weights), **shape},
            "data": data_record(splits.describe(), training, tested).to_dict(),
        },
        notes=(*splits.train.notes, *notes, *_pixels_in_effect(training, given=pixels)),
        trained=weights is not None,
    )


def text_subject(request: MeasureRequest, device: torch.device) -> Subject:
    """Hidden states of an encoder, computed once; they are what a model of nothing but layers is given.

    Raises:
        InvalidInputError: what is wrong with the encoder or the texts.
    """
    name, longest, batch_size = request.model, request.longest, request.measurement.batch_size
    unused = ("vocabulary", "data_dir", "download", "size")
    train, test = load_text_splits(**{key: value for key, value in vars(request.data).items() if key not in unused})
    found = _chosen({"train": train, "test": test}, request.split, str(request.data.data))
    together = [text for texts in found.values() for text in texts.texts]
    encoded = encode_texts(
        together, name.removeprefix(TEXTS), batch_size=min(batch_size, 32), longest=longest, device=device
    )
    states, start = {}, 0
    for part, texts in found.items():
        states[part] = [layer[start : start + texts.samples] for layer in encoded]
        start += texts.samples
    return Subject(
        title=f"{name}, on {train.name}",
        model=GivenLayers(len(encoded) - 1),
        splits={part: GivenBatches(states[part], texts.y, size=batch_size) for part, texts in found.items()},
        samples={part: texts.samples for part, texts in found.items()},
        classes=train.classes,
        classifies=False,
        record={
            "network": {"name": name, "longest": longest, "features": "mean of the hidden states over tokens"},
            "data": {"name": train.name, "notes": list(train.notes), **train.provenance},
        },
        notes=train.notes,
    )
