"""Which layer tells that an input is foreign: scores of distance to the training classes, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import ndtri
from scipy.stats import rankdata
from torch import nn

from pnc.choose.layers import averaged
from pnc.choose.sampled_features import SampledFeatures
from pnc.curves import LayerCurve, json_ready
from pnc.errors import InvalidInputError
from pnc.measure import capture, count_classes, measure_model
from pnc.measure.model.batches import BatchSource
from pnc.measure.model.pooling import Pooling
from pnc.measure.model.samples import first_tensor
from pnc.statistics import share_interval

__all__ = ["SCORES", "Detection", "ForeignInputs", "area_under_curve", "detect_foreign"]

SCORES = ("nearest mean", "Mahalanobis", "relative Mahalanobis")
"""The scores, in the order in which they are given."""

_KEPT = 0.95  # of the own samples at the threshold
_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Detection:
    """How well one score of one layer tells own samples from foreign ones.

    Args:
        area: under the receiver operating characteristic: the chance that an own sample scores higher than a foreign
            one, ties counted half.
        area_interval: 95 % interval (DeLong, DeLong and Clarke-Pearson 1988), within [0, 1].
        false_positives: share of the foreign samples that pass where 95 % of the own ones do.
        false_positives_interval: 95 % interval of that share at this threshold (Clopper and Pearson 1934).
    """

    area: float
    area_interval: tuple[float, float]
    false_positives: float
    false_positives_interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class ForeignInputs:
    """Every score of every layer.

    Args:
        curve: C, D and scatters of the layers on the training split.
        names: of the layers.
        detections: one mapping from score to `Detection` for each layer.
        own: number of held-out samples of the training classes.
        foreign: number of foreign samples.
        notes: what a reader of the numbers should know.
    """

    curve: LayerCurve
    names: tuple[str, ...]
    detections: tuple[Mapping[str, Detection], ...]
    own: int
    foreign: int
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> tuple[int, str]:
        """The layer (its number) and the score with the largest area."""
        pairs = [(layer, score) for layer in range(len(self.names)) for score in SCORES]
        layer, score = max(pairs, key=lambda pair: self.detections[pair[0]][pair[1]].area)
        return int(self.curve.layers[layer]), score

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        layer, score = self.best
        return json_ready(
            {
                "layers": self.curve.layers,
                "names": list(self.names),
                "compression": self.curve.compression,
                "discrimination": self.curve.discrimination,
                "scores": {name: [vars(found[name]) for found in self.detections] for name in SCORES},
                "best": {"layer": layer, "score": score},
                "own_samples": self.own,
                "foreign_samples": self.foreign,
                "notes": list(self.notes),
            }
        )


def detect_foreign(
    model: nn.Module,
    train: Iterable[Any],
    own: Iterable[Any],
    foreign: Iterable[Any],
    *,
    classes: int | None = None,
    layers: Sequence[str] | None = None,
    most_samples: int = 4096,
    most_dimensions: int = 512,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> ForeignInputs:
    """Hold held-out samples of the training classes against foreign ones, at every layer, by three distances.

    Of the distance to the nearest class mean, `min_k ‖z - μ_k‖²`; of Mahalanobis with the covariance that the classes
    share (Lee et al. 2018), shrunk towards its diagonal's mean as Ledoit and Wolf (2004) have it; of its difference to
    the distance from one Gaussian of all samples (Ren et al. 2021). Features are averaged over tokens and positions.
    Memory: 8 · most_dimensions² bytes and the sampled features of each layer.

    Args:
        model: torch module.
        train: batches of (inputs, labels) of the training classes.
        own: held-out batches of the same classes.
        foreign: batches of (inputs, anything), or of inputs alone.
        classes: K; by default counted.
        layers: patterns of module names, see `measure_model`.
        most_samples: of the training split; a uniform draw where there are more.
        most_dimensions: wider features are projected at random into so many.
        seed: of both draws.
        device: see `measure_model`.

    Raises:
        InvalidInputError: as `measure_model`; foreign inputs that the model cannot take, or none.

    >>> torch.manual_seed(0) and None
    >>> net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    >>> x, y = torch.randn(60, 4) + 3 * (torch.arange(60) % 2)[:, None], torch.arange(60) % 2
    >>> found = detect_foreign(net, [(x[:40], y[:40])], [(x[40:], y[40:])], [x[40:] - 9])
    >>> found.detections[0]["Mahalanobis"].area
    1.0
    """
    number = count_classes(train) if classes is None else classes
    kept = SampledFeatures(most_samples=most_samples, most_dimensions=most_dimensions, seed=seed)
    curve = measure_model(
        model, train, classes=number, layers=layers, device=device, reduce=averaged, observe=kept.take
    )
    names = tuple(note.name or str(layer) for note, layer in zip(curve.notes, curve.layers.tolist()))
    models = {name: _Distances.of(kept.features(name), kept.labels(), number) for name in names}
    found: dict[bool, dict[str, list[np.ndarray]]] = {}
    for own_samples, batches in ((True, own), (False, _paired(foreign))):
        found[own_samples] = {name: [] for name in names}
        for name, rows in _features(model, batches, names):
            found[own_samples][name].append(models[name].scores(kept.reduced(name, rows)))
    if not found[False][names[0]] or not found[True][names[0]]:
        raise InvalidInputError(
            got="no samples of one side", expected="own and foreign samples", next_step="check both loaders"
        )
    detections = []
    for name in names:
        ours, theirs = (np.concatenate(found[side][name]) for side in (True, False))
        detections.append({score: _detection(ours[:, i], theirs[:, i]) for i, score in enumerate(SCORES)})
    notes = [f"{name}: projected at random into {kept.features(name).shape[1]} dimensions"
             for name in names if kept.projected(name)]  # fmt: skip
    return ForeignInputs(
        curve=curve,
        names=names,
        detections=tuple(detections),
        own=sum(len(part) for part in found[True][names[0]]),
        foreign=sum(len(part) for part in found[False][names[0]]),
        notes=(*curve.origin.remarks, "features are averaged over tokens and positions", *notes),
    )


@dataclass(frozen=True, kw_only=True)
class _Distances:
    """The Gaussians of one layer, in coordinates in which the shared covariance is the identity."""

    means: np.ndarray  # (K, m), as they are
    whitened: np.ndarray  # (K, m)
    whiten: np.ndarray  # (m, m): Σ^(-1/2)
    centre: np.ndarray
    whiten_all: np.ndarray

    @classmethod
    def of(cls, features: torch.Tensor, labels: torch.Tensor, classes: int) -> _Distances:
        z, y = features.to(torch.float64).numpy(), labels.numpy()
        means = np.stack([z[y == k].mean(0) for k in range(classes)])
        whiten, whiten_all = _root(z - means[y]), _root(z - z.mean(0))
        return cls(means=means, whitened=means @ whiten, whiten=whiten, centre=z.mean(0), whiten_all=whiten_all)

    def scores(self, features: torch.Tensor) -> Float[np.ndarray, "N 3"]:
        """(N, 3): larger is more like the training classes."""
        z = features.detach().cpu().to(torch.float64).numpy()
        nearest = _squares(z, self.means).min(1)
        shared = _squares(z @ self.whiten, self.whitened).min(1)
        every = np.sum(((z - self.centre) @ self.whiten_all) ** 2, axis=1)
        return -np.stack([nearest, shared, shared - every], axis=1)


def _squares(z: np.ndarray, means: np.ndarray) -> np.ndarray:
    """(N, K) squared distances, class by class so that nothing cancels."""
    return np.stack([np.sum((z - mean) ** 2, axis=1) for mean in means], axis=1)


def _root(deviations: np.ndarray) -> np.ndarray:
    """Σ^(-1/2) of the covariance of deviations, shrunk towards a multiple of the identity (Ledoit and Wolf 2004)."""
    n, m = deviations.shape
    covariance = deviations.T @ deviations / n
    level = np.trace(covariance) / m
    off = np.sum((covariance - level * np.eye(m)) ** 2)
    noise = (np.sum(np.sum(deviations**2, axis=1) ** 2) / n - np.sum(covariance**2)) / n
    share = 1.0 if off == 0 else min(1.0, max(0.0, noise / off))
    values, vectors = np.linalg.eigh((1 - share) * covariance + share * level * np.eye(m))
    least = max(values.max() * m * np.finfo(np.float64).eps, np.finfo(np.float64).tiny)
    return vectors / np.sqrt(np.maximum(values, least))


def _paired(batches: Iterable[Any]) -> Iterator[Any]:
    """Batches of inputs alone as (inputs, labels), the labels without meaning."""
    for batch in batches:
        yield (batch, torch.zeros(len(batch), dtype=torch.long)) if torch.is_tensor(batch) else batch


def _features(model: nn.Module, batches: Iterable[Any], names: Sequence[str]) -> Iterator[tuple[str, torch.Tensor]]:
    """(name, (n, d) averaged features) of every layer and batch."""
    pooling, inside = Pooling(None, model), [name for name in names if name != "input"]
    for inputs, _ in BatchSource(list(batches), model, again=False):
        pooling.begin(inputs)
        given = first_tensor(inputs)
        values = {"input": given} | capture(model, inputs, layers=inside) if "input" in names else {}
        if "input" not in names:
            values = capture(model, inputs, layers=inside)
        for name in names:
            value = values[name]
            if value is None:
                continue
            rows = value if name == "input" else averaged(pooling(name, value))
            yield name, rows.flatten(1)


def _detection(own: np.ndarray, foreign: np.ndarray) -> Detection:
    area, error = area_under_curve(own, foreign)
    reach = float(ndtri((1 + _CONFIDENCE) / 2)) * error
    threshold = np.quantile(own, 1 - _KEPT, method="lower")
    passed = int(np.count_nonzero(foreign >= threshold))
    low, high = share_interval(passed, foreign.size, confidence=_CONFIDENCE)
    return Detection(
        area=area,
        area_interval=(max(0.0, area - reach), min(1.0, area + reach)),
        false_positives=passed / foreign.size,
        false_positives_interval=(float(low), float(high)),
    )


def area_under_curve(own: Float[np.ndarray, " n"], foreign: Float[np.ndarray, " m"]) -> tuple[float, float]:
    """`P(own > foreign) + ½ P(own = foreign)` and its standard error (DeLong, DeLong and Clarke-Pearson 1988).

    Args:
        own: (n,) scores that should be large.
        foreign: (m,) scores that should be small.

    >>> area_under_curve(np.array([2.0, 3.0]), np.array([1.0, 2.0]))[0]
    0.875
    """
    n, m = own.size, foreign.size
    together = rankdata(np.concatenate([own, foreign]))
    above = (together[:n] - rankdata(own)) / m  # for each own sample the share of foreign ones below it
    below = 1 - (together[n:] - rankdata(foreign)) / n
    spread = (above.var(ddof=1) / n if n > 1 else 0.0) + (below.var(ddof=1) / m if m > 1 else 0.0)
    return float(above.mean()), math.sqrt(spread)
