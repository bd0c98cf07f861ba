"""The inputs of a batch: how many samples it holds, some of them, and a copy that a model may write to."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from pnc.errors import InvalidInputError

__all__ = ["batch_size", "first_tensor", "map_tensors", "own_copy", "rows_of"]


def map_tensors(value: Any, function: Callable[[torch.Tensor], Any]) -> Any:
    """`function` of every tensor in a tensor, mapping, tuple (named ones too) or list; all else as it is.

    >>> map_tensors({"a": [torch.ones(2)], "b": 3}, lambda x: x.tolist())
    {'a': [[1.0, 1.0]], 'b': 3}
    """
    if torch.is_tensor(value):
        return function(value)
    if isinstance(value, Mapping):
        return {key: map_tensors(item, function) for key, item in value.items()}
    if isinstance(value, PackedSequence):
        return value
    if isinstance(value, tuple | list):
        items = [map_tensors(item, function) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def own_copy(value: Any) -> Any:
    """A copy of a batch's inputs that shares no memory with them: what a model gets, in case it writes to it.

    >>> x = torch.ones(2)
    >>> own_copy({"a": (x,)})["a"][0].mul_(2).tolist(), x.tolist()
    ([2.0, 2.0], [1.0, 1.0])
    """
    if torch.is_tensor(value):
        return value.clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, Mapping):
        return {key: own_copy(item) for key, item in value.items()}
    if type(value) in (tuple, list):
        return type(value)(own_copy(item) for item in value)
    if value is None or isinstance(value, str | bytes | int | float | complex | nn.Module) or callable(value):
        return value
    return copy.deepcopy(value)


def first_tensor(value: Any) -> torch.Tensor | None:
    """The first tensor in a tensor, mapping, tuple or list; None where there is none."""
    if torch.is_tensor(value):
        return value
    values = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return next((found for item in values if (found := first_tensor(item)) is not None), None)


def batch_size(inputs: Any) -> int:
    """The length of the first axis of the first tensor in a batch; of a packed sequence, the number of sequences.

    Raises:
        InvalidInputError: no tensor in it.
    """
    first = next(iter(inputs.values()), None) if isinstance(inputs, Mapping) else inputs
    first = first[0] if type(first) in (tuple, list) and first else first
    if isinstance(first, PackedSequence):
        return int(first.batch_sizes[0])
    tensor = first_tensor(inputs)
    if tensor is None or tensor.ndim == 0:
        raise InvalidInputError(
            got=f"inputs of type {type(inputs).__name__} without a tensor that has a sample axis",
            expected="a tensor, or a tuple or mapping of tensors, one row a sample",
            next_step="let the loader yield (inputs, labels)",
        )
    return tensor.shape[0]


def rows_of(inputs: Any, rows: slice | torch.Tensor) -> Any:
    """Some samples of a batch: of every tensor in it whose first axis is as long as the batch's.

    >>> rows_of({"a": torch.arange(4), "scale": 2.0}, slice(1, 3))
    {'a': tensor([1, 2]), 'scale': 2.0}
    """
    samples = batch_size(inputs)

    def cut(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.ndim or tensor.shape[0] != samples:
            return tensor
        if tensor.layout == torch.strided and not tensor.is_nested:
            return tensor[rows if isinstance(rows, slice) else rows.to(tensor.device)]
        index = torch.arange(samples)[rows] if isinstance(rows, slice) else rows
        if tensor.is_nested:
            parts = tensor.unbind()
            return torch.nested.as_nested_tensor([parts[i] for i in index.tolist()], layout=tensor.layout)
        return tensor.to_sparse_coo().index_select(0, index.to(tensor.device)).to_sparse(layout=tensor.layout)

    return map_tensors(inputs, cut)
