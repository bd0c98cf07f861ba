"""Where to compute."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pnc.errors import InvalidInputError

__all__ = ["resolve_device", "threads_for"]

# a product of MKL then does not depend on where in memory its operands lie, nor a run's numbers on its neighbours in a
# stack; it costs nothing measurable. MKL reads it once, at its first product
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

_WORTH_SHARING = 256  # matrices with fewer rows and columns are multiplied faster by one thread


def resolve_device(name: str) -> torch.device:
    """The torch device of a name; `auto` is the first CUDA device where there is one.

    Raises:
        InvalidInputError: no such device on this machine.

    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device is None or not (device.type == "cpu" or (device.type == "cuda" and (device.index or 0) < count)):
        raise InvalidInputError(
            got=f"device {name!r}",
            expected="auto, cpu"
            + (f" or cuda:0 … cuda:{count - 1}" if count else " (this machine has no CUDA device)"),
            next_step="pass `device=auto`",
        )
    return device


@contextmanager
def threads_for(size: int, device: torch.device) -> Iterator[None]:
    """One CPU thread while matrices are too small to share: threads that wait for each other cost more than they do.

    >>> with threads_for(64, torch.device("cpu")):
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    if device.type == "cpu" and size < _WORTH_SHARING:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
