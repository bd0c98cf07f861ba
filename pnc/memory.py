"""How much memory there is, asked before something large is read or made."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pnc.errors import InvalidInputError

__all__ = ["available_memory", "require_memory"]

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def available_memory() -> int | None:
    """Bytes that this process may still take without swapping; `None` where the system does not say.

    The least of what Linux calls available (`MemAvailable`), or elsewhere all of the machine's memory, and of what is
    left of the limit of a container.

    >>> found = available_memory()
    >>> found is None or found > 0
    True
    """
    found = []
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
    except (OSError, ValueError, IndexError):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows has no such numbers
            found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        found.append(max(1, limit - int((_CGROUP / "memory.current").read_text(encoding="ascii"))))
    return min(found, default=None)


def require_memory(needed: int, *, what: str, next_step: str) -> None:
    """Refuse what needs more memory than there is, before it is begun.

    Args:
        needed: bytes.
        what: that needs them, for the message.
        next_step: what to do instead.

    Raises:
        InvalidInputError: more than is available.

    >>> require_memory(1 << 60, what="a file of zeros", next_step="leave it")
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got a file of zeros, which needs 1,153 PB of memory; expected at most ...
    """
    there = available_memory()
    if there is not None and needed > there:
        raise InvalidInputError(
            got=f"{what}, which needs {_readable(needed)} of memory",
            expected=f"at most the {_readable(there)} that are available",
            next_step=next_step,
        )


def _readable(size: int) -> str:
    """Bytes in powers of 1000, three digits or so.

    >>> _readable(999), _readable(1_540_000), _readable(2**40)
    ('999 B', '1.54 MB', '1.1 TB')
    """
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"
