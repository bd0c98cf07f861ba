"""A model in which the output of one layer is replaced on its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.measure.model.batches import BatchSource
from pnc.measure.model.hooks import call_model, evaluating, unwrapped
from pnc.measure.model.layers import Layer, layer_output
from pnc.measure.model.outputs import with_part
from pnc.measure.model.samples import batch_size

__all__ = ["substituted", "substituted_accuracy"]


@contextmanager
def substituted(
    model: nn.Module, layer: Layer, function: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[Callable[[Any], Any]]:
    """A callable that runs the model with `function` of a layer's output in place of that output.

    Args:
        model: torch module.
        layer: one of `list_layers`.
        function: from the layer's (N, …) output to a tensor of the same shape.

    Raises:
        InvalidInputError: a function that changes the shape.

    >>> net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    >>> _ = [nn.init.constant_(part.weight, 3.0) for part in net]
    >>> layer = Layer(name="0", module="0", call=1, kind="Linear", shape=(1,))
    >>> with substituted(net, layer, lambda x: x + 1) as run, torch.no_grad():
    ...     run(torch.ones(1, 1)).item()
    12.0
    """
    inner = unwrapped(model)
    calls = 0

    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        nonlocal calls
        calls += 1
        before = layer_output(layer, output) if calls == layer.call else None
        if before is None:
            return None
        after = function(before)
        if after.shape != before.shape:
            raise InvalidInputError(
                got=f"shape {tuple(after.shape)} for the output of {layer.name}",
                expected=f"{tuple(before.shape)}",
                next_step="return a tensor of the same shape",
            )
        after = after.to(dtype=before.dtype, device=before.device).movedim(0, layer.axis)
        path = layer.part if isinstance(layer.part, tuple) else () if layer.part is None else (layer.part,)
        return with_part(output, path, after)

    def run(inputs: Any) -> Any:
        nonlocal calls
        calls = 0
        return call_model(inner, inputs)

    handle = inner.get_submodule(layer.module).register_forward_hook(hook)
    try:
        yield run
    finally:
        handle.remove()


def substituted_accuracy(
    model: nn.Module, layer: Layer, source: BatchSource, function: Callable[[torch.Tensor], torch.Tensor]
) -> float:
    """The share of samples that a model classifies rightly with `function` of a layer's output in place of it.

    Raises:
        InvalidInputError: a model whose output is not one row of scores a sample.

    >>> net = nn.Sequential(nn.Identity(), nn.Identity())
    >>> layer = Layer(name="0", module="0", call=1, kind="Identity", shape=(2,))
    >>> source = BatchSource([(torch.tensor([[1.0, 2.0], [3.0, 2.0]]), torch.tensor([1, 0]))], net, again=True)
    >>> substituted_accuracy(net, layer, source, lambda x: x), substituted_accuracy(net, layer, source, lambda x: 0 * x)
    (1.0, 0.5)
    """
    right = seen = 0
    with evaluating(model), substituted(model, layer, function) as run:
        for inputs, labels in source:
            outputs = run(inputs)
            if not torch.is_tensor(outputs) or outputs.ndim != 2:
                raise InvalidInputError(
                    got="a network whose output is not one row of scores a sample",
                    expected="outputs (N, K)",
                    next_step="wrap the model so that it returns its scores alone",
                )
            right += int((outputs.argmax(1) == torch.as_tensor(labels, device=outputs.device)).sum())
            seen += batch_size(inputs)
    return right / seen
