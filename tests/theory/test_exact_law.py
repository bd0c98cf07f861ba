"""T1–T4 against constructed weights: each matrix is applied, each layer measured by slow loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from pnc.theory import (
    data_modes,
    exact_weights,
    layer_features,
    layer_gram,
    predict,
    residual_projection_of,
    signal_modes,
)
from tests import oracles, strategies
from tests.theory.agreement import disagreements


def known_projection(weights, problem, network):
    """The residual directions of W_1 where the width makes them matter."""
    narrow = network.width is not None and network.width < problem.dimension
    return residual_projection_of(weights, problem, network) if narrow else None


def mean_rank(problem):
    """Rank of the class means about their mean, from the data alone."""
    means = np.array([problem.X[problem.y == k].mean(axis=0) for k in range(problem.classes)])
    return np.linalg.matrix_rank(means - problem.counts @ means / problem.samples)


@settings(max_examples=360)
@given(strategies.cases())
def test_every_layer_of_constructed_weights_obeys_the_law(case):
    problem, network = case.problem, case.network
    weights = exact_weights(problem, network, seed=case.seed)
    projection = known_projection(weights, problem, network)
    curve = predict(problem, network, residual_projection=projection)
    rank = mean_rank(problem)
    if projection is not None:  # a narrow layer may let through fewer directions than the means span
        kept = np.vstack([projection, np.linalg.svd(weights[0], full_matrices=False)[2]])
        rank = min(rank, np.linalg.matrix_rank(kept))
    measured = [
        oracles.measure_layer(Z, problem.y, mean_rank=rank) for Z in oracles.features_of_layers(weights, problem.X)
    ]
    off = disagreements(curve, measured, problem, network, residual_projection=projection)
    signal = strategies.signal_values(problem, network.label_scale)
    hidden = [s for s in curve.provenance["truncated_directions"] if s > 1e-10 * signal[0]]
    if rank < mean_rank(problem) or hidden:
        # means that shrink to the residual scale: loops cannot tell their axes from rounding
        off = [item for item in off if item[0] != "separation_fuzziness"]
    assert not off


@settings(max_examples=40)
@given(strategies.cases(widths=("none", "equal", "broad")))
def test_gram_matrix_of_constructed_weights(case):
    problem, network = case.problem, case.network
    features = oracles.features_of_layers(exact_weights(problem, network, seed=case.seed), problem.X)
    condition = data_modes(problem).condition
    for l, Z in enumerate(features):
        gram = Z @ Z.T
        tolerance = 1e-13 * condition**2 * (l + 1) * np.abs(gram).max() * problem.samples
        assert np.abs(layer_gram(problem, network, l) - gram).max() <= tolerance
        factor = layer_features(problem, network, l)
        assert np.abs(factor @ factor.T - gram).max() <= tolerance


@settings(max_examples=30)
@given(strategies.cases(kinds=("orthonormal", "nearly-orthonormal"), widths=("none",)))
def test_gram_law_as_written(case):
    """T1 in the note's own letters: Yᵀ H^{l/L-1} Y + ε^{2l} (G - Yᵀ H⁻¹ Y)."""
    problem, network = case.problem, case.network
    Y = np.eye(problem.classes)[problem.y].T / network.label_scale
    G = problem.X @ problem.X.T
    values, U = np.linalg.eigh(Y @ np.linalg.solve(G, Y.T))
    for l in range(network.depth):
        power = (U * values ** (l / network.depth - 1)) @ U.T
        law = Y.T @ power @ Y + network.residual_scale ** (2 * l) * (G - Y.T @ (U / values) @ U.T @ Y)
        scale = np.abs(law).max()
        assert np.abs(layer_gram(problem, network, l) - law).max() <= 1e-9 * scale


@settings(max_examples=40)
@given(strategies.cases(kinds=("wide", "nearly-orthonormal"), widths=("narrow",)))
def test_haar_average_is_the_mean_over_random_residual_projections(case):
    """Without a projection, both traces are expectations: the mean of many draws lies within five standard
    errors."""
    problem, network = case.problem, case.network
    if network.width >= problem.dimension:
        return
    average = predict(problem, network)
    draws = []
    for seed in range(30):
        weights = exact_weights(problem, network, seed=case.seed % 1000 + seed)
        draws.append(predict(problem, network, residual_projection=residual_projection_of(weights, problem, network)))
    for name in ("within_scatter", "between_scatter"):
        values = np.array([getattr(draw, name) for draw in draws])
        error = values.std(axis=0, ddof=1) / np.sqrt(len(draws))
        assert np.all(np.abs(values.mean(axis=0) - getattr(average, name)) <= 5 * error + 1e-12 * values.max())
    assert "Haar" in average.provenance["residual"]


@settings(max_examples=60)
@given(strategies.cases())
def test_fuzziness_as_written(case):
    """T4 in the note's own letters, N × N matrices and all; for d_h < d with the Haar average of Π in
    Z_lᵀZ_l."""
    problem, network = case.problem, case.network
    X, K, N, d, L = problem.X.T, problem.classes, problem.samples, problem.dimension, network.depth
    Y, p = np.eye(K)[problem.y].T, problem.counts / problem.samples
    averages = Y / problem.counts[:, None]
    P_W, J, root = np.eye(N) - Y.T @ averages, np.eye(K) - p, np.diag(np.sqrt(p))
    _, s, Vt = np.linalg.svd(Y / network.label_scale @ np.linalg.pinv(X), full_matrices=False)
    keep = s > 2 * network.residual_scale**L
    if s[-1] < 1e-10 * s[0]:
        keep &= s > 1e-10 * s[0]
    V, s = Vt[keep].T, s[keep]
    off = X - V @ (V.T @ X)
    curve = predict(problem, network)
    rank = np.linalg.matrix_rank(averages @ X.T - p @ averages @ X.T)
    for l in range(L):
        share = 1.0
        if network.width is not None and network.width < d and l > 0:
            share = (network.width - len(s)) / (d - len(s))
        signal = (X.T @ V * s ** (2 * l / L)) @ (V.T @ X)
        gram = signal + share * network.residual_scale ** (2 * l) * off.T @ off
        F = root @ J @ averages @ gram @ P_W
        R = root @ J @ averages @ gram @ averages.T @ J.T @ root
        values, axes = np.linalg.eigh(R)
        values, axes = values[K - rank :], axes[:, K - rank :]
        if not rank or values[0] < 1e-9 * values[-1]:
            continue  # a square root of rounding is all that N × N arithmetic can tell here
        expected = np.sum((axes.T @ F) ** 2 / values[:, None] ** 2) / N
        noise = 1e-14 * N * np.abs(gram).max() / values[0]  # of R⁺ F
        allowed = 2 * noise * np.sqrt(expected) + noise**2
        assert curve.separation_fuzziness[l] == pytest.approx(expected, rel=1e-5, abs=allowed)


@settings(max_examples=20)
@given(strategies.cases(kinds=("wide",), widths=("narrow",)))
def test_a_projection_is_freed_of_its_signal_part(case):
    """Rows tilted towards the signal, as trained weights have them, count without that part."""
    problem, network = case.problem, case.network
    rows = residual_projection_of(exact_weights(problem, network, seed=0), problem, network)
    if not rows.size:
        return
    signal = signal_modes(problem, network).right[:, 0]
    tilted = rows.copy()
    tilted[0] = np.cos(0.1) * rows[0] + np.sin(0.1) * signal
    straight = predict(problem, network, residual_projection=rows)
    assert predict(problem, network, residual_projection=tilted).compression == pytest.approx(
        straight.compression, rel=1e-9
    )


def test_nearly_dependent_samples_are_still_independent():
    """Condition 10^6: G counts as invertible and T1 holds to rounding; at 10^-17 of a difference it does
    not."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6, 10))
    X[1] = X[0] + 1e-6 * X[1]
    problem, network = strategies.Problem(X=X, y=np.arange(6) // 2), strategies.NetworkSpec(depth=3)
    assert data_modes(problem).condition > 1e5
    curve = predict(problem, network)
    assert curve.provenance["statement"] == "T1"
    assert curve.layers.tolist() == [0, 1, 2]
    weights = exact_weights(problem, network, seed=0)
    measured = [oracles.measure_layer(Z, problem.y) for Z in oracles.features_of_layers(weights, X)]
    assert not disagreements(curve, measured, problem, network)
    X[1] = X[0] + 1e-17 * X[1]
    copied = strategies.Problem(X=X, y=np.arange(6) // 2)
    assert predict(copied, network).provenance["statement"] == "T3"


def test_provenance_says_why_a_statement_does_not_apply():
    rng = np.random.default_rng(0)
    tall = strategies.Problem(X=rng.standard_normal((20, 6)), y=np.arange(20) % 3)
    curve = predict(tall, strategies.NetworkSpec(depth=3, residual_scale=0.1))
    assert curve.provenance["statement"] == "T3"
    assert "N = 20 > d = 6" in curve.provenance["not_applicable"]["T1"]
    wide = strategies.Problem(X=rng.standard_normal((6, 20)), y=np.arange(6) % 3)
    assert predict(wide, strategies.NetworkSpec(depth=3, residual_scale=0.1)).provenance["statement"] == "T1"


@pytest.mark.parametrize("layer", [-1, 3])
def test_layers_outside_the_law_are_refused(layer):
    problem = strategies.Problem(X=np.eye(4), y=[0, 0, 1, 1])
    with pytest.raises(ValueError, match="expected a layer 0…2"):
        layer_gram(problem, strategies.NetworkSpec(depth=3), layer)
