"""U1–U4 on random features of no network at all, and where they are met with equality."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.errors import InvalidInputError
from pnc.theory import (
    nearest_centre_error_bound,
    nearest_centre_error_bound_from_curve,
    projected_nearest_centre_error_bound,
    smallest_separation_bound,
    stable_rank_bound,
    variance_rank_bound,
    variance_share_bound,
)
from tests import oracles
from tests.strategies import feature_sets

ROUNDING = 1e-9


def class_means(Z, y):
    return np.array([Z[y == k].mean(axis=0) for k in range(y.max() + 1)])


def nearest_centre_error(Z, y, means):
    """Share of samples at least as near to another class's mean as to their own, by loops."""
    wrong = 0
    for z, label in zip(Z, y):
        own = np.sum((z - means[label]) ** 2)
        wrong += any(np.sum((z - means[k]) ** 2) <= own for k in range(len(means)) if k != label)
    return wrong / len(y)


@settings(max_examples=200)
@given(feature_sets(), st.floats(0.5, 0.99))
def test_variance_rank_and_stable_rank(features, share):
    Z, y = features
    K, C = int(y.max()) + 1, oracles.measure_layer(Z, y).compression
    variances = np.linalg.svd(Z - Z.mean(axis=0), compute_uv=False) ** 2
    assert variances[: K - 1].sum() / variances.sum() >= variance_share_bound(C) - ROUNDING
    assert variances.sum() / variances[0] <= stable_rank_bound(C, K) * (1 + ROUNDING)
    bound = variance_rank_bound(C, K, share=share)
    rank = int(np.argmax(np.cumsum(variances) >= share * variances.sum())) + 1
    assert bound is None or rank <= bound


@settings(max_examples=200)
@given(feature_sets())
def test_nearest_centre_error(features):
    Z, y = features
    layer, means = oracles.measure_layer(Z, y), class_means(Z, y)
    priors = np.bincount(y) / len(y)
    error = nearest_centre_error(Z, y, means)
    sharp = nearest_centre_error_bound(layer.within_scatter, means)
    norms = np.linalg.norm(means, axis=1)
    loose = nearest_centre_error_bound_from_curve(layer.compression, layer.discrimination, norms, priors)
    assert error <= sharp + ROUNDING
    assert sharp <= loose + ROUNDING
    pairs = np.triu_indices(len(means), 1)
    nearest = np.sum((means[pairs[0]] - means[pairs[1]]) ** 2, axis=1).min()
    assert smallest_separation_bound(layer.discrimination, norms.min()) <= nearest * (1 + ROUNDING) + ROUNDING


@settings(max_examples=200)
@given(feature_sets())
def test_nearest_centre_error_after_projection(features):
    Z, y = features
    layer, means = oracles.measure_layer(Z, y), class_means(Z, y)
    K, priors = len(means), np.bincount(y) / len(y)
    axes = np.linalg.svd(Z - Z.mean(axis=0), full_matrices=False)[2][: K - 1]
    error = nearest_centre_error(Z @ axes.T, y, means @ axes.T)
    assert error <= projected_nearest_centre_error_bound(layer.within_scatter, means, priors) + ROUNDING


def test_variance_bounds_are_met_with_equality():
    """Within-class variance off the span of the means, equal classes: the share is 1/(1+C), stable rank
    (1+C)(K-1)."""
    K = 4
    means = np.hstack([np.eye(K) - 1 / K, np.zeros((K, 6))])
    noise = np.zeros((2, K + 6))
    noise[:, -1] = [0.1, -0.1]
    Z, y = np.repeat(means, 2, axis=0) + np.tile(noise, (K, 1)), np.repeat(np.arange(K), 2)
    C = oracles.measure_layer(Z, y).compression
    variances = np.linalg.svd(Z - Z.mean(axis=0), compute_uv=False) ** 2
    assert variances[: K - 1].sum() / variances.sum() == pytest.approx(variance_share_bound(C), rel=1e-12)
    assert variances.sum() / variances[0] == pytest.approx(stable_rank_bound(C, K), rel=1e-12)


def test_nearest_centre_bound_can_be_nearly_met():
    """A share p of one class sits just past half-way: the error is p/2 and the bound 4 tr Σ_W/Δ² about p
    (1-p/2) / (1-p)²."""
    N, p = 2000, 0.01
    Z = np.zeros((2 * N, 1))
    Z[N:] = 1.0
    Z[: int(p * N)] = 0.51 + p
    y = np.repeat([0, 1], N)
    layer, means = oracles.measure_layer(Z, y), class_means(Z, y)
    error = nearest_centre_error(Z, y, means)
    bound = nearest_centre_error_bound(layer.within_scatter, means)
    assert error == p / 2
    assert error <= bound <= 1.2 * error


def test_c_and_d_alone_do_not_bound_the_error():
    """The note's remark: one class of norm 100 makes C small while two classes of norm 1 are lost in their
    noise."""
    means = np.diag([1.0, 1.0, 100.0])
    along = 5 * np.array([-1.0, 1.0, 0.0])
    Z = np.vstack([means[0] + along, means[0] - along, means[1] + along, means[1] - along, means[2], means[2]])
    y = np.repeat([0, 1, 2], 2)
    layer = oracles.measure_layer(Z, y)
    error = nearest_centre_error(Z, y, class_means(Z, y))
    assert 2 * layer.compression / layer.discrimination < 0.04 < error
    norms, priors = np.array([1.0, 1.0, 100.0]), np.full(3, 1 / 3)
    assert error <= nearest_centre_error_bound_from_curve(layer.compression, layer.discrimination, norms, priors)


def test_vacuous_bounds_say_one():
    assert nearest_centre_error_bound(1.0, np.zeros((2, 3))) == 1.0
    assert nearest_centre_error_bound_from_curve(0.1, 0.0, np.ones(2), np.full(2, 0.5)) == 1.0
    assert projected_nearest_centre_error_bound(1.0, np.eye(2), np.full(2, 0.5)) == 1.0
    assert variance_share_bound(np.array([0.0, 1.0])).tolist() == [1.0, 0.5]
    assert stable_rank_bound(np.array([0.0, 1.0]), 3).tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: variance_share_bound(-0.1), "expected C ≥ 0"),
        (lambda: stable_rank_bound(-0.1, 3), "expected C ≥ 0"),
        (lambda: variance_rank_bound(0.1, 3, share=0.0), "expected a share"),
        (lambda: nearest_centre_error_bound(0.1, np.ones((1, 2))), "K ≥ 2"),
        (lambda: projected_nearest_centre_error_bound(0.1, np.eye(2), np.ones(3)), "one prior"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()
