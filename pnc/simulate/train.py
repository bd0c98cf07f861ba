"""The two engines: the paper's full-batch descent, and gradient flow finished by descent.

Many runs advance together: networks of one shape are stacked, and runs that have ended leave the stack. Each has its
own step, number of stages, learning rate, looks at the loss and end. Its numbers do not depend on its neighbours: every
operation acts on one row of the stack, in the same order however many rows there are. A run alone is a stack of one.

Near the minimum an explicit integrator hovers at its tolerance; there descent takes over from the flow and goes on to
rounding, and over the little way that is left it ends where the flow would.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int

from pnc.simulate.balanced import BalancedNetworks
from pnc.simulate.flow import FlowState, flow_goes_on, flow_stage, flow_start, flow_step
from pnc.simulate.graph import StepGraph, recorder_of
from pnc.simulate.history import Recorder
from pnc.simulate.networks import Networks
from pnc.simulate.outcome import Outcome
from pnc.simulate.plateau import plateau

__all__ = ["Course", "Progress", "Trained", "train_together"]

Tensor = torch.Tensor

_CHECK_EVERY = 10  # descent steps between looks at the loss
_FLOW_TOLERANCE = 1e-4  # of a step; C_l of the end changes by less than 1e-4 when it is ten times smaller
_FINISH_BELOW = 1e-6  # share of the initial loss below which descent takes over from the flow
_PLATEAU_EVERY = 5  # accepted steps between looks for a plateau
_PLATEAU_REACH = 1e-2  # share of the map to be learned at which outputs begin to count
_FIRST_SHARE = 0.02  # of the time in which weights grow by their own size: the first step after a plateau
_BLOWN_UP = 1e6  # share of the initial loss above which descent has diverged
_PATIENCE = 300  # looks at the loss without progress before rounding is blamed


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where training is: shown while it runs.

    Args:
        phase: `flow` or `descent`.
        steps: integrator and descent steps so far.
        loss: loss on the signal directions as a share of its start.
        seconds: since the start.
        seconds_left: at the present rate of decay; `None` while the loss does not fall.
    """

    phase: Literal["flow", "descent"]
    steps: int
    loss: float
    seconds: float
    seconds_left: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """Where training ended.

    Args:
        y: (1, P) weights.
        outcome: how.
        loss: loss on the signal directions as a share of its start.
        steps: integrator and descent steps together.
        evaluations: gradients computed.
        flow_time: the sum of the steps, in units of 1 / (loss per squared weight).
        learning_rate: of the descent; NaN where there was none.
    """

    y: Float[Tensor, "1 P"]
    outcome: Outcome
    loss: float
    steps: int
    evaluations: int
    flow_time: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """How one run is trained and judged.

    Args:
        signal_left: (K, r) directions that the loss is measured on.
        steps: most steps.
        tolerance: share of the initial loss to reach.
        scale: weights smaller than this count as this large in the integrator's error test.
        learning_rate: η of descent from the start; `None`: the flow, then descent.
        sought: share, less than `tolerance`, at which training ends where it can be reached.
    """

    signal_left: Float[np.ndarray, "K r"]
    steps: int
    tolerance: float
    scale: float
    learning_rate: float | None
    sought: float | None = None


def train_together(
    networks: Networks | BalancedNetworks,
    starts: Float[Tensor, "B P"],
    courses: Sequence[Course],
    recorders: Sequence[Recorder],
    *,
    progress: Callable[[Progress], None] | None = None,
) -> list[Trained]:
    """Train a stack of networks, all by the flow or all by descent `W_l ← W_l - η ∇_{W_l} ‖W_{L:1} X - Y/α‖²_F/N`.

    Ctrl-C ends the runs that have not ended yet with the outcome INTERRUPTED.

    Args:
        networks: losses of the B runs.
        starts: their initial weights.
        courses: how each is trained; either all or none with a learning rate.
        recorders: of their curves along training.
        progress: called about ten times a second with the state of the slowest run.
    """
    stack = _Stack(networks, courses, recorders, progress)
    if courses[0].learning_rate is not None:
        stack.measure(stack.everyone, networks.error(starts))
        descending = [
            _Descending(index=i, steps=0, rate=c.learning_rate, flow_time=0.0, loss=1.0, before=(0, 0))
            for i, c in enumerate(courses)
            if c.learning_rate is not None  # as all or none have one
        ]
        stack.descend(starts, descending, adapt=False)
    else:
        stack.descend(*stack.flow(starts), adapt=True)
    return [stack.results[i] for i in range(len(courses))]


@dataclass(eq=False, kw_only=True)
class _Descending:
    """One run while it descends.

    Args:
        index: of the run in the stack.
        steps: taken so far.
        rate: η.
        flow_time: the sum of the steps.
        loss: at the last look.
        before: steps taken and gradients computed before the descent.
        best: smallest loss seen.
        previous: loss at the look before the last.
        waited: looks at the loss since it last fell.
    """

    index: int
    steps: int
    rate: float
    flow_time: float
    loss: float
    before: tuple[int, int]
    best: float = math.inf
    previous: float = math.inf
    waited: int = 0

    def end(self, y: Float[Tensor, "1 P"], outcome: Outcome) -> Trained:
        steps, evaluations = self.before
        return Trained(
            y=y.clone(),
            outcome=outcome,
            loss=self.loss,
            steps=self.steps,
            evaluations=evaluations + self.steps - steps,
            flow_time=self.flow_time,
            learning_rate=self.rate,
        )


class _Stack:
    """Runs of equal shapes, and what each of them is judged by."""

    def __init__(
        self,
        networks: Networks | BalancedNetworks,
        courses: Sequence[Course],
        recorders: Sequence[Recorder],
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.networks, self.courses, self.recorders = networks, courses, recorders
        self.everyone = torch.arange(len(courses), device=networks.factor.device)
        classes = networks.target.shape[1]
        signal = np.zeros((len(courses), classes, classes))  # rows of zeros add nothing to a loss
        for rows, course in zip(signal, courses, strict=True):
            rows[: course.signal_left.shape[1]] = course.signal_left.T
        self.signal = torch.from_numpy(signal).to(networks.target)
        self.target_rows = (self.signal @ networks.target).square().sum(2)
        self.first: list[float] = []
        self.results: dict[int, Trained] = {}
        self.progress, self.tolerance = progress, min(course.tolerance for course in courses)
        record = None
        if isinstance(networks, Networks):  # the factorisations of the others wait for the device
            record = recorder_of(networks.target, parameters=sum(rows * columns for rows, columns in networks.shapes))
        self.stage_graph = None if record is None else StepGraph(flow_stage, record)
        self.descent_graph = None if record is None else StepGraph(_descent_step, record)
        self.began = self._spoke = time.perf_counter()
        self._trail: list[tuple[float, float]] = []

    def measure(self, members: Int[Tensor, " b"], error: Float[Tensor, "b K m"]) -> list[float]:
        """Loss on the signal directions as a share of its start."""
        values = (self.signal[members] @ error).square().flatten(1).sum(1).tolist()
        if not self.first:
            self.first = values
        return [value / self.first[i] for value, i in zip(values, members.tolist(), strict=True)]

    def exhausted(self, index: int, error: Float[Tensor, "K m"]) -> Outcome:
        """PLATEAU where a signal direction is still unlearned, STEP_LIMIT otherwise."""
        unlearned = (self.signal[index] @ error).square().sum(1) > 0.25 * self.target_rows[index]
        return Outcome.PLATEAU if bool(unlearned.any()) else Outcome.STEP_LIMIT

    def report(self, phase: Literal["flow", "descent"], steps: int, loss: float) -> None:
        now = time.perf_counter()
        if self.progress is None or now - self._spoke < 0.1:
            return
        self._spoke = now
        self._trail = [*self._trail[-20:], (now, math.log(max(loss, 1e-300)))]
        (then, before), (_, after) = self._trail[0], self._trail[-1]
        falling = before - after > 0.02
        left = max(after - math.log(self.tolerance), 0.0) * (now - then) / (before - after) if falling else None
        self.progress(Progress(phase=phase, steps=steps, loss=loss, seconds=now - self.began, seconds_left=left))

    def _end(self, index: int, trained: Trained) -> None:
        self.recorders[index].offer(trained.y, trained.flow_time, trained.loss, last=True)
        self.results[index] = trained

    # ---- gradient flow ---------------------------------------------------------------------------------------

    def flow(self, starts: Float[Tensor, "B P"]) -> tuple[Float[Tensor, "b P"], list[_Descending]]:
        """Integrate every run to the neighbourhood of its minimum; what is left to descend from there."""
        networks, members = self.networks, self.everyone
        state = flow_start(networks, starts)
        scales = torch.tensor([course.scale for course in self.courses], dtype=torch.float64).to(state.step)
        losses, taken = self.measure(members, state.error), 0
        for i, recorder in enumerate(self.recorders):
            recorder.offer(starts[i : i + 1], 0.0, losses[i])
        state = self._over_plateaus(networks, state, members, losses, every=1)
        near: list[tuple[Tensor, _Descending]] = []
        try:
            while True:
                stay = [self._flows_on(i, l, taken) for i, l in zip(members.tolist(), losses, strict=True)]
                if not all(stay):
                    left = _index(members, [not s for s in stay])
                    gone = [l for l, s in zip(losses, stay, strict=True) if not s]
                    near += self._leave(networks.take(left), state.take(left), members[left], gone, taken)
                    left = _index(members, stay)
                    losses = [l for l, s in zip(losses, stay, strict=True) if s]
                    networks, state = networks.take(left), state.take(left)
                    members, scales = members[left], scales[left]
                    if not losses:
                        break
                state, moved = flow_step(
                    networks, state, tolerance=_FLOW_TOLERANCE, scale=scales, graph=self.stage_graph
                )
                taken += 1
                found, times = self.measure(members, state.error), state.time.tolist()
                for place, (i, went) in enumerate(zip(members.tolist(), moved.tolist(), strict=True)):
                    if went:
                        losses[place] = found[place]
                        self.recorders[i].offer(state.y[place : place + 1], times[place], found[place])
                state = self._over_plateaus(networks, state, members, losses)
                self.report("flow", taken, max(losses))
        except KeyboardInterrupt:
            for place, i in enumerate(members.tolist()):
                if i not in self.results and all(run.index != i for _, run in near):
                    run = _arrived(i, state, place, losses[place], taken, rate=math.nan)
                    self._end(i, run.end(state.y[place : place + 1], Outcome.INTERRUPTED))
            for y, run in near:
                self._end(run.index, run.end(y, Outcome.INTERRUPTED))
            near = []
        return torch.cat([starts[:0], *(y for y, _ in near)]), [run for _, run in near]

    def _over_plateaus(
        self,
        networks: Networks | BalancedNetworks,
        state: FlowState,
        members: Int[Tensor, " b"],
        losses: list[float],
        *,
        every: int = _PLATEAU_EVERY,
    ) -> FlowState:
        """The state with every run that has come to a plateau at its other end; looked at every few steps of a run."""
        if not isinstance(networks, BalancedNetworks):
            return state
        due = ((state.age > 0) & (state.age % every == 0)).nonzero()[:, 0].tolist()
        for place in due:
            here, index = slice(place, place + 1), int(members[place])
            found = plateau(networks.take(here), state.y[here], reach=_PLATEAU_REACH)
            if found is None:
                continue
            recorder, start = self.recorders[index], float(state.time[place])
            for y, passed in zip(found.points, found.times.tolist(), strict=True):
                recorder.offer(torch.from_numpy(y)[None], start + passed, losses[place])
            state = flow_goes_on(
                networks.take(here),
                state,
                place,
                torch.from_numpy(found.points[-1])[None],
                time=start + float(found.times[-1]),
                step=_FIRST_SHARE * found.growth,
                evaluations=found.evaluations,
            )
        return state

    def _flows_on(self, index: int, loss: float, taken: int) -> bool:
        course = self.courses[index]
        return loss > max(_FINISH_BELOW, course.tolerance) and taken < course.steps

    def _leave(
        self,
        networks: Networks | BalancedNetworks,
        state: FlowState,
        members: Int[Tensor, " b"],
        losses: list[float],
        taken: int,
    ) -> list[tuple[Tensor, _Descending]]:
        """Where the runs that have come near their minimum descend from; those whose budget is spent end here."""
        spent = [taken >= self.courses[i].steps for i in members.tolist()]
        for place, i in enumerate(members.tolist()):
            if spent[place]:
                run = _arrived(i, state, place, losses[place], taken, rate=math.nan)
                self._end(i, run.end(state.y[place : place + 1], self.exhausted(i, state.error[place])))
        if all(spent):
            return []
        # 1.8 of the largest stable step; `curvature` carries a margin of its own
        rates = (1.5 / networks.curvature(state.y, state.probe, iterations=20)[0]).tolist()
        return [
            (state.y[place : place + 1], _arrived(i, state, place, losses[place], taken, rate=rates[place]))
            for place, i in enumerate(members.tolist())
            if not spent[place]
        ]

    # ---- descent ---------------------------------------------------------------------------------------------

    def descend(self, y: Float[Tensor, "b P"], runs: list[_Descending], *, adapt: bool) -> None:
        """Descent to the end of every run; with `adapt` a step that turns out unstable is halved."""
        members = torch.tensor([run.index for run in runs], dtype=torch.long, device=y.device)
        networks = self.networks.take(members)
        sound = y  # at the last look at which nothing had blown up, and what was known there
        known = [(run.loss, run.steps, run.flow_time) for run in runs]
        try:
            if not runs:
                return
            gradient, error = networks.gradient(y)
            while runs:
                due = [run.steps % _CHECK_EVERY == 0 or run.steps >= self._budget(run) for run in runs]
                found = self.measure(members, error)
                keep = [True] * len(runs)
                for place, run in enumerate(runs):
                    if not due[place]:
                        continue
                    outcome, at = self._look(run, found[place], error[place], adapt=adapt), y[place : place + 1]
                    if outcome is Outcome.DIVERGED:
                        (run.loss, run.steps, run.flow_time), at = known[place], sound[place : place + 1]
                    else:
                        known[place] = (run.loss, run.steps, run.flow_time)
                        self.recorders[run.index].offer(at, run.flow_time, run.loss)
                    if outcome is not None:
                        keep[place] = False
                        self._end(run.index, run.end(at, outcome))
                sound = y if all(due) else torch.where(torch.tensor(due, device=y.device)[:, None], y, sound)
                if any(due):
                    self.report("descent", max(run.steps for run in runs), max(run.loss for run in runs))
                if not all(keep):
                    left = _index(members, keep)
                    runs = [run for run, kept in zip(runs, keep, strict=True) if kept]
                    known = [at for at, kept in zip(known, keep, strict=True) if kept]
                    y, sound, gradient, error = y[left], sound[left], gradient[left], error[left]
                    members, networks = members[left], networks.take(left)
                if runs:
                    y, gradient, error = self._to_next_look(networks, y, gradient, error, runs)
        except KeyboardInterrupt:
            for place, run in enumerate(runs):
                if run.index not in self.results:
                    run.loss, run.steps, run.flow_time = known[place]
                    self._end(run.index, run.end(sound[place : place + 1], Outcome.INTERRUPTED))

    def _budget(self, run: _Descending) -> int:
        return self.courses[run.index].steps

    def _to_next_look(
        self,
        networks: Networks | BalancedNetworks,
        y: Float[Tensor, "b P"],
        gradient: Float[Tensor, "b P"],
        error: Float[Tensor, "b K m"],
        runs: list[_Descending],
    ) -> tuple[Float[Tensor, "b P"], Float[Tensor, "b P"], Float[Tensor, "b K m"]]:
        """Descend until each run's next look at the loss; who gets there first waits for the others."""
        ahead = [min(_CHECK_EVERY - run.steps % _CHECK_EVERY, self._budget(run) - run.steps) for run in runs]
        limits = torch.tensor(ahead, device=y.device)
        rates = torch.tensor([[-run.rate] for run in runs], dtype=torch.float64).to(y)
        if self.descent_graph is not None:
            assert isinstance(networks, Networks)  # steps of the others are not recorded
            moves = torch.arange(max(ahead), device=y.device)[:, None] < limits
            controls = torch.where(moves[..., None], rates, 0.0)
            y, gradient, error = self.descent_graph.run(networks, (), (y, gradient, error), controls)
        else:
            uneven = min(ahead) < max(ahead)
            for step in range(max(ahead)):
                moved = torch.addcmul(y, gradient, rates)
                y = torch.where((step < limits)[:, None], moved, y) if uneven else moved
                gradient, error = networks.gradient(y)
        for run, steps in zip(runs, ahead, strict=True):
            run.steps += steps
            run.flow_time += steps * run.rate
        return y, gradient, error

    def _look(self, run: _Descending, loss: float, error: Float[Tensor, "K m"], *, adapt: bool) -> Outcome | None:
        """What the loss says about a run: its outcome, or `None` where it goes on."""
        if not loss < _BLOWN_UP:
            return Outcome.DIVERGED
        course, outcome = self.courses[run.index], None
        run.loss = loss
        run.waited = 0 if loss < 0.999 * run.best else run.waited + 1
        ended = run.steps >= course.steps or run.waited > _PATIENCE
        if loss <= (course.tolerance if course.sought is None else course.sought) or (
            ended and loss <= course.tolerance
        ):
            outcome = Outcome.CONVERGED
        elif run.steps >= course.steps:
            outcome = self.exhausted(run.index, error)
        elif run.waited > _PATIENCE and self.exhausted(run.index, error) is Outcome.STEP_LIMIT:
            outcome = Outcome.STALLED
        elif adapt and loss > 1.01 * run.previous:
            run.rate /= 2
        run.best, run.previous = min(run.best, loss), loss
        return outcome


def _descent_step(
    networks: Networks | BalancedNetworks,
    fixed: tuple[()],
    state: tuple[Float[Tensor, "B P"], Float[Tensor, "B P"], Float[Tensor, "B K m"]],
    rates: Float[Tensor, "B 1"],
) -> tuple[Float[Tensor, "B P"], Float[Tensor, "B P"], Float[Tensor, "B K m"]]:
    """One step of descent of every run, as a step for `StepGraph`: weights, gradient and error after it.

    Args:
        fixed: nothing.
        rates: -η of each run; 0 where it waits for the others.
    """
    y, gradient, _ = state
    y = torch.addcmul(y, gradient, rates)
    return y, *networks.gradient(y)


def _index(members: Int[Tensor, " b"], chosen: list[bool]) -> Int[Tensor, " c"]:
    return torch.tensor([place for place, yes in enumerate(chosen) if yes], dtype=torch.long, device=members.device)


def _arrived(index: int, state: FlowState, place: int, loss: float, taken: int, *, rate: float) -> _Descending:
    """A run that has left the flow."""
    return _Descending(
        index=index,
        steps=taken,
        rate=rate,
        flow_time=float(state.time[place]),
        loss=loss,
        before=(taken, int(state.evaluations[place])),
    )
