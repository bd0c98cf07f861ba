"""Neural collapse at the last layer: NC1 to NC4."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.fuzziness import FuzzinessPass
from pnc.measure.accumulate.processes import gather_moments, gather_objects, sum_over_processes, together
from pnc.measure.accumulate.running import BatchLabels, RunningMoments
from pnc.measure.accumulate.same_samples import SameSamples, other_samples
from pnc.measure.arrays import dtype_name
from pnc.measure.model.batches import BatchSource, run_pass
from pnc.measure.model.hooks import keeps_randomness, unwrapped
from pnc.measure.quantities.collapse import centred, equiangularity, equinorm
from pnc.measure.quantities.noise_floor import rounding_unit
from pnc.measure.readout.probe import nearest_centre_probe

__all__ = ["NeuralCollapse", "equiangularity", "equinorm", "measure_neural_collapse", "self_duality"]


@dataclass(frozen=True, kw_only=True)
class NeuralCollapse:
    """How far the features before the classifier are from neural collapse (Papyan, Han and Donoho 2020).

    All are dimensionless and 0 at collapse. With m_k = μ_k - μ_G, μ_G the mean of the class means:

    Args:
        head: name of the classifier.
        variability: NC1, tr(Σ_W Σ_B⁺)/K.
        equinorm: NC2, std_k ‖m_k‖ / mean_k ‖m_k‖.
        equiangularity: NC2, mean over k ≠ k' of |cos(m_k, m_k') + 1/(K-1)|.
        self_duality: NC3, ‖Wᵀ/‖W‖_F - M/‖M‖_F‖_F², M = [m_k].
        disagreement: NC4, the share of samples that the classifier and the nearest class mean classify
            differently.
        accuracy: the share of samples that the classifier has right (not a measure of collapse).
        nearest_centre_accuracy: the same for the nearest class mean.
        samples: N.
    """

    head: str
    variability: float
    equinorm: float
    equiangularity: float
    self_duality: float
    disagreement: float
    accuracy: float
    nearest_centre_accuracy: float
    samples: int


def self_duality(weight: torch.Tensor, means: torch.Tensor) -> float:
    """NC3: ‖W/‖W‖_F - M/‖M‖_F‖_F² of (K, d) classifier weights and class means centred at their mean.

    At most 4; 2 where they are orthogonal.

    >>> means = torch.eye(2, dtype=torch.float64)
    >>> self_duality(torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64), means) < 1e-15
    True
    """
    W, M = weight.to(means), centred(means)
    return float((W / torch.linalg.matrix_norm(W) - M / torch.linalg.matrix_norm(M)).square().sum())


@keeps_randomness
def measure_neural_collapse(
    model: nn.Module, batches: Iterable[Any], *, classes: int, head: str | None = None
) -> NeuralCollapse:
    """NC1 to NC4 of a model, in two passes over labelled batches, O(K d) memory.

    The model is run in evaluation mode, which is undone afterwards. Processes that `torch.distributed` joins
    get the numbers of all their samples.

    Args:
        model: torch module.
        batches: a DataLoader or list, as for `measure_model`; read twice.
        classes: K.
        head: name of the linear classifier; by default the last linear module with K outputs.

    Raises:
        InvalidInputError: no such module, a head that is not linear with K outputs or is not called once with
            one row a sample, data that cannot be used.

    >>> net = nn.Sequential(nn.Identity(), nn.Linear(2, 2))
    >>> batch = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1, 0, 1])
    >>> collapse = measure_neural_collapse(net, [batch], classes=2)
    >>> collapse.variability, collapse.nearest_centre_accuracy
    (0.0, 1.0)
    """
    name, linear = _head(model, classes, head)
    source = BatchSource(batches, model, again=True)
    device = torch.device("cpu") if source.device.type == "mps" else source.device
    running = RunningMoments(classes=classes, dimension=linear.in_features, device=device)
    kinds: list[str] = []

    def rows(called: str, pair: Any, size: int) -> torch.Tensor | None:
        if called == "input":
            return None
        features = pair[0]
        if called != name or not torch.is_tensor(features) or tuple(features.shape[:-1]) != (size,):
            raise InvalidInputError(
                got=f"head {called}, which is not called once with one row a sample",
                expected="a classifier that sees (N, d) features, once",
                next_step="name the classifier with head=…",
            )
        kinds[:] = [dtype_name(features)]
        return features.detach().to(device)

    def first(called: str, pair: Any, labels: torch.Tensor, start: int) -> None:
        x = rows(called, pair, labels.shape[0])
        if x is not None:
            y = BatchLabels.of(labels, samples=labels.shape[0], classes=classes, device=device)
            running.update(x, y, name=f"the input of {name}", first_sample=start)

    def run(consume: Any) -> None:
        together(lambda: run_pass(model, source, [consume], modules=[name], with_inputs=True))

    run(first)
    moments = gather_moments(running.moments())
    kind = next((k for part in gather_objects(kinds) for k in part), None)
    if kind is None:
        raise InvalidInputError(
            got=f"head {name}, which saw no sample",
            expected="a classifier that the model calls, and at least one batch",
            next_step="name the classifier with head=…",
        )
    nearest = nearest_centre_probe(moments)
    fuzzy = FuzzinessPass(moments, rounding=rounding_unit(kind))
    same = SameSamples(moments, rounding=rounding_unit(kind))
    agreement = [0.0, 0.0, 0.0]

    def second(called: str, pair: Any, labels: torch.Tensor, start: int) -> None:
        x = rows(called, pair, labels.shape[0])
        if x is None:
            return
        y = labels.to(device)
        centre, chosen = nearest.predict(x), pair[1].detach().to(device).argmax(1)
        found = [int((a != b).sum()) for a, b in ((centre, chosen), (chosen, y), (centre, y))]
        fuzzy.update(x, y)
        same.update(x, y)
        agreement[:] = [total + number for total, number in zip(agreement, found, strict=True)]

    run(second)
    own = same.totals()
    if same.differs(own.new_tensor(sum_over_processes(own.flatten().tolist(), device=device)).reshape(own.shape)):
        raise other_samples(f"before {name}")
    total, *counts = sum_over_processes([fuzzy.total(), *agreement], device=device)
    samples = moments.samples
    return NeuralCollapse(
        head=name,
        variability=total / samples / classes if fuzzy.rank else float("nan"),
        equinorm=equinorm(moments.means),
        equiangularity=equiangularity(moments.means),
        self_duality=self_duality(linear.weight.detach().to(device), moments.means),
        disagreement=counts[0] / samples,
        accuracy=1 - counts[1] / samples,
        nearest_centre_accuracy=1 - counts[2] / samples,
        samples=samples,
    )


def _head(model: nn.Module, classes: int, head: str | None) -> tuple[str, nn.Linear]:
    linear = {name: module for name, module in unwrapped(model).named_modules() if isinstance(module, nn.Linear)}
    fitting = [name for name, module in linear.items() if name and module.out_features == classes]
    if head is None and fitting:
        return fitting[-1], linear[fitting[-1]]
    if head is None or head not in fitting:
        raise InvalidInputError(
            got="no linear module" if head is None else f"head {head!r}",
            expected=f"an nn.Linear with {classes} outputs",
            next_step=f"choose among {', '.join(fitting)}" if fitting else "name the number of classes of the model",
        )
    return head, linear[head]
