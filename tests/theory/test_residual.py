"""R1 to R8 against constructed weights, 50-digit arithmetic and their own limits."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.data import Problem
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.theory.residual import (
    ResidualSpec,
    block_growth,
    depth_limit,
    effective_depth,
    embedded_growth,
    predict_residual,
    random_classifier_images,
    remaining_angle,
    residual_gram,
    residual_ratio_bounds,
    two_matrix_growth,
)
from tests import oracles, strategies


def built_features(problem, depth, scale, label_scale=1.0, embedding=None):
    """Features of weights written down from the conservation laws alone: every block the same square root of A, the
    factors found by 50-digit root finding."""
    m, d = depth - 1, problem.dimension
    Y = np.eye(problem.classes)[problem.y].T / label_scale
    U, s, Vt = np.linalg.svd(Y @ np.linalg.pinv(problem.X.T), full_matrices=False)
    keep = s > 1e-9 * s[0]
    U, s, V = U[:, keep], s[keep], Vt[keep].T
    first = np.eye(d)
    if embedding is None:
        g = np.array([root(lambda x, v=v: x**m * (x - 1) - (scale * v) ** 2) for v in s])
        share = np.sqrt(g - 1) / scale
    else:
        gamma, b2 = embedding, scale**2
        g = np.array([root(lambda x, v=v: (gamma**2 + (x - 1) / b2) * (x - 1) / b2 * x**m - v**2) for v in s])
        share = np.sqrt(g - 1) / scale
        first = (V * np.sqrt(gamma**2 + share**2)) @ V.T + gamma * (np.eye(d) - V @ V.T)
    block = (V * np.sqrt(g)) @ V.T + np.eye(d) - V @ V.T
    classifier = (U * share) @ V.T
    whole = classifier @ np.linalg.matrix_power(block, m) @ first
    assert np.abs(whole - (U * s) @ V.T).max() < 1e-9 * s[0]  # it fits
    W = (block - np.eye(d)) / scale
    # what the flow conserves between the classifier and the last block, from zero
    assert np.abs(scale**2 * classifier.T @ classifier - block @ block.T + np.eye(d)).max() < 1e-9 * g.max()
    features = [problem.X @ first.T]
    for _ in range(m):
        features.append(features[-1] + scale * features[-1] @ W.T)
    return features


def root(equation):
    with mp.workdps(50):
        high = mp.mpf(2)
        while equation(high) < 0:
            high *= 2
        low = mp.mpf(1)
        for _ in range(170):
            middle = (low + high) / 2
            low, high = (middle, high) if equation(middle) < 0 else (low, middle)
        return float(low)


@settings(max_examples=60)
@given(
    strategies.problems(),
    st.integers(2, 9),
    st.sampled_from([0.25, 1.0, 2.0]),
    st.sampled_from([1.0, 30.0]),
    st.sampled_from([None, 0.4, 1.5]),
)
def test_every_layer_of_constructed_weights_obeys_the_law(drawn, depth, scale, label_scale, embedding):
    problem, kind = drawn
    signal = strategies.signal_values(problem, 1.0)
    if signal[-1] < 1e-6 * signal[0]:
        return  # a direction at the edge of rounding belongs to neither side
    network = ResidualSpec(depth=depth, block_scale=scale, label_scale=label_scale, embedding_scale=embedding)
    curve = predict_residual(problem, network)
    assert curve.origin.statement == ("R1" if embedding is None else "R6")
    features = built_features(problem, depth, scale, label_scale, embedding)
    degenerate = kind in ("centred", "duplicated")
    for l, Z in enumerate(features):
        found = oracles.measure_layer(Z, problem.y)
        assert curve.within_scatter[l] == pytest.approx(found.within_scatter, rel=1e-9)
        assert curve.between_scatter[l] == pytest.approx(found.between_scatter, rel=1e-9)
        assert curve.compression[l] == pytest.approx(found.compression, rel=1e-9)
        assert curve.discrimination[l] == pytest.approx(found.discrimination, abs=1e-9)
        if not degenerate and found.separation_fuzziness > 1e-6 * found.compression:
            assert curve.separation_fuzziness[l] == pytest.approx(found.separation_fuzziness, rel=1e-6)
        gram = residual_gram(problem, network, l)
        assert np.abs(gram - Z @ Z.T).max() < 1e-9 * np.abs(gram).max()


def test_gram_law_as_written():
    """R1 in the note's own letters: Yᵀ H⁻¹ g(H)^l Y + (G - YᵀH⁻¹Y)."""
    rng = np.random.default_rng(0)
    problem, m, β = Problem(X=rng.standard_normal((9, 20)), y=[0, 0, 0, 0, 1, 1, 1, 2, 2]), 4, 0.7
    Y, G = np.eye(3)[problem.y].T, problem.X @ problem.X.T
    h, U = np.linalg.eigh(Y @ np.linalg.solve(G, Y.T))
    g = np.array([root(lambda x, v=v: x**m * (x - 1) - β**2 * v) for v in h])
    for l in range(m + 1):
        law = Y.T @ (U * (g**l / h)) @ U.T @ Y + G - Y.T @ (U / h) @ U.T @ Y
        assert np.abs(residual_gram(problem, ResidualSpec(depth=m + 1, block_scale=β), l) - law).max() < 1e-11


@settings(max_examples=60)
@given(st.floats(-20, 20), st.integers(1, 400), st.floats(-6, 3))
def test_growth_to_50_digits(log_s, m, log_β):
    s, β = float(np.exp(log_s)), float(np.exp(log_β))
    g = block_growth(np.array([s]), blocks=m, block_scale=β)[0]
    with mp.workdps(50):
        low, high = mp.mpf(-120), mp.mpf(60)  # of log(g - 1)
        for _ in range(220):
            middle = (low + high) / 2
            excess = middle + m * mp.log1p(mp.exp(middle)) - 2 * mp.log(mp.mpf(s)) - 2 * mp.log(mp.mpf(β))
            low, high = (middle, high) if excess < 0 else (low, middle)
        exact = 1 + mp.exp(low)
    assert g == pytest.approx(float(exact), rel=1e-14)


def test_equal_classes_and_orthonormal_data_have_a_closed_form():
    """R2: C_l = C_0 g(n)^{-l}, D_l = 1, fuzziness 0; and the classifier's share c² = (g-1)/β²."""
    problem = Problem(X=np.eye(12, 15), y=np.repeat(np.arange(3), 4))
    curve = predict_residual(problem, ResidualSpec(depth=7, block_scale=0.6))
    g = block_growth(np.array([2.0]), blocks=6, block_scale=0.6)[0]
    assert curve.compression == pytest.approx(3 * 3 / 2 * g ** -np.arange(7.0), rel=1e-12)
    assert np.abs(curve.discrimination - 1).max() < 1e-12
    assert curve.separation_fuzziness.max() < 1e-25
    assert np.ptp(curve.within_scatter) < 1e-15  # it never shrinks the classes
    assert (g - 1) / 0.6**2 * g**6 == pytest.approx(4, rel=1e-12)


def test_fuzziness_falls_as_the_square_of_the_growth():
    """R2 with T4: to leading order F_l ∝ g^{-2l}."""
    rng = np.random.default_rng(1)
    X = strategies.nearly_orthonormal(rng, 30, 50, 0.05)
    curve = predict_residual(Problem(X=X, y=np.repeat(np.arange(3), 10)), ResidualSpec(depth=6))
    g = block_growth(np.array([np.sqrt(10)]), blocks=5)[0]
    steps = curve.separation_fuzziness[1:] / curve.separation_fuzziness[:-1]
    assert steps == pytest.approx(np.full(5, g**-2.0), rel=0.02)


class TestBounds:
    def test_never_broken(self):
        rng = np.random.default_rng(2)
        checked = 0
        for _ in range(150):
            K = int(rng.integers(2, 6))
            counts = rng.integers(1, 9, K)
            N = int(counts.sum())
            Q = np.linalg.qr(rng.standard_normal((N, N)))[0]
            θ = rng.uniform(0, 0.99)
            spread = rng.uniform(-1, 1, N) if rng.random() < 0.5 else rng.choice([-1.0, 1.0], N)
            G = (Q * (1 + θ * spread)) @ Q.T
            problem = Problem(X=np.linalg.cholesky(G), y=np.repeat(np.arange(K), counts))
            network = ResidualSpec(
                depth=int(rng.integers(2, 14)),
                block_scale=float(10 ** rng.uniform(-1.5, 1)),
                label_scale=float(rng.choice([1.0, 4.0])),
            )
            curve, bounds = predict_residual(problem, network), residual_ratio_bounds(θ, counts, network)
            ratio = curve.compression[1:] / curve.compression[:-1]
            usable = np.isfinite(ratio) & (curve.compression[1:] > 1e-9)
            assert np.all((bounds.lower <= ratio * (1 + 1e-9))[usable])
            assert np.all((ratio <= bounds.upper * (1 + 1e-9))[usable])
            total = curve.compression / curve.compression[0]
            if usable.all():
                assert np.all(bounds.cumulative_lower <= total * (1 + 1e-9))
                assert np.all(total <= bounds.cumulative_upper * (1 + 1e-9))
            checked += int(usable.sum())
        assert checked > 500

    def test_equal_at_no_perturbation(self):
        bounds = residual_ratio_bounds(0.0, [7, 7, 7], ResidualSpec(depth=9, block_scale=0.3))
        assert bounds.lower == pytest.approx(bounds.upper, rel=1e-14)

    def test_refused_outside(self):
        with pytest.raises(InvalidInputError, match="R1"):
            residual_ratio_bounds(1.0, [3, 3], ResidualSpec(depth=3))
        with pytest.raises(NotApplicableError, match="R3 does not apply"):
            residual_ratio_bounds(0.1, [3, 3], ResidualSpec(depth=3, classifier_scale=1.0))


class TestLimits:
    @pytest.mark.parametrize(("blocks", "total"), [(4, 5.027), (8, 5.356), (16, 5.536), (32, 5.631)])
    def test_scale_one_over_root_depth(self, blocks, total):
        limit = depth_limit(10, ResidualSpec(depth=blocks + 1, block_scale=blocks**-0.5))
        assert limit.total_compression == pytest.approx(total, abs=6e-4)
        assert limit.total_compression_limit == pytest.approx(5.729, abs=6e-4)

    def test_total_compression_lies_between_its_bounds(self):
        for m in (1, 2, 7, 50):
            for scale in (0.1, 1.0, 3.0):
                limit = depth_limit(6, ResidualSpec(depth=m + 1, block_scale=scale))
                assert limit.total_compression_least <= limit.total_compression * (1 + 1e-12)
                assert limit.total_compression <= limit.total_compression_limit * (1 + 1e-12)

    def test_limits_are_reached(self):
        for scale in (lambda m: 1.0, lambda m: m**-0.5, lambda m: 1 / m):
            errors = []
            for m in (10**3, 10**5, 10**7):
                limit = depth_limit(10, ResidualSpec(depth=m + 1, block_scale=scale(m)))
                errors.append(
                    max(
                        abs(limit.total_compression / limit.total_compression_limit - 1),
                        abs(limit.remaining_angle / limit.remaining_angle_limit - 1),
                    )
                )
            assert errors[1] < errors[0]
            assert errors[2] < max(1e-9, errors[1])
            assert errors[2] < 2e-4
        assert depth_limit(10, ResidualSpec(depth=10**6, block_scale=1e-6)).total_compression == pytest.approx(
            1, abs=1e-4
        )

    def test_discrimination_is_linear_to_first_order(self):
        """R4: 1 - D_l = t_l m_Ψ; the second order is seen to be of the second order."""
        rng = np.random.default_rng(3)
        n, K, network = 6, 3, ResidualSpec(depth=6, block_scale=0.8)
        E = rng.uniform(-1, 1, (n * K, n * K))
        E = (E + E.T) / 2
        off = []
        for θ in (0.02, 0.01):
            problem = Problem(X=np.linalg.cholesky(np.eye(n * K) + θ / n / K * E), y=np.repeat(np.arange(K), n))
            curve = predict_residual(problem, network)
            Y = np.eye(K)[problem.y].T
            h, U = np.linalg.eigh(Y @ np.linalg.solve(problem.X @ problem.X.T, Y.T))
            Ψ = -(U * np.log(h / n)) @ U.T
            largest = (Ψ - np.diag(np.diag(Ψ) + np.inf)).max()
            law = remaining_angle(n, network) * largest
            off.append(np.abs(1 - curve.discrimination - law).max() / abs(largest))
        assert off[0] < 0.02
        assert off[1] < 0.6 * off[0]
        assert effective_depth(n, network) > network.blocks


def test_two_matrix_blocks_conserve_what_they_should():
    """R7 integrated a second time: the three scalar equations by Runge–Kutta."""
    for symmetric in (False, True):
        ε, β, m, s = 0.4, 0.8, 3, 2.0
        u1, u2, c = ε, (ε if symmetric else 0.0), 0.0

        def slope(y, β=β, m=m, s=s):
            u1, u2, c = y
            a = 1 + β * u1 * u2
            e = c * a**m - s
            p = c * a ** (m - 1) * e
            return np.array([-β * u2 * p, -β * u1 * p, -(a**m) * e])

        y = np.array([u1, u2, c])
        for _ in range(60_000):
            k1 = slope(y)
            k2 = slope(y + 5e-4 * k1)
            y = y + 1e-3 * k2
        a = two_matrix_growth(np.array([s]), blocks=m, block_scale=β, initial_scale=ε, symmetric=symmetric)[0]
        assert 1 + β * y[0] * y[1] == pytest.approx(a, rel=1e-6)
        assert y[2] * a**m == pytest.approx(s, rel=1e-6)


def test_a_small_random_classifier_changes_little():
    """R8 → R1 as κ → 0."""
    images = random_classifier_images(2.0, blocks=3, classifier_scale=1e-4, span_share=0.5)
    g = block_growth(np.array([2.0]), blocks=3)[0]
    lengths = np.sum(images**2, axis=1)
    assert lengths[:, 0] == pytest.approx(g ** np.arange(4.0), rel=1e-3)
    assert lengths[:, 1] == pytest.approx(np.ones(4), rel=1e-3)


def test_a_faint_embedding_is_a_block_of_its_own():
    """R6: e → γ² as β → 0 at fixed x, and the embedding learns like a block with γ in place of 1."""
    e, x = embedded_growth(np.array([1.7]), blocks=5, block_scale=1.0, embedding_scale=1.0)
    g = block_growth(np.array([1.7]), blocks=6, block_scale=1.0)
    assert e == pytest.approx(g, rel=1e-13)
    assert x == pytest.approx(g, rel=1e-13)


@pytest.mark.parametrize(
    "bad",
    [
        dict(depth=1),
        dict(depth=3, block_scale=0.0),
        dict(depth=3, block_scale=float("nan")),
        dict(depth=3, label_scale=-1.0),
        dict(depth=3, initial_scale=0.1),
        dict(depth=3, block="two-matrix", initial_scale=0.0),
        dict(depth=3, classifier_scale=-0.1),
        dict(depth=3, embedding_scale=0.0),
        dict(depth=3, block="three-matrix"),
    ],
)
def test_bad_networks_are_refused(bad):
    with pytest.raises(InvalidInputError):
        ResidualSpec(**bad)


def test_statements_outside_their_assumptions_are_refused_by_name():
    rng = np.random.default_rng(0)
    rough = Problem(X=rng.standard_normal((6, 9)), y=[0, 0, 0, 1, 1, 1])
    tall = Problem(X=np.linalg.qr(rng.standard_normal((12, 3)))[0], y=np.arange(12) % 2)
    with pytest.raises(NotApplicableError, match="R7 does not apply: it needs whitened data"):
        predict_residual(rough, ResidualSpec(depth=3, block="two-matrix"))
    with pytest.raises(NotApplicableError, match="R8 does not apply: it needs whitened data"):
        predict_residual(rough, ResidualSpec(depth=3, classifier_scale=0.5))
    with pytest.raises(NotApplicableError, match="R8 does not apply: it needs labels"):
        predict_residual(tall, ResidualSpec(depth=3, classifier_scale=0.5))
    with pytest.raises(NotApplicableError, match="R6 does not apply"):
        predict_residual(rough, ResidualSpec(depth=3, block="two-matrix", embedding_scale=1.0))
    with pytest.raises(InvalidInputError, match="layer 3"):
        residual_gram(rough, ResidualSpec(depth=3), 3)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("value", [0.1, 1.0, 1e12])
def test_two_matrix_blocks_grow_to_the_singular_value_however_large(value, symmetric):
    m, β, ε = 3, 0.5, 0.1
    (a,) = two_matrix_growth(np.array([value]), blocks=m, block_scale=β, initial_scale=ε, symmetric=symmetric)
    with mp.workdps(40):
        part = (mp.mpf(a) - 1) / (mp.mpf(β) * mp.mpf(ε) ** 2)  # 1 + r², or r sqrt(1 + r²)
        square = part - 1 if symmetric else (mp.sqrt(1 + 4 * part**2) - 1) / 2
        rise = mp.sqrt(square)
        c2 = (mp.log(1 + square) if symmetric else 2 * mp.asinh(rise)) / β + mp.mpf(ε) ** 2 * square
        found = mp.sqrt(c2) * mp.mpf(a) ** m
    assert float(found) == pytest.approx(value, rel=1e-9)
