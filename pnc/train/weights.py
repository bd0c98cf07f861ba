"""Saved weights into a network: files that hold code are refused, and what does not fit is named."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from pnc.errors import InvalidInputError
from pnc.records import listed_as_it_is

__all__ = ["fit_weights", "load_weights", "read_weights"]

_SHOWN = 4  # of the names that do not fit


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Weights by name, of a `.safetensors` file or of a file of `torch.save` that holds nothing but tensors.

    A dictionary with the weights under `model`, `state_dict` or `weights` is taken too.

    Raises:
        InvalidInputError: no such file, a pickle with code, a file of another kind.
    """
    path = Path(path)
    wanted = "a .safetensors file, or a state_dict saved by torch.save"
    try:
        if path.suffix == ".safetensors":
            return load_file(listed_as_it_is(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle that is none of torch's, which is refused below
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch names what it refuses to build somewhere in a long message
        named = re.search(r"GLOBAL (\S+)", str(error))
        first = str(error).split("WeightsUnpickler error:")[-1].strip().split("\n")[0].split(". ")[0]
        refused = f"it asks for {named[1]}" if named else first
        raise InvalidInputError(
            got=f"{path}, a pickle that is more than tensors ({refused})",
            expected=f"{wanted}; loading a pickle with code would run it",
            next_step="save model.state_dict() as safetensors",
        ) from error
    except (OSError, SafetensorError, EOFError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise InvalidInputError(
            got=f"weights {path}, which cannot be read ({reason})", expected=wanted, next_step="check the file"
        ) from error
    for name in ("model", "state_dict", "weights"):
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping) or not found or not all(torch.is_tensor(value) for value in found.values()):
        raise InvalidInputError(
            got=f"{path}, which holds {type(found).__name__}",
            expected=wanted,
            next_step="save model.state_dict()",
        )
    return {str(name): value for name, value in found.items()}


def fit_weights(model: nn.Module, weights: Mapping[str, torch.Tensor], *, source: str = "the weights") -> None:
    """Copy weights into a network, all of them or none.

    Raises:
        InvalidInputError: names that are missing or superfluous, shapes that differ; they are listed.

    >>> fit_weights(nn.Linear(2, 1), {"weight": torch.zeros(1, 3)})
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got the weights that do not fit: missing bias; weight is (1, 3) instead of (1, 2);
    expected ...
    """
    own = model.state_dict()
    # a network that was compiled or shared among processes puts a word before every name
    for prefix in ("module.", "_orig_mod."):
        own_too = prefix if all(name.startswith(prefix) for name in own) else ""
        if weights and all(name.startswith(prefix + own_too) for name in weights):
            weights = {name.removeprefix(prefix): value for name, value in weights.items()}

    def some(word: str, names: list[str]) -> list[str]:
        rest = f", … ({len(names)})" if len(names) > _SHOWN else ""
        return [f"{word}{', '.join(names[:_SHOWN])}{rest}"] if names else []

    wrong = some("missing ", [name for name in own if name not in weights])
    wrong += some("not in the network: ", [name for name in weights if name not in own])
    wrong += some(
        "",
        [
            f"{name} is {tuple(weights[name].shape)} instead of {tuple(value.shape)}"
            for name, value in own.items()
            if name in weights and weights[name].shape != value.shape
        ],
    )
    if wrong:
        raise InvalidInputError(
            got=f"{source} that do not fit: {'; '.join(wrong)}",
            expected=f"the {len(own)} tensors of {type(model).__name__}",
            next_step="build the network with the options that it was saved with",
        )
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(weights[name])


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Read weights from a file into a network.

    Raises:
        InvalidInputError: as `read_weights` and `fit_weights`.
    """
    fit_weights(model, read_weights(path), source=f"weights of {path}")
