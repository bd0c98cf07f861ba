"""`pnc simulate`: train a deep linear network and hold every layer against the theory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnc.cli.options import (
    OUTPUT,
    TRAINING,
    ClassesOption,
    ComponentsOption,
    CompressionLimitOption,
    CoordinatesChoice,
    DataDirOption,
    DataOption,
    DepthOption,
    DimensionOption,
    DiscriminationLimitOption,
    DtypeChoice,
    EngineChoice,
    EpsilonOption,
    JsonOption,
    LabelScaleOption,
    QuietOption,
    SamplesOption,
    ScaleOption,
    SeedOption,
    ThetaOption,
    WeightsChoice,
    WhitenOption,
    WidthOption,
    limits_of,
    problem_of,
)
from pnc.cli.output import number, print_comparison, print_json, say
from pnc.report.live import live_line, time_left

if TYPE_CHECKING:
    from pnc.simulate import Progress

__all__ = ["simulate"]


def simulate(
    depth: DepthOption = 6,
    classes: ClassesOption = None,
    samples_per_class: SamplesOption = None,
    dimension: DimensionOption = None,
    width: WidthOption = None,
    epsilon: EpsilonOption = None,
    theta: ThetaOption = None,
    label_scale: LabelScaleOption = 1.0,
    data: DataOption = None,
    data_dir: DataDirOption = None,
    components: ComponentsOption = None,
    whiten: WhitenOption = False,
    scale: ScaleOption = None,
    weights: Annotated[
        WeightsChoice, typer.Option("--weights", help="Initial weights.", rich_help_panel=TRAINING)
    ] = WeightsChoice.orthogonal,
    engine: Annotated[
        EngineChoice,
        typer.Option("--engine", help="Gradient flow, or full-batch descent.", rich_help_panel=TRAINING),
    ] = EngineChoice.flow,
    coordinates: Annotated[
        CoordinatesChoice | None,
        typer.Option(
            "--coordinates",
            help="Reduced (exact, any width at one cost) or full; default reduced, full for default weights.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", help="Of descent; default a stable one.", rich_help_panel=TRAINING),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", help="Most steps.", rich_help_panel=TRAINING)] = 100_000,
    loss_tolerance: Annotated[
        float,
        typer.Option("--loss-tolerance", help="Stop at this share of the initial loss.", rich_help_panel=TRAINING),
    ] = 1e-16,
    record: Annotated[
        int,
        typer.Option(
            "--record",
            help="Points of the training to record curves at; with --out also drawn and animated.",
            rich_help_panel=OUTPUT,
        ),
    ] = 0,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.", rich_help_panel=TRAINING)
    ] = "auto",
    dtype: Annotated[
        DtypeChoice, typer.Option("--dtype", help="Of training.", rich_help_panel=TRAINING)
    ] = DtypeChoice.float64,
    compression_limit: CompressionLimitOption = 0.10,
    discrimination_limit: DiscriminationLimitOption = 0.10,
    seed: SeedOption = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the run folder there.", rich_help_panel=OUTPUT)
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an output folder that exists.", rich_help_panel=OUTPUT)
    ] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a deep linear network, measure every layer, compare it with the theory and give a verdict."""
    from pnc.spec import NetworkSpec, SimulationSpec

    network = NetworkSpec(depth=depth, width=width, residual_scale=epsilon, label_scale=label_scale)
    train = SimulationSpec(
        weights=weights.value,
        engine=engine.value,
        coordinates=None if coordinates is None else coordinates.value,
        learning_rate=learning_rate,
        steps=steps,
        loss_tolerance=loss_tolerance,
        record=record,
        device=device,
        dtype=dtype.value,
        seed=seed,
    )
    limits = limits_of(compression_limit, discrimination_limit)
    if out is not None:
        from pnc.records import check_folder

        check_folder(out, force=force)

    from pnc.simulate.device import resolve_device

    resolve_device(device)  # before the data are read
    problem = problem_of(
        data,
        classes=classes,
        samples_per_class=samples_per_class,
        dimension=dimension,
        theta=theta,
        seed=seed,
        data_dir=data_dir,
        components=components,
        whiten=whiten,
        scale=scale,
    )

    from pnc.compare import compare
    from pnc.simulate import simulate as run_simulation
    from pnc.theory import bounds, predict

    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        progress = None if line is None else partial(_follow, line)
        run = run_simulation(problem, network, train, progress=progress)
    network = run.network
    comparison = compare(
        predict(problem, network, residual_projection=run.residual_projection),
        run.measured,
        limits=limits,
        bounds=bounds(problem, network),
        certificate=run.certificate,
        residuals=run.residuals,
        residual_scale=network.residual_scale,
    )
    advice = "; ".join([*([] if run.outcome.converged else [run.advice]), comparison.advice])
    result = {
        **comparison.to_dict(),
        "advice": advice,
        "outcome": run.outcome.name,
        "loss": run.loss,
        "steps": run.steps,
        "gradients": run.evaluations,
        "flow_time": run.flow_time,
        "seconds": run.seconds,
        "coordinates": run.coordinates.to_dict(),
        "history": None if run.history is None else run.history.to_dict(),
    }
    if train.weights == "default":
        result["default_weights"] = _default_rates(problem, network, run.measured)
    if out is not None:  # before anything is printed: the reader of our output may go early
        _write(out, problem, network, train, run, comparison, result, force=force)
    if json:
        print_json(result)
    else:
        _print(problem, network, train, run, comparison, advice, result)
        if out is not None:
            say(f"written to {out}")
    raise typer.Exit(comparison.verdict.exit_status)


def _print(
    problem: Any, network: Any, train: Any, run: Any, comparison: Any, advice: str, result: dict[str, Any]
) -> None:
    from pnc.cli.describe import describe_network, describe_problem, describe_training

    say(describe_problem(problem))
    say(describe_network(network))
    sizes = f"matrices up to {max(w.shape[0] for w in run.weights)} × {max(w.shape[1] for w in run.weights)}"
    say(describe_training(train, device=run.measured.origin.device, coordinates=run.coordinates, sizes=sizes))
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
    print_comparison(comparison)
    if "default_weights" in result:
        rates = result["default_weights"]
        shown = zip(rates["predicted"], rates["measured"], strict=True)
        say(
            "T9 (default weights), C_(l+1)/C_l predicted and measured: "
            + ", ".join(f"{'–' if p is None else number(p, 3)} {number(m, 3)}" for p, m in shown)
        )
    say(f"\n{comparison.verdict.name}: {advice}")


def _default_rates(problem: Any, network: Any, measured: Any) -> dict[str, Any]:
    """T9's ratios of C, with the correction for finite width where it applies, beside the measured ones."""
    from pnc.curves import json_ready
    from pnc.theory import default_weights_rates, default_weights_ratios

    widths = [problem.dimension] + [network.width] * (network.depth - 1)
    first = default_weights_rates(problem.counts, widths, label_scale=network.label_scale)
    corrected = None
    if network.depth >= 3 and network.width > problem.classes:
        corrected = default_weights_ratios(
            dimension=problem.dimension,
            width=network.width,
            samples=problem.samples,
            classes=problem.classes,
            depth=network.depth,
            label_scale=network.label_scale,
        )
    return json_ready(
        {
            "first_order": first.compression,
            "predicted": first.compression if corrected is None else corrected,
            "measured": measured.compression[1:] / measured.compression[:-1],
            "caveat": first.caveat,
        }
    )


def _write(
    out: Path, problem: Any, network: Any, train: Any, run: Any, comparison: Any, result: dict[str, Any], *, force: bool
) -> None:
    from pnc.records import RunRecord
    from pnc.report import write_run

    arrays = {f"W_{l + 1}": w for l, w in enumerate(run.weights)}
    if train.coordinates == "reduced":
        arrays["basis"] = run.basis
    told = ("outcome", "loss", "steps", "gradients", "flow_time", "seconds", "coordinates", "history", "advice")
    record = RunRecord(
        command="simulate",
        converged=run.outcome.converged,
        verdict=comparison.verdict.name,
        network=network,
        details={
            "problem": {"name": problem.name, "notes": list(problem.notes), **problem.provenance},
            "train": train.to_dict(),
            **{name: result[name] for name in told},
            "device": run.measured.origin.device,
            "comparison": comparison.to_dict(),
        },
    )
    title = (
        f"{problem.name}: K = {problem.classes}, N = {problem.samples}, L = {network.depth}, "
        f"width {network.width}, ε = {network.residual_scale:.4g} — {comparison.verdict.name}"
    )
    write_run(
        out,
        comparison,
        record=record,
        weights=arrays,
        history=run.history,
        dynamics=_dynamics(problem, network, train, run.history),
        title=title,
        force=force,
    )


def _dynamics(problem: Any, network: Any, train: Any, history: Any) -> Any:
    """What Y1 predicts of the recorded curves; `None` where it says nothing of them."""
    if history is None or train.weights != "orthogonal" or network.width < problem.dimension:
        return None
    from pnc.report import shown_times
    from pnc.theory import predict_dynamics

    return predict_dynamics(problem, network, shown_times(history, points=200))


def _follow(line: Callable[[str, float, str], None], progress: Progress) -> None:
    """Phase, loss, time left; the bar counts orders of magnitude of the loss, of the sixteen that there usually are."""
    import math

    line(
        f"{progress.phase}, step {progress.steps}",
        min(1.0, max(0.0, -math.log10(max(progress.loss, 1e-300)) / 16)),
        f"loss {progress.loss:.2e} of its start{time_left(progress.seconds_left)}",
    )
