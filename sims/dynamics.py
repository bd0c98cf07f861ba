"""Training curves: C_l(t), D_l(t) and the plateau, predicted by Y1 beside simulated; a figure and an animation.

    python -m sims.dynamics --scale paper

Nearly orthonormal data (θ = 0.5), gradient flow of a wide deep linear network from orthogonal initial weights, against
two predictions without free parameters: balanced, aligned weights (the classical answer), and the unaligned weights of
a wide network as they are (theory note, Y1).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from pnc.data import Problem, draw
from pnc.report import dynamics_animation, dynamics_figure, shown_times
from pnc.simulate import History, simulate
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec
from pnc.theory import plateau_time, predict_dynamics

from .common import Scale, command, save

__all__ = ["reproduce"]


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Curves of one run along training, and plateau times of several depths."""
    depth, width, points = {"smoke": (4, 300, 60), "paper": (5, 3000, 300), "full": (6, 30_000, 600)}[scale]
    depths = {"smoke": (3, 4), "paper": (2, 3, 4, 5, 6), "full": (2, 3, 4, 5, 6, 7, 8)}[scale]
    problem = draw(ProblemSpec(theta=0.5))
    network = NetworkSpec(depth=depth, width=width, residual_scale=0.3)
    history = _recorded(problem, network, points)
    grid = shown_times(history, points=400)
    predicted, aligned = (predict_dynamics(problem, network, grid, aligned=a) for a in (False, True))
    figure = dynamics_figure(history, predicted, aligned)

    plateaus, white = {}, draw(ProblemSpec(kind="orthonormal"))
    for L in depths:
        found = _recorded(white, NetworkSpec(depth=L, width=width, residual_scale=0.1), 400)
        half = float(np.interp(-0.25, -found.loss, found.time))  # half of every signal direction is learned
        times = [plateau_time(np.sqrt(10), depth=L, start=0.1, samples=30, aligned=a) for a in (True, False)]
        plateaus[L] = {
            "simulated": half,
            "aligned": times[0],
            "unaligned": times[1],
            "simulated_over_aligned": half / times[0],
            "simulated_over_unaligned": half / times[1],
        }
    at = np.interp(grid, history.time, history.loss)
    summary = {
        "plateau": plateaus,
        "largest_loss_difference_unaligned": float(np.abs(predicted.loss - at).max()),
        "largest_loss_difference_aligned": float(np.abs(aligned.loss - at).max()),
    }
    result = save(out, "dynamics", figure, summary)
    frames = {"smoke": 12, "paper": 80, "full": 120}[scale]
    dynamics_animation(out / "dynamics.gif", history, predicted, frames=frames)
    return result


def _recorded(problem: Problem, network: NetworkSpec, points: int) -> History:
    """What a training by gradient flow went through, at so many points."""
    history = simulate(problem, network, SimulationSpec(device="cpu", record=points)).history
    assert history is not None  # points were asked for
    return history


if __name__ == "__main__":
    sys.exit(command(reproduce, "dynamics"))
