"""`simulate_regularised_residual`: deep linear residual networks with weight decay, or on the cross-entropy.

No statement of the theory note covers them. From zero weights the gradient's columns lie in span X and its rows among
the classifier's, which begin at zero, and decay keeps what is zero: rank(X) dimensions are exact, as without decay.
"""

from __future__ import annotations

import math
import time as clock
from dataclasses import replace

import numpy as np

from pnc.data import Problem
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.measure import ClassSummary, measure_linear
from pnc.simulate.economical import economical
from pnc.simulate.regularised import Loss, Objective, RegularisedSimulation
from pnc.spec import NetworkSpec
from pnc.theory.numerics import StopAtZero
from pnc.theory.residual import ResidualSpec
from pnc.theory.weight_decay import check_decay

__all__ = ["simulate_regularised_residual"]

_LONGEST = 1e9


class _ResidualObjective(Objective):
    """The loss of blocks `I + βW` and a classifier; weights lie in a row as blocks, classifier."""

    block_scale = 1.0

    def maps(self, y: np.ndarray) -> list[np.ndarray]:
        """`I + βW` of each block, and the classifier."""
        *blocks, classifier = self.split(y)
        return [np.eye(len(block)) + self.block_scale * block for block in blocks] + [classifier]

    def slope(self, y: np.ndarray, decay: float) -> np.ndarray:
        """Minus the gradient, decay included."""
        maps = self.maps(y)
        rows = self.rows(maps)
        _, error = self.error(rows[0])
        forward = self.inputs @ error.T
        found = []
        for block, left in zip(maps[:-1], rows[1:], strict=True):
            found.append(self.block_scale * (left.T @ forward.T).ravel())
            forward = block @ forward
        found.append(forward.T.ravel())
        return -np.concatenate(found) - decay * y


def simulate_regularised_residual(
    problem: Problem,
    network: ResidualSpec,
    *,
    until: float | None = None,
    until_loss: float | None = None,
    loss: Loss = "mse",
    weight_decay: float = 0.0,
    relative_tolerance: float = 1e-8,
) -> RegularisedSimulation:
    """Train residual blocks from zero by gradient flow `dW = -∇ - λW`, and measure every layer.

    Args:
        problem: inputs and labels.
        network: blocks of one matrix and a classifier, all from zero.
        until: time at which training ends.
        until_loss: in its place, the loss without the decay's share.
        loss: `mse` (‖W X - Y/α‖²/N) or `cross-entropy` (mean, nats).
        weight_decay: λ.
        relative_tolerance: of the flow.

    Raises:
        NotApplicableError: other blocks, or other initial weights.
        InvalidInputError: neither a time nor a loss, or both; a loss that training does not reach.

    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> run = simulate_regularised_residual(problem, ResidualSpec(depth=3), until=50.0, weight_decay=0.01)
    >>> len(run.measured), bool(run.loss[-1] < run.loss[0])
    (3, True)
    """
    import scipy.integrate  # slow to import

    check_decay(weight_decay)
    if network.block != "one-matrix" or network.embedding_scale is not None or network.classifier_scale:
        raise NotApplicableError(
            statement="R1",
            assumption="blocks of one matrix and a classifier, all from zero: nothing else is simulated with weight "
            "decay or cross-entropy",
            instead="leave out `skip_block`, `skip_embedding` and `skip_classifier`",
        )
    if (until is None) == (until_loss is None):
        raise InvalidInputError(
            got=f"until = {until}, until_loss = {until_loss}", expected="one of them", next_step="set one of them"
        )
    data = economical(problem, NetworkSpec(depth=network.depth, label_scale=network.label_scale, residual_scale=1e-30))
    rank, classes = data.scale.size, problem.counts.size
    labels = np.eye(classes)[problem.y].T
    shapes: list[tuple[int, ...]] = [(rank, rank)] * network.blocks + [(classes, rank)]
    objective = _ResidualObjective(
        data.basis.T @ problem.X.T,
        labels / network.label_scale if loss == "mse" else labels,
        problem.samples,
        loss,
        shapes,
    )
    objective.block_scale = network.block_scale
    y = np.zeros(sum(math.prod(shape) for shape in shapes))

    def loss_of(y: np.ndarray) -> float:
        return objective.error(objective.rows(objective.maps(y))[0])[0]

    began = clock.perf_counter()
    found = scipy.integrate.solve_ivp(
        lambda _, y: objective.slope(y, weight_decay),
        (0.0, until or _LONGEST),
        y,
        method="DOP853",
        events=None if until_loss is None else StopAtZero(lambda y: math.log(loss_of(y)) - math.log(until_loss)),
        rtol=relative_tolerance,
        atol=relative_tolerance * 1e-3,
    )
    if not found.success or (until_loss is not None and not found.t_events[0].size):
        raise InvalidInputError(
            got=f"training that stopped at time {found.t[-1]:.3g} with a loss of {loss_of(found.y[:, -1]):.3g}",
            expected="a loss or a time that training reaches",
            next_step="raise `training_loss`, or name an earlier `time`",
        )
    states = [y, found.y[:, -1]]
    summary = ClassSummary.of(problem.X @ data.basis, problem.y)
    maps = [objective.maps(state) for state in states]
    curves = [measure_linear(summary, some[:-1], fuzziness=some is maps[-1]) for some in maps]
    further = {
        "problem": problem.name,
        "data": problem.provenance,
        "network": network.to_dict(),
        "loss": loss,
        "weight_decay": weight_decay,
        "time": float(found.t[-1]),
    }
    origin = replace(
        curves[-1].origin, kind="simulation", source="trained deep linear residual network", further=further
    )
    return RegularisedSimulation(
        time=np.array([0.0, found.t[-1]]),
        loss=np.array([loss_of(state) for state in states]),
        compression=np.array([curve.compression for curve in curves]),
        discrimination=np.array([curve.discrimination for curve in curves]),
        maps=np.array([objective.rows(some)[0] @ data.basis.T for some in maps]),
        measured=replace(curves[-1], origin=origin),
        weights=objective.split(states[-1]),
        basis=data.basis,
        seconds=clock.perf_counter() - began,
    )
