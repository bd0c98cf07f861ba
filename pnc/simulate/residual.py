"""`simulate_residual`: train a deep linear residual network and measure every layer.

Coordinates. From zero weights every row and column of a block stays in the span of the inputs, and so do the
classifier's rows: a network of any width is the same computation in rank(X) dimensions. A classifier from random rows
adds its K directions outside the span. Two-matrix blocks from ε times orthogonal weights become, in coordinates rotated
by them, ε times the identity (theory note, R1 and Y2).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from pnc.curves import FIELDS, LayerCurve
from pnc.data import Problem
from pnc.errors import InvalidInputError
from pnc.measure import ClassSummary, measure_linear
from pnc.simulate.device import resolve_device, threads_for
from pnc.simulate.economical import EconomicalData, economical
from pnc.simulate.history import History, Recorder
from pnc.simulate.initial import haar
from pnc.simulate.networks import Networks
from pnc.simulate.outcome import Outcome
from pnc.simulate.train import Course, Progress, train_together
from pnc.spec import NetworkSpec, SimulationSpec
from pnc.theory.residual import ResidualSpec, block_growth

__all__ = ["ResidualSimulation", "simulate_residual"]

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class ResidualNetworks(Networks):
    """The loss of a batch of residual networks of one shape, and its gradient, at K vectors a matrix (Y3).

    Weights lie in a row as embedding (where there is one), the matrices of each block in the order in which they act,
    classifier.

    Args:
        block_scale: β.
        matrices: 1 or 2, matrices a block.
        embedded: whether a trained embedding comes before the blocks.
    """

    block_scale: float = 1.0
    matrices: int = 1
    embedded: bool = False

    def parts(self, y: Float[Tensor, "B P"]) -> tuple[Tensor | None, list[list[Tensor]], Tensor]:
        """Embedding, blocks, classifier."""
        weights = self.split(y)
        first = weights.pop(0) if self.embedded else None
        blocks = [weights[i : i + self.matrices] for i in range(0, len(weights) - 1, self.matrices)]
        return first, blocks, weights[-1]

    def blocks(self, y: Float[Tensor, "B P"]) -> list[Tensor]:
        """The embedding, where there is one, and `I + βW` or `I + βW₂W₁` of each block."""
        first, blocks, classifier = self.parts(y)
        unit = torch.eye(classifier.shape[2]).to(classifier)
        maps = [unit + self.block_scale * (b[0] if len(b) == 1 else b[1] @ b[0]) for b in blocks]
        return maps if first is None else [first, *maps]

    def error(self, y: Float[Tensor, "B P"]) -> Float[Tensor, "B K m"]:
        return self._rows(y)[0][0] @ self.factor - self.target

    def _rows(self, y: Float[Tensor, "B P"]) -> tuple[list[Tensor], tuple[Tensor | None, list[list[Tensor]], Tensor]]:
        """What the rest of the network makes of the input of each stage, from the whole map to the classifier."""
        first, blocks, classifier = parts = self.parts(y)
        rows = [classifier]
        for block in reversed(blocks):
            branch = rows[-1]
            for weight in reversed(block):
                branch = branch @ weight
            rows.append(rows[-1] + self.block_scale * branch)
        if first is not None:
            rows.append(rows[-1] @ first)
        return rows[::-1], parts

    def gradient(self, y: Float[Tensor, "B P"]) -> tuple[Float[Tensor, "B P"], Float[Tensor, "B K m"]]:
        rows, (first, blocks, _) = self._rows(y)
        error = rows[0] @ self.factor - self.target
        forward = self.factor @ (error.mT * (2 / self.samples)[:, None, None])
        gradient = []
        if first is not None:
            gradient.append(rows[1].mT @ forward.mT)
            forward, rows = first @ forward, rows[1:]
        for block, after in zip(blocks, rows[1:], strict=True):
            steps = [forward]
            for weight in block:
                steps.append(weight @ steps[-1])
            back, slopes = after.mT * self.block_scale, []
            for weight, before in zip(reversed(block), reversed(steps[:-1]), strict=True):
                slopes.append(back @ before.mT)
                back = weight.mT @ back
            gradient += slopes[::-1]
            forward = forward + self.block_scale * steps[-1]
        gradient.append(forward.mT)
        return self.join(gradient), error


@dataclass(frozen=True, kw_only=True, eq=False)
class ResidualSimulation:
    """A trained residual network and what its layers do.

    Args:
        outcome: how training ended, the worst where several step sizes were used.
        measured: `LayerCurve` of layers 0…m, layer 0 behind the embedding where there is one; extrapolated to step
            size 0 where `halvings` asked for it.
        extrapolation_error: (m+1,) relative difference of C_l from the extrapolation with one step size fewer; NaN
            where there was none.
        maps: `I + βW` of each block (and the embedding first, where there is one) of the run with the smallest step, in
            reduced or full coordinates.
        classifier: of the same run.
        basis: (d, m) by whose transpose an input enters the first map.
        history: curves along training of the same run, where `train.record` asked for them.
        loss: of the same run, on the signal directions, as a share of its start.
        steps: descent steps, all runs together.
        learning_rate: the largest.
        seconds: wall time of training.
        network: the network.
        train: as it was carried out.
    """

    outcome: Outcome
    measured: LayerCurve
    extrapolation_error: Float[np.ndarray, " L"]
    maps: list[np.ndarray]
    classifier: np.ndarray
    basis: Float[np.ndarray, "d m"]
    history: History | None
    loss: float
    steps: int
    learning_rate: float
    seconds: float
    network: ResidualSpec
    train: SimulationSpec


def simulate_residual(
    problem: Problem,
    network: ResidualSpec,
    train: SimulationSpec | None = None,
    *,
    halvings: int = 2,
    progress: Callable[[Progress], None] | None = None,
) -> ResidualSimulation:
    """Train a deep linear residual network by full-batch descent and measure C_l, D_l and the rest of every layer.

    R1 to R8 speak of gradient flow; descent differs from it in the first order of its step. `halvings` runs the same
    training with halved steps as well and extrapolates every curve to step size 0 (Richardson).

    Args:
        problem: inputs and labels.
        network: blocks, scales and initial weights.
        train: step size, budget, tolerance, coordinates, device and seed; its engine and weights are not used.
        halvings: how many further runs, each with half the step of the one before; 0: none.
        progress: called about ten times a second.

    Raises:
        InvalidInputError: nothing to learn, a device that is not there, fewer than 0 halvings.

    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> run = simulate_residual(problem, ResidualSpec(depth=4))
    >>> run.outcome.name, len(run.measured)
    ('CONVERGED', 4)
    """
    train = replace(train or SimulationSpec(), engine="descent", weights="orthogonal")
    if halvings < 0:
        raise InvalidInputError(
            got=f"halvings = {halvings}", expected="0 or more", next_step="set `halvings` to 0, 1 or 2"
        )
    device = resolve_device(train.device)
    data = economical(problem, NetworkSpec(depth=network.depth, label_scale=network.label_scale, residual_scale=1e-30))
    if not data.signal_values.size:
        raise InvalidInputError(
            got="inputs that no linear map tells apart",
            expected="at least one direction to learn",
            next_step="check that the inputs depend on the labels",
        )
    start, inside = _initial(data, network, seed=train.seed, full=train.coordinates == "full")
    stable = _stable_learning_rate(data, network)
    rate = train.learning_rate or stable
    count = halvings + 1

    def tensor(array: np.ndarray) -> Tensor:
        stacked = torch.from_numpy(array).to(device, getattr(torch, train.dtype))
        return stacked.expand(count, *stacked.shape).contiguous()

    networks = ResidualNetworks(
        factor=tensor(inside * data.scale),
        target=tensor(data.target),
        samples=tensor(np.array(float(data.samples))),
        shapes=tuple(w.shape for w in start),
        block_scale=network.block_scale,
        matrices=1 if network.block == "one-matrix" else 2,
        embedded=network.embedding_scale is not None,
    )
    courses = [
        Course(
            signal_left=data.signal_left,
            steps=train.steps * 2**h,
            tolerance=train.loss_tolerance,
            scale=1.0,
            learning_rate=rate / 2**h,
        )
        for h in range(count)
    ]
    summary = ClassSummary.of(problem.X @ data.basis @ inside.T, problem.y, device=device)
    last = networks.take(slice(count - 1, count))
    recorders = [Recorder(train.record if h == halvings else 0, partial_curves(last, summary)) for h in range(count)]
    began = time.perf_counter()
    with threads_for(data.scale.size, device):
        trained = train_together(
            networks, networks.join([tensor(w) for w in start]), courses, recorders, progress=progress
        )
    seconds = time.perf_counter() - began
    curves = [_measure(last, end.y, summary) for end in trained]
    worst = next((end.outcome for end in trained if not end.outcome.converged), Outcome.CONVERGED)
    measured, error = _extrapolated(curves)
    maps = [block[0].double().cpu().numpy() for block in last.blocks(trained[-1].y)]
    origin = replace(
        measured.origin,
        kind="simulation",
        source="trained deep linear residual network",
        device=str(device),
        converged=worst.converged,
        further={
            "problem": problem.name,
            "data": problem.provenance,
            "network": network.to_dict(),
            "train": train.to_dict(),
            "step_sizes": [course.learning_rate for course in courses],
        },
    )
    return ResidualSimulation(
        outcome=worst,
        measured=replace(measured, origin=origin),
        extrapolation_error=error,
        maps=maps,
        classifier=last.parts(trained[-1].y)[2][0].double().cpu().numpy(),
        basis=data.basis @ inside.T if train.coordinates != "full" else np.eye(problem.dimension),
        history=recorders[-1].history(),
        loss=trained[-1].loss,
        steps=sum(end.steps for end in trained),
        learning_rate=rate,
        seconds=seconds,
        network=network,
        train=train,
    )


def partial_curves(
    networks: ResidualNetworks, summary: ClassSummary
) -> Callable[[Tensor], tuple[np.ndarray, np.ndarray]]:
    """C_l and D_l of weights in one row, for a recorder."""

    def curves(y: Tensor) -> tuple[np.ndarray, np.ndarray]:
        curve = _measure(networks, y, summary, fuzziness=False)
        return curve.compression, curve.discrimination

    return curves


def _measure(networks: ResidualNetworks, y: Tensor, summary: ClassSummary, *, fuzziness: bool = True) -> LayerCurve:
    maps = [block[0].double() for block in networks.blocks(y)]
    if networks.embedded:
        summary, maps = summary.linear_image(maps[0]), maps[1:]
    return measure_linear(summary, maps, fuzziness=fuzziness)


def _initial(
    data: EconomicalData, network: ResidualSpec, *, seed: int, full: bool
) -> tuple[list[Float[np.ndarray, "_ _"]], Float[np.ndarray, "size m"]]:
    """Initial weights, and the data's span in the coordinates that they act on."""
    rng = np.random.default_rng([seed, 2])
    dimension, rank = data.basis.shape
    classes = data.target.shape[0]
    rows = haar(rng, min(classes, dimension), dimension) if network.classifier_scale else np.zeros((classes, dimension))
    if full:
        size, inside = dimension, data.basis
    elif not network.classifier_scale:
        size, inside, rows = rank, np.eye(rank), np.zeros((classes, rank))
    else:
        within = rows @ data.basis
        off = rows - within @ data.basis.T
        left, values, _ = np.linalg.svd(off, full_matrices=False)
        outside = (left * values)[:, : min(classes, dimension - rank)]
        rows = np.hstack([within, outside])
        size = rows.shape[1]
        inside = np.eye(size, rank)
    if rows.shape[0] < classes:
        raise InvalidInputError(
            got=f"{classes} classifier rows in {dimension} dimensions",
            expected="room for orthonormal rows",
            next_step="set `classifier_scale` to 0",
        )
    weights = [] if network.embedding_scale is None else [network.embedding_scale * np.eye(size)]
    ε = network.initial_scale or 0.0  # of two-matrix blocks alone
    for _ in range(network.blocks):
        if network.block == "one-matrix":
            weights.append(np.zeros((size, size)))
            continue
        frame = haar(rng, size, size) if full else np.eye(size)
        weights += [ε * frame, ε * frame.T if network.block == "two-matrix-symmetric" else np.zeros((size, size))]
    return [*weights, network.classifier_scale * rows], inside


def _stable_learning_rate(data: EconomicalData, network: ResidualSpec) -> float:
    """A step at which descent is stable to the end: half of the largest at R1's minimum, and smaller for other starts.

    The curvature along a direction is `(2/N) x² (g^m + m(g-1)g^{m-1})`, x the data's singular value.
    """
    m = network.blocks
    g = float(block_growth(data.signal_values[:1], blocks=m, block_scale=network.block_scale)[0])
    curvature = 2 / data.samples * data.scale[0] ** 2 * (g**m + m * (g - 1) * g ** (m - 1))
    extra = 1.0
    if network.embedding_scale is not None:
        extra = 2 * max(network.embedding_scale, 1 / network.embedding_scale) ** 2
    if network.block != "one-matrix":
        extra = 2 * (1 + network.block_scale * (network.initial_scale or 0.0) ** 2) ** (2 * m)
    return 1 / (curvature * extra * (1 + network.classifier_scale**2))


def _extrapolated(curves: list[LayerCurve]) -> tuple[LayerCurve, Float[np.ndarray, " L"]]:
    """Richardson's extrapolation to step size 0, each step half of the one before: errors of orders 1, 2, … go."""

    def limit(values: list[np.ndarray]) -> np.ndarray:
        for order in range(1, len(values)):
            values = [(2**order * fine - coarse) / (2**order - 1) for coarse, fine in zip(values, values[1:])]
        return values[0]

    if len(curves) == 1:
        return curves[0], np.full(len(curves[0]), np.nan)
    found = {name: limit([getattr(curve, name) for curve in curves]) for name in FIELDS}
    before = limit([curve.compression for curve in curves[1:]])
    return replace(curves[-1], **found), np.abs(before / found["compression"] - 1)
