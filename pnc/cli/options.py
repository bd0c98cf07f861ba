"""The options that commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from pnc.compare import Limits

__all__ = [
    "OUTPUT",
    "TRAINING",
    "ComponentsOption",
    "CompressionLimitOption",
    "DataDirOption",
    "DataOption",
    "DiscriminationLimitOption",
    "ForceOption",
    "JsonOption",
    "QuietOption",
    "ScaleOption",
    "SeedOption",
    "limits_of",
]


DATA, NETWORK, TRAINING, OUTPUT = "Data", "Network", "Training", "Output"

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
ScaleOption = Annotated[
    Literal["orthonormal", "unit-norm", "unit-variance"] | None,
    typer.Option("--scale", help="Scale of real data; default orthonormal (X Xᵀ = I).", rich_help_panel=DATA),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.", rich_help_panel=OUTPUT)]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.", rich_help_panel=OUTPUT)]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is at --out.", rich_help_panel=OUTPUT)]
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
