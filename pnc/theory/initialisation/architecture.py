"""The layers of a network, as far as the law at initialisation needs to know them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "Activation",
    "Average",
    "Convolution",
    "Dense",
    "Flatten",
    "Layer",
    "MaxPool",
    "Named",
    "Residual",
    "Scale",
]


@dataclass(frozen=True, kw_only=True)
class Dense:
    """`W z + b`: independent entries of W with variance `gain / inputs`, of b with variance `bias`.

    Args:
        width: number of units.
        gain: σ², the variance of an entry of W times the number of inputs; ⅓ in PyTorch's default, 2 in He's.
        bias: variance of an entry of b; PyTorch's default has `1/(3 inputs)`.
    """

    width: int
    gain: float
    bias: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A two-dimensional convolution with zero padding; entries of variance `gain / (channels · kernel²)`.

    Args:
        width: number of output channels.
        gain: variance of an entry times the fan-in.
        kernel: (height, width) of the filter.
        stride: likewise.
        padding: zeros on each side, likewise.
        bias: variance of an entry of the bias.
    """

    width: int
    gain: float
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    bias: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Activation:
    """An activation applied to every entry; `name` as in `pnc.nets`."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Every entry times `factor`: batch norm in evaluation mode at its first values, with factor 1/√(1 + eps)."""

    factor: float


@dataclass(frozen=True, kw_only=True)
class Average:
    """Average pooling; `kernel=None` averages the whole map."""

    kernel: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class MaxPool:
    """Maximum pooling: it has no closed form, and the law is refused from there on."""


@dataclass(frozen=True, kw_only=True)
class Flatten:
    """Channels and pixels become the inputs of a dense layer."""


@dataclass(frozen=True, kw_only=True)
class Residual:
    """`branch(z) + shortcut(z)`; an empty shortcut is the identity.

    Args:
        branch: its last linear layer makes it independent of the shortcut.
        shortcut: linear layers, or none.
    """

    branch: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Named:
    """A mark: what has been computed so far is the layer of this name."""

    name: str


Layer: TypeAlias = Dense | Convolution | Activation | Scale | Average | MaxPool | Flatten | Residual | Named
