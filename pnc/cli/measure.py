"""`pnc measure`: what a network, or saved features, do to their classes, layer by layer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pnc.cli.measured import print_measured
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
from pnc.cli.output import print_json
from pnc.errors import InvalidInputError
from pnc.report.live import live_line

__all__ = ["measure"]


def measure(
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
    from pnc.runs import DataSource, MeasurementSpec, MeasureRequest, NetworkShape, measure_subject

    request = MeasureRequest(
        model=model, weights=weights,
        shape=NetworkShape(
            width=width, depth=depth, nonlinear=nonlinear, activation=activation, batch_norm=batch_norm,
            projection=projection, seed=seed,
        ),
        data=DataSource(
            data=data, test_data=test_data, data_dir=data_dir, download=download,
            samples_per_class=class_sizes(samples_per_class),
            test_samples_per_class=class_sizes(test_samples_per_class),
            text_column=text_column, label_column=label_column, vocabulary=vocabulary,
        ),
        measurement=MeasurementSpec(
            layers=None if layers is None else tuple(layers), fuzziness=fuzziness and not quick,
            spectra=spectra and not quick, probes=probes and not quick, collapse=collapse and not quick,
            uncertainty=uncertainty, batch_size=batch_size,
        ),
        classes=classes, pixel_mean=_numbers("--pixel-mean", pixel_mean),
        pixel_scale=_numbers("--pixel-scale", pixel_scale), split=split, longest=longest, device=device,
        trust_code=trust_code,
    )  # fmt: skip
    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        result = measure_subject(request, progress=line)
    if json:
        print_json(result.to_dict())
    else:
        print_measured(result)
    raise typer.Exit(result.exit_status)


def _numbers(flag: str, text: str | None) -> tuple[float, ...] | None:
    try:
        return None if text is None else tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInputError(
            got=f"{flag} {text}", expected="a number, or one a channel", next_step=f"pass for instance {flag} 0.5"
        ) from None
