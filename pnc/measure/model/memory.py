"""Whether an error is one of too little memory."""

from __future__ import annotations

import torch

__all__ = ["out_of_memory"]


def out_of_memory(error: BaseException) -> bool:
    """Too little memory, on a device or on the CPU, whose allocator raises a RuntimeError of no class of its own.

    >>> out_of_memory(MemoryError()), out_of_memory(RuntimeError("shapes differ"))
    (True, False)
    """
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
