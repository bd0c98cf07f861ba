"""A sweep's folder: its plan, one file a finished batch, and a lock.

A batch's file appears complete or not at all: it is written under another name and renamed. One process at a time works
on a folder; the lock ends with the process, however it ends.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pnc.errors import InvalidInputError
from pnc.records import LockedError, locked
from pnc.sweep.plan import FORMAT, Plan

__all__ = ["SweepFolder", "open_folder", "write_atomically", "write_folder_atomically"]


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def write_folder_atomically(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place, and that of what was there, when the block ends."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    replaced = Path(f"{temporary}.replaced")
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            path.rename(replaced)
        temporary.rename(path)
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class SweepFolder:
    """The files of a sweep; `open_folder` makes it and holds its lock.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._batches = path / "batches"

    def begin(self, plan: Plan) -> None:
        """Write the plan down, if it is not there already."""
        self._batches.mkdir(exist_ok=True)
        text = json.dumps(
            {
                "format": FORMAT,
                "sweep": plan.sweep.to_dict(),
                "runs": [run.hash for run in plan.runs],
                "batches": [plan.batch_name(b) for b in range(len(plan.batches))],
            },
            sort_keys=True,
            indent=1,
        )
        file = self.path / "sweep.json"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            with write_atomically(file) as temporary:
                temporary.write_text(text, encoding="utf-8")

    def finished(self) -> dict[str, dict[str, Any]]:
        """Records of all finished runs, of this plan or an earlier one, by the hash of their spec.

        Raises:
            InvalidInputError: a file that is damaged, half-written or of another version.
        """
        records: dict[str, dict[str, Any]] = {}
        for file in sorted(self._batches.glob("*.json")) if self._batches.exists() else ():
            if file.name.startswith("."):  # what a killed process left; it never counted
                file.unlink()
                continue
            try:
                digest, text = file.read_text(encoding="utf-8").split("\n", 1)
                content = json.loads(text) if digest == _digest(text) else None
            except (OSError, ValueError, RecursionError):
                content = None
            if not isinstance(content, dict) or not isinstance(content.get("runs"), dict):
                raise InvalidInputError(
                    got=f"{file}, which is damaged or half-written",
                    expected="a batch's file as it was written",
                    next_step="delete it and run the same command again: only its batch is repeated",
                )
            if content.get("format") != FORMAT:
                raise _other_version(file, content.get("format"))
            records |= content["runs"]
        return records

    def write(self, name: str, records: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep the records of a batch, by the hash of their run's spec."""
        text = json.dumps({"format": FORMAT, "runs": records}, sort_keys=True) + "\n"
        file = self._batches / f"{name}.json"
        with write_atomically(file) as temporary:
            temporary.write_text(f"{_digest(text)}\n{text}", encoding="utf-8")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _other_version(file: Path, version: Any) -> InvalidInputError:
    return InvalidInputError(
        got=f"{file} of version {version}",
        expected=f"results of version {FORMAT}",
        next_step="choose another `out`, or finish this sweep with the program that began it",
    )


@contextmanager
def open_folder(path: str | Path) -> Iterator[SweepFolder]:
    """A sweep's folder, made if it is not there, locked until the block ends.

    Raises:
        InvalidInputError: another process works on it, it holds something else, or results of another version.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with locked(path / ".lock"):  # it comes before any look at what is there
            _check(path)
            for left in path.glob(".sweep.json.*"):  # by a process that was killed here
                left.unlink()
            yield SweepFolder(path)
    except LockedError as error:
        raise InvalidInputError(
            got=f"folder {path}, on which process {error.holder} works",
            expected="a folder on which nobody else works",
            next_step="wait for it to end, or choose another `out`",
        ) from None
    except OSError as error:
        if error.filename is None and error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise  # not of the files
        raise InvalidInputError(
            got=f"output folder {path}: {error.strerror or error}",
            expected="a place to write to, with room",
            next_step="choose another `out`, or make room and run the same command again: finished batches are kept",
        ) from error


def _check(path: Path) -> None:
    """Refuse a folder that is not a sweep's, or one of another version."""
    file = path / "sweep.json"
    if not file.exists():
        others = [entry.name for entry in path.iterdir() if not entry.name.startswith(".")]
        if others and others != ["batches"]:
            raise InvalidInputError(
                got=f"folder {path}, which holds {others[0]} and no sweep",
                expected="a new folder, or one of an earlier sweep",
                next_step="choose another `out`",
            )
        return
    try:
        version = json.loads(file.read_text(encoding="utf-8"))["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise InvalidInputError(
            got=f"{file}, which is damaged or half-written",
            expected="the plan of a sweep",
            next_step="delete it and run the same command again: finished runs are found by their hash",
        ) from None
    if version != FORMAT:
        raise _other_version(file, version)
