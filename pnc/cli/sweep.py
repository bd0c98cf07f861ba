"""`pnc sweep`: many simulations at once, resumable, into one labelled dataset."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pnc.cli.options import (
    DATA,
    NETWORK,
    OUTPUT,
    TRAINING,
    ComponentsOption,
    DataDirOption,
    DataOption,
    JsonOption,
    ScaleOption,
)
from pnc.cli.output import print_json, print_table
from pnc.spec import Coordinates, Engine, InitialWeights

__all__ = ["sweep"]

_VALUES = "A number, a list 200,300 or a range 2:12 (ends included), 0.1:0.5:0.1."
_SWEEP = "Sweep"


def _axis(flag: str, text: str, panel: str) -> Any:
    return typer.Option(flag, metavar="VALUES", help=text, rich_help_panel=panel)


def sweep(
    file: Annotated[
        Path | None, typer.Argument(help="A TOML file with the options below as keys; [\\[grid]] tables for a union.")
    ] = None,
    depth: Annotated[str | None, _axis("--depth", f"L. {_VALUES}", NETWORK)] = None,
    width: Annotated[str | None, _axis("--width", "Hidden widths.", NETWORK)] = None,
    epsilon: Annotated[str | None, _axis("--epsilon", "ε; default 0.3.", NETWORK)] = None,
    label_scale: Annotated[str | None, _axis("--label-scale", "α; default 1.", NETWORK)] = None,
    classes: Annotated[str | None, _axis("--classes", "K; default 3.", DATA)] = None,
    samples_per_class: Annotated[
        str | None,
        _axis("--samples-per-class", "n, or 5/10/20 for unequal classes; default 10, fewer beyond 20.", DATA),
    ] = None,
    dimension: Annotated[str | None, _axis("--dimension", "d; default ⌈5N/3⌉.", DATA)] = None,
    theta: Annotated[str | None, _axis("--theta", "θ of nearly orthonormal data; default 0.2.", DATA)] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="How many seeds; default 1.", rich_help_panel=_SWEEP)
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="The first of them; default 0.", rich_help_panel=_SWEEP)
    ] = None,
    data: DataOption = None,
    data_dir: DataDirOption = None,
    components: ComponentsOption = None,
    whiten: Annotated[
        bool | None, typer.Option("--whiten", help="Give all kept components the same variance.", rich_help_panel=DATA)
    ] = None,
    scale: ScaleOption = None,
    weights: Annotated[
        InitialWeights | None, typer.Option("--weights", help="Initial weights.", rich_help_panel=TRAINING)
    ] = None,
    engine: Annotated[
        Engine | None,
        typer.Option("--engine", help="Gradient flow, or full-batch descent.", rich_help_panel=TRAINING),
    ] = None,
    coordinates: Annotated[
        Coordinates | None, typer.Option("--coordinates", help="Reduced or full.", rich_help_panel=TRAINING)
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", help="Of descent; default a stable one.", rich_help_panel=TRAINING),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Most steps of a run.", rich_help_panel=TRAINING)] = None,
    loss_tolerance: Annotated[
        float | None,
        typer.Option("--loss-tolerance", help="Stop at this share of the initial loss.", rich_help_panel=TRAINING),
    ] = None,
    dtype: Annotated[
        Literal["float64", "float32"] | None, typer.Option("--dtype", help="Of training.", rich_help_panel=TRAINING)
    ] = None,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu, cuda or cuda:1, on every worker.", rich_help_panel=TRAINING)
    ] = "auto",
    certificates: Annotated[
        bool | None,
        typer.Option("--certificates/--no-certificates", help="T8 for every run's weights.", rich_help_panel=_SWEEP),
    ] = None,
    full_checks: Annotated[
        bool | None,
        typer.Option(
            "--full-checks/--no-full-checks",
            help="Check the assumptions on the full matrices, as the paper does.",
            rich_help_panel=_SWEEP,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes; default one a core, one on a GPU.", rich_help_panel=_SWEEP),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", help="tcp:// address of a Dask scheduler to run on.", rich_help_panel=_SWEEP),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="The sweep's folder; what is finished there is kept.", rich_help_panel=OUTPUT)
    ] = Path("sweep"),
    plan_only: Annotated[bool, typer.Option("--plan", help="Show the plan and stop.", rich_help_panel=OUTPUT)] = False,
    json: JsonOption = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No plan and no progress on stderr.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Run a grid of simulations, compare each with the theory, and write one dataset: results.nc and results.csv.

    Large results are written as results.zarr where Zarr is installed; the plan says so. Finished runs are never run
    twice: the same command goes on where it was stopped.
    """
    from pnc.compare import worst_status
    from pnc.sweep import describe_plan, make_plan, read_sweep, results_name, run_sweep, show_progress, usual_workers

    options = {
        "depth": depth,
        "width": width,
        "epsilon": epsilon,
        "label_scale": label_scale,
        "classes": classes,
        "samples_per_class": samples_per_class,
        "dimension": dimension,
        "theta": theta,
        "seeds": seeds,
        "seed": seed,
        "data": data,
        "data_dir": None if data_dir is None else str(data_dir),
        "components": components,
        "whiten": whiten,
        "scale": scale,
        "weights": weights,
        "engine": engine,
        "coordinates": coordinates,
        "learning_rate": learning_rate,
        "steps": steps,
        "loss_tolerance": loss_tolerance,
        "dtype": dtype,
        "certificates": certificates,
        "full_checks": full_checks,
    }
    plan = make_plan(read_sweep(file, **options), device=device)
    text = describe_plan(plan, workers=workers or usual_workers())
    if plan_only:
        if json:
            print_json({"runs": len(plan.runs), "batches": len(plan.batches), "plan": text.split("\n")})
        else:
            print(text)
        return
    if not quiet:
        print(text, file=sys.stderr)
    with show_progress(quiet=quiet) as progress:
        dataset = run_sweep(plan, out, workers=workers, scheduler=scheduler, progress=progress)
    counts = {
        name: {
            str(value): int((dataset[name].values == value).sum())
            for value in sorted(set(dataset[name].values.ravel().tolist()) - {""})
        }
        for name in ("outcome", "verdict")
    }
    if json:
        sizes = {str(name): size for name, size in dataset.sizes.items()}
        print_json({"folder": str(out), "runs": len(plan.runs), "sizes": sizes, **counts})
        raise typer.Exit(worst_status(counts["verdict"]))
    print_table(
        ["", "runs"],
        [[name, str(count)] for kind in counts.values() for name, count in kind.items()],
    )
    print(f"written to {out}: {results_name(plan)}, results.csv")
    raise typer.Exit(worst_status(counts["verdict"]))
