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
    "CompressionLimitOption",
    "DiscriminationLimitOption",
    "ForceOption",
    "JsonOption",
    "OutOption",
    "QuietOption",
    "SeedOption",
    "StyleName",
    "StyleOption",
    "limits_of",
]


TRAINING, OUTPUT = "Training", "Output"

SeedOption = Annotated[int, typer.Option("--seed", help="Of every random draw.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.", rich_help_panel=OUTPUT)]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.", rich_help_panel=OUTPUT)]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Write the run folder there.", rich_help_panel=OUTPUT),
]
StyleName = Literal["screen", "paper"]
StyleOption = Annotated[
    StyleName,
    typer.Option("--style", help="Of the figures in --out: screen, or paper (a column wide).", rich_help_panel=OUTPUT),
]
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
