"""The spectrum of each layer against singular values of constructed features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from pnc.data import Problem
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.spec import NetworkSpec
from pnc.theory import (
    exact_weights,
    layer_spectrum,
    orthonormal_spectrum,
    predicted_effective_rank,
    predicted_numerical_rank,
    predicted_stable_rank,
)
from tests import oracles
from tests.strategies import cases, class_sizes
from tests.theory.test_exact_law import known_projection


@settings(max_examples=80)
@given(cases())
def test_spectrum_of_constructed_weights(case):
    problem, network = case.problem, case.network
    weights = exact_weights(problem, network, seed=case.seed)
    projection = known_projection(weights, problem, network)
    for l, Z in enumerate(oracles.features_of_layers(weights, problem.X)):
        for centred in (False, True):
            measured = np.linalg.svd(Z - centred * Z.mean(axis=0), compute_uv=False)
            σ = np.sqrt(layer_spectrum(problem, network, l, centred=centred, residual_projection=projection))
            size = min(σ.size, measured.size)
            # u times a small constant, times what the construction of M amplifies; the rest beyond either
            # size is zero
            allowed = 1e-12 * (l + 1) * measured[0]
            assert np.abs(σ[:size] - measured[:size]).max() <= allowed
            assert max(σ[size:].max(initial=0), measured[size:].max(initial=0)) <= allowed


@settings(max_examples=40)
@given(cases(kinds=("orthonormal",), sizes=class_sizes(balanced=True), widths=("none",)))
def test_orthonormal_closed_form(case):
    problem, network = case.problem, case.network
    K, n = problem.classes, int(problem.counts[0])
    for l in range(network.depth):
        for centred in (False, True):
            pairs = orthonormal_spectrum(K, n, network, l, centred=centred)
            values = np.sort(np.repeat([v for v, _ in pairs], [m for _, m in pairs]))[::-1]
            assert values.size == problem.samples - centred
            general = layer_spectrum(problem, network, l, centred=centred)
            assert general[: values.size] == pytest.approx(values, rel=1e-9, abs=1e-12 * values[0])


def test_ranks_in_closed_form():
    """K = 3, n = 16, ε = 1/2, L = 4: the ranks of each layer from two eigenvalues, against sums written
    out."""
    network = NetworkSpec(depth=4, residual_scale=0.5)
    for l in range(4):
        pairs = orthonormal_spectrum(3, 16, network, l)
        values = np.repeat([v for v, _ in pairs], [m for _, m in pairs])
        signal, residual = 2.0**l, 0.25**l
        assert predicted_stable_rank(values) == pytest.approx(3 + 45 * residual / signal)
        q = np.array([np.sqrt(signal)] * 3 + [np.sqrt(residual)] * 45)
        q = q / q.sum()
        assert predicted_effective_rank(values) == pytest.approx(np.exp(-np.sum(q * np.log(q))))
        needed = next(r for r in range(1, 49) if q[:r].sum() >= 0.95 - 1e-12)
        assert predicted_numerical_rank(values) == needed


def test_spectrum_of_a_narrow_network_needs_its_projection():
    problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    with pytest.raises(NotApplicableError, match="residual_projection"):
        layer_spectrum(problem, NetworkSpec(depth=3, width=4), 1)


@pytest.mark.parametrize("layer", [-1, 3])
def test_layers_outside_the_law_are_refused(layer):
    with pytest.raises(InvalidInputError, match="expected a layer 0…2"):
        orthonormal_spectrum(2, 2, NetworkSpec(depth=3), layer)
