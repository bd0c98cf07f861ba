"""V1 to V5 against scalar descent, matrix powers written out and 50-digit roots."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
import scipy.linalg

from pnc.data import Problem
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.spec import NetworkSpec
from pnc.theory import predict
from pnc.theory.weight_decay import (
    class_fates,
    class_growth,
    death_decay,
    decayed_scale,
    escape_decay,
    first_death,
    minority_curves,
    predict_weight_decay,
    regularised_map,
    surviving_value,
    value_at_death,
)
from tests import strategies


def clouds(counts, dimension, *, centres=0.7, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    X = rng.standard_normal((y.size, dimension)) + centres * rng.standard_normal((len(counts), dimension))[y]
    return Problem(X=X / np.sqrt(dimension), y=y)


def nearly_orthonormal(counts, dimension, theta, seed=0):
    X = strategies.nearly_orthonormal(np.random.default_rng(seed), sum(counts), dimension, theta)
    return Problem(X=X, y=np.repeat(np.arange(len(counts)), counts))


PROBLEMS = [
    nearly_orthonormal([6, 6, 6], 25, 0.7),
    nearly_orthonormal([9, 5, 2], 25, 0.5),
    clouds([6, 6, 6], 40),
    clouds([20, 15, 10], 7),
]


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("label_scale", [1.0, 2.0])
def test_the_map_solves_its_equation(problem, depth, label_scale):
    """With fractional matrix powers of MᵀM, which the solver never forms."""
    X, Y, N = problem.X.T, np.eye(problem.classes)[problem.y].T / label_scale, problem.samples
    decay = 0.3 * first_death(problem, depth=depth, label_scale=label_scale, tolerance=0.05)
    found = regularised_map(problem, depth=depth, weight_decay=decay, label_scale=label_scale)
    M = found.map
    s = np.linalg.svd(M, compute_uv=False)
    H = scipy.linalg.fractional_matrix_power(M @ M.T, 1 / depth - 1) if depth > 1 else np.eye(len(M))
    gap = 2 / N * (M @ X - Y) @ X.T + decay * np.real(H) @ M
    assert np.linalg.norm(gap) < 1e-9 * np.linalg.norm(Y @ X.T) / N
    assert found.defect < 1e-10
    assert found.lost == 0
    assert found.values == pytest.approx(s, rel=1e-12)


def test_without_decay_it_is_the_minimum_norm_map():
    problem = PROBLEMS[2]
    M = np.eye(3)[problem.y].T @ np.linalg.pinv(problem.X.T)
    assert regularised_map(problem, depth=4, weight_decay=0.0).map == pytest.approx(M, abs=1e-12)
    network = NetworkSpec(depth=4)
    curve = predict_weight_decay(problem, network, weight_decay=0.0, time=3.0)
    assert curve.compression == pytest.approx(predict(problem, network).compression, rel=1e-10)


@pytest.mark.parametrize("depth", [2, 3, 4, 7])
def test_whitened_data_obey_the_scalar_equation(depth):
    counts, scale = [9, 4], 0.7
    problem = Problem(X=scale * np.eye(13, 15), y=np.repeat([0, 1], counts))
    smallest = death_decay(np.sqrt(4) / scale, depth=depth, samples=13, input_scale=scale**2)
    decay = 0.7 * smallest
    found = regularised_map(problem, depth=depth, weight_decay=decay)
    for n, s in zip(counts, found.values):
        goal = np.sqrt(n) / scale
        with mp.workdps(40):
            root = mp.findroot(
                lambda x, goal=goal: mp.mpf(2) / 13 * scale**2 * (x - goal) + decay * x ** (mp.mpf(2) / depth - 1),
                goal * 0.95,
            )
        assert s == pytest.approx(float(root), rel=1e-10)
        one = surviving_value(goal, depth=depth, samples=13, weight_decay=decay, input_scale=scale**2)
        assert one == pytest.approx(float(root), rel=1e-12)


def survives(goal, depth, samples, decay, *, from_above):
    """Descent of a single direction, one number a layer, from its undecayed value or from a small one."""
    x = goal ** (1 / depth) if from_above else 0.2
    rate = 0.02 * samples
    for _ in range(400_000):
        step = rate * (2 / samples * x ** (depth - 1) * (goal - x**depth) - decay * x)
        x += step
        if x < 1e-3 * goal ** (1 / depth) or (not from_above and x < 0.1):
            return False
        if not from_above and x**depth > 0.7 * goal:
            return True
        if abs(step) < 1e-13 * x:
            return True
    return True


@pytest.mark.parametrize("depth", [3, 4, 6])
def test_death_is_where_descent_dies(depth):
    critical = death_decay(1.7, depth=depth, samples=10)
    assert survives(1.7, depth, 10, 0.999 * critical, from_above=True)
    assert not survives(1.7, depth, 10, 1.001 * critical, from_above=True)
    just = surviving_value(1.7, depth=depth, samples=10, weight_decay=critical * (1 - 1e-10))
    assert just == pytest.approx(value_at_death(1.7, depth=depth), rel=1e-4)  # it jumps from there
    assert surviving_value(1.7, depth=2, samples=10, weight_decay=death_decay(1.7, depth=2, samples=10) * 0.999) < 0.002


@pytest.mark.parametrize("depth", [3, 4, 5])
def test_escape_is_where_descent_starts(depth):
    critical = escape_decay(1.7, depth=depth, start=0.2, samples=10, aligned=True)
    assert critical < death_decay(1.7, depth=depth, samples=10)
    assert survives(1.7, depth, 10, 0.997 * critical, from_above=False)
    assert not survives(1.7, depth, 10, 1.003 * critical, from_above=False)


def test_the_papers_weights_escape_less():
    """The factors of V4's heuristic, as the note has them."""
    factors = [
        escape_decay(1.7, depth=L, start=0.02, samples=10)
        / escape_decay(1.7, depth=L, start=0.02, samples=10, aligned=True)
        for L in (3, 4, 5)
    ]
    assert factors == pytest.approx([0.835, 0.78, 0.76], abs=0.01)


@pytest.mark.parametrize("problem", [PROBLEMS[0], PROBLEMS[2]])
def test_rank_drops_where_balanced_descent_loses_a_direction(problem):
    """Factors of the undecayed map trained on, at 1 % below and above."""
    depth = 3
    critical = first_death(problem, depth=depth)
    X, Y, N = problem.X.T, np.eye(problem.classes)[problem.y].T, problem.samples
    basis = np.linalg.svd(X, full_matrices=False)[0]
    X = basis.T @ X
    for share in (0.98, 1.02):
        alive = regularised_map(problem, depth=depth, weight_decay=share * critical).values.size
        assert (alive == 3) == (share < 1)
        U, s, Vt = np.linalg.svd(regularised_map(problem, depth=depth, weight_decay=0.9 * critical).map @ basis)
        s, Vt = s ** (1 / depth), Vt[:3]
        weights = [np.diag(s) @ Vt, np.diag(s), U @ np.diag(s)]
        rate = 0.9 / (2 / N * np.linalg.norm(X, 2) ** 2 * s[0] ** 4 * depth)
        for _ in range(25_000):
            A, B, C = weights
            error = 2 / N * (C @ B @ A @ X - Y) @ X.T
            slopes = [(C @ B).T @ error, C.T @ error @ A.T, error @ (B @ A).T]
            weights = [w - rate * (g + share * critical * w) for w, g in zip(weights, slopes)]
        values = np.linalg.svd(weights[2] @ weights[1] @ weights[0], compute_uv=False)
        assert np.sum(values > 1e-2 * values[0]) == alive


def test_minority_classes_die_first_and_as_predicted():
    """V5: `λ_{c,k} ∝ n_k^{1-1/L}`, and the fate of each class in 24 settings away from the thresholds."""
    rng = np.random.default_rng(0)
    checked = 0
    for depth in (2, 3, 4, 5):
        for _ in range(9):
            counts = rng.choice([2, 4, 8, 16, 32, 64], size=int(rng.integers(2, 5)), replace=False)
            start = 0.3
            decay = float(np.exp(rng.uniform(-1.5, 1.0))) * death_decay(2.0, depth=depth, samples=int(counts.sum()))
            fate = class_fates(counts, depth=depth, weight_decay=decay, start=start, aligned=True)
            assert np.array_equal(counts[fate.order], np.sort(counts))
            assert fate.death / fate.death[0] == pytest.approx((counts / counts[0]) ** (1 - 1 / depth), rel=1e-12)
            if np.min(np.abs(np.log(decay / np.concatenate([fate.death, fate.escape])))) < 0.05:
                continue
            x = class_growth(np.array([400 / decay]), counts, depth=depth, weight_decay=decay, start=start)[0]
            assert np.array_equal(np.flatnonzero(x > 1e-6), fate.living)
            checked += 1
    assert checked >= 20


def test_minority_curves_are_the_law_of_the_scales():
    counts, depth, decay, start = np.array([9, 4, 2]), 4, 0.02, 0.4
    times = np.array([0.0, 5.0, 40.0])
    found = minority_curves(times, counts, depth=depth, weight_decay=decay, start=start)
    for t, x, C in zip(times, found.scales, found.compression):
        between = sum(
            p * (1 - p) * x**2 / n for p, n, x in zip(counts / 15, counts, x ** np.arange(depth)[:, None].T[0][1])
        )
        within = (start * np.exp(-decay * t)) ** 2 * 12 / 15
        assert C[1] == pytest.approx(within / between, rel=1e-9)


def test_the_residual_scale_decays():
    assert decayed_scale(0.3, weight_decay=0.1, time=7.0) == pytest.approx(0.3 * np.exp(-0.7))
    assert decayed_scale(0.3, weight_decay=0.1, time=7.0, learning_rate=0.5) == pytest.approx(0.3 * 0.95**14)
    assert decayed_scale(0.3, weight_decay=0.1, time=None) == 0
    assert decayed_scale(0.3, weight_decay=0.0, time=None) == 0.3


def test_the_limit_has_a_floor_where_data_are_not_orthonormal():
    limit = predict_weight_decay(PROBLEMS[0], NetworkSpec(depth=4), weight_decay=0.01)
    assert np.all(limit.compression > 1e-8)
    assert limit.origin.statement == "V2"
    white = predict_weight_decay(nearly_orthonormal([6, 6], 25, 0.0), NetworkSpec(depth=4), weight_decay=0.01)
    assert np.all(white.compression[1:] < 1e-20)


@pytest.mark.parametrize("decay", [-0.1, float("nan"), float("inf")])
def test_bad_decay_is_refused(decay):
    with pytest.raises(InvalidInputError, match="weight_decay"):
        predict_weight_decay(PROBLEMS[0], NetworkSpec(depth=3), weight_decay=decay)
    with pytest.raises(InvalidInputError, match="weight_decay"):
        class_fates([3, 4], depth=3, weight_decay=decay, start=0.1)


def test_other_bad_requests_are_refused():
    with pytest.raises(NotApplicableError, match="V4 does not apply"):
        escape_decay(2.0, depth=2, start=0.1, samples=6)
    with pytest.raises(InvalidInputError, match="start"):
        escape_decay(2.0, depth=3, start=2.0, samples=6)
    with pytest.raises(InvalidInputError, match="time"):
        predict_weight_decay(PROBLEMS[0], NetworkSpec(depth=3), weight_decay=0.1, time=-1.0)
    with pytest.raises(InvalidInputError, match="width"):
        predict_weight_decay(PROBLEMS[0], NetworkSpec(depth=3, width=10), weight_decay=0.1)
    with pytest.raises(InvalidInputError, match="class sizes"):
        class_fates([3], depth=3, weight_decay=0.1, start=0.1)
