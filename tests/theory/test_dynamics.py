"""Y1: growth of signal directions against quadrature, the logistic curve, an independent integration of whole
weights."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.data import Problem, draw
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec, ProblemSpec
from pnc.theory import exact_weights, predict, signal_modes
from pnc.theory.dynamics import plateau_time, predict_dynamics, signal_growth, time_to_reach, unaligned_growth

directions = st.tuples(
    st.integers(2, 9), st.floats(0.05, 0.6), st.floats(0.6, 5.0), st.integers(2, 60), st.floats(0.3, 3.0)
)


def gradient_flow(weights, X, Y, times):
    """Gradient flow of whole weight matrices on the loss over all samples, by an eighth-order method."""
    shapes = [w.shape for w in weights]

    def split(flat):
        parts, at = [], 0
        for shape in shapes:
            parts.append(flat[at : at + shape[0] * shape[1]].reshape(shape))
            at += shape[0] * shape[1]
        return parts

    def slope(_, flat):
        W = split(flat)
        features = [X]
        for w in W:
            features.append(w @ features[-1])
        back, slopes = 2 * (Y - features[-1]) / X.shape[1], []
        for w, z in zip(W[::-1], features[-2::-1], strict=True):
            slopes.append(back @ z.T)
            back = w.T @ back
        return np.concatenate([s.ravel() for s in slopes[::-1]])

    found = scipy.integrate.solve_ivp(
        slope,
        (0, max(times)),
        np.concatenate([w.ravel() for w in weights]),
        method="DOP853",
        t_eval=times,
        rtol=1e-10,
        atol=1e-12,
    )
    return [split(flat) for flat in found.y.T]


@settings(max_examples=40)
@given(directions)
def test_time_is_the_integral_of_the_flow(direction):
    depth, start, s, samples, λ = direction
    for share in (0.3, 0.5, 0.9, 0.999):
        if start**depth / s >= share:
            continue
        end = (share * s) ** (1 / depth)
        slow = (
            scipy.integrate.quad(
                lambda u: np.exp(u) / (np.exp(u) ** (depth - 1) * (s - np.exp(u) ** depth)),
                np.log(start),
                np.log(end),
                epsrel=1e-11,
                limit=500,
            )[0]
            * samples
            / (2 * λ)
        )
        found = time_to_reach(share, s, depth=depth, start=start, samples=samples, input_scale=λ)
        assert found == pytest.approx(slow, rel=1e-8)


@settings(max_examples=25)
@given(directions)
def test_growth_and_time_are_inverse(direction):
    depth, start, s, samples, λ = direction
    shares = np.linspace(start**depth / s, 1, 9)[1:-1]
    times = np.array([time_to_reach(w, s, depth=depth, start=start, samples=samples, input_scale=λ) for w in shares])
    σ = signal_growth(times, np.array([s]), depth=depth, start=start, samples=samples, input_scales=np.array([λ]))[:, 0]
    # time is known to 1e-10 of the plateau, and w moves by about (plateau)/(unit time) for each share of it
    np.testing.assert_allclose(σ**depth / s, shares, rtol=1e-8 * (start**depth / s) ** (2 / depth - 1))
    # a wrong exponent would be seen: the next depth takes another time
    other = time_to_reach(shares[3], s, depth=depth + 1, start=start, samples=samples, input_scale=λ)
    assert abs(other / times[3] - 1) > 1e-3


def test_two_layers_follow_the_logistic_curve():
    s, start, samples = 3.0, 0.05, 12
    t = np.linspace(0, 40, 50)
    σ = signal_growth(t, np.array([s]), depth=2, start=start, samples=samples)[:, 0]
    np.testing.assert_allclose(σ**2, s / (1 + (s / start**2 - 1) * np.exp(-4 * s * t / samples)), rtol=1e-8)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_balanced_aligned_weights_move_as_said(depth):
    problem = draw(ProblemSpec(kind="orthonormal", classes=2, samples_per_class=(2, 4), dimension=7))
    network = NetworkSpec(depth=depth, width=9, residual_scale=0.3)
    modes = signal_modes(problem, network)
    # weights with the rotations of the minimum but signal values that have not grown yet
    tiny = exact_weights(Problem(X=problem.X, y=problem.y), network, seed=1)
    start = []
    for l, W in enumerate(tiny):
        u, v, w = np.linalg.svd(W, full_matrices=False)
        v[: modes.directions] = 0.3
        start.append(
            (u * v) @ w if l < depth - 1 else (u[:, : modes.directions] * v[: modes.directions]) @ w[: modes.directions]
        )
    times = np.linspace(0, 30, 7)
    X, Y = problem.X.T, np.eye(2)[problem.y].T
    found = predict_dynamics(problem, network, times, aligned=True)
    for at, W in enumerate(gradient_flow(start, X, Y, times)):
        feature = modes.right
        for l in range(depth + 1):
            np.testing.assert_allclose(np.linalg.norm(feature, axis=0), found.amplitudes[at, :, l], rtol=1e-6)
            if l < depth:
                feature = W[l] @ feature
    assert found.amplitudes[-1, 0, depth] > 0.9 * modes.values[0]


@pytest.mark.parametrize("depth", [2, 3, 4, 6])
def test_unaligned_weights_of_a_wide_network_move_as_said(depth):
    """Orthogonal initial weights whose classifier rows are orthogonal to the images of the data: the limit of wide
    nets."""
    problem = draw(ProblemSpec(kind="orthonormal", classes=2, samples_per_class=(2, 3), dimension=5, seed=3))
    ε = 0.35
    network = NetworkSpec(depth=depth, width=9, residual_scale=ε)
    modes = signal_modes(problem, network)
    rng = np.random.default_rng(depth)
    rotations = [np.linalg.qr(rng.standard_normal((9, 5)))[0]]
    rotations += [np.linalg.qr(rng.standard_normal((9, 9)))[0] for _ in range(depth - 2)]
    through = np.linalg.multi_dot([*rotations[::-1], np.eye(5)])
    rows = np.linalg.svd(through, full_matrices=True)[0][:, 5:7].T
    start = [ε * w for w in [*rotations, rows]]
    times = np.array([0, 0.5, 1, 2, 4, 8, 16, 32, 64.0])
    found = predict_dynamics(problem, network, times)
    X, Y = problem.X.T, np.eye(2)[problem.y].T
    y = problem.y
    for at, W in enumerate(gradient_flow(start, X, Y, times)):
        Z, feature = X, modes.right
        for l in range(depth):
            np.testing.assert_allclose(np.linalg.norm(feature, axis=0), found.amplitudes[at, :, l], rtol=1e-6)
            means = np.array([Z[:, y == k].mean(axis=1) for k in range(2)])
            within = sum(np.sum((Z[:, y == k].T - means[k]) ** 2) for k in range(2)) / 5
            between = np.bincount(y) / 5 @ np.sum((means - Z.mean(axis=1)) ** 2, axis=1)
            assert found.compression[at, l] == pytest.approx(within / between, rel=1e-5)
            cosine = means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1])
            assert found.discrimination[at, l] == pytest.approx(1 - cosine, abs=1e-6)
            Z, feature = W[l] @ Z, W[l] @ feature
        product = modes.left.T @ feature
        np.testing.assert_allclose(np.diag(product), found.amplitudes[at, :, depth], rtol=1e-6, atol=1e-8)
        missing = np.linalg.norm(Y - Z) ** 2 / np.linalg.norm(Y) ** 2
        assert found.loss[at] == pytest.approx(missing, rel=1e-5, abs=1e-9)
    assert found.loss[-1] < 0.1 < found.loss[0]
    assert len(set(found.loss.round(3))) > 2  # on the way, too


def test_the_plateau_of_deep_networks_has_the_length_of_its_formula():
    for depth in (3, 4, 6):
        ratios = []
        for ε in (0.1, 0.01):
            formula = 30 / (2 * np.sqrt(10) * (depth - 2) * ε ** (depth - 2))
            ratios.append(plateau_time(np.sqrt(10), depth=depth, start=ε, samples=30) / formula)
        assert abs(ratios[1] - 1) < abs(ratios[0] - 1) < 0.5
        assert abs(ratios[1] - 1) < 0.05


def test_unaligned_weights_stay_longer_on_the_plateau_by_a_factor_of_the_depth_alone():
    """The 1.26 to 1.39 that simulations of section 5 showed; 1/ε → ∞ has a limit."""
    expected = {3: 1.21, 4: 1.28, 5: 1.32, 6: 1.345, 8: 1.375}
    for depth, factor in expected.items():
        common = {"depth": depth, "start": 0.1, "samples": 30}
        slow, fast = (plateau_time(np.sqrt(10), **common, aligned=a) for a in (False, True))
        assert slow / fast == pytest.approx(factor, abs=0.006)
    a, b = (
        plateau_time(2.0, depth=5, start=0.03, samples=n, input_scale=λ, aligned=False)
        / plateau_time(2.0, depth=5, start=0.03, samples=n, input_scale=λ)
        for n, λ in ((30, 1.0), (7, 2.5))
    )
    assert a == pytest.approx(b, rel=1e-6)


def test_it_begins_with_the_data_and_ends_with_the_law():
    problem = draw(ProblemSpec(kind="nearly-orthonormal", theta=0.3))
    network = NetworkSpec(depth=4, residual_scale=0.2)
    law = predict(problem, network)
    for aligned in (True, False):
        found = predict_dynamics(problem, network, [0.0, 1e5], aligned=aligned)
        # at the start every direction has the scale ε: all layers look like the data
        np.testing.assert_allclose(found.compression[0], law.compression[0], rtol=1e-9)
        np.testing.assert_allclose(found.discrimination[0], law.discrimination[0], rtol=1e-9)
        if aligned:
            np.testing.assert_allclose(found.compression[1], law.compression, rtol=1e-8)
            np.testing.assert_allclose(found.discrimination[1], law.discrimination, atol=1e-9)
        else:  # the imbalance of the last pair of layers is conserved: δ = ε²
            np.testing.assert_allclose(found.compression[1], law.compression, rtol=0.05)
        assert found.loss[0] == pytest.approx(1)
        assert found.loss[1] < 1e-12


@pytest.mark.parametrize("times", [[], [-1.0], [np.nan], [np.inf]])
def test_times_that_are_none_are_refused(times):
    problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    with pytest.raises(InvalidInputError, match="finite times, 0 or later"):
        predict_dynamics(problem, NetworkSpec(depth=3), times)


def test_directions_that_do_not_grow_are_refused():
    with pytest.raises(InvalidInputError, match="grows to its target"):
        signal_growth(np.array([1.0]), np.array([0.5]), depth=2, start=0.9, samples=4)
    with pytest.raises(InvalidInputError, match="share"):
        time_to_reach(1.0, 2.0, depth=3, start=0.1, samples=4)
    assert unaligned_growth(np.array([0.0]), np.array([1.0]), depth=2, start=0.1, samples=4)[0, 0, 2] == 0
