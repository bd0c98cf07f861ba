"""`pnc cite`: BibTeX for what a command or a statement rests on."""

from __future__ import annotations

from typing import Annotated

import typer

from pnc.cli.verify import proofs_check

__all__ = ["cite"]

_USED_BY = {
    "predict": ("T1", "T2", "T3", "T4", "T5", "T6"),
    "simulate": ("T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "Y1", "Y2", "Y3"),
    "measure": ("T4",),
    "compare": ("T2", "T6", "T7"),
}


def cite(
    what: Annotated[
        list[str] | None,
        typer.Argument(help="Commands (predict, simulate, measure, compare) or statements (T5, U1, …); default all."),
    ] = None,
) -> None:
    """BibTeX for the literature behind a command or a statement."""
    references = proofs_check("proofs_check.references")
    names = [name for item in what or references.STATEMENTS for name in _USED_BY.get(item, (item.upper(),))]
    print(references.bibtex(dict.fromkeys(names)))
