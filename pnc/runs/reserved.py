"""The folder that a result will be written to: looked at before any time is spent, kept from others until then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pnc.records import check_folder, claimed, found_folder

__all__ = ["reserved"]


@contextmanager
def reserved(out: str | Path | None, *, force: bool) -> Iterator[Path | None]:
    """The folder for `pnc.report.writing.write_result`, or `None` where nothing is to be written.

    Raises:
        InvalidInputError: it exists and `force` is not given, cannot be written to, or is another process's.
    """
    if out is None:
        yield None
        return
    folder = check_folder(found_folder(out), force=force)
    with claimed(folder, force=force):
        yield folder
