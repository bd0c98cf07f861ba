"""`measure_subject`: what a run, a network, hidden states of texts or saved features do to their classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from pnc.compare import Verdict, fit_laws
from pnc.curves import LayerCurve, json_ready
from pnc.data import holds_features
from pnc.errors import InvalidInputError
from pnc.measure import (
    Attribution,
    attribute_compression,
    measure_features,
    measure_neural_collapse,
    measure_splits,
    resolved,
)
from pnc.records import RunRecord
from pnc.report.pages.networks import measured_page
from pnc.report.style import SCREEN, Style
from pnc.report.writing import again, class_names, shown_record, write_result
from pnc.runs.accepted import refuse_other_files
from pnc.runs.requests import MeasureRequest, request_record
from pnc.runs.reserved import reserved
from pnc.runs.subject import TEXTS, Subject, network_subject, run_subject, text_subject
from pnc.simulate.device import resolve_device
from pnc.statistics import share_interval

__all__ = ["FEATURES", "MeasureResult", "is_features", "measure_subject", "resolve_subject"]

FEATURES = "features"
_OF_BOTH = {"fuzziness", "uncertainty", "per_class", "spectra", "probes", "collapse"}  # of features and of models
_OF_FILES = {"workers", "scheduler", "resume"}  # options of saved features alone
_RESOLVED = 0.1  # share of C to which rounding has to leave it right


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasureResult:
    """What was measured, and of what.

    Args:
        title: one line on what it is.
        curves: split → curve; `features` for a file of features.
        collapsed: split → NC1–NC4, where there is a classifier.
        attributions: split → where log C changes, where that was asked for (U5).
        record: what it is, for JSON.
        notes: what a reader of the numbers should know.
        folder: where it was written.
    """

    title: str
    curves: Mapping[str, LayerCurve]
    collapsed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    attributions: Mapping[str, Attribution] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    folder: Path | None = None

    @cached_property
    def below_noise(self) -> dict[str, list[int]]:
        """Split → layers whose C is not resolved above the rounding of the features."""
        return {split: _hidden(curve) for split, curve in self.curves.items()}

    @property
    def verdict(self) -> Verdict | None:
        """DISAGREES where U5, which holds for every network, is broken; BELOW_NOISE where rounding hides layers."""
        if any(found.violations for found in self.attributions.values()):
            return Verdict.DISAGREES
        return Verdict.BELOW_NOISE if any(self.below_noise.values()) else None

    @property
    def exit_status(self) -> int:
        """0; 3 where an inequality of U5 fails; 4 where rounding hides some of the layers."""
        return 0 if self.verdict is None else self.verdict.exit_status

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: the curve of the first split at the top, all of them under `splits`."""
        plain = {
            split: {
                **curve.to_dict(),
                "laws": {name: None if fit is None else fit.to_dict() for name, fit in fit_laws(curve).items()},
                "below_noise": self.below_noise[split],
                **({"neural_collapse": self.collapsed[split]} if split in self.collapsed else {}),
                **({"attribution": self.attributions[split].to_dict()} if split in self.attributions else {}),
            }
            for split, curve in self.curves.items()
        }
        first = next(iter(plain))
        many = {} if first == FEATURES else {"splits": plain, "notes": list(self.notes)}
        verdict = None if self.verdict is None else self.verdict.name
        return json_ready({**plain[first], **self.record, **many, "verdict": verdict})


def _hidden(curve: LayerCurve) -> list[int]:
    usable = resolved(curve, _RESOLVED).tolist()
    layers = zip(curve.layers.tolist(), usable, curve.compression.tolist(), strict=True)
    return [layer for layer, good, c in layers if not good and c > 0]


def measure_subject(
    request: MeasureRequest,
    *,
    out: str | Path | None = None,
    style: Style = SCREEN,
    force: bool = False,
    progress: Callable[[str, float, str], None] | None = None,
) -> MeasureResult:
    """Measure every layer of what is named: what `pnc measure` does.

    Args:
        request: what to measure, and on what.
        out: folder for numbers, figures and page.
        style: of the figures.
        force: replace what is in the folder.
        progress: called with a word, the share that is done and the state, now and then.

    Raises:
        InvalidInputError: whatever is wrong with what is named, its data or the options, those without meaning for it
            among them.

    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/f.npz", y=[0, 0, 1, 1], layer_0=[[0.0], [2.0], [4.0], [6.0]])
    ...     measure_subject(MeasureRequest(model=f"{folder}/f.npz", device="cpu")).curves["features"].compression
    array([0.25])
    """
    device = resolve_device(request.device)
    if request.split not in (None, "train", "test", "both"):
        raise InvalidInputError(
            got=f"`split={request.split}`", expected="train, test or both", next_step="pass one of these"
        )
    with reserved(out, force=force) as folder:
        result = _found(request, device, progress)
        return result if folder is None else _write(folder, request, result, style=style, force=force)


def _write(folder: Path, request: MeasureRequest, result: MeasureResult, *, style: Style, force: bool) -> MeasureResult:
    told = result.to_dict()
    record = RunRecord(
        command="measure", verdict=told["verdict"], converged=told.get("converged"), request=request_record(request),
        details={name: value for name, value in told.items() if name not in ("verdict", "converged")},
    )  # fmt: skip
    page = measured_page(
        result.curves, title=result.title, below_noise=result.below_noise, collapsed=result.collapsed,
        notes=result.notes, classes=class_names(told.get("data")), converged=told.get("converged"),
        attributions={split: found.to_dict() for split, found in result.attributions.items()},
        record=shown_record(record.to_dict()), again=again("measure"),
    )  # fmt: skip
    curves = {
        "curves" if split in (FEATURES, "train") or len(result.curves) == 1 else f"curves_{split}": curve
        for split, curve in result.curves.items()
    }
    write_result(folder, record, page, curves=curves, style=style, force=force)
    return replace(result, folder=folder)


def _found(
    request: MeasureRequest, device: torch.device, progress: Callable[[str, float, str], None] | None
) -> MeasureResult:
    if is_features(request):
        known = {"classes", "device", "trust_code", *_OF_FILES, *_OF_BOTH}
        _refuse(request.model, _given(request) - known)
        return _features(request, device, progress)
    _refuse(request.model, _given(request) & _OF_FILES)
    subject = resolve_subject(request, device)
    return _measured(subject, request, progress)


def is_features(request: MeasureRequest) -> bool:
    """Whether what is named is a file of features, a folder of them, or a pattern."""
    return holds_features(request.model)


def resolve_subject(request: MeasureRequest, device: torch.device) -> Subject:
    """The model that a request names, and the batches of its splits.

    Raises:
        InvalidInputError: whatever is wrong with what is named or its data; options without meaning for it.
    """
    given = _given(request)
    model, data, shape = request.model, _named(request.data), _named(request.shape)
    pixels = {"pixel_mean", "pixel_scale"}
    if Path(model).is_dir():
        of_data = set() if request.data.data is not None else data
        _refuse(model, given & (shape | pixels | of_data | {"weights", "classes", "longest"}))
        return run_subject(request, device)
    refuse_other_files(model)
    if request.data.data is None:
        raise InvalidInputError(
            got=f"network {model!r} without `data`, and no folder of that name",
            expected="data to measure it on, or a run folder of `pnc train`",
            next_step="pass `data`: fashion-mnist, a folder, a problem file or texts",
        )
    _refuse(model, given & {"classes"})
    if model.startswith(TEXTS):
        _refuse(
            model, given & (shape | pixels | {"weights", "vocabulary", "data_dir", "download", "layers", "attribute"})
        )
        return text_subject(request, device)
    _refuse(model, given & {"longest"})
    return network_subject(request, device)


def _named(group: Any) -> set[str]:
    return {one.name for one in fields(group)}


def _given(request: MeasureRequest) -> set[str]:
    """Fields of the request and of its groups that are not at their defaults."""
    plain = MeasureRequest(model=request.model)
    found = {one.name for one in fields(MeasureRequest) if getattr(request, one.name) != getattr(plain, one.name)}
    for group in ("data", "shape", "measurement"):
        if group in found:
            new, old = getattr(request, group), getattr(plain, group)
            found |= {one.name for one in fields(new) if getattr(new, one.name) != getattr(old, one.name)}
    return found - {"data", "shape", "measurement"} | ({"data"} if request.data.data is not None else set())


def _refuse(model: str, options: set[str]) -> None:
    """Options that have no meaning for what is measured."""
    for option in sorted(options):
        raise InvalidInputError(
            got=f"`{option}` with {model}",
            expected="options that have a meaning for it",
            next_step=f"leave out `{option}`",
        )


def _near_chance(found: Mapping[str, Any], classes: int) -> list[str]:
    """What to think of where a trained classifier is hardly better than chance on what it was trained on."""
    samples, accuracy = found["samples"], found["accuracy"]
    lowest, _ = share_interval(round(accuracy * samples), samples)
    if lowest > 1.5 / classes:
        return []
    return [
        f"the classifier has {accuracy:.1%} of the training samples right, where chance is {1 / classes:.1%}, and the "
        f"nearest class mean {found['nearest_centre_accuracy']:.1%}: its weights may belong to pixels of another mean "
        "and scale (pass `pixel_mean` and `pixel_scale`), to another numbering of the classes, or to no training at all"
    ]


def _features(
    request: MeasureRequest, device: torch.device, progress: Callable[[str, float, str], None] | None
) -> MeasureResult:
    wanted = request.measurement

    def seen(share: float) -> None:
        if progress is not None:
            progress("measuring", share, f"{share:.0%}")

    curve = measure_features(
        request.model, classes=request.classes, fuzziness=wanted.fuzziness, uncertainty=wanted.uncertainty,
        per_class=wanted.per_class,
        spectra=wanted.spectra, probes=wanted.probes, collapse=wanted.collapse, device=device,
        workers=request.workers, scheduler=request.scheduler, resume=request.resume, progress=seen,
    )  # fmt: skip
    further = dict(curve.origin.further)
    collapsed = further.pop("neural_collapse", None)
    title = f"features: {request.model}, K = {curve.origin.classes}, N = {curve.origin.samples}"
    return MeasureResult(
        title=title,
        curves={FEATURES: replace(curve, origin=replace(curve.origin, further=further))},
        collapsed={} if collapsed is None else {FEATURES: collapsed},
    )


def _measured(
    subject: Subject, request: MeasureRequest, progress: Callable[[str, float, str], None] | None
) -> MeasureResult:
    """Curves of every split, neural collapse where there is a classifier, and what is to be said of it."""
    wanted, notes = request.measurement, list(subject.notes)
    probes = wanted.probes and next(iter(subject.splits)) == "train"
    if wanted.probes and not probes:
        notes.append("no probes: they are fitted to the training split")
    total = max(subject.samples.values())

    def seen(samples: int) -> None:
        if progress is not None:
            progress("measuring", min(samples / total, 1.0), f"{samples} samples")

    layers = subject.layers if wanted.layers is None else list(wanted.layers)
    splits: dict[str | None, Any] = {**subject.splits}
    curves = measure_splits(
        subject.model, splits, classes=subject.classes, layers=layers, fuzziness=wanted.fuzziness,
        probes=probes, spectra=wanted.spectra, uncertainty=wanted.uncertainty, per_class=wanted.per_class,
        pool=wanted.pool, progress=seen,
    )  # fmt: skip
    collapsed: dict[str, dict[str, Any]] = {}
    for split, batches in subject.splits.items() if wanted.collapse and subject.classifies else ():
        try:
            collapsed[split] = asdict(measure_neural_collapse(subject.model, batches, classes=subject.classes))
        except InvalidInputError as error:
            notes.append(f"no NC1–NC4: {error.got}")
            break
    attributions = {
        split: attribute_compression(subject.model, batches, classes=subject.classes, progress=seen)
        for split, batches in (subject.splits.items() if wanted.attribute else ())
    }
    if "train" in collapsed and subject.trained:
        notes += _near_chance(collapsed["train"], subject.classes)
    return MeasureResult(
        title=subject.title, curves={str(split): curve for split, curve in curves.items()}, collapsed=collapsed,
        attributions=attributions, record=subject.record, notes=tuple(notes),
    )  # fmt: skip
