"""Gradient flow by a stabilised explicit method: neither plateaus nor saddles cost many steps.

The flow `dW_l/dt = -∇_{W_l} loss` waits `~ ε^-(L-2)` on the initial plateau, and again at every saddle where some
classes are learned and others are not, while what is learned relaxes in unit time. A classical explicit method then
takes steps of unit time. The Hessian is symmetric, so Runge–Kutta–Chebyshev methods fit exactly: s stages are stable
over a step that grows like s² (B. P. Sommeijer, L. F. Shampine, J. G. Verwer, RKC: an explicit solver for parabolic
PDEs, J. Comput. Appl. Math. 88, 1997). Order 2, with its embedded error estimate.

Where accuracy and not stability holds the step back, as on the way down from a plateau, the small matrices of Y5 take
steps of order 5 instead (J. R. Dormand, P. J. Prince, A family of embedded Runge–Kutta formulae, J. Comput. Appl. Math.
6, 1980, with the coefficients that SciPy holds), whichever gets further with a gradient.

Every run of a batch has its own time, step, number of stages and error test; none influences another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import scipy.integrate
import torch
from jaxtyping import Bool, Float, Int

from pnc.simulate.balanced import BalancedNetworks
from pnc.simulate.graph import StepGraph
from pnc.simulate.networks import Networks

__all__ = ["FlowState", "flow_goes_on", "flow_stage", "flow_start", "flow_step"]

Tensor = torch.Tensor

StageGraph = StepGraph[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor, Tensor]]

_MOST_STAGES = 1000
_DAMPING = 2 / 13
_CURVATURE_EVERY = 10  # accepted steps between estimates of the largest curvature
_CURVATURE_MARGIN = 1.2  # the power iteration comes from below
_HIGH_STABLE = 3.3  # of h times the curvature, for order 5
_HIGH_STAGES = 6  # gradients of a step of order 5: the first is that of the step before
_MOST_LEAD = 20.0  # of a step of order 5 before one of order 2
_FIRST_LEAD = 5.0
_TRIED_AGAIN = 1.1  # what the lead that is believed in grows by with each step of order 2
_LEAST_TREND = 0.5  # of the steps' lengths, that the next one is taken to go on with
_OUT_OF_SIGHT = 1e100  # a weight as large as this has blown up; its square can still be computed with

_HIGH = scipy.integrate.RK45


@cache
def _coefficients(stages: int) -> Float[np.ndarray, "stages 4"]:
    """Rows (μ_j, ν_j, μ̃_j, γ̃_j), j = 1…s, of the method with s stages (Sommeijer et al. 1997, section 2)."""
    w0 = 1 + _DAMPING / stages**2
    t, d, dd = np.zeros((3, stages + 1))  # Chebyshev polynomials and their derivatives at w0
    t[:2], d[1] = (1, w0), 1
    for j in range(2, stages + 1):
        t[j] = 2 * w0 * t[j - 1] - t[j - 2]
        d[j] = 2 * t[j - 1] + 2 * w0 * d[j - 1] - d[j - 2]
        dd[j] = 4 * d[j - 1] + 2 * w0 * dd[j - 1] - dd[j - 2]
    w1 = d[stages] / dd[stages]
    b = np.empty(stages + 1)
    b[2:] = dd[2:] / d[2:] ** 2
    b[0], b[1] = b[2], 1 / w0
    rows = np.zeros((stages, 4))
    rows[0, 2] = b[1] * w1
    for j in range(2, stages + 1):
        rows[j - 1, 0] = 2 * b[j] * w0 / b[j - 1]
        rows[j - 1, 1] = -b[j] / b[j - 2]
        rows[j - 1, 2] = 2 * b[j] * w1 / b[j - 1]
        rows[j - 1, 3] = -(1 - b[j - 1] * t[j - 1]) * rows[j - 1, 2]
    return rows


@dataclass(frozen=True, eq=False)
class FlowState:
    """A point of the flow, for every run of the batch.

    Args:
        y: (B, P) weights.
        slope: (B, P) minus the gradient at `y`.
        error: (B, K, m) W_{L:1} F - T at `y`.
        time: (B,) t, in units of 1 / (loss per squared weight).
        step: (B,) the step size to try next.
        high_step: (B,) the step size to try next with order 5.
        lead: (B,) how many times as long it is as one of order 2.
        pace: (B,) the step that the last one's error would just have allowed, with order 2.
        curvature: (B,) largest absolute eigenvalue of the Hessian, with its margin.
        probe: (B, P) its eigenvector, as far as the power iteration has come.
        age: (B,) accepted steps since the curvature was estimated.
        evaluations: (B,) gradients computed so far.
    """

    y: Float[Tensor, "B P"]
    slope: Float[Tensor, "B P"]
    error: Float[Tensor, "B K m"]
    time: Float[Tensor, " B"]
    step: Float[Tensor, " B"]
    high_step: Float[Tensor, " B"]
    lead: Float[Tensor, " B"]
    pace: Float[Tensor, " B"]
    curvature: Float[Tensor, " B"]
    probe: Float[Tensor, "B P"]
    age: Float[Tensor, " B"]
    evaluations: Int[Tensor, " B"]

    def take(self, index: Int[Tensor, " b"]) -> FlowState:
        """The state of some runs of the batch, in the order of `index`."""
        return FlowState(**{name: value[index] for name, value in vars(self).items()})


def flow_start(networks: Networks | BalancedNetworks, y: Float[Tensor, "B P"]) -> FlowState:
    """The initial state, with a first step that moves no weight by more than a thousandth of the largest."""
    gradient, error = networks.gradient(y)
    step = 1e-3 * y.abs().amax(1) / gradient.abs().amax(1).clamp(min=torch.finfo(y.dtype).tiny)
    return FlowState(
        y=y,
        slope=-gradient,
        error=error,
        time=torch.zeros_like(step),
        step=step,
        high_step=step,
        lead=torch.full_like(step, _FIRST_LEAD),
        pace=torch.zeros_like(step),
        curvature=torch.zeros_like(step),
        probe=gradient + 1e-3 * gradient.abs().amax(1, keepdim=True),
        age=torch.full_like(step, _CURVATURE_EVERY),
        evaluations=torch.ones_like(step, dtype=torch.long),
    )


def flow_goes_on(
    networks: Networks | BalancedNetworks,
    state: FlowState,
    place: int,
    y: Float[Tensor, "1 P"],
    *,
    time: float,
    step: float,
    evaluations: int,
) -> FlowState:
    """The state with one run of the batch somewhere else.

    Args:
        networks: of that run.
        state: of all.
        place: of the run.
        y: its weights from now on.
        time: its time.
        step: the step size to try next.
        evaluations: gradients that it took to get there.
    """
    gradient, error = networks.gradient(y)
    there = {
        "y": y,
        "slope": -gradient,
        "error": error,
        "time": torch.tensor([time], dtype=y.dtype),
        "step": torch.tensor([step], dtype=y.dtype),
        "high_step": torch.tensor([step], dtype=y.dtype),
        "pace": torch.zeros(1, dtype=y.dtype),
        "age": torch.tensor([float(_CURVATURE_EVERY)], dtype=y.dtype),
        "evaluations": state.evaluations[place : place + 1] + evaluations + 1,
    }
    index = torch.tensor([place])
    return replace(state, **{name: getattr(state, name).index_copy(0, index, value) for name, value in there.items()})


def _with_curvature(networks: Networks | BalancedNetworks, state: FlowState) -> FlowState:
    """The state with a fresh estimate of the largest curvature for the runs whose own is old or not there yet."""
    old, new = state.age >= _CURVATURE_EVERY, state.curvature == 0
    for due, iterations in ((old & ~new, 4), (old & new, 20)):
        index = due.nonzero()[:, 0]
        if not len(index):
            continue
        value, probe = networks.take(index).curvature(state.y[index], state.probe[index], iterations=iterations)
        usable = torch.isfinite(value)
        state = replace(
            state,
            curvature=state.curvature.index_copy(
                0, index, torch.where(usable, _CURVATURE_MARGIN * value, state.curvature[index])
            ),
            probe=state.probe.index_copy(0, index, torch.where(usable[:, None], probe, state.probe[index])),
            age=torch.where(due, 0.0, state.age),
            evaluations=state.evaluations + (iterations + 1) * due,
        )
    return state


def _stages(
    networks: Networks | BalancedNetworks,
    y: Float[Tensor, "B P"],
    initial: Float[Tensor, "B P"],
    h: Float[Tensor, " B"],
    counts: list[int],
) -> Float[Tensor, "B P"]:
    """The end of one step, for runs in decreasing order of their numbers of stages.

    Runs that have had all their stages are the last ones and drop out: nobody pays for a neighbour's stages.

    Args:
        initial: h times the slope at `y`.
        counts: stages of each run.
    """
    table = np.zeros((counts[0], len(counts), 4))
    for run, stages in enumerate(counts):
        table[:stages, run] = _coefficients(stages)
    rows = torch.from_numpy(table).to(y)
    alive = [sum(stages > j for stages in counts) for j in range(counts[0])]

    ends = torch.empty_like(y)
    before, now, working = y, torch.addcmul(y, initial, rows[0, :, 2, None]), len(counts)
    for j in range(1, counts[0]):
        if alive[j] < working:
            ends[alive[j] : working] = now[alive[j] :]
            working = alive[j]
            before, now, networks = before[:working], now[:working], networks.take(slice(working))
        mu, nu, slope_share, initial_share = (c[:, None] for c in rows[j, :working].unbind(1))
        following = y[:working] * (1 - mu - nu)
        following.addcmul_(now, mu).addcmul_(before, nu)
        following.addcmul_(networks.gradient(now)[0], -slope_share * h[:working, None])
        following.addcmul_(initial[:working], initial_share)
        before, now = now, following
    ends[:working] = now
    return ends


def _stages_in_order(
    networks: Networks | BalancedNetworks,
    y: Float[Tensor, "B P"],
    initial: Float[Tensor, "B P"],
    h: Float[Tensor, " B"],
    counts: list[int],
) -> Float[Tensor, "B P"]:
    """`_stages`, for runs in any order."""
    order = sorted(range(len(counts)), key=lambda run: -counts[run])
    if counts[order[-1]] == counts[order[0]]:
        return _stages(networks, y, initial, h, counts)
    index, now = torch.tensor(order, device=h.device), torch.empty_like(y)
    now[index] = _stages(networks.take(index), y[index], initial[index], h[index], [counts[run] for run in order])
    return now


def flow_stage(
    networks: Networks | BalancedNetworks,
    fixed: tuple[Float[Tensor, "B P"], Float[Tensor, "B P"], Float[Tensor, " B"]],
    state: tuple[Float[Tensor, "B P"], Float[Tensor, "B P"], Float[Tensor, "B P"], Float[Tensor, "B K m"]],
    coefficients: Float[Tensor, "B 4"],
) -> tuple[Float[Tensor, "B P"], Float[Tensor, "B P"], Float[Tensor, "B P"], Float[Tensor, "B K m"]]:
    """One stage of every run, as a step for `StepGraph`.

    Args:
        fixed: y and h times the slope there; h.
        state: the last two stages; gradient and error at the last.
        coefficients: μ_j, ν_j, μ̃_j, γ̃_j of each run.
    """
    (y, initial, h), (before, now, gradient, _) = fixed, state
    mu, nu, slope_share, initial_share = (c[:, None] for c in coefficients.unbind(1))
    following = y * (1 - mu - nu)
    following.addcmul_(now, mu).addcmul_(before, nu)
    following.addcmul_(gradient, -slope_share * h[:, None])
    following.addcmul_(initial, initial_share)
    return now, following, *networks.gradient(following)


def _replayed_stages(
    graph: StageGraph,
    networks: Networks,
    state: FlowState,
    initial: Float[Tensor, "B P"],
    h: Float[Tensor, " B"],
    counts: list[int],
) -> tuple[Float[Tensor, "B P"], Float[Tensor, "B P"], Float[Tensor, "B K m"]]:
    """The end of one step, and gradient and error there, from a recorded stage.

    A run that has had all its stages waits for the others: with the coefficients (1, 0, 0, 0) a stage repeats the last.
    """
    table = np.zeros((max(counts), len(counts), 4))
    table[..., 0] = 1
    for run, stages in enumerate(counts):
        table[:stages, run] = _coefficients(stages)
        table[0, run] = 0, 0, 0, table[0, run, 2]  # the slope at y is `initial`
    start = (state.y, state.y, state.slope, state.error)
    return graph.run(networks, (state.y, initial, h), start, torch.from_numpy(table).to(h))[1:]


def flow_step(
    networks: Networks | BalancedNetworks,
    state: FlowState,
    *,
    tolerance: float,
    scale: Float[Tensor, " B"],
    graph: StageGraph | None = None,
) -> tuple[FlowState, Bool[Tensor, " B"]]:
    """One attempt at a step for every run.

    Args:
        networks: data and targets.
        state: where to start.
        tolerance: relative tolerance of a step.
        scale: (B,) weights smaller than this count as this large (the initial scale of the weights).
        graph: of `flow_stage`, where stages are replayed.

    Returns:
        The new state, in which a run whose error estimate was too large stays where it was with a smaller step, and
        the (B,) mask of the runs that moved.
    """
    state = _with_curvature(networks, state)
    if isinstance(networks, BalancedNetworks):
        with np.errstate(over="ignore", invalid="ignore"):  # of an attempt that goes too far; it is not accepted
            return _chosen_step(networks, state, tolerance=tolerance, scale=scale)
    h, counts = _stabilised_steps(state)
    initial = h[:, None] * state.slope
    if graph is not None:
        now, gradient, error = _replayed_stages(graph, networks, state, initial, h, counts)
    else:
        now = _stages_in_order(networks, state.y, initial, h, counts)
        gradient, error = networks.gradient(now)
    estimate = _second_order_estimate(state, now, gradient, initial, h)
    ratio = _largest_share(estimate, state.y, now, scale) / tolerance
    moved = torch.isfinite(ratio) & (ratio <= 1)
    following = _attempted(state, now, gradient, error, h, moved, counts)
    return replace(following, step=h * _growth(ratio, moved, order=2)), moved


def _stabilised_steps(state: FlowState) -> tuple[Float[Tensor, " B"], list[int]]:
    """Steps of the stabilised method and their numbers of stages."""
    longest = 0.65 * (_MOST_STAGES**2 - 1) / state.curvature.clamp(min=torch.finfo(state.y.dtype).tiny)
    h = torch.minimum(state.step, longest)
    wanted = (1 + torch.sqrt(1 + 1.54 * h * state.curvature)).ceil().clamp(2, _MOST_STAGES)
    return h, wanted.nan_to_num(2.0).long().tolist()  # a run that has blown up must not take its neighbours with it


def _second_order_estimate(
    state: FlowState,
    now: Float[Tensor, "B P"],
    gradient: Float[Tensor, "B P"],
    initial: Float[Tensor, "B P"],
    h: Float[Tensor, " B"],
) -> Float[Tensor, "B P"]:
    """The error of a step of order 2: 0.8 (y_0 - y_1) + 0.4 h (f_0 + f_1)."""
    return torch.sub(state.y, now).mul_(0.8).add_(initial, alpha=0.4).addcmul_(gradient, -0.4 * h[:, None])


def _largest_share(
    estimate: Float[Tensor, "B P"], y: Float[Tensor, "B P"], now: Float[Tensor, "B P"], scale: Float[Tensor, " B"]
) -> Float[Tensor, " B"]:
    """The largest share of a weight that its error makes up; `estimate` is written over."""
    size = torch.maximum(y.abs(), now.abs())
    return estimate.abs_().div_(torch.maximum(size, scale[:, None], out=size)).amax(1)


def _growth(ratio: Float[Tensor, " B"], moved: Bool[Tensor, " B"], *, order: int) -> Float[Tensor, " B"]:
    """What the step is multiplied by after an error of so many tolerances."""
    # in Python's arithmetic: a vectorised power may round a number one way or another, depending on its neighbours
    growth = [0.8 * max(r, 1e-6) ** (-1 / (order + 1)) if math.isfinite(r) else 0.1 for r in ratio.tolist()]
    growth = torch.tensor(growth, dtype=torch.float64).to(ratio).clamp(0.1, 5.0)
    return torch.where(moved, growth, growth.clamp(max=0.5))


def _attempted(
    state: FlowState,
    now: Float[Tensor, "B P"],
    gradient: Float[Tensor, "B P"],
    error: Float[Tensor, "B K m"],
    h: Float[Tensor, " B"],
    moved: Bool[Tensor, " B"],
    counts: list[int],
) -> FlowState:
    """The state after a step, in which runs that have not moved are where they were."""
    column, everyone = moved[:, None], bool(moved.all())
    return replace(
        state,
        y=now if everyone else torch.where(column, now, state.y),
        slope=gradient.neg_() if everyone else torch.where(column, -gradient, state.slope),
        error=torch.where(moved[:, None, None], error, state.error),
        time=torch.where(moved, state.time + h, state.time),
        # a rejected step may mean that the curvature has outgrown its estimate
        age=torch.where(moved, state.age + 1, float(_CURVATURE_EVERY)),
        evaluations=state.evaluations + torch.tensor(counts, device=h.device),
    )


def _chosen_step(
    networks: BalancedNetworks, state: FlowState, *, tolerance: float, scale: Float[Tensor, " B"]
) -> tuple[FlowState, Bool[Tensor, " B"]]:
    """One attempt at a step for every run, of order 2 or 5: of the one that gets further with a gradient."""
    low, counts = _stabilised_steps(state)
    stable = _HIGH_STABLE / state.curvature.clamp(min=torch.finfo(state.y.dtype).tiny)
    high = torch.minimum(state.high_step, stable)
    fifth = high / _HIGH_STAGES > low / torch.tensor(counts)
    h = torch.where(fifth, high, low)
    now, initial = torch.empty_like(state.y), h[:, None] * state.slope
    fourth = torch.zeros_like(state.y)  # its estimated error, less what the last slope has of it
    chosen, others = fifth.nonzero()[:, 0], (~fifth).nonzero()[:, 0]
    counts = [_HIGH_STAGES if high else count for count, high in zip(counts, fifth.tolist(), strict=True)]
    if len(others):
        now[others] = _stages_in_order(
            networks.take(others), state.y[others], initial[others], h[others], [counts[i] for i in others.tolist()]
        )
    if len(chosen):
        now[chosen], fourth[chosen] = _high_order(networks.take(chosen), state.y[chosen], initial[chosen], h[chosen])
    sound = (now.abs() < _OUT_OF_SIGHT).all(1)
    now = torch.where(sound[:, None], now, state.y)
    gradient, error = networks.gradient(now)
    fourth.addcmul_(gradient, float(_HIGH.E[-1]) * -h[:, None])
    second = _second_order_estimate(state, now, gradient, initial, h)
    low_ratio = _largest_share(second, state.y, now, scale) / tolerance
    high_ratio = _largest_share(fourth, state.y, now, scale) / tolerance
    ratio = torch.where(fifth, high_ratio, low_ratio)
    moved = sound & torch.isfinite(ratio) & (ratio <= 1)
    following = _attempted(state, now, gradient, error, h, moved, counts)
    # on the way down from a plateau every step is shorter than the one before: the next one is, too
    pace = h * torch.tensor([max(r, 1e-9) ** (-1 / 3) for r in low_ratio.tolist()], dtype=torch.float64).to(h)
    trend = torch.where(moved & (state.pace > 0), pace / state.pace, 1.0).clamp(_LEAST_TREND, 1.0)
    low_next = h * _growth(low_ratio, moved, order=2) * trend
    high_next = h * _growth(high_ratio, moved, order=4) * trend
    found = (high_next / low_next).nan_to_num(1.0)
    lead = torch.where(fifth, found, torch.where(moved, _TRIED_AGAIN * state.lead, state.lead)).clamp(1.0, _MOST_LEAD)
    age = torch.where(fifth & ~moved & (h < 0.8 * stable), state.age, following.age)
    return replace(
        following,
        step=low_next,
        high_step=torch.where(fifth, high_next, lead * low_next),
        lead=lead,
        pace=torch.where(moved, pace, state.pace),
        age=age,
    ), moved


def _high_order(
    networks: BalancedNetworks,
    y: Float[Tensor, "B P"],
    initial: Float[Tensor, "B P"],
    h: Float[Tensor, " B"],
) -> tuple[Float[Tensor, "B P"], Float[Tensor, "B P"]]:
    """The end of one step of order 5, and the part of its error that the slopes before the end make up.

    Args:
        initial: h times the slope at `y`.
    """
    column = h.numpy()[:, None]
    start, slopes = y.numpy(), np.empty((_HIGH_STAGES, *y.shape))
    slopes[0], sound = initial.numpy(), np.ones((len(y), 1), dtype=bool)
    for stage in range(1, _HIGH_STAGES):
        at = start + _weighted(_HIGH.A[stage], slopes[:stage])
        sound &= (np.abs(at) < _OUT_OF_SIGHT).all(axis=1, keepdims=True)
        slopes[stage] = networks.gradient(torch.from_numpy(np.where(sound, at, start)))[0].numpy() * -column
    end = np.where(sound, start + _weighted(_HIGH.B, slopes), np.nan)
    return torch.from_numpy(end), torch.from_numpy(_weighted(_HIGH.E, slopes))


def _weighted(weights: Float[np.ndarray, " w"], slopes: Float[np.ndarray, "s B P"]) -> Float[np.ndarray, "B P"]:
    """The sum of weighted slopes, in an order that does not depend on how many runs there are."""
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=False):  # weights of slopes not yet known are zeros
        total += weight * slope
    return total
