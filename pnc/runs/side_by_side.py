"""`write_side_by_side`: several runs in one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pnc.errors import InvalidInputError
from pnc.records import RunRecord, read_record
from pnc.report.pages.collections import side_by_side_page
from pnc.report.style import SCREEN, Style
from pnc.report.writing import shown_record, write_result
from pnc.runs.reserved import reserved

__all__ = ["write_side_by_side"]


def write_side_by_side(
    path: str | Path,
    runs: Sequence[str | Path],
    *,
    again: str = "",
    style: Style = SCREEN,
    force: bool = False,
) -> Path:
    """Write report.html, figures/ and run.json for runs side by side.

    Args:
        path: the folder; it appears whole or not at all.
        runs: folders with a run.json, or JSON files that a command printed.
        again: the command that does it again.
        style: of the figures.
        force: replace a folder that exists.

    Raises:
        InvalidInputError: fewer than one run, one given twice, a run that cannot be read, or the folder.
    """
    places = [Path(run) for run in runs]
    if len({place.resolve() for place in places}) < max(1, len(places)):
        raise InvalidInputError(
            got=f"{len(places)} runs, one of them twice" if places else "no runs",
            expected="at least one run, each once",
            next_step="leave out what is given twice" if places else "pass run folders",
        )
    with reserved(path, force=force) as folder:
        assert folder is not None
        found = {name: read_record(place) for name, place in zip(_short(places), places, strict=True)}
        record = RunRecord(command="report", details={"runs": [str(place) for place in places]})
        title = "Side by side: " + ", ".join(found)
        page = side_by_side_page(
            found, title=title, record=shown_record(record.to_dict()), again=(again,) if again else ()
        )
        return write_result(folder, record, page, style=style, force=force)


def _short(places: Sequence[Path]) -> list[str]:
    """The last part of each path, or the whole one where two share it."""
    names = [place.name or str(place.resolve().name) for place in places]
    return [name if names.count(name) == 1 else str(place) for name, place in zip(names, places, strict=True)]
