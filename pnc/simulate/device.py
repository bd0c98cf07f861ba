"""Where to compute."""

from __future__ import annotations

import torch

from pnc.errors import InvalidInputError

__all__ = ["resolve_device"]


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
    usable = device is not None and (
        device.type == "cpu" or (device.type == "cuda" and (device.index or 0) < count)
    )
    if not usable:
        raise InvalidInputError(
            got=f"device {name!r}",
            expected="auto, cpu" + (f" or cuda:0 … cuda:{count - 1}" if count else " (this machine has no CUDA device)"),
            next_step="pass --device auto",
        )
    return device
