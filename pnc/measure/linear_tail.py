"""The linear map that takes the place of a network's tail, in closed form from its activations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.measure.capture import evaluating
from pnc.measure.principal_components import principal_components
from pnc.measure.ridge import fit_linear_map
from pnc.measure.site import SiteReader, site_of
from pnc.measure.spectrum import StreamingSpectrum
from pnc.measure.stream import BatchSource
from pnc.measure.substitute import substituted
from pnc.nets import LinearTail

__all__ = ["TailTarget", "fit_linear_tail"]

TailTarget = Literal["labels", "outputs"]


def fit_linear_tail(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    classes: int,
    site: str,
    dimensions: int | None = None,
    target: TailTarget = "labels",
    width: int = 1024,
    sketch: int = 128,
) -> LinearTail:
    """Replace everything after one layer of a network by one linear map, fitted to its training activations.

    Least squares from the activations, or from their first m principal components, to one-hot labels or to the
    network's own outputs, with the ridge penalty that predicts left-out samples best (`fit_linear_map`); what is
    linear in the activations, a linear tail's outputs for one, is reproduced exactly.

    Args:
        model: torch module; it is shared with what is returned, not copied.
        batches: training split, a DataLoader or list of (inputs, labels), read more than once.
        classes: K.
        site: name of one layer.
        dimensions: m; `None`: all d entries, which are then held at once. The components are merged into the map.
        target: `labels`, or `outputs` of the network.
        width: the largest d whose components are exact.
        sketch: rows of their sketch above it, at least.

    Raises:
        InvalidInputError: a site that is not there or not one, an m out of range, activations that are too many to be
            held at once, an unknown target.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    >>> x = torch.arange(20.0).reshape(10, 2).cos().double()
    >>> short = fit_linear_tail(net, [(x, torch.arange(10) % 2)], classes=2, site="1", target="outputs")
    >>> bool((short(x) - net(x)).abs().max() < 1e-9)
    True
    """
    if target not in get_args(TailTarget):
        raise InvalidInputError(
            got=f"target = {target!r}", expected="labels or outputs", next_step="fit the tail to one of these"
        )
    source = BatchSource(batches, model, again=True)
    first = source.first()
    if first is None:
        raise InvalidInputError(got="no batches", expected="at least one batch", next_step="check the data")
    layer = site_of(model, first, site)
    if layer.part is not None:
        raise InvalidInputError(
            got=f"the site {site!r}, whose output is not one tensor",
            expected="a layer that returns one tensor",
            next_step="choose another site",
        )
    reader = SiteReader(model, layer)
    if dimensions is None:
        z, y = reader.read(source)
        if z is None:
            raise InvalidInputError(
                got=f"{len(y)} × {reader.dimension} activations, too many to hold at once",
                expected="activations of 2²⁸ entries at most",
                next_step="fit the tail to some principal components: give dimensions",
            )
    else:
        if not 1 <= dimensions < reader.dimension:
            raise InvalidInputError(
                got=f"{dimensions} dimensions of {layer.name}, which has {reader.dimension}",
                expected=f"1 to {reader.dimension - 1}",
                next_step="ask for fewer, or leave dimensions out",
            )
        spectrum = StreamingSpectrum(dimension=reader.dimension, width=width, sketch=max(sketch, 2 * dimensions))
        labels: list[torch.Tensor] = []

        def add(z: torch.Tensor, y: torch.Tensor, first_sample: int) -> None:
            spectrum.update(z)
            labels.append(y.cpu())

        reader.each(source, add)
        components, y = principal_components(spectrum, dimensions), torch.cat(labels)
        z = reader.map(source, lambda z: components.scores(z.cpu()))
    if target == "labels":
        targets = nn.functional.one_hot(y.long(), classes).to(torch.float64)
    else:
        with evaluating(model), substituted(model, layer, lambda z: z) as run:
            targets = torch.cat([run(inputs).cpu() for inputs, _ in source])
    fitted = fit_linear_map(z, targets)
    weights, bias = fitted.weights, fitted.bias
    if dimensions is not None:
        weights = weights @ components.directions
        bias = bias - weights @ components.mean
    parameter = next(model.parameters())
    linear = nn.Linear(reader.dimension, len(bias), dtype=parameter.dtype, device=parameter.device)
    with torch.no_grad():
        linear.weight.copy_(weights)
        linear.bias.copy_(bias)
    return LinearTail(model, site=layer.module, linear=linear, call=layer.call)
