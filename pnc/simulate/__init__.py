"""Simulation: deep linear networks on torch. Importing it loads torch.

| statement | what | file |
|---|---|---|
| Y2 | initial weights and the exact reduction | `initial` |
| Y4 | the directions that training moves | `krylov` |
| Y5 | a flow of any depth as that of two matrices; its curves | `balanced`, `powers` |
| Y3 | economical data; gradient at K vectors a layer | `economical`, `networks` |
| | full-batch descent; gradient flow | `train`, `flow` |
| | a step recorded and replayed, on CUDA | `graph` |
| | curves along training | `history` |
| V1–V5, E1–E4 | weight decay and cross-entropy | `regularised` |
| | how a run ended | `outcome` |
| | all of it | `run` |
| | many runs together | `batch` |
| R1–R8 | residual networks, the step extrapolated to 0 | `residual` |
| A1–A3 | the assumptions on the full matrices | `full_checks` |
"""

from pnc.callable_room import make_callable
from pnc.simulate.batch import simulate_batch
from pnc.simulate.full_checks import FullChecks, full_checks
from pnc.simulate.history import History
from pnc.simulate.outcome import Outcome
from pnc.simulate.regularised import RegularisedSimulation, simulate_regularised
from pnc.simulate.regularised_residual import simulate_regularised_residual
from pnc.simulate.residual import ResidualSimulation, simulate_residual
from pnc.simulate.run import Simulation, UsedCoordinates, initial_weights, simulate
from pnc.simulate.train import Progress

__all__ = [
    "FullChecks",
    "History",
    "Outcome",
    "Progress",
    "RegularisedSimulation",
    "ResidualSimulation",
    "Simulation",
    "UsedCoordinates",
    "full_checks",
    "initial_weights",
    "simulate",
    "simulate_batch",
    "simulate_regularised",
    "simulate_regularised_residual",
    "simulate_residual",
]

make_callable(__name__, simulate)
