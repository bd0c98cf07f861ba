"""`pnc`: what each layer of a deep network does to its classes, theory held against experiment.

    spec → data → (simulate | load) → measure → LayerCurve ─┐
    spec → data → theory ────────────────────→ LayerCurve ─┴→ compare → Verdict → report

The names below load what they need when they are first used; `import pnc` itself loads neither NumPy nor torch.
Functions live in the rooms: `pnc.data.draw`, `pnc.theory.predict`, `pnc.simulate.simulate`,
`pnc.measure.measure_features`, `pnc.compare.compare`, `pnc.report.write_run`. `pnc.measure(model, loader)` measures
every layer of a torch model.
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
]

_HOME = {
    "InvalidInputError": "pnc.errors",
    "LayerCurve": "pnc.curves",
    "LowRankSpec": "pnc.spec",
    "NetworkSpec": "pnc.spec",
    "NotApplicableError": "pnc.errors",
    "PncError": "pnc.errors",
    "Problem": "pnc.data",
    "ProblemSpec": "pnc.spec",
    "SimulationSpec": "pnc.spec",
    "TrainSpec": "pnc.spec.training",
}
_ROOMS = (
    "choose",
    "cli",
    "compare",
    "curves",
    "data",
    "errors",
    "fields",
    "measure",
    "nets",
    "report",
    "robust",
    "simulate",
    "spec",
    "sweep",
    "theory",
    "train",
)

if TYPE_CHECKING:
    from pnc.curves import LayerCurve
    from pnc.data import Problem
    from pnc.errors import InvalidInputError, NotApplicableError, PncError
    from pnc.spec import LowRankSpec, NetworkSpec, ProblemSpec, SimulationSpec
    from pnc.spec.training import TrainSpec


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"pnc.{name}")
    raise AttributeError(f"module 'pnc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS})
