"""A linear probe that does not mislead: multinomial logistic regression, its penalty chosen by cross-validation."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from pnc.measure.arrays import take_of_each_class
from pnc.measure.readout.probe import LinearProbe

__all__ = ["CrossValidated", "KeptSamples", "fit_logistic_probe"]

_MOST_ENTRIES = 2**23  # of features that are kept, 32 MiB in single precision; more samples would move little
_CHOICE_WORK, _TRIAL_WORK = 2**23, 2**25  # samples × directions × classes: to choose the penalty, to say its worth
_MOST_DIRECTIONS, _SKETCHED = 2048, 512
_PENALTIES = tuple(10.0**-power for power in range(1, 9))  # for features of mean square norm 1
_FOLDS, _STEPS = 4, 60


@dataclass(frozen=True, kw_only=True, eq=False)
class CrossValidated:
    """A fitted probe and what it is worth.

    Args:
        probe: fitted to all samples that were kept.
        penalty: λ, chosen by cross-validation.
        accuracy: on the samples that it was fitted to.
        held_out_accuracy: of the fits to three quarters of the samples, each on the quarter that it has not seen.
        samples: that it was fitted to.
    """

    probe: LinearProbe
    penalty: float
    accuracy: float
    held_out_accuracy: float
    samples: int


class KeptSamples:
    """Some samples of each class, for a probe: as many as fit into a limit, in the shares that the classes have.

    Args:
        counts: (K,) samples of each class that will come.
        dimension: d.
        directions: (r, d) orthonormal rows that wide features are projected to where too few of them could be kept.

    >>> kept = KeptSamples(torch.tensor([3, 1]), dimension=2)
    >>> kept.update(torch.arange(8.0).reshape(4, 2), torch.tensor([0, 1, 0, 0])).labels.tolist()
    [0, 1, 0, 0]
    """

    def __init__(
        self, counts: Int[torch.Tensor, " K"], *, dimension: int, directions: Float[torch.Tensor, "r d"] | None = None
    ) -> None:
        samples = int(counts.sum())
        wide = dimension > _MOST_DIRECTIONS and samples * dimension > _MOST_ENTRIES
        self.directions = directions if wide and directions is not None else None
        width = dimension if self.directions is None else len(self.directions)
        self._width = width
        share = min(1.0, _MOST_ENTRIES / width / max(samples, 1))
        self._wanted = torch.ceil(counts.to(torch.float64).cpu() * share).to(torch.int64)
        self._left = self._wanted.clone()
        self._rows: list[torch.Tensor] = []
        self._labels: list[torch.Tensor] = []

    @torch.no_grad()
    def update(self, features: Float[torch.Tensor, "N d"], labels: Int[torch.Tensor, " N"]) -> KeptSamples:
        """Keep what is wanted of a batch."""
        y = labels.cpu()
        wanted = take_of_each_class(y, self._left)
        rows = features[wanted.to(features.device)]
        if self.directions is not None:
            rows = rows.to(self.directions.dtype) @ self.directions.mT
        self._rows.append(rows.to("cpu", torch.float32, copy=True))
        self._labels.append(y[wanted])
        return self

    def after(self, seen: Int[torch.Tensor, " K"]) -> KeptSamples:
        """What keeps the samples that follow these many of each class, empty."""
        other = copy(self)
        other._left = (self._wanted - seen).clamp_(min=0)
        other._rows, other._labels = [], []
        return other

    def add(self, features: Float[torch.Tensor, "n r"], labels: Int[torch.Tensor, " n"]) -> KeptSamples:
        """Add what was kept elsewhere."""
        self._rows.append(features)
        self._labels.append(labels)
        return self

    @property
    def features(self) -> Float[torch.Tensor, "n r"]:
        """Those kept, projected where there are directions."""
        return torch.cat([torch.zeros((0, self._width)), *self._rows])

    @property
    def labels(self) -> Int[torch.Tensor, " n"]:
        """Of those kept."""
        return torch.cat([torch.zeros(0, dtype=torch.int64), *self._labels])


@torch.no_grad()
def fit_logistic_probe(
    features: Float[torch.Tensor, "n d"], labels: Int[torch.Tensor, " n"], *, classes: int
) -> CrossValidated:
    """Multinomial logistic regression with the ℓ2 penalty that predicts left-out samples best.

        min (1/n) Σ_i -log softmax(W z_i + b)_{y_i} + λ/2 ‖W‖²

    of centred features scaled to a mean square norm of 1. λ is the power of ten with the least loss on left-out
    quarters of the samples, of some thousands of them where there are more (then λ n is kept). The fits work in the
    features' principal directions, each at its own scale, where they take few steps; of more than 2048 samples and
    directions the leading 512 directions are used.

    Args:
        features: training samples.
        labels: 0…K-1.
        classes: K.

    >>> x = torch.tensor([[0.0], [1.0], [2.0], [6.0], [7.0], [8.0]])
    >>> found = fit_logistic_probe(x, torch.tensor([0, 0, 0, 1, 1, 1]), classes=2)
    >>> found.accuracy, found.held_out_accuracy, found.probe.predict([[3.0], [5.0]]).tolist()
    (1.0, 1.0, [0, 1])
    """
    # SciPy's steps and torch's products in turn: threads of the one that wait spin against those of the other
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with threadpool_limits(limits=1):
            return _cross_validated(features, labels, classes)
    finally:
        torch.set_num_threads(threads)


def _cross_validated(features: torch.Tensor, labels: torch.Tensor, classes: int) -> CrossValidated:
    x = features.to(torch.float64)
    origin = x.mean(0)
    x = x - origin
    size = float(x.square().sum(1).mean().sqrt())
    if not size > 0:
        size = 1.0
    scores, back = _rotated(x / size)
    folds = _folds(labels, classes)
    few, more = (_some(labels, classes, work // scores.shape[1]) for work in (_CHOICE_WORK, _TRIAL_WORK))
    penalty, held_out = _choose(scores[few], labels[few], folds[few], classes)
    if len(more) > len(few):
        held_out = _trial(_parts(scores[more], labels[more], folds[more]), classes, penalty * len(few) / len(more))[1]
    penalty *= len(few) / len(labels)
    weights, intercept = _fit(scores, labels, classes, penalty)
    probe = LinearProbe(weights=back @ weights / size, intercept=intercept, origin=origin)
    right = (scores.to(torch.float64) @ weights + intercept).argmax(1) == labels
    return CrossValidated(
        probe=probe,
        penalty=penalty,
        accuracy=float(right.to(torch.float64).mean()),
        held_out_accuracy=held_out,
        samples=len(labels),
    )


def _rotated(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Coordinates along principal directions (single precision where there are many), and the directions, (d, r)."""
    n, d = x.shape
    if min(n, d) > _MOST_DIRECTIONS:
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            _, values, vectors = torch.svd_lowrank(x, q=_SKETCHED, niter=2)
    elif d <= n:
        squares, vectors = torch.linalg.eigh(x.mT @ x)
        values = squares.clamp(min=0).sqrt()
    else:
        squares, left = torch.linalg.eigh(x @ x.mT)
        values = squares.clamp(min=0).sqrt()
        vectors = x.mT @ (left / torch.where(values > 0, values, 1))
    kept = values > values.max() * 1e-7 if values.numel() else values > 0
    vectors = vectors[:, kept] if bool(kept.any()) else vectors[:, :1] * 0
    scores = x @ vectors
    return (scores if scores.numel() <= 2**20 else scores.to(torch.float32)), vectors


def _folds(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Which fifth a sample is left out with: those of a class in turn, in an order of its own."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    place = torch.empty_like(order)
    for k in range(classes):
        mine = order[labels[order] == k]
        place[mine] = torch.arange(len(mine)) % _FOLDS
    return place


def _some(labels: torch.Tensor, classes: int, entries: int) -> torch.Tensor:
    """All samples, or as many as give so many entries of outputs, in the shares that the classes have."""
    number = max(2 * _FOLDS * classes, entries // classes)
    if len(labels) <= number:
        return torch.arange(len(labels))
    order = labels.argsort(stable=True)
    return order[torch.linspace(0, len(labels) - 1, number, dtype=torch.float64).round().long().unique()]


_Parts = list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]


def _parts(x: torch.Tensor, y: torch.Tensor, fold: torch.Tensor) -> _Parts:
    """What is seen and what is left out, for each fold."""
    parts = [(x[fold != i], y[fold != i], x[fold == i], y[fold == i]) for i in range(_FOLDS)]
    return [part for part in parts if len(part[3]) and len(part[1])]


def _trial(
    parts: _Parts, classes: int, penalty: float, starts: list[np.ndarray | None] | None = None
) -> tuple[float, float]:
    """Loss and accuracy on the samples that are left out; `starts` are where the fits begin, and then end."""
    loss, right, number = 0.0, 0, 0
    for i, (seen, labels, left_out, truth) in enumerate(parts):
        weights, intercept = _fit(seen, labels, classes, penalty, start=None if starts is None else starts[i])
        if starts is not None:
            starts[i] = torch.cat([weights, intercept[None]]).numpy()
        outputs = left_out.to(torch.float64) @ weights + intercept
        loss += float(torch.nn.functional.cross_entropy(outputs, truth, reduction="sum"))
        right += int((outputs.argmax(1) == truth).sum())
        number += len(truth)
    return loss / number, right / number


def _choose(x: torch.Tensor, y: torch.Tensor, fold: torch.Tensor, classes: int) -> tuple[float, float]:
    """The penalty with the least loss on samples that were left out, and the accuracy on them."""
    parts = _parts(x, y, fold)
    if not parts:
        return _PENALTIES[len(_PENALTIES) // 2], float("nan")
    starts: list[np.ndarray | None] = [None] * len(parts)
    best, worse = (float("inf"), _PENALTIES[0], 0.0), 0
    for penalty in _PENALTIES:
        loss, right = _trial(parts, classes, penalty, starts)
        worse = 0 if loss < best[0] else worse + 1
        best = min(best, (loss, penalty, right))
        if worse == 2:
            break
    return best[1], best[2]


def _fit(
    x: torch.Tensor, y: torch.Tensor, classes: int, penalty: float, *, start: np.ndarray | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (r, K) and intercept (K,) in float64."""
    n, r = x.shape
    # the loss curves along direction j by about σ_j²/(4n): one scale a direction makes all of them alike
    scale = (x.square().sum(0).to(torch.float64) / (4 * n) + penalty).sqrt()
    target = torch.nn.functional.one_hot(y, classes).to(x.dtype)

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        variables = torch.from_numpy(flat).reshape(r + 1, classes)
        weights = variables[:-1] / scale[:, None]
        outputs = x @ weights.to(x.dtype) + variables[-1].to(x.dtype)
        logs = outputs.log_softmax(1)
        loss = -float((logs * target).sum()) / n + penalty / 2 * float(weights.square().sum())
        wrong = (logs.exp() - target) / n
        gradient = (x.mT @ wrong).to(torch.float64) + penalty * weights
        return loss, torch.cat(
            [gradient / scale[:, None], wrong.sum(0, keepdim=True).to(torch.float64)]
        ).numpy().ravel()

    first = np.zeros((r + 1, classes))
    if start is not None:
        first[:-1], first[-1] = start[:-1] * scale.numpy()[:, None], start[-1]
    found = minimize(value, first.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS, "gtol": 1e-5})
    variables = torch.from_numpy(found.x.reshape(r + 1, classes))
    return variables[:-1] / scale[:, None], variables[-1]
