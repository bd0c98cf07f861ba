"""`pnc compress`: what a layer's activations are worth in few dimensions."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnc.cli.options import JsonOption, QuietOption, TrustCodeOption
from pnc.cli.output import number, print_json, print_table
from pnc.errors import InvalidInputError
from pnc.report.live import live_line

if TYPE_CHECKING:
    from pnc.measure import CompressedSite, KeptDimensions
    from pnc.train import Samples

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
    from pnc.measure import measure_compressed
    from pnc.measure.readout.svm import check_strength
    from pnc.report.spectra import projected_error_bound
    from pnc.simulate.device import resolve_device
    from pnc.theory import variance_share_bound
    from pnc.train import find_sites, load_run

    wanted = _numbers(dimensions)
    check_strength(strength)
    where = resolve_device(device)
    saved = load_run(run, trust_code=trust_code)
    model = saved.model.to(where)
    name = site if "#" in site else _one(site, find_sites(model, [site]))
    train = _some(saved.load_split("train"), samples_per_class)
    test = _some(saved.load_split("test"), test_samples_per_class)
    batches = [some.to(where).batches(512, dtype=saved.dtype) for some in (train, train if test is None else test)]
    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        found = measure_compressed(
            model, *batches, classes=saved.classes, site=name, dimensions=wanted, svm=svm, strength=strength,
            progress=None if line is None else lambda words, done: line(words, done, ""),
        )  # fmt: skip
    notes = [*found.notes] + ([] if test is not None else ["no test split: accuracies are of the training samples"])
    share, error = variance_share_bound(found.moments.compression()), projected_error_bound(found)
    if json:
        bounds = {"variance_share_lower": share, "centre_error_upper": error if error < 1 else None}
        print_json({**found.to_dict(), "notes": notes, "bounds": bounds, "run": str(run)})
        return
    _print(saved.name, found, notes)
    print(f"U1: C = {number(found.moments.compression())}, so {found.classes - 1} directions hold {share:.2%} or more")
    if error < 1:
        print(f"U4: error of the nearest centre in {found.classes - 1} or more of them at most {error:.2%} (training)")


def _print(network: str, found: CompressedSite, notes: list[str]) -> None:
    print(
        f"{network}, {found.site}: {' × '.join(map(str, found.shape))} = {found.dimension} entries, "
        f"{found.samples} training and {found.test_samples} test samples"
    )
    for note in notes:
        print(f"note: {note}")
    print_table(
        ["m", "factor", "variance", "SVM", "own tail", "linear tail", "centre"], map(_row, (*found.kept, found.whole))
    )
    print(
        f"own tail: {found.tail_parameters} parameters of {found.network_parameters}; linear tail: "
        f"{found.linear_parameters}"
    )


def _row(kept: KeptDimensions) -> list[str]:
    shares: list[Any] = [
        kept.variance, kept.svm_accuracy, kept.own_accuracy, kept.linear_accuracy, kept.centre_accuracy,
    ]  # fmt: skip
    cells = ["–" if share is None else f"{share:.2%}" for share in shares]
    return [str(kept.dimensions), f"{number(kept.factor)} ×", *cells]


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InvalidInputError(
            got=f"--dimensions {text!r}",
            expected="whole numbers separated by commas",
            next_step="pass for instance 2,5,10,20",
        ) from None


def _one(site: str, names: tuple[str, ...]) -> str:
    if len(names) > 1:
        raise InvalidInputError(
            got=f"--site {site}, which means {len(names)} layers",
            expected="one layer",
            next_step=f"name one of them, for instance {names[-1]}",
        )
    return names[0]


def _some(samples: Samples | None, samples_per_class: int | None) -> Samples | None:
    """The first n of every class, or all."""
    from pnc.data import first_of_each_class

    if samples is None or samples_per_class is None:
        return samples
    rows = first_of_each_class(samples.y.numpy(), samples_per_class)
    return replace(samples, x=samples.x[rows], y=samples.y[rows])
