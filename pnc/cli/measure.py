"""`pnc measure`: what a network, or saved features, do to their classes, layer by layer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnc.cli.measured import report_measured
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
    QuietOption,
    SeedOption,
    SubsetOption,
    TestDataOption,
    TestSubsetOption,
    TextColumnOption,
    TrustCodeOption,
    VocabularyOption,
    class_sizes,
)
from pnc.cli.subject import TEXTS, Subject, network_subject, run_subject, text_subject
from pnc.errors import InvalidInputError
from pnc.report.live import live_line

if TYPE_CHECKING:
    from pnc.curves import LayerCurve

__all__ = ["measure"]

_FEATURES = (".npz", ".safetensors")


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
    pixel_mean: Annotated[
        str | None,
        typer.Option(
            "--pixel-mean", metavar="M,…", help="Of pixels in [0, 1]; default of the data.", rich_help_panel=DATA
        ),
    ] = None,
    pixel_scale: Annotated[
        str | None,
        typer.Option("--pixel-scale", metavar="S,…", help="Likewise; one, or one a channel.", rich_help_panel=DATA),
    ] = None,
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
    trust_code: TrustCodeOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
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
        notes = [f"features: {model}, K = {curve.origin.classes}, N = {curve.origin.samples}"]
        report_measured({"features": curve}, {}, json=json, heading=notes, record={})
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
    pixels = {"pixel_mean": pixel_mean, "pixel_scale": pixel_scale}
    if Path(model).is_dir():
        of_data = set() if data is not None else {*options}
        _refuse(model, given & {*shape, *pixels, *of_data, "weights", "classes", "longest"})
        subject = run_subject(
            Path(model), data, options, split, batch_size=batch_size, device=where, trust_code=trust_code
        )
    else:
        if data is None:
            raise InvalidInputError(
                got=f"network {model!r} without --data, and no folder of that name",
                expected="data to measure it on, or a run folder of `pnc train`",
                next_step="pass --data fashion-mnist, a folder, a problem file or texts",
            )
        _refuse(model, given & {"classes"})
        if model.startswith(TEXTS):
            _refuse(model, given & {*shape, *pixels, "weights", "vocabulary", "data_dir", "download", "layers"})
            subject = text_subject(model, data, options, split, batch_size=batch_size, longest=longest, device=where)
        else:
            _refuse(model, given & {"longest"})
            subject = network_subject(
                model, weights, shape, data, options, split, pixels=pixels, batch_size=batch_size, device=where
            )
    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        curves, collapsed, notes = _measured(
            subject, layers or subject.layers, fuzziness=fuzziness and not quick, spectra=spectra and not quick,
            probes=probes and not quick, collapse=collapse and not quick and subject.classifies,
            uncertainty=uncertainty, line=line,
        )  # fmt: skip
    notes = [*subject.notes, *notes]
    heading = [subject.title, *(f"note: {note}" for note in notes)]
    report_measured(curves, collapsed, json=json, heading=heading, record={**subject.record, "notes": notes})


def _refuse(model: str, options: set[str]) -> None:
    """Options that have no meaning for what is measured."""
    for option in sorted(options):
        flag = "--" + option.replace("_", "-")
        raise InvalidInputError(
            got=f"{flag} with {model}", expected="options that have a meaning for it", next_step=f"leave out {flag}"
        )


def _features(path: str, classes: int | None, *, fuzziness: bool, uncertainty: bool, device: Any) -> LayerCurve:
    from dataclasses import replace

    from pnc.data import load_features
    from pnc.measure import measure_features

    layers, y, provenance = load_features(path)
    curve = measure_features(
        layers, y, classes=classes, fuzziness=fuzziness, uncertainty=uncertainty, device=device,
        dtypes=provenance["dtypes"],
    )  # fmt: skip
    return replace(curve, origin=curve.origin.with_further(file=provenance["file"]))


def _measured(
    subject: Subject, layers: list[str] | None, *, collapse: bool, probes: bool, line: Any, **options: Any
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
