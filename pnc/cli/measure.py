"""`pnc measure`: what a network, or saved features, do to their classes, layer by layer."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated

import typer

from pnc.cli.declared import declared
from pnc.cli.measured import print_measured
from pnc.cli.options import OUTPUT, ForceOption, JsonOption, OutOption, QuietOption, StyleOption
from pnc.cli.output import print_json, say
from pnc.report.live import live_line
from pnc.report.style import STYLES
from pnc.runs.requests import MeasureRequest

__all__ = ["measure"]


@declared(config=True)
def measure(
    request: MeasureRequest,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="One pass: C, D, CDNV and standard errors alone.", rich_help_panel=OUTPUT),
    ] = False,
    out: OutOption = None,
    style: StyleOption = "screen",
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compression, discrimination, scatters, ranks, probes and neural collapse of every layer, with standard errors."""
    from pnc.runs.accepted import check_named

    check_named(request.model)
    from pnc.runs import measure_subject

    if quick:
        alone = replace(request.measurement, fuzziness=False, spectra=False, probes=False, collapse=False)
        request = replace(request, measurement=alone)
    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        result = measure_subject(request, out=out, style=STYLES[style], force=force, progress=line)
    if json:
        print_json(result.to_dict())
    else:
        print_measured(result)
        if result.folder is not None:
            say(f"written to {result.folder}")
    raise typer.Exit(result.exit_status)
