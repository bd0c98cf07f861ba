"""`pnc`: what each layer of a deep network does to its classes, theory held against experiment.

    spec → data → (simulate | load) → measure → LayerCurve ─┐
    spec → data → theory ────────────────────→ LayerCurve ─┴→ compare → Verdict → report

The names below load what they need when they are first used; `import pnc` itself loads neither NumPy nor torch.
Functions live in the rooms: `pnc.data.draw`, `pnc.theory.bounds`, `pnc.measure.measure_features`,
`pnc.report.write_run`. What each room is for is the room itself, called: `pnc.predict(problem, network)`,
`pnc.simulate(problem, network)`, `pnc.train(model, samples, spec)`, `pnc.measure(model, loader)`,
`pnc.compare(predicted, measured)`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "InvalidInputError",
    "LayerCurve",
    "LowRankSpec",
    "NetworkSpec",
    "NotApplicableError",
    "PncError",
    "Problem",
    "ProblemSpec",
    "SimulationSpec",
    "TrainSpec",
    "__version__",
    "predict",
]

_HOME = {
    "InvalidInputError": "pnc.errors",
    "LayerCurve": "pnc.curves",
    "LowRankSpec": "pnc.spec",
    "NetworkSpec": "pnc.spec",
    "NotApplicableError": "pnc.errors",
    "PncError": "pnc.errors",
    "predict": "pnc.theory",
    "Problem": "pnc.data",
    "ProblemSpec": "pnc.spec",
    "SimulationSpec": "pnc.spec",
    "TrainSpec": "pnc.spec.training",
}
_ROOMS = (
    "callbacks",
    "choose",
    "cli",
    "compare",
    "curves",
    "data",
    "errors",
    "fields",
    "measure",
    "nets",
    "records",
    "report",
    "robust",
    "runs",
    "simulate",
    "spec",
    "sweep",
    "theory",
    "train",
)

if TYPE_CHECKING:
    from types import ModuleType

    from pnc.choose import choose_layer as _choose
    from pnc.compare import compare as _compare
    from pnc.curves import LayerCurve
    from pnc.data import Problem
    from pnc.errors import InvalidInputError, NotApplicableError, PncError
    from pnc.measure import measure as _measure
    from pnc.simulate import simulate as _simulate
    from pnc.spec import LowRankSpec, NetworkSpec, ProblemSpec, SimulationSpec
    from pnc.spec.training import TrainSpec
    from pnc.theory import predict
    from pnc.train import train as _train

    # rooms that are called; `pnc.callable_room` makes them so
    class _Choose(ModuleType):
        __call__ = staticmethod(_choose)

    class _Compare(ModuleType):
        __call__ = staticmethod(_compare)

    class _Measure(ModuleType):
        __call__ = staticmethod(_measure)

    class _Simulate(ModuleType):
        __call__ = staticmethod(_simulate)

    class _Train(ModuleType):
        __call__ = staticmethod(_train)

    choose: _Choose
    compare: _Compare
    measure: _Measure
    simulate: _Simulate
    train: _Train


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"pnc.{name}")
    raise AttributeError(f"module 'pnc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS})
