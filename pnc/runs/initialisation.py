"""The law before training (N1) beside a network as it is built, and whether the two agree."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from pnc.compare import Verdict
from pnc.curves import LayerCurve, json_ready
from pnc.data import first_of_each_class
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.measure import measure_model
from pnc.nets import build
from pnc.runs.initial_layers import describe_layers
from pnc.runs.requests import NetworkSource
from pnc.theory import initialisation as law
from pnc.train import Samples

__all__ = ["InitialComparison", "compare_initialisation"]

_DEVIATIONS = 3.0
_MOST_SAMPLES = 300  # the law's cost grows with the square of their number


@dataclass(frozen=True, kw_only=True, eq=False)
class InitialComparison:
    """A network before training, held against the law of wide networks.

    Args:
        names: of the layers, the input first.
        predicted: the law in the limit of infinite width.
        measured: one draw of the network on the same samples.
        compression_interval: (layers, 2) where C_l of a draw lies: three standard deviations about the corrected law.
        discrimination_interval: (layers, 2) likewise for D_l; NaN where its spread is not known.
        spread: where the standard deviations come from.
        samples: N.
        notes: what a reader of the numbers should know.
    """

    names: tuple[str, ...]
    predicted: LayerCurve
    measured: LayerCurve
    compression_interval: Float[np.ndarray, "layers 2"]
    discrimination_interval: Float[np.ndarray, "layers 2"]
    spread: str
    samples: int
    notes: tuple[str, ...] = ()

    @property
    def outside(self) -> tuple[str, ...]:
        """Layers whose measured C_l lies outside its interval."""
        low, high = self.compression_interval.T
        inside = (self.measured.compression >= low) & (self.measured.compression <= high)
        return tuple(name for name, kept in zip(self.names[1:], inside[1:]) if not kept)

    @property
    def verdict(self) -> Verdict:
        """AGREES where every C_l lies in its interval, otherwise DISAGREES."""
        return Verdict.DISAGREES if self.outside else Verdict.AGREES

    @property
    def exit_status(self) -> int:
        """That of the verdict."""
        return self.verdict.exit_status

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: the predicted curve as every command gives it, and the rest beside it."""
        return json_ready(
            {
                **self.predicted.to_dict(),
                "names": list(self.names),
                "predicted": self.predicted.to_dict(),
                "measured": self.measured.to_dict(),
                "compression_interval": self.compression_interval,
                "discrimination_interval": self.discrimination_interval,
                "spread": self.spread,
                "outside": list(self.outside),
                "samples": self.samples,
                "verdict": self.verdict.name,
                "notes": list(self.notes),
            }
        )


def compare_initialisation(
    network: NetworkSource,
    samples: Samples,
    *,
    draws: int = 10,
    most_samples: int = _MOST_SAMPLES,
    quadrature: int = 1024,
) -> InitialComparison:
    """Predict C_l and D_l of a network before training, and measure the draw of its seed on the same samples (N1).

    Layers are those that the network names as its blocks (as its layers, where no block's law is known), as far as
    their law has a closed form: a note says where it ends. Dense networks have their spread from theory, to first
    order in 1/width; for others it is the standard deviation of log C_l over `draws` other draws of the weights.

    Args:
        network: one of `pnc.nets.NETWORKS`, or what is called one module after another.
        samples: labelled; the first of every class are taken, `most_samples` in all.
        draws: of other weights, where they are needed; at least 3.
        most_samples: N.
        quadrature: draws of a channel at every pixel, where identity shortcuts need them.

    Raises:
        NotApplicableError: no layer with a closed form, or a module whose law is not known, named.
        InvalidInputError: too few samples or draws.

    >>> x, y = torch.randn(40, 12, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
    >>> from pnc.train import as_samples
    >>> found = compare_initialisation(NetworkSource(name="mlp", width=256, depth=3), as_samples((x, y)))
    >>> found.names, found.spread
    (('input', 'body.0', 'body.1'), 'theory, first order in 1/width')
    """
    if draws < 3:
        raise InvalidInputError(got=f"draws = {draws}", expected="3 or more", next_step="leave `draws` out")
    each = max(2, most_samples // samples.classes)
    rows = first_of_each_class(samples.y.numpy(), min(each, int(torch.bincount(samples.y).min())))
    x, y = _prepared(samples, rows), samples.y[rows]
    made = _built(network, samples)
    layers, end = _closed(describe_layers(made, initial=network.initial))
    named = [layer.name for layer in layers if isinstance(layer, law.Named)]
    known = [getattr(made, names, named) for names in ("block_names", "layer_names")]
    blocks = next((found for names in known if (found := [n for n in names if n in named and n != "head"])), [])
    if not blocks:
        raise NotApplicableError(
            statement="N1", assumption="a layer with a closed form", instead="measure fresh draws of the network"
        )
    notes = [f"the law ends at {blocks[-1]}: {end}"] if end else []
    layers = tuple(layer for layer in layers if not isinstance(layer, law.Named) or layer.name in blocks)
    found = law.predict_initialisation(layers, x.numpy(), y.numpy(), samples=quadrature)
    measured = _measured(made, x, y, samples.classes, blocks)
    if found.finite_width is not None:
        spread = "theory, first order in 1/width"
        intervals = found.compression_interval(_DEVIATIONS), found.discrimination_interval(_DEVIATIONS)
    else:
        spread = f"{draws} other draws of the weights"
        others = [
            _measured(_built(network, samples, seed=network.seed + 1 + i), x, y, samples.classes, blocks)
            for i in range(draws)
        ]
        intervals = _from_draws(found, others)
    if found.sampling_error.max() > 0:
        notes.append(
            f"identity shortcuts: moments from {quadrature} draws of a channel at every pixel, which leaves up to "
            f"{found.sampling_error.max():.1%} in C"
        )
    return InitialComparison(
        names=found.names,
        predicted=found.curve,
        measured=measured,
        compression_interval=intervals[0],
        discrimination_interval=intervals[1],
        spread=spread,
        samples=len(y),
        notes=tuple(notes),
    )


def _prepared(samples: Samples, rows: Any) -> torch.Tensor:
    """The chosen samples as the network sees them."""
    batches = Samples(**{**vars(samples), "x": samples.x[rows], "y": samples.y[rows]}).batches(
        len(rows), dtype=torch.float32
    )
    return torch.cat([inputs for inputs, _ in batches])


def _built(network: NetworkSource, samples: Samples, *, seed: int | None = None) -> nn.Module:
    options = vars(network if seed is None else replace(network, seed=seed))
    return build(**options, input_shape=samples.input_shape, classes=samples.classes)


def _closed(layers: tuple[law.Layer, ...]) -> tuple[tuple[law.Layer, ...], str]:
    """The layers up to the first without a closed form, and what that is; empty where there is none."""
    for index, layer in enumerate(layers):
        if isinstance(layer, law.MaxPool):
            return layers[:index], "max-pooling has no closed form"
        if isinstance(layer, law.Average) and law.needs_sampling(layers[:index]):
            return layers[:index], "average pooling behind an identity shortcut has no closed form here"
    return layers, ""


def _measured(model: nn.Module, x: torch.Tensor, y: torch.Tensor, classes: int, blocks: list[str]) -> LayerCurve:
    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for rows in torch.arange(len(y)).split(128):
            yield x[rows], y[rows]

    return measure_model(model, list(batches()), classes=classes, layers=blocks)


def _from_draws(
    found: law.InitialPrediction, others: list[LayerCurve]
) -> tuple[Float[np.ndarray, "layers 2"], Float[np.ndarray, "layers 2"]]:
    reach = _DEVIATIONS * math.sqrt(1 + 1 / len(others))

    def interval(centre: np.ndarray, drawn: np.ndarray, also: np.ndarray | float = 0.0) -> np.ndarray:
        width = reach * np.sqrt(drawn.std(axis=0, ddof=1) ** 2 + also**2)
        return np.stack([centre - width, centre + width], axis=1)

    logs = np.log([curve.compression for curve in others])
    compression = np.exp(interval(np.log(found.curve.compression), logs, found.sampling_error))
    drawn = np.array([curve.discrimination for curve in others])
    return compression, np.clip(interval(found.curve.discrimination, drawn), 0.0, 2.0)
