"""Rooms that are functions, too: `pnc.compare(predicted, measured)` is `pnc.compare.compare(predicted, measured)`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["make_callable"]


def make_callable(room: str, function: Callable[..., Any]) -> None:
    """Calling the module of that name calls the function.

    Type checkers read what is called in `pnc/__init__.py`.
    """
    call = staticmethod(function)
    sys.modules[room].__class__ = type("Room", (ModuleType,), {"__call__": call, "__doc__": function.__doc__})
