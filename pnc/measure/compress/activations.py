"""One layer of a model: which it is, what comes after it, and its activations split by split."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.measure.model.batches import BatchSource, run_pass
from pnc.measure.model.hooks import evaluating, tapped
from pnc.measure.model.layers import Layer, layer_output, list_layers

__all__ = ["MOST_ENTRIES", "SiteReader", "site_of", "tail_parameters"]

MOST_ENTRIES = 2**28
"""Of a split's activations that are held at once: 1 GiB of float32."""

Take = Callable[[torch.Tensor, torch.Tensor, int], object]


def site_of(model: nn.Module, inputs: Any, site: str) -> Layer:
    """The one call of one module that a name or pattern means.

    Raises:
        InvalidInputError: none (with the nearest names) or more than one, or nothing that can be measured there.

    >>> site_of(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), torch.zeros(1, 2), "1").shape
    (3,)
    """
    found = list_layers(model, inputs, patterns=[site]).layers
    only, *others = found
    if others:
        raise InvalidInputError(
            got=f"the site {site!r}, which means {', '.join(layer.name for layer in found[:4])}"
            + (", …" if len(found) > 4 else ""),
            expected="one layer",
            next_step=f"name one of them, for instance {others[-1].name}",
        )
    return only


def tail_parameters(model: nn.Module, inputs: Any, layer: Layer) -> int:
    """The number of parameters that a model uses after a layer, and neither before nor in it.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> tail_parameters(net, torch.zeros(1, 2), site_of(net, torch.zeros(1, 2), "1"))
    8
    """
    order: list[str] = []
    modules = dict(model.named_modules())
    with evaluating(model), tapped(model, lambda name, output: order.append(name)) as run:
        run(inputs)
    # a module reports when it is done, so one that contains the layer comes after it; its own parameters are few
    split = order.index(layer.name) + 1
    sides = [
        {id(p): p.numel() for name in names for p in modules[name.partition("#")[0]].parameters(recurse=False)}
        for names in (order[:split], order[split:])
    ]
    return sum(size for key, size in sides[1].items() if key not in sides[0])


class SiteReader:
    """The activations of one layer, flattened to rows of d entries; no more are held than is asked for.

    Args:
        model: torch module, run in evaluation mode.
        layer: of it.
    """

    def __init__(self, model: nn.Module, layer: Layer) -> None:
        self.model, self.layer = model, layer
        self.dimension = torch.Size(layer.shape).numel()
        self.notes: list[str] = []

    def each(self, source: BatchSource, take: Take) -> None:
        """`take` of the (n, d) activations, their labels and the index of the first sample, batch by batch.

        Raises:
            InvalidInputError: activations whose size differs between batches.
        """

        def consume(name: str, output: Any, labels: torch.Tensor, first: int) -> None:
            value = layer_output(self.layer, output) if name == self.layer.name else None
            if value is None:
                return
            rows = value.detach().reshape(labels.shape[0], -1)
            if rows.shape[1] != self.dimension:
                raise InvalidInputError(
                    got=f"activations of {self.layer.name} of {self.dimension} entries in one batch, {rows.shape[1]} "
                    "in another",
                    expected="samples of one size",
                    next_step="prepare all samples alike",
                )
            take(rows, labels, first)

        self.notes += run_pass(self.model, source, [consume], modules=[self.layer.module])[1]

    def read(self, source: BatchSource, take: Take | None = None) -> tuple[torch.Tensor | None, torch.Tensor]:
        """All activations on the CPU, or `None` where they are too many, and the labels; `take` sees each batch."""
        kept: list[torch.Tensor] | None = []
        labels: list[torch.Tensor] = []
        entries = 0

        def keep(z: torch.Tensor, y: torch.Tensor, first: int) -> None:
            nonlocal kept, entries
            if take is not None:
                take(z, y, first)
            labels.append(y.cpu())
            entries += z.numel()
            if entries > MOST_ENTRIES:
                kept = None
            if kept is not None:
                kept.append(z.to("cpu", copy=True))

        self.each(source, keep)
        return None if kept is None else torch.cat(kept), torch.cat(labels)

    def map(
        self, source: BatchSource, function: Callable[[torch.Tensor], torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`function` of the activations, batch by batch, on the CPU, and the labels of the same pass."""
        found: list[torch.Tensor] = []
        labels: list[torch.Tensor] = []

        def take(z: torch.Tensor, y: torch.Tensor, first: int) -> None:
            found.append(function(z).cpu())
            labels.append(y.cpu())

        self.each(source, take)
        return torch.cat(found), torch.cat(labels)
