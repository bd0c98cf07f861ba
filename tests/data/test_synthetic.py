"""Synthetic draws: each kind has the property that names it, exactly."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.data.synthetic import CLUSTER_RADIUS, draw
from pnc.spec import ProblemSpec

u = np.finfo(float).eps
quick = settings(deadline=None, max_examples=40)
counts = st.lists(st.integers(1, 9), min_size=2, max_size=6).map(tuple)
seeds = st.integers(0, 2**32)


def spec_of(counts, room, **options):
    N = sum(counts)
    return ProblemSpec(classes=len(counts), samples_per_class=counts, dimension=math.ceil(N * room), **options)


def rounding(N, d):
    """Of a Gram matrix of N orthonormal rows: Householder QR and a product, N d u each at the very most."""
    return 4 * N * d * u


@quick
@given(counts, st.floats(1, 3), seeds)
def test_orthonormal_rows(counts, room, seed):
    spec = spec_of(counts, room, kind="orthonormal", seed=seed)
    X = draw(spec).X
    assert X.shape == (spec.samples, spec.dimension)
    assert np.abs(X @ X.T - np.eye(spec.samples)).max() <= rounding(*X.shape)


@quick
@given(counts, st.floats(1, 3), st.floats(0, 0.9999), seeds)
def test_theta_is_exactly_as_asked(counts, room, theta, seed):
    spec = spec_of(counts, room, theta=theta, seed=seed)
    X, N = draw(spec).X, spec.samples
    gram = X @ X.T
    assert abs(N * np.abs(gram - np.eye(N)).max() - theta) <= N * rounding(*X.shape)
    assert np.linalg.norm(gram - np.eye(N), 2) <= theta + N * rounding(*X.shape)  # Gershgorin


def test_the_perturbation_is_random_in_sign_and_symmetric():
    gram = (lambda X: X @ X.T)(draw(ProblemSpec(samples_per_class=20, theta=0.9)).X)
    off = gram[np.triu_indices(60, 1)]
    assert 0.4 < np.mean(off > 0) < 0.6
    # uniform in [-1, 1] up to the scale: mean square a third of the largest square, ± 5 standard errors
    assert abs(np.mean(off**2) / off.max() ** 2 - 1 / 3) < 5 * np.sqrt(4 / 45 / off.size) + 0.01


@quick
@given(counts, st.floats(1, 3), seeds)
def test_noise_has_frobenius_norm_one(counts, room, seed):
    noisy = draw(spec_of(counts, room, kind="orthonormal-noise", seed=seed)).X
    rows = draw(spec_of(counts, room, kind="orthonormal", seed=seed)).X
    assert np.linalg.norm(noisy - rows) == pytest.approx(1, abs=1e-13)


def test_rows_are_haar_distributed():
    # QR left to itself gives the first column of the factor a sign that the data decide
    first = [draw(ProblemSpec(kind="orthonormal", seed=seed)).X[0, 0] for seed in range(20)]
    assert min(first) < 0 < max(first)
    # E x_1² = 1/d
    many = np.concatenate([draw(ProblemSpec(kind="orthonormal", seed=seed)).X[:, 0] for seed in range(20)])
    assert abs(np.mean(many**2) * 50 - 1) < 5 * np.sqrt(2 / many.size)


@quick
@given(st.integers(2, 5), st.integers(20, 60), st.integers(1, 40), seeds)
def test_clusters(classes, n, d, seed):
    """tr Σ_W N d / r² is χ² with (N - K) d degrees of freedom; the bound is 7 standard deviations."""
    spec = ProblemSpec(classes=classes, samples_per_class=n, dimension=d, kind="gaussian-clusters", seed=seed)
    X = draw(spec).X.reshape(classes, n, d)
    centres = X.mean(axis=1, keepdims=True)
    freedom = (n - 1) * classes * d
    within = ((X - centres) ** 2).sum() * d / CLUSTER_RADIUS**2
    # the bracket 1 + z/√freedom is a bound of χ² tails (Laurent and Massart)
    assert abs(within / freedom - 1) <= 2 * 7 / np.sqrt(2 * freedom) + 2 * 49 / (2 * freedom)
    noise = CLUSTER_RADIUS / np.sqrt(n)
    assert np.all(np.abs(np.linalg.norm(centres, axis=-1) - 1) <= noise * (1 + 7 / np.sqrt(d)))


@quick
@given(
    counts,
    st.sampled_from(["nearly-orthonormal", "orthonormal", "orthonormal-noise", "gaussian-clusters"]),
    seeds,
)
def test_labels_and_reproducibility(counts, kind, seed):
    spec = spec_of(counts, 2, kind=kind, seed=seed)
    first, again = draw(spec), draw(spec)
    other = draw(spec_of(counts, 2, kind=kind, seed=seed + 1))
    assert np.array_equal(first.X, again.X)
    assert not np.array_equal(first.X, other.X)
    assert first.counts.tolist() == list(counts)
    assert np.all(np.diff(first.y) >= 0)
    assert first.name == first.provenance["kind"] == kind
    assert first.provenance["seed"] == seed
    assert ("theta" in first.provenance) == (kind == "nearly-orthonormal")


def test_more_samples_than_dimensions():
    X = draw(ProblemSpec(samples_per_class=40, dimension=3, kind="gaussian-clusters")).X
    assert X.shape == (120, 3)
    assert np.linalg.matrix_rank(X) == 3


def test_square_and_theta_zero():
    X = draw(ProblemSpec(dimension=30, theta=0.0)).X
    assert np.abs(X @ X.T - np.eye(30)).max() <= rounding(30, 30)
    assert np.abs(X.T @ X - np.eye(30)).max() <= rounding(30, 30)
