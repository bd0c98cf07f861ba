"""What the experiments share: their command line, sweeps with progress, figures."""

from __future__ import annotations

import inspect
import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pnc.curves import json_ready
from pnc.errors import InvalidInputError, PncError
from pnc.report.canvas import new_figure as draw_panels
from pnc.report.canvas import save_figure
from pnc.report.pages.collections import summary_tables
from pnc.report.text import number, print_table, span
from pnc.sweep import describe_plan, make_plan, read_sweep, run_sweep, show_progress, usual_workers

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

__all__ = ["Scale", "command", "new_figure", "own_data", "save", "show", "sweep"]

Scale = Literal["smoke", "paper", "full"]


def sweep(spec: Mapping[str, Any], folder: Path, *, workers: int | None = None, quiet: bool = False) -> xarray.Dataset:
    """Plan and carry out a sweep; what is finished in the folder is kept."""
    plan = make_plan(read_sweep(spec), device="cpu")
    if not quiet:
        print(describe_plan(plan, workers=workers or usual_workers()), file=sys.stderr)
    with show_progress(quiet=quiet) as progress:
        return run_sweep(plan, folder, workers=workers, progress=progress)


def new_figure(panels: int, *, rows: int = 1, height: float = 3.4) -> tuple[Figure, Any]:
    """Rows of so many panels each, without a display; the panels in one list, row by row."""
    return draw_panels(3.6 * panels, height * rows, columns=panels, rows=rows)


def save(folder: Path, name: str, figure: Figure, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Write the figure (PNG and SVG) and the numbers that follow from it; the numbers as plain ones."""
    folder.mkdir(parents=True, exist_ok=True)
    save_figure(figure, folder, name)
    plain = json_ready(summary)
    (folder / f"{name}.json").write_text(json.dumps(plain, sort_keys=True, indent=1) + "\n", encoding="utf-8")
    return plain


def show(summary: Mapping[str, Any]) -> None:
    """Print what an experiment found, as tables: of layers for what has layers, of facts and groups for the rest."""
    plain = {key: value for key, value in summary.items() if not isinstance(value, Mapping) or "layers" not in value}
    for table in summary_tables(plain):
        print(f"\n{table.caption}")
        print_table(list(table.header), table.shown())
    for key, value in summary.items():
        if key in plain:
            continue
        accuracies = ", ".join(f"{split} {found['mean']:.2%}" for split, found in value["accuracy"].items())
        print(f"\n{key}: {value['verdict']}; accuracy {accuracies}")
        for reason in value["reasons"]:
            print(f"  {reason}")
        for name, found in value["table"].items():
            print(f"  {name.replace('_', ' ')}: {_cell(found['mean'])} {span(*_ends(found))} over seeds")
        columns = {
            name.replace("_", " "): [_cell(mean) for mean in found["mean"]]
            for name, found in value.items()
            if isinstance(found, Mapping) and "mean" in found
        }
        rows = zip(map(str, value["layers"]), value["names"], *columns.values(), strict=True)
        print_table(["layer", "name", *columns], rows)


def _ends(interval: Mapping[str, float | None]) -> tuple[float, float]:
    lower, upper = interval["lower"], interval["upper"]
    return math.nan if lower is None else lower, math.nan if upper is None else upper


def _cell(value: float | None) -> str:
    return number(math.nan if value is None else value)


def own_data(reproduce: Callable[..., Any], data: str | None) -> dict[str, str]:
    """The argument `data` of an experiment, where it is given.

    Raises:
        InvalidInputError: an experiment that takes none.
    """
    if data is None:
        return {}
    if "data" not in inspect.signature(reproduce).parameters:
        raise InvalidInputError(
            got=f"--data {data}", expected="it only with experiments on any data", next_step="leave it out"
        )
    return {"data": data}


def command(reproduce: Callable[..., Mapping[str, Any]], name: str) -> None:
    """Run an experiment from its own command line."""

    def run(
        scale: Annotated[str, typer.Option(help="smoke, paper or full.")] = "smoke",
        out: Annotated[Path | None, typer.Option(help="Folder; default ./reproduce/NAME-SCALE.")] = None,
        workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one a core.")] = None,
        data: Annotated[str | None, typer.Option(help="Data of your own, where it takes any.")] = None,
    ) -> None:
        try:
            if scale not in ("smoke", "paper", "full"):
                raise InvalidInputError(
                    got=f"--scale {scale}", expected="smoke, paper or full", next_step="pass --scale smoke"
                )
            own = own_data(reproduce, data)
            summary = reproduce(out or Path("reproduce") / f"{name}-{scale}", scale=scale, workers=workers, **own)
        except PncError as error:
            print(f"{name}: {error}", file=sys.stderr)
            raise typer.Exit(2) from None
        show(summary)

    run.__doc__ = reproduce.__doc__
    typer.run(run)
