"""The assumptions on full matrices: from reduced coordinates as from full ones, and by the definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pnc.data import draw
from pnc.simulate import full_checks, initial_weights, simulate
from pnc.simulate.initial import classifier_overlap
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec

PROBLEM = draw(ProblemSpec(kind="orthonormal-noise", samples_per_class=4, dimension=20, seed=3))
ε = 0.2


def runs(depth, width, *, steps=100_000):
    network = NetworkSpec(depth=depth, width=width, residual_scale=ε)
    train = SimulationSpec(engine="descent", steps=steps, seed=5, device="cpu")
    return [simulate(PROBLEM, network, replace(train, coordinates=c)) for c in ("reduced", "full")]


@pytest.mark.parametrize(("depth", "width"), [(2, 40), (2, 21), (3, 40), (5, 40), (4, 23), (4, 20), (3, 21)])
@pytest.mark.parametrize("steps", [40, 100_000])  # on the plateau, and to the end
def test_reduced_coordinates_give_what_the_full_matrices_do(depth, width, steps):
    reduced, full = (full_checks(run, PROBLEM) for run in runs(depth, width, steps=steps))
    assert reduced.map_error == pytest.approx(full.map_error, rel=1e-9)
    # descent of both coordinates is the same computation: what differs is rounding, of ε-sized numbers
    np.testing.assert_allclose(reduced.imbalance, full.imbalance, rtol=1e-7, atol=1e-13)
    np.testing.assert_allclose(reduced.residual_variance, full.residual_variance, rtol=1e-6, atol=1e-15)


def test_the_checks_of_full_matrices_are_the_paper_s():
    full = runs(3, 30)[1]
    found, W = full_checks(full, PROBLEM), full.weights
    X, Y = PROBLEM.X.T, np.eye(3)[PROBLEM.y].T
    M = Y @ np.linalg.inv(X.T @ X) @ X.T
    assert found.map_error == pytest.approx(np.linalg.norm(W[2] @ W[1] @ W[0] - M))
    for l in (0, 1):
        difference = np.linalg.norm(W[l + 1].T @ W[l + 1] - W[l] @ W[l].T)
        assert found.imbalance[l] == pytest.approx(difference / np.linalg.norm(W[l]))
        values = np.linalg.svd(W[l], compute_uv=False)
        assert found.residual_variance[l] == pytest.approx(np.var(values[3:17]), rel=1e-9)
    assert (
        found.map_error > 0.05
    )  # off the data's span the trained map is not M (theory note, A1 asks only for the span)


def test_the_overlap_is_that_of_the_full_draw():
    network = NetworkSpec(depth=4, width=30, residual_scale=ε)
    W, data = initial_weights(PROBLEM, network, SimulationSpec(coordinates="full", seed=7))
    overlap = classifier_overlap(data, network, seed=7)
    complement = np.eye(20) - data.basis @ data.basis.T
    through = np.linalg.multi_dot([*W[::-1], complement]) / ε**4
    reduced, _ = initial_weights(PROBLEM, network, SimulationSpec(seed=7))
    outside = reduced[-1][:, data.scale.size :] / ε
    np.testing.assert_allclose(through @ through.T, (outside @ overlap) @ (outside @ overlap).T, atol=1e-12)
    assert np.abs(through).max() > 0.01


def test_what_reduced_coordinates_do_not_determine_is_not_answered():
    assert full_checks(simulate(PROBLEM, NetworkSpec(depth=3, width=15), SimulationSpec(device="cpu")), PROBLEM) is None
    exact = simulate(PROBLEM, NetworkSpec(depth=3, width=30), SimulationSpec(weights="exact", device="cpu"))
    assert full_checks(exact, PROBLEM) is None
