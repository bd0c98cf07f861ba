"""What `pnc measure` measures: a run, a network or the hidden states of texts, with the batches of its splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnc.errors import InvalidInputError

if TYPE_CHECKING:
    from torch import nn

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


def _chosen(found: Mapping[str, Any], split: str | None, data: str) -> dict[str, Any]:
    """The splits that were asked for (`None`: those that there are) out of those that were found."""
    names = ("train", "test") if split in (None, "both") else (split,)
    kept = {name: found[name] for name in names if found.get(name) is not None}
    if split is not None and len(kept) < len(names):
        missing = next(name for name in names if name not in kept)
        raise InvalidInputError(
            got=f"--split {split} with {data}, which has no {missing} split",
            expected="a split that is there",
            next_step="leave out --split, or pass --test-data",
        )
    return kept


def _batches(samples: Any, model: nn.Module, size: int, *, channels_last: bool = False) -> Any:
    import torch

    parameter = next(model.parameters(), torch.empty(0))
    return samples.to(parameter.device).batches(size, dtype=parameter.dtype, channels_last=channels_last)


def _own_layers(model: nn.Module) -> list[str] | None:
    """The blocks that a network names, without its classifier, whose outputs are no features."""
    return list(getattr(model, "block_names", ()))[:-1] or None


def run_subject(
    folder: Path,
    data: str | None,
    options: Mapping[str, Any],
    split: str | None,
    *,
    batch_size: int,
    device: Any,
    trust_code: bool = False,
) -> Subject:
    """A run of `pnc train`, on its own data or on others."""
    from pnc.data import load_splits
    from pnc.data.text import TEXT_SUFFIXES
    from pnc.train import load_run

    run = load_run(folder, trust_code=trust_code)
    if data is None:
        found = _chosen({name: run.load_split(name) for name in ("train", "test")}, split, str(folder))
        source = run.data.to_dict()
    else:
        if Path(data).suffix.lower() in TEXT_SUFFIXES:
            raise InvalidInputError(
                got=f"--data {data} with a run folder",
                expected="images or a problem file: tf-idf features belong to the texts that they were fitted to",
                next_step="train with these texts as --test-data",
            )
        splits = load_splits(data, **options)
        found = _chosen({"train": splits.train, "test": splits.test}, split, data)
        found = {name: run.take(some, name=f"the {name} split of {data}") for name, some in found.items()}
        source = splits.describe()
    model = run.model.to(device)
    return Subject(
        title=f"{run.name} of {folder}, on {source['name']}",
        model=model,
        splits={
            split: _batches(samples, model, batch_size, channels_last=run.spec.channels_last)
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


def _standardised(samples: Any, options: Mapping[str, str | None]) -> Any:
    """Samples with another mean or scale of their pixels, where one is given: that of the training of the weights."""
    from dataclasses import replace

    import torch

    given = {}
    for option, text in options.items():
        if samples is None or text is None:
            continue
        flag = "--" + option.replace("_", "-")
        if samples.mean is None:
            raise InvalidInputError(
                got=f"{flag} with data that are no pixels",
                expected=f"{flag} only with images",
                next_step=f"leave out {flag}",
            )
        channels = samples.mean.numel()
        try:
            numbers = torch.tensor([float(part) for part in text.split(",")], dtype=torch.float64)
        except ValueError:
            numbers = torch.tensor([torch.nan])
        positive = option != "pixel_scale" or bool((numbers > 0).all())
        if numbers.numel() not in (1, channels) or not bool(torch.isfinite(numbers).all()) or not positive:
            raise InvalidInputError(
                got=f"{flag} {text}",
                expected=f"a number, or {channels} with commas between them" + ("" if positive else ", above 0"),
                next_step=f"pass for instance {flag} 0.5",
            )
        given[option.removeprefix("pixel_")] = numbers.expand(channels)
    return replace(samples, **given) if given else samples


def network_subject(
    name: str,
    weights: Path | None,
    shape: Mapping[str, Any],
    data: str,
    options: Mapping[str, Any],
    split: str | None,
    *,
    pixels: Mapping[str, str | None],
    batch_size: int,
    device: Any,
) -> Subject:
    """A network by its name, with weights where they are given."""
    from pnc.data import load_splits
    from pnc.nets import build
    from pnc.train import as_split_samples, data_record, load_weights

    splits = load_splits(data, **options)
    samples = dict(zip(("train", "test"), as_split_samples(splits), strict=True))
    samples = {split: _standardised(some, pixels) for split, some in samples.items()}
    training = samples["train"]
    model = build(name, input_shape=training.input_shape, classes=training.classes, **shape)
    if weights is not None:
        load_weights(model, weights)
    model.to(device)
    found = _chosen(samples, split, data)
    notes = () if weights is not None else ("no --weights: the network is as it was built",)
    return Subject(
        title=f"{name}, on {splits.train.name}",
        model=model,
        splits={split: _batches(some, model, batch_size) for split, some in found.items()},
        samples={split: len(some) for split, some in found.items()},
        classes=training.classes,
        layers=_own_layers(model),
        record={
            "network": {"name": name, "weights": None if weights is None else str(weights), **shape},
            "data": data_record(splits.describe(), *samples.values()).to_dict(),
        },
        notes=(*splits.train.notes, *notes),
    )


def text_subject(
    name: str,
    data: str,
    options: Mapping[str, Any],
    split: str | None,
    *,
    batch_size: int,
    longest: int,
    device: Any,
) -> Subject:
    """Hidden states of an encoder, computed once; they are what a model of nothing but layers is given."""
    from pnc.data import load_text_splits
    from pnc.measure.model.saved_features import GivenBatches, GivenLayers
    from pnc.nets import encode_texts

    loaded = {key: value for key, value in options.items() if key not in ("vocabulary", "data_dir", "download")}
    train, test = load_text_splits(data, **loaded)
    found = _chosen({"train": train, "test": test}, split, data)
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
