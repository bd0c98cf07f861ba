"""Class summaries and their linear images against the samples themselves."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pnc.errors import InvalidInputError
from pnc.measure import ClassSummary, measure_features, measure_linear
from tests.measure import slow
from tests.measure.cases import UNIT, cases, within_tolerance
from tests.measure.test_fuzziness import condition

FIELDS = ("compression", "discrimination", "within_scatter", "between_scatter", "separation_fuzziness")


@settings(max_examples=40, deadline=None)
@given(cases())
def test_factor_and_means_are_those_of_the_samples(case):
    summary = ClassSummary.of(case.x, case.y)
    rows = case.y.size - case.classes
    assert summary.factor.shape == (min(rows, case.dimension), case.dimension)
    factor, means = summary.factor.numpy(), summary.means.numpy()
    deviation = case.x - np.stack([case.x[case.y == k].mean(0) for k in range(case.classes)])[case.y]
    scale = np.abs(case.x).max() ** 2
    np.testing.assert_allclose(factor.T @ factor, deviation.T @ deviation, rtol=0, atol=64 * case.x.size * UNIT * scale)
    exact = slow.measure(case.x, case.y)
    np.testing.assert_allclose(means, np.array(exact.means, float), rtol=0, atol=case.x.size * UNIT * scale**0.5)
    tolerance = 4 * within_tolerance(case, exact)
    assert summary.within_scatter() == pytest.approx(float(exact.within), rel=tolerance, abs=0)
    error = UNIT * 64 * case.x.size * condition(case.x, case.y)
    assume(error < 1e-4)
    assert summary.compression() == pytest.approx(exact.compression, rel=error, abs=0)
    assert summary.separation_fuzziness() == pytest.approx(exact.fuzziness, rel=error, abs=0)


@settings(max_examples=30, deadline=None)
@given(cases(least=2), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_the_image_of_the_summary_is_the_summary_of_the_images(case, width, seed):
    W = np.random.default_rng(seed).standard_normal((width, case.dimension))
    features = case.x @ W.T
    # samples W z are rounded by d u of ‖W‖‖z‖ before they are measured
    error = UNIT * 64 * case.x.size * np.linalg.norm(W, 2)
    error *= np.linalg.norm(case.x, axis=1).max() / np.linalg.norm(features, axis=1).max()
    error *= condition(features, case.y)
    exact = slow.measure(features, case.y)
    error *= max(1, float(exact.between / exact.within) ** 0.5)
    assume(error < 1e-5)
    image = ClassSummary.of(case.x, case.y).linear_image(W)
    assert image.means.shape == (case.classes, width)
    assert image.within_scatter() == pytest.approx(float(exact.within), rel=error)
    assert image.between_scatter() == pytest.approx(float(exact.between), rel=error)
    assert image.compression() == pytest.approx(exact.compression, rel=error)
    assert image.separation_fuzziness() == pytest.approx(exact.fuzziness, rel=error)
    np.testing.assert_allclose(image.discrimination(), exact.discrimination, atol=error, rtol=0)


def problem(seed=0, samples=90, dimension=12, classes=3):
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    return rng.standard_normal((samples, dimension)) + 2 * rng.standard_normal((classes, dimension))[y], y


def test_a_batch_of_weights_is_measured_at_once():
    x, y = problem()
    weights = np.random.default_rng(1).standard_normal((4, 2, 5, 12))
    batch = ClassSummary.of(x, y).linear_image(weights)
    assert batch.means.shape == (4, 2, 3, 5)
    names = (
        "compression",
        "discrimination",
        "within_scatter",
        "between_scatter",
        "separation_fuzziness",
        "noise_floor",
    )
    for name in names:
        values = getattr(batch, name)()
        assert isinstance(values, np.ndarray)
        assert values.shape == (4, 2)
        for index in np.ndindex(4, 2):
            single = getattr(ClassSummary.of(x, y).linear_image(weights[index]), name)()
            assert values[index] == pytest.approx(single, rel=1e-12)


def test_blocks_of_many_samples_are_reduced_on_the_way():
    x, y = problem(samples=3000)
    summary = ClassSummary.of(x, y)
    assert summary.factor.shape == (12, 12)
    curve = measure_features([x], y)
    assert summary.compression() == pytest.approx(curve.compression[0], rel=1e-12)
    assert summary.separation_fuzziness() == pytest.approx(curve.separation_fuzziness[0], rel=1e-12)


def test_a_network_measured_on_the_summary_and_on_its_features():
    x, y = problem(dimension=20)
    rng = np.random.default_rng(2)
    weights = [0.5 * np.linalg.qr(rng.standard_normal((20, 20)))[0] for _ in range(3)]
    features = [x]
    for W in weights:
        features.append(features[-1] @ W.T)
    on_summary = measure_linear(ClassSummary.of(x, y), [torch.from_numpy(W) for W in weights])
    on_features = measure_features(features, y)
    for name in FIELDS:
        np.testing.assert_allclose(getattr(on_summary, name), getattr(on_features, name), rtol=1e-11)
    np.testing.assert_allclose(on_summary.provenance["noise_floor"], on_features.provenance["noise_floor"], rtol=1e-11)
    assert on_summary.provenance["samples"] == 90
    assert np.isnan(measure_linear(ClassSummary.of(x, y), weights, fuzziness=False).separation_fuzziness).all()


def test_within_far_below_between_does_not_cancel():
    # residual directions shrink by 0.01 a layer and signal directions do not: after 8 layers C is 1e-32
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3
    x = np.linalg.qr(rng.standard_normal((40, 30)))[0].T
    onehot = np.eye(3)[y] / np.sqrt(10)
    signal = x.T @ onehot @ onehot.T @ x
    W = signal + 0.01 * (np.eye(40) - signal)
    curve = measure_linear(ClassSummary.of(x, y), [W] * 4)
    # features carry rounding of u times the layers' condition, 1e2 a layer, and within is quadratic in them
    expected = curve.compression[0] * 1e-4 ** np.arange(5)
    np.testing.assert_allclose(curve.compression, expected, rtol=200 * UNIT * 1e8)


def test_one_sample_a_class_has_no_factor():
    summary = ClassSummary.of(np.eye(4), np.arange(4))
    assert summary.factor.shape == (0, 4)
    image = summary.linear_image(np.ones((2, 4)) + np.eye(4)[:2])
    assert image.compression() == 0
    assert image.separation_fuzziness() == 0
    assert image.noise_floor() == 0


def test_undefined_numbers():
    assert np.isnan(ClassSummary.of([[1.0], [2.0], [1.0], [2.0]], [0, 0, 1, 1]).compression())
    zero = ClassSummary.of([[0.1, 0.7], [0.2, 0.1], [-0.3, -0.8], [1.0, 0.0]], [0, 0, 0, 1])
    assert zero.means[0].abs().max() > 0  # to rounding only
    assert np.isnan(zero.discrimination())
    killed = ClassSummary.of(np.eye(4), [0, 0, 1, 1]).linear_image(np.zeros((2, 4)))
    for name in FIELDS[:2]:
        assert np.isnan(getattr(killed, name)())


def test_class_weights():
    x, y = np.array([[0.0], [0.5], [0.0], [1.0]]), [0, 0, 0, 1]
    for weights, slow_weights in (("samples", False), ("classes", True)):
        exact = slow.measure(x, y, class_weights=slow_weights)
        assert ClassSummary.of(x, y).between_scatter(weights) == pytest.approx(float(exact.between))
        assert ClassSummary.of(x, y).compression(weights) == pytest.approx(exact.compression)


def test_float32_samples_and_tensors_are_taken():
    x, y = problem()
    single = x.astype(np.float32)
    summary = ClassSummary.of(torch.from_numpy(single), torch.from_numpy(y))
    assert summary.dtype == "float32"
    assert summary.means.dtype == torch.float64
    assert summary.compression() == pytest.approx(measure_features([single], y).compression[0], rel=1e-12)
    assert summary.classes == 3


def test_rounding_of_the_samples_is_no_direction_between_means():
    # collinear means of float32 samples: the second direction is rounding, and T4 must not invert it
    y = np.arange(300) % 3
    rng = np.random.default_rng(0)
    line = np.outer(y + 1.0, rng.standard_normal(8)) * (1 + np.arange(300) // 3 % 2 * 0.1)[:, None]
    coarse, fine = ClassSummary.of(line.astype(np.float32), y), ClassSummary.of(line, y)
    assert coarse.separation_fuzziness() == pytest.approx(float(fine.separation_fuzziness()), rel=1e-5)


def test_bad_input_is_refused():
    x, y = problem()
    with pytest.raises(InvalidInputError, match="entry 3 is nan"):
        ClassSummary.of(np.where(np.arange(12) == 3, np.nan, x), y)
    with pytest.raises(InvalidInputError, match="labels of shape"):
        ClassSummary.of(x, y[1:])
    with pytest.raises(InvalidInputError, match="no sample in class 3"):
        ClassSummary.of(x, y, classes=4)
    with pytest.raises(InvalidInputError, match="features of dimension 12"):
        ClassSummary.of(x, y).linear_image(np.ones((12, 5)))
    with pytest.raises(InvalidInputError, match="features of dimension 12"):
        ClassSummary.of(x, y).linear_image(np.ones(12))
