"""The run folder of a trained network: its curves on both splits, how they came about, and its weights."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.compare import fit_laws
from pnc.curves import FIELDS, LayerCurve
from pnc.records import NetworkRecord, RunRecord, new_folder, write_record
from pnc.report.axes import log_labels, whole_ticks
from pnc.report.canvas import drawing, new_figure, save_figure
from pnc.report.pages.model import Page
from pnc.report.pages.networks import trained_page
from pnc.report.run_folder import save_weights
from pnc.report.style import SCREEN, Style
from pnc.report.writing import again, class_names, shown_record, write_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pnc.train import EpochRecord, Measurement

__all__ = ["training_figure", "write_training"]

_COLOURS = {"train": "#c0392b", "test": "#1f4e79"}


def training_figure(
    curves: Mapping[str, LayerCurve],
    history: Iterable[EpochRecord],
    measurements: Iterable[Measurement] = (),
    *,
    initialisation: Mapping[str, Any] | None = None,
    title: str = "",
) -> Figure:
    """C_l (logarithmic) and D_l of both splits against the layer, and the loss against the epoch.

    Args:
        curves: split → curve of the trained network.
        history: of the training.
        measurements: made on the way; those of the training split are drawn thin, the later the darker.
        initialisation: of run.json: the network before training and, where there is one, its law (N1) with the
            interval over draws of the weights.
        title: above the panels.
    """
    figure, (left, middle, right) = new_figure(12.8, 3.8, columns=3)
    before = [m.curve for m in measurements if m.split == "train"]
    for axis, name, label in (
        (left, "compression", r"compression $C_l = \mathrm{tr}\,\Sigma_W / \mathrm{tr}\,\Sigma_B$"),
        (middle, "discrimination", "discrimination $D_l$"),
    ):
        for number, curve in enumerate(before, 1):
            shade = str(0.9 - 0.5 * number / len(before))
            axis.plot(curve.layers, getattr(curve, name), "-", color=shade, lw=0.8)
        if initialisation is not None:
            _draw_before(axis, initialisation, name)
        for split, curve in curves.items():
            values = getattr(curve, name)
            axis.plot(curve.layers, values, "o-", color=_COLOURS.get(split), ms=4, mfc="none", lw=1.4, label=split)
        axis.set_xlabel("layer $l$")
        axis.set_ylabel(label)
        whole_ticks(axis, [layer for curve in curves.values() for layer in curve.layers.tolist()])
        axis.legend(frameon=False, fontsize=9)
        axis.grid(alpha=0.25, lw=0.6)
    if any(np.any(curve.compression > 0) for curve in curves.values()):
        log_labels(left)
    first = next(iter(curves.values()))
    laws = fit_laws(first)
    fit = laws["geometric"]
    if fit is not None:
        left.set_title(f"$C_{{l+1}}/C_l$ = {math.exp(fit.slope):.4g} from layer {fit.onset}", fontsize=10)
    fit = laws["linear"]
    if fit is not None:
        middle.set_title(f"$D_{{l+1}} - D_l$ = {fit.slope:.3g} from layer {fit.onset}", fontsize=10)
    records = list(history)
    losses = [record.loss for record in records]
    right.plot([record.epoch for record in records], losses, color=_COLOURS["train"], lw=1.4)
    if losses and min(losses) > 0:
        log_labels(right)
    whole_ticks(right, [record.epoch for record in records])
    right.set_xlabel("epoch")
    right.set_ylabel("training loss")
    right.grid(alpha=0.25, lw=0.6)
    if records:
        right.set_title(f"training accuracy {records[-1].accuracy:.2%}", fontsize=10)
    if title:
        figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _draw_before(axis: Any, initialisation: Mapping[str, Any], name: str) -> None:
    """The training split before training; with the law's interval, on the samples that the law speaks of."""
    curve, law = initialisation["splits"]["train"], initialisation["law"]
    places = None if law is None else _same_layers(law["names"], curve["provenance"]["names"])
    if law is not None and places is not None:
        low, high = np.array([_numbers(row) for row in law[f"{name}_interval"]]).T
        axis.fill_between(places, low, high, color="#2e8b57", alpha=0.25, lw=0, label="law before training (N1)")
        curve = law["measured"]
    else:
        places = curve["layers"]
    axis.plot(places, _numbers(curve[name]), "s:", color="#555555", ms=3, lw=1.0, label="before training")


def _numbers(values: Iterable[Any]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]


def _same_layers(names: Sequence[str], measured: Sequence[str]) -> list[int] | None:
    """Where the law's layers stand among those that are drawn; `None` where one is not drawn."""
    return [measured.index(name) for name in names] if set(names) <= set(measured) else None


def _write_history(path: Path, history: Iterable[EpochRecord], initialisation: Mapping[str, Any] | None) -> None:
    """One row an epoch, 0 before training; seconds are in run.json alone, so that equal trainings have equal tables."""
    from pnc.train import EpochRecord

    names = [field.name for field in fields(EpochRecord) if field.name != "seconds"]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        if initialisation is not None:
            found = initialisation["splits"]["train"]
            before = {"epoch": 0, "step": 0, "loss": found["loss"], "accuracy": found["accuracy"]}
            writer.writerow([before.get(name, "") for name in names])
        writer.writerows([getattr(record, name) for name in names] for record in history)


def _write_trajectory(path: Path, measurements: Iterable[Measurement]) -> None:
    """One row a layer, a split and a time."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["epoch", "split", "loss", "accuracy", "layer", *FIELDS])
        for m in measurements:
            for i, layer in enumerate(m.curve.layers.tolist()):
                values = [float(getattr(m.curve, name)[i]) for name in FIELDS]
                shown = [repr(v) if math.isfinite(v) else "" for v in values]
                writer.writerow([m.epoch, m.split, m.loss, m.accuracy, layer, *shown])


def write_training(
    path: str | Path,
    record: RunRecord,
    *,
    history: Iterable[EpochRecord],
    measurements: Iterable[Measurement],
    weights: Mapping[str, np.ndarray],
    title: str = "pnc train",
    style: Style = SCREEN,
    force: bool = False,
) -> Path:
    """Write run.json, curves.csv (and curves_test.csv), history.csv, trajectory.csv, weights.safetensors, figures and
    report.html.

    Args:
        path: the folder; it appears whole or not at all.
        record: what was run, with the curves of the trained network.
        history: one record an epoch.
        measurements: C_l and D_l on the way.
        weights: of the trained network, by name.
        title: of the figure and the page.
        style: of the figures in figures/.
        force: replace a folder that exists.

    Raises:
        InvalidInputError: as `new_folder`.
    """
    history, measurements = list(history), list(measurements)
    curves = {name: split.curve for name, split in record.splits.items()}
    before = record.to_dict().get("initialisation")
    with drawing(Path(path)) as figures, new_folder(path, force=force) as folder:
        write_record(folder, record)
        save_weights(folder / "weights.safetensors", weights)
        for split, curve in curves.items():
            curve.to_csv(folder / ("curves.csv" if split == "train" else f"curves_{split}.csv"))
        _write_history(folder / "history.csv", history, before)
        _write_trajectory(folder / "trajectory.csv", measurements)
        with figures:
            figure = training_figure(curves, history, measurements, initialisation=before, title=title)
            save_figure(figure, folder, "curves")
            write_page(folder, _page(record, curves, history, measurements, title=title), style=style)
    return Path(path)


def _page(
    record: RunRecord,
    curves: Mapping[str, LayerCurve],
    history: list[EpochRecord],
    measurements: list[Measurement],
    *,
    title: str,
) -> Page:
    spec = record.details.get("training", {}).get("spec", {})
    return trained_page(
        curves, title=title, verdict=record.verdict, following=record.details["following"],
        accuracies={name: split.accuracy for name, split in record.splits.items()},
        history=history, measurements=measurements,
        depth=record.network.matrices if isinstance(record.network, NetworkRecord) else None,
        label_scale=spec.get("label_scale", 1.0) if spec.get("loss") == "mse" else 1.0,
        converged=record.converged, record=shown_record(record.to_dict()), again=again("train"),
        notes=() if record.data is None else record.data.notes,
        classes=() if record.data is None else class_names(record.data.to_dict()),
        parts=record.details.get("parts") or (),
    )  # fmt: skip
