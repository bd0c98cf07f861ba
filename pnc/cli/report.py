"""`pnc report`: runs that were written, side by side in one page."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from pnc.cli.options import ForceOption, StyleOption
from pnc.cli.output import say
from pnc.report.style import STYLES

__all__ = ["report"]


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders that --out of any command wrote, or what its --json printed.", metavar="RUN…"),
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder of the page.")] = Path("report"),
    style: StyleOption = "screen",
    force: ForceOption = False,
) -> None:
    """Put runs side by side: their curves in one plot, verdicts, and the options in which they differ."""
    from pnc.runs.side_by_side import write_side_by_side

    names = [str(run) for run in runs]
    place = write_side_by_side(
        out, runs, again=shlex.join(["pnc", "report", *names, "--out", str(out)]), style=STYLES[style], force=force
    )
    say(f"written to {place}: report.html")
