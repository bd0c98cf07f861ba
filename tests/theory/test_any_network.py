"""U5 to U7 and RL5 on drawn features and on trained networks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from pnc.errors import InvalidInputError
from pnc.theory.any_network import (
    attributed_compression,
    linear_within_factor,
    readout_error,
    readout_error_bound,
    rectified_cosine_bound,
    sum_scatter_bound,
    weight_tail_bound,
)
from tests import oracles, strategies


def covariances(Z, y):
    overall, W, B = Z.mean(axis=0), 0.0, 0.0
    for k in np.unique(y):
        part = Z[y == k]
        centred = part - part.mean(axis=0)
        W = W + centred.T @ centred / len(Z)
        B = B + len(part) / len(Z) * np.outer(part.mean(axis=0) - overall, part.mean(axis=0) - overall)
    return W, B


@settings(max_examples=60)
@given(strategies.feature_sets())
def test_modules_of_a_random_network(drawn):
    """U5: a linear map's factor exactly, ReLU and tanh never raise tr Σ_W, a skip stays below its bound; all add up."""
    Z, y = drawn
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((7, Z.shape[1])), rng.standard_normal((7, 7)) / 3
    sites = [Z, Z @ A.T]
    sites.append(np.maximum(sites[-1], 0))
    sites.append(sites[-1] + sites[-1] @ B.T)
    sites.append(np.tanh(sites[-1]))
    found = [oracles.measure_layer(site, y) for site in sites]
    W = [f.within_scatter for f in found]
    S = [f.between_scatter for f in found]
    assert linear_within_factor(A, covariances(Z, y)[0]) * W[0] == pytest.approx(W[1], rel=1e-9)
    assert linear_within_factor(A, covariances(Z, y)[0]) <= np.linalg.norm(A, 2) ** 2 * (1 + 1e-12)
    assert W[2] <= W[1] * (1 + 1e-12)
    assert W[4] <= W[3] * (1 + 1e-12)
    branch = oracles.measure_layer(sites[2] @ B.T, y)
    assert W[3] <= sum_scatter_bound(W[2], branch.within_scatter) * (1 + 1e-12)
    assert S[3] <= sum_scatter_bound(S[2], branch.between_scatter) * (1 + 1e-12)
    if min(S) > 1e-12:
        within, between = attributed_compression(np.array(W), np.array(S))
        assert within.sum() + between.sum() == pytest.approx(
            np.log(found[-1].compression / found[0].compression), abs=1e-9
        )


def test_cosines_after_relu():
    """RL5: no violation in 10⁶ pairs, and the bound is reached."""
    rng = np.random.default_rng(0)
    for size in (2, 3, 8, 40):
        a, b = rng.standard_normal((2, 250_000, size))
        b -= np.exp(rng.uniform(-2, 2, 250_000))[:, None] * a  # mostly obtuse
        a = np.where(rng.random(a.shape) < 0.3, a * 1000, a)

        def cosine(u, w):
            norms = np.linalg.norm(u, axis=1) * np.linalg.norm(w, axis=1)
            return np.sum(u * w, axis=1) / np.where(norms > 0, norms, 1)

        c, after = cosine(a, b), cosine(np.maximum(a, 0), np.maximum(b, 0))
        limit = np.where(c < 0, np.sqrt(np.maximum(1 - c**2, 0)), 1.0)
        assert np.all(after <= limit + 1e-9)
    a, b = np.array([1.0, -1e8]), np.array([0.6, 0.8])
    after = max(a[0], 0) * b[0] / np.linalg.norm(b)
    assert after == pytest.approx(rectified_cosine_bound(float(a @ b / np.linalg.norm(a))), abs=1e-6)


@settings(max_examples=60)
@given(strategies.feature_sets())
def test_readout_from_moments(drawn):
    """U6 against least squares itself; classes made equal."""
    Z, y = drawn
    n = np.bincount(y).min()
    K = y.max() + 1
    rows = np.concatenate([np.flatnonzero(y == k)[:n] for k in range(K)])
    Z, y = Z[rows], y[rows]
    if Z.shape[1] < K - 1 or n < 2 or np.linalg.norm(Z) > 1e6:
        return
    centred, labels = Z - Z.mean(axis=0), np.eye(K)[y] - 1 / K
    W, B = covariances(Z, y)
    eigen = np.linalg.eigvalsh(W + B)
    if eigen[0] < 1e-8 * eigen[-1]:
        return
    left = labels - centred @ np.linalg.lstsq(centred, labels, rcond=None)[0]
    error = np.sum(left**2) / np.sum(labels**2)
    assert readout_error(W, B, classes=K) == pytest.approx(error, abs=1e-8)
    values, vectors = np.linalg.eigh(B)
    if values[-(K - 1)] > 1e-8 * values[-1]:
        top = vectors[:, -(K - 1) :]
        fuzziness = np.sum(np.diag(top.T @ W @ top) / values[-(K - 1) :])
        assert error <= readout_error_bound(float(fuzziness), classes=K) + 1e-9


def test_weights_of_trained_layers():
    """U7 at every 50th step of a small ReLU network with weight decay, both layers."""
    rng = np.random.default_rng(1)
    K, n, d, width, λ, rate = 3, 12, 6, 20, 0.03, 0.1
    y = np.repeat(np.arange(K), n)
    X = rng.standard_normal((K * n, d)) + 1.5 * rng.standard_normal((K, d))[y]
    Y = np.eye(K)[y]
    weights = [rng.standard_normal((width, d)) / 2, rng.standard_normal((K, width)) / 4]
    reached = []
    for step in range(1501):
        pre = X @ weights[0].T
        hidden = np.maximum(pre, 0)
        δ2 = 2 * (hidden @ weights[1].T - Y)
        δ1 = (δ2 @ weights[1]) * (pre > 0)
        gradients = [δ1.T @ X / len(X) + λ * weights[0], δ2.T @ hidden / len(X) + λ * weights[1]]
        if step % 50 == 0:
            for W, G, δ, Z in zip(weights, gradients, (δ1, δ2), (X, hidden)):
                bound = weight_tail_bound(
                    gradient_norm=float(np.linalg.norm(G)),
                    mean_square_error_signal=float(np.mean(np.sum(δ**2, axis=1))),
                    within_scatter=oracles.measure_layer(Z, y).within_scatter,
                    weight_decay=λ,
                )
                tail = np.linalg.svd(W, compute_uv=False)[K:]
                assert np.sqrt(np.sum(tail**2)) <= bound
                reached.append(float(np.sqrt(np.sum(tail**2)) / bound))
        weights = [W - rate * G for W, G in zip(weights, gradients)]
    assert max(reached) > 1e-3  # not empty: within a factor of a thousand


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: attributed_compression(np.array([1.0]), np.array([1.0])),
        lambda: attributed_compression(np.array([1.0, 0.0]), np.array([1.0, 1.0])),
        lambda: linear_within_factor(np.eye(3), np.eye(2)),
        lambda: sum_scatter_bound(-1.0, 1.0),
        lambda: rectified_cosine_bound(1.5),
        lambda: readout_error(np.eye(2), np.eye(3), classes=2),
        lambda: readout_error_bound(-0.1, classes=3),
        lambda: readout_error_bound(0.1, classes=1),
        lambda: weight_tail_bound(
            gradient_norm=0.0, mean_square_error_signal=1.0, within_scatter=1.0, weight_decay=0.0
        ),
    ],
)
def test_bad_input_is_refused(wrong):
    with pytest.raises(InvalidInputError):
        wrong()
