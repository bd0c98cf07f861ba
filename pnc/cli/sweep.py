"""`pnc sweep`: many simulations at once, resumable, into one labelled dataset."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnc.cli.declared import declared
from pnc.cli.options import OUTPUT, TRAINING, JsonOption, StyleName, StyleOption
from pnc.cli.output import print_json, print_table
from pnc.fields import Group
from pnc.spec.sweep import SWEEP, SweepAxes, SweepSettings

if TYPE_CHECKING:
    import xarray

    from pnc.sweep.plan import Plan

__all__ = ["sweep"]


@declared()
def sweep(
    axes: Annotated[dict[str, Any], Group(stated=SweepAxes)],
    settings: Annotated[dict[str, Any], Group(stated=SweepSettings)],
    file: Annotated[
        Path | None, typer.Argument(help="A TOML file with the options below as keys; [\\[grid]] tables for a union.")
    ] = None,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu, cuda or cuda:1, on every worker.", rich_help_panel=TRAINING)
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes; default one a core, one on a GPU.", rich_help_panel=SWEEP),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", help="tcp:// address of a Dask scheduler to run on.", rich_help_panel=SWEEP),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="The sweep's folder; what is finished there is kept.", rich_help_panel=OUTPUT)
    ] = Path("sweep"),
    style: StyleOption = "screen",
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

    plan = make_plan(read_sweep(file, **axes, **settings), device=device)
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
    _write_page(dataset, plan, out, style)
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
    print(f"written to {out}: {results_name(plan)}, results.csv, report.html")
    raise typer.Exit(worst_status(counts["verdict"]))


def _write_page(dataset: xarray.Dataset, plan: Plan, out: Path, style: StyleName) -> None:
    from pnc.records import software_versions
    from pnc.report.canvas import drawing
    from pnc.report.pages.collections import sweep_page
    from pnc.report.style import STYLES
    from pnc.report.writing import add_page

    varied = ", ".join(f"{name} {size}" for name, size in dataset.sizes.items() if name != "layer" and size > 1)
    title = f"{len(plan.runs)} simulations" + (f": {varied} values" if varied else "")
    record = {"runs": len(plan.runs), "axes": list(plan.axes), "software": software_versions()}
    again = shlex.join(["pnc", *(word for word in sys.argv[1:])]) if sys.argv[1:2] == ["sweep"] else "pnc sweep"
    with drawing(out) as figures, figures:
        add_page(out, sweep_page(dataset, title=title, record=record, again=(again,)), style=STYLES[style])
