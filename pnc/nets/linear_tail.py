"""A network whose tail, everything after one layer, is replaced by one linear map."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import nn

from pnc.fields import nearest

__all__ = ["LinearTail"]


class _Reached(Exception):
    """The layer has been computed: the rest of the network need not be."""


class LinearTail(nn.Module):
    """`linear(z)`, z the flattened output of one layer of a network; what follows that layer is not computed.

    The network is run up to the layer by a forward hook, so that any network will do whose layer is a module that
    returns one tensor. Its parameters stay where they are, those of the tail too: `kept_parameters` counts what the
    shortened network needs.

    Args:
        network: any module.
        site: name of the layer in `named_modules()`.
        linear: from the d entries of the layer's output to K.
        call: which call of the layer in a forward pass, 1 for the first.

    Raises:
        InvalidInputError: no such layer; the nearest name is given.

    >>> network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> short = LinearTail(network, site="1", linear=nn.Linear(3, 2))
    >>> short(torch.zeros(5, 2)).shape, short.kept_parameters(torch.zeros(5, 2))
    (torch.Size([5, 2]), 17)
    """

    def __init__(self, network: nn.Module, *, site: str, linear: nn.Linear, call: int = 1) -> None:
        super().__init__()
        names = [name for name, _ in network.named_modules() if name]
        if site not in names:
            raise nearest("site", site, names)
        self.network, self.site, self.call, self.linear = network, site, call, linear

    def forward(self, *inputs: Any, **named: Any) -> Float[torch.Tensor, "batch K"]:
        found: list[torch.Tensor] = []
        calls = 0

        def stop(module: nn.Module, args: Any, output: torch.Tensor) -> None:
            nonlocal calls
            calls += 1
            if calls == self.call:
                found.append(output)
                raise _Reached

        handle = self.network.get_submodule(self.site).register_forward_hook(stop)
        try:
            self.network(*inputs, **named)
        except _Reached:
            pass
        finally:
            handle.remove()
        return self.linear(found[0].flatten(1))

    @torch.no_grad()
    def kept_parameters(self, *inputs: Any, **named: Any) -> int:
        """The number of parameters that are used on the way to the layer, and those of the linear map."""
        used: dict[int, nn.Parameter] = {id(p): p for p in self.linear.parameters()}

        def note(module: nn.Module, args: Any) -> None:
            used.update({id(p): p for p in module.parameters(recurse=False)})

        handles = [module.register_forward_pre_hook(note) for module in self.network.modules()]
        modes = [(module, module.training) for module in self.modules()]
        try:
            self.eval()(*inputs, **named)
        finally:
            for handle in handles:
                handle.remove()
            for module, training in modes:
                module.training = training
        return sum(p.numel() for p in used.values())
