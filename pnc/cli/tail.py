"""`pnc tail`: what the part of a network behind each layer is worth."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pnc.cli.declared import declared
from pnc.cli.options import ForceOption, JsonOption, OutOption, QuietOption, StyleOption
from pnc.cli.output import number, print_json, print_table, say
from pnc.report.live import live_line
from pnc.report.style import STYLES
from pnc.report.text import signed
from pnc.runs.requests import TailRequest

if TYPE_CHECKING:
    from pnc.runs import TailResult

__all__ = ["tail"]


@declared(config=True)
def tail(
    request: TailRequest,
    out: OutOption = None,
    style: StyleOption = "screen",
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """What replacing everything after a layer by one linear map costs, for every layer, and what it saves."""
    from pnc.runs import cut_for

    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        result = cut_for(request, out=out, style=STYLES[style], force=force, progress=line)
    if json:
        print_json(result.to_dict())
    else:
        _print(result)
        if result.folder is not None:
            say(f"written to {result.folder}")


def _print(result: TailResult) -> None:
    costs = result.costs
    say(f"{result.title}: accuracy {costs.accuracy:.2%} of {costs.held_out} samples; maps fitted to {costs.samples}")
    for note in [*result.notes, *costs.notes]:
        say(f"note: {note}")
    rows = []
    for cut, c in zip(costs.cuts, costs.curve.compression.tolist(), strict=True):
        low, high = (100 * end for end in cut.interval)
        rows.append(
            [
                str(cut.layer), cut.name, number(c), f"{cut.accuracy:.2%}",
                f"{signed(100 * cut.cost)} [{signed(low)}, {signed(high)}]", str(cut.parameters),
                str(cut.linear_parameters),
                f"{cut.time_share:.0%}",
            ]
        )  # fmt: skip
    print_table(["layer", "name", "C", "accuracy", "cost, points", "parameters cut", "of the map", "time saved"], rows)
    earliest = costs.earliest
    if earliest is None:
        say(f"\nno tail: no cut is sure to cost {100 * costs.limit:g} points or less")
    else:
        say(
            f"\ncut after layer {earliest.layer} ({earliest.name}): surely {100 * costs.limit:g} points or less, "
            f"{earliest.parameters} parameters replaced by {earliest.linear_parameters}"
        )
