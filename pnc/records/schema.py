"""JSON schemas of what commands print with `--json`, and of run.json; one version for all, that of run.json."""

from __future__ import annotations

from typing import Any

from pnc.curves import FIELDS, QUANTITIES
from pnc.errors import InvalidInputError
from pnc.records.run import FORMAT

__all__ = ["SCHEMAS", "schema"]

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXTS: Schema = {"type": "array", "items": {"type": "string"}}
_NUMBER: Schema = {"type": ["number", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_SHARE: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_LAYERS: Schema = {"type": "array", "items": _COUNT, "minItems": 1}
_VERDICT: Schema = {
    "enum": [
        "AGREES", "DISAGREES", "NOT_CONVERGED", "BELOW_NOISE", "ASSUMPTION_VIOLATED", "FOLLOWS", "DEPARTS", "UNDECIDED",
        "MASKED", None,
    ]
}  # fmt: skip


def _each(item: Schema, text: str = "") -> Schema:
    return {"type": "array", "items": item, **({"description": text} if text else {})}


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {"type": "object", "required": sorted(required), "properties": {**required, **(optional or {})}}


_QUANTITIES = {
    name: _each(_NUMBER, f"{QUANTITIES[name][0]}; unit: {QUANTITIES[name][1]}; one a layer") for name in FIELDS
}
_CURVE = _object({"layers": _LAYERS, **_QUANTITIES, "provenance": {"type": "object"}})
_INTERVALS = _object({"lower": _each(_NUMBER), "upper": _each(_NUMBER)})
_BOUNDS: Schema = {
    "anyOf": [
        _object({"layers": _LAYERS, "compression": _INTERVALS, "discrimination": _INTERVALS}),
        {"type": "null"},
    ]
}
_LAW = _object({"outcome": {"enum": ["followed", "not followed", "not tested"]}, "reason": {"type": "string"}})
_COMPARISON: Schema = {
    "allOf": [
        _CURVE,
        _object(
            {
                "predicted": _CURVE, "measured": _CURVE, "bounds": _BOUNDS, "certificate": _BOUNDS,
                "relative_error": _each(_NUMBER, "C measured over predicted, less 1"),
                "discrimination_error": _each(_NUMBER, "1 - D measured, less predicted"),
                "laws": _object({"geometric": _LAW, "linear": _LAW}), "verdict": _VERDICT, "reasons": _TEXTS,
                "notes": _TEXTS, "advice": {"type": "string"},
            }
        ),
    ]
}  # fmt: skip
_FOLLOWING = _object({"verdict": _VERDICT, "reasons": _TEXTS, "advice": {"type": "string"}, "notes": _TEXTS})
_SPLITS: Schema = {"type": "object", "additionalProperties": _CURVE, "minProperties": 1}
_PER_LAYER = {"layers": _LAYERS, "names": _TEXTS, "compression": _each(_NUMBER), "discrimination": _each(_NUMBER)}
_ACCURACY = _object({"accuracy": _SHARE, "interval": _each(_SHARE), "samples": _COUNT})
_KEPT = _object({"dimensions": _COUNT, "factor": _NUMBER, "variance": _NUMBER, "own_accuracy": _SHARE})

SCHEMAS: dict[str, Schema] = {
    "predict": _CURVE,
    "simulate": {
        "allOf": [_COMPARISON, _object({"outcome": {"type": "string"}, "loss": _NUMBER, "steps": _COUNT})]
    },
    "train": {"allOf": [_CURVE, _object({"splits": _SPLITS, "training": {"type": "object"}, "verdict": _VERDICT})]},
    "measure": {"allOf": [_CURVE, _object({"verdict": _VERDICT}, {"splits": _SPLITS, "notes": _TEXTS})]},
    "compare": {"anyOf": [_COMPARISON, _FOLLOWING]},
    "choose": _object(
        {
            **_PER_LAYER, "criterion": _each(_SHARE), "standard_error": _each(_NUMBER), "best": _COUNT,
            "ties": _each(_COUNT), "samples": _COUNT, "notes": _TEXTS, "title": {"type": "string"},
        }
    ),
    "tail": _object(
        {
            **_PER_LAYER, "accuracy": _each(_SHARE), "cost": _each(_NUMBER), "interval": _each(_each(_NUMBER)),
            "whole_accuracy": _SHARE, "earliest": {"type": ["integer", "null"]}, "limit": _NUMBER, "notes": _TEXTS,
        }
    ),
    "compress": _object(
        {
            "site": {"type": "string"}, "dimension": _COUNT, "classes": _COUNT, "kept": _each(_KEPT), "whole": _KEPT,
            "compression": _NUMBER, "bounds": {"type": "object"}, "notes": _TEXTS,
        }
    ),
    "robustness": _object(
        {"clean": _ACCURACY, "attacks": _each(_ACCURACY), "noise": _each(_ACCURACY), "verdict": _VERDICT}
    ),
    "sweep": _object(
        {
            "folder": {"type": "string"}, "runs": _COUNT, "sizes": {"type": "object", "additionalProperties": _COUNT},
            "outcome": {"type": "object", "additionalProperties": _COUNT},
            "verdict": {"type": "object", "additionalProperties": _COUNT},
        }
    ),
    "cite": _object({"keys": _TEXTS, "bibtex": _TEXTS}),
    "run": _object(
        {
            "command": {"type": "string"}, "format": {"const": FORMAT}, "converged": {"type": ["boolean", "null"]},
            "verdict": _VERDICT, "request": {"type": ["object", "null"]}, "software": {"type": "object"},
        },
        {"splits": _SPLITS},
    ),
}  # fmt: skip
"""Command, or `run` for run.json → what its JSON has at least; further fields may be there."""


def schema(name: str) -> Schema:
    """The JSON schema (draft 2020-12) of what a command prints with `--json`, or of run.json.

    Args:
        name: of the command, or `run`.

    Raises:
        InvalidInputError: a command without a schema.

    >>> schema("choose")["title"]
    'pnc choose --json, version 2'
    """
    if name not in SCHEMAS:
        raise InvalidInputError(
            got=f"`name={name}`", expected=f"one of {', '.join(SCHEMAS)}", next_step="pass for instance `name=measure`"
        )
    title = "run.json" if name == "run" else f"pnc {name} --json"
    return {"$schema": _DIALECT, "title": f"{title}, version {FORMAT}", "version": FORMAT, **SCHEMAS[name]}
