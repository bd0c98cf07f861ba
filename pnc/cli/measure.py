"""`pnc measure`: what a network, or saved features, do to their classes, layer by layer."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnc.cli.live import live_line
from pnc.cli.options import (
    DATA,
    NETWORK,
    OUTPUT,
    ActivationOption,
    BatchNormOption,
    ClassesOption,
    DataDirOption,
    DownloadOption,
    HiddenDepthOption,
    HiddenWidthOption,
    JsonOption,
    LabelColumnOption,
    NonlinearOption,
    ProjectionOption,
    SeedOption,
    SubsetOption,
    TestDataOption,
    TestSubsetOption,
    TextColumnOption,
    VocabularyOption,
    class_sizes,
)
from pnc.cli.output import law_line, number, print_json, print_table
from pnc.errors import InvalidInputError

if TYPE_CHECKING:
    from torch import nn

    from pnc.curves import LayerCurve

__all__ = ["measure"]

_FEATURES = (".npz", ".safetensors")
_TEXTS = "transformers:"


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What is measured: a model and its batches, or features that took none."""

    title: str
    model: nn.Module
    splits: Mapping[str, Any]
    samples: Mapping[str, int]
    classes: int
    layers: list[str] | None = None
    classifies: bool = True
    record: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def measure(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A run folder of `pnc train`; a network: resnet-18, …, module:function, timm:NAME, torchvision:NAME; "
            "transformers:FOLDER, for texts; or a .npz or .safetensors file with y (N,) and layer_0, layer_1, … "
            "(N, …) each.",
        ),
    ],
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="Weights of a network: .safetensors, or a state_dict.", rich_help_panel=NETWORK),
    ] = None,
    width: HiddenWidthOption = None,
    depth: HiddenDepthOption = None,
    nonlinear: NonlinearOption = None,
    activation: ActivationOption = None,
    batch_norm: BatchNormOption = None,
    projection: ProjectionOption = 0,
    seed: SeedOption = 0,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="NAME|FOLDER|FILE",
            help="fashion-mnist, mnist, cifar-10, cifar-100; a folder of images; a problem file (X, y); a .csv, .tsv "
            "or .jsonl of texts. Default, of a run folder: what it was trained on.",
            rich_help_panel=DATA,
        ),
    ] = None,
    data_dir: DataDirOption = None,
    download: DownloadOption = False,
    samples_per_class: SubsetOption = None,
    test_samples_per_class: TestSubsetOption = None,
    test_data: TestDataOption = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    vocabulary: VocabularyOption = None,
    classes: ClassesOption = None,
    split: Annotated[
        str | None, typer.Option("--split", help="train, test or both; default what there is.", rich_help_panel=DATA)
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layers", help="Patterns of module names; default its blocks.", rich_help_panel=OUTPUT),
    ] = None,
    fuzziness: Annotated[
        bool,
        typer.Option("--fuzziness/--no-fuzziness", help="A second pass for tr(Σ_W Σ_B⁺).", rich_help_panel=OUTPUT),
    ] = True,
    spectra: Annotated[
        bool, typer.Option("--spectra/--no-spectra", help="Singular values and ranks.", rich_help_panel=OUTPUT)
    ] = True,
    probes: Annotated[
        bool,
        typer.Option("--probes/--no-probes", help="Nearest centre, linear probe; second pass.", rich_help_panel=OUTPUT),
    ] = True,
    collapse: Annotated[
        bool,
        typer.Option("--collapse/--no-collapse", help="NC1–NC4 at the classifier; two passes.", rich_help_panel=OUTPUT),
    ] = True,
    uncertainty: Annotated[
        bool,
        typer.Option("--uncertainty/--no-uncertainty", help="Standard errors of C and D.", rich_help_panel=OUTPUT),
    ] = True,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="One pass: C, D, CDNV and standard errors alone.", rich_help_panel=OUTPUT),
    ] = False,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Samples at a time.")] = 512,
    longest: Annotated[
        int, typer.Option("--longest", min=1, help="Tokens of a text for transformers.", rich_help_panel=DATA)
    ] = 256,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")] = "auto",
    json: JsonOption = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress on stderr.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Compression, discrimination, scatters, ranks, probes and neural collapse of every layer, with standard errors."""
    from pnc.simulate.device import resolve_device

    where = resolve_device(device)
    if split not in (None, "train", "test", "both"):
        raise InvalidInputError(got=f"--split {split}", expected="train, test or both", next_step="pass one of these")
    given = {
        name for name in context.params if context.get_parameter_source(name).name not in ("DEFAULT", "DEFAULT_MAP")
    }
    if Path(model).suffix in _FEATURES and not Path(model).is_dir():
        _refuse(model, given - {"model", "classes", "fuzziness", "uncertainty", "device", "json", "quick", "quiet"})
        curve = _features(model, classes, fuzziness=fuzziness and not quick, uncertainty=uncertainty, device=where)
        notes = [f"features: {model}, K = {curve.provenance['classes']}, N = {curve.provenance['samples']}"]
        _report({"features": curve}, {}, json=json, heading=notes, record={})
        return
    options = {
        "test_data": test_data, "data_dir": data_dir, "download": download,
        "samples_per_class": class_sizes(samples_per_class),
        "test_samples_per_class": class_sizes(test_samples_per_class),
        "text_column": text_column, "label_column": label_column, "vocabulary": vocabulary,
    }  # fmt: skip
    shape = {
        "width": width, "depth": depth, "nonlinear": nonlinear, "activation": activation, "batch_norm": batch_norm,
        "projection": projection, "seed": seed,
    }  # fmt: skip
    sought = _wanted(split)
    if Path(model).is_dir():
        _refuse(model, given & {*shape, "weights", "classes", "longest", *({*options} if data is None else ())})
        subject = _run(Path(model), data, options, sought, batch_size=batch_size, device=where)
    else:
        if data is None:
            raise InvalidInputError(
                got=f"network {model!r} without --data, and no folder of that name",
                expected="data to measure it on, or a run folder of `pnc train`",
                next_step="pass --data fashion-mnist, a folder, a problem file or texts",
            )
        _refuse(model, given & {"classes"})
        if model.startswith(_TEXTS):
            _refuse(model, given & {*shape, "weights", "vocabulary", "data_dir", "download", "layers"})
            subject = _texts(model, data, options, sought, batch_size=batch_size, longest=longest, device=where)
        else:
            _refuse(model, given & {"longest"})
            subject = _network(model, weights, shape, data, options, sought, batch_size=batch_size, device=where)
    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        curves, collapsed, notes = _measured(
            subject, layers or subject.layers, fuzziness=fuzziness and not quick, spectra=spectra and not quick,
            probes=probes and not quick, collapse=collapse and not quick and subject.classifies,
            uncertainty=uncertainty, line=line,
        )  # fmt: skip
    heading = [subject.title, *(f"note: {note}" for note in (*subject.notes, *notes))]
    _report(curves, collapsed, json=json, heading=heading, record=subject.record)


def _refuse(model: str, options: set[str]) -> None:
    """Options that have no meaning for what is measured."""
    for option in sorted(options):
        flag = "--" + option.replace("_", "-")
        raise InvalidInputError(
            got=f"{flag} with {model}", expected="options that have a meaning for it", next_step=f"leave out {flag}"
        )


def _wanted(split: str | None) -> Callable[[Mapping[str, Any], str], dict[str, Any]]:
    """What takes the splits that were asked for out of those that there are."""

    def take(found: Mapping[str, Any], data: str) -> dict[str, Any]:
        names = ("train", "test") if split in (None, "both") else (split,)
        kept = {name: found[name] for name in names if found.get(name) is not None}
        if split is not None and len(kept) < len(names):
            missing = next(name for name in names if name not in kept)
            raise InvalidInputError(
                got=f"--split {split} with {data}, which has no {missing} split",
                expected="a split that is there",
                next_step="leave out --split, or pass --test-data",
            )
        return kept

    return take


def _features(path: str, classes: int | None, *, fuzziness: bool, uncertainty: bool, device: Any) -> LayerCurve:
    from pnc.data import load_features
    from pnc.measure import measure_features

    layers, y, provenance = load_features(path)
    curve = measure_features(
        layers, y, classes=classes, fuzziness=fuzziness, uncertainty=uncertainty, device=device,
        dtypes=provenance["dtypes"],
    )  # fmt: skip
    curve.provenance["file"] = provenance["file"]
    return curve


def _batches(samples: Any, model: nn.Module, size: int, *, channels_last: bool = False) -> Any:
    import torch

    parameter = next(model.parameters(), torch.empty(0))
    return samples.to(parameter.device).batches(size, dtype=parameter.dtype, channels_last=channels_last)


def _own_layers(model: nn.Module) -> list[str] | None:
    """The blocks that a network names, without its classifier, whose outputs are no features."""
    return list(getattr(model, "block_names", ()))[:-1] or None


def _run(folder: Path, data: str | None, options: Any, wanted: Any, *, batch_size: int, device: Any) -> _Subject:
    from pnc.data import load_splits
    from pnc.data.text import TEXT_SUFFIXES
    from pnc.train import load_run

    run = load_run(folder)
    if data is None:
        found = wanted({split: run.load_split(split) for split in ("train", "test")}, str(folder))
        source = run.record["data"]
    else:
        if Path(data).suffix.lower() in TEXT_SUFFIXES:
            raise InvalidInputError(
                got=f"--data {data} with a run folder",
                expected="images or a problem file: tf-idf features belong to the texts that they were fitted to",
                next_step="train with these texts as --test-data",
            )
        splits = load_splits(data, **options)
        found = wanted({"train": splits.train, "test": splits.test}, data)
        found = {split: run.take(some, name=f"the {split} split of {data}") for split, some in found.items()}
        source = splits.describe()
    model = run.model.to(device)
    return _Subject(
        title=f"{run.name} of {folder}, on {source['name']}",
        model=model,
        splits={
            split: _batches(samples, model, batch_size, channels_last=run.spec.channels_last)
            for split, samples in found.items()
        },
        samples={split: len(samples) for split, samples in found.items()},
        classes=run.classes,
        layers=_own_layers(model),
        record={"run": str(folder), "network": run.record["network"], "data": source},
        notes=tuple(source.get("notes", ())),
    )


def _network(
    name: str, weights: Path | None, shape: Any, data: str, options: Any, wanted: Any, *, batch_size: int, device: Any
) -> _Subject:
    from pnc.data import load_splits
    from pnc.nets import build
    from pnc.train import as_split_samples, load_weights

    splits = load_splits(data, **options)
    samples = dict(zip(("train", "test"), as_split_samples(splits), strict=True))
    training = samples["train"]
    model = build(name, input_shape=training.input_shape, classes=training.classes, **shape)
    if weights is not None:
        load_weights(model, weights)
    model.to(device)
    found = wanted(samples, data)
    notes = () if weights is not None else ("no --weights: the network is as it was built",)
    return _Subject(
        title=f"{name}, on {splits.train.name}",
        model=model,
        splits={split: _batches(some, model, batch_size) for split, some in found.items()},
        samples={split: len(some) for split, some in found.items()},
        classes=training.classes,
        layers=_own_layers(model),
        record={
            "network": {"name": name, "weights": None if weights is None else str(weights), **shape},
            "data": splits.describe(),
        },
        notes=(*splits.train.notes, *notes),
    )


def _texts(name: str, data: str, options: Any, wanted: Any, *, batch_size: int, longest: int, device: Any) -> _Subject:
    """Hidden states of an encoder, computed once; they are what a model of nothing but layers is given."""
    from pnc.data import load_text_splits
    from pnc.measure.given import GivenBatches, GivenLayers
    from pnc.nets import encode_texts

    loaded = {key: value for key, value in options.items() if key not in ("vocabulary", "data_dir", "download")}
    train, test = load_text_splits(data, **loaded)
    found = wanted({"train": train, "test": test}, data)
    together = [text for texts in found.values() for text in texts.texts]
    encoded = encode_texts(
        together, name.removeprefix(_TEXTS), batch_size=min(batch_size, 32), longest=longest, device=device
    )
    states, start = {}, 0
    for split, texts in found.items():
        states[split] = [layer[start : start + texts.samples] for layer in encoded]
        start += texts.samples
    return _Subject(
        title=f"{name}, on {train.name}",
        model=GivenLayers(len(encoded) - 1),
        splits={split: GivenBatches(states[split], texts.y, size=batch_size) for split, texts in found.items()},
        samples={split: texts.samples for split, texts in found.items()},
        classes=train.classes,
        classifies=False,
        record={
            "network": {"name": name, "longest": longest, "features": "mean of the hidden states over tokens"},
            "data": {"name": train.name, "notes": list(train.notes), **train.provenance},
        },
        notes=train.notes,
    )


def _measured(
    subject: _Subject, layers: list[str] | None, *, collapse: bool, probes: bool, line: Any, **options: Any
) -> tuple[dict[str, LayerCurve], dict[str, Any], list[str]]:
    """Curves of every split, neural collapse where there is a classifier, and what is to be said of it."""
    from dataclasses import asdict

    from pnc.measure import measure_neural_collapse, measure_splits

    notes = []
    names = list(subject.splits)
    if probes and names[0] != "train":
        notes.append("no probes: they are fitted to the training split")
    total = max(subject.samples.values())

    def progress(samples: int) -> None:
        line("measuring", min(samples / total, 1.0), f"{samples} samples")

    curves = measure_splits(
        subject.model, subject.splits, classes=subject.classes, layers=layers, probes=probes and names[0] == "train",
        progress=None if line is None else progress, **options,
    )  # fmt: skip
    collapsed: dict[str, Any] = {}
    for split, batches in subject.splits.items() if collapse else ():
        try:
            collapsed[split] = asdict(measure_neural_collapse(subject.model, batches, classes=subject.classes))
        except InvalidInputError as error:
            notes.append(f"no NC1–NC4: {error.got}")
            break
    return curves, collapsed, notes


def _report(
    curves: Mapping[str, LayerCurve],
    collapsed: Mapping[str, Any],
    *,
    json: bool,
    heading: list[str],
    record: Mapping[str, Any],
) -> None:
    """Print what was measured; exit status 4 where rounding hides some of it."""
    from pnc.compare import fit_geometric_law, fit_linear_law
    from pnc.curves import json_ready

    first = next(iter(curves))
    hidden = {split: _below_noise(curve) for split, curve in curves.items()}
    laws = {
        split: {"geometric": fit_geometric_law(curve), "linear": fit_linear_law(curve)}
        for split, curve in curves.items()
    }
    verdict = "BELOW_NOISE" if any(hidden.values()) else None
    if json:
        plain = {
            split: {
                **curve.to_dict(),
                "laws": {name: None if fit is None else fit.to_dict() for name, fit in laws[split].items()},
                "below_noise": hidden[split],
                **({"neural_collapse": collapsed[split]} if split in collapsed else {}),
            }
            for split, curve in curves.items()
        }
        many = {} if first == "features" else {"splits": plain}
        print_json(json_ready({**plain[first], **many, **record, "verdict": verdict}))
    else:
        print("\n".join(heading))
        for split, curve in curves.items():
            _print(split, curve, hidden[split], collapsed.get(split))
            print(law_line("geometric law: C_(l+1)/C_l", laws[split]["geometric"], None, geometric=True))
            print(law_line("linear law: D_(l+1) - D_l", laws[split]["linear"], None, geometric=False))
        if verdict:
            layers = sorted({layer for some in hidden.values() for layer in some})
            print(
                f"BELOW_NOISE: C at layers {layers} (*) is not resolved above the rounding of the features; use float64"
            )
    if verdict:
        raise typer.Exit(4)


def _below_noise(curve: LayerCurve) -> list[int]:
    from pnc.measure import resolved

    usable = resolved(curve, 0.1).tolist()
    layers = zip(curve.layers.tolist(), usable, curve.compression.tolist(), strict=True)
    return [layer for layer, good, c in layers if not good and c > 0]


def _print(split: str, curve: LayerCurve, hidden: list[int], collapsed: Mapping[str, Any] | None) -> None:
    provenance = curve.provenance
    if split != "features":
        print(f"\n{split}: {provenance['samples']} samples, K = {provenance['classes']}")
    for note in provenance["notes"]:
        print(f"note: {note}")
    layers = curve.layers.tolist()
    floor, fuzziness = provenance["noise_floor"], curve.separation_fuzziness.tolist()
    columns = {
        "layer": [str(l) for l in layers],
        "name": provenance.get("names"),
        "dtype": provenance["dtype"] if len(set(provenance["dtype"])) > 1 or "names" not in provenance else None,
        "d": [str(d) for d in provenance["dimensions"]],
        "C": [number(c) + ("*" if l in hidden else "") for l, c in zip(layers, curve.compression, strict=True)],
        "± C": _numbers(provenance.get("compression_error"), 2),
        "noise floor": _numbers(floor, 2) if hidden or "names" not in provenance else None,
        "D": [number(d, 5) for d in curve.discrimination],
        "± D": _numbers(provenance.get("discrimination_error"), 2),
        "tr Σ_W": [number(v) for v in curve.within_scatter],
        "tr Σ_B": [number(v) for v in curve.between_scatter],
        "fuzziness": None if all(map(math.isnan, fuzziness)) else _numbers(fuzziness, 4),
        "CDNV": _numbers(provenance.get("class_distance_normalised_variance"), 4),
        "rank": _ranks(provenance.get("ranks")),
        "centre": _shares(provenance.get("nearest_centre_accuracy")),
        "probe": _shares(provenance.get("linear_probe_accuracy")),
    }
    shown = {name: values for name, values in columns.items() if values is not None}
    print_table(list(shown), zip(*shown.values(), strict=True))
    if "compression_error" in provenance:
        looked_at = provenance.get("error_samples", provenance["samples"])
        print(f"±: standard error from sampling the data, to first order, from {looked_at} samples")
    for name, reason in provenance.get("skipped", {}).items():
        print(f"skipped {name}: {reason}")
    if collapsed is not None:
        print(
            f"neural collapse at {collapsed['head']}: NC1 {number(collapsed['variability'])}, "
            f"NC2 {number(collapsed['equinorm'])} (norms), {number(collapsed['equiangularity'])} (angles), "
            f"NC3 {number(collapsed['self_duality'])}, NC4 {number(collapsed['disagreement'])}; "
            f"accuracy {collapsed['accuracy']:.2%}, of the nearest centre {collapsed['nearest_centre_accuracy']:.2%}"
        )


def _numbers(values: list[float | None] | None, digits: int) -> list[str] | None:
    return None if values is None else [number(float("nan") if v is None else v, digits) for v in values]


def _shares(values: list[float] | None) -> list[str] | None:
    return None if values is None else [f"{v:.2%}" for v in values]


def _ranks(values: list[Mapping[str, Any]] | None) -> list[str] | None:
    """Numerical rank: the share of summed singular values; an interval where a sketch leaves one."""
    if values is None:
        return None
    ranks = [rank["uncentred"]["numerical_rank"] for rank in values]
    return ["–".join(map(str, rank)) if isinstance(rank, list) else str(rank) for rank in ranks]
