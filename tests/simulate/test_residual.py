"""Residual networks trained by descent, the step extrapolated to 0, against R1 and R6 to R8."""

from __future__ import annotations

import numpy as np
import pytest

from pnc.data import Problem
from pnc.errors import InvalidInputError
from pnc.simulate import simulate_residual
from pnc.spec import SimulationSpec
from pnc.theory.residual import ResidualSpec, predict_residual
from tests import oracles, strategies


def orthonormal(counts, dimension, *, theta=0.0, seed=0):
    rng = np.random.default_rng(seed)
    X = strategies.nearly_orthonormal(rng, sum(counts), dimension, theta)
    return Problem(X=X, y=np.repeat(np.arange(len(counts)), counts))


def clouds(counts, dimension, *, centres, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    X = rng.standard_normal((y.size, dimension)) + centres * rng.standard_normal((len(counts), dimension))[y]
    return Problem(X=X / np.sqrt(dimension), y=y)


R1_SETTINGS = {
    "orthonormal": (orthonormal([6] * 3, 30), dict(depth=4)),
    "orthonormal, β = 1/2": (orthonormal([5] * 4, 30), dict(depth=6, block_scale=0.5)),
    "θ": (orthonormal([6] * 3, 30, theta=0.6), dict(depth=6)),
    "θ, imbalanced": (orthonormal([8, 5, 2], 30, theta=0.8), dict(depth=9, block_scale=0.7)),
    "ten classes": (orthonormal([4] * 10, 50, theta=0.5), dict(depth=7, block_scale=0.5)),
    "sixteen blocks, β = 1/4": (orthonormal([6] * 3, 30, theta=0.8), dict(depth=17, block_scale=0.25)),
    "Gaussian": (clouds([5] * 3, 60, centres=0.0), dict(depth=4)),
    "Gaussian, imbalanced": (clouds([9, 4, 3], 50, centres=0.0), dict(depth=5, block_scale=0.6)),
    "clustered": (clouds([4] * 3, 60, centres=0.7), dict(depth=4)),
    "clustered, imbalanced": (clouds([8, 4], 60, centres=1.0), dict(depth=4, block_scale=0.5)),
    "more samples than dimensions": (clouds([20, 15, 10], 8, centres=1.0), dict(depth=5, block_scale=0.7)),
    "label scale": (orthonormal([6] * 3, 30, theta=0.5), dict(depth=5, label_scale=3.0)),
}


@pytest.mark.parametrize("name", R1_SETTINGS)
def test_descent_at_step_zero_follows_the_law(name):
    problem, sizes = R1_SETTINGS[name]
    network = ResidualSpec(**sizes)
    first = simulate_residual(problem, network, halvings=0)
    slow = "lust" in name or "Gaussian" in name  # many steps, each small already for most directions
    train = SimulationSpec(learning_rate=first.learning_rate / (1 if slow else 4), steps=400_000)
    run, law = simulate_residual(problem, network, train, halvings=3), predict_residual(problem, network)
    assert run.outcome.converged
    assert law.origin.statement == "R1"
    error = np.abs(run.measured.compression / law.compression - 1).max()
    assert error < 1e-4
    assert np.abs(run.measured.discrimination - law.discrimination).max() < 1e-6
    # what is left of a single run is its step: it is larger, and the extrapolation knows its own error
    assert np.abs(first.measured.compression / law.compression - 1).max() > 3 * error
    assert np.nanmax(run.extrapolation_error) < 1e-3


def test_the_error_of_a_run_is_its_step():
    problem, network = R1_SETTINGS["orthonormal"][0], ResidualSpec(depth=9)
    law = predict_residual(problem, network).compression
    rate = simulate_residual(problem, network, halvings=0).learning_rate / 2
    errors = []
    for halving in range(3):
        train = SimulationSpec(learning_rate=rate / 2**halving)
        errors.append(
            np.abs(simulate_residual(problem, network, train, halvings=0).measured.compression / law - 1).max()
        )
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(
    "sizes",
    [
        dict(depth=4),
        dict(depth=3, embedding_scale=0.6),
        dict(depth=3, block="two-matrix", initial_scale=0.4),
        dict(depth=3, block="two-matrix-symmetric", initial_scale=0.4),
        dict(depth=4, classifier_scale=0.5),
        dict(depth=3, classifier_scale=0.5, block="two-matrix", embedding_scale=0.8),
    ],
)
@pytest.mark.parametrize("tall", [False, True])
def test_reduced_coordinates_are_the_same_computation(sizes, tall):
    problem = clouds([9, 6], 6, centres=1.0) if tall else clouds([4, 3], 20, centres=0.5)
    network = ResidualSpec(**sizes)
    runs = [
        simulate_residual(problem, network, SimulationSpec(coordinates=c, steps=200, seed=3), halvings=0)
        for c in ("reduced", "full")
    ]
    reduced, full = (run.measured for run in runs)
    assert reduced.compression == pytest.approx(full.compression, rel=1e-11)
    assert reduced.discrimination == pytest.approx(full.discrimination, abs=1e-11)
    assert runs[0].loss == pytest.approx(runs[1].loss, rel=1e-9)


@pytest.mark.parametrize(
    ("problem", "sizes"),
    [
        (orthonormal([6] * 3, 30), dict(depth=4, embedding_scale=0.5)),
        (orthonormal([7, 4, 3], 30, theta=0.7), dict(depth=6, embedding_scale=1.4, block_scale=0.5)),
        (clouds([3] * 3, 40, centres=0.5), dict(depth=4, embedding_scale=0.5)),
        (clouds([15, 12], 6, centres=1.0), dict(depth=3, embedding_scale=0.8)),
        (orthonormal([6] * 3, 30), dict(depth=5, block="two-matrix", initial_scale=0.3)),
        (orthonormal([6, 5, 3], 30), dict(depth=5, block="two-matrix", initial_scale=0.5, block_scale=1.3)),
        (orthonormal([6] * 3, 30), dict(depth=4, block="two-matrix-symmetric", initial_scale=0.3)),
        (orthonormal([8, 2], 30), dict(depth=6, block="two-matrix-symmetric", initial_scale=0.2, block_scale=0.6)),
    ],
)
def test_embeddings_and_two_matrix_blocks(problem, sizes):
    network = ResidualSpec(**sizes)
    run, law = simulate_residual(problem, network), predict_residual(problem, network)
    assert run.outcome.converged
    assert law.origin.statement == ("R6" if network.embedding_scale else "R7")
    assert run.measured.compression == pytest.approx(law.compression, rel=5e-4)
    assert run.measured.discrimination == pytest.approx(law.discrimination, abs=1e-5)
    assert run.measured.within_scatter == pytest.approx(law.within_scatter, rel=5e-4)


@pytest.mark.parametrize(
    ("counts", "dimension", "sizes"),
    [
        ([6] * 3, 60, dict(depth=4, classifier_scale=0.58)),
        ([6] * 3, 100, dict(depth=4, classifier_scale=0.58)),
        ([10] * 2, 100, dict(depth=6, classifier_scale=0.58, block_scale=0.7)),
        ([6] * 5, 100, dict(depth=5, classifier_scale=0.3)),
        ([10] * 3, 200, dict(depth=5, classifier_scale=1.0)),
        ([9, 6, 4], 120, dict(depth=4, classifier_scale=0.7)),
    ],
)
def test_a_random_classifier(counts, dimension, sizes):
    """R8, mean of four draws; R1 is wrong there."""
    problem, network = orthonormal(counts, dimension), ResidualSpec(**sizes)
    law = predict_residual(problem, network)
    runs = [simulate_residual(problem, network, SimulationSpec(seed=seed)) for seed in range(4)]
    mean = np.mean([run.measured.compression for run in runs], axis=0)
    assert mean == pytest.approx(law.compression, rel=0.02)
    assert np.mean([r.measured.discrimination for r in runs], axis=0) == pytest.approx(law.discrimination, abs=0.02)
    zero = predict_residual(problem, ResidualSpec(**{**sizes, "classifier_scale": 0.0}))
    assert np.abs(zero.compression / mean - 1).max() > 0.02


def test_two_matrix_blocks_on_data_that_are_nearly_white():
    """R7 is refused there; its numbers would be off by little."""
    white, rough = orthonormal([6] * 3, 30), orthonormal([6] * 3, 30, theta=0.2)
    network = ResidualSpec(depth=5, block="two-matrix", initial_scale=0.3)
    law = predict_residual(white, network).compression[1:] / predict_residual(white, network).compression[:-1]
    found = simulate_residual(rough, network).measured.compression
    assert found[1:] / found[:-1] == pytest.approx(law, rel=0.02)


def test_against_descent_written_out():
    """Plain NumPy on full matrices, one matrix at a time; no code in common."""
    problem, β, m, η, steps = clouds([4, 3], 9, centres=1.0), 0.7, 3, 0.3, 500
    X, Y, N = problem.X.T, np.eye(2)[problem.y].T, problem.samples
    blocks, last = [np.zeros((9, 9)) for _ in range(m)], np.zeros((2, 9))
    for _ in range(steps):
        Z = [X]
        for W in blocks:
            Z.append(Z[-1] + β * W @ Z[-1])
        error = 2 / N * (last @ Z[-1] - Y)
        back, slopes = last.T @ error, [error @ Z[-1].T]
        for W, z in zip(blocks[::-1], Z[-2::-1]):
            slopes.append(β * back @ z.T)
            back = back + β * W.T @ back
        last = last - η * slopes[0]
        blocks = [W - η * s for W, s in zip(blocks, slopes[:0:-1])]
    Z = [X]
    for W in blocks:
        Z.append(Z[-1] + β * W @ Z[-1])
    train = SimulationSpec(learning_rate=η, steps=steps, loss_tolerance=1e-300)
    run = simulate_residual(problem, ResidualSpec(depth=m + 1, block_scale=β), train, halvings=0)
    for l, z in enumerate(Z):
        found = oracles.measure_layer(z.T, problem.y)
        assert run.measured.compression[l] == pytest.approx(found.compression, rel=1e-10)
        assert run.measured.discrimination[l] == pytest.approx(found.discrimination, abs=1e-10)


def test_curves_along_training():
    problem = orthonormal([6] * 3, 30)
    run = simulate_residual(problem, ResidualSpec(depth=4), SimulationSpec(record=5))
    assert run.history.compression.shape == (len(run.history.time), 4)
    assert np.all(np.diff(run.history.loss) < 0)


def test_bad_requests_are_refused():
    problem = orthonormal([3] * 2, 10)
    with pytest.raises(InvalidInputError, match="halvings"):
        simulate_residual(problem, ResidualSpec(depth=3), halvings=-1)
    with pytest.raises(InvalidInputError, match="device"):
        simulate_residual(problem, ResidualSpec(depth=3), SimulationSpec(device="nowhere"))
