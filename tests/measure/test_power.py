"""The tolerances of these tests reject wrong formulas: each is off by more than the tests would let pass."""

import numpy as np
import pytest

from pnc.measure import ClassMoments, ClassSummary, FuzzinessPass, measure_features, measure_linear


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [10, 25, 40])
    return rng.standard_normal((75, 6)) + 2 * rng.standard_normal((3, 6))[y] + 1, y


def parts(x, y):
    counts = np.bincount(y)
    means = np.stack([x[y == k].mean(0) for k in range(counts.size)])
    return counts, means, x - means[y]


def cosines(means):
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    return (unit @ unit.T)[~np.eye(len(means), dtype=bool)]


WRONG_COMPRESSION = {
    "unbiased variances": lambda c, m, t: (t**2).sum() / (c.sum() - c.size) / between(m, c / c.sum()),
    "mean of class variances": lambda c, m, t: by_class(t, c) / between(m, c / c.sum()),
    "class weights": lambda c, m, t: (t**2).sum() / c.sum() / between(m, np.full(c.size, 1 / c.size)),
    "means around the origin": lambda c, m, t: (t**2).sum() / ((c[:, None] * m**2).sum()),
    "total scatter below": lambda c, m, t: (t**2).sum() / ((t**2).sum() + c.sum() * between(m, c / c.sum())),
    "norm, not its square": lambda c, m, t: np.sqrt((t**2).sum() / c.sum() / between(m, c / c.sum())),
}


def between(means, p):
    return (p[:, None] * (means - p @ means) ** 2).sum()


def by_class(deviation, counts):
    return np.mean([(part**2).sum() / n for part, n in zip(np.split(deviation, counts.cumsum()[:-1]), counts)])


@pytest.mark.parametrize("name", WRONG_COMPRESSION)
def test_wrong_compressions_are_rejected(features, name):
    x, y = features
    measured = ClassMoments(classes=3, dimension=6).update(x, y).compression()
    wrong = WRONG_COMPRESSION[name](*parts(x, y))
    assert abs(measured / wrong - 1) > 1e-3


WRONG_DISCRIMINATION = {
    "centred means": lambda m: 1 - cosines(m - m.mean(0)).max(),
    "mean cosine": lambda m: 1 - cosines(m).mean(),
    "smallest cosine": lambda m: 1 - cosines(m).min(),
    "absolute cosine": lambda m: 1 - np.abs(cosines(m)).max(),
    "sign": lambda m: 1 + cosines(m).max(),
}


@pytest.mark.parametrize("name", WRONG_DISCRIMINATION)
def test_wrong_discriminations_are_rejected(name):
    means = np.array([[1.0, 0.2, 0.0], [0.3, -1.0, 0.5], [-0.9, -0.3, 0.4]])
    measured = ClassMoments(classes=3, dimension=3).update(means, [0, 1, 2]).discrimination()
    assert measured == pytest.approx(1 - cosines(means).max(), rel=1e-12)
    assert abs(measured - WRONG_DISCRIMINATION[name](means)) > 1e-3


def test_wrong_fuzziness_is_rejected(features):
    x, y = features
    counts, means, t = parts(x, y)
    p = counts / counts.sum()
    centred = means - p @ means
    sigma_b, sigma_w = centred.T @ (p[:, None] * centred), t.T @ t / y.size
    moments = ClassMoments(classes=3, dimension=6).update(x, y)
    measured = FuzzinessPass(moments).update(x, y).value()
    assert measured == pytest.approx(np.trace(sigma_w @ np.linalg.pinv(sigma_b, rcond=1e-10)), rel=1e-10)
    unweighted = centred.T @ centred / 3
    for wrong in (
        measured / 3,  # He and Su's NC1
        np.trace(sigma_w) / np.trace(sigma_b),
        np.trace(sigma_w @ np.linalg.pinv(unweighted, rcond=1e-10)),
        np.trace(sigma_w @ np.linalg.pinv(sigma_b + sigma_w)),
    ):
        assert abs(measured / wrong - 1) > 1e-3


def test_an_off_by_one_layer_is_rejected(features):
    x, y = features
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal((6, 6)) for _ in range(3)]
    curve = measure_linear(ClassSummary.of(x, y), weights)
    layers = [x]
    for W in weights:
        layers.append(layers[-1] @ W.T)
    shifted = measure_features({0: layers[1], 1: layers[2], 2: layers[3]}, y)
    transposed = measure_linear(ClassSummary.of(x, y), [W.T for W in weights])
    assert curve.compression[0] == pytest.approx(transposed.compression[0], rel=1e-12)
    assert np.all(np.abs(curve.compression[:3] / shifted.compression - 1) > 1e-3)
    assert np.all(np.abs(curve.compression[1:] / transposed.compression[1:] - 1) > 1e-3)
