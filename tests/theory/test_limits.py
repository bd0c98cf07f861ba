"""Limits before numbers: where the law must reduce to something known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.data import Problem
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec
from pnc.theory import exact_weights, layer_statistics, predict, rounding_allowance
from tests import oracles
from tests.strategies import cases, class_sizes, nearly_orthonormal
from tests.theory.agreement import QUANTITIES


@settings(max_examples=60)
@given(cases())
def test_layer_zero_is_the_data(case):
    problem, network = case.problem, case.network
    curve, measured = predict(problem, network), oracles.measure_layer(problem.X, problem.y)
    for quantity in QUANTITIES:
        allowed = max(1e-12, rounding_allowance(problem, network, quantity=quantity)[0])
        expected = pytest.approx(getattr(measured, quantity), rel=allowed, abs=1e-12)
        assert getattr(curve, quantity)[0] == expected


@settings(max_examples=60)
@given(cases(kinds=("orthonormal",), sizes=class_sizes(balanced=True), widths=("none",)))
def test_orthonormal_data_give_the_closed_form(case):
    problem, network = case.problem, case.network
    n, K, L = int(problem.counts[0]), problem.classes, network.depth
    rate = network.residual_scale**2 / (n / network.label_scale**2) ** (1 / L)
    curve = predict(problem, network)
    assert curve.compression == pytest.approx((n - 1) * K / (K - 1) * rate ** np.arange(L), rel=1e-11)
    assert curve.discrimination == pytest.approx(np.ones(L), abs=1e-12)
    assert np.all(curve.separation_fuzziness < 1e-24)


@pytest.mark.parametrize("depth", [2, 3, 8])
def test_theta_to_zero(depth):
    """The excess over the orthonormal law vanishes with θ, at least in proportion to it."""
    excess = []
    for theta in (1e-2, 1e-4, 1e-6):
        rng = np.random.default_rng(7)
        problem = Problem(X=nearly_orthonormal(rng, 12, 20, theta), y=np.repeat(np.arange(3), 4))
        curve = predict(problem, NetworkSpec(depth=depth, residual_scale=0.2))
        rate = 0.2**2 / 4 ** (1 / depth)
        exact = 3 * 3 / 2 * rate ** np.arange(depth)
        excess.append(np.abs(curve.compression / exact - 1).max() + np.abs(curve.discrimination - 1).max())
        assert excess[-1] <= 4 * theta
    assert excess[0] > 10 * excess[1] > 100 * excess[2] > 0


@pytest.mark.parametrize("depth", [2, 5])
def test_one_sample_a_class_has_nothing_to_compress(depth):
    rng = np.random.default_rng(3)
    problem = Problem(X=rng.standard_normal((4, 9)), y=np.arange(4))
    network = NetworkSpec(depth=depth, residual_scale=0.2)
    curve = predict(problem, network)
    assert np.array_equal(curve.within_scatter, np.zeros(depth))
    assert np.array_equal(curve.compression, np.zeros(depth))
    assert np.isinf(rounding_allowance(problem, network)).all()
    Z = oracles.features_of_layers(exact_weights(problem, network, seed=0), problem.X)
    found = [oracles.measure_layer(z, problem.y).discrimination for z in Z]
    assert curve.discrimination == pytest.approx(found, abs=1e-12)


def test_two_classes_two_layers_by_hand():
    """K = L = 2, X = I, n = (1, 2), α = 1: H = diag(1, 2), Q_1 = H^{-1/2} + ε² (Q_0 - H⁻¹), and Q_0 = H⁻¹."""
    problem = Problem(X=np.eye(3), y=[0, 1, 1])
    curve = predict(problem, NetworkSpec(depth=2, residual_scale=0.5))
    between = 1 / 3 * 1 + 2 / 3 / np.sqrt(2) - (1 / 9 + 4 / 9 / np.sqrt(2))
    within = (1 / 2 + 1 / 2) / 3
    assert curve.within_scatter == pytest.approx([within, 0.25 * within], rel=1e-14)
    assert curve.between_scatter[1] == pytest.approx(between, rel=1e-14)
    assert curve.discrimination == pytest.approx([1, 1], abs=1e-14)


def test_a_zero_class_mean_leaves_discrimination_undefined():
    X = np.array([[1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
    curve = predict(Problem(X=X, y=[0, 0, 1, 1]), NetworkSpec(depth=3, residual_scale=0.1))
    assert np.isnan(curve.discrimination[0])
    assert np.all(np.isfinite(curve.compression))


def test_classes_with_one_mean_leave_compression_undefined():
    X = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 2.0], [1.0, -2.0]])
    curve = predict(Problem(X=X, y=[0, 0, 1, 1]), NetworkSpec(depth=3, residual_scale=0.1))
    assert np.isnan(curve.compression).all()
    assert np.isnan(curve.separation_fuzziness).all()
    # with digits that do not add up exactly
    rng = np.random.default_rng(0)
    mean, away = rng.standard_normal(9), rng.standard_normal((4, 9))
    X = mean + np.concatenate([away, -away])
    curve = predict(Problem(X=X, y=np.tile([0, 0, 1, 1], 2)), NetworkSpec(depth=3, residual_scale=0.1))
    assert np.isnan(curve.compression).all()


def test_signal_that_the_initial_weights_hide_is_residual():
    """s < 2 ε^L everywhere: no layer tells signal from residual, and C and D stay those of the data."""
    rng = np.random.default_rng(1)
    problem = Problem(X=10 * rng.standard_normal((6, 10)), y=np.repeat([0, 1, 2], 2))
    curve = predict(problem, NetworkSpec(depth=4, residual_scale=0.9))
    assert curve.provenance["signal_directions"] == 0
    assert curve.compression == pytest.approx(np.full(4, curve.compression[0]), rel=1e-12)
    assert curve.discrimination == pytest.approx(np.full(4, curve.discrimination[0]), rel=1e-12)


def test_a_width_of_the_signal_alone_leaves_no_residual():
    rng = np.random.default_rng(2)
    problem = Problem(X=rng.standard_normal((6, 10)), y=np.repeat([0, 1, 2], 2))
    curve = predict(problem, NetworkSpec(depth=3, residual_scale=0.1, width=3))
    assert curve.compression[0] > 0
    assert np.array_equal(curve.compression[1:], [0, 0])
    with pytest.raises(InvalidInputError, match="width = 2 with 3 signal directions"):
        predict(problem, NetworkSpec(depth=3, residual_scale=0.1, width=2))


@given(st.integers(2, 12), st.floats(0.05, 0.6))
@settings(max_examples=40)
def test_any_width_of_at_least_the_dimension_gives_one_law(depth, epsilon):
    rng = np.random.default_rng(depth)
    problem = Problem(X=rng.standard_normal((8, 12)), y=np.arange(8) % 3)
    curves = [
        predict(problem, NetworkSpec(depth=depth, residual_scale=epsilon, width=width)) for width in (None, 12, 50)
    ]
    for quantity in QUANTITIES:
        first, second, third = (getattr(curve, quantity) for curve in curves)
        assert np.array_equal(first, second)
        assert np.array_equal(second, third)


def test_equal_eigenvalues_and_a_growing_residual():
    """ε² = n^{1/L}: signal and residual are scaled alike, so orthonormal data keep C_0 at every layer."""
    problem = Problem(X=np.eye(12), y=np.repeat([0, 1, 2], 4))
    epsilon = np.sqrt(4 ** (1 / 6)) * 0.89  # just below: 2 ε^L must stay below s
    curve = predict(problem, NetworkSpec(depth=6, residual_scale=epsilon))
    assert curve.compression == pytest.approx(4.5 * 0.89 ** (2 * np.arange(6)), rel=1e-12)
    assert layer_statistics(problem, NetworkSpec(depth=6, residual_scale=epsilon)).statement == "T1"
