"""Networks from elsewhere: anybody's `module:function`, and those of timm, torchvision and transformers."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from pnc.errors import InvalidInputError
from pnc.nets.libraries import LIBRARIES, import_library

__all__ = ["load_network", "network_maker", "runs_code"]


def load_network(name: str, *, input_shape: Sequence[int], classes: int) -> nn.Module:
    """The network that a function, a class or a library makes.

    `package.module:function` (or `path/to/file.py:function`) is imported, from the current folder too, and
    called with those of `input_shape` and `classes` that it takes by name. A class derived from `nn.Module` is
    called in the same way; a network that is already there is taken as it is. Importing runs the module's code:
    name only modules that you trust. `timm:NAME`, `torchvision:NAME` and `transformers:NAME` ask the library of
    that name, see `pnc.nets.libraries`.

    Args:
        name: as above.
        input_shape: of one sample.
        classes: K.

    Raises:
        InvalidInputError: a module or function that is not there, one that fails, one that does not return
            an `nn.Module`, a library that is not installed.

    >>> load_network("torch.nn:Identity", input_shape=(4,), classes=2)
    Identity()
    >>> load_network("torch.nn:Identitty", input_shape=(4,), classes=2)
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got no Identitty in torch.nn; expected ...; did you mean Identity?
    """
    return network_maker(name, input_shape=input_shape, classes=classes)()


def runs_code(name: str) -> bool:
    """Whether to build the network of that name is to run code that is neither of this package nor of a library.

    >>> runs_code("resnet-18"), runs_code("timm:resnet18"), runs_code("net.py:make")
    (False, False, True)
    """
    module, colon, _ = name.rpartition(":")
    return bool(colon) and module not in LIBRARIES


def network_maker(name: str, *, input_shape: Sequence[int], classes: int) -> Callable[[], nn.Module]:
    """What makes the network of `load_network`, with everything that it needs imported.

    Importing may draw random numbers, and does so only the first time: who wants the same weights from the same
    seed imports first.

    Raises:
        InvalidInputError: as `load_network`, as far as it can be told before the network is made.
    """
    module_name, colon, attribute = name.rpartition(":")
    if not colon or not module_name or not attribute:
        raise InvalidInputError(
            got=f"network = {name!r}",
            expected="package.module:function",
            next_step="name the function that makes the network after a colon",
        )
    if module_name in LIBRARIES:
        import_library(module_name)
        make = LIBRARIES[module_name]
        return partial(make, attribute, input_shape=tuple(input_shape), classes=classes)
    module = _import(module_name)
    made = module
    for part in attribute.split("."):
        if not hasattr(made, part):
            near = difflib.get_close_matches(part, [entry for entry in dir(made) if entry[0] != "_"], n=1)
            raise InvalidInputError(
                got=f"no {part} in {module_name}",
                expected="a function that makes a network, a class of networks, or a network",
                next_step=f"did you mean {near[0]}?" if near else "check the name",
            )
        made = getattr(made, part)
    return partial(_made, made, name, {"input_shape": tuple(input_shape), "classes": classes})


def _made(made: Any, name: str, offered: dict[str, Any]) -> nn.Module:
    if not isinstance(made, nn.Module):
        made = _call(made, name, offered)
    if not isinstance(made, nn.Module):
        raise InvalidInputError(
            got=f"{name}, which gives {type(made).__module__}.{type(made).__qualname__}",
            expected="a torch.nn.Module",
            next_step="return the network from the function",
        )
    return made


def _import(name: str) -> ModuleType:
    try:
        if name.endswith(".py"):
            return _import_file(Path(name))
        with _current_folder_first():
            return importlib.import_module(name)
    except InvalidInputError:
        raise
    except ModuleNotFoundError as error:
        itself = error.name is not None and (name == error.name or name.startswith(error.name + "."))
        raise InvalidInputError(
            got=f"no module {error.name}" + ("" if itself else f", which {name} imports"),
            expected="a module that can be imported, from here or from the environment",
            next_step="check the name, or install it",
        ) from error
    except Exception as error:  # somebody else's code: it may fail in any way
        raise InvalidInputError(
            got=f"{name}, which fails when it is imported ({_one_line(error)})",
            expected="a module that can be imported",
            next_step=f"try: python -c 'import {name}'",
        ) from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InvalidInputError(
            got=f"no file {path}", expected="a Python file before the colon", next_step="check the path"
        )
    # under its own name, so that classes in it can be found again by those who look them up
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None  # as of every file whose name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(path.stem)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if before is None:
            del sys.modules[path.stem]
        else:
            sys.modules[path.stem] = before
        raise
    return module


@contextlib.contextmanager
def _current_folder_first() -> Iterator[None]:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(here)


def _call(make: Any, name: str, offered: dict[str, Any]) -> Any:
    if not callable(make):
        raise InvalidInputError(
            got=f"{name}, which is {type(make).__name__}",
            expected="a function that makes a network, a class of networks, or a network",
            next_step="name the function after the colon",
        )
    arguments = _taken(make, offered)
    try:
        return make(**arguments)
    except InvalidInputError:
        raise
    except Exception as error:  # somebody else's code: it may fail in any way
        with_what = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise InvalidInputError(
            got=f"{name}({with_what}), which fails ({_one_line(error)})",
            expected="a function that needs no more than input_shape and classes",
            next_step="give its other arguments defaults",
        ) from error


def _taken(make: Callable[..., Any], offered: dict[str, Any]) -> dict[str, Any]:
    """Those of the offered arguments that the function names."""
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):  # some built-in functions do not say
        return {}
    return {key: value for key, value in offered.items() if key in parameters}


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
