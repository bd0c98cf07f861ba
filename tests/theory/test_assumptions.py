"""Assumptions measured on data and weights against the definitions, and constructed weights against A1–A3."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from pnc.data import Problem
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec
from pnc.theory import (
    applicable_statements,
    data_modes,
    exact_weights,
    layer_statistics,
    measure_data,
    measure_weights,
    residual_projection_of,
    signal_modes,
)
from pnc.theory.exact_weights import _haar
from tests.strategies import cases, nearly_orthonormal, problems, signal_values


@settings(max_examples=100)
@given(cases())
def test_constructed_weights_satisfy_every_assumption(case):
    problem, network = case.problem, case.network
    weights = exact_weights(problem, network, seed=case.seed)
    measured = measure_weights(weights, problem, network)
    condition = data_modes(problem).condition
    scale = max(np.linalg.norm(W, 2) for W in weights)
    r = signal_modes(problem, network).directions
    assert not measured.map_error_relative > 1e-13 * condition**2 * network.depth
    assert np.all(measured.imbalance <= 1e-13 * scale**2 * problem.dimension)
    low, high = measured.residual_interval
    width = max(problem.dimension, problem.classes) if network.width is None else network.width
    if min(width, problem.dimension) > r:
        # σ_i and ε are singular values of one matrix: each is found to rounding of the largest
        assert abs(low - network.residual_scale) <= 1e-13 * scale * problem.dimension
        assert abs(high - network.residual_scale) <= 1e-13 * scale * problem.dimension
        assert np.all(measured.residual_variance <= (1e-13 * scale * problem.dimension) ** 2)
    else:
        assert np.isnan([low, high]).all()
    # outside the reachable space too: each hidden layer has nothing but signal scales and ε
    for W in weights[:-1]:
        s = np.linalg.svd(W, compute_uv=False)
        expected = np.full(s.size, network.residual_scale)
        expected[:r] = signal_modes(problem, network).values ** (1 / network.depth)
        assert np.sort(s) == pytest.approx(np.sort(expected), abs=1e-13 * scale * problem.dimension)


@settings(max_examples=100)
@given(cases())
def test_signal_modes_are_those_of_the_least_squares_map(case):
    problem, network = case.problem, case.network
    modes = signal_modes(problem, network)
    found = np.concatenate([modes.values, modes.truncated])
    expected = signal_values(problem, network.label_scale)
    assert found[: expected.size] == pytest.approx(expected, rel=1e-9)
    assert found[expected.size :] == pytest.approx(0, abs=1e-9 * found[0])
    assert np.all(modes.values > modes.threshold)
    assert modes.threshold >= 2 * network.residual_scale**network.depth


@settings(max_examples=100)
@given(problems())
def test_measured_theta(drawn):
    problem, kind = drawn
    measured, N = measure_data(problem), problem.samples
    G = problem.X @ problem.X.T
    assert measured.gram_invertible == (np.linalg.matrix_rank(problem.X) == N)
    assert measured.theta_spectral == pytest.approx(np.linalg.norm(G - np.eye(N), 2), rel=1e-9, abs=1e-12)
    if measured.gram_invertible:
        assert measured.theta_entrywise == pytest.approx(N * np.abs(G - np.eye(N)).max(), rel=1e-9, abs=1e-12)
        assert measured.theta_spectral <= measured.theta_entrywise * (1 + 1e-12) + 1e-12
    else:
        assert measured.theta_entrywise == np.inf
        assert measured.theta_spectral >= 1 - 1e-12
    statements = applicable_statements(problem, NetworkSpec(depth=3, residual_scale=1e-3))
    centred_or_copied = kind in ("tall", "duplicated", "centred")
    assert statements["T1"].applies == (not centred_or_copied)
    assert statements["T6"].applies == (not centred_or_copied and problem.balanced)
    assert statements["T3"].applies


@pytest.mark.parametrize("theta", [0.0, 0.3, 0.99])
def test_theta_of_the_draw_is_found(theta):
    rows = nearly_orthonormal(np.random.default_rng(0), 10, 15, theta)
    measured = measure_data(Problem(X=rows, y=np.arange(10) % 2))
    assert measured.theta_entrywise == pytest.approx(theta, rel=1e-9, abs=1e-12)


def test_each_violation_is_measured():
    """Weights spoiled in one assumption at a time, by a known amount."""
    rng = np.random.default_rng(0)
    problem = Problem(X=rng.standard_normal((8, 12)), y=np.arange(8) % 3)
    network = NetworkSpec(depth=4, residual_scale=0.2, width=15)
    weights = exact_weights(problem, network, seed=0)
    modes = signal_modes(problem, network)

    off_map = [*weights[:-1], 1.01 * weights[-1]]
    assert measure_weights(off_map, problem, network).map_error_relative == pytest.approx(0.01, rel=1e-9)

    # the largest entry of (1.1² - 1) W_2ᵀW_2 on the range of W_1 is the largest signal scale squared
    unbalanced = [weights[0], 1.1 * weights[1], *weights[2:]]
    found = measure_weights(unbalanced, problem, network).imbalance
    top = modes.values[0] ** (2 / 4)
    assert found == pytest.approx([0.21 * top, 0.21 * top, 0], rel=1e-9, abs=1e-12)

    # one residual direction of W_2 from ε to 2 ε
    U, s, Vt = np.linalg.svd(weights[1])
    samples = np.linalg.svd(problem.X)[2][:8].T  # basis of their span
    reach = np.linalg.svd(weights[0] @ samples)[0][:, 5]  # a residual direction that the samples reach
    spread = [weights[0], weights[1] + np.outer(weights[1] @ reach, reach), *weights[2:]]
    measured = measure_weights(spread, problem, network)
    assert measured.residual_interval == pytest.approx((0.2, 0.4), rel=1e-9)
    assert measured.residual_variance[1] == pytest.approx(np.var([0.2] * 4 + [0.4]), rel=1e-9)
    assert s.shape == U.shape[:1] == Vt.shape[:1]


def test_a_fit_that_leans_off_the_samples_is_no_minimum_norm_map():
    """The ledger's 'fit only' (T1): W_{L:1} X = M X, balance and one residual scale on all of R^d, and yet no law."""
    u, v, ε = np.array([[3.0], [4.0]]) / 5, np.array([[1.0, 0.0]]), 0.3
    plane = ε * np.eye(2) + u @ u.T
    fourth = np.linalg.matrix_power(plane, 4)
    size = np.sqrt(fourth[0, 0])
    weights = [np.kron(plane, np.eye(2)), np.kron(v @ fourth @ np.linalg.inv(plane) / size, np.eye(2))]
    problem = Problem(X=np.eye(2, 4) / size, y=[0, 1])
    network = NetworkSpec(depth=2, residual_scale=ε, width=4)
    np.testing.assert_allclose(weights[1] @ weights[0] @ problem.X.T, np.eye(2), atol=1e-12)
    whole = weights[1].T @ weights[1] - weights[0] @ weights[0].T
    np.testing.assert_allclose(whole @ weights[0] @ np.eye(4, 2), 0, atol=1e-12)  # balanced on the signal
    measured = measure_weights(weights, problem, network)
    assert measured.map_error < 1e-12
    assert measured.imbalance.max() > 0.1 * ε**2


def test_balance_is_asked_only_where_the_network_reaches():
    """Orthogonal initial weights with d_h > d: ‖W_2ᵀW_2 - W_1W_1ᵀ‖ = ε², but nothing is off on the reachable
    space."""
    rng = np.random.default_rng(1)
    problem = Problem(X=rng.standard_normal((5, 6)), y=[0, 1, 0, 1, 0])
    W1, W2 = (np.linalg.qr(rng.standard_normal((9, k)))[0] * 0.3 for k in (6, 9))
    W3 = rng.standard_normal((2, 9))
    assert np.linalg.norm(W2.T @ W2 - W1 @ W1.T, 2) == pytest.approx(0.09)
    network = NetworkSpec(depth=3, residual_scale=0.3, width=9)
    assert measure_weights([W1, W2, W3], problem, network).imbalance[0] < 1e-15


def test_reasons_name_the_number():
    rng = np.random.default_rng(0)
    problem = Problem(X=100 * rng.standard_normal((6, 10)), y=np.arange(6) % 3)
    statements = applicable_statements(problem, NetworkSpec(depth=2, residual_scale=0.9, width=4))
    assert "do not exceed the signal threshold 1.62" in statements["T1"].reason
    assert "width 4 < d = 10" in statements["T5"].reason


def test_plain_forms_for_json():
    rng = np.random.default_rng(0)
    problem, network = Problem(X=rng.standard_normal((6, 10)), y=np.arange(6) % 3), NetworkSpec(depth=3)
    assert measure_data(problem).to_dict()["rank"] == 6
    weights = exact_weights(problem, network, seed=0)
    plain = measure_weights(weights, problem, network).to_dict()
    assert len(plain["imbalance"]) == 2
    assert plain["residual_interval"] == pytest.approx([0.3, 0.3])


def test_weights_that_do_not_fit_are_refused():
    problem, network = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1]), NetworkSpec(depth=3, width=5)
    weights = exact_weights(problem, network, seed=0)
    for wrong in (weights[:2], [*weights[:2], weights[2].T], [weights[0].T, *weights[1:]], []):
        with pytest.raises(InvalidInputError, match="expected 3 matrices"):
            measure_weights(wrong, problem, network)
    with pytest.raises(InvalidInputError, match=r"expected shape \(d_1, 6\)"):
        residual_projection_of([np.eye(4)], problem, network)


@pytest.mark.parametrize(
    ("projection", "message"),
    [
        (np.eye(5, 6), "m ≤ 2"),
        (np.eye(2, 5), r"shape \(m, 6\)"),
        (2 * np.eye(2, 6), "orthonormality"),
        (np.ones(6), "shape"),
    ],
)
def test_projections_that_do_not_fit_are_refused(projection, message):
    problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    with pytest.raises(InvalidInputError, match=message):
        layer_statistics(problem, NetworkSpec(depth=3, width=4), residual_projection=projection)


def test_inputs_that_are_all_zero_are_refused():
    with pytest.raises(InvalidInputError, match="all zero"):
        data_modes(Problem(X=np.zeros((4, 3)), y=[0, 0, 1, 1]))


def test_rotations_are_haar():
    """Entries of a Haar-random matrix have mean 0 and variance 1/3; a bare QR factor has a biased
    diagonal."""
    rng = np.random.default_rng(0)
    drawn = np.array([_haar(rng, 3) for _ in range(2000)])
    assert np.abs(drawn.mean(axis=0)).max() < 5 / np.sqrt(3 * 2000)
    assert (drawn**2).mean(axis=0) == pytest.approx(np.full((3, 3), 1 / 3), abs=0.05)


def test_same_seed_same_weights():
    problem, network = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1]), NetworkSpec(depth=4, width=5)
    first, again, other = (exact_weights(problem, network, seed=s) for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not np.allclose(first[0], other[0])
    assert [W.shape for W in first] == [(5, 6), (5, 5), (5, 5), (2, 5)]
