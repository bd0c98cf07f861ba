"""`measure_features`: every quantity of the theory, for each layer's features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pnc.curves import LayerCurve, LayerNotes, Origin
from pnc.data import FeatureShards, check_labels, open_features
from pnc.errors import InvalidInputError
from pnc.measure.accumulate.class_table import class_table, named_pair
from pnc.measure.accumulate.fuzziness import FuzzinessPass
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.accumulate.sampling_error import SamplingErrorPass
from pnc.measure.accumulate.spectrum import spectrum_notes
from pnc.measure.arrays import dtype_name
from pnc.measure.features.kept import KeptProgress
from pnc.measure.features.looks import (
    ArrayPart,
    Layer,
    Part,
    PartTask,
    SecondPasses,
    Seen,
    first_look,
    look,
    second_look,
)
from pnc.measure.quantities.class_pairs import class_pairs
from pnc.measure.quantities.collapse import equiangularity, equinorm
from pnc.measure.quantities.noise_floor import noise_floor, rounding_unit
from pnc.measure.readout.layer_probes import LayerProbes
from pnc.memory import require_memory
from pnc.parallel import Crew, crew

__all__ = ["measure_features"]

_LOOKED_AT, _LEAST_OF_A_CLASS = 512, 8  # samples that standard errors are taken from where there is one pass
_KEPT_ENTRIES = 2**25  # of these samples at most, where two of each class are fewer


def measure_features(
    features: Mapping[int, Any] | Sequence[Any] | str | Path | FeatureShards,
    y: Any = None,
    *,
    classes: int | None = None,
    fuzziness: bool = True,
    uncertainty: bool = False,
    per_class: bool = False,
    spectra: bool = False,
    probes: bool = False,
    collapse: bool = False,
    width: int = 1024,
    sketch: int = 128,
    batch: int | None = None,
    device: torch.device | str | None = None,
    dtypes: Mapping[int, str] | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    resume: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> LayerCurve:
    """C_l, D_l, tr Σ_W, tr Σ_B and tr(Σ_W Σ_B⁺) of each layer's features (theory note, section 1 and T4).

    One layer is looked at at a time, a batch of rows at a time: features may be memory-mapped, a mapping that reads a
    layer when it is asked for, or in any number of files. Of files each is looked at once in the first pass, and its
    moments are merged (Chan, Golub and LeVeque 1979): the memory that is taken does not grow with their number.

    Args:
        features: layer index → (N, …) features, flattened to (N, d_l); a sequence has layers 0, 1, …. NumPy
            arrays or torch tensors, any float dtype, accumulated in float64. Or where they are saved: a file, a folder
            of shards, a pattern such as `features/*.safetensors` (see `open_features`).
        y: (N,) labels 0…K-1; gaps are closed with a note. Saved features have their own.
        classes: K where it is stated; every class must then have a sample.
        fuzziness: whether to make the second pass, for tr(Σ_W Σ_B⁺).
        uncertainty: standard errors of C_l and D_l, and the bias of C_l, from sampling (see `SamplingErrorPass`): in
            the second pass where there is one, otherwise from the first 512/K of each class, 8 at least.
        per_class: of every layer the spread, nearest class, angle and margin of each class (`curve.classes`).
        spectra: singular values and ranks, exact for d_l ≤ `width` and sketched above.
        probes: accuracies of the nearest class centre and, with `spectra`, of a logistic probe, in the second pass (see
            `LayerProbes`).
        collapse: NC1 and NC2 of the last layer, as `neural_collapse` among what the origin says further.
        width: the largest d_l whose spectrum is exact.
        sketch: rows of the sketch above it.
        batch: rows at a time; by default 64 MiB of them.
        device: where to work; by default where each layer's features are.
        dtypes: layer index → name of the dtype that features were computed in, where it is not the array's
            own (bfloat16 read as float32); it sets the noise floor.
        workers: processes on this machine that share the files.
        scheduler: address of a Dask scheduler whose workers share the files; they must see these under the same names.
        resume: a folder where the sums of finished files are kept: interrupted, the same call goes on from there.
        progress: called with the share of the work that is done, after every file.

    Returns:
        A curve whose `notes` hold what is known of each layer (`LayerNotes`): `dtype`, `dimension`, `noise_floor`,
        `between_rank` (directions between class means; `None` without the second pass), the numbers of `ClassPairs`,
        and what was asked for besides; its `origin` says device, samples, classes and remarks.

    Raises:
        InvalidInputError: no layers, layers of different N, features or labels that cannot be used; files that do not
            fit together; NaN or infinite entries, with their layer and position; more memory needed than there is.

    >>> x = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 0.0], [6.0, 0.0]])
    >>> curve = measure_features({1: x, 2: x[:, :1]}, [0, 0, 1, 1])
    >>> curve.compression.round(12).tolist(), curve.origin.samples
    ([0.235294117647, 0.25], 4)
    """
    if batch is not None and batch < 1:
        raise InvalidInputError(
            got=f"batch = {batch}", expected="at least 1 row at a time", next_step="leave batch out"
        )
    if isinstance(features, str | Path | FeatureShards):
        data = _of_files(features, y, classes)
    else:
        data = _of_arrays(features, y, classes, dtypes or {})
        for name, given in (("workers", workers), ("scheduler", scheduler), ("resume", resume)):
            if given is not None:
                raise InvalidInputError(
                    got=f"`{name}` with features in memory",
                    expected="saved features, which other processes can read, and which are there when it goes on",
                    next_step="save them (`pnc.data.save_features`) and pass the name of the file or folder",
                )
    each = 0
    second = fuzziness or probes
    if uncertainty and not second:
        each = max(_LEAST_OF_A_CLASS, -(-_LOOKED_AT // data.classes))
    wanted = {
        "fuzziness": fuzziness, "probes": probes, "uncertainty": uncertainty, "spectra": spectra,
        "width": width, "sketch": sketch,
    }  # fmt: skip
    _require_memory(data, workers or 1, wanted)
    kept = KeptProgress(resume, {"files": data.files, "layers": {str(k): v for k, v in data.widths.items()}, **wanted})
    done, steps = 0, len(data.layers) * len(data.parts) * (2 if second else 1)

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done / steps)

    measured: list[dict[str, Any]] = []
    with crew(workers=workers, scheduler=scheduler) as others:
        for layer in data.layers:
            dimension = data.widths[layer]
            look_at = Layer(
                layer=layer, values=data.values, dimension=dimension, itemsize=data.itemsizes[layer],
                device=data.device(layer, device), spectra=(width, sketch) if spectra else None,
                each=each and max(2, min(each, _KEPT_ENTRIES // (data.classes * dimension))),
                batch=batch, named=len(data.parts) > 1,
            )  # fmt: skip
            measured.append(
                _measure_layer(
                    look_at,
                    data,
                    others,
                    kept,
                    step,
                    fuzziness=fuzziness,
                    probes=probes,
                    uncertainty=uncertainty,
                    per_class=per_class,
                )
            )
    return _curve(data, measured, collapse=collapse)


class _Data:
    """The parts of a data set, and what is known of them before they are read."""

    def __init__(
        self,
        *,
        parts: Sequence[Part],
        widths: Mapping[int, int],
        itemsizes: Mapping[int, int],
        dtypes: Mapping[int, str],
        values: np.ndarray,
        counts: Sequence[Mapping[int, int]],
        notes: Sequence[str],
        devices: Mapping[int, Any] | None = None,
        files: Any = None,
        further: Mapping[str, Any] | None = None,
    ) -> None:
        self.parts, self.widths, self.itemsizes, self.dtypes = parts, widths, itemsizes, dtypes
        self.values, self.counts, self.notes, self.files = values, counts, list(notes), files
        self.layers = list(widths)
        self.classes = values.size
        self.further = further or {}
        self._devices = devices or {}

    def device(self, layer: int, wanted: torch.device | str | None) -> torch.device | str:
        if wanted is not None:
            return wanted
        return self._devices.get(layer, "cpu")

    def tasks(self, first: int) -> Iterator[PartTask]:
        """Parts from the first on, each with the samples of every class before it."""
        seen = torch.zeros(self.classes, dtype=torch.int64)
        for i, (part, counts) in enumerate(zip(self.parts, self.counts, strict=True)):
            if i >= first:
                yield PartTask(part=part, seen=seen.clone())
            places = np.searchsorted(self.values, np.fromiter(counts, np.int64, len(counts)))
            seen[torch.from_numpy(places)] += torch.tensor(list(counts.values()), dtype=torch.int64)


def _of_files(source: str | Path | FeatureShards, y: Any, classes: int | None) -> _Data:
    if y is not None:
        raise InvalidInputError(
            got=f"labels beside {source}",
            expected="saved features, which have their own labels",
            next_step="leave out `y`",
        )
    shards = source if isinstance(source, FeatureShards) else open_features(source)
    values, counts = shards.label_counts
    _, notes = check_labels(values, classes=classes)
    if len(shards.parts) > 1:
        notes = (f"{len(shards.parts)} files, {shards.samples} samples", *notes)
    widths = {layer: int(np.prod(shape)) for layer, shape in shards.shapes.items()}
    one = len(shards.parts) == 1
    return _Data(
        parts=shards.parts,
        widths=widths,
        itemsizes={l: 4 if kind == "bfloat16" else np.dtype(kind).itemsize for l, kind in shards.dtypes.items()},
        dtypes=shards.dtypes,
        values=values,
        counts=counts,
        notes=notes,
        files=[part.state() for part in shards.parts],
        further={"file": shards.source} if one else {"file": shards.source, "files": len(shards.parts)},
    )


def _of_arrays(
    features: Mapping[int, Any] | Sequence[Any], y: Any, classes: int | None, dtypes: Mapping[int, str]
) -> _Data:
    layers = _checked_layers(features)
    mapping = features if isinstance(features, Mapping) else dict(enumerate(features))
    labels, notes = check_labels(y.detach().cpu().numpy() if torch.is_tensor(y) else y, classes=classes)
    stored: Mapping[int, Any] = getattr(features, "stored", {})
    widths, itemsizes, kinds, devices = {}, {}, {}, {}
    for layer in layers:
        if layer in stored:
            shape, kind = stored[layer].shape, stored[layer].dtype
            itemsizes[layer] = 4 if kind == "bfloat16" else np.dtype(kind).itemsize
        else:
            array = mapping[layer]
            if not (torch.is_tensor(array) or isinstance(array, np.ndarray)):
                array = np.asarray(array)
            shape, kind = tuple(array.shape), dtype_name(array)
            itemsizes[layer] = array.element_size() if torch.is_tensor(array) else array.dtype.itemsize
            if torch.is_tensor(array) and array.device.type != "mps":
                devices[layer] = array.device
        if not shape or shape[0] != labels.size or 0 in shape:
            raise InvalidInputError(
                got=f"layer {layer} of shape {shape} for {labels.size} labels",
                expected=f"shape ({labels.size}, …), one row a label and at least one entry a row",
                next_step="save every layer, and y, from the same samples",
            )
        widths[layer], kinds[layer] = int(np.prod(shape[1:])), dtypes.get(layer, kind)
    numbers = np.bincount(labels)
    return _Data(
        parts=[ArrayPart(features=mapping, y=labels)],
        widths=widths,
        itemsizes=itemsizes,
        dtypes=kinds,
        values=np.arange(numbers.size),
        counts=[dict(enumerate(numbers.tolist()))],
        notes=notes,
        devices=devices,
    )


def _checked_layers(features: Mapping[int, Any] | Sequence[Any]) -> list[int]:
    layers = sorted(features) if isinstance(features, Mapping) else list(range(len(features)))
    if not layers:
        raise InvalidInputError(
            got="no layers", expected="the features of at least one layer", next_step="pass {1: features}"
        )
    wrong = [layer for layer in layers if not isinstance(layer, int | np.integer)]
    if wrong:
        raise InvalidInputError(
            got=f"layer {wrong[0]!r}",
            expected="whole numbers as layers",
            next_step="number the layers, the input being 0",
        )
    return layers


def _require_memory(data: _Data, workers: int, wanted: Mapping[str, Any]) -> None:
    """Refuse before the start what would not fit."""
    copies = 3.0 + wanted["fuzziness"] + wanted["uncertainty"] + 3 * wanted["probes"]
    for layer, dimension in data.widths.items():
        needed = 8 * data.classes * dimension * (copies + (workers if workers > 1 else 0))
        if wanted["spectra"]:
            kept = dimension if dimension <= wanted["width"] else min(wanted["sketch"], dimension)
            needed += 24 * dimension * kept * workers
        extra = [name for name in ("probes", "spectra", "fuzziness", "uncertainty") if wanted[name]]
        if workers > 1:
            extra.append("workers")
        without = ", ".join(f"`{name}`" for name in extra)
        require_memory(
            int(needed),
            what=f"layer {layer}: the means of {data.classes} classes × {dimension}, and what goes with them",
            next_step=(f"leave out {without}, " if extra else "") + "pool the features, or use a larger machine",
        )


def _measure_layer(
    layer: Layer,
    data: _Data,
    others: Crew | None,
    kept: KeptProgress,
    step: Callable[[], None],
    *,
    fuzziness: bool,
    probes: bool,
    uncertainty: bool,
    per_class: bool,
) -> dict[str, Any]:
    seen = _first_pass(layer, data, others, kept, step)
    moments, dtype = seen.moments, data.dtypes[layer.layer]
    passes = SecondPasses(
        layer=layer,
        fuzzy=FuzzinessPass(moments, rounding=rounding_unit(dtype)) if fuzziness else None,
        errors=SamplingErrorPass(moments) if uncertainty else None,
        probes=LayerProbes(moments, counts=moments.counts, spectrum=seen.spectrum, name=f"layer {layer.layer}")
        if probes
        else None,
    )
    if layer.each and passes.errors is not None:
        for rows, labels in zip(seen.rows, seen.labels, strict=True):
            passes.errors.update(rows, labels)
    elif passes.wanted:
        _second_pass(passes, data, others, kept, step)
    accuracies: dict[str, Any] = {}
    if passes.probes is not None:
        accuracies = {kind: number / moments.samples for kind, number in passes.probes.hits.items()}
        passes.probes.finish()
        accuracies |= passes.probes.accuracies
    between, errors, fuzzy = moments.between_scatter(), passes.errors, passes.fuzzy
    return {
        "compression": moments.compression(),
        "discrimination": moments.discrimination(),
        "within_scatter": moments.within_scatter(),
        "between_scatter": between,
        "separation_fuzziness": float("nan") if fuzzy is None else fuzzy.value(),
        "device": str(moments.device),
        "error_samples": errors.samples if errors is not None and layer.each else None,
        "moments": moments,
        "notes": LayerNotes(
            dtype=dtype,
            dimension=layer.dimension,
            between_rank=None if fuzzy is None else fuzzy.rank,
            closest_classes=named_pair(moments),
            class_table=class_table(moments) if per_class else None,
            compression_error=None if errors is None else errors.compression(),
            compression_bias=None if errors is None else errors.compression_bias(),
            discrimination_error=None if errors is None else errors.discrimination(),
            noise_floor=noise_floor(
                dtype=dtype,
                dimension=layer.dimension,
                largest_mean=float(torch.linalg.vector_norm(moments.means, dim=1).max()),
                between_scatter=between,
                repeated=moments.samples > layer.classes,
            ),
            **vars(class_pairs(moments)),
            **(spectrum_notes(seen.spectrum, layer.classes) if seen.spectrum is not None else {}),
            **accuracies,
        ),
    }


def _first_pass(layer: Layer, data: _Data, others: Crew | None, kept: KeptProgress, step: Callable[[], None]) -> Seen:
    """Moments of all parts, which are merged in their order whoever looked at them."""
    name, seen, first = f"layer_{layer.layer}.first", Seen.nothing(layer), 0
    found = kept.load(name)
    if found is not None:
        first, sums = found
        seen.moments = ClassMoments.from_state(sums["moments"])
        if seen.spectrum is not None:
            seen.spectrum.with_state(sums["spectrum"])
        seen.rows, seen.labels = list(sums["rows"]), list(sums["labels"])
        for _ in range(first):
            step()

    def finished(parts: int) -> None:
        # without copies: they are written at once
        state = {key: getattr(seen.moments, key) for key in ("counts", "means", "squares")}
        spectrum = None if seen.spectrum is None else seen.spectrum.state()
        sums = {"moments": state, "spectrum": spectrum, "rows": seen.rows, "labels": seen.labels}
        kept.save(name, parts, sums, last=parts == len(data.parts))
        step()

    if others is None:
        for i, task in enumerate(data.tasks(first), first + 1):
            look(layer, task, seen)
            finished(i)
    else:
        for i, packed in enumerate(others.map(first_look, layer, data.tasks(first)), first + 1):
            seen.merge(packed)
            finished(i)
    return seen


def _second_pass(
    passes: SecondPasses, data: _Data, others: Crew | None, kept: KeptProgress, step: Callable[[], None]
) -> None:
    """Everything that needs the class means first."""
    name, first = f"layer_{passes.layer.layer}.second", 0
    found = kept.load(name)
    if found is not None:
        first, sums = found
        for totals in sums["totals"]:
            passes.add(totals)
        for _ in range(first):
            step()
    looks = (
        (second_look(passes, task) for task in data.tasks(first))
        if others is None
        else others.map(second_look, passes, data.tasks(first))
    )
    known = [] if found is None else list(found[1]["totals"])
    for i, totals in enumerate(looks, first + 1):
        passes.add(totals)
        known.append(totals)
        kept.save(name, i, {"totals": known}, last=i == len(data.parts))
        step()


def _curve(data: _Data, measured: Sequence[Mapping[str, Any]], *, collapse: bool) -> LayerCurve:
    notes = list(data.notes)
    counts = measured[0]["moments"].counts.tolist()
    if max(counts) == 1:
        notes.append("each class has one sample: tr Σ_W is 0 by definition")
    for layer, result in zip(data.layers, measured, strict=True):
        if np.isnan(result["compression"]):
            notes.append(f"layer {layer}: the class means coincide, so compression is undefined")
        if np.isnan(result["discrimination"]):
            notes.append(f"layer {layer}: a class mean is zero, so discrimination is undefined")

    def column(name: str) -> list[Any]:
        return [result[name] for result in measured]

    further = dict(data.further)
    if collapse:
        further["neural_collapse"] = _collapse(data.layers[-1], measured[-1])
    return LayerCurve(
        layers=data.layers,
        compression=column("compression"),
        discrimination=column("discrimination"),
        within_scatter=column("within_scatter"),
        between_scatter=column("between_scatter"),
        separation_fuzziness=column("separation_fuzziness"),
        notes=column("notes"),
        origin=Origin(
            source="measured on features",
            device=", ".join(sorted(set(column("device")))),
            samples=sum(counts),
            classes=data.classes,
            class_counts=tuple(counts),
            error_samples=measured[0]["error_samples"],
            remarks=tuple(notes),
            further=further,
        ),
    )


def _collapse(layer: int, result: Mapping[str, Any]) -> dict[str, Any]:
    """NC1 and NC2, under the names of `NeuralCollapse`; what takes the classifier's weights is `None`."""
    moments = result["moments"]
    return {
        "head": None,
        "layer": layer,
        "variability": result["separation_fuzziness"] / moments.classes,
        "equinorm": equinorm(moments.means),
        "equiangularity": equiangularity(moments.means),
        "self_duality": None,
        "disagreement": None,
        "accuracy": None,
        "nearest_centre_accuracy": result["notes"].nearest_centre_accuracy,
        "samples": moments.samples,
    }
