"""The linear end of a trained network, held against the law of deep linear networks on the features that enter it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from pnc.curves import LayerCurve, json_ready
from pnc.data import Problem
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.measure import capture, measure_features
from pnc.measure.model.attribution import module_path
from pnc.measure.model.batches import BatchSource
from pnc.theory import Certificate, certify
from pnc.theory.given_map import predict_from_map

__all__ = ["TailLaw", "hold_linear_tail"]

_MOST_ENTRIES = 2**27  # of the entering features, in float64: 1 GiB


@dataclass(frozen=True, kw_only=True, eq=False)
class TailLaw:
    """The layers of a linear tail: predicted from its end-to-end map, measured, and certified.

    Args:
        names: of the layers 0…L-1 of the tail: what enters it, then each linear module but the last.
        predicted: E1, T3 with the measured map and the measured residual scale.
        measured: on the same features.
        certificate: T8, intervals that these weights must obey.
        residual_scale: ε, the mean factor by which a layer multiplies what the map does not use.
    """

    names: tuple[str, ...]
    predicted: LayerCurve
    measured: LayerCurve
    certificate: Certificate
    residual_scale: float

    @property
    def relative_error(self) -> Float[np.ndarray, " layers"]:
        """Predicted C_l over measured C_l, less 1: what imbalance and several residual scales make of it."""
        return self.predicted.compression / self.measured.compression - 1

    @property
    def inside(self) -> bool:
        """Whether every measured C_l and D_l lies in its certified interval, as a theorem says it must."""
        found, bound = self.measured, self.certificate
        return bool(
            np.all(found.compression >= bound.compression_lower)
            and np.all(found.compression <= bound.compression_upper)
            and np.all(found.discrimination >= bound.discrimination_lower)
            and np.all(found.discrimination <= bound.discrimination_upper)
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return json_ready(
            {
                "names": list(self.names),
                "predicted": self.predicted.to_dict(),
                "measured": self.measured.to_dict(),
                "certificate": self.certificate.to_dict(),
                "relative_error": self.relative_error,
                "inside_certificate": self.inside,
                "residual_scale": self.residual_scale,
            }
        )


def hold_linear_tail(model: nn.Module, batches: Iterable[Any]) -> TailLaw:
    """Hold the linear modules at the end of a network against E1 and T8, on the features that enter them.

    After any network, trained with any loss and for any time: what enters a linear tail is a data set, the tail a deep
    linear network. E1 needs its end-to-end map and one residual scale, both measured here; T8 holds for any weights.
    The residual scale is the (L-1)th root of what W_{L-1:1} makes of the norm of the features off the map's row space.

    Args:
        model: whose last modules are linear, without biases but for the last one's.
        batches: of (inputs, labels).

    Raises:
        NotApplicableError: fewer than two linear modules at the end, or biases before the last.
        InvalidInputError: more features than can be held at once.

    >>> torch.manual_seed(0) and None
    >>> linear = [nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False), nn.Linear(6, 2)]
    >>> net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), *linear)
    >>> law = hold_linear_tail(net, [(torch.randn(30, 4), torch.arange(30) % 2)])
    >>> law.names, law.inside
    (('1', '2', '3'), True)
    """
    source = BatchSource(batches, model, again=True)
    first = source.first()
    if first is None:
        raise InvalidInputError(got="no batches", expected="at least one batch", next_step="check the data")
    before, tail = _tail(model, first)
    weights = [module.weight.detach().cpu().to(torch.float64).numpy() for module in tail.values()]
    features, labels = _entering(model, source, before)
    problem = Problem(X=features, y=labels, name="features that enter the linear tail")
    product = weights[0]
    for W in weights[1:]:
        product = W @ product
    scale = _residual_scale(features, weights, product)
    layers = [features]
    for W in weights[:-1]:
        layers.append(layers[-1] @ W.T)
    return TailLaw(
        names=(before, *list(tail)[:-1]),
        predicted=predict_from_map(problem, product, depth=len(weights), residual_scale=scale),
        measured=measure_features(layers, problem.y),
        certificate=certify(weights, problem.X, problem.y),
        residual_scale=scale,
    )


def _tail(model: nn.Module, inputs: Any) -> tuple[str, dict[str, nn.Linear]]:
    """The name of the module whose output enters the linear tail, and the tail's modules in order."""
    tail: dict[str, nn.Linear] = {}
    before = ""
    for name, module, gap in reversed(module_path(model, inputs)):
        if isinstance(module, nn.Identity | nn.Dropout) and not gap:
            continue
        if type(module) is not nn.Linear:
            before = name
            break
        tail = {name: module, **tail}
        if gap:
            break
    biased = [name for name, module in list(tail.items())[:-1] if module.bias is not None]
    if len(tail) < 2 or not before or biased:
        found = f"a bias in {biased[0]}" if biased else f"{len(tail)} linear module{'' if len(tail) == 1 else 's'}"
        raise NotApplicableError(
            statement="E1",
            assumption="two or more linear modules at the end, behind another module, without biases but the last "
            f"one's; here {found}",
            instead="measure the network and attribute its compression instead",
        )
    return before, tail


def _entering(model: nn.Module, source: BatchSource, name: str) -> tuple[np.ndarray, np.ndarray]:
    found, labels, entries = [], [], 0
    for inputs, y in source:
        rows = capture(model, inputs, layers=[name])[name].flatten(1).cpu().to(torch.float64)
        entries += rows.numel()
        if entries > _MOST_ENTRIES:
            raise InvalidInputError(
                got=f"more than {_MOST_ENTRIES} features that enter the tail",
                expected="as many as fit into 1 GiB",
                next_step="give fewer samples",
            )
        found.append(rows.numpy())
        labels.append(torch.as_tensor(y).cpu().numpy())
    return np.concatenate(found), np.concatenate(labels)


def _residual_scale(X: np.ndarray, weights: list[np.ndarray], product: np.ndarray) -> float:
    """By what a layer multiplies the features off the row space of the end-to-end map, in the geometric mean."""
    _, s, right = np.linalg.svd(product, full_matrices=False)
    rows = right[s > 1e-10 * s[0]]
    residual = X - (X @ rows.T) @ rows
    carried = residual
    for W in weights[:-1]:
        carried = carried @ W.T
    # what leaks from the residual into the map's directions belongs to the imbalance, not to the scale
    share = float(np.linalg.norm(carried) / max(float(np.linalg.norm(residual)), np.finfo(np.float64).tiny))
    return share ** (1 / (len(weights) - 1))
