"""`pnc reproduce`: the experiments of `sims/`, by name."""

from __future__ import annotations

import ast
import difflib
import importlib
import pkgutil
import re
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from pnc.cli.beside import beside
from pnc.cli.output import print_json, print_table, printable
from pnc.errors import InvalidInputError, PncError

__all__ = ["reproduce"]


_SAME = {"fig5": "fig1"}
"""A figure of the paper that another one's experiment draws, too: 1 and 5 are of the same networks."""


class Scale(StrEnum):
    """How much of an experiment to run."""

    smoke = "smoke"
    paper = "paper"
    full = "full"


def reproduce(
    name: Annotated[str | None, typer.Argument(help="Such as fig6, or all; without it they are listed.")] = None,
    scale: Annotated[
        Scale, typer.Option("--scale", help="smoke: seconds to minutes; paper: as published; full: all of it.")
    ] = Scale.paper,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; default ./reproduce/NAME-SCALE.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes; default one a core.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Data of your own, where the experiment takes any.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
) -> None:
    """Reproduce a figure or a table: numbers, figures and what follows from them, in one folder."""
    package = _package()
    found = _experiments(package)
    if name is None:
        if json:
            print_json(found)
        else:
            print_table(["name", ""], [[key, text] for key, text in found.items()])
        return
    if name == "all":
        _all(package, found, out or Path("reproduce"), scale, workers=workers, json=json, quiet=quiet)
        return
    name = _SAME.get(name, name)
    matches = [key for key in found if key == name.replace("-", "_") or key.split("_")[0] == name]
    if not matches:
        near = difflib.get_close_matches(name, [*found, *(key.split("_")[0] for key in found)], n=1)
        raise InvalidInputError(
            got=f"the experiment {name!r}",
            expected=f"one of {', '.join(found)}",
            next_step=f"did you mean {near[0]}?" if near else "run pnc reproduce for the list",
        )
    module = importlib.import_module(f"{package}.{matches[0]}")
    folder = out if out is not None else Path("reproduce") / f"{matches[0]}-{scale.value}"
    common = importlib.import_module(f"{package}.common")
    own = common.own_data(module.reproduce, data)
    summary = _run(module, matches[0], folder, scale, workers=workers, quiet=quiet, **own)
    _write(folder, matches[0], found[matches[0]], scale.value, summary)
    if json:
        print_json({"experiment": matches[0], "scale": scale.value, "folder": str(folder), **summary})
        return
    common.show(summary)
    print(f"written to {folder}: report.html, tables.md, tables.csv")


def _run(
    module: ModuleType, name: str, folder: Path, scale: Scale, *, workers: int | None, quiet: bool, **own: str
) -> dict[str, Any]:
    """The experiment, once it was said what it takes; where its data are missing, advice that can be followed here."""
    if not quiet:
        print(printable(f"{name} at scale {scale.value}: {_needs(module.__doc__, scale.value)}"), file=sys.stderr)
    try:
        return module.reproduce(folder, scale=scale.value, workers=workers, quiet=quiet, **own)
    except InvalidInputError as error:
        if "`data_dir`" not in error.next_step:
            raise
        other = "" if scale is Scale.smoke else ", or run it at `scale=smoke`, on other data"
        raise InvalidInputError(
            got=error.got,
            expected=error.expected,
            next_step=f"set PNC_DATA_DIR to the folder of the data{other}",
        ) from error


def _needs(described: str | None, scale: str) -> str:
    """What the docstring of an experiment says of a scale, its data and sizes; else what it is about.

    >>> _needs("A law.\\n\\n`smoke`: 2,000 images,\\nwidth 256.\\n`full`: all of them.", "smoke")
    '2,000 images, width 256.'
    """
    text = described or ""
    found = re.search(rf"^`{scale}`:(.*?)(?=^`|^$|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return " ".join((found.group(1) if found else text.partition("\n")[0]).split())


def _all(
    package: str, found: dict[str, str], out: Path, scale: Scale, *, workers: int | None, json: bool, quiet: bool
) -> None:
    """Every experiment into a folder of its own; one that cannot be run here is named, and the others go on."""
    told: dict[str, Any] = {}
    for key, what in found.items():
        folder = out / f"{key}-{scale.value}"
        done = folder / "tables.csv"
        if done.exists():
            told[key] = {"folder": str(folder), "outcome": "was finished before"}
            continue
        try:
            module = importlib.import_module(f"{package}.{key}")
            summary = _run(module, key, folder, scale, workers=workers, quiet=quiet)
        except (PncError, ImportError) as error:
            told[key] = {"folder": None, "outcome": f"cannot be run here: {error}"}
            continue
        _write(folder, key, what, scale.value, summary)
        told[key] = {"folder": str(folder), "outcome": "reproduced"}
    if json:
        print_json(told)
    else:
        rows = [[key, one["outcome"], one["folder"] or ""] for key, one in told.items()]
        print_table(["experiment", "outcome", "folder"], rows)


def _write(folder: Path, name: str, what: str, scale: str, summary: Mapping[str, Any]) -> None:
    """The page of an experiment, and its tables as Markdown and CSV, beside what it wrote itself."""
    from pnc.records import software_versions
    from pnc.report.canvas import drawing
    from pnc.report.pages.collections import experiment_page, summary_tables
    from pnc.report.writing import add_page, write_tables

    folder.mkdir(parents=True, exist_ok=True)
    pictures = {path.stem: path for path in sorted(folder.glob("*.svg"))}
    record = {"experiment": name, "scale": scale, "software": software_versions()}
    page = experiment_page(
        name, summary, pictures, what=what, record=record, again=(f"pnc reproduce {name} --scale {scale}",)
    )
    with drawing(folder) as figures, figures:
        add_page(folder, page)
    write_tables(folder, summary_tables(summary))


def _package() -> str:
    found = beside("pnc_experiments", "sims")
    if found is None:
        raise PncError("the experiments are not installed beside pnc: install its wheel, or run this from a clone")
    return found


def _experiments(package: str) -> dict[str, str]:
    """Name and first line of every module of the package that can be reproduced; none of them is imported."""
    found = {}
    for folder in importlib.import_module(package).__path__:
        for module in pkgutil.iter_modules([folder]):
            tree = ast.parse((Path(folder) / f"{module.name}.py").read_text(encoding="utf-8"))
            if any(isinstance(node, ast.FunctionDef) and node.name == "reproduce" for node in tree.body):
                found[module.name] = (ast.get_docstring(tree) or "").split("\n")[0]
    return found
