"""Networks of timm, torchvision and transformers, where these are installed; with random weights, from no network.

Each makes the network for K classes, and where the library lets it, for the number of input channels.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from torch import nn

from pnc.errors import InvalidInputError
from pnc.fields import nearest

__all__ = ["LIBRARIES", "from_timm", "from_torchvision", "from_transformers", "import_library"]


def import_library(name: str) -> ModuleType:
    """The library, imported.

    Raises:
        InvalidInputError: not installed, or installed in a version that does not go with what else is there.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        library = name.partition(".")[0]
        raise InvalidInputError(
            got=f"no module {error.name}",
            expected=f"{library}, whose networks were asked for",
            next_step=f"pip install {library}",
        ) from error
    except Exception as error:  # a build for another torch fails in ways of its own
        raise InvalidInputError(
            got=f"{name}, which cannot be imported ({' '.join(str(error).split())})",
            expected="a version that goes with the installed torch",
            next_step=f"reinstall {name.partition('.')[0]}",
        ) from error


def from_timm(name: str, *, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """`timm.create_model` for these channels and classes.

    Raises:
        InvalidInputError: timm not installed, no such network, one that takes no such input.
    """
    timm = import_library("timm")
    if not timm.is_model(name):
        raise nearest("timm network", name, timm.list_models())
    options = {"num_classes": classes, "in_chans": input_shape[0]}
    return _made("timm", name, timm.create_model, name, pretrained=False, **options)


def from_torchvision(name: str, *, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """`torchvision.models.get_model` for these classes; three channels, as all its networks have.

    Raises:
        InvalidInputError: torchvision not installed, no such network, images of other than three channels.
    """
    models = import_library("torchvision.models")
    if name not in models.list_models(module=models):
        raise nearest("torchvision network", name, models.list_models(module=models))
    if input_shape[0] != 3:
        raise InvalidInputError(
            got=f"{input_shape[0]} channels for torchvision:{name}",
            expected="3 channels",
            next_step="use timm's network, which adapts, or one of our own",
        )
    return _made("torchvision", name, models.get_model, name, weights=None, num_classes=classes)


def from_transformers(name: str, *, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """The encoder and classification head of a local or published model, its weights read by `transformers`.

    `input_shape` is not used: the model's configuration says what it takes. Code that comes with a model is
    never run (`trust_remote_code=False`), and weights are read from safetensors alone.

    Raises:
        InvalidInputError: transformers not installed, a model that cannot be found or read.
    """
    del input_shape
    transformers = import_library("transformers")
    make = transformers.AutoModelForSequenceClassification.from_pretrained
    options = {"num_labels": classes, "trust_remote_code": False, "use_safetensors": True}
    return _made("transformers", name, make, name, **options)


def _made(library: str, name: str, make: Callable[..., Any], *arguments: Any, **options: Any) -> nn.Module:
    try:
        return make(*arguments, **options)
    except Exception as error:  # the library's own errors, of many kinds
        raise InvalidInputError(
            got=f"{library}:{name}, which cannot be made ({' '.join(str(error).split())[:300]})",
            expected=f"a network of {library} that takes these inputs and classes",
            next_step="check the name and the shape of the inputs",
        ) from error


LIBRARIES: dict[str, Callable[..., nn.Module]] = {
    "timm": from_timm,
    "torchvision": from_torchvision,
    "transformers": from_transformers,
}
"""Prefix → the function that makes a network of that library."""
