"""Standard errors against the scatter of C and D over many data sets, and against the jackknife on one."""

import numpy as np
import pytest
import torch

from pnc.errors import InvalidInputError
from pnc.measure import ClassMoments, SamplingErrorPass

DIMENSION, SIZES = 6, (30, 45, 60)


def scatter(x, y):
    """C and D by their definitions, NumPy alone."""
    classes = range(y.max() + 1)
    means = np.stack([x[y == k].mean(0) for k in classes])
    share = np.bincount(y) / len(y)
    within = sum(((x[y == k] - means[k]) ** 2).sum() for k in classes) / len(y)
    between = (share * ((means - share @ means) ** 2).sum(1)).sum()
    units = means / np.linalg.norm(means, axis=1, keepdims=True)
    cosines = units @ units.T - 2 * np.eye(len(units))
    return within / between, 1 - cosines.max()


def draw(seed, sizes=SIZES):
    """Classes of different spreads and shapes, two of them close in angle, skewed as activations are."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(3), sizes)
    centres = np.array([[3, 0, 1, 0, 0, 1], [3, 2, 0, 0, 1, 0], [-1, 3, 0, 2, 0, 0]], float)
    noise = rng.standard_exponential((len(y), DIMENSION)) - 1
    return centres[y] + noise * (0.3 + 0.5 * y[:, None]) * np.linspace(0.3, 1.5, DIMENSION), y


def standard_errors(x, y, *, looked_at=slice(None), dtype=torch.float64):
    x, y = torch.from_numpy(x).to(dtype), torch.from_numpy(y)
    errors = SamplingErrorPass(ClassMoments(classes=3, dimension=x.shape[1]).update(x, y))
    for rows in torch.arange(len(y))[looked_at].split(17):
        errors.update(x[rows], y[rows])
    return errors.compression(), errors.discrimination()


def test_they_are_the_scatter_over_data_sets():
    repeats, some, sizes = 1500, 300, (60, 90, 120)
    drawn = [draw(seed, sizes) for seed in range(repeats)]
    values = np.array([scatter(*data) for data in drawn])
    truth = values.var(0, ddof=1)
    squared = np.array([standard_errors(*data) for data in drawn[:some]]) ** 2
    kurtosis = ((values - values.mean(0)) ** 4).mean(0) / values.var(0) ** 2
    # three standard errors of the two variances that are held against each other, and the 1/n of first order
    noise = np.sqrt((kurtosis - 1) / repeats + squared.var(0) / squared.mean(0) ** 2 / some)
    assert np.all(np.abs(squared.mean(0) / truth - 1) <= 3 * noise + 2 / min(sizes))


def test_few_samples_move_compression_by_its_bias():
    repeats, sizes, many = 1500, (6, 9, 12), 400  # the same shares of classes
    drawn = [draw(seed, sizes) for seed in range(repeats)]
    values = np.array([scatter(*data)[0] for data in drawn])
    limit = scatter(*draw(0, tuple(many * size for size in sizes)))[0]
    found = []
    for x, y in drawn:
        moments = ClassMoments(classes=3, dimension=DIMENSION).update(x, y)
        found.append(SamplingErrorPass(moments).compression_bias())
    truth, bias = values.mean() - limit, np.mean(found)
    assert truth < -4 * values.std() / np.sqrt(repeats)  # there is something to find
    # three standard errors, and what is of second order: the bias times C's relative scatter and 1/n
    left = abs(truth) * (values.std() / limit + 1 / min(sizes))
    assert abs(bias - truth) <= 3 * np.hypot(values.std(), np.std(found)) / np.sqrt(repeats) + left


def test_they_are_those_of_the_jackknife():
    x, y = draw(0, (200, 300, 250))
    found = standard_errors(x, y)
    left_out = np.array([scatter(np.delete(x, i, 0), np.delete(y, i)) for i in range(len(y))])
    variance = np.zeros(2)
    for k in range(3):
        n = (y == k).sum()
        variance += (n - 1) / n * ((left_out[y == k] - left_out[y == k].mean(0)) ** 2).sum(0)
    assert found == pytest.approx(np.sqrt(variance), rel=2 / 200)


def test_some_of_the_samples_say_nearly_the_same():
    x, y = draw(1, (2000, 2000, 2000))
    few = standard_errors(x, y, looked_at=slice(None, None, 6))
    # a variance of m samples to sqrt((κ - 1)/m), κ = 9 for exponentials, squares of them wider; half that for its root
    assert few == pytest.approx(standard_errors(x, y), rel=3 * np.sqrt(40 / 1000) / 2)


def test_narrow_classes_and_means_far_from_the_origin_keep_their_digits():
    x, y = draw(2)
    shifted = x * 1e-5 + 1e3 * np.eye(3, DIMENSION)[y]
    wide = x * 1e-5 + np.eye(3, DIMENSION)[y]
    far, near = standard_errors(shifted, y), standard_errors(wide, y)
    # at 1000 times the distance the same noise moves D by 1/1000, C by 1/1000 of a C that is 1e-6 as large
    assert far[1] == pytest.approx(near[1] / 1e3, rel=1e-3)
    assert far[0] > 0


def test_any_batches_dtypes_and_many_classes_give_the_same():
    x, y = draw(3)
    single = standard_errors(x.astype(np.float32).astype(float), y, dtype=torch.float32)
    assert single == pytest.approx(standard_errors(x.astype(np.float32).astype(float), y), rel=1e-12)
    moments = ClassMoments(classes=3, dimension=DIMENSION).update(x, y)
    one, other = SamplingErrorPass(moments), SamplingErrorPass(moments)
    for i in range(len(y)):  # as few rows as take the other way through the batch
        one.update(x[i : i + 1], y[i : i + 1])
    other.update(x, y)
    assert one.compression() == pytest.approx(other.compression(), rel=1e-12)
    assert one.discrimination() == pytest.approx(other.discrimination(), rel=1e-12)
    assert one.samples == len(y)
    halves = SamplingErrorPass(moments).update(x[::2], y[::2]).totals()
    halves += SamplingErrorPass(moments).update(x[1::2], y[1::2]).totals()
    merged = SamplingErrorPass(moments).with_totals(halves)
    assert merged.compression() == pytest.approx(other.compression(), rel=1e-12)


def test_what_is_undefined_has_no_standard_error():
    same = ClassMoments(classes=2, dimension=2).update(np.ones((4, 2)), [0, 0, 1, 1])
    assert np.isnan(SamplingErrorPass(same).update(np.ones((4, 2)), [0, 0, 1, 1]).compression())
    x, y = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 2.0]]), [0, 0, 1, 1]
    zero = SamplingErrorPass(ClassMoments(classes=2, dimension=2).update(x, y)).update(x, y)
    assert np.isnan(zero.discrimination())
    assert zero.compression() > 0
    single = ClassMoments(classes=2, dimension=2).update(x[1:], y[1:])
    assert np.isnan(SamplingErrorPass(single).update(x[1:], y[1:]).compression())
    assert np.isnan(SamplingErrorPass(single).compression_bias())
    assert np.isnan(SamplingErrorPass(same).compression_bias())
    with pytest.raises(InvalidInputError, match="no sample"):
        SamplingErrorPass(ClassMoments(classes=2, dimension=2).update(x[:2], y[:2]))
    with pytest.raises(InvalidInputError, match="dimension 3"):
        SamplingErrorPass(single).update(np.ones((1, 3)), [0])


def test_the_bias_is_its_formula_for_unequal_classes():
    rng = np.random.default_rng(4)
    x = [rng.standard_normal((n, 3)) + 2 * k for k, n in enumerate((4, 9, 2))]
    y = np.repeat([0, 1, 2], [4, 9, 2])
    moments = ClassMoments(classes=3, dimension=3).update(np.concatenate(x), y)
    n = np.array([4, 9, 2])
    p, spread = n / 15, np.array([part.var(0, ddof=1).sum() for part in x])
    means = np.array([part.mean(0) for part in x])
    between = p @ ((means - p @ means) ** 2).sum(1)
    unbiased = p @ spread / (between - (p * (1 - p) * spread / n).sum())
    bias = moments.compression() - unbiased
    assert SamplingErrorPass(moments).compression_bias() == pytest.approx(bias, rel=1e-12)
