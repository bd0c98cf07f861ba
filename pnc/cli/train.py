"""`pnc train`: train a network on labelled samples and measure every layer on both splits."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pnc.cli.following import shout
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
from pnc.report.live import follow_training, live_line
from pnc.spec.shared import SHARES

if TYPE_CHECKING:
    from pnc.runs import TrainResult

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
    from pnc.runs import DataSource, MeasurementSpec, NetworkSource, TrainRequest, train_and_measure
    from pnc.train import TrainSpec

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
    request = TrainRequest(
        network=NetworkSource(
            name=network, width=width, depth=depth, nonlinear=nonlinear, activation=activation, batch_norm=batch_norm,
            projection=projection, initial=initial, seed=seed,
        ),
        data=DataSource(
            data=data, test_data=test_data, data_dir=data_dir, download=download,
            samples_per_class=class_sizes(samples_per_class),
            test_samples_per_class=class_sizes(test_samples_per_class),
            text_column=text_column, label_column=label_column, vocabulary=vocabulary,
        ),
        training=spec, low_rank=low_rank, measurement=MeasurementSpec(layers=layers and tuple(layers), spectra=spectra),
        start_from=start_from, accuracy_limit=accuracy_limit, device=device,
    )  # fmt: skip
    if resume and out is None:
        raise InvalidInputError(
            got="--resume without --out", expected="the folder of the interrupted run", next_step="pass --out"
        )
    first = int(os.environ.get("RANK", "0")) == 0  # of torchrun's processes
    with live_line(shown=first and not quiet and sys.stderr.isatty()) as line:
        result = train_and_measure(
            request, out=out, resume=resume, force=force, checkpoint_seconds=checkpoint_seconds,
            progress=None if line is None else partial(follow_training, line),
        )  # fmt: skip
    if not result.reports:
        raise typer.Exit(0)
    shout(result.universal.values())
    if json:
        print_json(result.to_dict())
    else:
        _print(result, network=network, accuracy_limit=accuracy_limit)
    raise typer.Exit(result.exit_status)


def _print(result: TrainResult, *, network: str, accuracy_limit: float) -> None:
    from pnc.compare import fit_laws

    run, splits = result.trained, result.record.splits
    spec = run.spec
    if result.complete:
        say(f"complete: {result.folder} holds this training, and nothing is left to do")
    parameters = sum(p.numel() for p in run.model.parameters())
    say(f"{network}, {parameters} parameters, on {result.data.name}, {splits['train'].samples} samples")
    say(
        f"{spec.loss}, α = {number(spec.label_scale)}, {spec.optimiser} at {number(spec.learning_rate)} "
        f"({spec.schedule}), {spec.epochs} epochs, {run.steps} steps in {run.seconds:.1f} s on {run.device}, "
        f"{spec.precision}"
    )
    for note in [*result.data.notes, *run.notes]:
        say(f"note: {note}")
    for split, found in splits.items():
        curve = found.curve
        say(f"\n{split}: {found.samples} samples, loss {number(found.loss)}, accuracy {found.accuracy:.2%}")
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
        laws = fit_laws(curve)
        say(law_line("geometric law: C_(l+1)/C_l", laws["geometric"], None, geometric=True))
        say(law_line("linear law: D_(l+1) - D_l", laws["linear"], None, geometric=False))
    if run.low_rank is not None:
        print_low_rank(run.low_rank)
    if not result.converged:
        say(
            f"\nNOT_CONVERGED: training accuracy {splits['train'].accuracy:.2%} is below {accuracy_limit:.0%}; "
            "raise --epochs"
        )
    following = result.record.details["following"]
    if result.converged or following["verdict"] == "DISAGREES":
        say(f"\n{following['verdict']}: {following['advice']}")
    if result.folder is not None and not result.complete:
        say(f"written to {result.folder}")
