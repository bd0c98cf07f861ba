"""What the commands do, as functions: from a request to a result and, where it is asked for, a run folder.

Nothing here prints. A request is a frozen dataclass of plain values (`pnc.runs.requests`); what a function returns has
`to_dict()`, the JSON that the command prints, and `exit_status`. The names load what they need when they are first
used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pnc.runs.attack import AttackResult, attack_network
    from pnc.runs.compression import CompressResult, compress_layer
    from pnc.runs.decisions import ChooseResult, TailResult, choose_for, cut_for
    from pnc.runs.initialisation import InitialComparison, InitialLaw, compare_initialisation, predict_network
    from pnc.runs.measurement import MeasureResult, measure_subject
    from pnc.runs.requests import (
        AttackRequest,
        ChooseRequest,
        CompressRequest,
        DataSource,
        InitialSource,
        MeasurementSpec,
        MeasureRequest,
        NetworkShape,
        NetworkSource,
        ProblemSource,
        SimulateRequest,
        TailRequest,
        TrainRequest,
    )
    from pnc.runs.simulation import SimulateResult, simulate_and_compare
    from pnc.runs.tail_law import TailLaw, hold_linear_tail
    from pnc.runs.training import LabelledData, TrainResult, load_labelled, read_training, train_and_measure
    from pnc.runs.variant import VariantResult, simulate_variant

__all__ = [
    "AttackRequest",
    "AttackResult",
    "ChooseRequest",
    "ChooseResult",
    "CompressRequest",
    "CompressResult",
    "DataSource",
    "InitialComparison",
    "InitialLaw",
    "InitialSource",
    "LabelledData",
    "MeasureRequest",
    "MeasureResult",
    "MeasurementSpec",
    "NetworkShape",
    "NetworkSource",
    "ProblemSource",
    "SimulateRequest",
    "SimulateResult",
    "TailLaw",
    "TailRequest",
    "TailResult",
    "TrainRequest",
    "TrainResult",
    "VariantResult",
    "attack_network",
    "choose_for",
    "compare_initialisation",
    "compress_layer",
    "cut_for",
    "hold_linear_tail",
    "load_labelled",
    "measure_subject",
    "predict_network",
    "read_training",
    "simulate_and_compare",
    "simulate_variant",
    "train_and_measure",
]

_HOME = {
    "AttackResult": "attack",
    "ChooseResult": "decisions",
    "CompressResult": "compression",
    "InitialComparison": "initialisation",
    "InitialLaw": "initialisation",
    "LabelledData": "training",
    "MeasureResult": "measurement",
    "SimulateResult": "simulation",
    "TailLaw": "tail_law",
    "TailResult": "decisions",
    "TrainResult": "training",
    "VariantResult": "variant",
    "attack_network": "attack",
    "choose_for": "decisions",
    "compare_initialisation": "initialisation",
    "compress_layer": "compression",
    "cut_for": "decisions",
    "hold_linear_tail": "tail_law",
    "load_labelled": "training",
    "measure_subject": "measurement",
    "predict_network": "initialisation",
    "read_training": "training",
    "simulate_and_compare": "simulation",
    "simulate_variant": "variant",
    "train_and_measure": "training",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"pnc.runs.{_HOME.get(name, 'requests')}"), name)
    raise AttributeError(f"module 'pnc.runs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
