"""T8: the certificate is never violated, is narrow where it should be, and each of its terms is needed."""

from __future__ import annotations

import dataclasses
import itertools
import json

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.errors import InvalidInputError
from pnc.theory.certificates import Certificate, InputMoments, certificate, certify, summarise_weights
from pnc.theory.certificates import summary as summaries
from pnc.theory.certificates.intervals import DOMINANT_TERMS, _intervals
from proofs_check.certificate_sweep import (
    KINDS,
    exact_weights,
    measure,
    nearly_orthonormal,
    paper_setting,
    perturbed,
    random_data,
    random_weights,
    violations,
)

ROUNDING = frozenset({("rounding", "within"), ("rounding", "between")})


def features(weights, X):
    """Features at layers 0 ... L-1, (N, d_l) each."""
    z = [X]
    for w in weights[:-1]:
        z.append(z[-1] @ w.T)
    return z


def exactly_measured(weights, X, y, digits=80):
    """C_l and D_l of float64 weights and inputs as they stand, in `digits`-digit arithmetic."""
    with mpmath.workdps(digits):
        z = mpmath.matrix(X.tolist()).T
        counts = np.bincount(y)
        compression, discrimination = [], []
        for l in range(len(weights)):
            if l > 0:
                z = mpmath.matrix(weights[l - 1].tolist()) * z
            means = [sum((z[:, int(i)] for i in np.flatnonzero(y == k)), 0 * z[:, 0]) / int(counts[k])
                     for k in range(counts.size)]  # fmt: skip
            centre = sum((int(n) * m for n, m in zip(counts, means, strict=True)), 0 * z[:, 0]) / int(y.size)
            squared = lambda v: mpmath.fsum(e * e for e in v)  # noqa: E731
            within = mpmath.fsum(squared(z[:, i] - means[int(k)]) for i, k in enumerate(y))
            between = mpmath.fsum(int(n) * squared(m - centre) for n, m in zip(counts, means, strict=True))
            cosines = [(means[j].T * means[k])[0] / mpmath.sqrt(squared(means[j]) * squared(means[k]))
                       for k in range(counts.size) for j in range(k)]  # fmt: skip
            compression.append(within / between)
            discrimination.append(1 - max(cosines))
        return compression, discrimination


def violated(bounds, compression, discrimination):
    """Layers at which C_l or D_l lies outside its interval; `bounds` is a mapping of arrays."""
    return [
        l for l in range(len(compression))
        if not bounds["compression_lower"][l] <= compression[l] <= bounds["compression_upper"][l]
        or not bounds["discrimination_lower"][l] <= discrimination[l] <= bounds["discrimination_upper"][l]
    ]  # fmt: skip


def sheared_problem(sign=1.0, with_means=False):
    """Two hidden layers with couplings, whose product has none; each residual gain is exactly 1/4.

    Signal and residual are apart again after both layers, but at layer 1 the signal part of the within-class
    scatter (or of the class means) has leaked into the residual, where it adds to what is there or
    cancels it.
    """
    s, t, c = 2.0, 0.25, 0.75
    eye, zero = np.eye(2), np.zeros((2, 2))
    first = np.block([[s * eye, zero], [c * eye, t * eye]])
    second = np.block([[s * eye, zero], [-t * c / s * eye, t * eye]])
    means = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    offsets = np.array([[0.125, 0.0, sign, 0.0], [0.0, 0.125, 0.0, sign]])
    if with_means:
        means[:, 2:] = sign * eye
        offsets = np.array([[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    X = np.concatenate([means + offsets, means - offsets])
    return [first, second, np.ones((2, 4))], X, np.array([0, 1, 0, 1])


# --- never violated ---


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(KINDS), groups=st.integers(1, 4))
def test_never_violated_by_any_weights(seed, kind, groups):
    rng = np.random.default_rng(seed)
    X, y = random_data(rng)
    weights, _ = random_weights(rng, kind, X, y)
    found, _, _ = violations(weights, X, y, groups)
    assert found == []


@pytest.mark.parametrize("kind", ["exact", "perturbed", "trained from orthogonal", "trained from default"])
@pytest.mark.parametrize("seed", [1, 2])
def test_encloses_the_exact_values_of_given_floats(kind, seed):
    rng = np.random.default_rng(seed)
    X, y = nearly_orthonormal(rng, 2 + seed % 2, 3, 12)
    weights, _ = random_weights(rng, kind, X, y)
    bound = certify(weights, X, y, evaluation_roundoff=0.0)
    assert violated(dataclasses.asdict(bound), *exactly_measured(weights, X, y)) == []


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), exponent=st.integers(-12, -1))
def test_float32_features_stay_inside_the_float32_certificate(seed, exponent):
    rng = np.random.default_rng(seed)
    X, y = nearly_orthonormal(rng, 3, 4, 20)
    weights = perturbed(rng, exact_weights(rng, X, y, 5, 0.3, 20), 10.0**exponent)
    X = X.astype(np.float32)
    weights = [w.astype(np.float32) for w in weights]
    bound = certify(weights, X, y, evaluation_roundoff=2.0**-24)
    for l, z in enumerate(features(weights, X)):
        compression, discrimination = measure([np.eye(z.shape[1])], z.astype(np.float64), y)
        assert bound.compression_lower[l] <= compression[0] <= bound.compression_upper[l]
        assert bound.discrimination_lower[l] <= discrimination[0] <= bound.discrimination_upper[l]


TALL = np.random.default_rng(0).normal(size=(50, 3))
WIDE = np.random.default_rng(1).normal(size=(9, 12))


@pytest.mark.parametrize(
    ("X", "y", "widths"),
    [
        pytest.param(np.eye(4), np.array([0, 0, 1, 1]), [4, 2], id="no hidden layer"),
        pytest.param(np.eye(3), np.array([0, 1, 2]), [3, 5, 5, 3], id="one sample a class"),
        pytest.param(np.eye(6)[[0, 0, 1, 2, 3, 3]], np.array([0, 0, 0, 1, 1, 1]), [6, 7, 5, 2], id="repeated"),
        pytest.param(TALL, np.arange(50) % 5, [3, 4, 4, 5], id="N >> d"),
        pytest.param(WIDE, np.arange(9) % 2, [12, 3, 8, 2], id="narrow"),
        pytest.param(WIDE, np.arange(9) % 2, [12, 1, 1, 2], id="width 1"),
        pytest.param(np.array([[1.0], [2.0], [3.0]]), np.array([0, 0, 1]), [1, 2, 2], id="d = 1"),
    ],
)
def test_limiting_cases(X, y, widths):
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=(b, a)) for a, b in itertools.pairwise(widths)]
    found, _, _ = violations(weights, X, y, 2)
    assert found == []
    assert certify(weights, X, y).layers.tolist() == list(range(len(weights)))


def test_dead_layer_says_nothing_but_stays_valid():
    X, y = np.eye(4), np.array([0, 0, 1, 1])
    bound = certify([np.zeros((4, 4)), np.ones((2, 4))], X, y)
    assert bound.compression_lower[1] == 0.0
    assert np.isinf(bound.compression_upper[1])
    assert bound.discrimination_lower[1] <= 0.0 <= 2.0 <= bound.discrimination_upper[1]


def test_a_direction_that_dies_inside_a_group_keeps_the_lower_end_at_zero():
    """Of a residual group's two directions the first layer maps one to 0, the one that holds all scatter."""
    offset = np.eye(4)[3]
    X = np.concatenate([np.eye(4)[:2] + offset, np.eye(4)[:2] - offset, 1e-3 * np.eye(4)[[2, 2]]])
    y = np.array([0, 1, 0, 1, 0, 1])
    weights = [np.diag([2.0, 2.0, 0.5, 0.0]), np.ones((2, 4))]
    bound = certify(weights, X, y, residual_groups=1)
    compression, _ = measure(weights, X, y)
    assert bound.compression_lower[1] <= compression[1] <= bound.compression_upper[1]


def sloppy_linear_algebra(monkeypatch, rng, size):
    """Make NumPy's SVD and QR wrong by a relative `size` in each entry."""
    noisy = lambda a: a * (1 + size * rng.uniform(-1, 1, np.shape(a)))  # noqa: E731
    svd, qr = np.linalg.svd, np.linalg.qr
    monkeypatch.setattr(np.linalg, "svd", lambda *a, **k: tuple(map(noisy, svd(*a, **k))))
    monkeypatch.setattr(np.linalg, "qr", lambda *a, **k: tuple(map(noisy, qr(*a, **k))))


@pytest.mark.parametrize("size", [1e-12, 1e-8, 1e-4, 1e-2])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_decomposition_is_trusted(monkeypatch, size, seed):
    """With an SVD and a QR that are wrong by `size` the intervals get wider and stay right."""
    rng = np.random.default_rng(seed)
    X, y = nearly_orthonormal(rng, 3, 4, 16)
    weights = exact_weights(rng, X, y, 4, 0.3, 16)
    truth = measure(weights, X, y)
    sharp = certify(weights, X, y).compression_half_width
    sloppy_linear_algebra(monkeypatch, rng, size)
    bound = certify(weights, X, y)
    assert violated(dataclasses.asdict(bound), *truth) == []
    assert np.all(bound.compression_half_width[1:] > sharp[1:] + size)


def test_leaving_out_the_error_of_the_triangular_form_is_noticed(monkeypatch):
    rng = np.random.default_rng(3)
    X, y = nearly_orthonormal(rng, 3, 4, 16)
    weights = exact_weights(rng, X, y, 4, 0.3, 16)
    truth = measure(weights, X, y)
    moments = InputMoments.from_samples(X, y)
    bases = summaries._signal_and_residual(weights[:-1], moments, 2)
    monkeypatch.setattr(summaries, "_signal_and_residual", lambda *_: bases)
    sloppy_linear_algebra(monkeypatch, rng, 1e-6)
    summary = summarise_weights(weights, moments)
    assert violated(_intervals(summary, 2.0**-53), *truth) == []
    bare = dataclasses.replace(summary, leaks=0 * summary.leaks)
    assert violated(_intervals(bare, 2.0**-53), *truth) != []


@pytest.mark.parametrize("which", ["class_means", "within_factor"])
def test_the_stated_error_of_the_moments_is_honoured(which):
    rng = np.random.default_rng(4)
    X, y = nearly_orthonormal(rng, 3, 4, 16)
    weights = exact_weights(rng, X, y, 4, 0.3, 16)
    exact = InputMoments.from_samples(X, y)
    within, between = [], []
    for z in features(weights, X):
        means = np.stack([z[y == k].mean(axis=0) for k in range(3)])
        within.append(np.sum((z - means[y]) ** 2) / y.size)
        between.append(np.sum((means[y] - z.mean(axis=0)) ** 2) / y.size)
    truth, name = (between, "between") if which == "class_means" else (within, "within")
    # along a class mean, where the layers amplify most
    error = 1e-3 * exact.class_means[0] / np.linalg.norm(exact.class_means[0])
    wrong = getattr(exact, which).copy()
    wrong[0] += error
    stated = 1e-3 * np.sqrt(4) if which == "class_means" else 1e-3
    inside = []
    for absolute_error in (stated, 0.0):
        moments = dataclasses.replace(exact, **{which: wrong, "absolute_error": absolute_error})
        bounds = dataclasses.asdict(certificate(summarise_weights(weights, moments)))
        inside.append((bounds[f"{name}_lower"] <= truth) & (truth <= bounds[f"{name}_upper"]))
    assert inside[0].all()
    assert not inside[1].any()


# --- narrow where it should be ---


def test_exact_weights_give_the_exact_law():
    """Orthonormal inputs, equal classes: C_l = C_0 (ε²/n^{1/L})^l, D_l = 1 (theory note, T2)."""
    rng = np.random.default_rng(5)
    classes, per_class, depth, epsilon = 4, 6, 6, 0.3
    X, y = nearly_orthonormal(rng, classes, per_class, 40, noise=0.0)
    bound = certify(exact_weights(rng, X, y, depth, epsilon, 50), X, y)
    start = (per_class - 1) * classes / (classes - 1)
    law = start * (epsilon**2 / per_class ** (1 / depth)) ** np.arange(depth)
    # the weights obey A1-A3 up to rounding, which the layers multiply by n^{1/2L}/ε each
    amplification = (per_class ** (0.5 / depth) / epsilon) ** (depth - 1)
    assert bound.compression_half_width.max() < 1e3 * 40 * 2.0**-53 * amplification
    middle = (bound.compression_lower + bound.compression_upper) / 2
    np.testing.assert_allclose(middle, law, rtol=1e3 * 40 * 2.0**-53 * amplification)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 4), per_class=st.integers(2, 8),
    depth=st.integers(2, 7), epsilon=st.floats(0.1, 0.4),
)  # fmt: skip
def test_perturbation_of_one_millionth_costs_at_most_one_percent(seed, classes, per_class, depth, epsilon):
    rng = np.random.default_rng(seed)
    X, y = nearly_orthonormal(rng, classes, per_class, 40)
    weights = perturbed(rng, exact_weights(rng, X, y, depth, epsilon, 40), 1e-6)
    assert certify(weights, X, y).compression_half_width.max() <= 0.01


@pytest.mark.parametrize(("groups", "target"), [(1, 0.25), (2, 0.01)])
def test_trained_nets_of_the_paper(groups, target):
    rng = np.random.default_rng(0)
    X, y = nearly_orthonormal(rng, 3, 10, 50)
    weights, X, loss = paper_setting(rng, X, y, depth=6, epsilon=0.3, width=300)
    assert loss <= 1e-16
    found, half, _ = violations(weights, X, y, groups)
    assert found == []
    assert half.max() <= target
    assert certify(weights, X, y, residual_groups=groups).dominant_term[-1] == DOMINANT_TERMS["gain", "within"]


def test_the_ends_are_attained_by_data_with_the_same_summary():
    """The certificate is not C_l in disguise: one summary, two values of C_l, the two ends of the interval.

    Almost all of the within-class scatter sits on the weaker residual direction in one case, on the
    stronger in the other; 1e-7 of it (in norm) on the other direction keeps both in the span of the inputs.
    """
    weights = [np.diag([2.0, 2.0, 0.5, 0.25])] * 4 + [np.ones((2, 4))]
    means = np.eye(4)[:2]
    ends = []
    for large, small in ((3, 2), (2, 3)):
        offsets = np.eye(4)[large] * [[1.0], [-1.0]], 1e-7 * np.eye(4)[small] * [[1.0], [-1.0]]
        X = np.concatenate([m + o for m in means for o in offsets])
        y = np.repeat([0, 1], 4)
        ends.append((summarise_weights(weights, InputMoments.from_samples(X, y), residual_groups=1), X, y))
    (low, X_low, y), (high, X_high, _) = ends
    for field in dataclasses.fields(low):
        one, other = getattr(low, field.name), getattr(high, field.name)
        parts = zip(one, other, strict=True) if isinstance(one, tuple) else [(one, other)]
        for a, b in parts:  # bases are unique up to signs
            np.testing.assert_allclose(np.abs(a), np.abs(b), rtol=1e-10, atol=1e-13, err_msg=field.name)
    bound = certificate(low)
    # the 1e-7 on the other direction is a share of 1e-14, which four layers raise by at most 2^(2·4)
    np.testing.assert_allclose(bound.compression_lower, measure(weights, X_low, y)[0], rtol=1e-9)
    np.testing.assert_allclose(bound.compression_upper, measure(weights, X_high, y)[0], rtol=1e-9)
    np.testing.assert_allclose(bound.compression_upper[1:] / bound.compression_lower[1:], 4.0 ** np.arange(1, 5))


def test_what_is_read_depends_neither_on_width_nor_on_samples():
    sizes = []
    for per_class, d, width in ((5, 40, 40), (50, 40, 300), (500, 60, 90)):
        rng = np.random.default_rng(0)
        y = np.repeat(np.arange(3), per_class)
        X = rng.normal(size=(y.size, d))
        weights = [rng.normal(size=s) for s in ((width, d), (width, width), (3, width))]
        moments = InputMoments.from_samples(X, y)
        assert moments.within_factor.shape[0] <= d
        sizes.append(summarise_weights(weights, moments).size)
    assert sizes[0] == sizes[1] == sizes[2] < 120


# --- every term is needed ---


def test_shrinking_the_gain_spread_is_noticed():
    rng = np.random.default_rng(7)
    X, y = nearly_orthonormal(rng, 3, 5, 20, noise=1.0)
    weights = exact_weights(rng, X, y, 5, 0.3, 20, spread=0.5)
    truth = measure(weights, X, y)
    summary = summarise_weights(weights, InputMoments.from_samples(X, y), residual_groups=1)
    assert violated(_intervals(summary, 2.0**-53), *truth) == []
    for part in ("within", "between"):
        assert violated(_intervals(summary, 2.0**-53, frozenset({("gain", part)})), *truth), part


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("part", ["within", "between"])
def test_leaving_out_the_coupling_is_noticed(part, sign):
    weights, X, y = sheared_problem(sign, with_means=part == "between")
    truth = exactly_measured(weights, X, y)
    summary = summarise_weights(weights, InputMoments.from_samples(X, y))
    assert violated(_intervals(summary, 0.0), *truth) == []
    assert 1 in violated(_intervals(summary, 0.0, frozenset({("coupling", part)})), *truth)
    assert certificate(summary).dominant_term[1] == DOMINANT_TERMS["coupling", part]


def test_leaving_out_the_coupling_between_groups_is_noticed():
    """Two residual directions of gains 1/2 and 1/4, coupled at each layer; the signal is left alone."""
    signal, zero = 2 * np.eye(2), np.zeros((2, 2))
    first = np.block([[signal, zero], [zero, np.array([[0.5, 0.0], [0.75, 0.25]])]])
    second = np.block([[signal, zero], [zero, np.array([[0.5, 0.0], [-0.375, 0.25]])]])
    weights = [first, second, np.ones((2, 4))]
    means, offset = np.eye(4)[:2], np.array([0.0, 0.0, 1.0, 1.0])
    X = np.concatenate([means + offset, means - offset, means + offset * [0, 0, 1, -1]])
    y = np.arange(6) % 2
    truth = exactly_measured(weights, X, y)
    summary = summarise_weights(weights, InputMoments.from_samples(X, y))
    assert summary.group_sizes == (2, 1, 1)
    assert violated(_intervals(summary, 0.0), *truth) == []
    np.testing.assert_allclose(summary.couplings[:, 1, 1], [0.75, 0.375])
    uncoupled = summary.couplings.copy()
    uncoupled[:, 1, 1] = 0.0
    assert 1 in violated(_intervals(dataclasses.replace(summary, couplings=uncoupled), 0.0), *truth)


def test_leaving_out_the_rounding_is_noticed():
    rng = np.random.default_rng(11)
    X, y = nearly_orthonormal(rng, 3, 3, 12, noise=0.0)
    weights = exact_weights(rng, X, y, 5, 0.1, 12)
    truth = exactly_measured(weights, X, y)
    summary = summarise_weights(weights, InputMoments.from_samples(X, y))
    assert violated(_intervals(summary, 0.0), *truth) == []
    assert violated(_intervals(summary, 0.0, ROUNDING), *truth)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_neighbouring_layer_or_transposed_weights_are_rejected(seed):
    rng = np.random.default_rng(seed)
    X, y = nearly_orthonormal(rng, 3, 5, 24)
    weights = perturbed(rng, exact_weights(rng, X, y, 5, 0.3, 24), 1e-4)
    compression, discrimination = measure(weights, X, y)
    bounds = dataclasses.asdict(certify(weights, X, y))
    assert violated(bounds, np.roll(compression, 1), np.roll(discrimination, 1)) == [0, 1, 2, 3, 4]
    # hidden layers in the wrong order or orientation are other maps: their C_l are not these weights'
    turned = [weights[0], *[w.T for w in weights[1:-1]], weights[-1]]
    assert violated(bounds, *measure(turned, X, y)) != []


def test_the_wrong_power_of_the_residual_gain_is_rejected():
    """ε^l in place of ε^{2l}: halving the exponent moves C_1 far outside its interval."""
    rng = np.random.default_rng(2)
    X, y = nearly_orthonormal(rng, 3, 5, 24)
    weights = perturbed(rng, exact_weights(rng, X, y, 4, 0.3, 24), 1e-3)
    compression, discrimination = measure(weights, X, y)
    wrong = compression / 0.3 ** np.arange(4)
    assert violated(dataclasses.asdict(certify(weights, X, y)), wrong, discrimination) == [1, 2, 3]


# --- moments and refusals ---


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), samples=st.integers(2, 60), d=st.integers(1, 12))
def test_moments_reproduce_the_within_class_scatter(seed, samples, d):
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % min(3, samples)
    X = rng.normal(size=(samples, d)) + 5.0
    moments = InputMoments.from_samples(X, y)
    centred = X - np.stack([X[y == k].mean(axis=0) for k in range(y.max() + 1)])[y]
    tolerance = (samples + d) * d * 2.0**-50 * np.sum(X**2)
    np.testing.assert_allclose(moments.within_factor.T @ moments.within_factor, centred.T @ centred, atol=tolerance)
    assert 0 < moments.absolute_error < 1e-9 * np.linalg.norm(X)


GOOD = InputMoments(np.eye(2), np.array([1, 1]), np.eye(2))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: summarise_weights([], GOOD), "no weight matrix"),
        (lambda: summarise_weights([np.ones((2, 3))], GOOD), r"W_1 of shape \(2, 3\)"),
        (lambda: summarise_weights([np.full((2, 2), np.nan)], GOOD), "W_1"),
        (lambda: summarise_weights([np.eye(2)], GOOD, residual_groups=9), "residual_groups = 9"),
        (lambda: certificate(summarise_weights([np.eye(2)], GOOD), evaluation_roundoff=1.0), "evaluation"),
        (lambda: InputMoments.from_samples(np.eye(2), np.array([0, 2])), "labels"),
        (lambda: InputMoments.from_samples(np.eye(2), np.array([0])), "X"),
        (lambda: InputMoments.from_samples(np.ones(3), np.array([0, 1, 1])), "X of shape"),
        (lambda: InputMoments(np.eye(2), np.array([1, 0]), np.eye(2)), "class_counts"),
        (lambda: InputMoments(np.eye(2), np.array([1, 1]), np.eye(3)), "within_factor"),
        (lambda: InputMoments(np.eye(2)[:1], np.array([1]), np.eye(2)), "class mean"),
        (lambda: InputMoments(np.eye(2), np.array([1, 1]), np.eye(2), -1.0), "absolute_error"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, match):
    with pytest.raises(InvalidInputError, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_json_and_back():
    rng = np.random.default_rng(3)
    X, y = random_data(rng)
    weights, _ = random_weights(rng, next(iter(KINDS)), X, y)
    found = certify(weights, X, y)
    again = Certificate.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    for field in dataclasses.fields(found):
        one, other = getattr(found, field.name), getattr(again, field.name)
        assert np.array_equal(one, other), field.name
