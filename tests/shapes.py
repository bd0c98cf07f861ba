"""The shapes that signatures state, checked whenever a test calls anything of `pnc`, `sims` or `proofs_check`.

pyproject.toml hands `checked` to jaxtyping's import hook, which passes it two copies of every function: one that takes
the arguments, called before the body, and one that takes them and the result, called after it. Only the second may
raise: a function that refuses bad arrays with a message of its own must see them first, but one that returns has
kept the shapes that it states, of its arguments as of its result.

The first `CALLS` calls of a test are checked: where it makes many thousands, checking takes longer than they do.

Only arrays are held against the annotations: whatever else may be passed (a list for an array, say) is the type
checker's affair.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

import numpy as np
from jaxtyping import AbstractArray, config

__all__ = ["CALLS", "FUNCTIONS", "checked", "count_anew"]

CALLS = 2000
"""Calls that are checked between two calls of `count_anew`."""

FUNCTIONS: set[str] = set()
"""Qualified names of the functions whose shapes are checked."""


_made = 0


def count_anew() -> None:
    """To be called before each test: its calls are counted from 0."""
    global _made
    if _made >= CALLS:
        config.update("jaxtyping_disable", False)
    _made = 0


def _count() -> None:
    global _made
    _made += 1
    if _made == CALLS:
        config.update("jaxtyping_disable", True)


def _is_array(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return isinstance(value, np.ndarray) or (torch is not None and isinstance(value, torch.Tensor))


def _is_shape(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, AbstractArray)


def _states_a_shape(hint: Any) -> bool:
    return _is_shape(hint) or any(_states_a_shape(part) for part in get_args(hint))


def fits(value: Any, hint: Any) -> bool:
    """Whether every array in a value has the shape that the annotation gives it there; sizes are remembered by
    jaxtyping until the function returns."""
    kind, parts = get_origin(hint), get_args(hint)
    if _is_array(value):
        if _is_shape(hint):
            return isinstance(value, hint)
        if kind in (Union, types.UnionType):  # `Sequence[float] | Float[np.ndarray, " N"]`: an array is the second
            return any(fits(value, part) for part in [p for p in parts if _is_shape(p)] or parts)
        if kind is Annotated:
            return fits(value, parts[0])
        return not isinstance(hint, type) or isinstance(value, hint)
    if kind in (Union, types.UnionType):  # one that may hold this value, if any
        return any(fits(value, part) for part in parts)
    if kind is tuple and isinstance(value, tuple):
        if len(parts) == 2 and parts[1] is ...:
            return all(fits(item, parts[0]) for item in value)
        return len(parts) == len(value) and all(map(fits, value, parts))
    if isinstance(kind, type) and isinstance(value, list | tuple) and issubclass(kind, Iterable):
        return all(fits(item, parts[0]) for item in value)
    if isinstance(kind, type) and isinstance(value, Mapping) and issubclass(kind, Mapping):
        return all(fits(item, parts[1]) for item in value.values())
    return True


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which raises where an array is not of its shape; silent if it is the copy that has no result."""
    hints = {name: hint for name, hint in function.__annotations__.items() if _states_a_shape(hint)}
    if not hints:
        return function
    FUNCTIONS.add(f"{function.__module__}.{function.__qualname__}")
    has_the_result = function.__annotations__.get("return", Any) is not Any
    signature = inspect.signature(function)

    @functools.wraps(function)
    def check(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        for name, hint in hints.items():
            value = result if name == "return" else given.arguments[name]
            if function.__name__ == "__init__":  # of a dataclass: what it has made of the argument
                value = getattr(given.arguments["self"], name, value)
            if not fits(value, hint) and has_the_result:
                raise TypeError(f"{name} of {function.__qualname__} is not of the shape {hint}")
        if has_the_result:
            _count()
        return result

    return check
