"""Many runs at once: networks of one shape are stacked and advance together; runs that have ended leave the batch.

A run has its own step, number of stages, learning rate, looks at the loss and end. Its numbers do not depend on its
neighbours: every operation acts on one row of the stack, in the same order however many rows there are.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from pnc.data import Problem
from pnc.simulate.device import threads_for
from pnc.simulate.flow import FlowState, flow_start, flow_step
from pnc.simulate.history import Recorder
from pnc.simulate.networks import Networks
from pnc.simulate.outcome import Outcome
from pnc.simulate.run import PreparedRun, Simulation, prepare
from pnc.simulate.train import (
    BLOWN_UP,
    CHECK_EVERY,
    FINISH_BELOW,
    FLOW_TOLERANCE,
    PATIENCE,
    Trained,
)
from pnc.spec import NetworkSpec, TrainSpec

__all__ = ["simulate_batch", "simulate_prepared"]

Tensor = torch.Tensor

_STACKED_BYTES = 1 << 20  # of the weights that advance together on a CPU: a few copies of them fit its cache
_STACKED_BYTES_CUDA = 1 << 28


def simulate_batch(
    runs: Sequence[tuple[Problem, NetworkSpec, TrainSpec]],
    *,
    progress: Callable[[int], None] | None = None,
) -> list[Simulation]:
    """Train many deep linear networks together: each result is that of `simulate` on its own.

    Runs of equal shapes (inputs' rank, reduced width, classes, depth) are stacked, whatever their seed, width, ε, α, data,
    tolerance and budget.

    Args:
        runs: problem, network and training of each.
        progress: called with the number of runs that have ended.

    Raises:
        InvalidInputError: as `simulate` does.

    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> network = NetworkSpec(depth=3, width=300)
    >>> [run.outcome.name for run in simulate_batch([(problem, network, TrainSpec(seed=s)) for s in range(3)])]
    ['CONVERGED', 'CONVERGED', 'CONVERGED']
    """
    return simulate_prepared([prepare(*run) for run in runs], progress=progress)


def simulate_prepared(
    runs: Sequence[PreparedRun], *, progress: Callable[[int], None] | None = None
) -> list[Simulation]:
    """`simulate_batch` of runs that are prepared already."""
    results: list[Simulation | None] = [None] * len(runs)
    ended = 0
    for indices in _stacks(runs):
        members = [runs[i] for i in indices]
        recorders = [Recorder(run.train.record, run.curves) for run in members]
        began = time.perf_counter()
        with threads_for(max(members[0].shapes[1]), members[0].device), torch.no_grad():
            trained = _train(members, recorders)
        seconds = (time.perf_counter() - began) / len(members)
        for i, end, recorder in zip(indices, trained, recorders, strict=True):
            results[i] = runs[i].finish(end, history=recorder.history(), seconds=seconds)
            ended += 1
            if progress is not None:
                progress(ended)
    return results


def _stacks(runs: Sequence[PreparedRun]) -> Iterator[list[int]]:
    """Indices of runs that advance together: equal shapes, device, dtype and engine, and not too many at once."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for i, run in enumerate(runs):
        exact = run.train.weights == "exact"
        groups[run.shapes, str(run.device), run.train.dtype, run.train.engine, exact].append(i)
    for (shapes, device, dtype, _, _), members in groups.items():
        size = sum(rows * columns for rows, columns in shapes) * (8 if dtype == "float64" else 4)
        most = max(1, (_STACKED_BYTES if device == "cpu" else _STACKED_BYTES_CUDA) // size)
        parts = -(-len(members) // most)
        for part in range(parts):  # of equal sizes, give or take one
            yield members[part * len(members) // parts : (part + 1) * len(members) // parts]


def _train(runs: Sequence[PreparedRun], recorders: Sequence[Recorder]) -> list[Trained]:
    starts = torch.cat([run.start() for run in runs])
    if runs[0].train.weights == "exact":
        return [
            Trained(y=y, outcome=Outcome.CONVERGED, loss=0.0, steps=0, evaluations=0, flow_time=0.0, learning_rate=math.nan)
            for y in starts.split(1)
        ]
    each = [run.networks() for run in runs]
    networks = Networks(
        factor=torch.cat([one.factor for one in each]),
        target=torch.cat([one.target for one in each]),
        samples=torch.cat([one.samples for one in each]),
        shapes=each[0].shapes,
    )
    return _Batch(networks, runs, recorders).train(starts)


@dataclass(eq=False)
class _Descending:
    """One run while it descends.

    Args:
        index: of the run in the batch.
        steps: taken so far.
        rate: η.
        flow_time: the sum of the steps.
        first_steps, first_evaluations: taken and computed before the descent.
    """

    index: int
    steps: int
    rate: float
    flow_time: float
    first_steps: int
    first_evaluations: int
    best: float = math.inf
    waited: int = 0
    loss: float = 1.0


class _Batch:
    """Runs that share shapes, with what each of them is judged by."""

    def __init__(
        self, networks: Networks, runs: Sequence[PreparedRun], recorders: Sequence[Recorder]
    ) -> None:
        self.networks, self.runs, self.recorders = networks, runs, recorders
        classes = networks.target.shape[1]
        # padded with zero rows, which add nothing to a loss
        signal = np.zeros((len(runs), classes, classes))
        for row, run in zip(signal, runs, strict=True):
            row[: run.data.signal_left.shape[1]] = run.data.signal_left.T
        self.signal = torch.from_numpy(signal).to(networks.target)
        self.target_rows = (self.signal @ networks.target).square().sum(2)
        self.first: list[float] = []
        self.results: list[Trained | None] = [None] * len(runs)

    def losses(self, members: Int[Tensor, " b"], error: Float[Tensor, "b K m"]) -> list[float]:
        """Loss on the signal directions as a share of its start."""
        values = (self.signal[members] @ error).square().flatten(1).sum(1).tolist()
        if not self.first:
            self.first = values
        return [value / self.first[i] for value, i in zip(values, members.tolist(), strict=True)]

    def exhausted(self, index: int, error: Float[Tensor, "K m"]) -> Outcome:
        """PLATEAU where a signal direction is still unlearned, STEP_LIMIT otherwise."""
        unlearned = (self.signal[index] @ error).square().sum(1) > 0.25 * self.target_rows[index]
        return Outcome.PLATEAU if bool(unlearned.any()) else Outcome.STEP_LIMIT

    def train(self, starts: Float[Tensor, "B P"]) -> list[Trained]:
        everyone = torch.arange(len(self.runs), device=starts.device)
        if self.runs[0].train.engine == "descent":
            self.losses(everyone, self.networks.error(starts))
            fresh = [
                _Descending(
                    index=i,
                    steps=0,
                    rate=run.train.learning_rate or run.stable_learning_rate,
                    flow_time=0.0,
                    first_steps=0,
                    first_evaluations=0,
                )
                for i, run in enumerate(self.runs)
            ]
            self._descend(starts, fresh, adapt=False)
        else:
            self._descend(*self._flow(starts, everyone), adapt=True)
        return self.results

    def _flow(
        self, starts: Float[Tensor, "B P"], members: Int[Tensor, " B"]
    ) -> tuple[Float[Tensor, "B P"], list[_Descending]]:
        """Integrate until each run is close to its minimum; what is left to descend from, and where each stands."""
        networks, state = self.networks, flow_start(self.networks, starts)
        scales = torch.tensor([run.weight_scale for run in self.runs]).to(state.step)
        losses = self.losses(members, state.error)
        for i in members.tolist():
            self.recorders[i].offer(state.y[i : i + 1], 0.0, losses[i])
        taken = 0
        finished: list[tuple[Tensor, _Descending]] = []
        while True:
            budgets = [self.runs[i].train.steps for i in members.tolist()]
            floors = [max(FINISH_BELOW, self.runs[i].train.loss_tolerance) for i in members.tolist()]
            stay = [loss > floor and taken < budget for loss, floor, budget in zip(losses, floors, budgets)]
            if not all(stay):
                leaving = torch.tensor([not s for s in stay], device=state.y.device).nonzero()[:, 0]
                finished += self._leave(
                    networks.take(leaving), state.take(leaving), members[leaving], taken,
                    [loss for loss, s in zip(losses, stay, strict=True) if not s],
                )
                staying = torch.tensor(stay, device=state.y.device).nonzero()[:, 0]
                if not len(staying):
                    break
                networks, state, members = networks.take(staying), state.take(staying), members[staying]
                scales, losses = scales[staying], [loss for loss, s in zip(losses, stay, strict=True) if s]
            state, moved = flow_step(networks, state, tolerance=FLOW_TOLERANCE, scale=scales)
            taken += 1
            found = self.losses(members, state.error)
            for place, (i, went) in enumerate(zip(members.tolist(), moved.tolist(), strict=True)):
                if went:
                    losses[place] = found[place]
                    if self.recorders[i].points:
                        self.recorders[i].offer(state.y[place : place + 1], float(state.time[place]), found[place])
        if not finished:
            return starts[:0], []
        return torch.cat([y for y, _ in finished]), [run for _, run in finished]

    def _leave(
        self, networks: Networks, state: FlowState, members: Int[Tensor, " b"], taken: int, losses: list[float]
    ) -> list[tuple[Tensor, _Descending]]:
        """The runs that go on to descend; those whose budget is spent end here."""
        # 1.8 of the largest stable step; `curvature` carries a margin of its own
        rates = (1.5 / networks.curvature(state.y, state.probe, iterations=20)[0]).tolist()
        going = []
        for place, i in enumerate(members.tolist()):
            y, flow_time = state.y[place : place + 1], float(state.time[place])
            if taken >= self.runs[i].train.steps:
                self._end(
                    i,
                    Trained(
                        y=y,
                        outcome=self.exhausted(i, state.error[place]),
                        loss=losses[place],
                        steps=taken,
                        evaluations=int(state.evaluations[place]),
                        flow_time=flow_time,
                        learning_rate=math.nan,
                    ),
                )
                continue
            going.append(
                (
                    y,
                    _Descending(
                        index=i,
                        steps=taken,
                        rate=rates[place],
                        flow_time=flow_time,
                        first_steps=taken,
                        first_evaluations=int(state.evaluations[place]),
                        loss=losses[place],
                    ),
                )
            )
        return going

    def _end(self, index: int, trained: Trained) -> None:
        self.recorders[index].offer(trained.y, trained.flow_time, trained.loss, last=True)
        self.results[index] = trained

    def _descend(self, y: Float[Tensor, "B P"], runs: list[_Descending], *, adapt: bool) -> None:
        """Descent; with `adapt` a step that turns out unstable is halved. Looks at the loss come where they do alone."""
        members = torch.tensor([run.index for run in runs], device=y.device)
        networks = self.networks.take(members)
        sound = y.clone()  # at the last look at which nothing had blown up
        sound_at = [(run.loss, run.steps, run.flow_time) for run in runs]
        while runs:
            gradient, error = networks.gradient(y)
            due = [run.steps % CHECK_EVERY == 0 or run.steps >= self.runs[run.index].train.steps for run in runs]
            keep = [True] * len(runs)
            if any(due):
                found = self.losses(members, error)
                for place, run in enumerate(runs):
                    if not due[place]:
                        continue
                    outcome = self._look(run, found[place], error[place], adapt=adapt)
                    at = y[place : place + 1]
                    if outcome is Outcome.DIVERGED:
                        run.loss, run.steps, run.flow_time = sound_at[place]
                        at = sound[place : place + 1]
                    else:
                        sound_at[place] = (run.loss, run.steps, run.flow_time)
                        self.recorders[run.index].offer(at, run.flow_time, run.loss)
                    if outcome is not None:
                        keep[place] = False
                        self._end(run.index, _ended(run, at.clone(), outcome))
                if not all(keep):
                    index = torch.tensor(keep, device=y.device).nonzero()[:, 0]
                    runs = [run for run, kept in zip(runs, keep, strict=True) if kept]
                    sound_at = [at for at, kept in zip(sound_at, keep, strict=True) if kept]
                    due = [d for d, kept in zip(due, keep, strict=True) if kept]
                    y, gradient, sound, members = y[index], gradient[index], sound[index], members[index]
                    networks = networks.take(index)
                    if not runs:
                        return
                if all(due):
                    sound.copy_(y)
                else:
                    sound = torch.where(torch.tensor(due, device=y.device)[:, None], y, sound)
            # those whose next look comes sooner wait there for the others
            ahead = [self._steps_ahead(run) for run in runs]
            y = self._step(y, gradient, networks, runs, ahead)

    def _steps_ahead(self, run: _Descending) -> int:
        return min(CHECK_EVERY - run.steps % CHECK_EVERY, self.runs[run.index].train.steps - run.steps)

    def _step(
        self,
        y: Float[Tensor, "B P"],
        gradient: Float[Tensor, "B P"],
        networks: Networks,
        runs: list[_Descending],
        ahead: list[int],
    ) -> Float[Tensor, "B P"]:
        """Descend from a look at the loss, where the gradient is known, to each run's next one."""
        rates = torch.tensor([-run.rate for run in runs], dtype=torch.float64).to(y)
        uneven = min(ahead) < max(ahead)
        limits = torch.tensor(ahead, device=y.device)
        for step in range(max(ahead)):
            if step:
                gradient = networks.gradient(y)[0]
            moved = torch.addcmul(y, gradient, rates[:, None])
            y = torch.where((step < limits)[:, None], moved, y) if uneven else moved
        for run, steps in zip(runs, ahead, strict=True):
            run.steps += steps
            for _ in range(steps):  # the order in which a run alone adds them
                run.flow_time += run.rate
        return y

    def _look(self, run: _Descending, loss: float, error: Float[Tensor, "K m"], *, adapt: bool) -> Outcome | None:
        """What the loss says about one run: an outcome, or `None` and it goes on."""
        if not loss < BLOWN_UP:
            return Outcome.DIVERGED
        train = self.runs[run.index].train
        run.loss = loss
        run.waited = 0 if loss < 0.999 * run.best else run.waited + 1
        outcome = None
        if loss <= train.loss_tolerance:
            outcome = Outcome.CONVERGED
        elif run.steps >= train.steps:
            outcome = self.exhausted(run.index, error)
        elif run.waited > PATIENCE and self.exhausted(run.index, error) is Outcome.STEP_LIMIT:
            outcome = Outcome.STALLED
        elif adapt and loss > 1.01 * run.best:
            run.rate, run.waited = run.rate / 2, 0
        run.best = min(run.best, loss)
        return outcome


def _ended(run: _Descending, y: Float[Tensor, "1 P"], outcome: Outcome) -> Trained:
    return Trained(
        y=y,
        outcome=outcome,
        loss=run.loss,
        steps=run.steps,
        evaluations=run.first_evaluations + run.steps - run.first_steps,
        flow_time=run.flow_time,
        learning_rate=run.rate,
    )
