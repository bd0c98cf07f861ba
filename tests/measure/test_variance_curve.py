"""Variance-ratio curves and principal components against NumPy's SVD and scikit-learn."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError
from pnc.measure import (
    StreamingSpectrum,
    curve_spectra,
    measure_model,
    principal_components,
    variance_curve,
)
from tests.measure.nets import mlp


def features(seed, samples=60, dimension=30, decay=0.7, offset=5.0):
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]
    return rng.standard_normal((samples, dimension)) * decay ** np.arange(dimension) @ mixing + offset


def shares(x):
    variance = np.linalg.svd(x, compute_uv=False) ** 2
    return np.cumsum(variance) / variance.sum()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([5, 20, 80]), st.booleans(), st.sampled_from([3, 8, 100]))
def test_the_curve_lies_between_its_bounds(seed, samples, centred, sketch):
    x = features(seed, samples=samples)
    exact = shares(x - centred * x.mean(0))
    spectrum = StreamingSpectrum(dimension=30, width=10, sketch=sketch)
    for part in np.array_split(x, 3):
        spectrum.update(part)
    lower, upper = variance_curve(spectrum.value(centred=centred))
    rounding = 1e-12 * max(samples, 30)
    assert (lower <= exact[: lower.size] + rounding).all()
    assert (exact[: upper.size] <= upper + rounding).all()
    if sketch == 100:
        np.testing.assert_allclose(lower, exact[: lower.size], rtol=rounding)
        np.testing.assert_array_equal(lower, upper)


def test_a_curve_of_constant_features():
    lower, upper = variance_curve(StreamingSpectrum(dimension=2).update(np.ones((4, 2))).value(centred=True))
    assert np.isnan(lower).all()
    assert np.isnan(upper).all()


def test_the_spectra_of_a_model_also_after_json():
    x, y = torch.randn(50, 5).double(), torch.arange(50) % 3
    model = mlp()
    curve = measure_model(model, [(x, y)], classes=3, layers=["2", "5"], spectra=True)
    z = model.eval()[:3](x).detach().numpy()
    for some in (curve, LayerCurve.from_json(json.dumps(curve.to_dict()))):
        for centred in (False, True):
            spectrum = curve_spectra(some, centred=centred)[1]
            np.testing.assert_allclose(variance_curve(spectrum)[0], shares(z - centred * z.mean(0)), rtol=1e-9)
            assert spectrum.most == 6
        assert curve_spectra(some.at([1]))[0].values.tolist() == curve_spectra(some)[1].values.tolist()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 8))
def test_principal_components_are_those_of_numpy(seed, dimensions):
    x = features(seed)
    spectrum = StreamingSpectrum(dimension=30)
    for part in np.array_split(x, 4):
        spectrum.update(part)
    found = principal_components(spectrum, dimensions)
    mean = x.mean(0)
    _, singular, right = np.linalg.svd(x - mean, full_matrices=False)
    right = right[:dimensions]
    gap = (singular[:dimensions] - singular[1 : dimensions + 1]).min() / singular[0]
    new = features(seed + 1)
    np.testing.assert_allclose(found.variances, singular[:dimensions] ** 2 / 60, rtol=1e-10)
    assert found.total == pytest.approx((singular**2).sum() / 60)
    # a subspace turns by rounding over the gap to the next singular value
    np.testing.assert_allclose(
        found.reconstruct(found.scores(new)), mean + (new - mean) @ right.T @ right, atol=1e-11 / gap
    )
    np.testing.assert_allclose(found.directions @ found.directions.mT, np.eye(dimensions), atol=1e-12)
    assert torch.equal(found.first(1).directions, found.directions[:1])


def test_components_of_a_sketch_hold_what_they_say():
    x = features(0, samples=400, dimension=60, decay=0.95)
    spectrum = StreamingSpectrum(dimension=60, width=10, sketch=24)
    for part in np.array_split(x, 10):
        spectrum.update(part)
    found = principal_components(spectrum, 5)
    centred = x - x.mean(0)
    held = ((centred @ found.directions.numpy().T) ** 2).sum(0) / 400
    best = np.linalg.svd(centred, compute_uv=False)[:5] ** 2 / 400
    assert spectrum.missing > 0
    assert (held >= found.variances.numpy() * (1 - 1e-12)).all()
    assert held.sum() <= best.sum() * (1 + 1e-12)
    assert held.sum() > 0.95 * best.sum()
    assert found.total == pytest.approx((centred**2).sum() / 400)


@pytest.mark.parametrize(("samples", "dimensions"), [(60, 31), (3, 4), (60, 0)])
def test_directions_that_are_not_there(samples, dimensions):
    spectrum = StreamingSpectrum(dimension=30).update(features(0, samples=samples))
    with pytest.raises(InvalidInputError, match=f"got {dimensions} dimensions"):
        principal_components(spectrum, dimensions)


def test_scores_of_another_layer():
    found = principal_components(StreamingSpectrum(dimension=30).update(features(0)), 2)
    with pytest.raises(InvalidInputError, match="dimension 29"):
        found.scores(np.ones((2, 29)))
