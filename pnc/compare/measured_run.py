"""`MeasuredRun`: the curve in a run folder or in what a command printed, and what is known of how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError

__all__ = ["MeasuredRun", "is_prediction"]


def is_prediction(record: Mapping[str, Any]) -> bool:
    """Whether a record is a prediction of theory: what `pnc predict --json` prints.

    >>> is_prediction({"provenance": {"kind": "theory"}}), is_prediction({"provenance": {"source": "measured"}})
    (True, False)
    """
    provenance = record.get("provenance")
    return isinstance(provenance, Mapping) and provenance.get("kind") == "theory"


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredRun:
    """One measured curve.

    Args:
        name: where it was read from.
        curve: of the split.
        depth: L, with the layers of a projection head, or `None` where the record does not say.
        label_scale: α; 1 where the record does not say, or for cross-entropy, which has none.
        converged: whether training reached its limit; `None` where the record does not say.
        reason: why it has not, in numbers.
        notes: what a reader of the numbers should know.
        recipe: network, data, training and low-rank layers as far as the record says; seeds share all but the seed.
        parts: of the verdict that `pnc train` recorded, without the last, which is whether the curves are straight.
    """

    name: str
    curve: LayerCurve
    depth: int | None = None
    label_scale: float = 1.0
    converged: bool | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def from_record(cls, record: Mapping[str, Any], *, name: str, split: str = "train") -> MeasuredRun:
        """The curve of a split in what `pnc train`, `pnc measure` or `pnc simulate` wrote.

        Raises:
            InvalidInputError: a prediction, a record without curve, or without that split.
        """
        if is_prediction(record):
            raise InvalidInputError(
                got=f"{name}: a prediction",
                expected="measured curves",
                next_step="give `pnc compare predicted.json measured.json`",
            )
        comparison = record.get("comparison")  # the run folder of `pnc simulate`
        if "compression" not in record and isinstance(comparison, Mapping):
            record = {**record, **_within(comparison, "measured")}
        splits = record.get("splits")
        chosen: Mapping[str, Any] = record
        if isinstance(splits, Mapping) and isinstance(splits.get(split), Mapping):
            chosen = splits[split]
        elif split != (_within(record, "provenance").get("split") or "train"):
            raise InvalidInputError(
                got=f"{name}: no split {split!r}",
                expected=f"one of {', '.join(splits)}" if isinstance(splits, Mapping) and splits else "no `split`",
                next_step="choose one that was measured",
            )
        curve = LayerCurve.from_dict(chosen)
        notes: list[str] = []
        spec = _within(record, "training", "spec")
        network = _within(record, "network") or _within(record, "provenance", "network")
        depth, head = network.get("depth"), network.get("projection")  # layers of a projection head are of L too
        if isinstance(depth, int) and isinstance(head, int):
            depth += head
        scale = spec.get("label_scale", network.get("label_scale"))
        if spec.get("loss", "mse") != "mse":
            notes.append(f"trained with {spec['loss']}, which has no label scale: ε_eff is stated for α = 1")
            scale = 1.0
        said = curve.origin.converged
        converged, reason = record.get("converged") if said is None else said, None
        if "training" in record:
            converged = record.get("converged")
            accuracy = _within(record, "splits", "train").get("accuracy")
            if converged is False and isinstance(accuracy, float):
                reason = f"training accuracy {accuracy:.2%}"
        return cls(
            name=name,
            curve=curve,
            depth=depth if isinstance(depth, int) else None,
            label_scale=float(scale) if isinstance(scale, int | float) else 1.0,
            converged=converged if isinstance(converged, bool) else None,
            reason=reason,
            notes=tuple(notes),
            recipe=_recipe(record),
            parts=_parts(record),
        )


def _parts(record: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    found = record.get("parts")
    known = [part for part in found if isinstance(part, Mapping)] if isinstance(found, list) else []
    told = [part for part in known if all(isinstance(part.get(name), str) for name in ("name", "outcome", "told"))]
    return tuple(part for part in told if part["name"] != "straight line")


def _recipe(record: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be alike in trainings that count as seeds of one network; where files lie does not."""
    data = _within(record, "data")
    options = {key: value for key, value in _within(data, "options").items() if key not in ("data_dir", "download")}
    found = {
        "network": dict(_within(record, "network")),
        "data": {"name": data.get("name"), **options} if data else {},
        "training": dict(_within(record, "training", "spec")),
        "low_rank": dict(_within(record, "training", "low_rank", "spec")),
    }
    return {name: part for name, part in found.items() if part}


def _within(record: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """A nested object, or an empty one."""
    found: object = record
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
