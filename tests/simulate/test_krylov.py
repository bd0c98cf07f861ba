"""Y4: the directions that training moves are the same computation as all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import pnc.simulate.krylov as krylov
from pnc.data import Problem, draw
from pnc.simulate import full_checks, simulate, simulate_batch
from pnc.simulate import train as training
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec

DESCENT = SimulationSpec(engine="descent", device="cpu", steps=4000)
CURVES = ("compression", "discrimination", "within_scatter", "between_scatter")


def whitened(counts=(60, 90, 110), dimension=24):
    """Clusters with X Xᵀ = I, as real data are scaled: many more samples than dimensions."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(counts)), counts)
    X = 0.7 * rng.standard_normal((len(counts), dimension))[y] + rng.standard_normal((len(y), dimension))
    values, vectors = np.linalg.eigh(X.T @ X)
    return Problem(X=X @ (vectors / np.sqrt(values)) @ vectors.T, y=y)


SETTINGS = {
    "two layers": (dict(samples_per_class=30), dict(depth=2)),
    "four layers": (dict(samples_per_class=30), dict(depth=4)),
    "nine layers": (dict(samples_per_class=30), dict(depth=9, residual_scale=0.5)),
    "small weights": (dict(samples_per_class=30), dict(depth=3, residual_scale=0.05)),
    "unequal classes": (dict(samples_per_class=(8, 30, 90)), dict(depth=4)),
    "farther from orthonormal": (dict(samples_per_class=60, theta=0.9), dict(depth=4)),
    "orthonormal": (dict(samples_per_class=40, kind="orthonormal"), dict(depth=5)),
    "a label scale": (dict(samples_per_class=30), dict(depth=4, label_scale=3.0)),
}


@pytest.mark.parametrize("name", [*SETTINGS, "whitened"])
def test_curves_of_descent_are_those_of_reduced_and_full_coordinates(name):
    drawn, stated = SETTINGS.get(name, ({}, {"depth": 5}))
    problem = whitened() if name == "whitened" else draw(ProblemSpec(**drawn))
    network = NetworkSpec(**{"residual_scale": 0.4, "width": problem.dimension + 40, **stated})
    small = simulate(problem, network, DESCENT)
    assert small.coordinates.kind == "krylov"
    assert small.coordinates.dimensions < small.coordinates.of
    assert small.coordinates.cut_off < 1e-13
    others = [simulate(problem, network, replace(DESCENT, cut_off=0))]
    if network.depth < 6:
        others.append(simulate(problem, network, replace(DESCENT, coordinates="full")))
    for other in others:
        assert small.steps == other.steps
        assert small.outcome.converged
        for curve in CURVES:
            np.testing.assert_allclose(getattr(small.measured, curve), getattr(other.measured, curve), rtol=1e-11)
        for name in ("imbalance", "residual_smallest", "residual_largest", "residual_mean"):
            np.testing.assert_allclose(
                getattr(small.residuals, name), getattr(other.residuals, name), rtol=1e-9, atol=1e-12
            )
        np.testing.assert_allclose(
            small.residuals.residual_variance, other.residuals.residual_variance, rtol=1e-6, atol=1e-14
        )
        assert small.residuals.map_error == pytest.approx(other.residuals.map_error, abs=1e-12)
    reduced = others[0]
    for mine, theirs in (
        (small.certificate.compression_lower, reduced.measured.compression),
        (reduced.measured.compression, small.certificate.compression_upper),
    ):
        assert np.all(mine <= theirs * (1 + 1e-9))


def test_whitened_data_need_three_dimensions_a_class():
    for problem in (whitened(), draw(ProblemSpec(classes=4, samples_per_class=20, kind="orthonormal"))):
        run = simulate(problem, NetworkSpec(depth=4), SimulationSpec(device="cpu"))
        assert run.coordinates.dimensions == 3 * problem.classes
        assert run.coordinates.cut_off < 1e-14


def test_the_flow_ends_where_it_does_in_reduced_coordinates(monkeypatch):
    monkeypatch.setattr(training, "_FLOW_TOLERANCE", 1e-7)
    problem, network = draw(ProblemSpec(samples_per_class=30)), NetworkSpec(depth=4, residual_scale=0.5)
    small, reduced = (simulate(problem, network, SimulationSpec(device="cpu", cut_off=share)) for share in (1e-13, 0))
    assert (small.coordinates.kind, reduced.coordinates.kind) == ("krylov", "reduced")
    for curve in CURVES:
        np.testing.assert_allclose(getattr(small.measured, curve), getattr(reduced.measured, curve), rtol=1e-6)
    np.testing.assert_allclose(
        small.certificate.compression_half_width[1:], reduced.certificate.compression_half_width[1:], rtol=1e-3
    )


@pytest.mark.parametrize("engine", ["flow", "descent"])
def test_weights_written_out_are_those_of_the_network(engine):
    problem, network = draw(ProblemSpec(samples_per_class=30)), NetworkSpec(depth=4, residual_scale=0.4)
    run = simulate(problem, network, replace(DESCENT, engine=engine))
    assert run.coordinates.kind == "krylov"
    weights, basis = run.written_out()
    assert weights[0].shape == (problem.samples + 3, problem.samples)
    features = problem.X @ basis
    for l, w in enumerate(weights[:-1], start=1):
        features = features @ w.T
        means = np.array([features[problem.y == k].mean(0) for k in range(3)])
        within = np.sum((features - means[problem.y]) ** 2) / problem.samples
        assert within == pytest.approx(run.measured.within_scatter[l], rel=1e-9)
    missed = np.linalg.norm(features @ weights[-1].T - np.eye(3)[problem.y]) / np.sqrt(problem.samples)
    assert missed < 1e-7


@pytest.mark.parametrize("engine", ["flow", "descent"])
def test_checks_of_full_matrices_from_krylov_coordinates(engine):
    problem, network = draw(ProblemSpec(samples_per_class=30, dimension=110)), NetworkSpec(depth=4, residual_scale=0.4)
    train = replace(DESCENT, engine=engine)
    small, reduced = (full_checks(simulate(problem, network, replace(train, cut_off=c)), problem) for c in (1e-13, 0))
    tolerance = 1e-9 if engine == "descent" else 1e-3  # a flow's own tolerance
    assert small.map_error == pytest.approx(reduced.map_error, rel=tolerance)
    np.testing.assert_allclose(small.imbalance, reduced.imbalance, rtol=tolerance, atol=1e-12)


def test_broad_spectra_and_few_samples_keep_reduced_coordinates():
    rng = np.random.default_rng(0)
    broad = Problem(X=rng.standard_normal((90, 100)) * np.logspace(0, -1, 100) / 10, y=np.arange(90) % 3)
    few = draw(ProblemSpec(samples_per_class=4))
    for problem in (broad, few):
        run = simulate(problem, NetworkSpec(depth=3), replace(DESCENT, steps=3000))
        assert run.coordinates.kind == "reduced"
        assert run.coordinates.cut_off == 0


def test_what_is_cut_off_is_seen_and_repaired(monkeypatch):
    """Too small a space: the bound says so, is no smaller than the error, and the run is repeated without it."""
    problem, network = draw(ProblemSpec(samples_per_class=30)), NetworkSpec(depth=4, residual_scale=0.4)
    reduced = simulate(problem, network, replace(DESCENT, cut_off=0))
    monkeypatch.setattr(krylov, "_MARGIN", 3e9)  # in place of 1e-2: all but the first blocks are left out
    careless = simulate(problem, network, replace(DESCENT, cut_off=1e-13))
    assert careless.coordinates.kind == "reduced"
    np.testing.assert_array_equal(careless.measured.compression, reduced.measured.compression)
    monkeypatch.setattr(krylov, "_MARGIN", 1.0)
    found = simulate(problem, network, replace(DESCENT, cut_off=3e-3))
    assert found.coordinates.kind == "krylov"
    assert 1e-7 < found.coordinates.cut_off < 3e-3
    # the part of the update that these coordinates cannot hold, of the weights trained without them
    inner = found.basis[:, :-1].T @ reduced.basis
    update = reduced.weights[0] - 0.4 * np.eye(*reduced.weights[0].shape)
    missing = np.linalg.norm(update - update @ inner.T @ inner) / np.linalg.norm(update)
    assert missing > 1e-7
    assert found.coordinates.cut_off > missing / 3


def test_a_batch_of_krylov_runs_is_the_runs_alone():
    runs = [
        (draw(ProblemSpec(samples_per_class=30, seed=s)), NetworkSpec(depth=3), replace(DESCENT, engine=e, seed=s))
        for s in range(2)
        for e in ("flow", "descent")
    ]
    for arguments, found in zip(runs, simulate_batch(runs), strict=True):
        alone = simulate(*arguments)
        assert found.coordinates.to_dict() == alone.coordinates.to_dict()
        np.testing.assert_array_equal(found.measured.compression, alone.measured.compression)
