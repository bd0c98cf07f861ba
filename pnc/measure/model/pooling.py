"""From the states of all tokens of a sample to the features of the sample."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import torch
from torch import nn

from pnc.errors import InvalidInputError

__all__ = ["Pool", "Pooling", "token_mask"]

Pool = Literal["masked-mean", "mean", "cls", "last", "flatten"]
_KEPT = ("attention_mask",)  # 1 where there is a token
_PADDED = ("src_key_padding_mask", "key_padding_mask", "padding_mask", "pad_mask")  # true where there is none


def token_mask(model: nn.Module, inputs: Any) -> torch.Tensor | None:
    """(N, T), true where a sample has a token: the mask that a model is given with a batch; None where there is none.

    It is known by its name, in a mapping or in the signature of the model's `forward`.

    >>> token_mask(nn.Identity(), {"input_ids": torch.ones(1, 3), "attention_mask": torch.tensor([[1, 1, 0]])}).tolist()
    [[True, True, False]]
    """
    if not isinstance(inputs, Mapping):
        if type(inputs) not in (tuple, list):
            return None
        try:
            names = list(inspect.signature(model.forward).parameters)
        except (TypeError, ValueError):
            return None
        inputs = dict(zip(names, inputs, strict=False))
    for names, kept in ((_KEPT, True), (_PADDED, False)):
        for name in names:
            mask = inputs.get(name)
            if torch.is_tensor(mask) and mask.ndim == 2:
                # an additive mask is 0 where there is a token
                known = mask == 0 if mask.is_floating_point() and bool((mask < 0).any()) else (mask != 0) == kept
                return known
    return None


class Pooling:
    """What `pool` says, applied to the layers of one batch after another.

    Args:
        pool: `masked-mean`, over the tokens of the batch's mask; `mean`, over tokens, or over the positions of images;
            `cls`, the first token; `last`, the last one that the mask keeps; `flatten`, all of them side by side; a
            function of a layer's (N, …) output and the batch's inputs; or None: `masked-mean` where the batch has a
            mask, otherwise `flatten`.
        model: that is measured.

    Raises:
        InvalidInputError: another word; `masked-mean` of batches without a mask.
    """

    def __init__(self, pool: Pool | Callable[[torch.Tensor, Any], torch.Tensor] | None, model: nn.Module) -> None:
        if pool is not None and not callable(pool) and pool not in get_args(Pool):
            raise InvalidInputError(
                got=f"pool = {pool!r}",
                expected=", ".join(get_args(Pool)) + ", or a function of a layer's output and the inputs",
                next_step='pass for instance `pool` "masked-mean"',
            )
        self._pool, self._model = pool, model
        self._inputs: Any = None
        self._mask: torch.Tensor | None = None
        self.notes: list[str] = []

    def begin(self, inputs: Any) -> None:
        """The inputs of the batch that comes next."""
        self._inputs, self._mask = inputs, token_mask(self._model, inputs)
        if self._pool == "masked-mean" and self._mask is None:
            raise InvalidInputError(
                got='pool = "masked-mean" with batches that hold no mask of tokens',
                expected=f"an input called {' or '.join((*_KEPT, *_PADDED[:2]))} of shape (N, T)",
                next_step='pass `pool` "mean", or give the mask with the batch',
            )

    def size(self, shape: tuple[int, ...]) -> int | None:
        """Entries of a layer of so large an output of one sample, the inputs being those last given to `begin`."""
        if callable(self._pool):
            return None
        masked = self._mask is not None and len(shape) == 2 and self._mask.shape[1] == shape[0]
        if masked and self._pool != "flatten":
            return shape[1]
        if self._pool == "mean" and len(shape) > 1:
            return shape[1] if len(shape) == 2 else shape[0]
        if self._pool in ("cls", "last") and len(shape) == 2:
            return shape[1]
        return math.prod(shape)

    def __call__(self, name: str, value: torch.Tensor) -> torch.Tensor:
        """The features of a layer: (N, …), fewer entries where tokens are pooled."""
        tokens = value.ndim == 3 and value.is_floating_point()
        masked = tokens and self._mask is not None and self._mask.shape == value.shape[:2]
        if callable(self._pool):
            return value if name == "input" else self._pool(value, self._inputs)
        if self._pool in (None, "masked-mean"):
            if not masked or self._mask is None:
                return value
            self._say("the states of tokens were averaged over the tokens of the mask, layer by layer")
            weight = self._mask.to(value.device, value.dtype)[..., None]
            return (value * weight).sum(1) / weight.sum(1).clamp(min=1)
        if name == "input" or self._pool == "flatten" or value.ndim < 3:
            return value
        if self._pool == "mean":
            return value.mean(1) if tokens else value.flatten(2).mean(2)
        if not tokens:
            return value
        if self._pool == "cls":
            return value[:, 0]
        if not masked or self._mask is None:
            return value[:, -1]
        places = torch.arange(value.shape[1], device=self._mask.device)
        last = torch.where(self._mask, places, 0).amax(1).to(value.device)
        return value[torch.arange(len(value), device=value.device), last]

    def _say(self, note: str) -> None:
        if self._pool is None and note not in self.notes:
            self.notes.append(note)
