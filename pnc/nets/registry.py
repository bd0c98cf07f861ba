"""Networks by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import nn

from pnc.errors import InvalidInputError
from pnc.fields import nearest
from pnc.nets.checks import at_least, whole_shape
from pnc.nets.deep_linear import deep_linear
from pnc.nets.hybrid import hybrid
from pnc.nets.initial import initialise, parse_initial, seeded
from pnc.nets.load import network_maker
from pnc.nets.mlp import mlp
from pnc.nets.network import Body, Network
from pnc.nets.projection_head import ProjectionHead
from pnc.nets.resnet import RESNET_DEPTHS, ResNetBody
from pnc.nets.vgg import VGG_DEPTHS, VGGBody

__all__ = ["NETWORKS", "build"]

_BODIES: dict[str, Callable[..., Body]] = {
    "mlp": mlp,
    "hybrid": hybrid,
    "linear": deep_linear,
    **{f"vgg-{depth}": partial(VGGBody, depth=depth, batch_norm=False) for depth in VGG_DEPTHS},
    **{f"vgg-{depth}-bn": partial(VGGBody, depth=depth, batch_norm=True) for depth in VGG_DEPTHS},
    **{f"resnet-{depth}": partial(ResNetBody, depth=depth) for depth in RESNET_DEPTHS},
}

NETWORKS = tuple(_BODIES)
"""The names that `build` knows; `module:function` and the like are loaded, see `load_network`."""


def build(
    name: str,
    *,
    input_shape: Sequence[int],
    classes: int,
    width: int | None = None,
    depth: int | None = None,
    nonlinear: int | None = None,
    activation: str | None = None,
    batch_norm: bool | None = None,
    bias: bool | None = None,
    projection: int = 0,
    projection_width: int | None = None,
    initial: str = "default",
    seed: int = 0,
) -> nn.Module:
    """A network: the same name, options and seed give the same weights, and no other random number moves.

    Options that are not given (`None`) take the default of the network; those that have no meaning for it are
    refused. The built-in networks are `Network`s, whose `layer_names` and `block_names` say what to measure.

    Args:
        name: one of `NETWORKS`, or what `load_network` takes (`package.module:function`, `timm:NAME`, …).
        input_shape: of one sample: (features,) or (channels, height, width).
        classes: K.
        width, depth, nonlinear, activation, batch_norm, bias: see `mlp`, `hybrid`, `deep_linear`, `VGGBody`
            and `ResNetBody`. Of the VGGs, `-bn` in the name says whether there is batch norm.
        projection: layers of a projection head before the classifier, 0 to 5.
        projection_width: of these; `None`: the width of the features.
        initial: initial law, see `parse_initial`.
        seed: of the weights.

    Raises:
        InvalidInputError: an unknown name, an option out of range or without meaning for this network.

    >>> network = build("resnet-18", input_shape=(3, 32, 32), classes=10)
    >>> sum(weights.numel() for weights in network.parameters())
    11173962
    >>> build("resnet18", input_shape=(3, 32, 32), classes=10)
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got network = 'resnet18'; expected ...; did you mean resnet-18?
    """
    shape, classes = whole_shape(input_shape), at_least("classes", classes, 2)
    parse_initial(initial)
    options = {
        "width": width,
        "depth": depth,
        "nonlinear": nonlinear,
        "activation": activation,
        "batch_norm": batch_norm,
        "bias": bias,
    }
    given = {option: value for option, value in options.items() if value is not None}
    projection = at_least("projection", projection, 0)
    if projection_width is not None and not projection:
        raise _without_meaning("projection_width", f"{name} without a projection head", ["projection"])
    if ":" in name:
        if given or projection:
            raise _without_meaning(next(iter(given), "projection"), name, [])
        make = network_maker(name, input_shape=shape, classes=classes)
    else:
        make = partial(_built_in, name, shape, classes, given, projection, projection_width)
    with seeded(seed):
        network = make()
        initialise(network, initial)
    return network


def _built_in(
    name: str,
    input_shape: tuple[int, ...],
    classes: int,
    given: dict[str, Any],
    projection: int,
    projection_width: int | None,
) -> Network:
    if name not in _BODIES:
        raise nearest("network", name, NETWORKS)
    make = _BODIES[name]
    bound = make.keywords if isinstance(make, partial) else {}
    known = [option for option in inspect.signature(make).parameters if option not in ("input_shape", *bound)]
    for option in given:
        if option not in known:
            raise _without_meaning(option, name, known)
    body = make(input_shape, **given)
    head = None
    if projection:
        style = {"activation": given["activation"]} if "activation" in given else {}
        head = ProjectionHead(body.features, layers=projection, width=projection_width, **style)
    return Network(body, classes=classes, projection=head)


def _without_meaning(option: str, name: str, known: Sequence[str]) -> InvalidInputError:
    return InvalidInputError(
        got=f"`{option}` with {name}",
        expected=f"options of this network: {', '.join(known)}" if known else "no option but the initial law",
        next_step=f"leave out `{option}`",
    )
