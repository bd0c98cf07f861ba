"""The options that commands share, declared once."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from pnc.errors import InvalidInputError
from pnc.spec import Coordinates, Engine, InitialWeights

if TYPE_CHECKING:
    from pnc.compare import Limits
    from pnc.data import Problem

__all__ = [
    "OUTPUT",
    "TRAINING",
    "ActivationOption",
    "BatchNormOption",
    "ClassesOption",
    "ComponentsOption",
    "CompressionLimitOption",
    "CoordinatesChoice",
    "DataDirOption",
    "DataOption",
    "DepthOption",
    "DimensionOption",
    "DiscriminationLimitOption",
    "DownloadOption",
    "DtypeChoice",
    "EngineChoice",
    "EpsilonOption",
    "ForceOption",
    "HiddenDepthOption",
    "HiddenWidthOption",
    "JsonOption",
    "LabelColumnOption",
    "LabelScaleOption",
    "LabelledOption",
    "NonlinearOption",
    "ProjectionOption",
    "QuietOption",
    "SamplesOption",
    "ScaleChoice",
    "ScaleOption",
    "SeedOption",
    "SubsetOption",
    "TestDataOption",
    "TestSubsetOption",
    "TextColumnOption",
    "ThetaOption",
    "TrustCodeOption",
    "VocabularyOption",
    "WeightsChoice",
    "WhitenOption",
    "WidthOption",
    "class_sizes",
    "limits_of",
    "problem_of",
]


def _choices(name: str, values: tuple[str, ...]) -> type[Enum]:
    return Enum(name, {value: value for value in values}, type=str)


WeightsChoice = _choices("WeightsChoice", get_args(InitialWeights))
EngineChoice = _choices("EngineChoice", get_args(Engine))
CoordinatesChoice = _choices("CoordinatesChoice", get_args(Coordinates))
ScaleChoice = _choices("ScaleChoice", ("orthonormal", "unit-norm", "unit-variance"))

DtypeChoice = _choices("DtypeChoice", ("float64", "float32"))

DATA, NETWORK, TRAINING, OUTPUT = "Data", "Network", "Training", "Output"

DepthOption = Annotated[int, typer.Option("--depth", help="L, the number of weight matrices.", rich_help_panel=NETWORK)]
WidthOption = Annotated[
    int | None,
    typer.Option("--width", help="Hidden width; default: the widest of d, 512 and 32 K.", rich_help_panel=NETWORK),
]
EpsilonOption = Annotated[
    float | None,
    typer.Option(
        "--epsilon", help="ε, initial and residual scale; default 0.3, more beyond depth 8.", rich_help_panel=NETWORK
    ),
]
LabelScaleOption = Annotated[
    float, typer.Option("--label-scale", help="α: the net is trained to Y/α.", rich_help_panel=NETWORK)
]
ClassesOption = Annotated[
    int | None, typer.Option("--classes", help="K; default 3, or what the file holds.", rich_help_panel=DATA)
]
SamplesOption = Annotated[
    str | None,
    typer.Option(
        "--samples-per-class",
        metavar="N|N,N,…",
        help="n, or one size a class; default 10, fewer beyond 20 classes.",
        rich_help_panel=DATA,
    ),
]
SubsetOption = Annotated[
    str | None,
    typer.Option(
        "--samples-per-class",
        metavar="N|N,N,…",
        help="The first n of every class, or one size a class; default all.",
        rich_help_panel=DATA,
    ),
]
TestSubsetOption = Annotated[
    str | None,
    typer.Option(
        "--test-samples-per-class", metavar="N|N,N,…", help="Likewise, of the test split.", rich_help_panel=DATA
    ),
]
LabelledOption = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="NAME|FOLDER|FILE",
        help="fashion-mnist, mnist, cifar-10, cifar-100; a folder of images; a problem file (X, y); "
        "a .csv, .tsv or .jsonl of texts.",
        rich_help_panel=DATA,
    ),
]
TestDataOption = Annotated[
    str | None,
    typer.Option("--test-data", metavar="FILE", help="Test split of a problem file or of texts.", rich_help_panel=DATA),
]
DownloadOption = Annotated[
    bool, typer.Option("--download", help="Fetch a named data set that is not there.", rich_help_panel=DATA)
]
TextColumnOption = Annotated[
    str | None,
    typer.Option("--text-column", help="Column or key of the texts; default text.", rich_help_panel=DATA),
]
LabelColumnOption = Annotated[
    str | None,
    typer.Option("--label-column", help="Column or key of the labels; default label.", rich_help_panel=DATA),
]
VocabularyOption = Annotated[
    int | None,
    typer.Option("--vocabulary", help="Words of the tf-idf features of texts; default 2000.", rich_help_panel=DATA),
]
DimensionOption = Annotated[
    int | None, typer.Option("--dimension", help="Input dimension d; default ⌈5N/3⌉.", rich_help_panel=DATA)
]
ThetaOption = Annotated[
    float | None,
    typer.Option("--theta", help="θ of nearly orthonormal data, below 1; default 0.2.", rich_help_panel=DATA),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Of every random draw.")]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FILE|NAME",
        help="A problem file (.npz or .safetensors with X, y); nearly-orthonormal (the default), orthonormal, "
        "orthonormal-noise, gaussian-clusters; fashion-mnist, mnist, cifar-10, cifar-100; a folder of images; "
        "a .csv, .tsv or .jsonl of texts.",
        rich_help_panel=DATA,
    ),
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Where a data set's files are.", rich_help_panel=DATA)
]
ComponentsOption = Annotated[
    int | None, typer.Option("--components", help="Keep so many principal components.", rich_help_panel=DATA)
]
WhitenOption = Annotated[
    bool, typer.Option("--whiten", help="Give all kept components the same variance.", rich_help_panel=DATA)
]
ScaleOption = Annotated[
    ScaleChoice | None,
    typer.Option("--scale", help="Scale of real data; default orthonormal (X Xᵀ = I).", rich_help_panel=DATA),
]
HiddenWidthOption = Annotated[int | None, typer.Option("--width", help="Hidden width.", rich_help_panel=NETWORK)]
HiddenDepthOption = Annotated[
    int | None, typer.Option("--depth", help="L, weight matrices of an MLP.", rich_help_panel=NETWORK)
]
NonlinearOption = Annotated[
    int | None, typer.Option("--nonlinear", help="Nonlinear layers of a hybrid.", rich_help_panel=NETWORK)
]
ActivationOption = Annotated[
    str | None, typer.Option("--activation", help="relu, gelu, tanh, …", rich_help_panel=NETWORK)
]
BatchNormOption = Annotated[
    bool | None, typer.Option("--batch-norm/--no-batch-norm", help="Of an MLP.", rich_help_panel=NETWORK)
]
ProjectionOption = Annotated[
    int, typer.Option("--projection", help="Layers of a projection head.", rich_help_panel=NETWORK)
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.", rich_help_panel=OUTPUT)]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.", rich_help_panel=OUTPUT)]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is at --out.", rich_help_panel=OUTPUT)]
TrustCodeOption = Annotated[
    bool,
    typer.Option("--trust-code", help="Run the code that a run folder names as its network.", rich_help_panel=NETWORK),
]
CompressionLimitOption = Annotated[
    float,
    typer.Option("--compression-limit", help="Largest relative error of C_l that agrees.", rich_help_panel=OUTPUT),
]
DiscriminationLimitOption = Annotated[
    float,
    typer.Option(
        "--discrimination-limit", help="Largest relative error of 1 - D_l that agrees.", rich_help_panel=OUTPUT
    ),
]


def limits_of(compression: float, discrimination: float) -> Limits:
    """The limits of a comparison, from the two that the command line sets."""
    from pnc.compare import Limits

    return Limits(compression=compression, discrimination=discrimination)


def class_sizes(text: str | None) -> int | tuple[int, ...] | None:
    """`"10"` → 10, `"5,10,20"` → (5, 10, 20).

    Raises:
        InvalidInputError: not whole numbers separated by commas.

    >>> class_sizes("5,10,20")
    (5, 10, 20)
    """
    if text is None:
        return None
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidInputError(
            got=f"--samples-per-class {text!r}",
            expected="a whole number, or one for every class separated by commas",
            next_step="pass for instance 10 or 5,10,20",
        ) from None
    return sizes[0] if len(sizes) == 1 else sizes


def problem_of(
    data: str | None, *, samples_per_class: str | None, scale: ScaleChoice | None, **options: Any
) -> Problem:
    """The problem that the data options of a command describe; `options` are those of `resolve_data`."""
    from pnc.data import resolve_data

    return resolve_data(
        data,
        samples_per_class=class_sizes(samples_per_class),
        scale=None if scale is None else scale.value,
        **options,
    )
