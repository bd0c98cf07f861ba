"""Low-rank representations: tables of plain networks beside ones trained with low-rank layers at one or two sites.

    python -m sims.low_rank --scale smoke

After Sanyal, Kanade, Torr and Dokania (arXiv:1804.07090), on real images, from three seeds: test accuracy; at each site
the share of the variance in r directions, ranks by every definition and C_l; accuracy when the site's activations are
compressed to m dimensions, read out by a linear SVM, by the network's own tail and by one linear map in place of the
tail; U1 and U2 at every block after every epoch. Attacks and noise are in sims.robustness.

`smoke`: a VGG-11 of a quarter of the published width on 2,000 images of Fashion-MNIST, tested on 5,000. `paper`:
ResNet-18 on all of it, for a GPU. `full`: the same on CIFAR-10.

A site's components, SVMs and linear maps are fitted to the first n training images of each class, n the largest with
n·K·d ≤ 2^28 of its d entries, so that the activations are held at once (1 GiB): to all of them at `smoke`. What cannot
be held even so has no SVM and no linear map of all dimensions, and a dash in the table.

All numbers are means over the seeds with the half-width of a 95 % interval (Student's t); differences are taken seed by
seed, for seeds share their initial weights and their order of samples.
"""

from __future__ import annotations

import csv
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.curves import LayerNotes
from pnc.runs import LabelledData, MeasurementSpec, NetworkSource, TrainRequest, train_and_measure
from pnc.statistics import student_interval

from .common import Scale, command, new_figure, save
from .networks import image_data

if TYPE_CHECKING:
    from pnc.train import Samples

__all__ = ["reproduce"]

_SEEDS = 3
_RANK = 10
_DIMENSIONS = (2, 5, 9, 10, 20, 50)
_BATCH = 256
_COLOURS = {"plain": "#1f4e79", "1-LR": "#c0392b", "2-LR": "#2e7d32"}
_RECIPES: dict[str, dict[str, Any]] = {
    "smoke": {
        "data": "fashion-mnist", "train": 200, "test": 500, "network": "vgg-11-bn", "width": 16, "epochs": 15,
        "sites": ("body.stage5", "body.stage4"), "weight": 20.0,
    },
    "paper": {
        "data": "fashion-mnist", "train": None, "test": None, "network": "resnet-18", "width": 64, "epochs": 30,
        "sites": ("body.stage4", "body.stage3"), "weight": 20.0,
    },
    "full": {
        "data": "cifar-10", "train": None, "test": None, "network": "resnet-18", "width": 64, "epochs": 100,
        "sites": ("body.stage4", "body.stage3"), "weight": 20.0,
    },
}  # fmt: skip
_WATCHED = 50  # images of each class on which U1 and U2 are held against the blocks after every epoch


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """Train all three kinds from every seed; write the tables, and the figure of what compression costs."""
    recipe = _RECIPES[scale]
    data = image_data(recipe["data"], train=recipe["train"], test=recipe["test"])
    kinds = {"plain": (), "1-LR": recipe["sites"][:1], "2-LR": recipe["sites"]}
    runs: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for seed in range(_SEEDS):
        for kind, sites in kinds.items():
            found = _run(sites, seed, recipe, data, out / "runs" / f"{kind}-{seed}")
            runs[kind].append(found)
            if not quiet:
                shares = ", ".join(f"{site} {found['share'][site]['test', 'centred']:.2%}" for site in recipe["sites"])
                print(
                    f"{kind}, seed {seed}: test accuracy {found['test_accuracy']:.2%}; in {_RANK} directions {shares}; "
                    f"{found['seconds']:.0f} s",
                    file=sys.stderr,
                )
    out.mkdir(parents=True, exist_ok=True)
    _write_csv(out / "low_rank.csv", runs)
    summary = _summary(runs, recipe)
    (out / "low_rank.md").write_text(_table(summary, recipe), encoding="utf-8")
    return save(out, "low_rank", _figure(runs, recipe), summary)


def _run(sites: tuple[str, ...], seed: int, recipe: dict[str, Any], data: LabelledData, folder: Path) -> dict[str, Any]:
    """One network: trained unless it has been, measured at every block, compressed at both sites."""
    from pnc.compare import variance_floors
    from pnc.measure import curve_spectra, measure_compressed, measure_model, variance_curve
    from pnc.measure.compress.activations import site_of
    from pnc.nets import Network
    from pnc.simulate.device import resolve_device
    from pnc.train import LowRankSpec, TrainSpec, evaluate

    samples, device = data.train, resolve_device("auto")
    some = _first(samples, _WATCHED).to(device).batches(_BATCH)

    def watch(network: Any, batches: Any, split: str) -> Any:
        return measure_model(
            network, some, classes=samples.classes, layers=list(network.block_names)[:-1], spectra=True, width=256,
            sketch=32, split=split,
        )  # fmt: skip

    request = TrainRequest(
        network=NetworkSource(name=recipe["network"], width=recipe["width"], seed=seed),
        training=TrainSpec(
            loss="cross-entropy", epochs=recipe["epochs"], learning_rate=2e-3, batch_size=64, measure_every=1, seed=seed
        ),
        low_rank=LowRankSpec(sites=sites, rank=_RANK, compression_weight=recipe["weight"]) if sites else None,
        measurement=MeasurementSpec(fuzziness=False, spectra=False, probes=False, uncertainty=False),
    )
    run = train_and_measure(request, data=replace(data, test=None), out=folder, resume=True, measure=watch).trained
    model = run.model
    assert isinstance(model, Network)  # by its name
    batches = {split: part.to(device).batches(_BATCH) for split, part in data.splits.items()}
    curves = {
        split: measure_model(model, data, classes=samples.classes, layers=list(recipe["sites"]), spectra=True)
        for split, data in batches.items()
    }
    first = next(iter(batches["train"]))[0][:2]
    sizes = {site: math.prod(site_of(model, first, site).shape) for site in recipe["sites"]}
    floors = [floor for m in run.measurements for floor in variance_floors(m.curve)]
    place = {note.name: i for i, note in enumerate(curves["test"].notes)}
    kinds = {"centred": True, "uncentred": False}
    shares = {
        (split, kind): [variance_curve(spectrum)[0] for spectrum in curve_spectra(curve, centred=centred)]
        for split, curve in curves.items()
        for kind, centred in kinds.items()
    }
    return {
        "seed": seed,
        "seconds": run.seconds,
        "train_accuracy": evaluate(model, batches["train"], run.spec)[1],
        "test_accuracy": evaluate(model, batches["test"], run.spec)[1],
        "share": {
            site: {key: float(found[place[site]][_RANK - 1]) for key, found in shares.items()}
            for site in recipe["sites"]
        },
        "curve": {site: shares["test", "centred"][place[site]] for site in recipe["sites"]},
        "compression": {site: float(curves["train"].compression[place[site]]) for site in recipe["sites"]},
        "ranks": {site: _ranks(curves["test"].notes[place[site]]) for site in recipe["sites"]},
        "site": {
            site: measure_compressed(
                model, _held(samples, sizes[site]).to(device).batches(_BATCH), batches["test"],
                classes=samples.classes, site=site, dimensions=_DIMENSIONS,
            )
            for site in recipe["sites"]
        },
        "floors": [sum(floor.holds for floor in floors), len(floors)],
        "share_slack": min(floor.share_slack for floor in floors),
        "stable_rank_slack": min(floor.stable_rank_slack for floor in floors),
    }  # fmt: skip


def _held(samples: Samples, dimension: int) -> Samples:
    """The first n images of each class, n·K·d at most what is held at once; all where they are no more than that."""
    from pnc.measure.compress.activations import MOST_ENTRIES

    if len(samples) * dimension <= MOST_ENTRIES:
        return samples
    return _first(samples, max(1, MOST_ENTRIES // (samples.classes * dimension)))


def _first(samples: Samples, count: int) -> Samples:
    """The first images of each class, or all of a smaller one."""
    from pnc.data import first_of_each_class

    y = samples.y.cpu().numpy()
    rows = first_of_each_class(y, np.minimum(np.bincount(y), count).tolist())
    return replace(samples, x=samples.x[rows], y=samples.y[rows])


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _over_seeds(values: Any) -> list[float] | None:
    """Mean and half-width of the 95 % interval; `None` where a seed has no value."""
    if any(value is None for value in values):
        return None
    mean, _, upper = student_interval(values)
    return [float(mean), float(upper - mean)]


def _summary(runs: dict[str, list[dict[str, Any]]], recipe: dict[str, Any]) -> dict[str, Any]:
    def each(pick: Any) -> dict[str, list[float] | None]:
        return {kind: _over_seeds([pick(run) for run in found]) for kind, found in runs.items()}

    def kept(run: dict[str, Any], site: str) -> Any:
        return run["site"][site].kept[_DIMENSIONS.index(_RANK)]

    summary: dict[str, Any] = {
        "test_accuracy": each(lambda run: run["test_accuracy"]),
        "test_accuracy_less_plain": {
            kind: _over_seeds(
                [one["test_accuracy"] - other["test_accuracy"] for one, other in zip(found, runs["plain"])]
            )
            for kind, found in runs.items()
            if kind != "plain"
        },
    }
    for site in recipe["sites"]:
        compressed = runs["plain"][0]["site"][site]
        summary[site] = {
            "dimension": compressed.dimension,
            "factor": compressed.dimension / _RANK,
            "compression": each(lambda run, site=site: run["compression"][site]),
            **{
                f"{split}_variance_in_{_RANK}_{kind}": each(
                    lambda run, site=site, key=(split, kind): run["share"][site][key]
                )
                for split in ("train", "test")
                for kind in ("centred", "uncentred")
            },
            "ranks": {
                name: each(lambda run, site=site, name=name: np.mean(run["ranks"][site]["centred"][name]))
                for name in _definitions(runs)
            },
            **{
                f"{field}_in_{_RANK}": each(lambda run, site=site, field=field: getattr(kept(run, site), field))
                for field in ("svm_accuracy", "own_accuracy", "linear_accuracy")
            },
            **{
                f"{field}_lost_in_{_RANK}": each(
                    lambda run, site=site, field=field: _less(
                        getattr(run["site"][site].whole, field), getattr(kept(run, site), field)
                    )
                )
                for field in ("svm_accuracy", "own_accuracy")
            },
            "linear_tail_less_own": each(
                lambda run, site=site: _less(run["site"][site].whole.linear_accuracy, run["test_accuracy"])
            ),
            "tail_parameters": compressed.tail_parameters,
            "linear_tail_parameters": compressed.linear_parameters,
        }
    every = [run for found in runs.values() for run in found]
    summary["u1_u2_hold"] = f"{sum(run['floors'][0] for run in every)} of {sum(run['floors'][1] for run in every)}"
    summary["least_slack"] = {
        "share": min(run["share_slack"] for run in every),
        "stable_rank": min(run["stable_rank_slack"] for run in every),
    }
    return summary


def _ranks(note: LayerNotes) -> dict[str, Any]:
    assert note.ranks is not None  # measured with spectra
    return note.ranks.to_dict()


def _definitions(runs: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Names of the definitions of rank."""
    first = next(iter(runs["plain"][0]["ranks"].values()))
    return list(first["centred"])


def _write_csv(path: Path, runs: dict[str, list[dict[str, Any]]]) -> None:
    """One row a kind, seed, site and number of dimensions."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        names = ["dimensions", "factor", "variance", "svm_accuracy", "own_accuracy", "linear_accuracy",
                 "centre_accuracy", "centre_error"]  # fmt: skip
        writer.writerow(["kind", "seed", "test_accuracy", "site", "compression", *names])
        for kind, found in runs.items():
            for run in found:
                for site, one in run["site"].items():
                    for kept in (*one.kept, one.whole):
                        values = [getattr(kept, name) for name in names]
                        writer.writerow(
                            [kind, run["seed"], run["test_accuracy"], site, run["compression"][site], *values]
                        )


_PER_CENT = ("accuracy", "variance_in", "lost", "less")


def _table(summary: dict[str, Any], recipe: dict[str, Any]) -> str:
    """The summary as a Markdown table: one row a quantity, one column a kind, mean ± half-width or a dash."""

    def cells(name: str, values: dict[str, list[float] | None]) -> list[str]:
        share = any(word in name for word in _PER_CENT)
        shown = "{:.2%} ± {:.2%}" if share else "{:.3g} ± {:.2g}"
        found = [values.get(kind, []) for kind in _COLOURS]
        return ["–" if one is None else shown.format(*one) if one else "" for one in found]

    rows = [["", *_COLOURS], ["---"] * (1 + len(_COLOURS))]
    rows += [[name, *cells(name, summary[name])] for name in ("test_accuracy", "test_accuracy_less_plain")]
    for site in recipe["sites"]:
        found = summary[site]
        rows.append(
            [f"**{site}**, d = {found['dimension']}, a tail of {found['tail_parameters']} parameters against "
             f"{found['linear_tail_parameters']}", "", "", ""]
        )  # fmt: skip
        for name, values in {**found, **found["ranks"]}.items():
            if isinstance(values, dict) and "plain" in values:
                rows.append([name, *cells(name, values)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) + f"\nU1 and U2 hold: {summary['u1_u2_hold']}\n"


def _figure(runs: dict[str, list[dict[str, Any]]], recipe: dict[str, Any]) -> Any:
    """At the earlier site: variance ratios, and what a linear SVM and the network's own tail make of m dimensions."""
    from pnc.report.spectra import draw_accuracies

    site = recipe["sites"][-1]
    figure, panels = new_figure(4)
    panels[0].set_title(f"{site}, test images: share of the variance", fontsize=9)
    for kind, found in runs.items():
        colour = _COLOURS[kind]
        curves = np.array([run["curve"][site][:100] for run in found])
        m = np.arange(1, curves.shape[1] + 1)
        panels[0].fill_between(m, curves.min(0), curves.max(0), color=colour, alpha=0.2, lw=0)
        panels[0].plot(m, curves.mean(0), color=colour, lw=1.3, label=kind)
        for panel, field in zip(panels[1:], ("svm_accuracy", "own_accuracy", "linear_accuracy")):
            draw_accuracies(panel, [run["site"][site] for run in found], field, colour=colour, label=kind)
    for panel, title in zip(
        panels[1:], ("linear SVM on m dimensions", "own tail on m dimensions", "one linear map of m dimensions")
    ):
        panel.set_title(title, fontsize=9)
    panels[0].axvline(_RANK, color="0.6", lw=0.8, ls=":")
    panels[0].set_xscale("log")
    panels[0].set_xlabel("directions $m$", fontsize=8)
    panels[0].set_ylim(0, 1.02)
    panels[0].grid(alpha=0.25, lw=0.6)
    panels[1].set_ylabel("test accuracy (dashed: all dimensions)", fontsize=8)
    panels[0].legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(command(reproduce, "low_rank"))
