"""The two engines: the paper's full-batch descent, and gradient flow finished by descent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float

from pnc.simulate.flow import flow_start, flow_step
from pnc.simulate.history import Recorder
from pnc.simulate.networks import Networks
from pnc.simulate.outcome import Outcome

__all__ = ["Progress", "Trained", "run_descent", "run_flow"]

Tensor = torch.Tensor

_CHECK_EVERY = 10  # descent steps between looks at the loss
_FLOW_TOLERANCE = 3e-4  # of a step; C_l of the end changes by less than 1e-4 when it is ten times smaller
_FINISH_BELOW = 1e-6  # share of the initial loss below which descent takes over from the flow
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


class _Monitor:
    """Loss on the signal directions, its history, the clock and the verdict on an exhausted budget."""

    def __init__(
        self,
        networks: Networks,
        signal_left: Float[Tensor, "K r"],
        *,
        tolerance: float,
        recorder: Recorder,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.signal = signal_left.mT
        self.target_rows = (self.signal @ networks.target[0]).square().sum(1)
        self.tolerance, self.recorder, self.progress = tolerance, recorder, progress
        self.began = self._spoke = time.perf_counter()
        self.start = math.nan
        self._trail: list[tuple[float, float]] = []

    def loss(self, error: Float[Tensor, "1 K m"]) -> float:
        value = float((self.signal @ error[0]).square().sum())
        if math.isnan(self.start):
            self.start = value
        return value / self.start

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

    def exhausted(self, error: Float[Tensor, "1 K m"]) -> Outcome:
        """PLATEAU where a signal direction is still unlearned, STEP_LIMIT otherwise."""
        unlearned = (self.signal @ error[0]).square().sum(1) > 0.25 * self.target_rows
        return Outcome.PLATEAU if bool(unlearned.any()) else Outcome.STEP_LIMIT


def run_descent(
    networks: Networks,
    y: Float[Tensor, "1 P"],
    signal_left: Float[Tensor, "K r"],
    *,
    learning_rate: float,
    steps: int,
    tolerance: float,
    recorder: Recorder,
    progress: Callable[[Progress], None] | None = None,
) -> Trained:
    """Full-batch descent W_l ← W_l - η ∇_{W_l} ‖W_{L:1} X - Y/α‖²_F/N until the loss or the budget ends."""
    monitor = _Monitor(networks, signal_left, tolerance=tolerance, recorder=recorder, progress=progress)
    monitor.loss(networks.error(y))
    start = Trained(
        y=y, outcome=Outcome.INTERRUPTED, loss=1.0, steps=0, evaluations=0, flow_time=0.0, learning_rate=learning_rate
    )
    return _descend(networks, start, monitor, steps=steps, adapt=False)


def run_flow(
    networks: Networks,
    y: Float[Tensor, "1 P"],
    signal_left: Float[Tensor, "K r"],
    *,
    scale: float,
    steps: int,
    tolerance: float,
    recorder: Recorder,
    progress: Callable[[Progress], None] | None = None,
) -> Trained:
    """Gradient flow over plateaus and saddles, then descent at a stable step.

    Near the minimum an explicit integrator hovers at its tolerance; descent goes on to rounding, and over the little
    way     that is left it ends where the flow would.

    Args:
        scale: weights smaller than this count as this large in the integrator's error test.
    """
    monitor = _Monitor(networks, signal_left, tolerance=tolerance, recorder=recorder, progress=progress)
    state = flow_start(networks, y)
    loss = monitor.loss(state.error)
    recorder.offer(state.y, 0.0, loss)
    scales = torch.full_like(state.step, scale)
    taken, outcome, rate = 0, None, math.nan
    try:
        while loss > max(_FINISH_BELOW, tolerance) and taken < steps:
            state, moved = flow_step(networks, state, tolerance=_FLOW_TOLERANCE, scale=scales)
            taken += 1
            if bool(moved[0]):
                loss = monitor.loss(state.error)
                recorder.offer(state.y, float(state.time), loss)
            monitor.report("flow", taken, loss)
        if taken >= steps:
            outcome = monitor.exhausted(state.error)
        else:  # 1.8 of the largest stable step; `curvature` carries a margin of its own
            rate = 1.5 / float(networks.curvature(state.y, state.probe, iterations=20)[0])
    except KeyboardInterrupt:
        outcome = Outcome.INTERRUPTED
    reached = Trained(
        y=state.y,
        outcome=outcome or Outcome.INTERRUPTED,
        loss=loss,
        steps=taken,
        evaluations=int(state.evaluations),
        flow_time=float(state.time),
        learning_rate=math.nan,
    )
    if outcome is not None:
        recorder.offer(state.y, float(state.time), loss, last=True)
        return reached
    return _descend(networks, replace(reached, learning_rate=rate), monitor, steps=steps, adapt=True)


def _descend(networks: Networks, start: Trained, monitor: _Monitor, *, steps: int, adapt: bool) -> Trained:
    """Descent from where `start` ended; with `adapt` a step that turns out unstable is halved."""
    y, loss, taken, rate, flow_time = start.y, start.loss, start.steps, start.learning_rate, start.flow_time
    best = previous = math.inf
    waited, outcome = 0, None
    sound = (y, loss, taken, flow_time)  # the last look at which nothing had blown up
    try:
        while outcome is None:
            gradient, error = networks.gradient(y)
            if taken % _CHECK_EVERY == 0 or taken >= steps:
                found = monitor.loss(error)
                if not found < _BLOWN_UP:
                    outcome, (y, loss, taken, flow_time) = Outcome.DIVERGED, sound
                    break
                loss, sound = found, (y, found, taken, flow_time)
                monitor.recorder.offer(y, flow_time, loss)
                monitor.report("descent", taken, loss)
                waited = 0 if loss < 0.999 * best else waited + 1
                if loss <= monitor.tolerance:
                    outcome = Outcome.CONVERGED
                elif taken >= steps:
                    outcome = monitor.exhausted(error)
                elif waited > _PATIENCE and monitor.exhausted(error) is Outcome.STEP_LIMIT:
                    outcome = Outcome.STALLED
                elif adapt and loss > 1.01 * previous:
                    rate /= 2
                best, previous = min(best, loss), loss
                if outcome is not None:
                    break
            y = torch.add(y, gradient, alpha=-rate)
            taken += 1
            flow_time += rate
    except KeyboardInterrupt:
        outcome = Outcome.INTERRUPTED
    monitor.recorder.offer(y, flow_time, loss, last=True)
    return Trained(
        y=y,
        outcome=outcome,
        loss=loss,
        steps=taken,
        evaluations=start.evaluations + taken - start.steps,
        flow_time=flow_time,
        learning_rate=rate,
    )
