"""A network before its first step: its layers on both splits, and whether the law before training (N1) holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from pnc.compare import Verdict, fit_laws
from pnc.curves import LayerCurve, json_ready
from pnc.data import first_of_each_class
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.measure import measure_model
from pnc.nets import NETWORKS
from pnc.records import SplitRecord
from pnc.runs.initialisation import InitialComparison, compare_initialisation
from pnc.runs.requests import NetworkSource
from pnc.spec.training import TrainSpec
from pnc.train import Samples, evaluate

__all__ = ["EpochZero", "look_before_training", "some_of_each_class"]

# of a split; the first of every class. What a network does to its classes before training is seen in these, and a pass
# over all samples may take as long as an epoch
_MOST_SAMPLES = 1000
# N and draws at each pixel of the law: what takes seconds
_LAW_SAMPLES = {"dense": 100, "convolutional": 20, "residual": 20}
_QUADRATURE = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class EpochZero:
    """A network as it is before training.

    Args:
        splits: name → curve, loss and accuracy; of the first samples of every class.
        law: the law before training, held against these weights on some of the training samples; `None` where there is
            none.
        missing: then, why.
    """

    splits: Mapping[str, SplitRecord] = field(default_factory=dict)
    law: InitialComparison | None = None
    missing: str | None = None

    @property
    def verdict(self) -> Verdict | None:
        """AGREES or DISAGREES with the law; `None` where there is none."""
        return None if self.law is None else self.law.verdict

    @property
    def told(self) -> str:
        """One sentence."""
        if self.law is None:
            return f"no law: {self.missing}"
        curve, (low, high) = self.law.measured, self.law.compression_interval.T
        layers = len(curve) - 1
        held = f"C at {layers - len(self.law.outside)} of {layers} layers inside three standard deviations ("
        held += f"{self.law.spread}); at {self.law.names[-1]} C = {curve.compression[-1]:.4g}, "
        return held + f"expected {self.law.predicted.compression[-1]:.4g}, [{low[-1]:.4g}, {high[-1]:.4g}]"

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return json_ready(
            {
                "splits": {name: split.to_dict() for name, split in self.splits.items()},
                "law": None if self.law is None else self.law.to_dict(),
                "missing": self.missing,
                "verdict": None if self.verdict is None else self.verdict.name,
                "told": self.told,
            }
        )


def look_before_training(
    model: nn.Module,
    network: NetworkSource,
    splits: Mapping[str, Samples],
    spec: TrainSpec,
    *,
    layers: list[str] | None = None,
    device: torch.device | str = "cpu",
    batch_size: int = 512,
    drawn: bool = True,
) -> EpochZero:
    """Measure a network that was built and not trained, on up to 1,000 samples a split, and hold it against N1.

    The law is asked for the built-in networks, whose initial weights are known, on up to 100 samples of dense and 20 of
    convolutional networks, so that it takes seconds.

    Args:
        model: as it was built; its weights are left as they are, on `device`.
        network: what it was built from.
        splits: name → samples, the training split first.
        spec: whose loss is evaluated.
        layers: patterns of module names that are measured.
        device: where.
        batch_size: samples at a time.
        drawn: whether its weights are a draw of `network.initial`; not where they were loaded.

    Raises:
        InvalidInputError: as `measure_model`.

    >>> from pnc.nets import build
    >>> from pnc.train import as_samples
    >>> x, y = torch.randn(40, 12, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
    >>> source = NetworkSource(name="mlp", width=256, depth=3)
    >>> model = build(**vars(source), input_shape=(12,), classes=2)
    >>> look_before_training(model, source, {"train": as_samples((x, y))}, TrainSpec()).verdict.name
    'AGREES'
    """
    model.to(device).eval()
    found = {
        name: _split(model, samples, spec, name=name, layers=layers, batch_size=batch_size)
        for name, samples in splits.items()
    }
    law, missing = _law(model, network, next(iter(splits.values())), drawn=drawn)
    return EpochZero(splits=found, law=law, missing=missing)


def some_of_each_class(samples: Samples) -> Samples:
    """The first of every class, 1,000 in all, or all where there are fewer.

    >>> from pnc.train import as_samples
    >>> len(some_of_each_class(as_samples((torch.zeros(3000, 2), torch.arange(3000) % 3))))
    999
    """
    most = max(1, _MOST_SAMPLES // samples.classes)
    counts = torch.bincount(samples.y, minlength=samples.classes)
    rows = first_of_each_class(samples.y.numpy(), counts.clamp(max=most).tolist())
    return replace(samples, x=samples.x[rows], y=samples.y[rows])


def _split(
    model: nn.Module,
    samples: Samples,
    spec: TrainSpec,
    *,
    name: str,
    layers: list[str] | None,
    batch_size: int,
) -> SplitRecord:
    parameter = next(model.parameters())
    some = some_of_each_class(samples).to(parameter.device)
    batches = some.batches(batch_size, dtype=parameter.dtype)
    curve = measure_model(model, batches, classes=samples.classes, layers=layers, split=name, alone=True)
    loss, accuracy = evaluate(model, batches, spec)
    return SplitRecord(curve=curve, loss=loss, accuracy=accuracy, samples=len(some), laws=_fits(curve))


def _fits(curve: LayerCurve) -> dict[str, Any]:
    return {name: None if fit is None else fit.to_dict() for name, fit in fit_laws(curve).items()}


def _law(
    model: nn.Module, network: NetworkSource, samples: Samples, *, drawn: bool
) -> tuple[InitialComparison | None, str | None]:
    if not drawn:
        return None, "the weights that training begins with were given"
    if network.name not in NETWORKS:
        return None, f"the law of the initial weights of {network.name} is not known"
    try:
        kind = "residual" if "resnet" in network.name else "convolutional" if "vgg" in network.name else "dense"
        return compare_initialisation(
            network, samples, model=model, most_samples=_LAW_SAMPLES[kind], quadrature=_QUADRATURE, fuzziness=False
        ), None
    except (NotApplicableError, InvalidInputError) as error:
        return None, str(error)
