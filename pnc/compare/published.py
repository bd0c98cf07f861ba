"""Curves that are kept with the package: measured here with their provenance, or facts that others published."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from pnc.compare.measured_run import MeasuredRun
from pnc.fields import nearest

__all__ = ["PREFIX", "PublishedCurves", "published_curves", "published_names"]

PREFIX = "published:"
_FOLDER = files("pnc.compare") / "kept"


@dataclass(frozen=True, kw_only=True)
class PublishedCurves:
    """Runs of one network, seed by seed.

    Args:
        name: by which `published_curves` finds them.
        about: what they are of, in a sentence.
        source: where the numbers are from.
        records: of each run what `MeasuredRun.from_record` reads; numbers that were not published are null.
    """

    name: str
    about: str
    source: str
    records: Sequence[Mapping[str, Any]]

    def runs(self, split: str = "train") -> list[MeasuredRun]:
        """The curves of a split.

        Raises:
            InvalidInputError: a split that is not there.
        """
        label = f"{PREFIX}{self.name}"
        names = [f"{label}, seed {seed}" for seed in range(len(self.records))] if len(self.records) > 1 else [label]
        note = f"{label}: {self.about}; {self.source}"
        runs = [
            MeasuredRun.from_record(record, name=name, split=split)
            for name, record in zip(names, self.records, strict=True)
        ]
        return [replace(run, notes=(note, *run.notes)) for run in runs]


def published_names() -> list[str]:
    """The names of all that is kept.

    >>> "resnet-20-cifar-10" in published_names()
    True
    """
    return sorted(entry.name.removesuffix(".json") for entry in _FOLDER.iterdir() if entry.name.endswith(".json"))


def published_curves(name: str) -> PublishedCurves:
    """What is kept under a name.

    Raises:
        InvalidInputError: no such name, with the nearest one.

    >>> published_curves("resnet-20-cifar-10").runs()[0].curve.separation_fuzziness[0].item()
    2610.7
    """
    names = published_names()
    if name not in names:
        raise nearest("published curve", name, names)
    found = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return PublishedCurves(name=name, about=found["about"], source=found["source"], records=found["records"])
