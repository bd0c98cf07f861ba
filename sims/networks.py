"""What the experiments with trained networks share: training from seeds, the run folders, tables over seeds, panels.

A run is a folder as `pnc train --out` writes it, so that `pnc compare` and `pnc measure` take it too. What is finished
is not trained again, and what was interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.cli.live import live_line, time_left
from pnc.compare import Following, FollowingSeeds, follow, follow_seeds
from pnc.curves import FIELDS, LayerCurve, json_ready
from pnc.data import Splits, load_splits
from pnc.errors import InvalidInputError
from pnc.statistics import student_interval

if TYPE_CHECKING:
    from pnc.train import Progress, Samples, TrainedRun

__all__ = [
    "LABELS",
    "Case",
    "Data",
    "Run",
    "draw",
    "image_data",
    "judge",
    "over_seeds",
    "read_data",
    "summary",
    "train_from_seeds",
]

SEEDS = 3
CONFIDENCE = 0.95
CONVERGED = 0.95  # of the training samples, from which on the layers are held against the laws
LABELS = {
    "numerical_rank": "numerical rank",
    "linear_probe_accuracy": "accuracy of a linear probe",
    "compression": "$C_l$",
    "discrimination": "$D_l$",
    "separation_fuzziness": r"fuzziness $\mathrm{tr}(\Sigma_W \Sigma_B^+)$",
}
_LOGARITHMIC = ("compression", "separation_fuzziness")
_BATCH = 512  # samples at a time when measuring


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network and how it is trained.

    Args:
        network: name, for `pnc.nets.build`.
        options: of it.
        training: of `TrainSpec`.
        layers: `block_names` or `layer_names` of the network; the classifier's outputs are left out.
        measured: what `measure_model` is asked for of the training split; of the test split it is fuzziness alone, for
            probes are fitted to what they are measured on.
    """

    network: str
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    layers: str = "block_names"
    measured: tuple[str, ...] = ("fuzziness", "probes", "spectra")


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """The training split and, where there is one, the test split as `Samples`; and where they come from."""

    train: Samples
    test: Samples | None
    source: Mapping[str, Any]

    @property
    def splits(self) -> dict[str, Samples]:
        """Name → samples."""
        return {"train": self.train} | ({} if self.test is None else {"test": self.test})


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A trained network: split → curve, split → loss, accuracy and number of samples; and where its folder is."""

    case: Case
    curves: Mapping[str, LayerCurve]
    results: Mapping[str, Mapping[str, float]]
    folder: Path

    @property
    def converged(self) -> bool:
        """Whether enough of the training samples are learned."""
        return self.results["train"]["accuracy"] >= CONVERGED

    def values(self, quantity: str, split: str = "train") -> np.ndarray:
        """(layers,) of a field of `LayerCurve`, of the numerical rank, or of a number in `LayerNotes`."""
        curve = self.curves[split]
        if quantity in FIELDS:
            return getattr(curve, quantity)
        if quantity == "numerical_rank":  # of a sketch an interval
            return np.array([np.mean(note.ranks.uncentred.numerical_rank) for note in curve.notes if note.ranks])
        return np.array([getattr(note, quantity) for note in curve.notes], dtype=np.float64)


def read_data(splits: Splits) -> Data:
    """Both splits of labelled data as samples."""
    from pnc.train import as_split_samples

    train, test = as_split_samples(splits)
    return Data(train=train, test=test, source=splits.describe())


def image_data(name: str, *, train: int | None, test: int | None) -> Data:
    """The first images of every class of both splits, or all of them where no number is given.

    Raises:
        InvalidInputError: files that are not there, more images than a class has.
    """
    return read_data(load_splits(name, samples_per_class=train, test_samples_per_class=test))


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
            accuracies = ", ".join(f"{split} {found['accuracy']:.2%}" for split, found in run.results.items())
            print(f"{label}, seed {seed}: accuracy {accuracies}", file=sys.stderr)
        runs.append(run)
    return runs


def _trained(case: Case, data: Data, seed: int, folder: Path, *, quiet: bool) -> Run:
    """One run: read where it is finished, trained and measured where it is not."""
    from pnc.nets import build
    from pnc.report.training import write_training
    from pnc.simulate.device import resolve_device
    from pnc.train import TrainSpec, train

    digests = {split: samples.digest() for split, samples in data.splits.items()}
    recipe = json_ready({**asdict(case), "seed": seed, "data": digests})
    found = _read(folder, case, recipe)
    if found is not None:
        return found
    model = build(
        case.network, input_shape=data.train.input_shape, classes=data.train.classes, seed=seed, **case.options
    )
    spec = TrainSpec(**{"measure_every": None, **case.training}, seed=seed)
    digest = hashlib.blake2b(json.dumps(recipe, sort_keys=True).encode(), digest_size=6).hexdigest()
    checkpoints = folder.parent / f".{folder.name}-{digest}.checkpoints"
    with _live(folder.name, quiet=quiet) as progress:
        done = train(
            model, data.train, spec, device=resolve_device("auto"), checkpoints=checkpoints, resume=True,
            progress=progress,
        )  # fmt: skip
    curves, results = _measured(case, data, done)
    run = Run(case=case, curves=curves, results=results, folder=folder)
    splits = {split: {**curve.to_dict(), **results[split]} for split, curve in curves.items()}
    write_training(
        folder,
        curves=curves,
        history=done.history,
        measurements=done.measurements,
        weights={name: value.detach().cpu().numpy() for name, value in done.model.state_dict().items()},
        record={
            "command": "train",
            "network": {
                "name": case.network,
                "input_shape": data.train.input_shape,
                "classes": data.train.classes,
                **case.options,
                "seed": seed,
                "parameters": sum(p.numel() for p in model.parameters()),
            },
            "data": {**data.source, "digests": digests},
            **curves["train"].to_dict(),
            "splits": splits,
            "training": done.to_dict(),
            "recipe": recipe,
            "verdict": None if run.converged else "NOT_CONVERGED",
        },
        title=f"{folder.name} on {data.source['name']}",
    )
    shutil.rmtree(checkpoints)
    return run


def _read(folder: Path, case: Case, recipe: Mapping[str, Any]) -> Run | None:
    """The finished run of a folder, where there is one."""
    file = folder / "run.json"
    if not folder.exists():
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = {}
    if record.get("recipe") != recipe:
        raise InvalidInputError(
            got=f"{folder}, which is no run of this experiment as it is now",
            expected="an empty folder, or one that the same experiment has begun to fill",
            next_step="choose another --out",
        )
    curves = {split: LayerCurve.from_dict(found) for split, found in record["splits"].items()}
    results = {
        split: {key: found[key] for key in ("loss", "accuracy", "samples")} for split, found in record["splits"].items()
    }
    return Run(case=case, curves=curves, results=results, folder=folder)


def _measured(case: Case, data: Data, done: TrainedRun) -> tuple[dict[str, LayerCurve], dict[str, dict[str, float]]]:
    from pnc.measure import measure_model
    from pnc.train import evaluate

    parameter = next(done.model.parameters())
    curves, results = {}, {}
    for split, samples in data.splits.items():
        batches = samples.to(parameter.device).batches(
            _BATCH, dtype=parameter.dtype, channels_last=done.spec.channels_last
        )
        loss, accuracy = evaluate(done.model, batches, done.spec)
        results[split] = {"loss": loss, "accuracy": accuracy, "samples": len(samples)}
        wanted = case.measured if split == "train" else ("fuzziness",)
        curves[split] = measure_model(
            done.model, batches, classes=samples.classes, layers=list(getattr(done.model, case.layers))[:-1],
            split=split, **dict.fromkeys(wanted, True),
        )  # fmt: skip
    return curves, results


@contextmanager
def _live(label: str, *, quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """Inside, what `train` is to call: a live line on a terminal, nothing elsewhere."""
    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        yield None if line is None else partial(_follow, line, label)


def _follow(line: Callable[[str, float, str], None], label: str, at: Progress) -> None:
    state = f"loss {at.loss:.3g}, accuracy {at.accuracy:.1%}{time_left(at.seconds_left)}"
    line(f"{label}, epoch {at.epoch}/{at.epochs}", at.step / at.steps, state)


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
    curves, converged = [run.curves["train"] for run in runs], [run.converged for run in runs]
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
        "accuracy": {split: over_seeds([run.results[split]["accuracy"] for run in runs]) for split in runs[0].results},
        **{quantity: quantity_over_seeds(runs, quantity) for quantity in quantities},
    }


def draw(
    panel: Any, runs: Sequence[Run], quantity: str, *, colour: str, label: str | None = None, split: str = "train"
) -> None:
    """A quantity against the layer, mean and interval over the seeds; dashed for the test split."""
    found = quantity_over_seeds(runs, quantity, split)
    reach = np.nan_to_num([found["mean"] - found["lower"], found["upper"] - found["mean"]])
    panel.errorbar(
        runs[0].curves[split].layers, found["mean"], reach, fmt="o-" if split == "train" else "o--", ms=4, lw=1.2,
        capsize=2, color=colour, mfc=colour if split == "train" else "none", label=label,
    )  # fmt: skip
    panel.set_title(LABELS[quantity], fontsize=9)
    panel.set_xlabel("layer $l$")
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.grid(alpha=0.25, lw=0.6)
    if quantity in _LOGARITHMIC:
        panel.set_yscale("log")
