"""A lock that one process holds on one name, and that ends with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["LockedError", "locked"]


class LockedError(Exception):
    """Another process holds the lock.

    Args:
        holder: number of the process, as it wrote it, or `?`.
    """

    def __init__(self, holder: str) -> None:
        self.holder = holder
        super().__init__(f"process {holder} holds the lock")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file, which is removed when the block ends; a process that is killed leaves it, unlocked.

    Raises:
        LockedError: another process holds it.
        OSError: the file cannot be made.
    """
    handle = _locked_handle(path)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: nobody can have locked it in the meantime
        os.close(handle)


def _locked_handle(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(handle, path):
                return handle
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "?"
            os.close(handle)
            raise LockedError(holder) from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its holder removed the file between our opening it and our locking it


def _is_at(handle: int, path: Path) -> bool:
    """Whether the open file is still the one of that name."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), found)
