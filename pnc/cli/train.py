"""`pnc train`: train a network on labelled samples and measure every layer on both splits."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pnc.cli.declared import declared
from pnc.cli.following import print_parts, shout
from pnc.cli.low_rank import print_low_rank
from pnc.cli.options import OUTPUT, ForceOption, JsonOption, OutOption, QuietOption, StyleOption
from pnc.cli.output import closest_classes, law_line, number, print_json, print_table, say
from pnc.errors import InvalidInputError
from pnc.fields import Number, check_number
from pnc.report.live import follow_training, live_line
from pnc.report.style import STYLES
from pnc.runs.requests import TrainRequest

if TYPE_CHECKING:
    from pnc.runs import TrainResult

__all__ = ["train"]


@declared(config=True)
def train(
    request: TrainRequest,
    out: OutOption = None,
    style: StyleOption = "screen",
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
    from pnc.runs import train_and_measure

    check_number("checkpoint_seconds", checkpoint_seconds, Number(least=0))
    if resume and out is None:
        raise InvalidInputError(
            got="--resume without --out", expected="the folder of the interrupted run", next_step="pass --out"
        )
    first = int(os.environ.get("RANK", "0")) == 0  # of torchrun's processes
    with live_line(shown=first and not quiet and sys.stderr.isatty()) as line:
        result = train_and_measure(
            request, out=out, style=STYLES[style], resume=resume, force=force, checkpoint_seconds=checkpoint_seconds,
            progress=None if line is None else partial(follow_training, line),
        )  # fmt: skip
    if not result.reports:
        raise typer.Exit(0)
    shout(result.universal.values())
    if json:
        print_json(result.to_dict())
    else:
        _print(result, network=request.network.name, accuracy_limit=request.accuracy_limit)
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
            "of classes": closest_classes(curve) or [""] * len(curve),
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
            "raise `epochs`"
        )
    print_parts(result.record.details.get("parts", ()))
    following = result.record.details["following"]
    if result.converged or following["verdict"] == "DISAGREES":
        say(f"\n{following['verdict']}: {following['advice']}")
    if result.folder is not None and not result.complete:
        say(f"written to {result.folder}")
