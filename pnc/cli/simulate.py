"""`pnc simulate`: train a deep linear network and hold every layer against the theory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pnc.cli.declared import declared
from pnc.cli.options import OUTPUT, JsonOption, OutOption, QuietOption, StyleOption
from pnc.cli.output import number, print_comparison, print_curve, print_json, say
from pnc.report.live import live_line, time_left
from pnc.report.style import STYLES
from pnc.runs.requests import SimulateRequest

if TYPE_CHECKING:
    from pnc.runs import SimulateResult, VariantResult
    from pnc.simulate import Progress

__all__ = ["simulate"]


@declared(config=True)
def simulate(
    request: SimulateRequest,
    out: OutOption = None,
    style: StyleOption = "screen",
    force: Annotated[
        bool, typer.Option("--force", help="Replace an output folder that exists.", rich_help_panel=OUTPUT)
    ] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a deep linear network, measure every layer, compare it with the theory and give a verdict."""
    from pnc.runs import SimulateResult, simulate_and_compare, simulate_variant

    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        progress = None if line is None else partial(_follow, line)
        if request.variant.plain:
            result = simulate_and_compare(request, out=out, style=STYLES[style], force=force, progress=progress)
        else:
            result = simulate_variant(request, out=out, style=STYLES[style], force=force, progress=progress)
    if json:
        print_json(result.to_dict())
    elif isinstance(result, SimulateResult):
        _print(result)
    else:
        _print_variant(result)
    raise typer.Exit(result.exit_status)


def _print_variant(result: VariantResult) -> None:
    from pnc.cli.describe import describe_network, describe_problem, describe_variant

    request = result.request
    say(describe_problem(result.problem))
    say(describe_network(request.network))
    say(describe_variant(request.variant))
    say(result.told)
    say()
    comparison = result.comparison
    if comparison is None:
        say(f"no prediction: {result.missing}")
        print_curve(result.measured)
    else:
        origin = comparison.predicted.origin
        say(f"law: {origin.statement}, {origin.reason}")
        print_comparison(comparison)
        say(f"\n{comparison.verdict.name}: {comparison.advice}")
    if result.folder is not None:
        say(f"written to {result.folder}")


def _print(result: SimulateResult) -> None:
    from pnc.cli.describe import describe_network, describe_problem, describe_training

    problem, network, train, run = result.problem, result.network, result.spec, result.run
    say(describe_problem(problem))
    say(describe_network(network))
    sizes = f"matrices up to {max(w.shape[0] for w in run.weights)} × {max(w.shape[1] for w in run.weights)}"
    device = run.measured.origin.device
    assert device is not None  # every simulation says where it ran
    say(describe_training(train, device=device, coordinates=run.coordinates, sizes=sizes))
    say(
        f"{run.outcome.name.lower()}: loss {number(run.loss, 3)} of its start after {run.steps} steps "
        f"({run.evaluations} gradients, {run.seconds:.1f} s), flow time {number(run.flow_time)}"
    )
    residuals, scale = run.residuals, network.residual_scale
    low, high = residuals.residual_interval
    worst = max(residuals.imbalance.tolist())
    say(
        f"assumptions: A1 ν/‖MX‖ = {number(residuals.map_error_relative, 2)}, "
        f"A2 max δ_l = {number(worst / scale**2, 2)} ε², "
        f"A3 residual singular values in [{number(low, 3)}, {number(high, 3)}]"
    )
    say()
    print_comparison(result.comparison)
    rates = result.default_weights
    if rates is not None:
        shown = zip(rates["predicted"], rates["measured"], strict=True)
        say(
            "T9 (default weights), C_(l+1)/C_l predicted and measured: "
            + ", ".join(f"{'–' if p is None else number(p, 3)} {number(m, 3)}" for p, m in shown)
        )
    say(f"\n{result.comparison.verdict.name}: {result.advice}")
    if result.folder is not None:
        say(f"written to {result.folder}")


def _follow(line: Callable[[str, float, str], None], progress: Progress) -> None:
    """Phase, loss, time left; the bar counts orders of magnitude of the loss, of the sixteen that there usually are."""
    import math

    line(
        f"{progress.phase}, step {progress.steps}",
        min(1.0, max(0.0, -math.log10(max(progress.loss, 1e-300)) / 16)),
        f"loss {progress.loss:.2e} of its start{time_left(progress.seconds_left)}",
    )
