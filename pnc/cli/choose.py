"""`pnc choose`: which layer's features to use."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pnc.cli.declared import declared
from pnc.cli.options import ForceOption, JsonOption, OutOption, QuietOption, StyleOption
from pnc.cli.output import closest_classes, number, print_json, print_table, say
from pnc.report.live import live_line
from pnc.report.style import STYLES
from pnc.runs.requests import ChooseRequest

if TYPE_CHECKING:
    from pnc.choose import ForeignInputs
    from pnc.runs import ChooseResult

__all__ = ["choose"]


@declared(config=True)
def choose(
    request: ChooseRequest,
    out: OutOption = None,
    style: StyleOption = "screen",
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Rank layers for a linear readout of the labels, from one pass and without training a probe.

    The criterion is the accuracy of a ridge regression, every sample left out in turn. With --foreign also which layer
    tells inputs that the network does not know.
    """
    from pnc.runs import choose_for

    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        result = choose_for(request, out=out, style=STYLES[style], force=force, progress=line)
    if json:
        print_json(result.to_dict())
    else:
        _print(result)
        if result.folder is not None:
            say(f"written to {result.folder}")


def _print(result: ChooseResult) -> None:
    choice = result.choice
    say(f"{result.title}, {choice.samples} samples")
    for note in [*result.notes, *choice.notes]:
        say(f"note: {note}")
    ties = {readout.layer for readout in choice.ties}
    print_table(
        ["layer", "name", "width", "C", "D", "of classes", "left-out accuracy", ""],
        [
            [
                str(readout.layer), readout.name, str(readout.width), number(c), number(d, 5), pair,
                f"{readout.accuracy:.1%} ± {readout.standard_error:.1%}",
                "best" if readout is choice.best else "as good, within the error" if readout.layer in ties else "",
            ]
            for readout, c, d, pair in zip(
                choice.readouts, choice.curve.compression.tolist(), choice.curve.discrimination.tolist(),
                closest_classes(choice.curve) or [""] * len(choice.curve), strict=True,
            )
        ],
    )  # fmt: skip
    best, last = choice.best, choice.readouts[-1]
    others = ", ".join(str(readout.layer) for readout in choice.ties if readout is not best)
    say(f"\nuse layer {best.layer} ({best.name})" + (f"; as good within the error: {others}" if others else ""))
    if last is not best:
        gap, error = choice.gap(last)
        say(f"the last layer costs {100 * gap:.1f} ± {100 * error:.1f} points")
    if result.foreign is not None:
        _print_foreign(result.foreign)


def _print_foreign(found: ForeignInputs) -> None:
    from pnc.choose.foreign import SCORES

    say(f"\nforeign inputs: {found.foreign} against {found.own} held-out samples; AUROC, FPR at 95 %")
    rows = []
    for layer, name, scores in zip(found.curve.layers.tolist(), found.names, found.detections, strict=True):
        cells = [
            f"{one.area:.3f} [{one.area_interval[0]:.3f}, {one.area_interval[1]:.3f}] {one.false_positives:.1%}"
            for one in (scores[score] for score in SCORES)
        ]
        rows.append([str(layer), name, *cells])
    print_table(["layer", "name", *SCORES], rows)
    layer, score = found.best
    say(f"\nlayer {layer} tells them best, by {score}")
