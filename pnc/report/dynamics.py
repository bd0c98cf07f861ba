"""Curves along training: C_l(t), D_l(t) and the loss, simulated beside what Y1 predicts; a figure and an animation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from pnc.report.axes import log_labels
from pnc.report.canvas import new_figure
from pnc.theory import Dynamics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pnc.simulate import History

__all__ = ["dynamics_animation", "dynamics_figure", "shown_times"]

_COLOURS = ("#5d6d7e", "#1f4e79", "#2e86ab", "#27632a", "#b9770e", "#c0392b", "#7d3c98", "#444444")
_PREDICTED, _SIMULATED = "#1f4e79", "#c0392b"
_LEARNED = 1e-6  # share of the initial loss after which nothing is left to see


def shown_times(history: History, *, points: int = 300) -> Float[np.ndarray, " T"]:
    """Times, evenly spaced, from the start until a little after everything is learned: what is worth predicting."""
    learned = np.flatnonzero(history.loss < _LEARNED)
    end = 1.3 * history.time[learned[0]] if learned.size else history.time[-1]
    return np.linspace(0, min(end, history.time[-1]), points)


def _positive(values: np.ndarray) -> np.ndarray:
    """Without what has no place on a logarithmic axis."""
    return np.where(values > 0, values, np.nan)


def dynamics_figure(history: History, predicted: Dynamics | None = None, aligned: Dynamics | None = None) -> Figure:
    """C_l(t) (logarithmic), D_l(t) and the loss against flow time: dots simulated, lines predicted.

    Args:
        history: of a simulation.
        predicted: by Y1, from initial weights as they are.
        aligned: by Y1, from balanced, aligned initial weights.
    """
    figure, (left, middle, right) = new_figure(10.8, 3.4, columns=3)
    shown = history.time <= shown_times(history)[-1]
    time = history.time[shown]
    for l in range(history.compression.shape[1]):
        colour = _COLOURS[l % len(_COLOURS)]
        left.plot(time, _positive(history.compression[shown, l]), "o", ms=2.5, color=colour, label=f"layer {l}")
        middle.plot(time, history.discrimination[shown, l], "o", ms=2.5, color=colour)
        if predicted is not None:
            left.plot(predicted.time, _positive(predicted.compression[:, l]), "-", color=colour, lw=1.2)
            middle.plot(predicted.time, predicted.discrimination[:, l], "-", color=colour, lw=1.2)
    for curve, style, name in ((predicted, "k-", "Y1, unaligned"), (aligned, "k:", "Y1, aligned")):
        if curve is not None:
            right.plot(curve.time, curve.loss, style, lw=1.2, label=name)
    right.plot(time, history.loss[shown], "o", ms=2.5, color=_SIMULATED, label="simulated")
    log_labels(left)
    middle.ticklabel_format(axis="y", useOffset=False)
    for panel, name in ((left, "$C_l(t)$"), (middle, "$D_l(t)$"), (right, "loss, share of its start")):
        panel.set_xlabel("flow time $t$")
        panel.set_title(name, fontsize=10)
    left.legend(frameon=False, fontsize=7)
    right.legend(frameon=False, fontsize=8)
    return figure


def dynamics_animation(path: Path, history: History, predicted: Dynamics | None = None, *, frames: int = 40) -> None:
    """Write a GIF of C_l and D_l against the layer while training goes on: dots simulated, lines predicted.

    Args:
        path: of the file.
        history: of a simulation.
        predicted: by Y1.
        frames: how many moments, evenly spaced in time.
    """
    figure, (left, right) = new_figure(7.2, 3.4, columns=2)
    from matplotlib.animation import PillowWriter

    times = shown_times(history, points=frames)
    simulated, layers = (_positive(history.compression), history.discrimination), range(history.compression.shape[1])
    theory = () if predicted is None else (_positive(predicted.compression), predicted.discrimination)
    when = np.empty(0) if predicted is None else predicted.time
    dots, lines = [], []
    for place, (panel, name) in enumerate(((left, "$C_l$"), (right, "$D_l$"))):
        values = simulated[place]
        if theory:
            lines += panel.plot(layers, theory[place][0], "-", color=_PREDICTED, label="predicted")
        dots += panel.plot(layers, values[0], "o", color=_SIMULATED, mfc="none", label="simulated")
        everything = np.concatenate([array[place].ravel() for array in (simulated, theory) if array])
        low, high = np.nanmin(everything), np.nanmax(everything)
        panel.set_ylim((low / 1.5, high * 1.5) if panel is left else (low - 0.02, high + 0.02))
        panel.set_xticks(layers)
        panel.set_xlabel("layer $l$")
        panel.set_title(name, fontsize=10)
    left.set_yscale("log")
    right.ticklabel_format(axis="y", useOffset=False)
    left.legend(frameon=False, fontsize=8)
    figure.suptitle("t", fontsize=10)
    figure.canvas.draw()
    figure.set_layout_engine(None)  # laid out once: for every frame again it takes longer than all the rest

    writer = PillowWriter(fps=15)
    with writer.saving(figure, path, dpi=90):
        for time in times:
            nearest = np.abs(history.time - time).argmin()
            for dot, values in zip(dots, simulated, strict=True):
                dot.set_ydata(values[nearest])
            for line, values in zip(lines, theory, strict=True):
                line.set_ydata(values[np.abs(when - time).argmin()])
            figure.suptitle(f"t = {time:.4g}", fontsize=10)
            writer.grab_frame()
