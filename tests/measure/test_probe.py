"""Probes and CDNV against slow definitions."""

import sys
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.errors import InvalidInputError
from pnc.measure import ClassMoments
from pnc.measure.accumulate.spectrum import StreamingSpectrum
from pnc.measure.quantities.class_pairs import class_distance_normalised_variance
from pnc.measure.readout.probe import fit_linear_probe, logistic_probe_accuracy, nearest_centre_probe


def problem(seed, samples=60, dimension=4, classes=3, spread=1.0, offset=0.0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(samples) % classes)
    centres = rng.standard_normal((classes, dimension)) + offset
    return centres[y] + spread * rng.standard_normal((samples, dimension)), y


def moments_of(x, y):
    return ClassMoments(classes=int(y.max()) + 1, dimension=x.shape[1]).update(x, y)


problems = st.builds(
    problem,
    st.integers(0, 2**31),
    samples=st.integers(8, 80),
    dimension=st.integers(1, 10),
    classes=st.integers(2, 4),
    spread=st.sampled_from([0.1, 1.0, 3.0]),
    offset=st.sampled_from([0.0, 100.0]),
)


@settings(max_examples=50)
@given(problems)
def test_the_nearest_centre_is_the_nearest(case):
    x, y = case
    means = np.stack([x[y == k].mean(0) for k in range(y.max() + 1)])
    distances = ((x[:, None] - means[None]) ** 2).sum(2)
    probe = nearest_centre_probe(moments_of(x, y))
    chosen = probe.predict(x).numpy()
    ordered = np.sort(distances, 1)
    clear = ordered[:, 1] - ordered[:, 0] > 1e-9  # of two centres at one distance either may be named
    assert (chosen == distances.argmin(1))[clear].all()
    assert probe.accuracy(x, y) == pytest.approx((chosen == y).mean())


@settings(max_examples=50)
@given(problems, st.sampled_from([0.0, 1e-6, 0.1]))
def test_the_linear_probe_is_the_least_squares_fit(case, ridge):
    x, y = case
    probe = fit_linear_probe(StreamingSpectrum(dimension=x.shape[1]).update(x), moments_of(x, y), ridge=ridge)
    centred, targets = x - x.mean(0), np.eye(y.max() + 1)[y]
    top = np.linalg.norm(centred, 2)
    root = np.sqrt(ridge) * top * np.eye(x.shape[1])
    exact = np.linalg.lstsq(
        np.vstack([centred, root]),
        np.vstack([targets - targets.mean(0), np.zeros((x.shape[1], targets.shape[1]))]),
        rcond=1e-12,
    )[0]
    condition = top / np.linalg.svd(centred, compute_uv=False)[-1]
    tolerance = 1e-13 * condition**2 * len(x) * (1 + np.abs(x).max())
    np.testing.assert_allclose(probe.weights.numpy(), exact, atol=max(tolerance, 1e-12) * (1 + np.abs(exact).max()))
    np.testing.assert_allclose(probe.intercept.numpy(), targets.mean(0))


def test_a_probe_reads_what_is_linear_and_the_centres_do_not():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 2)) * [30.0, 1.0]  # the class is in the narrow direction
    y = (x[:, 1] > 0).astype(int)
    spectrum, moments = StreamingSpectrum(dimension=2).update(x[:200]), moments_of(x[:200], y[:200])
    linear = fit_linear_probe(spectrum, moments).accuracy(x[200:], y[200:])
    centre = nearest_centre_probe(moments).accuracy(x[200:], y[200:])
    assert linear > 0.95 > 0.9 > centre


def test_a_probe_of_a_sketch():
    x, y = problem(0, samples=300, dimension=40, spread=0.2)
    spectrum = StreamingSpectrum(dimension=40, width=10, sketch=8).update(x)
    assert fit_linear_probe(spectrum, moments_of(x, y)).accuracy(x, y) > 0.97


def test_the_logistic_probe():
    x, y = problem(1, samples=200, spread=0.3)
    assert logistic_probe_accuracy(x[:100], y[:100], torch.from_numpy(x[100:]), y[100:]) > 0.95
    with pytest.raises(InvalidInputError, match="not converged in 1 steps"):
        logistic_probe_accuracy(x, y, x, y, iterations=1)


def test_the_logistic_probe_without_scikit_learn(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("sklearn")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InvalidInputError, match="pip install scikit-learn"):
        logistic_probe_accuracy([[0.0], [1.0]], [0, 1], [[0.0]], [0])


def test_bad_input():
    x, y = problem(2)
    spectrum, moments = StreamingSpectrum(dimension=4).update(x), moments_of(x, y)
    with pytest.raises(InvalidInputError, match="both of the same features"):
        fit_linear_probe(spectrum, moments_of(x[:50], y[:50]))
    with pytest.raises(InvalidInputError, match="ridge"):
        fit_linear_probe(spectrum, moments, ridge=-1.0)
    with pytest.raises(InvalidInputError, match="no sample in class 3"):
        nearest_centre_probe(ClassMoments(classes=4, dimension=4).update(x, y))
    with pytest.raises(InvalidInputError, match="dimension 3"):
        nearest_centre_probe(moments).predict(x[:, :3])
    with pytest.raises(InvalidInputError, match="label 3"):
        nearest_centre_probe(moments).accuracy(x, y + 1)


@settings(max_examples=40)
@given(problems)
def test_cdnv_is_its_definition(case):
    x, y = case
    means = [x[y == k].mean(0) for k in range(y.max() + 1)]
    variance = [((x[y == k] - means[k]) ** 2).sum(1).mean() for k in range(y.max() + 1)]
    pairs = [
        (variance[i] + variance[j]) / (2 * ((means[i] - means[j]) ** 2).sum())
        for i, j in permutations(range(y.max() + 1), 2)
    ]
    assert class_distance_normalised_variance(moments_of(x, y)) == pytest.approx(np.mean(pairs), rel=1e-9)


def test_cdnv_undefined():
    x = np.array([[1.0], [3.0], [1.0], [3.0]])
    assert np.isnan(class_distance_normalised_variance(moments_of(x, np.array([0, 0, 1, 1]))))
    assert np.isnan(class_distance_normalised_variance(ClassMoments(classes=3, dimension=1).update(x, [0, 0, 1, 1])))
