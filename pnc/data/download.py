"""Files from the network.

A download that breaks off is continued by the next call, is checked against the published checksum, and has its final
name only when it is whole. The package `pooch` would do all of this but the first: its version 1.9 starts every
interrupted download again from the beginning, which for CIFAR means 170 MB. That is why this module exists.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path

from pnc.errors import InvalidInputError

__all__ = ["Progress", "PublishedFile", "data_folder", "download"]

Progress = Callable[[int, int | None], None]
"""Called with the number of bytes that have arrived, and the size of the whole file, or `None` where it is unknown."""

_CHUNK = 1 << 18
_NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError)


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A file that can be downloaded.

    Args:
        name: the file's name on this machine.
        urls: the addresses that offer it; they are tried in this order.
        checksum: `algorithm:hexadecimal digest`; the algorithm is one that `hashlib` knows.
    """

    name: str
    urls: tuple[str, ...]
    checksum: str


def data_folder() -> Path:
    """The folder for downloads when none is given: `$PNC_DATA_DIR`, or else `pnc` in the user's cache folder.

    >>> data_folder().name != ""
    True
    """
    if stated := os.environ.get("PNC_DATA_DIR"):
        return Path(stated).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "pnc"


def download(
    file: PublishedFile,
    folder: str | Path,
    *,
    progress: Progress | None = None,
    timeout: float = 30.0,
    attempts: int = 3,
) -> Path:
    """The path of a published file in `folder`. The file is downloaded if it is not there yet.

    When a transfer breaks off, the bytes that have arrived stay in `NAME.part`, and the next call asks the server
    for the rest (HTTP Range). When all bytes are there, their checksum is computed. If it is right, `NAME.part` is
    renamed to `NAME`. If it is wrong and the file was put together from two transfers, it is downloaded once more
    from the beginning; if it is wrong again, the address is given up. Two processes do not download the same file at
    the same time: the second one waits for the first.

    Args:
        file: what to download.
        folder: the folder to put it into; it is created if necessary.
        progress: called whenever bytes have arrived; `None` shows a bar on stderr if stderr is a terminal.
        timeout: a transfer counts as broken after this many seconds without a byte.
        attempts: how many times each address is tried.

    Raises:
        InvalidInputError: no address answers, the checksum is wrong, or the folder cannot be written to.
    """
    folder = Path(folder)
    target, part = folder / file.name, folder / f"{file.name}.part"
    try:
        if target.is_file():
            return target
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(part) as stream:
            if target.is_file():  # another process fetched it while this one waited
                return target
            try:
                with _shown(file.name, progress) as report:
                    _fetch(file, folder, stream, report, timeout, attempts)
            except BaseException:
                if not stream.seek(0, os.SEEK_END):
                    part.unlink()  # nothing to go on from
                raise
            part.replace(target)
    except OSError as error:
        raise InvalidInputError(
            got=f"{folder}, to which {file.name} cannot be written ({error.strerror or error})",
            expected="a folder that can be written to, with room in it",
            next_step="pass another one as `data_dir`",
        ) from error
    return target


def _fetch(
    file: PublishedFile, folder: Path, stream: BufferedRandom, report: Progress, timeout: float, attempts: int
) -> None:
    """Download the file into `stream`, trying one address after the other.

    Raises:
        InvalidInputError: no address has given the file that the checksum describes.
    """
    algorithm, _, expected = file.checksum.partition(":")
    troubles = []
    for url in file.urls:
        for _ in range(attempts):
            try:
                resumed = _transfer(url, stream, report, timeout)
            except _NETWORK_ERRORS as error:
                troubles.append(f"{url}: {_reason(error)}")
                if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                    break  # it will say the same again
                continue
            stream.seek(0)
            digest = hashlib.file_digest(stream, algorithm).hexdigest()
            if digest == expected:
                return
            stream.seek(0)
            stream.truncate()
            troubles.append(f"{url}: checksum {digest}, not {expected}")
            if not resumed:
                break  # the server has another file
    raise InvalidInputError(
        got=f"no {file.name} from the network ({'; '.join(dict.fromkeys(troubles))})",
        expected=f"a connection to {' or '.join(file.urls)}",
        next_step=f"try again (what has arrived is kept), or get {file.urls[0]} elsewhere and put it in {folder}",
    )


def _transfer(url: str, stream: BufferedRandom, report: Progress, timeout: float) -> bool:
    """Append the bytes that are still missing, and return whether this continued an earlier transfer."""
    have = stream.seek(0, os.SEEK_END)
    request = urllib.request.Request(url, headers={"User-Agent": "pnc", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        return True  # nothing is left to send: the checksum decides whether it is the file
    with response:
        start, total = _extent(response, have)
        stream.seek(start)
        stream.truncate()
        have = start
        report(have, total)
        while chunk := response.read(_CHUNK):
            stream.write(chunk)
            have += len(chunk)
            report(have, total)
    stream.flush()
    if total is not None and have < total:
        raise http.client.IncompleteRead(b"", total - have)
    return start > 0


def _extent(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """The position of the answer's first byte in the file, and the file's size (`None` if the server does not say)."""
    if response.status == http.client.PARTIAL_CONTENT:
        # Content-Range: bytes 100-999/1000
        extent, _, total = response.headers.get("Content-Range", "").removeprefix("bytes").strip().partition("/")
        first = extent.partition("-")[0]
        if first != str(have):
            raise http.client.HTTPException(f"asked for bytes from {have}, answered from {first or 'nowhere'}")
        return have, int(total) if total.isdigit() else None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    if isinstance(error, http.client.IncompleteRead):
        return f"the transfer broke off {error.expected} bytes early"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[BufferedRandom]:
    """Open the unfinished file, and lock it so that no other process works on it (on systems that have file locks)."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(part, flags, 0o666), "rb+") as stream:
        try:
            import fcntl
        except ImportError:  # Windows: two processes may collide, and the checksum tells
            pass
        else:
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream


@contextlib.contextmanager
def _shown(name: str, progress: Progress | None) -> Iterator[Progress]:
    if progress is not None:
        yield progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
