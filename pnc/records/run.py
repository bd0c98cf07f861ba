"""`RunRecord`: what is known of a run; run.json holds it, with a format number."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pnc.curves import FIELDS, LayerCurve, json_ready
from pnc.errors import InvalidInputError
from pnc.records.folder import SUMS, found_folder, read_verified, software_versions
from pnc.records.jsons import Fields, parse_json, read_text
from pnc.spec import NetworkSpec

__all__ = [
    "FORMAT",
    "DataRecord",
    "NetworkRecord",
    "Pixels",
    "RunRecord",
    "SplitRecord",
    "current_record",
    "parse_record",
    "read_record",
    "read_run",
    "write_record",
]

FORMAT = 2
"""Of run.json. 1, which has no number: convergence only as the verdict's name, no request, no digests of the files."""

_USUAL_LIMIT = 0.95  # of the training accuracy; format 1 did not record it


@dataclass(frozen=True, kw_only=True)
class NetworkRecord:
    """A network of `pnc.nets.build` as it was built.

    Args:
        name: as given, the path of a file in it absolute.
        input_shape: of one sample.
        classes: K.
        width, depth, nonlinear, activation, batch_norm, bias, projection, initial, seed: as given to `build`.
        parameters: how many numbers are trained.
    """

    name: str
    input_shape: tuple[int, ...]
    classes: int
    width: int | None = None
    depth: int | None = None
    nonlinear: int | None = None
    activation: str | None = None
    batch_norm: bool | None = None
    bias: bool | None = None
    projection: int = 0
    initial: str = "default"
    seed: int = 0
    parameters: int | None = None

    @property
    def options(self) -> dict[str, Any]:
        """`build(**options)` gives a network of the same layers; the initial law is not among them."""
        return {key: value for key, value in vars(self).items() if key not in ("initial", "parameters")}

    @property
    def matrices(self) -> int | None:
        """L, with the layers of a projection head, which are weight matrices too; `None` where depth is not given."""
        return None if self.depth is None else self.depth + self.projection

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "input_shape": list(self.input_shape)}

    @classmethod
    def from_fields(cls, found: Fields) -> NetworkRecord:
        """From run.json.

        Raises:
            InvalidInputError: a field is missing or of another type.
        """
        return cls(
            name=found.take("name", str),
            input_shape=found.each("input_shape", int),
            classes=found.take("classes", int),
            **{key: found.get(key, int) for key in ("width", "depth", "nonlinear", "parameters")},
            activation=found.get("activation", str),
            **{key: found.get(key, bool) for key in ("batch_norm", "bias")},
            projection=found.get("projection", int) or 0,
            initial=found.get("initial", str) or "default",
            seed=found.get("seed", int) or 0,
        )


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Mean and standard deviation of the pixels / 255 of the training split, one number a channel each."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class DataRecord:
    """Labelled data: what they are, how to load them again, and what they were.

    Args:
        name: of the data.
        options: `pnc.data.load_splits(**options)` loads them again; empty where they cannot be.
        digests: split → digest of its samples, `None` where there is no such split.
        pixels: how pixels are standardised, `None` where the samples are no pixels.
        notes: what a reader of the numbers should know.
        origin: everything else that the loader says of them.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    digests: Mapping[str, str | None] = field(default_factory=dict)
    pixels: Pixels | None = None
    notes: tuple[str, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        pixels = None if self.pixels is None else {key: list(value) for key, value in vars(self.pixels).items()}
        return {
            **self.origin,
            "name": self.name,
            "options": dict(self.options),
            "digests": dict(self.digests),
            "pixels": pixels,
            "notes": list(self.notes),
        }

    @classmethod
    def from_fields(cls, found: Fields) -> DataRecord:
        """From run.json.

        Raises:
            InvalidInputError: a field is missing or of another type.
        """
        pixels = None
        if found.get("pixels", dict) is not None:
            each = found.within("pixels")
            pixels = Pixels(mean=each.each("mean", float), scale=each.each("scale", float))
        digests = found.within("digests")
        known = {field.name for field in fields(cls)}
        return cls(
            name=found.take("name", str),
            options=found.take("options", dict),
            digests={split: digests.get(split, str) for split in digests.data},
            pixels=pixels,
            notes=found.each("notes", str) if found.get("notes", list) is not None else (),
            origin={key: value for key, value in found.data.items() if key not in known},
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitRecord:
    """A trained network on one split.

    Args:
        curve: of its layers.
        loss: mean over the samples.
        accuracy: share of the samples.
        samples: N.
        laws: name → fit of the law, or `None`, as JSON has them.
    """

    curve: LayerCurve
    loss: float
    accuracy: float
    samples: int
    laws: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.curve.to_dict(),
            "loss": self.loss,
            "accuracy": self.accuracy,
            "samples": self.samples,
            "laws": dict(self.laws),
        }

    @classmethod
    def from_fields(cls, found: Fields) -> SplitRecord:
        """From run.json.

        Raises:
            InvalidInputError: a field is missing or of another type.
        """
        return cls(
            curve=LayerCurve.from_dict(found.data),
            loss=found.take("loss", float),
            accuracy=found.take("accuracy", float),
            samples=found.take("samples", int),
            laws=found.get("laws", dict) or {},
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class RunRecord:
    """What is known of a run.

    Args:
        command: which wrote it: `train`, `simulate`, `robustness`.
        converged: whether training reached its limit; `None` where nothing was trained.
        verdict: its name, or `None`.
        network: that was trained.
        data: that it was trained on, where they are labelled data in two splits.
        splits: name → what the network does there, the training split first.
        request: what was asked for, as `pnc.runs` takes it; `None` in folders of format 1.
        details: everything else, as JSON has it.
        software: versions.
        format: of the file that it was read from.
    """

    command: str
    converged: bool | None = None
    verdict: str | None = None
    network: NetworkRecord | NetworkSpec | None = None
    data: DataRecord | None = None
    splits: Mapping[str, SplitRecord] = field(default_factory=dict)
    request: Mapping[str, Any] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    software: Mapping[str, Any] = field(default_factory=software_versions)
    format: int = FORMAT

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; the curve of the training split stands at the top, as every command gives it."""
        train = self.splits.get("train")
        return json_ready(
            {
                **self.details,
                **({} if self.network is None else {"network": self.network.to_dict()}),
                **({} if self.data is None else {"data": self.data.to_dict()}),
                **({} if train is None else train.curve.to_dict()),
                **({"splits": {name: split.to_dict() for name, split in self.splits.items()}} if self.splits else {}),
                "command": self.command,
                "converged": self.converged,
                "verdict": self.verdict,
                "request": self.request,
                "software": self.software,
                "format": self.format,
            }
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, name: str) -> RunRecord:
        """The inverse of `to_dict`; what format 1 lacks is made up for.

        Args:
            data: of run.json.
            name: of the file, in errors.

        Raises:
            InvalidInputError: a format that this version does not know, a field that is missing or of another type.
        """
        found = Fields(current_record(data, name=name), name)
        command = found.take("command", str)
        typed = {field.name for field in fields(cls)}
        network: NetworkRecord | NetworkSpec | None = None
        record: DataRecord | None = None
        splits: dict[str, SplitRecord] = {}
        if command == "train":
            network = NetworkRecord.from_fields(found.within("network"))
            record = DataRecord.from_fields(found.within("data"))
            each = found.within("splits")
            order = sorted(each.data, key=lambda split: split != "train")  # JSON has sorted them
            splits = {split: SplitRecord.from_fields(each.within(split)) for split in order}
            typed |= {"layers", "provenance", *FIELDS}
        elif command == "simulate":
            network = _network_spec(found)
        else:
            typed -= {"network", "data", "splits"}
        return cls(
            command=command,
            converged=found.get("converged", bool),
            verdict=found.get("verdict", str),
            network=network,
            data=record,
            splits=splits,
            request=found.get("request", dict),
            details={key: value for key, value in found.data.items() if key not in typed},
            software=found.get("software", dict) or {},
            format=found.take("format", int),
        )


def _network_spec(found: Fields) -> NetworkSpec:
    inside = found.within("network")
    return NetworkSpec(
        depth=inside.take("depth", int),
        width=inside.get("width", int),
        residual_scale=inside.take("residual_scale", float),
        label_scale=inside.take("label_scale", float),
    )


def current_record(data: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """What a command wrote, in any format that this version knows, with the fields of the present one.

    Raises:
        InvalidInputError: a later format.
    """
    data = dict(data)
    version = data.get("format", 1)
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= FORMAT:
        raise InvalidInputError(
            got=f"{name} of format {repr(version)[:40]}",
            expected=f"a format up to {FORMAT}",
            next_step="read it with the version of pnc that wrote it, or a later one",
        )
    if version == 1:
        data |= {"format": 1, "converged": _converged_of_format_1(data)}
    return data


def _converged_of_format_1(data: Mapping[str, Any]) -> bool | None:
    """What format 1 says of convergence: by the verdict's name, unless another verdict had been given before that."""
    if isinstance(data.get("converged"), bool):
        return data["converged"]
    if isinstance(data.get("outcome"), str):  # of `pnc simulate`
        return data["outcome"] == "CONVERGED"
    if not isinstance(data.get("training"), dict):
        return None
    if data.get("verdict") == "DISAGREES":
        splits = data.get("splits")
        train = splits.get("train") if isinstance(splits, dict) else None
        accuracy = train.get("accuracy") if isinstance(train, dict) else None
        return accuracy >= _USUAL_LIMIT if isinstance(accuracy, int | float) else None
    return data.get("verdict") != "NOT_CONVERGED"


def parse_record(text: str, *, name: str) -> dict[str, Any]:
    """What a command wrote, with the fields of the present format.

    Raises:
        InvalidInputError: not one JSON object, or one of a later format.
    """
    return current_record(parse_json(text, name=name), name=name)


def read_record(path: str | Path) -> dict[str, Any]:
    """The JSON object of a file, or of the run.json of a folder, with the fields of the present format.

    Raises:
        InvalidInputError: nothing to read there, a run folder that was damaged, not one JSON object.
    """
    path = found_folder(path)
    file = read_verified(path, "run.json") if path.is_dir() else path
    return parse_record(read_text(file), name=str(file))


def read_run(folder: str | Path, *, command: str | None = None) -> RunRecord:
    """The record of a run folder.

    Args:
        folder: of the run.
        command: that has to have written it; `None`: any.

    Raises:
        InvalidInputError: no run folder, a damaged one, one of another command or of a later format.
    """
    folder = found_folder(folder)
    path = folder / "run.json"
    expected = f"a folder that `pnc {command or 'train'} --out` wrote"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            got=f"{path}, which cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8 text'})",
            expected=expected,
            next_step="check the path",
        ) from error
    read_verified(folder, "run.json")
    record = parse_json(text, name=str(path))
    found = record.get("command")
    if not isinstance(found, str) or command not in (None, found):
        raise InvalidInputError(
            got=f"{folder}, which holds a run of {found if isinstance(found, str) else 'something else'}",
            expected=expected,
            next_step="pass such a folder",
        )
    run = RunRecord.from_dict(record, name=str(path))
    if run.format > 1 and not (folder / SUMS).exists():
        read_verified(folder, "run.json", listed=True)  # says that the list of digests is missing
    return run


def write_record(folder: Path, record: RunRecord) -> None:
    """Write run.json into a folder that `new_folder` gave."""
    text = json.dumps(record.to_dict(), sort_keys=True, indent=1, allow_nan=False) + "\n"
    (folder / "run.json").write_text(text, encoding="utf-8")
