"""Features that are there already, as a model: whatever can be measured of a network can be measured of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from pnc.errors import InvalidInputError

__all__ = ["GivenBatches", "GivenLayers"]


class GivenLayers(nn.Module):
    """A model whose layers 1, 2, … give what it is given: layer 0 is its first input.

    Args:
        layers: their number, without layer 0.

    >>> model = GivenLayers(2)
    >>> [name for name, _ in model.named_children()]
    ['layer_1', 'layer_2']
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.block_names = tuple(f"layer_{l}" for l in range(1, layers + 1))
        for name in self.block_names:
            self.add_module(name, nn.Identity())

    def forward(self, *features: torch.Tensor) -> torch.Tensor:
        last = features[0]
        for name, x in zip(self.block_names, features[1:], strict=True):
            last = self.get_submodule(name)(x)
        return last


class GivenBatches:
    """Batches ((layer 0, layer 1, …), labels) of features, as often as they are asked for.

    Args:
        features: one (N, d_l) array a layer, at least two.
        y: (N,) labels.
        size: samples a batch.

    Raises:
        InvalidInputError: fewer than two layers, or layers of different N.
    """

    def __init__(self, features: Sequence[Float[np.ndarray, "N d"]], y: Any, *, size: int) -> None:
        self._y = np.asarray(y)
        if len(features) < 2 or any(len(layer) != self._y.size for layer in features):
            raise InvalidInputError(
                got=f"layers of {[len(layer) for layer in features]} samples for {self._y.size} labels",
                expected="at least two layers, one row a label each",
                next_step="pass the layers of the same samples",
            )
        self._features, self._size = features, size

    def __iter__(self) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]:
        for start in range(0, self._y.size, self._size):
            rows = slice(start, start + self._size)
            yield tuple(layer[rows] for layer in self._features), self._y[rows]
