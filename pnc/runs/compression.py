"""`compress_layer`: what the activations of a trained network's layer are worth in few dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pnc.data import first_of_each_class
from pnc.errors import InvalidInputError
from pnc.measure import CompressedSite, measure_compressed
from pnc.measure.readout.svm import check_strength
from pnc.records import RunRecord
from pnc.report.pages.decisions import compressed_page
from pnc.report.spectra import projected_error_bound
from pnc.report.style import SCREEN, Style
from pnc.report.writing import again, shown_record, write_result
from pnc.runs.requests import CompressRequest, request_record
from pnc.runs.reserved import reserved
from pnc.simulate.device import resolve_device
from pnc.theory import variance_share_bound
from pnc.train import Samples, find_sites, load_run

__all__ = ["CompressResult", "compress_layer"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CompressResult:
    """A layer in few dimensions.

    Args:
        request: what was asked for.
        name: of the network.
        found: accuracies against the dimensions that are kept.
        notes: what a reader of the numbers should know.
        variance_share: that K-1 directions hold, at least (U1).
        centre_error: of the nearest centre in K-1 directions or more, at most (U4); above 1 it says nothing.
        folder: where it was written.
    """

    request: CompressRequest
    name: str
    found: CompressedSite
    notes: tuple[str, ...]
    variance_share: float
    centre_error: float
    folder: Path | None = None

    exit_status = 0

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        error = self.centre_error if self.centre_error < 1 else None
        return {
            **self.found.to_dict(),
            "notes": list(self.notes),
            "bounds": {"variance_share_lower": self.variance_share, "centre_error_upper": error},
            "run": str(self.request.run),
        }


def compress_layer(
    request: CompressRequest,
    *,
    out: str | Path | None = None,
    style: Style = SCREEN,
    force: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> CompressResult:
    """Accuracy against the dimensions that a layer is compressed to: what `pnc compress` does.

    Args:
        request: the run, the layer, and how many dimensions to keep.
        out: folder for numbers, figures and page.
        style: of the figures.
        force: replace what is in the folder.
        progress: called with a word and the share that is done, now and then.

    Raises:
        InvalidInputError: no such run or layer, more dimensions or samples than there are.
    """
    check_strength(request.strength)
    device = resolve_device(request.device)
    with reserved(out, force=force) as folder:
        result = _compressed(request, device, progress)
        if folder is None:
            return result
        record = RunRecord(command="compress", request=request_record(request), details=result.to_dict())
        page = compressed_page(
            result.found, title=f"{result.name}, {result.found.site}", variance_share=result.variance_share,
            centre_error=result.centre_error, notes=result.notes, record=shown_record(record.to_dict()),
            again=again("compress"),
        )  # fmt: skip
        write_result(folder, record, page, style=style, force=force)
    return replace(result, folder=folder)


def _compressed(
    request: CompressRequest, device: torch.device, progress: Callable[[str, float], None] | None
) -> CompressResult:
    saved = load_run(request.run, trust_code=request.trust_code)
    model = saved.model.to(device)
    name = request.site if "#" in request.site else _one(request.site, find_sites(model, [request.site]))
    train = _some(saved.split("train"), request.samples_per_class)
    held_out = saved.load_split("test")
    test = None if held_out is None else _some(held_out, request.test_samples_per_class)
    batches, tested = (
        some.to(device).batches(512, dtype=saved.dtype) for some in (train, train if test is None else test)
    )
    found = measure_compressed(
        model, batches, tested, classes=saved.classes, site=name, dimensions=request.dimensions, svm=request.svm,
        strength=request.strength, progress=progress,
    )  # fmt: skip
    notes = [*found.notes] + ([] if test is not None else ["no test split: accuracies are of the training samples"])
    return CompressResult(
        request=request, name=saved.name, found=found, notes=tuple(notes),
        variance_share=float(variance_share_bound(found.moments.compression())),
        centre_error=projected_error_bound(found),
    )  # fmt: skip


def _one(site: str, names: tuple[str, ...]) -> str:
    name, *others = names
    if others:
        raise InvalidInputError(
            got=f"`site={site}`, which means {len(names)} layers",
            expected="one layer",
            next_step=f"name one of them, for instance {names[-1]}",
        )
    return name


def _some(samples: Samples, samples_per_class: int | None) -> Samples:
    """The first n of every class, or all."""
    if samples_per_class is None:
        return samples
    rows = first_of_each_class(samples.y.numpy(), samples_per_class)
    return replace(samples, x=samples.x[rows], y=samples.y[rows])
