"""`pnc train`: train a network on labelled samples and measure every layer on both splits."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnc.cli.following import shout
from pnc.cli.live import live_line, time_left
from pnc.cli.low_rank import (
    LowRankEveryOption,
    LowRankProjectionOption,
    LowRankRampOption,
    LowRankSiteOption,
    LowRankUnitOption,
    LowRankWeightOption,
    NormWeightOption,
    RankOption,
    low_rank_spec,
    print_low_rank,
)
from pnc.cli.options import (
    NETWORK,
    OUTPUT,
    TRAINING,
    ActivationOption,
    BatchNormOption,
    DataDirOption,
    DownloadOption,
    ForceOption,
    HiddenDepthOption,
    HiddenWidthOption,
    JsonOption,
    LabelColumnOption,
    LabelledOption,
    NonlinearOption,
    ProjectionOption,
    QuietOption,
    SeedOption,
    SubsetOption,
    TestDataOption,
    TestSubsetOption,
    TextColumnOption,
    VocabularyOption,
    class_sizes,
)
from pnc.cli.output import law_line, number, print_json, print_table, say
from pnc.errors import InvalidInputError
from pnc.spec.shared import SHARES

if TYPE_CHECKING:
    from pnc.compare import Following
    from pnc.curves import LayerCurve
    from pnc.train import Progress, TrainedRun

__all__ = ["train"]


def train(
    network: Annotated[
        str,
        typer.Argument(help="mlp, hybrid, linear, vgg-19-bn, resnet-18, …, or module:function.", metavar="NET"),
    ],
    data: LabelledOption = "fashion-mnist",
    data_dir: DataDirOption = None,
    download: DownloadOption = False,
    samples_per_class: SubsetOption = None,
    test_samples_per_class: TestSubsetOption = None,
    test_data: TestDataOption = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    vocabulary: VocabularyOption = None,
    width: HiddenWidthOption = None,
    depth: HiddenDepthOption = None,
    nonlinear: NonlinearOption = None,
    activation: ActivationOption = None,
    batch_norm: BatchNormOption = None,
    projection: ProjectionOption = 0,
    initial: Annotated[
        str, typer.Option("--initial", help="default, he, orthogonal(0.1).", rich_help_panel=NETWORK)
    ] = "default",
    start_from: Annotated[
        Path | None, typer.Option("--start-from", help="Weights to begin with.", rich_help_panel=NETWORK)
    ] = None,
    loss: Annotated[str, typer.Option("--loss", help="mse, cross-entropy.", rich_help_panel=TRAINING)] = "mse",
    label_scale: Annotated[
        float, typer.Option("--label-scale", help="α of ‖α f(x) - y‖².", rich_help_panel=TRAINING)
    ] = 1.0,
    optimiser: Annotated[
        str, typer.Option("--optimiser", help="sgd, momentum, adamw.", rich_help_panel=TRAINING)
    ] = "adamw",
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Default by the optimiser.", rich_help_panel=TRAINING)
    ] = None,
    momentum: Annotated[float, typer.Option("--momentum", rich_help_panel=TRAINING)] = 0.9,
    weight_decay: Annotated[float, typer.Option("--weight-decay", rich_help_panel=TRAINING)] = 0.0,
    epochs: Annotated[int, typer.Option("--epochs", rich_help_panel=TRAINING)] = 100,
    batch_size: Annotated[
        int, typer.Option("--batch-size", help="0: all samples at every step.", rich_help_panel=TRAINING)
    ] = 128,
    schedule: Annotated[
        str, typer.Option("--schedule", help="constant, cosine, step.", rich_help_panel=TRAINING)
    ] = "cosine",
    milestones: Annotated[
        str, typer.Option("--milestones", help="Of step, shares of the training.", rich_help_panel=TRAINING)
    ] = "0.3333,0.6667",
    warmup_epochs: Annotated[float, typer.Option("--warmup-epochs", rich_help_panel=TRAINING)] = 0.0,
    crop: Annotated[int, typer.Option("--crop", help="Pixels of random crop.", rich_help_panel=TRAINING)] = 0,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror at random.", rich_help_panel=TRAINING)] = False,
    precision: Annotated[
        str, typer.Option("--precision", help="float32, float64, bfloat16, float16.", rich_help_panel=TRAINING)
    ] = "float32",
    channels_last: Annotated[bool, typer.Option("--channels-last", rich_help_panel=TRAINING)] = False,
    compile: Annotated[bool, typer.Option("--compile", help="torch.compile.", rich_help_panel=TRAINING)] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda.", rich_help_panel=TRAINING)] = "auto",
    low_rank_site: LowRankSiteOption = None,
    rank: RankOption = None,
    low_rank_weight: LowRankWeightOption = None,
    low_rank_ramp: LowRankRampOption = None,
    norm_weight: NormWeightOption = None,
    low_rank_unit: LowRankUnitOption = None,
    low_rank_every: LowRankEveryOption = None,
    low_rank_projection: LowRankProjectionOption = None,
    measure_every: Annotated[
        int, typer.Option("--measure-every", help="Epochs; 0: at the end alone.", rich_help_panel=OUTPUT)
    ] = 0,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layers", help="Patterns of module names; default its blocks.", rich_help_panel=OUTPUT),
    ] = None,
    spectra: Annotated[
        bool, typer.Option("--spectra/--no-spectra", help="Ranks and linear probes.", rich_help_panel=OUTPUT)
    ] = True,
    accuracy_limit: Annotated[
        float,
        typer.Option("--accuracy-limit", help="Training accuracy that counts as converged.", rich_help_panel=OUTPUT),
    ] = 0.95,
    seed: SeedOption = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the run folder there.", rich_help_panel=OUTPUT)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training that was interrupted.", rich_help_panel=OUTPUT)
    ] = False,
    checkpoint_seconds: Annotated[
        float, typer.Option("--checkpoint-seconds", help="Between checkpoints.", rich_help_panel=OUTPUT)
    ] = 60.0,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a network, measure C_l and D_l of every layer on both splits, fit both laws.

    Exit status: 0 trained, 2 bad input, 3 U1-U4, which hold for every network,
    do not, 4 not converged.
    """
    from pnc.compare import Verdict, check_universal
    from pnc.data import load_splits
    from pnc.nets import build
    from pnc.report import check_folder
    from pnc.simulate.device import resolve_device
    from pnc.train import TrainSpec, as_split_samples, data_record, joined_processes, load_weights
    from pnc.train import train as run_training

    spec = TrainSpec(
        loss=loss, label_scale=label_scale, optimiser=optimiser, learning_rate=learning_rate, momentum=momentum,
        weight_decay=weight_decay, epochs=epochs, batch_size=batch_size or None, schedule=schedule,
        milestones=SHARES.value("milestones", milestones), warmup_epochs=warmup_epochs, crop=crop, flip=flip,
        precision=precision, channels_last=channels_last, compile=compile, measure_every=measure_every or None,
        seed=seed,
    )  # fmt: skip
    low_rank = low_rank_spec(
        low_rank_site, rank=rank, compression_weight=low_rank_weight, ramp=low_rank_ramp, norm_weight=norm_weight,
        unit=low_rank_unit, every=low_rank_every, projection=low_rank_projection,
    )  # fmt: skip
    where = resolve_device(device)
    checkpoints = None
    if out is not None:
        checkpoints = check_folder(out, force=force).parent / f".{out.name}.checkpoints"
    elif resume:
        raise InvalidInputError(
            got="--resume without --out", expected="the folder of the interrupted run", next_step="pass --out"
        )
    with joined_processes(where) as processes:
        if force and not resume and processes.first and checkpoints is not None:
            shutil.rmtree(checkpoints, ignore_errors=True)
        processes.wait()
        splits = load_splits(
            data, test_data=test_data, data_dir=data_dir, download=download,
            samples_per_class=class_sizes(samples_per_class),
            test_samples_per_class=class_sizes(test_samples_per_class),
            text_column=text_column, label_column=label_column, vocabulary=vocabulary,
        )  # fmt: skip
        samples, tested = as_split_samples(splits)
        source = splits.describe()
        model = build(
            network, input_shape=samples.input_shape, classes=samples.classes, width=width, depth=depth,
            nonlinear=nonlinear, activation=activation, batch_norm=batch_norm, projection=projection, initial=initial,
            seed=seed,
        )  # fmt: skip
        if start_from is not None:
            load_weights(model, start_from)
        # the classifier's outputs are no features
        names = layers or list(getattr(model, "block_names", ()))[:-1] or None
        _check_layers(model, samples, names)
        with live_line(shown=processes.first and not quiet and sys.stderr.isatty()) as line:
            progress = None if line is None else partial(_follow, line)
            run = run_training(
                model, samples, spec, test=tested, low_rank=low_rank, device=where, checkpoints=checkpoints,
                resume=resume, checkpoint_seconds=checkpoint_seconds, progress=progress,
                measure=lambda net, batches, split: _measured(net, batches, split, samples.classes, names),
            )  # fmt: skip
        curves, results = _final(run, samples, tested, names, spectra, processes)
        if not processes.first:
            raise typer.Exit(0)
    converged = results["train"]["accuracy"] >= accuracy_limit
    # a projection head's layers are weight matrices too
    matrices = None if depth is None else depth + projection
    following = _following(run, curves["train"], depth=matrices, converged=converged)
    result = _result(run, curves, results, following)
    if out is not None:  # before anything is printed: the reader of our output may go early
        record = {
            "command": "train",
            "network": {
                "name": _from_anywhere(network), "input_shape": list(samples.input_shape), "classes": samples.classes,
                "width": width, "depth": depth, "nonlinear": nonlinear, "activation": activation,
                "batch_norm": batch_norm, "projection": projection, "initial": initial, "seed": seed,
                "parameters": sum(p.numel() for p in run.model.parameters()),
            },
            "data": data_record(splits, samples, tested),
            **result,
        }  # fmt: skip
        _write(out, run, curves, record, title=f"{network} on {source['name']}", force=force)
        shutil.rmtree(checkpoints, ignore_errors=True)
    checks = [check_universal(curve) for curve in curves.values()]
    shout(checks)
    if json:
        print_json(result)
    else:
        _print(network, source, run, curves, results, converged=converged, accuracy_limit=accuracy_limit)
        if converged or following.verdict is Verdict.DISAGREES:
            say(f"\n{following.verdict.name}: {following.advice}")
        if out is not None:
            say(f"written to {out}")
    if any(check.violations for check in checks):
        raise typer.Exit(Verdict.DISAGREES.exit_status)
    raise typer.Exit(0 if converged else Verdict.NOT_CONVERGED.exit_status)


def _from_anywhere(network: str) -> str:
    """The name of a network, the path of a file in it made absolute: the run can be read from any folder."""
    path, colon, function = network.rpartition(":")
    return f"{Path(path).absolute()}{colon}{function}" if path.endswith(".py") else network


def _check_layers(model: Any, samples: Any, layers: list[str] | None) -> None:
    """Refuse patterns that match nothing before the training, not after it."""
    from pnc.measure import list_layers

    parameter = next(model.parameters(), None)
    if parameter is None:
        return  # the training says that there is nothing to train
    first, _ = next(iter(samples.batches(2, dtype=parameter.dtype)))
    list_layers(model, first, patterns=layers)


def _measured(
    model: Any, batches: Any, split: str, classes: int, layers: list[str] | None, **options: Any
) -> LayerCurve:
    from pnc.measure import measure_model

    return measure_model(model, batches, classes=classes, layers=layers, split=split, **options)


def _final(
    run: TrainedRun, samples: Any, tested: Any, layers: list[str] | None, spectra: bool, processes: Any
) -> tuple[dict[str, LayerCurve], dict[str, dict[str, float]]]:
    """Everything that can be measured, on both splits; the probes are those of the training split."""
    from pnc.measure import measure_splits
    from pnc.train import evaluate

    parameter = next(run.model.parameters())
    splits = {
        split: some.to(parameter.device).batches(
            512, dtype=parameter.dtype, channels_last=run.spec.channels_last, rows=processes.share(len(some))
        )
        for split, some in (("train", samples), ("test", tested))
        if some is not None
    }
    results = {}
    for split, batches in splits.items():
        loss, accuracy = evaluate(run.model, batches, run.spec, processes=processes)
        results[split] = {"loss": loss, "accuracy": accuracy, "samples": len(samples if split == "train" else tested)}
    curves = measure_splits(
        run.model, splits, classes=samples.classes, layers=layers, fuzziness=True, probes=True, spectra=spectra,
        uncertainty=True,
    )  # fmt: skip
    return curves, results


def _laws(curve: LayerCurve) -> dict[str, Any]:
    from pnc.compare import fit_geometric_law, fit_linear_law

    return {"geometric": fit_geometric_law(curve), "linear": fit_linear_law(curve)}


def _following(run: TrainedRun, curve: LayerCurve, *, depth: int | None, converged: bool) -> Following:
    """The training split held against the laws; without a squared error there is no label scale."""
    from pnc.compare import follow

    scale = run.spec.label_scale if run.spec.loss == "mse" else 1.0
    return follow(curve, depth=depth, label_scale=scale, converged=converged)


def _result(
    run: TrainedRun, curves: dict[str, LayerCurve], results: dict[str, Any], following: Following
) -> dict[str, Any]:
    """The curve of the training split as every command gives it, and the rest beside it."""
    from pnc.curves import json_ready

    splits = {
        split: {
            **curve.to_dict(),
            **results[split],
            "laws": {name: None if fit is None else fit.to_dict() for name, fit in _laws(curve).items()},
        }
        for split, curve in curves.items()
    }
    return json_ready(
        {
            **curves["train"].to_dict(),
            "splits": splits,
            "laws": splits["train"]["laws"],
            "training": run.to_dict(),
            "following": following.findings(),
            # training itself has no verdict: what is undecided here may be decided over seeds
            "verdict": None if following.verdict.name in ("UNDECIDED", "BELOW_NOISE") else following.verdict.name,
        }
    )


def _print(
    network: str,
    source: dict[str, Any],
    run: TrainedRun,
    curves: dict[str, LayerCurve],
    results: dict[str, Any],
    *,
    converged: bool,
    accuracy_limit: float,
) -> None:
    spec = run.spec
    parameters = sum(p.numel() for p in run.model.parameters())
    say(f"{network}, {parameters} parameters, on {source['name']}, {results['train']['samples']} samples")
    say(
        f"{spec.loss}, α = {number(spec.label_scale)}, {spec.optimiser} at {number(spec.learning_rate)} "
        f"({spec.schedule}), {spec.epochs} epochs, {run.steps} steps in {run.seconds:.1f} s on {run.device}, "
        f"{spec.precision}"
    )
    for note in [*source["notes"], *run.notes]:
        say(f"note: {note}")
    for split, curve in curves.items():
        found = results[split]
        say(f"\n{split}: {found['samples']} samples, loss {number(found['loss'])}, accuracy {found['accuracy']:.2%}")
        columns = {
            "layer": [str(l) for l in curve.layers.tolist()],
            "name": [note.name or "" for note in curve.notes],
            "d": [str(note.dimension) for note in curve.notes],
            "C": [number(v) for v in curve.compression.tolist()],
            "D": [number(v, 5) for v in curve.discrimination.tolist()],
            "fuzziness": [number(v) for v in curve.separation_fuzziness.tolist()],
        }
        for title, pairs in (
            ("centre", [(n.nearest_centre_accuracy, n.held_out_nearest_centre_accuracy) for n in curve.notes]),
            ("probe", [(n.linear_probe_accuracy, n.held_out_linear_probe_accuracy) for n in curve.notes]),
        ):
            accuracies = [own if held_out is None else held_out for own, held_out in pairs]
            if None not in accuracies:
                columns[title] = [f"{v:.2%}" for v in accuracies]
        print_table(list(columns), zip(*columns.values(), strict=True))
        laws = _laws(curve)
        say(law_line("geometric law: C_(l+1)/C_l", laws["geometric"], None, geometric=True))
        say(law_line("linear law: D_(l+1) - D_l", laws["linear"], None, geometric=False))
    if run.low_rank is not None:
        print_low_rank(run.low_rank)
    if not converged:
        say(
            f"\nNOT_CONVERGED: training accuracy {results['train']['accuracy']:.2%} is below {accuracy_limit:.0%}; "
            "raise --epochs"
        )


def _write(
    out: Path, run: TrainedRun, curves: dict[str, LayerCurve], record: dict[str, Any], *, title: str, force: bool
) -> None:
    from pnc.report.training import write_training

    write_training(
        out,
        curves=curves,
        history=run.history,
        measurements=run.measurements,
        weights={name: value.detach().cpu().numpy() for name, value in run.model.state_dict().items()},
        record=record,
        title=title,
        force=force,
    )


def _follow(line: Callable[[str, float, str], None], progress: Progress) -> None:
    """Epoch, loss, accuracy, C of a few layers, time left."""
    layers = "".join(f", C_{layer} {number(c, 3)}" for layer, c in progress.compression.items())
    line(
        f"epoch {progress.epoch}/{progress.epochs}",
        progress.step / progress.steps,
        f"loss {number(progress.loss, 3)}, accuracy {progress.accuracy:.1%}{layers}{time_left(progress.seconds_left)}",
    )
