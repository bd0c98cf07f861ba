"""The run folder of a simulation: its record, both curves, figure and page, and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pnc.compare import Comparison
from pnc.records import RunRecord, new_folder, write_record
from pnc.report.canvas import drawing, save_figure
from pnc.report.dynamics import dynamics_animation, dynamics_figure
from pnc.report.figures import comparison_figure
from pnc.report.pages.networks import simulated_page
from pnc.report.style import SCREEN, Style
from pnc.report.writing import again, shown_record, write_page
from pnc.theory import Dynamics

if TYPE_CHECKING:
    from pnc.simulate import History

__all__ = ["save_weights", "write_run"]


def write_run(
    path: str | Path,
    comparison: Comparison,
    *,
    record: RunRecord,
    weights: Mapping[str, np.ndarray] | None = None,
    history: History | None = None,
    dynamics: Dynamics | None = None,
    title: str = "pnc",
    style: Style = SCREEN,
    force: bool = False,
) -> Path:
    """Write a run folder: run.json, curves.csv, predicted.csv, curves.png and .svg, weights.safetensors, report.html
    and, in figures/, every plot of it with its caption and its numbers.

    With a history also training.png, training.svg and training.gif: both curves while training goes on.

    Args:
        path: the folder; its parents are made.
        comparison: predicted and measured curves with their verdict.
        record: what was run, the comparison among its details.
        weights: arrays to keep, by name.
        history: curves along training.
        dynamics: what Y1 predicts of them.
        title: of the report and the figure.
        style: of the figures in figures/.
        force: replace a folder that exists.

    Raises:
        InvalidInputError: as `new_folder`.
    """
    with drawing(Path(path)) as figures, new_folder(path, force=force) as folder:
        write_record(folder, record)
        comparison.measured.to_csv(folder / "curves.csv")
        comparison.predicted.to_csv(folder / "predicted.csv")
        if weights:
            save_weights(folder / "weights.safetensors", weights)
        with figures:
            save_figure(comparison_figure(comparison, title=title), folder, "curves")
            animation = None
            if history is not None:
                save_figure(dynamics_figure(history, dynamics), folder, "training")
                dynamics_animation(folder / "training.gif", history, dynamics)
                animation = (folder / "training.gif").read_bytes()
            page = simulated_page(
                comparison, title=title, record=shown_record(record.to_dict()), again=again("simulate"),
                history=history, dynamics=dynamics, animation=animation,
            )  # fmt: skip
            write_page(folder, page, style=style)
    return Path(path)


def save_weights(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name, as readable as any other file of the folder."""
    from safetensors.numpy import save

    # `ascontiguousarray` would give single numbers (batch norm's counters) an axis
    path.write_bytes(save({name: np.asarray(value, order="C") for name, value in weights.items()}))
