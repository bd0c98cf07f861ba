"""The law before training (N1) beside a network as it is built, and whether the two agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
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

__all__ = ["InitialComparison", "InitialLaw", "compare_initialisation", "predict_network"]

_DEVIATIONS = 3.0
# N where nothing else is said: the cost grows with its square, and with the pixels of convolutional networks
_MOST_SAMPLES = {"dense": 300, "convolutional": 50, "residual": 40}


@dataclass(frozen=True, kw_only=True, eq=False)
class InitialLaw:
    """What the law of wide networks says of a network before training, and where a draw of its weights lies.

    Args:
        names: of the layers, the input first.
        predicted: the law in the limit of infinite width.
        compression_interval: (layers, 2) where C_l of a draw lies: three standard deviations about the corrected law.
        discrimination_interval: (layers, 2) likewise for D_l; NaN where its spread is not known.
        fuzziness_interval: (layers, 2) three standard deviations of log tr(Σ_W Σ_B⁺) about its mean over draws.
        spread: where the standard deviations of C and D come from.
        samples: N.
        notes: what a reader of the numbers should know.
    """

    names: tuple[str, ...]
    predicted: LayerCurve
    compression_interval: Float[np.ndarray, "layers 2"]
    discrimination_interval: Float[np.ndarray, "layers 2"]
    fuzziness_interval: Float[np.ndarray, "layers 2"]
    spread: str
    samples: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: the predicted curve as every command gives it, and the rest beside it."""
        return json_ready(
            {
                **self.predicted.to_dict(),
                "names": list(self.names),
                "compression_interval": self.compression_interval,
                "discrimination_interval": self.discrimination_interval,
                "fuzziness_interval": self.fuzziness_interval,
                "spread": self.spread,
                "samples": self.samples,
                "notes": list(self.notes),
            }
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class InitialComparison(InitialLaw):
    """A network before training, held against the law of wide networks.

    Args:
        measured: one draw of the network on the same samples.
    """

    measured: LayerCurve

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
        """Ready for JSON: as of the law, with what was measured and the verdict."""
        return json_ready(
            {
                **super().to_dict(),
                "predicted": self.predicted.to_dict(),
                "measured": self.measured.to_dict(),
                "outside": list(self.outside),
                "verdict": self.verdict.name,
            }
        )


def predict_network(
    network: NetworkSource,
    samples: Samples,
    *,
    draws: int = 10,
    most_samples: int | None = None,
    quadrature: int = 1024,
    fuzziness: bool = True,
) -> InitialLaw:
    """Predict C_l, D_l and fuzziness of a network before training, with the interval in which a draw of it lies (N1).

    Layers are those that the network names as its blocks (as its layers, where no block's law is known), as far as
    their law has a closed form: a note says where it ends. Dense networks have the spread of C and D from theory, to
    first order in 1/width; for others it is the standard deviation over `draws` draws of the weights.

    Args:
        network: one of `pnc.nets.NETWORKS`, or what is called one module after another.
        samples: labelled; the first of every class are taken, `most_samples` in all.
        draws: of the weights, where they are needed; at least 3.
        most_samples: N; by default 300 of dense, 50 of convolutional and 40 of residual networks.
        quadrature: draws of a channel at every pixel, where identity shortcuts need them.
        fuzziness: whether its interval is wanted, which takes draws of dense networks, too.

    Raises:
        NotApplicableError: no layer with a closed form, or a module whose law is not known, named.
        InvalidInputError: too few samples or draws.

    >>> x, y = torch.randn(40, 12, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
    >>> from pnc.train import as_samples
    >>> found = predict_network(NetworkSource(name="mlp", width=256, depth=3), as_samples((x, y)))
    >>> found.names, found.spread
    (('input', 'body.0', 'body.1'), 'theory, first order in 1/width')
    """
    return _Initial(network, samples, most_samples).law(draws=draws, quadrature=quadrature, fuzziness=fuzziness)


def compare_initialisation(
    network: NetworkSource,
    samples: Samples,
    *,
    model: nn.Module | None = None,
    draws: int = 10,
    most_samples: int | None = None,
    quadrature: int = 1024,
    fuzziness: bool = True,
) -> InitialComparison:
    """Predict a network before training as `predict_network` does, and measure it on the same samples.

    Args:
        network: as there.
        samples: as there.
        model: the network as it was built; by default the draw of its seed.
        draws: as there.
        most_samples: as there.
        quadrature: as there.
        fuzziness: as there.

    Raises:
        NotApplicableError: no layer with a closed form, or a module whose law is not known, named.
        InvalidInputError: too few samples or draws.

    >>> x, y = torch.randn(40, 12, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
    >>> from pnc.train import as_samples
    >>> compare_initialisation(NetworkSource(name="mlp", width=256, depth=3), as_samples((x, y))).verdict.name
    'AGREES'
    """
    initial = _Initial(network, samples, most_samples)
    found = initial.law(draws=draws, quadrature=quadrature, fuzziness=fuzziness)
    return InitialComparison(**vars(found), measured=initial.measured(model or initial.built, fuzziness=True))


class _Initial:
    """A network, its layers as far as their law is known, and the samples on which both are looked at."""

    def __init__(self, network: NetworkSource, samples: Samples, most_samples: int | None) -> None:
        self.network, self.samples = network, samples
        self.built = self._draw(network.seed)
        layers, end = _closed(describe_layers(self.built, initial=network.initial))
        named = [layer.name for layer in layers if isinstance(layer, law.Named)]
        known = [getattr(self.built, names, named) for names in ("block_names", "layer_names")]
        self.blocks: list[str] = next(
            (found for names in known if (found := [n for n in names if n in named and n != "head"])), []
        )
        if not self.blocks:
            raise NotApplicableError(
                statement="N1",
                assumption=f"a layer with a closed form{f', and {end}' if end else ''}",
                instead="measure fresh draws of the network",
            )
        self.notes = [f"the law ends at {self.blocks[-1]}: {end}"] if end else []
        self.layers = tuple(layer for layer in layers if not isinstance(layer, law.Named) or layer.name in self.blocks)
        kind = "residual" if law.needs_sampling(layers) else "convolutional" if _convolves(layers) else "dense"
        each = max(2, (most_samples or _MOST_SAMPLES[kind]) // samples.classes)
        rows = first_of_each_class(samples.y.numpy(), min(each, int(torch.bincount(samples.y).min())))
        self.x, self.y = _prepared(samples, rows), samples.y[rows]

    def _draw(self, seed: int) -> nn.Module:
        options = vars(replace(self.network, seed=seed))
        return build(**options, input_shape=self.samples.input_shape, classes=self.samples.classes)

    def measured(self, model: nn.Module, *, fuzziness: bool) -> LayerCurve:
        batches = [(self.x[rows], self.y[rows]) for rows in torch.arange(len(self.y)).split(128)]
        return measure_model(
            model, batches, classes=self.samples.classes, layers=self.blocks, fuzziness=fuzziness, alone=True
        )

    def law(self, *, draws: int, quadrature: int, fuzziness: bool) -> InitialLaw:
        if draws < 3:
            raise InvalidInputError(got=f"draws = {draws}", expected="3 or more", next_step="leave `draws` out")
        x = self.x.numpy()
        if isinstance(self.layers[0], law.Dense):  # which takes images pixel by pixel
            x = x.reshape(len(x), -1)
        found, notes = law.predict_initialisation(self.layers, x, self.y.numpy(), samples=quadrature), list(self.notes)
        known = found.finite_width is not None
        others = [
            self.measured(self._draw(self.network.seed + 1 + i), fuzziness=fuzziness)
            for i in range(draws if fuzziness or not known else 0)
        ]
        if known:
            spread = "theory, first order in 1/width"
            intervals = found.compression_interval(_DEVIATIONS), found.discrimination_interval(_DEVIATIONS)
        else:
            spread = f"{draws} other draws of the weights"
            intervals = _from_draws(found, others)
        if found.sampling_error.max() > 0:
            notes.append(
                f"identity shortcuts: moments from {quadrature} draws of a channel at every pixel, which leaves up to "
                f"{found.sampling_error.max():.1%} in C"
            )
        fuzzy = _fuzziness(others, len(found.names))
        off = (found.curve.separation_fuzziness < fuzzy[:, 0]) | (found.curve.separation_fuzziness > fuzzy[:, 1])
        if off[1:].any():
            named = ", ".join(name for name, far in zip(found.names[1:], off[1:]) if far)
            notes.append(f"fuzziness of networks of this width is off its limit of infinite width at {named}")
        if ":" in self.network.name:
            notes.append("weights are taken to be drawn as PyTorch draws them by default")
        return InitialLaw(
            names=found.names,
            predicted=found.curve,
            compression_interval=intervals[0],
            discrimination_interval=intervals[1],
            fuzziness_interval=fuzzy,
            spread=spread,
            samples=len(self.y),
            notes=tuple(notes),
        )


def _convolves(layers: Sequence[law.Layer]) -> bool:
    return any(isinstance(layer, law.Convolution | law.Residual) for layer in layers)


def _fuzziness(others: Sequence[LayerCurve], layers: int) -> Float[np.ndarray, "layers 2"]:
    """Three standard deviations of log fuzziness about its mean over draws; NaN without draws."""
    if not others:
        return np.full((layers, 2), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log([curve.separation_fuzziness for curve in others])
        reach = _DEVIATIONS * math.sqrt(1 + 1 / len(others)) * logs.std(axis=0, ddof=1)
    return np.exp(np.stack([logs.mean(0) - reach, logs.mean(0) + reach], axis=1))


def _prepared(samples: Samples, rows: Any) -> torch.Tensor:
    """The chosen samples as the network sees them."""
    batches = Samples(**{**vars(samples), "x": samples.x[rows], "y": samples.y[rows]}).batches(
        len(rows), dtype=torch.float32
    )
    return torch.cat([inputs for inputs, _ in batches])


def _closed(layers: tuple[law.Layer, ...]) -> tuple[tuple[law.Layer, ...], str]:
    """The layers up to the first without a closed form, and what that is; empty where there is none."""
    for index, layer in enumerate(layers):
        if not isinstance(layer, law.MaxPool | law.Average):
            continue
        name = next((one.name for one in layers[index:] if isinstance(one, law.Named)), "the pooling")
        if isinstance(layer, law.MaxPool):
            return layers[:index], f"{name} is a max-pooling, which has no closed form"
        if law.needs_sampling(layers[:index]):
            return layers[:index], f"{name}, average pooling behind an identity shortcut, has no closed form here"
    return layers, ""


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
