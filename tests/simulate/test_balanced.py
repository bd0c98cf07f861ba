"""Y5: the flow of w and γ is the flow of all L matrices, for any depth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.integrate
import torch

from pnc.data import Problem, draw
from pnc.measure import measure_features, measure_linear
from pnc.simulate import initial_weights, simulate
from pnc.simulate import run as run_module
from pnc.simulate import train as training
from pnc.simulate.balanced import _quotients
from pnc.simulate.networks import Networks
from pnc.simulate.run import prepare
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec

CPU = SimulationSpec(device="cpu")


def clustered(counts=(2, 3, 4), dimension=12, seed=0):
    """Inputs that are far from orthonormal, of unequal classes."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    X = rng.standard_normal((len(counts), dimension))[y] + 0.7 * rng.standard_normal((len(y), dimension))
    return Problem(X=X / np.linalg.norm(X, 2), y=y)


def moved(problem, network, *, steps=30):
    """A prepared run and its state some way along the flow."""
    run = prepare(problem, network, replace(CPU, steps=steps, loss_tolerance=1e-12))
    networks, y = run.networks(), run.start()
    for _ in range(steps):
        y = y - 0.2 * networks.gradient(y)[0]
    return run, networks, y


def all_weights(run, y, seed=0):
    """W_1…W_L that w and γ stand for, every hidden layer turned by a rotation of its own."""
    rng = np.random.default_rng(seed)
    weights, size = run.weights(y), run.initial[0].shape[1]
    turns = [np.linalg.qr(rng.standard_normal((size, size)))[0] for _ in weights[:-1]]
    turned, before = [], np.eye(weights[0].shape[1])
    for w, turn in zip(weights[:-1], turns, strict=True):
        turned.append(turn @ w @ before.T)
        before = turn
    return [*turned, weights[-1] @ before.T]


@pytest.mark.parametrize("depth", [2, 3, 4, 7])
@pytest.mark.parametrize("width", [12, 14, 60])
def test_the_flow_of_two_matrices_is_that_of_all_of_them(depth, width):
    """d(W_{l:1}ᵀW_{l:1})/dt and dW_{L:1}/dt by all L gradients, in any rotated coordinates, and by w and γ."""
    run, networks, y = moved(clustered(), NetworkSpec(depth=depth, width=width, residual_scale=0.6))
    weights = all_weights(run, y)
    full = Networks(
        factor=torch.from_numpy(np.diag(run.data.scale))[None],
        target=torch.from_numpy(run.data.target)[None],
        samples=networks.samples,
        shapes=tuple(w.shape for w in weights),
    )
    gradient, error = full.gradient(full.join([torch.from_numpy(w)[None] for w in weights]))
    slope, found = networks.gradient(y)
    torch.testing.assert_close(found, error, rtol=1e-11, atol=1e-12)
    slopes = [s[0].numpy() for s in full.split(gradient)]

    def moving(h):
        return [w + h * s for w, s in zip(weights, slopes, strict=True)]

    def balanced(h):
        return run.weights(y + h * slope)

    def derivative(of, path, h=1e-5):
        return (of(path(h)) - of(path(-h))) / (2 * h)

    def product(path):
        return np.linalg.multi_dot(path[::-1])

    expected = derivative(product, moving)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(derivative(product, balanced), expected, rtol=0, atol=1e-8 * np.abs(expected).max())
    for l in range(1, depth):

        def gram(path, l=l):
            features = np.linalg.multi_dot([*path[:l][::-1], np.eye(path[0].shape[1])])
            return features.T @ features

        expected = derivative(gram, moving)
        np.testing.assert_allclose(derivative(gram, balanced), expected, rtol=0, atol=1e-8 * np.abs(expected).max())


def integrated(problem, network, end):
    """C_l and D_l of all L matrices at time `end`, by another integrator near rounding."""
    weights, data = initial_weights(problem, network, CPU)
    shapes = [w.shape for w in weights]
    F, T = np.diag(data.scale), data.target

    def split(flat):
        parts = np.split(flat, np.cumsum([a * b for a, b in shapes])[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def flow(_, flat):
        W = split(flat)
        features = [F]
        for w in W:
            features.append(w @ features[-1])
        back, slopes = 2 * (features[-1] - T) / problem.samples, []
        for w, z in zip(W[::-1], features[-2::-1], strict=True):
            slopes.insert(0, -(back @ z.T))
            back = w.T @ back
        return np.concatenate([s.ravel() for s in slopes])

    start = np.concatenate([w.ravel() for w in weights])
    found = scipy.integrate.solve_ivp(flow, (0, end), start, method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
    layers = [problem.X @ data.basis]
    for w in split(found)[:-1]:
        layers.append(layers[-1] @ w.T)
    return measure_features(layers, problem.y)


@pytest.mark.parametrize("depth", [2, 3, 7])
@pytest.mark.parametrize("problem", [clustered(), draw(ProblemSpec(classes=2, samples_per_class=(2, 5)))])
def test_curves_are_those_of_the_flow_of_all_matrices_and_converge_to_them(problem, depth, monkeypatch):
    network = NetworkSpec(depth=depth, width=40, residual_scale=0.6)
    missed = []
    for tolerance in (1e-4, 1e-7):
        monkeypatch.setattr(training, "_FLOW_TOLERANCE", tolerance)
        run = simulate(problem, network, CPU)
        exact = integrated(problem, network, run.flow_time)
        missed.append(
            [
                np.abs(run.measured.compression / exact.compression - 1).max(),
                np.abs(run.measured.discrimination - exact.discrimination).max(),
            ]
        )
    assert np.max(missed[0]) < 5e-4
    assert np.max(missed[1]) < 1e-5
    assert np.max(missed[1]) < np.max(missed[0]) / 8


def test_all_the_depth_is_in_an_exponent():
    """A network of 3,000 layers is measured like one of 8, and its curves lie on one line of l/L."""
    problem = draw(ProblemSpec(classes=3, samples_per_class=4))
    runs = [simulate(problem, NetworkSpec(depth=depth), CPU) for depth in (30, 300, 3000)]
    assert all(run.outcome.converged for run in runs)
    ends = [np.log(run.measured.compression[-1]) for run in runs]
    steps = [run.evaluations for run in runs]
    assert abs(ends[2] - ends[1]) < abs(ends[1] - ends[0]) / 5
    assert steps[2] < 1.5 * steps[0]


def test_powers_are_measured_as_products_are():
    run = simulate(clustered((3, 3, 5)), NetworkSpec(depth=6, width=40, residual_scale=0.5), CPU)
    prepared = prepare(clustered((3, 3, 5)), NetworkSpec(depth=6, width=40, residual_scale=0.5), CPU)
    again = measure_linear(prepared.summary, run.weights[:-1])
    for name in ("compression", "discrimination", "within_scatter", "between_scatter", "separation_fuzziness"):
        np.testing.assert_allclose(getattr(run.measured, name), getattr(again, name), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("depth", [2, 3, 8, 9, 1000])
def test_quotients_of_differences_lose_no_digits(depth):
    mpmath = pytest.importorskip("mpmath")
    gain = np.array([1.3, 1.3, 1.3 * (1 + 1e-14), 1.3 * (1 + 1e-6), 1.3 * (1 + 1e-4), 1.1, 0.9])
    power, ratio = _quotients(gain[None], np.array([depth - 1.0]))
    with mpmath.workdps(60):
        for i, a in enumerate(gain):
            assert power[0, i] == pytest.approx(float(mpmath.mpf(a) ** (depth - 1)), rel=1e-12)
            for j, b in enumerate(gain):
                a_, b_ = mpmath.mpf(a), mpmath.mpf(b)
                exact = (
                    mpmath.mpf(depth - 1) / 2 * a_ ** (depth - 3)
                    if a == b
                    else (a_ ** (depth - 1) - b_ ** (depth - 1)) / (a_**2 - b_**2)
                )
                assert ratio[0, i, j] == pytest.approx(float(exact), rel=1e-9 * depth)


def test_the_initial_rows_of_the_classifier_stay_orthonormal():
    run = prepare(draw(ProblemSpec(classes=3, samples_per_class=4)), NetworkSpec(depth=5), CPU)
    [end] = training.train_together(run.networks(), run.start(), [run.course], [run.recorder()])
    γ = end.y.numpy().reshape(2, 3, -1)[1]
    np.testing.assert_allclose(γ @ γ.T, np.eye(3), atol=1e-3)


def test_assumptions_of_a_deep_network_from_a_part_of_its_layers(monkeypatch):
    problem, network = draw(ProblemSpec()), NetworkSpec(depth=60)
    whole = simulate(problem, network, CPU).residuals
    monkeypatch.setattr(run_module, "_MEASURED_DEPTH", 20)
    part = simulate(problem, network, CPU).residuals
    assert part.map_error == pytest.approx(whole.map_error, abs=1e-12)
    np.testing.assert_allclose(part.imbalance, whole.imbalance, atol=1e-3 * whole.imbalance.max())
    np.testing.assert_allclose(part.residual_largest, whole.residual_largest, rtol=1e-9)
    np.testing.assert_allclose(part.residual_smallest, whole.residual_smallest, rtol=1e-3)
    assert np.all(part.residual_smallest <= whole.residual_smallest + 1e-12)  # the interval is no narrower
