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
    "NetworkSpec",
    "NotApplicableError",
    "PncError",
    "Problem",
    "ProblemSpec",
    "SimulationSpec",
    "__version__",
]

_HOME = {
    "InvalidInputError": "pnc.errors",
    "LayerCurve": "pnc.curves",
    "NetworkSpec": "pnc.spec",
    "NotApplicableError": "pnc.errors",
    "PncError": "pnc.errors",
    "Problem": "pnc.data",
    "ProblemSpec": "pnc.spec",
    "SimulationSpec": "pnc.spec",
}
_ROOMS = (
    "cli",
    "compare",
    "curves",
    "data",
    "errors",
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
    from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec


def __getattr__(name: str) -> Any:
    if name == "TrainSpec":
        import pnc.spec

        return pnc.spec.TrainSpec  # warns
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"pnc.{name}")
    raise AttributeError(f"module 'pnc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS})
