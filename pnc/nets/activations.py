"""The activations that networks can be built with, by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from pnc.fields import nearest

__all__ = ["ACTIVATIONS", "activation"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}
"""Name → module. None of them works in place: a layer's output stays what it was when it was measured."""


def activation(name: str) -> nn.Module:
    """A new module of the activation that `name` stands for.

    Raises:
        InvalidInputError: an unknown name.

    >>> activation("relu")
    ReLU()
    """
    if name not in ACTIVATIONS:
        raise nearest("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()
