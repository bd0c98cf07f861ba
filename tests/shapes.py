"""The shapes that signatures state, checked whenever a test calls anything of `pnc`, `sims` or `proofs_check`.

pyproject.toml hands `checked` to jaxtyping's import hook, which passes it two copies of every function: one that takes
the arguments, called before the body, and one that takes them and the result, called after it. Only the second may
raise: a function that refuses bad arrays with a message of its own must see them first, but one that returns has
kept the shapes that it states, of its arguments as of its result.

Only arrays are held against the annotations: whatever else may be passed (a list for an array, say) is the type
checker's affair.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable
from typing import Annotated, Any, get_args

import numpy as np
from beartype import BeartypeConf, beartype
from beartype.vale import Is
from jaxtyping import AbstractArray

__all__ = ["FUNCTIONS", "checked"]

FUNCTIONS: set[str] = set()
"""Qualified names of the functions whose shapes are checked."""


def _is_array(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return isinstance(value, np.ndarray) or (torch is not None and isinstance(value, torch.Tensor))


_NoArray = Annotated[object, Is[lambda value: not _is_array(value)]]
_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def _states_a_shape(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(_states_a_shape(part) for part in get_args(hint))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its annotations without shapes dropped; silent if it is the copy that takes no result."""
    hints = dict(function.__annotations__)
    shaped = {name: hint | _NoArray for name, hint in hints.items() if _states_a_shape(hint)}
    if not shaped:
        return function
    FUNCTIONS.add(f"{function.__module__}.{function.__qualname__}")
    takes_the_result = hints.get("return", Any) is not Any
    function.__annotations__ = shaped
    check = _check(function)
    if takes_the_result:
        return check

    @functools.wraps(function)
    def silent(*args: Any, **kwargs: Any) -> None:
        with contextlib.suppress(Exception):  # the sizes that were seen until then are remembered
            check(*args, **kwargs)

    return silent
