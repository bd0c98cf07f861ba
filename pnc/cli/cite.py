"""`pnc cite`: BibTeX for what a command or a statement rests on."""

from __future__ import annotations

from typing import Annotated

import typer

from pnc.cli.verify import proofs_check

__all__ = ["cite"]


def cite(
    what: Annotated[
        list[str] | None,
        typer.Argument(help="Commands (simulate, robustness, …) or statements (T5, U1, …); default all statements."),
    ] = None,
) -> None:
    """BibTeX for the literature behind a command or a statement."""
    references = proofs_check(".references")
    print(references.bibtex(what or references.STATEMENTS))
