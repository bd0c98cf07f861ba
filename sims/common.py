"""What the experiments share: their command line, sweeps with progress, figures."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pnc.curves import json_ready
from pnc.errors import InvalidInputError, PncError
from pnc.sweep import describe_plan, make_plan, read_sweep, run_sweep, show_progress, usual_workers

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

__all__ = ["Scale", "command", "new_figure", "save", "sweep"]

Scale = Literal["smoke", "paper", "full"]


def sweep(spec: Mapping[str, Any], folder: Path, *, workers: int | None = None, quiet: bool = False) -> xarray.Dataset:
    """Plan and carry out a sweep; what is finished in the folder is kept."""
    plan = make_plan(read_sweep(spec), device="cpu")
    if not quiet:
        print(describe_plan(plan, workers=workers or usual_workers()), file=sys.stderr)
    with show_progress(quiet=quiet) as progress:
        return run_sweep(plan, folder, workers=workers, progress=progress)


def new_figure(panels: int, *, height: float = 3.4) -> tuple[Figure, Any]:
    """A row of panels that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * panels, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, panels, squeeze=False)[0]


def save(folder: Path, name: str, figure: Figure, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Write the figure (PNG and SVG) and the numbers that follow from it; the numbers as plain ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("png", "svg"):
        figure.savefig(folder / f"{name}.{suffix}", dpi=150)
    plain = json_ready(summary)
    (folder / f"{name}.json").write_text(json.dumps(plain, sort_keys=True, indent=1) + "\n", encoding="utf-8")
    return plain


def command(reproduce: Callable[..., Mapping[str, Any]], name: str) -> None:
    """Run an experiment from its own command line."""

    def run(
        scale: Annotated[str, typer.Option(help="smoke, paper or full.")] = "smoke",
        out: Annotated[Path | None, typer.Option(help="Folder; default ./reproduce/NAME-SCALE.")] = None,
        workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one a core.")] = None,
    ) -> None:
        try:
            if scale not in ("smoke", "paper", "full"):
                raise InvalidInputError(
                    got=f"--scale {scale}", expected="smoke, paper or full", next_step="pass --scale smoke"
                )
            summary = reproduce(out or Path("reproduce") / f"{name}-{scale}", scale=scale, workers=workers)
        except PncError as error:
            print(f"{name}: {error}", file=sys.stderr)
            raise typer.Exit(2) from None
        for key, value in summary.items():
            print(f"{key}: {value}")

    run.__doc__ = reproduce.__doc__
    typer.run(run)
