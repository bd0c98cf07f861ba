"""The integrator of gradient flow: order, stability, an independent integration, and what flow conserves (Y1)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.integrate
import torch

from pnc.data import Problem, draw
from pnc.simulate import initial_weights, simulate
from pnc.simulate.flow import _coefficients, flow_start, flow_step
from pnc.simulate.networks import Networks
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec

ANY = 1e12  # a tolerance that accepts every step


def tiny(depth=3, *, scale=0.5, seed=0):
    """A network of a few weights, and its flow as a plain function for any other integrator."""
    rng = np.random.default_rng(seed)
    problem = Problem(X=rng.standard_normal((5, 4)) / 2, y=[0, 0, 1, 1, 1])
    spec = NetworkSpec(depth=depth, width=4, residual_scale=scale)
    weights, data = initial_weights(problem, spec, SimulationSpec(coordinates="full", seed=seed))
    networks = Networks(
        factor=torch.from_numpy(data.basis * data.scale)[None],
        target=torch.from_numpy(data.target)[None],
        samples=torch.tensor([5.0], dtype=torch.float64),
        shapes=tuple(w.shape for w in weights),
    )
    X, Y = problem.X.T, np.eye(2)[problem.y].T

    def flow(_, flat):
        W, at = [], 0
        for rows, columns in networks.shapes:
            W.append(flat[at : at + rows * columns].reshape(rows, columns))
            at += rows * columns
        features = [X]
        for w in W:
            features.append(w @ features[-1])
        back, slopes = 2 * (features[-1] - Y) / X.shape[1], []
        for w, z in zip(W[::-1], features[-2::-1], strict=True):
            slopes.insert(0, -(back @ z.T))
            back = w.T @ back
        return np.concatenate([s.ravel() for s in slopes])

    return networks, networks.join([torch.from_numpy(w)[None] for w in weights]), flow


def reference(flow, y, times):
    """The flow by an eighth-order method at a tolerance near rounding."""
    found = scipy.integrate.solve_ivp(
        flow, (0, times[-1]), y[0].numpy(), method="DOP853", rtol=1e-12, atol=1e-13, t_eval=times
    )
    return found.y.T


def fixed_steps(networks, y, h, steps):
    state = flow_start(networks, y)
    for _ in range(steps):
        state, moved = flow_step(
            networks, replace(state, step=torch.full_like(state.step, h)), tolerance=ANY, scale=torch.ones(1)
        )
        assert bool(moved)
    return state


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_halving_the_step_quarters_the_error(depth):
    networks, y, flow = tiny(depth, scale=0.8)
    end = 8.0
    exact = reference(flow, y, [end])[0]
    errors = []
    for steps in (20, 40, 80):
        state = fixed_steps(networks, y, end / steps, steps)
        assert float(state.time) == pytest.approx(end)
        errors.append(np.abs(state.y[0].numpy() - exact).max())
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all(np.abs(orders - 2) < 0.35), orders
    assert np.abs(y[0].numpy() - exact).max() > 0.1  # it has gone somewhere


def test_adaptive_steps_follow_the_flow_and_their_error_falls_with_the_tolerance():
    networks, y, flow = tiny(3)
    errors, counts = [], []
    for tolerance in (1e-4, 1e-6):
        state, trail = flow_start(networks, y), []
        while float(state.time) < 30:
            state, moved = flow_step(networks, state, tolerance=tolerance, scale=torch.full((1,), 0.5))
            if bool(moved):
                trail.append((float(state.time), state.y[0].numpy()))
        times, found = zip(*trail, strict=True)
        errors.append(np.abs(np.array(found) - reference(flow, y, times)).max())
        counts.append(len(trail))
    # the error of a step of order 2 is of the order of its cube: counts grow like tolerance^(-1/3), errors fall by 2/3
    assert errors[0] < 0.02
    assert errors[1] < errors[0] / 8
    assert 2 < counts[1] / counts[0] < 8


@dataclass(frozen=True)
class Decay:
    """dy/dt = -rate · y, one rate a run, in place of a network."""

    rates: torch.Tensor

    def gradient(self, y):
        return self.rates[:, None] * y, torch.zeros(y.shape[0], 1, 1, dtype=y.dtype)

    def take(self, index):
        return Decay(self.rates[index])

    def curvature(self, y, probe, *, iterations):
        return self.rates.abs().clone(), probe


def decay_factors(rates, h, *, curvature):
    """What one step of size h does to decays of different rates, with the stages that `curvature` asks for."""
    system = Decay(torch.as_tensor(rates, dtype=torch.float64))
    state = flow_start(system, torch.ones(len(rates), 1, dtype=torch.float64))
    state = replace(
        state,
        step=torch.full_like(state.step, h),
        curvature=torch.full_like(state.step, curvature),
        age=torch.zeros_like(state.age),
    )
    stepped, moved = flow_step(system, state, tolerance=ANY, scale=torch.ones(len(rates)))
    assert bool(moved.all())
    return stepped.y[:, 0].numpy()


@pytest.mark.parametrize("curvature", [0.1, 10.0, 100.0, 5000.0])
def test_a_step_matches_the_exponential_to_second_order_and_no_further(curvature):
    z = np.array([1e-2, 2e-2])
    missed = np.abs(decay_factors(z, 1.0, curvature=curvature) - np.exp(-z))
    assert np.all(missed < 0.2 * z**3)
    assert np.log2(missed[1] / missed[0]) == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("curvature", [3.0, 50.0, 700.0, 2e4])
def test_a_step_is_stable_up_to_the_curvature(curvature):
    """Order 2 with s² · 0.65 of stable range: nothing up to the curvature grows, and what lies well beyond does."""
    rates = np.linspace(1e-3, 1, 400) * curvature
    assert np.all(np.abs(decay_factors(rates, 1.0, curvature=curvature)) <= 1)
    assert np.abs(decay_factors([2.5 * curvature + 3], 1.0, curvature=curvature))[0] > 1


def test_a_step_longer_than_the_most_stages_can_take_is_cut_and_timed_as_it_was_taken():
    system = Decay(torch.tensor([1.0, 2.0], dtype=torch.float64))
    state = flow_start(system, torch.ones(2, 1, dtype=torch.float64))
    state = replace(
        state,
        step=torch.tensor([1e9, 1e-3], dtype=torch.float64),
        curvature=system.rates.clone(),
        age=torch.zeros_like(state.age),
    )
    after, moved = flow_step(system, state, tolerance=ANY, scale=torch.ones(2))
    assert bool(moved.all())
    assert float(after.time[0]) == pytest.approx(0.65 * (1000**2 - 1))
    assert float(after.time[1]) == 1e-3  # its neighbour's step is its own


@pytest.mark.parametrize("stages", [2, 3, 10, 100, 1000])
def test_coefficients_keep_constants(stages):
    rows = _coefficients(stages)
    assert rows.shape == (stages, 4)
    assert np.isfinite(rows).all()
    assert rows[0, 2] > 0


def test_a_failed_step_stays_where_it_was_and_tries_a_smaller_one():
    networks, y, _ = tiny()
    state = replace(flow_start(networks, y), step=torch.tensor([50.0], dtype=torch.float64))
    after, moved = flow_step(networks, state, tolerance=1e-8, scale=torch.ones(1))
    assert not bool(moved)
    assert torch.equal(after.y, state.y)
    assert float(after.time) == 0
    assert float(after.step) <= 25
    assert after.evaluations > state.evaluations


def imbalances(networks, y):
    W = [w[0].numpy() for w in networks.split(y)]
    return [b.T @ b - a @ a.T for a, b in zip(W[:-1], W[1:], strict=True)]


def test_flow_conserves_balance_to_second_order_and_large_steps_break_it():
    networks, y, _ = tiny(4, scale=0.8)
    start = imbalances(networks, y)
    drift = []
    for steps in (100, 200):
        end = fixed_steps(networks, y, 10.0 / steps, steps).y
        drift.append(max(np.abs(a - b).max() for a, b in zip(imbalances(networks, end), start, strict=True)))
    assert np.log2(drift[0] / drift[1]) == pytest.approx(2, abs=0.4)

    def descended(rate):
        at = y
        for _ in range(round(10.0 / rate)):
            at = at - rate * networks.gradient(at)[0]
        return max(np.abs(a - b).max() for a, b in zip(imbalances(networks, at), start, strict=True))

    assert descended(0.2) > 5 * drift[0]
    assert descended(0.2) / descended(0.1) == pytest.approx(2, abs=0.4)  # descent is of order 1


def test_flow_and_small_steps_of_descent_end_at_one_place():
    problem = draw(ProblemSpec(classes=3, samples_per_class=4))
    network = NetworkSpec(depth=4, width=64, residual_scale=0.5)
    flow = simulate(problem, network, SimulationSpec(device="cpu"))
    gaps = []
    for rate in (0.08, 0.02):
        descent = simulate(problem, network, SimulationSpec(engine="descent", learning_rate=rate, device="cpu"))
        assert descent.outcome.converged
        gaps.append(np.abs(descent.measured.compression / flow.measured.compression - 1).max())
    assert gaps[1] < gaps[0] / 2.5 + 2e-4  # first order in the step, down to the flow's own tolerance
    assert gaps[1] < 5e-3


def test_alignment_free_solution_is_that_of_the_signal_ode():
    """Y1: balanced, aligned weights follow dσ/dt = (2/N) σ^(L-1) (s - σ^L) on whitened data."""
    depth, samples, classes, start = 3, 6, 2, 0.4
    problem = Problem(X=np.eye(samples), y=[0, 0, 0, 1, 1, 1])
    s = np.sqrt(3.0)
    V = np.zeros((samples, classes))
    V[[0, 1, 2], 0] = V[[3, 4, 5], 1] = 1 / s
    complement = np.linalg.svd(V, full_matrices=True)[0][:, classes:]
    first = np.vstack([start * V.T, 0.2 * complement.T])
    middle = np.diag([start] * classes + [0.2] * (samples - classes))
    last = np.hstack([start * np.eye(classes), np.zeros((classes, samples - classes))])
    networks = Networks(
        factor=torch.from_numpy(problem.X.T.copy())[None],
        target=torch.from_numpy(np.eye(classes)[problem.y].T.copy())[None],
        samples=torch.tensor([float(samples)], dtype=torch.float64),
        shapes=(first.shape, middle.shape, last.shape),
    )
    y = networks.join([torch.from_numpy(w)[None] for w in (first, middle, last)])
    end = 3.5
    state = fixed_steps(networks, y, end / 300, 300)
    sigma = scipy.integrate.solve_ivp(
        lambda _, v: (2 / samples) * v ** (depth - 1) * (s - v**depth), (0, end), [start], rtol=1e-11, atol=1e-13
    ).y[0, -1]
    product = np.linalg.multi_dot([w[0].numpy() for w in networks.split(state.y)][::-1])
    np.testing.assert_allclose(product, sigma**depth * V.T, atol=2e-5)
    assert 0.9 < sigma < 1.1 < s ** (1 / 3)
