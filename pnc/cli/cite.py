"""`pnc cite`: BibTeX for what a command or a statement rests on."""

from __future__ import annotations

from typing import Annotated

import typer

from pnc import __version__
from pnc.cli.options import JsonOption
from pnc.cli.output import print_json
from pnc.cli.verify import proofs_check

__all__ = ["cite"]


def cite(
    what: Annotated[
        list[str] | None,
        typer.Argument(help="Commands (simulate, robustness, …) or statements (T5, U1, …); default all statements."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """BibTeX for this package and the literature behind a command or a statement."""
    references = proofs_check(".references")
    found = [_own(), *references.bibtex(what or references.STATEMENTS).split("\n\n")]
    if json:
        keys = [entry.split("{", 1)[1].split(",", 1)[0] for entry in found]
        print_json({"keys": keys, "bibtex": found})
    else:
        print("\n\n".join(found))


def _own() -> str:
    """This package at its version: what a result rests on first."""
    return f"""@software{{pnc,
  author  = {{{{The pnc developers}}}},
  title   = {{pnc: what each layer of a deep network does to its classes, theory held against experiment}},
  version = {{{__version__}}}
}}"""
