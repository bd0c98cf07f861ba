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

from pnc.data import draw
from pnc.simulate import simulate
from pnc.spec import NetworkSpec, ProblemSpec, TrainSpec
from pnc.theory import plateau_time, predict_dynamics
from sims.common import Scale, command, new_figure, save

__all__ = ["reproduce"]

_COLOURS = ("#5d6d7e", "#1f4e79", "#2e86ab", "#27632a", "#b9770e", "#c0392b", "#7d3c98", "#444444")


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Curves of one run along training, and plateau times of several depths."""
    depth, width, points = {"smoke": (4, 300, 60), "paper": (5, 3000, 300), "full": (6, 30_000, 600)}[scale]
    depths = {"smoke": (3, 4), "paper": (2, 3, 4, 5, 6), "full": (2, 3, 4, 5, 6, 7, 8)}[scale]
    problem = draw(ProblemSpec(theta=0.5))
    network = NetworkSpec(depth=depth, width=width, residual_scale=0.3)
    history = simulate(problem, network, TrainSpec(device="cpu", record=points)).history
    end = history.time[np.argmax(history.loss < 1e-6)]
    shown = history.time <= 1.3 * end
    time, C, D, loss = (getattr(history, n)[shown] for n in ("time", "compression", "discrimination", "loss"))
    grid = np.linspace(0, time[-1], 400)
    predicted, aligned = (predict_dynamics(problem, network, grid, aligned=a) for a in (False, True))

    figure, (left, middle, right) = new_figure(3)
    for l in range(depth):
        left.plot(grid, predicted.compression[:, l], "-", color=_COLOURS[l], lw=1.2)
        left.plot(time, C[:, l], "o", ms=2.5, color=_COLOURS[l], label=f"layer {l}")
        middle.plot(grid, predicted.discrimination[:, l], "-", color=_COLOURS[l], lw=1.2)
        middle.plot(time, D[:, l], "o", ms=2.5, color=_COLOURS[l])
    right.plot(grid, predicted.loss, "k-", lw=1.2, label="Y1, unaligned")
    right.plot(grid, aligned.loss, "k:", lw=1.2, label="Y1, aligned")
    right.plot(time, loss, "o", ms=2.5, color="#c0392b", label="simulated")
    left.set_yscale("log")
    for panel, name in ((left, "$C_l(t)$"), (middle, "$D_l(t)$"), (right, "loss, share of its start")):
        panel.set_xlabel("flow time $t$")
        panel.set_title(name, fontsize=10)
    left.legend(frameon=False, fontsize=7)
    right.legend(frameon=False, fontsize=8)

    plateaus, white = {}, draw(ProblemSpec(kind="orthonormal"))
    for L in depths:
        found = simulate(
            white, NetworkSpec(depth=L, width=width, residual_scale=0.1), TrainSpec(device="cpu", record=400)
        ).history
        half = float(np.interp(-0.25, -found.loss, found.time))  # half of every signal direction is learned
        times = [plateau_time(np.sqrt(10), depth=L, start=0.1, samples=30, aligned=a) for a in (True, False)]
        plateaus[L] = {
            "simulated": half,
            "aligned": times[0],
            "unaligned": times[1],
            "simulated_over_aligned": half / times[0],
            "simulated_over_unaligned": half / times[1],
        }
    at = np.interp(grid, time, loss)
    summary = {
        "plateau": plateaus,
        "largest_loss_difference_unaligned": float(np.abs(predicted.loss - at).max()),
        "largest_loss_difference_aligned": float(np.abs(aligned.loss - at).max()),
    }
    result = save(out, "dynamics", figure, summary)
    _animate(out / "dynamics.gif", time, C, D, grid, predicted, frames={"smoke": 12, "paper": 80, "full": 120}[scale])
    return result


def _animate(path: Path, time: Any, C: Any, D: Any, grid: Any, predicted: Any, *, frames: int) -> None:
    """C_l and D_l against the layer while training goes on: dots simulated, lines predicted."""
    from matplotlib.animation import FuncAnimation, PillowWriter

    figure, (left, right) = new_figure(2)
    layers = np.arange(C.shape[1])
    lines, dots = [], []
    for panel, simulated, name in ((left, C, "$C_l$"), (right, D, "$D_l$")):
        lines += panel.plot(layers, simulated[0], "-", color="#1f4e79", label="predicted")
        dots += panel.plot(layers, simulated[0], "o", color="#c0392b", mfc="none", label="simulated")
        low, high = np.nanmin(simulated), np.nanmax(simulated)
        panel.set_ylim((low / 1.5, high * 1.5) if panel is left else (low - 0.02, high + 0.02))
        panel.set_xlabel("layer $l$")
        panel.set_title(name, fontsize=10)
    left.set_yscale("log")
    left.legend(frameon=False, fontsize=8)
    moments = np.linspace(0, time[-1], frames)

    def draw_frame(frame: int) -> list[Any]:
        t = moments[frame]
        for place, (theory, simulated) in enumerate(((predicted.compression, C), (predicted.discrimination, D))):
            lines[place].set_ydata(theory[np.searchsorted(grid, t).clip(0, grid.size - 1)])
            dots[place].set_ydata(simulated[np.abs(time - t).argmin()])
        figure.suptitle(f"t = {t:.0f}", fontsize=10)
        return [*lines, *dots]

    animation = FuncAnimation(figure, draw_frame, frames=frames, interval=60)
    animation.save(path, writer=PillowWriter(fps=15), dpi=90)


if __name__ == "__main__":
    sys.exit(command(reproduce, "dynamics"))
