"""`simulate_regularised`: deep linear networks trained with weight decay, on the squared error or the cross-entropy.

Orthogonal initial weights stay in the reduced coordinates of Y2 under both: decay shrinks every direction alike, and
the gradient of the cross-entropy has its columns in span X and its rows among those of the classifier, as that of the
squared error has. Outside them every layer is `ε e^{-λt}` times an isometry for ever.
"""

from __future__ import annotations

import math
import time as clock
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from pnc.curves import LayerCurve
from pnc.data import Problem
from pnc.errors import InvalidInputError
from pnc.measure import ClassSummary, measure_linear
from pnc.simulate.economical import economical
from pnc.simulate.initial import full_orthogonal_weights, reduced_orthogonal_weights
from pnc.spec import Coordinates, NetworkSpec
from pnc.theory.numerics import StopAtZero
from pnc.theory.weight_decay import check_decay

__all__ = ["Loss", "Objective", "RegularisedSimulation", "simulate_regularised"]

_DIVERGED = 1e12

Loss = Literal["mse", "cross-entropy"]
Start = Literal["orthogonal", "aligned"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RegularisedSimulation:
    """A trained network, and what its layers do at each time.

    Args:
        time: (T,) sum of the steps, in units of 1 / (loss per squared weight).
        loss: (T,) squared error over N, or mean cross-entropy in nats; without the decay's share.
        compression: (T, L) of layers 0…L-1.
        discrimination: (T, L) of layers 0…L-1.
        maps: (T, K, d) W_{L:1} on the span of the inputs.
        measured: `LayerCurve` at the last time.
        weights: W_1…W_L at the last time, in the coordinates that they were trained in.
        basis: (d, m) by whose transpose an input enters W_1.
        seconds: wall time.
    """

    time: Float[np.ndarray, " T"]
    loss: Float[np.ndarray, " T"]
    compression: Float[np.ndarray, "T L"]
    discrimination: Float[np.ndarray, "T L"]
    maps: Float[np.ndarray, "T K d"]
    measured: LayerCurve
    weights: list[np.ndarray]
    basis: Float[np.ndarray, "d m"]
    seconds: float


class Objective:
    """The loss of one network on samples in the coordinates of W_1, and its gradient at K vectors a layer (Y3)."""

    def __init__(
        self, inputs: np.ndarray, targets: np.ndarray, samples: int, loss: Loss, shapes: list[tuple[int, ...]]
    ) -> None:
        self.inputs, self.targets, self.samples, self.kind, self.shapes = inputs, targets, samples, loss, shapes
        self._ends = np.cumsum([rows * columns for rows, columns in shapes])[:-1]

    def split(self, y: np.ndarray) -> list[np.ndarray]:
        return [part.reshape(shape) for part, shape in zip(np.split(y, self._ends), self.shapes, strict=True)]

    @staticmethod
    def rows(weights: list[np.ndarray]) -> list[np.ndarray]:
        """`[W_{L:1}, W_{L:2}, …, W_L]`."""
        products = [weights[-1]]
        for weight in weights[-2::-1]:
            products.append(products[-1] @ weight)
        return products[::-1]

    def error(self, map: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss, and its derivative by the outputs (K, columns)."""
        outputs = map @ self.inputs
        if self.kind == "mse":
            gap = outputs - self.targets
            return float(np.vdot(gap, gap)) / self.samples, gap * (2 / self.samples)
        outputs = outputs - outputs.max(axis=0)
        total = np.exp(outputs)
        norm = total.sum(axis=0)
        right = self.targets.T.astype(bool).T
        # ln(1 + rest/right), whose digits survive when the rest is far below rounding of 1
        rest = (total * ~right).sum(axis=0)
        loss = float(np.mean(np.log1p(rest / total[right.argmax(axis=0), np.arange(total.shape[1])])))
        slope = total / norm
        slope[right] = -rest / norm
        return loss, slope / self.samples

    def slope(self, y: np.ndarray, decay: float) -> np.ndarray:
        """Minus the gradient, decay included."""
        weights = self.split(y)
        rows = self.rows(weights)
        _, error = self.error(rows[0])
        forward = self.inputs @ error.T
        found = []
        for weight, left in zip(weights[:-1], rows[1:], strict=True):
            found.append((left.T @ forward.T).ravel())
            forward = weight @ forward
        found.append(forward.T.ravel())
        return -np.concatenate(found) - decay * y


def simulate_regularised(
    problem: Problem,
    network: NetworkSpec,
    *,
    times: Sequence[float] | np.ndarray | None = None,
    until_loss: float | None = None,
    loss: Loss = "mse",
    weight_decay: float = 0.0,
    weights: Start = "orthogonal",
    coordinates: Coordinates = "reduced",
    learning_rate: float | None = None,
    seed: int = 0,
    relative_tolerance: float = 1e-8,
) -> RegularisedSimulation:
    """Train a deep linear network with weight decay, on squared error or cross-entropy, and measure every layer.

    `dW_l = -∇_{W_l} loss - λW_l`, as PyTorch's `weight_decay` of plain gradient descent, by a Runge–Kutta method of
    order 8, or by descent where a learning rate is given.

    Args:
        problem: inputs and labels.
        network: depth, width, ε and α (α divides the labels of the squared error only).
        times: when to measure, increasing; the last ends the training.
        until_loss: train until the loss is here; in place of `times`, gradient flow only.
        loss: `mse` (‖W X - Y/α‖²/N) or `cross-entropy` (mean, nats).
        weight_decay: λ.
        weights: `orthogonal` (the paper's), or `aligned`: hidden layers ε times the identity, the classifier ε times
            orthonormal rows along the signal, which is balanced and aligned from the start (Y1).
        coordinates: `reduced` (exact) or `full`.
        learning_rate: η of descent; measured at the nearest whole step; `None`: gradient flow.
        seed: of orthogonal weights.
        relative_tolerance: of the flow.

    Raises:
        InvalidInputError: neither times nor a loss, or both; a number out of range; descent until a loss.

    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> network = NetworkSpec(depth=3, width=8, residual_scale=0.2)
    >>> run = simulate_regularised(problem, network, times=[0.0, 50.0], loss="cross-entropy", weights="aligned")
    >>> bool(run.loss[1] < run.loss[0]), run.compression.shape
    (True, (2, 3))
    """
    import scipy.integrate  # slow to import

    check_decay(weight_decay)
    if loss not in ("mse", "cross-entropy"):
        raise InvalidInputError(
            got=f"loss = {loss!r}", expected="mse or cross-entropy", next_step="choose one of them for `loss`"
        )
    asked = _checked_times(times, until_loss, learning_rate)
    network = (
        replace(network, width=max(512, problem.dimension, 32 * problem.counts.size)) if not network.width else network
    )
    start, inputs, targets, span = _prepared(problem, network, loss, weights, coordinates, seed)
    objective = Objective(inputs, targets, problem.samples, loss, [w.shape for w in start])
    y = np.concatenate([w.ravel() for w in start])
    began = clock.perf_counter()
    if learning_rate is not None:
        assert asked is not None
        asked, states = _descent(objective, y, asked, learning_rate, weight_decay)
    else:

        def above(y: np.ndarray) -> float:
            return math.log(objective.error(objective.rows(objective.split(y))[0])[0]) - math.log(until_loss or 1.0)

        found = scipy.integrate.solve_ivp(
            lambda _, y: objective.slope(y, weight_decay),
            (0.0, 1e12 if asked is None else max(float(asked[-1]), 1e-300)),
            y,
            method="DOP853",
            t_eval=asked,
            events=None if asked is not None else StopAtZero(above),
            rtol=relative_tolerance,
            atol=relative_tolerance * 1e-3 * float(np.abs(y).max()),
            dense_output=False,
        )
        if asked is None:
            asked, states = found.t_events[0], found.y_events[0]
        else:
            states = found.y.T
        if not found.success or len(states) == 0:
            raise InvalidInputError(
                got=f"training that stopped at time {found.t[-1]:.3g} ({found.message})",
                expected="a loss or times that training reaches",
                next_step="raise `until_loss`, or name earlier `times`",
            )
    seconds = clock.perf_counter() - began
    summary = ClassSummary.of(problem.X @ span, problem.y)
    curves, losses, maps = [], [], []
    for at, state in enumerate(states):
        parts = objective.split(state)
        whole = objective.rows(parts)[0]
        losses.append(objective.error(whole)[0])
        into = np.eye(whole.shape[1], span.shape[1]) if coordinates == "reduced" else span
        maps.append(whole @ into @ span.T)
        images = [parts[0] @ into, *parts[1:-1]]
        curves.append(measure_linear(summary, images, fuzziness=at == len(states) - 1))
    origin = replace(
        curves[-1].origin,
        kind="simulation",
        source="trained deep linear network",
        further={
            "problem": problem.name,
            "data": problem.provenance,
            "network": network.to_dict(),
            "loss": loss,
            "weight_decay": weight_decay,
            "weights": weights,
            "coordinates": coordinates,
            "learning_rate": learning_rate,
            "seed": seed,
            "time": float(asked[-1]),
        },
    )
    return RegularisedSimulation(
        time=np.asarray(asked, dtype=np.float64),
        loss=np.array(losses),
        compression=np.array([curve.compression for curve in curves]),
        discrimination=np.array([curve.discrimination for curve in curves]),
        maps=np.array(maps),
        measured=replace(curves[-1], origin=origin),
        weights=objective.split(states[-1]),
        basis=span @ np.eye(start[0].shape[1], span.shape[1]).T if coordinates == "reduced" else np.eye(len(span)),
        seconds=seconds,
    )


def _prepared(
    problem: Problem, network: NetworkSpec, loss: Loss, weights: Start, coordinates: Coordinates, seed: int
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Initial weights, inputs (r, columns) and targets (K, columns) in their coordinates, and a basis of span X."""
    data = economical(problem, network)
    rank, ε, L = data.scale.size, network.residual_scale, network.depth
    labels = np.eye(problem.counts.size)[problem.y].T
    if weights == "orthogonal":
        make = reduced_orthogonal_weights if coordinates == "reduced" else full_orthogonal_weights
        start = make(data, network, seed=seed)
    elif weights == "aligned":
        wanted = labels - labels.mean(axis=0) if loss == "cross-entropy" else labels
        U, s, V = np.linalg.svd((wanted @ np.linalg.pinv(problem.X.T)) @ data.basis, full_matrices=False)
        keep = s > 1e-10 * s[0]
        rows = U[:, keep] @ V[keep]
        size = rank
        if coordinates == "full":
            rows, size = rows @ data.basis.T, problem.dimension
        start = [ε * np.eye(size) for _ in range(L - 1)] + [ε * rows]
    else:
        raise InvalidInputError(
            got=f"weights = {weights!r}", expected="orthogonal or aligned", next_step="choose one of them for `weights`"
        )
    size = start[0].shape[1]
    into = np.eye(size, rank) if coordinates == "reduced" else data.basis
    if loss == "mse":
        return start, into * data.scale, data.target, data.basis
    return start, into @ (data.basis.T @ problem.X.T), labels, data.basis


def _descent(
    objective: Objective, y: np.ndarray, times: np.ndarray, learning_rate: float, decay: float
) -> tuple[np.ndarray, np.ndarray]:
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise InvalidInputError(
            got=f"learning_rate = {learning_rate}", expected="a number above 0", next_step="raise `learning_rate`"
        )
    wanted = np.unique(np.round(times / learning_rate).astype(int))
    states = []
    for step in range(int(wanted[-1]) + 1):
        if step in wanted:
            states.append(y.copy())
        y = y + learning_rate * objective.slope(y, decay)
        if not np.abs(y).max() < _DIVERGED:
            raise InvalidInputError(
                got=f"descent that diverged at step {step}",
                expected="a stable step size",
                next_step="lower `learning_rate`",
            )
    return wanted * learning_rate, np.array(states)


def _checked_times(
    times: Sequence[float] | np.ndarray | None, until_loss: float | None, learning_rate: float | None
) -> np.ndarray | None:
    if (times is None) == (until_loss is None) or (until_loss is not None and learning_rate is not None):
        raise InvalidInputError(
            got=f"times = {times}, until_loss = {until_loss}, learning_rate = {learning_rate}",
            expected="times, or for gradient flow a loss to reach",
            next_step="set one of `times` and `until_loss`",
        )
    if until_loss is not None:
        if not (math.isfinite(until_loss) and until_loss > 0):
            raise InvalidInputError(
                got=f"until_loss = {until_loss}", expected="a number above 0", next_step="raise `until_loss`"
            )
        return None
    asked = np.atleast_1d(np.asarray(times, dtype=np.float64))
    if asked.ndim != 1 or not np.isfinite(asked).all() or asked[0] < 0 or np.any(np.diff(asked) <= 0):
        raise InvalidInputError(
            got=f"times {asked.tolist()}", expected="increasing times, 0 or later", next_step="sort `times`"
        )
    return asked
