"""`pnc compress`: what a layer's activations are worth in few dimensions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnc.cli.options import JsonOption, QuietOption, TrustCodeOption
from pnc.cli.output import number, print_json, print_table, say
from pnc.errors import InvalidInputError
from pnc.report.live import live_line

if TYPE_CHECKING:
    from pnc.measure import KeptDimensions
    from pnc.runs import CompressResult

__all__ = ["compress"]


def compress(
    run: Annotated[Path, typer.Argument(help="A folder that `pnc train --out` wrote.")],
    site: Annotated[str, typer.Option("--site", help="Name of a layer, or the end of it: stage4.")],
    dimensions: Annotated[
        str, typer.Option("--dimensions", metavar="M,M,…", help="Numbers of principal components to keep.")
    ] = "2,5,10,20",
    samples_per_class: Annotated[
        int | None, typer.Option("--samples-per-class", min=1, help="Only the first n of every class of the training.")
    ] = None,
    test_samples_per_class: Annotated[
        int | None, typer.Option("--test-samples-per-class", min=1, help="Likewise, of the test split.")
    ] = None,
    svm: Annotated[bool, typer.Option("--svm/--no-svm", help="Linear SVMs, which need scikit-learn.")] = True,
    strength: Annotated[float, typer.Option("--strength", help="Of the SVM: scikit-learn's C.")] = 1.0,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")] = "auto",
    trust_code: TrustCodeOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Accuracy against the dimensions that a layer is compressed to: SVM, own tail, linear tail, nearest centre."""
    from pnc.runs import CompressRequest, compress_layer

    request = CompressRequest(
        run=run, site=site, dimensions=_numbers(dimensions), samples_per_class=samples_per_class,
        test_samples_per_class=test_samples_per_class, svm=svm, strength=strength, device=device, trust_code=trust_code,
    )  # fmt: skip
    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        result = compress_layer(request, progress=None if line is None else lambda words, done: line(words, done, ""))
    if json:
        print_json(result.to_dict())
    else:
        _print(result)


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


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidInputError(
            got=f"--dimensions {text!r}",
            expected="whole numbers separated by commas",
            next_step="pass for instance 2,5,10,20",
        ) from None
