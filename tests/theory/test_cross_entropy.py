"""E1 to E4 against flows written out in class space and against their own limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.integrate

from pnc.data import Problem
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.spec import NetworkSpec
from pnc.theory import predict
from pnc.theory.cross_entropy import (
    cross_polytope_cost,
    deviation_growth,
    final_margin,
    healing_margin,
    losing_depth,
    loss_of_margin,
    margin_growth,
    margin_of_loss,
    predict_cross_entropy,
    simplex_cost,
    simplex_expected,
)
from pnc.theory.given_map import predict_from_map
from tests import strategies


def orthonormal(classes, size, dimension=None):
    N = classes * size
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((dimension or N + 5, N)))[0]
    return Problem(X=Q.T, y=np.repeat(np.arange(classes), size))


def matrix_power(A, power):
    values, vectors = np.linalg.eigh(A)
    return (vectors * np.maximum(values, 0) ** power) @ vectors.T


def end_to_end_slope(S, depth, size):
    """Flow of the end-to-end map in class space, orthonormal data: columns are classes, σ-units."""
    logits = S / np.sqrt(size)
    soft = np.exp(logits - logits.max(axis=0))
    soft /= soft.sum(axis=0)
    pull = (np.eye(len(S)) - soft) / len(S) / size * np.sqrt(size)
    left, right = S @ S.T, S.T @ S
    return sum(
        matrix_power(left, (depth - j) / depth) @ pull @ matrix_power(right, (j - 1) / depth)
        for j in range(1, depth + 1)
    )


@pytest.mark.parametrize(("classes", "depth"), [(4, 3), (5, 4), (6, 2)])
def test_departures_from_the_simplex(classes, depth):
    """E4: a small symmetric δ with zero diagonal and row sums, against the matrix flow."""
    n, z0 = 4, 0.8
    J = np.eye(classes) - 1 / classes
    δ = np.zeros((classes, classes))
    for i, j, sign in ((0, 1, 1), (2, 3, 1), (0, 2, -1), (1, 3, -1)):
        δ[i, j] = δ[j, i] = sign
    small = 1e-5
    start = np.sqrt(n) * (z0 * J + small * δ)
    found = scipy.integrate.solve_ivp(
        lambda _, s: end_to_end_slope(s.reshape(classes, classes), depth, n).ravel(),
        (0, 4000),
        start.ravel(),
        t_eval=np.linspace(0, 4000, 7)[1:],
        rtol=1e-10,
        atol=1e-13,
    )
    for state in found.y.T:
        S = state.reshape(classes, classes) / np.sqrt(n)
        z = np.trace(S) / (classes - 1)
        relative = np.sum(S * δ) / np.sum(δ * δ) / z
        law = small / z0 * deviation_growth(z, z0, classes=classes, depth=depth)
        assert relative == pytest.approx(law, rel=0.01)
    assert healing_margin(classes=classes, depth=depth) == classes * (1 - 2 / depth)


def test_where_a_departure_is_largest():
    grid = np.linspace(0.5, 8, 20_001)
    factor = [deviation_growth(z, 0.5, classes=6, depth=4) for z in grid]
    assert grid[int(np.argmax(factor))] == pytest.approx(healing_margin(classes=6, depth=4), abs=1e-3)
    falling = [deviation_growth(z, 0.5, classes=6, depth=2) for z in grid]
    assert np.all(np.diff(falling) < 0)  # two layers: it never grows


@pytest.mark.parametrize("classes", [4, 6, 10])
def test_costs_are_those_of_the_maps_themselves(classes):
    for depth in (2, 3, 4):
        simplex = np.eye(classes) - 1 / classes
        pairs = np.kron(np.eye(classes // 2), np.array([[1.0, -1.0], [-1.0, 1.0]]))
        for map, cost in (
            (simplex, simplex_cost(classes)),
            (pairs, cross_polytope_cost(classes=classes, depth=depth)),
        ):
            right = np.diag(map)
            others = map - np.diag(right) - 1e9 * np.eye(classes)
            assert np.min(right - others.max(axis=0)) == pytest.approx(1)  # the margin
            s = np.linalg.svd(map, compute_uv=False)
            assert np.sum(s[s > 1e-9] ** (2 / depth)) == pytest.approx(cost)
        loses = simplex_cost(classes) > cross_polytope_cost(classes=classes, depth=depth)
        assert loses == (depth > losing_depth(classes))


def test_margin_in_time_is_the_matrix_flow():
    classes, n, depth, start = 4, 5, 3, 0.4
    J = np.eye(classes) - 1 / classes
    times = np.array([0.0, 3.0, 30.0, 300.0])
    found = scipy.integrate.solve_ivp(
        lambda _, s: end_to_end_slope(s.reshape(classes, classes), depth, n).ravel(),
        (0, 300),
        (start**depth * J).ravel(),
        t_eval=times,
        rtol=1e-10,
        atol=1e-13,
    )
    z = [np.trace(s.reshape(classes, classes)) / (classes - 1) / np.sqrt(n) for s in found.y.T]
    law = margin_growth(times, classes=classes, samples_per_class=n, depth=depth, start=start)
    assert law == pytest.approx(z, rel=1e-6)


def test_late_margin():
    """e^z ≈ L n^{-1/L} t z^{2-2/L}: its logarithm is right, ever more so."""
    times = np.array([1e6, 1e12, 1e18])
    z = margin_growth(times, classes=3, samples_per_class=6, depth=3, start=0.3)
    off = np.abs(np.log(3 * 6 ** (-1 / 3) * times) + (2 - 2 / 3) * np.log(z) - z)
    assert off[2] < off[1] < off[0] < 1.0


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_final_margin_is_where_the_flow_stops(depth):
    sizes = dict(classes=3, samples_per_class=4, depth=depth)
    z = final_margin(weight_decay=0.01, **sizes)
    late = margin_growth(np.array([5e4]), start=0.9, weight_decay=0.01, **sizes)[0]
    assert late == pytest.approx(z, rel=1e-8)
    assert final_margin(weight_decay=5.0, **sizes) == 0  # it forgets
    smaller = final_margin(weight_decay=1e-12, **sizes)
    assert smaller > z


def test_margin_and_loss_are_inverse():
    for K in (2, 3, 10):
        for z in (0.0, 0.1, 3.0, 30.0):
            assert margin_of_loss(loss_of_margin(z, K), K) == pytest.approx(z, abs=1e-9)


@pytest.mark.parametrize(("classes", "size", "depth"), [(2, 5, 3), (3, 4, 4), (7, 3, 2)])
def test_closed_form(classes, size, depth):
    """E2 as written: C_l = C_0 r^l, D_l = K/(K - 1 + r^l)."""
    problem, ε, loss = orthonormal(classes, size), 0.25, 1e-4
    curve = predict_cross_entropy(problem, NetworkSpec(depth=depth, residual_scale=ε), loss=loss)
    z = math.log(classes - 1) - math.log(math.expm1(loss))
    r = ε**2 / (size * z**2) ** (1 / depth)
    l = np.arange(depth)
    C0 = (size - 1) * classes / (classes - 1)
    assert curve.compression == pytest.approx(C0 * r**l, rel=1e-10)
    assert curve.discrimination == pytest.approx(classes / (classes - 1 + r**l), rel=1e-10)
    assert curve.provenance["margin"] == pytest.approx(z)


def test_a_given_map_needs_no_loss():
    """E1 with the minimum-norm map is T3."""
    rng = np.random.default_rng(3)
    for X in (rng.standard_normal((12, 20)), rng.standard_normal((30, 6))):
        problem, network = Problem(X=X, y=np.arange(len(X)) % 3), NetworkSpec(depth=4, residual_scale=0.1)
        M = np.eye(3)[problem.y].T @ np.linalg.pinv(X.T)
        off = M + rng.standard_normal(M.shape) @ (np.eye(X.shape[1]) - np.linalg.pinv(X) @ X)  # off the span
        law, curve = predict(problem, network), predict_from_map(problem, off, depth=4, residual_scale=0.1)
        for name in ("compression", "discrimination", "separation_fuzziness"):
            assert getattr(curve, name) == pytest.approx(getattr(law, name), rel=1e-8, abs=1e-12)
        with pytest.raises(InvalidInputError, match="end-to-end map"):
            predict_from_map(problem, M[:, 1:], depth=4, residual_scale=0.1)


def test_which_shapes_are_to_be_expected():
    assert simplex_expected(classes=10, depth=2)
    assert simplex_expected(classes=4, depth=3)
    assert simplex_expected(classes=3, depth=9)
    assert not simplex_expected(classes=5, depth=3)
    assert not simplex_expected(classes=4, depth=4)
    curve = predict_cross_entropy(orthonormal(6, 2), NetworkSpec(depth=4, residual_scale=0.2), loss=1e-3)
    assert "E1" in curve.provenance["note"]


def test_statements_outside_their_assumptions_are_refused_by_name():
    network = NetworkSpec(depth=3, residual_scale=0.2)
    X = strategies.nearly_orthonormal(np.random.default_rng(0), 6, 9, 0.3)
    with pytest.raises(NotApplicableError, match="orthonormal inputs"):
        predict_cross_entropy(Problem(X=X, y=[0, 0, 1, 1, 2, 2]), network, loss=0.1)
    with pytest.raises(NotApplicableError, match="equal classes"):
        predict_cross_entropy(Problem(X=np.eye(5), y=[0, 0, 0, 1, 1]), network, loss=0.1)
    with pytest.raises(NotApplicableError, match="E1"):
        predict_cross_entropy(orthonormal(3, 2), NetworkSpec(depth=3, label_scale=2.0), loss=0.1)
    for wrong in ({}, {"loss": 0.1, "time": 3.0}, {"loss": 2.0}, {"loss": 0.0}):
        with pytest.raises(InvalidInputError, match="loss"):
            predict_cross_entropy(orthonormal(3, 2), network, **wrong)
    with pytest.raises(InvalidInputError, match="weight_decay"):
        predict_cross_entropy(orthonormal(3, 2), network, weight_decay=-1.0)
