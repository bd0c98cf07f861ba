"""The linear map that takes the place of a network's tail, in closed form from its activations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.spectrum import StreamingSpectrum
from pnc.measure.arrays import as_labels
from pnc.measure.compress.activations import MOST_ENTRIES, SiteReader, site_of
from pnc.measure.compress.replaced_output import substituted
from pnc.measure.model.batches import BatchSource
from pnc.measure.model.hooks import evaluating, keeps_randomness
from pnc.measure.model.layers import Layer
from pnc.measure.readout.least_squares import fit_linear_map
from pnc.measure.readout.principal_components import PrincipalComponents, principal_components
from pnc.nets import LinearTail

__all__ = ["TailTarget", "fit_linear_tail"]

TailTarget = Literal["labels", "outputs"]


@keeps_randomness
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
    components = None
    if dimensions is not None:
        if not 1 <= dimensions < reader.dimension:
            raise InvalidInputError(
                got=f"{dimensions} dimensions of {layer.name}, which has {reader.dimension}",
                expected=f"1 to {reader.dimension - 1}",
                next_step="ask for fewer, or leave dimensions out",
            )
        spectrum = StreamingSpectrum(dimension=reader.dimension, width=width, sketch=max(sketch, 2 * dimensions))
        reader.each(source, lambda z, y, first_sample: spectrum.update(z))
        components = principal_components(spectrum, dimensions)
    z, y, outputs = _activations(model, source, layer, components)
    if target == "labels":
        known = as_labels(y, samples=len(y), classes=classes, device="cpu")
        targets = nn.functional.one_hot(known, classes).to(torch.float64)
    else:
        targets = outputs
    fitted = fit_linear_map(z, targets)
    weights, bias = fitted.weights, fitted.bias
    if components is not None:
        weights = weights @ components.directions
        bias = bias - weights @ components.mean
    parameter = next(model.parameters())
    linear = nn.Linear(reader.dimension, len(bias), dtype=parameter.dtype, device=parameter.device)
    with torch.no_grad():
        linear.weight.copy_(weights)
        linear.bias.copy_(bias)
    return LinearTail(model, site=layer.module, linear=linear, call=layer.call)


def _activations(
    model: nn.Module, source: BatchSource, layer: Layer, components: PrincipalComponents | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Activations of a layer or their scores, labels and outputs, all of one pass: a loader may shuffle."""
    found: list[torch.Tensor] = []
    entries = 0

    def keep(z: torch.Tensor) -> torch.Tensor:
        nonlocal entries
        entries += z.numel()
        if components is None and entries > MOST_ENTRIES:
            raise InvalidInputError(
                got=f"more than {MOST_ENTRIES} activations of {layer.name}, too many to hold at once",
                expected="fewer samples, or some of the principal components",
                next_step="give dimensions",
            )
        rows = z.flatten(1).to("cpu", copy=True)
        found.append(rows if components is None else components.scores(rows))
        return z

    with evaluating(model), substituted(model, layer, keep) as run:
        pairs = [(torch.as_tensor(labels).cpu(), run(inputs).cpu()) for inputs, labels in source]
    return torch.cat(found), torch.cat([y for y, _ in pairs]), torch.cat([outputs for _, outputs in pairs])
