"""`pnc compare`: a predicted curve against a measured one."""

from __future__ import annotations

from json import loads
from typing import Annotated

import typer

from pnc.cli.options import CompressionLimitOption, DiscriminationLimitOption, JsonOption, limits_of
from pnc.cli.output import print_comparison, print_json, read_text
from pnc.errors import InvalidInputError

__all__ = ["compare"]


def compare(
    predicted: Annotated[str, typer.Argument(help="JSON of `pnc predict`, or - for stdin.")],
    measured: Annotated[str, typer.Argument(help="JSON of `pnc measure` or `pnc simulate`, or - for stdin.")],
    compression_limit: CompressionLimitOption = 0.10,
    discrimination_limit: DiscriminationLimitOption = 0.10,
    json: JsonOption = False,
) -> None:
    """Hold a measured curve against a predicted one and give a verdict."""
    limits = limits_of(compression_limit, discrimination_limit)
    if predicted == measured == "-":
        raise InvalidInputError(
            got="- for both curves", expected="at most one of them on stdin", next_step="write the other to a file"
        )
    from pnc.compare import compare as compare_curves
    from pnc.curves import LayerCurve
    from pnc.theory import Certificate

    theory, text = LayerCurve.from_json(read_text(predicted)), read_text(measured)
    curve = LayerCurve.from_json(text)  # refuses what is not one JSON object
    intervals = loads(text).get("certificate")
    comparison = compare_curves(
        theory,
        curve,
        limits=limits,
        certificate=None if intervals is None else Certificate.from_dict(intervals),
    )
    if json:
        print_json(comparison.to_dict())
    else:
        print_comparison(comparison)
        print(f"\n{comparison.verdict.name}: {comparison.advice}")
    raise typer.Exit(comparison.verdict.exit_status)
