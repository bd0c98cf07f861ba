"""Descent and flow from the paper's initial weights against the law T2 and T3: no constant is fitted."""

from __future__ import annotations

import numpy as np
import pytest

from pnc.compare import Verdict, compare
from pnc.data import Problem, draw
from pnc.simulate import simulate
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec
from pnc.theory import predict

SEEDS = range(5)


def errors(problem, network, **train):
    """(seeds, L) relative errors of C_l of trained networks."""
    law = predict(problem, network).compression
    found = []
    for seed in SEEDS:
        run = simulate(problem, network, SimulationSpec(seed=seed, device="cpu", **train))
        assert run.outcome.converged
        found.append(run.measured.compression / law - 1)
    return np.array(found)


@pytest.mark.parametrize(("width", "limit"), [(50, 0.06), (300, 0.025), (700, 0.025)])
@pytest.mark.parametrize(
    "train", [{"engine": "descent", "learning_rate": 0.1}, {"engine": "flow"}], ids=["descent", "flow"]
)
def test_every_layer_follows_the_exact_law(width, limit, train):
    problem = draw(ProblemSpec(classes=3, samples_per_class=10, dimension=50))
    network = NetworkSpec(depth=6, width=width, residual_scale=0.3)
    found = np.abs(errors(problem, network, **train))
    assert np.median(found, axis=0).max() < limit, found
    # the imbalance that every classifier leaves is seen: this is no tautology
    assert found[:, 1:].max() > 1e-4


def test_wrong_exponents_would_not_pass():
    problem = draw(ProblemSpec(classes=3, samples_per_class=10, dimension=50))
    network = NetworkSpec(depth=6, width=300, residual_scale=0.3)
    run = simulate(problem, network, SimulationSpec(device="cpu"))
    l, n = np.arange(6), 10
    law = predict(problem, network).compression
    for wrong in (
        law * n ** (l / 6 - l / 5),  # l/(L-1) for l/L
        law * 0.3 ** (-l.astype(float)),  # ε for ε²
        law * 0.09 / n ** (1 / 6),  # the next layer
    ):
        assert np.abs(run.measured.compression / wrong - 1)[1:].min() > 0.025


def test_real_shaped_data_follow_the_law_for_any_data():
    """N > d, unequal classes, means and noise of any size: T3 with its floor."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [40, 70, 90])
    X = 0.7 * rng.standard_normal((3, 16))[y] + rng.standard_normal((200, 16))
    values, vectors = np.linalg.eigh(X.T @ X)
    problem = Problem(X=X @ (vectors / np.sqrt(values)) @ vectors.T, y=y)  # X Xᵀ = I, as for real data
    network = NetworkSpec(depth=4, width=300, residual_scale=0.4)
    found = errors(problem, network)
    assert np.abs(np.median(found, axis=0)).max() < 0.06
    assert np.abs(found[:, 0]).max() < 1e-10


def test_label_scale_is_part_of_the_law():
    problem = draw(ProblemSpec(classes=3, samples_per_class=6))
    for α in (0.5, 3.0):
        network = NetworkSpec(depth=3, width=300, residual_scale=0.2, label_scale=α)
        run = simulate(problem, network, SimulationSpec(device="cpu"))
        comparison = compare(predict(problem, network), run.measured, residuals=run.residuals, residual_scale=0.2)
        assert comparison.verdict is Verdict.AGREES
        other = predict(problem, NetworkSpec(depth=3, residual_scale=0.2))
        assert compare(other, run.measured).verdict is Verdict.DISAGREES


def test_default_weights_are_outside_the_law():
    problem = draw(ProblemSpec(classes=3, samples_per_class=6, dimension=60))
    network = NetworkSpec(depth=3, width=60, residual_scale=0.3)
    run = simulate(problem, network, SimulationSpec(weights="default", device="cpu"))
    assert run.outcome.converged
    comparison = compare(predict(problem, network), run.measured, residuals=run.residuals, residual_scale=0.3)
    assert comparison.verdict is Verdict.ASSUMPTION_VIOLATED
    assert comparison.reasons[0].startswith(("A2", "A3"))
