"""Initial laws of weights, in place, from a seed that touches no other random number."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator

import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.nets.checks import at_least

__all__ = ["initialise", "parse_initial", "seeded"]

_LAW = re.compile(r"(default|he|orthogonal)(?:\(([^()]+)\))?")


def parse_initial(initial: str) -> tuple[str, float]:
    """Name and scale of an initial law.

    Args:
        initial: `default` (PyTorch's own), `he` (Gaussian of variance 2/fan-in), `orthogonal`, or `orthogonal(ε)`
            with the scale ε > 0; without it 1.

    Raises:
        InvalidInputError: another law, a scale that is not a number above 0, or given to `default` or `he`.

    >>> parse_initial("orthogonal(0.1)"), parse_initial("default")
    (('orthogonal', 0.1), ('default', 1.0))
    """
    match = _LAW.fullmatch(initial.replace(" ", ""))
    law, text = match.groups() if match else (None, None)
    try:
        scale = 1.0 if text is None else float(text)
    except ValueError:
        scale = math.nan
    if law is None or not (math.isfinite(scale) and scale > 0) or (text and law != "orthogonal"):
        raise InvalidInputError(
            got=f"initial = {initial!r}",
            expected="default, he, orthogonal, or orthogonal(scale) with a scale above 0",
            next_step="pass for instance 'orthogonal(0.1)', the paper's",
        )
    return law, scale


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, the CPU's random numbers come from `seed`; afterwards they go on as if nothing had happened.

    Raises:
        InvalidInputError: a seed that is not a whole number of 0 or more.
    """
    seed = at_least("seed", seed, 0)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def initialise(network: nn.Module, initial: str = "default") -> None:
    """Draw the weights of every linear and convolutional layer by an initial law; norms keep theirs.

    `orthogonal(ε)`: W Wᵀ = ε² I or WᵀW = ε² I, of a convolution for its (out, in · height · width) matrix; biases
    0. `he`: Gaussian of variance 2/fan-in (He et al., 2015); biases 0. `default`: the layers stay as PyTorch drew
    them.

    Raises:
        InvalidInputError: an unknown law, see `parse_initial`.

    >>> layer = nn.Linear(2, 3)
    >>> initialise(layer, "orthogonal(0.5)")
    >>> torch.allclose(layer.weight.T @ layer.weight, 0.25 * torch.eye(2), atol=1e-6)
    True
    """
    law, scale = parse_initial(initial)
    if law == "default":
        return
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            if law == "orthogonal":
                nn.init.orthogonal_(module.weight, gain=scale)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
