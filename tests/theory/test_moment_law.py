"""T7: any balanced weights, whatever their residual spectrum."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.data import Problem
from pnc.errors import InvalidInputError
from pnc.theory import jensen_lower_bound, moment_law, spectral_measures
from tests import oracles
from tests.strategies import problems, seeds


def balanced_weights(rng, dimension, depth, spread):
    """W_l = O_l D O_{l-1}ᵀ with one diagonal D for all layers: balanced, with any residual spectrum."""
    scales = np.exp(spread * rng.standard_normal(dimension))
    turns = [np.linalg.qr(rng.standard_normal((dimension, dimension)))[0] for _ in range(depth + 1)]
    return [(after * scales) @ before.T for before, after in pairwise(turns)]


@st.composite
def balanced(draw):
    problem, _ = draw(problems(kinds=("wide", "tall")))
    rng = np.random.default_rng(draw(seeds))
    depth = draw(st.integers(2, 8))
    spread = draw(st.sampled_from([0.0, 0.2, 1.0]))
    return problem, balanced_weights(rng, problem.dimension, depth, spread)


@settings(max_examples=100)
@given(balanced())
def test_traces_of_balanced_weights_are_moments(instance):
    problem, weights = instance
    measured = [oracles.measure_layer(Z, problem.y) for Z in oracles.features_of_layers(weights, problem.X)]
    measures = spectral_measures(weights[0], problem)
    for name in ("within_scatter", "between_scatter"):
        traces = np.array([getattr(layer, name) for layer in measured])
        assert getattr(measures, name)(len(weights)) == pytest.approx(traces, rel=1e-10)
        law = moment_law(traces)
        assert law.holds(allowance=1e-10 * len(weights))
        assert np.all(law.ratios <= measures.atoms.max() * (1 + 1e-10))
        assert np.all(law.ratios >= measures.atoms.min() * (1 - 1e-10))
        assert np.all(jensen_lower_bound(traces, len(weights)) <= traces * (1 + 1e-10))


def test_the_ratio_c_is_not_bound_by_the_moment_law():
    """The note warns of it: the per-layer ratios of C fall somewhere in most random cases."""
    falls = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        problem = Problem(X=rng.standard_normal((12, 10)), y=np.arange(12) % 3)
        Z = oracles.features_of_layers(balanced_weights(rng, 10, 6, 1.0), problem.X)
        C = np.array([oracles.measure_layer(z, problem.y).compression for z in Z])
        falls += bool(np.any(np.diff(C[1:] / C[:-1]) < -1e-9))
    assert falls > 15


def test_unbalanced_weights_are_caught():
    """One layer twice the others breaks balance, and the next ratio falls."""
    rng = np.random.default_rng(4)
    problem = Problem(X=rng.standard_normal((12, 10)), y=np.arange(12) % 3)
    weights = balanced_weights(rng, 10, 5, 0.2)
    weights[1] = 2 * weights[1]
    Z = oracles.features_of_layers(weights, problem.X)
    traces = np.array([oracles.measure_layer(z, problem.y).within_scatter for z in Z])
    assert moment_law(traces).violation() > 0.5


def test_one_atom_is_the_geometric_law():
    law = moment_law(3 * 0.09 ** np.arange(6))
    assert law.holds(allowance=1e-12)
    assert law.ratios == pytest.approx(np.full(5, 0.09))
    assert np.abs(law.hankel).max() < 1e-12


def test_hankel_matrices_of_two_atoms():
    """Atoms 1 and 4 of equal weight: sizes 2 are definite by 1 - m_1/√(m_0 m_2), size 3 is singular."""
    m = (1.0 + 4.0 ** np.arange(6)) / 2
    expected = [1 - m[1] / np.sqrt(m[0] * m[2]), 1 - m[2] / np.sqrt(m[1] * m[3]), 0, 0]
    assert moment_law(m).hankel == pytest.approx(expected, abs=1e-12)


def test_atoms_at_zero_count_at_the_input_only():
    rng = np.random.default_rng(0)
    problem = Problem(X=rng.standard_normal((6, 5)), y=[0, 0, 0, 1, 1, 1])
    measures = spectral_measures(np.eye(2, 5), problem)
    assert measures.atoms.tolist() == [1, 1, 0, 0, 0]
    kept = oracles.measure_layer(problem.X[:, :2], problem.y)
    whole = oracles.measure_layer(problem.X, problem.y)
    expected = [whole.within_scatter, kept.within_scatter, kept.within_scatter]
    assert measures.within_scatter(3) == pytest.approx(expected)


@pytest.mark.parametrize("traces", [[1.0], [1.0, 0.0], [1.0, np.nan], [[1.0, 2.0]]])
def test_traces_that_cannot_be_moments_are_refused(traces):
    with pytest.raises(InvalidInputError, match="at least two finite numbers above 0"):
        moment_law(traces)


def test_first_weights_of_another_problem_are_refused():
    with pytest.raises(InvalidInputError, match=r"expected shape \(d_1, 4\)"):
        spectral_measures(np.eye(3), Problem(X=np.eye(4), y=[0, 0, 1, 1]))


def test_of_many_layers_a_departure_near_the_end_is_seen():
    """A spectrum of two atoms over 3,000 layers holds; traces that turn after layer 2,000 do not."""
    layers = np.arange(3000)
    traces = 0.5 * 0.999**layers + 0.5
    assert moment_law(traces).holds(allowance=1e-9)
    turned = traces * np.exp(-1e-7 * np.maximum(layers - 2000, 0) ** 2)
    found = moment_law(turned)
    assert found.hankel.min() < -1e-6
    assert not found.holds(allowance=1e-7)
