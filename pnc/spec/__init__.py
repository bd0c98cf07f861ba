"""What to predict, simulate or train: frozen specs, validated once, at construction.

`ProblemSpec` says how synthetic data are drawn, `NetworkSpec` is all that the theory needs to know of a network besides
its data, `SimulationSpec` says how a deep linear network is trained, `TrainSpec` (`pnc.TrainSpec`) how any other one
is, `LowRankSpec` which of its layers are drawn into few dimensions. None of them holds an array, and importing them
loads neither NumPy nor torch: the command line reads its options from their fields.
"""

from __future__ import annotations

import warnings
from typing import Any

from pnc.spec.low_rank import LowRankSpec, Projection
from pnc.spec.problem import DataKind, NetworkSpec, ProblemSpec
from pnc.spec.simulation import Coordinates, Engine, InitialWeights, SimulationSpec
from pnc.spec.training import Loss, Optimiser, Precision, Schedule
from pnc.spec.variant import LinearLoss, SkipBlock, VariantSpec

__all__ = [
    "Coordinates",
    "DataKind",
    "Engine",
    "InitialWeights",
    "LinearLoss",
    "Loss",
    "LowRankSpec",
    "NetworkSpec",
    "Optimiser",
    "Precision",
    "ProblemSpec",
    "Projection",
    "Schedule",
    "SimulationSpec",
    "SkipBlock",
    "VariantSpec",
]


def __getattr__(name: str) -> Any:
    if name == "TrainSpec":
        warnings.warn(
            "pnc.spec.TrainSpec is now SimulationSpec; the old name goes with the next release. The spec of a "
            "network's training is pnc.TrainSpec",
            DeprecationWarning,
            stacklevel=2,
        )
        return SimulationSpec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
