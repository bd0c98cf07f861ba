"""`write_comparison`: the folder of a measured curve that was held against a predicted one."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from pnc.compare import Comparison
from pnc.records import RunRecord
from pnc.report.pages.networks import comparison_page
from pnc.report.style import SCREEN, Style
from pnc.report.writing import shown_record, write_result

__all__ = ["write_comparison"]


def write_comparison(
    path: str | Path, comparison: Comparison, *, names: Sequence[str], style: Style = SCREEN, force: bool = False
) -> Path:
    """Write run.json, curves.csv, predicted.csv, report.html and figures/.

    Args:
        path: the folder; it appears whole or not at all.
        comparison: what was found.
        names: where both curves were read from, the predicted one first.
        style: of the figures.
        force: replace a folder that exists.

    Raises:
        InvalidInputError: the folder exists and `force` is not given, or cannot be written.
    """
    record = RunRecord(
        command="compare", verdict=comparison.verdict.name,
        details={"names": list(names), "comparison": comparison.to_dict()},
    )  # fmt: skip
    page = comparison_page(
        comparison, command="compare", title=" and ".join("stdin" if n == "-" else Path(n).name for n in names),
        record=shown_record(record.to_dict()), again=(shlex.join(["pnc", "compare", *names]),),
    )  # fmt: skip
    curves = {"curves": comparison.measured, "predicted": comparison.predicted}
    return write_result(path, record, page, curves=curves, style=style, force=force)
