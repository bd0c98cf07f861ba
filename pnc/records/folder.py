"""A folder of results: its place claimed by one process, written whole or not at all, read back only as it was written.

Beside a folder `run` there are, while a process works on it and after it was killed, `.run.lock` (held by the process
as long as it lives), `.run.new` (what is being written) and `.run.old` (what is being replaced). The next process that
claims the folder puts the old one back where the new one never took its place, and removes the rest. Every file is
listed in `SHA256SUMS` with its digest, as `sha256sum -c` reads it; a file that has changed since is refused by name.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pnc.errors import InvalidInputError
from pnc.records.lock import LockedError, locked

__all__ = [
    "SUMS",
    "check_folder",
    "claimed",
    "found_folder",
    "held",
    "listed_as_it_is",
    "new_folder",
    "read_verified",
    "software_versions",
]

SUMS = "SHA256SUMS"
_AFFIXES = 20  # bytes, at most, that the hidden names beside a folder add to its own
_HELD: set[Path] = set()  # folders that this process has claimed
_WRITTEN_BEFORE = frozenset({
    "curves.csv", "curves.png", "curves.svg", "curves_test.csv", "following.json", "following.png", "following.svg",
    "history.csv", "predicted.csv", "report.html", "run.json", "samples.npz", "training.gif", "training.png",
    "training.svg", "trajectory.csv", "weights.safetensors",
})  # fmt: skip
"""Files of folders that were written before `SHA256SUMS` was."""


def check_folder(path: str | Path, *, force: bool = False) -> Path:
    """The path, if a folder of results may be written there.

    Args:
        path: of the folder.
        force: whether results of this package that lie there may be replaced.

    Raises:
        InvalidInputError: it exists and `force` is not given, it holds what this package did not write, it is a file
            or a link to nothing, its name is too long, or its place cannot be written to.
    """
    path = Path(path)
    with _as_bad_place(path):
        above = next(place for place in path.absolute().parents if place.exists())
        longest = _longest_name(above)
        if len(os.fsencode(path.name)) + _AFFIXES > longest:
            raise InvalidInputError(
                got=f"output folder {path.name[:40]}…, a name of {len(os.fsencode(path.name))} bytes",
                expected=f"at most {longest - _AFFIXES}",
                next_step="choose a shorter name for `out`",
            )
        if path.is_symlink() and not path.exists():
            raise _not_writable(path, f"it is a link to {os.readlink(path)}, which is not there")
        if path.exists() and not path.is_dir():
            raise InvalidInputError(
                got=f"output folder {path}, which exists",
                expected="a folder, not a file",
                next_step="choose another `out`",
            )
        if path.exists() and not force:
            raise InvalidInputError(
                got=f"output folder {path}, which exists",
                expected="a folder that is not there yet",
                next_step="choose another `out`, or replace it with `force`",
            )
        if not above.is_dir():
            raise _not_writable(path, f"{above} is not a folder")
        if not os.access(above, os.W_OK | os.X_OK):
            raise _not_writable(path, f"{above} may not be written to")
        if path.exists():
            _refuse_foreign(path)
    return path


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError):
        return 255


def _entries(path: Path, within: set[str], before: str = "") -> set[str]:
    """What lies in a folder, with the contents of those folders in it where files of ours are said to lie."""
    found: set[str] = set()
    for entry in path.iterdir():
        name = before + entry.name
        inside = entry.is_dir() and not entry.is_symlink() and any(f"{one}/".startswith(f"{name}/") for one in within)
        found |= _entries(entry, within, f"{name}/") if inside else {name}
    return found


def _refuse_foreign(path: Path) -> None:
    """Refuse a folder with anything in it that this package did not write."""
    ours = _listed(path).keys() | {SUMS} if (path / SUMS).exists() else set[str]()
    if not ours:
        ours = set(_WRITTEN_BEFORE) if _was_written_before(path) else set[str]()
    foreign = sorted(_entries(path, {str(Path(name).parent) for name in ours} - {"."}) - ours)
    if foreign:
        shown = ", ".join(foreign[:4]) + (f", … ({len(foreign)} entries)" if len(foreign) > 4 else "")
        raise InvalidInputError(
            got=f"output folder {path}, which holds {shown}: not written by pnc",
            expected="a folder of results with nothing else in it",
            next_step="move these elsewhere, or choose another `out`",
        )


def _was_written_before(path: Path) -> bool:
    """Whether the folder holds results of the version before, which did not list its files."""
    for name in ("run.json", "following.json"):
        with suppress(OSError, ValueError, RecursionError):
            record = json.loads((path / name).read_text(encoding="utf-8"))
            if isinstance(record, dict) and {"command", "software"} <= record.keys():
                return True
    return False


@contextmanager
def claimed(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """Until the block ends no other process can claim or write the folder; what killed ones left is cleared away.

    Raises:
        InvalidInputError: as `check_folder`, or another process has claimed it.
    """
    path = Path(path)
    place = path.absolute()
    if place in _HELD:
        yield check_folder(path, force=force)
        return
    _settle(path)
    check_folder(path, force=force)
    with _as_bad_place(path), _parents(place), held(path):
        _recover(place)
        check_folder(path, force=force)  # what was recovered, or made in the meantime
        _HELD.add(place)
        try:
            yield path
        finally:
            _HELD.discard(place)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Until the block ends no other process can claim the folder, whatever is in it.

    Raises:
        InvalidInputError: another process has claimed it.
    """
    try:
        with locked(_beside(path.absolute(), "lock")):
            yield
    except LockedError as error:
        raise InvalidInputError(
            got=f"output folder {path}, which process {error.holder} is writing",
            expected="a folder that nobody else is writing",
            next_step="wait for it to end, or choose another `out`",
        ) from None


@contextmanager
def _parents(place: Path) -> Iterator[None]:
    """Make the folders above; those that are still empty in the end are removed again."""
    made = [parent for parent in place.parents if not parent.exists()]
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for parent in made:
            with suppress(OSError):
                parent.rmdir()


def _beside(place: Path, what: str) -> Path:
    return place.with_name(f".{place.name}.{what}")


def _recover(place: Path) -> None:
    """Undo what a killed process had begun, and remove what it left; the lock is held."""
    old, new = _beside(place, "old"), _beside(place, "new")
    if old.is_dir() and not place.exists():
        os.rename(old, place)
    for left in (old, new):
        if left.is_dir():
            shutil.rmtree(left)


def _settle(path: Path) -> None:
    """`_recover`, where there is something to recover and no living process is at work on it."""
    place = path.absolute()
    with suppress(LockedError, OSError):  # also of a name that is too long: what follows says so
        if place.exists() or place in _HELD or not _beside(place, "old").is_dir():
            return
        with locked(_beside(place, "lock")):
            _recover(place)


def found_folder(path: str | Path) -> Path:
    """The folder to read: put back first, where a process was killed while it replaced it."""
    _settle(Path(path))
    return Path(path)


@contextmanager
def new_folder(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary folder that takes its place, complete and listed in `SHA256SUMS`, when the block ends without error.

    Raises:
        InvalidInputError: as `claimed`, or the place cannot be written to.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place, new_folder(Path(place) / "run") as folder:
    ...     _ = (folder / "a.txt").write_text("a")
    """
    path = Path(path)
    with claimed(path, force=force), _as_bad_place(path):
        place = path.absolute()
        new, old = _beside(place, "new"), _beside(place, "old")
        new.mkdir()
        try:
            yield new
            _list(new)
            check_folder(path, force=force)  # it may have been made in the meantime
            if place.exists():
                os.rename(place, old)
            os.rename(new, place)
            _sync(place.parent)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _list(folder: Path) -> None:
    """Write `SHA256SUMS`, and have everything reach the disk."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    lines = [f"{_digest(file)}  {file.relative_to(folder).as_posix()}\n" for file in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    for file in (*files, folder / SUMS, folder):
        _sync(file)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(file: Path) -> str:
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _listed(folder: Path) -> dict[str, str]:
    """Name → digest, of `SHA256SUMS`; lines that are none of its kind are passed over, and their files are missed."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {name: digest for digest, separator, name in (line.partition("  ") for line in lines) if separator}


def read_verified(folder: str | Path, name: str, *, listed: bool | None = None) -> Path:
    """The path of a file in a folder of results, if it is what was written.

    Args:
        folder: that `new_folder` made.
        name: of the file.
        listed: whether the file has to be in `SHA256SUMS`; `None`: where there is such a list.

    Raises:
        InvalidInputError: the file has changed, is not listed, or is not there.
    """
    folder = Path(folder)
    file = folder / name
    if listed is None:
        listed = (folder / SUMS).exists()
    if not listed:
        return file
    digests = _listed(folder)
    if digests.get(name) is None:
        reason = f"which {SUMS} does not list" if digests else f"whose digest is missing: there is no {SUMS}"
    else:
        try:
            if _digest(file) == digests[name]:
                return file
            reason = f"which is not what was written: its digest is not that of {SUMS}"
        except OSError as error:
            reason = f"which cannot be read ({error.strerror})"
    raise InvalidInputError(
        got=f"{file}, {reason}",
        expected="a run folder as it was written",
        next_step="copy the folder again from where it was whole, or make the run again",
    )


def listed_as_it_is(path: str | Path) -> Path:
    """The path of a file, if it is what `SHA256SUMS` beside it says; a file that no such list names is taken as it is.

    Raises:
        InvalidInputError: the file has changed.
    """
    path = Path(path)
    return read_verified(path.parent, path.name) if path.name in _listed(path.parent) else path


@contextmanager
def _as_bad_place(path: Path) -> Iterator[None]:
    """An error of the file system becomes one line about the folder."""
    try:
        yield
    except OSError as error:
        raise _not_writable(path, error.strerror or str(error), full=error.errno == errno.ENOSPC) from error


def _not_writable(path: Path, reason: str, *, full: bool = False) -> InvalidInputError:
    return InvalidInputError(
        got=f"output folder {path}: {reason}",
        expected="a place to write to" + (", with room" if full else ""),
        next_step="make room, or choose another `out`" if full else "choose another `out`",
    )


def software_versions() -> dict[str, str | None]:
    """Versions of everything that touches the numbers, and the commit where the package runs from a checkout."""
    own = importlib.import_module("pnc").__version__  # the package itself names all rooms, those above this one too
    found: dict[str, str | None] = {"pnc": own, "python": platform.python_version()}
    for name in ("numpy", "scipy", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    root = Path(__file__).resolve().parents[2]
    found["commit"] = None
    if (root / ".git").exists():
        with suppress(OSError):
            done = subprocess.run(
                ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
            )
            found["commit"] = done.stdout.strip() or None
    return found
