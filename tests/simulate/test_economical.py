"""The inputs' decomposition from their Gram matrix is that of the inputs, where it is taken."""

from __future__ import annotations

import numpy as np
import pytest

from pnc.data import Problem, draw
from pnc.simulate import economical as economical_module
from pnc.simulate.economical import economical
from pnc.spec import NetworkSpec, ProblemSpec
from pnc.theory import predict, signal

NETWORK = NetworkSpec(depth=4, residual_scale=0.3)


def invariants(data):
    """What does not depend on signs and turns of singular vectors."""
    yield data.scale
    yield (data.basis * data.scale**2) @ data.basis.T
    yield (data.target / data.scale) @ data.basis.T
    yield data.signal_values
    yield data.basis.T @ data.basis


@pytest.mark.parametrize("theta", [0.0, 0.3])
def test_the_gram_matrix_gives_the_decomposition_of_the_inputs(theta, monkeypatch):
    problem = draw(ProblemSpec(classes=3, samples_per_class=8, theta=theta))
    at_once = economical(problem, NETWORK)
    law = predict(problem, NETWORK)
    monkeypatch.setattr(economical_module, "_GRAM_SAMPLES", 2)
    monkeypatch.setattr(signal, "_MANY", 2)

    def no_decomposition(*_, **__):
        raise AssertionError("the inputs were decomposed")

    monkeypatch.setattr(economical_module.scipy.linalg, "svd", no_decomposition)
    found = economical(problem, NETWORK)
    for value, expected in zip(invariants(found), invariants(at_once), strict=True):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12 * max(1, np.abs(expected).max()))
    again = predict(Problem(X=problem.X, y=problem.y), NETWORK)  # what is known of a problem is kept with it
    np.testing.assert_allclose(again.compression, law.compression, rtol=1e-11)
    np.testing.assert_allclose(again.discrimination, law.discrimination, rtol=1e-11)


def test_inputs_far_from_orthonormal_are_decomposed_as_they_are(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 20)) * np.logspace(0, -9, 12)[:, None]
    problem = Problem(X=X, y=np.arange(12) % 3)
    at_once = economical(problem, NETWORK)
    monkeypatch.setattr(economical_module, "_GRAM_SAMPLES", 2)
    found = economical(problem, NETWORK)
    np.testing.assert_array_equal(found.scale, at_once.scale)
    np.testing.assert_array_equal(found.basis, at_once.basis)
