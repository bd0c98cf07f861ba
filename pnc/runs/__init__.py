"""What the commands do, as functions: from a request to a result and, where it is asked for, a run folder.

Nothing here prints. A request is a frozen dataclass of plain values (`pnc.runs.requests`); what a function returns has
`to_dict()`, the JSON that the command prints, and `exit_status`. The names load what they need when they are first
used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pnc.runs.requests import (
        AttackRequest,
        CompressRequest,
        DataSource,
        MeasurementSpec,
        MeasureRequest,
        NetworkSource,
        ProblemSource,
        SimulateRequest,
        TrainRequest,
    )
    from pnc.runs.training import LabelledData, TrainResult, load_labelled, read_training, train_and_measure

__all__ = [
    "AttackRequest",
    "CompressRequest",
    "DataSource",
    "LabelledData",
    "MeasureRequest",
    "MeasurementSpec",
    "NetworkSource",
    "ProblemSource",
    "SimulateRequest",
    "TrainRequest",
    "TrainResult",
    "load_labelled",
    "read_training",
    "train_and_measure",
]

_TRAINING = ("LabelledData", "TrainResult", "load_labelled", "read_training", "train_and_measure")
_HOME = {name: "requests" for name in __all__} | dict.fromkeys(_TRAINING, "training")


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"pnc.runs.{_HOME[name]}"), name)
    raise AttributeError(f"module 'pnc.runs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
