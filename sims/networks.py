"""What the experiments with trained networks share: training from seeds, the run folders, tables over seeds, panels.

A run is a folder as `pnc train --out` writes it, so that `pnc compare` and `pnc measure` take it too. What is finished
is not trained again, and what was interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pnc.compare import Following, FollowingSeeds, follow, follow_seeds
from pnc.curves import FIELDS, LayerCurve
from pnc.records import SplitRecord
from pnc.report.axes import log_labels, whole_ticks
from pnc.report.live import follow_training, live_line
from pnc.runs import (
    DataSource,
    LabelledData,
    MeasurementSpec,
    NetworkSource,
    TrainRequest,
    TrainResult,
    load_labelled,
)
from pnc.statistics import student_interval

__all__ = [
    "LABELS",
    "Case",
    "Data",
    "Run",
    "draw",
    "image_data",
    "judge",
    "over_seeds",
    "summary",
    "train_from_seeds",
]

SEEDS = 3
CONFIDENCE = 0.95
CONVERGED = 0.95  # of the training samples, from which on the layers are held against the laws
LABELS = {
    "numerical_rank": "numerical rank",
    "held_out_linear_probe_accuracy": "accuracy of a linear probe, held out",
    "compression": "$C_l$",
    "discrimination": "$D_l$",
    "separation_fuzziness": r"fuzziness $\mathrm{tr}(\Sigma_W \Sigma_B^+)$",
}
_LOGARITHMIC = ("compression", "separation_fuzziness")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network and how it is trained.

    Args:
        network: name, for `pnc.nets.build`.
        options: of it.
        training: of `TrainSpec`.
        layers: `block_names` or `layer_names` of the network; the classifier's outputs are left out.
        measured: of both splits; probes are fitted to the training split.
    """

    network: str
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    layers: str = "block_names"
    measured: tuple[str, ...] = ("fuzziness", "probes", "spectra")


Data = LabelledData


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A trained network and its layers."""

    case: Case
    result: TrainResult

    @property
    def curves(self) -> Mapping[str, LayerCurve]:
        """Split → curve."""
        return self.result.curves

    @property
    def splits(self) -> Mapping[str, SplitRecord]:
        """Split → curve, loss, accuracy and number of samples."""
        return self.result.record.splits

    def values(self, quantity: str, split: str = "train") -> np.ndarray:
        """(layers,) of a field of `LayerCurve`, of the numerical rank, or of a number in `LayerNotes`."""
        curve = self.curves[split]
        if quantity in FIELDS:
            return getattr(curve, quantity)
        if quantity == "numerical_rank":  # of a sketch an interval
            return np.array([np.mean(note.ranks.uncentred.numerical_rank) for note in curve.notes if note.ranks])
        return np.array([getattr(note, quantity) for note in curve.notes], dtype=np.float64)


def image_data(name: str, *, train: int | None, test: int | None) -> Data:
    """The first images of every class of both splits, or all of them where no number is given.

    Raises:
        InvalidInputError: files that are not there, more images than a class has.
    """
    return load_labelled(DataSource(data=name, samples_per_class=train, test_samples_per_class=test))


def train_from_seeds(
    label: str,
    case: Case,
    data: Data | Callable[[int], Data],
    out: Path,
    *,
    seeds: int = SEEDS,
    quiet: bool = False,
) -> list[Run]:
    """The runs of seeds 0, 1, …, one after another, in `out/runs/LABEL-SEED`; a line on stderr for each.

    Args:
        label: what to call them.
        case: the network.
        data: the same for all seeds, or drawn from the seed.
        out: folder of the experiment.
        seeds: how many.
        quiet: no line.

    Raises:
        InvalidInputError: a folder that holds a run of another recipe.
        DivergedError: the loss or the weights became NaN or infinite.
    """
    runs = []
    for seed in range(seeds):
        own = data(seed) if callable(data) else data
        run = _trained(case, own, seed, out / "runs" / f"{label}-{seed}", quiet=quiet)
        if not quiet:
            accuracies = ", ".join(f"{split} {found.accuracy:.2%}" for split, found in run.splits.items())
            print(f"{label}, seed {seed}: accuracy {accuracies}", file=sys.stderr)
        runs.append(run)
    return runs


def _trained(case: Case, data: Data, seed: int, folder: Path, *, quiet: bool) -> Run:
    """One run: read where it is finished, trained and measured where it is not."""
    from pnc.nets import build
    from pnc.runs import train_and_measure
    from pnc.train import TrainSpec

    network = NetworkSource(name=case.network, seed=seed, **case.options)
    layers = None
    if case.layers != "block_names":
        built = build(**vars(network), input_shape=data.train.input_shape, classes=data.train.classes)
        layers = tuple(getattr(built, case.layers)[:-1])
    fuzziness, probes, spectra = (name in case.measured for name in ("fuzziness", "probes", "spectra"))
    training: dict[str, Any] = {"measure_every": None, **case.training}
    request = TrainRequest(
        network=network,
        training=TrainSpec(**training, seed=seed),
        measurement=MeasurementSpec(
            layers=layers, uncertainty=False, fuzziness=fuzziness, probes=probes, spectra=spectra
        ),
        accuracy_limit=CONVERGED,
    )
    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        progress = None if line is None else partial(follow_training, line, label=folder.name)
        result = train_and_measure(request, data=data, out=folder, resume=True, progress=progress)
    return Run(case=case, result=result)


def over_seeds(values: Any, *, logarithmic: bool = False) -> dict[str, Any]:
    """Mean over the first axis and its 95 % interval by Student's t; geometric where the scale is logarithmic.

    With one seed there is no interval: NaN.

    >>> found = over_seeds([1.0, 2.0, 3.0])
    >>> float(found["mean"]), round(float(found["upper"]), 2)
    (2.0, 4.48)
    >>> round(float(over_seeds([1.0, 4.0], logarithmic=True)["mean"]), 12)
    2.0
    """
    values = np.asarray(values, dtype=np.float64)
    if logarithmic:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = over_seeds(np.log(values))
        return {key: np.exp(value) for key, value in found.items()}
    return dict(zip(("mean", "lower", "upper"), student_interval(values, confidence=CONFIDENCE), strict=True))


def quantity_over_seeds(runs: Sequence[Run], quantity: str, split: str = "train") -> dict[str, Any]:
    """`over_seeds` of a quantity of every layer."""
    return over_seeds([run.values(quantity, split) for run in runs], logarithmic=quantity in _LOGARITHMIC)


def judge(runs: Sequence[Run]) -> Following | FollowingSeeds:
    """The layers of the training split held against the laws, all seeds together."""
    curves, converged = [run.curves["train"] for run in runs], [run.result.converged for run in runs]
    training = runs[0].case.training
    # cross-entropy has no label scale
    scale = training.get("label_scale", 1.0) if training.get("loss", "mse") == "mse" else 1.0
    if len(runs) == 1:
        return follow(curves[0], label_scale=scale, converged=converged[0])
    return follow_seeds(curves, label_scale=scale, converged=converged)


def summary(runs: Sequence[Run], quantities: Iterable[str]) -> dict[str, Any]:
    """Accuracies, quantities and verdict of the training split, over seeds."""
    found = judge(runs)
    each = found.runs if isinstance(found, FollowingSeeds) else (found,)
    table = found.table if isinstance(found, FollowingSeeds) else {}
    return {
        "verdict": found.verdict.name,
        "reasons": found.reasons,
        "verdict_of_seeds": [one.verdict.name for one in each],
        "universal_violations": [violation for one in each for violation in one.universal.violations],
        "laws": {
            name: None if law is None else {"verdict": law.verdict.name, "phase": law.phase and law.phase.to_dict()}
            for name, law in (("geometric", found.geometric), ("linear", found.linear))
        },
        "table": {name: interval.to_dict() for name, interval in table.items()},
        "layers": runs[0].curves["train"].layers,
        "names": [note.name for note in runs[0].curves["train"].notes],
        "accuracy": {split: over_seeds([run.splits[split].accuracy for run in runs]) for split in runs[0].splits},
        **{quantity: quantity_over_seeds(runs, quantity) for quantity in quantities},
    }


def draw(
    panel: Any, runs: Sequence[Run], quantity: str, *, colour: str, label: str | None = None, split: str = "train"
) -> None:
    """A quantity against the layer, mean and interval over the seeds; dashed for the test split; the label says so."""
    found = quantity_over_seeds(runs, quantity, split)
    reach = np.nan_to_num([found["mean"] - found["lower"], found["upper"] - found["mean"]])
    panel.errorbar(
        runs[0].curves[split].layers, found["mean"], reach, fmt="o-" if split == "train" else "o--", ms=4, lw=1.2,
        capsize=2, color=colour, mfc=colour if split == "train" else "none",
        label=None if label is None else f"{label}, {split}, mean and 95 % interval",
    )  # fmt: skip
    panel.set_title(LABELS[quantity], fontsize=9)
    panel.set_xlabel("layer $l$")
    whole_ticks(panel, [layer for run in runs for layer in run.curves[split].layers.tolist()])
    panel.grid(alpha=0.25, lw=0.6)
    if quantity in _LOGARITHMIC:
        log_labels(panel)
