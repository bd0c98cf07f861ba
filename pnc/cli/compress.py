"""`pnc compress`: what a layer's activations are worth in few dimensions."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pnc.cli.declared import declared
from pnc.cli.options import ForceOption, JsonOption, OutOption, QuietOption, StyleOption
from pnc.cli.output import number, print_json, print_table, say
from pnc.report.live import live_line
from pnc.report.style import STYLES
from pnc.runs.requests import CompressRequest

if TYPE_CHECKING:
    from pnc.measure import KeptDimensions
    from pnc.runs import CompressResult

__all__ = ["compress"]


@declared(config=True)
def compress(
    request: CompressRequest,
    out: OutOption = None,
    style: StyleOption = "screen",
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Accuracy against the dimensions that a layer is compressed to: SVM, own tail, linear tail, nearest centre."""
    from pnc.runs import compress_layer

    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        result = compress_layer(
            request, out=out, style=STYLES[style], force=force,
            progress=None if line is None else lambda words, done: line(words, done, ""),
        )  # fmt: skip
    if json:
        print_json(result.to_dict())
    else:
        _print(result)
        if result.folder is not None:
            say(f"written to {result.folder}")


def _print(result: CompressResult) -> None:
    found = result.found
    say(
        f"{result.name}, {found.site}: {' × '.join(map(str, found.shape))} = {found.dimension} entries, "
        f"{found.samples} training and {found.test_samples} test samples"
    )
    for note in result.notes:
        say(f"note: {note}")
    print_table(
        ["m", "factor", "variance", "SVM", "own tail", "linear tail", "centre"], map(_row, (*found.kept, found.whole))
    )
    say(
        f"own tail: {found.tail_parameters} parameters of {found.network_parameters}; linear tail: "
        f"{found.linear_parameters}"
    )
    directions = found.classes - 1
    say(
        f"U1: C = {number(found.moments.compression())}, so {directions} directions hold {result.variance_share:.2%} "
        "or more"
    )
    if result.centre_error < 1:
        say(
            f"U4: error of the nearest centre in {directions} or more of them at most {result.centre_error:.2%} "
            "(training)"
        )


def _row(kept: KeptDimensions) -> list[str]:
    shares: list[Any] = [
        kept.variance, kept.svm_accuracy, kept.own_accuracy, kept.linear_accuracy, kept.centre_accuracy,
    ]  # fmt: skip
    cells = ["–" if share is None else f"{share:.2%}" for share in shares]
    return [str(kept.dimensions), f"{number(kept.factor)} ×", *cells]
