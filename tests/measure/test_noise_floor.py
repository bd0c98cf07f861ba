"""The noise floor: rounding of features is below it, and what is well above it is resolved."""

import numpy as np
import pytest

from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError
from pnc.measure import measure_features, noise_floor, resolved, rounding_unit


def features(dtype, share, dimension=64, seed=0):
    """Features whose within-class variance is a share of the squared mean norm, before they are rounded."""
    rng = np.random.default_rng(seed)
    y = np.arange(400) % 4
    means = np.linalg.qr(rng.standard_normal((dimension, 4)))[0].T
    noise = rng.standard_normal((400, dimension)) / np.sqrt(dimension)
    return (means[y] + np.sqrt(share) * noise).astype(dtype), y


@pytest.mark.parametrize(("dtype", "unit"), [("float16", 2.0**-10), ("float32", 2.0**-23), ("float64", 2.0**-52)])
def test_the_formula(dtype, unit):
    assert rounding_unit(dtype) == unit
    floor = noise_floor(dtype=dtype, dimension=7, largest_mean=3.0, between_scatter=0.5)
    assert floor == pytest.approx(7 * unit**2 * 9 / 0.5)
    x, y = features(dtype, 0.1)
    curve = measure_features([x], y)
    double = x.astype(float)
    means = np.stack([double[y == k].mean(0) for k in range(4)])
    largest = np.linalg.norm(means, axis=1).max()
    expected = 64 * unit**2 * largest**2 / curve.between_scatter[0]
    assert curve.provenance["noise_floor"][0] == pytest.approx(expected, rel=1e-9)


def test_float32_features_with_a_within_variance_of_1e_12_are_below_noise_and_float64_ones_are_not():
    coarse, fine = (
        measure_features([features(dtype, 1e-12, 1024)[0]], features(dtype, 1e-12)[1])
        for dtype in (np.float32, np.float64)
    )
    assert not resolved(coarse, 0.1)[0]
    assert resolved(fine, 1e-3)[0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_pure_rounding_is_below_the_floor(dtype):
    x, y = features(dtype, 0.0)
    # copies rounded from slightly different numbers: all that differs within a class is the last bit
    jitter = 1 + np.finfo(dtype).eps * np.random.default_rng(0).choice([-0.5, 0, 0.5], x.shape)
    x = (features(np.float64, 0.0)[0] * jitter).astype(dtype)
    curve = measure_features([x], y)
    assert curve.compression[0] > 0
    assert curve.compression[0] < curve.provenance["noise_floor"][0]
    assert not resolved(curve, 1.0)[0]


def test_what_is_resolved_is_right_to_the_tolerance():
    for share in np.logspace(-12, 0, 13):
        exact = measure_features([features(np.float64, share)[0]], features(np.float64, share)[1])
        rounded = measure_features([features(np.float32, share)[0]], features(np.float32, share)[1])
        for tolerance in (1e-3, 1e-1):
            if resolved(rounded, tolerance)[0]:
                assert rounded.compression[0] == pytest.approx(exact.compression[0], rel=tolerance)
    assert resolved(rounded, 1e-3)[0]  # the largest share is


def test_the_floor_over_the_tolerance_is_the_limit():
    curve = LayerCurve(
        layers=[0, 1, 2],
        compression=[1e-9, 0.9e-9, np.nan],
        discrimination=[1, 1, 1],
        within_scatter=[1, 1, 1],
        between_scatter=[1, 1, 1],
        provenance={"noise_floor": [1e-12, 1e-12, 1e-12]},
    )
    assert resolved(curve, 1e-3).tolist() == [True, False, False]
    assert resolved(curve, 1e-2).tolist() == [True, True, False]


def test_one_sample_a_class_has_no_floor_and_coinciding_means_are_not_resolved():
    curve = measure_features([np.eye(3, dtype=np.float32)], [0, 1, 2])
    assert resolved(curve, 0.1).tolist() == [True]
    same = measure_features([np.ones((4, 2), np.float32)], [0, 0, 1, 1])
    assert resolved(same, 0.1).tolist() == [False]
    read_back = LayerCurve.from_json(same.to_json())
    assert resolved(read_back, 0.1).tolist() == [False]


def test_whole_numbers_are_exact():
    assert rounding_unit("uint8") == rounding_unit("int64") == rounding_unit("float128") == rounding_unit("float64")


def test_bad_input_is_refused():
    curve = LayerCurve(layers=[0], compression=[1], discrimination=[1], within_scatter=[1], between_scatter=[1])
    with pytest.raises(InvalidInputError, match="without one noise floor"):
        resolved(curve, 0.1)
    with pytest.raises(InvalidInputError, match="tolerance = 0"):
        resolved(measure_features([np.eye(2)], [0, 1]), 0)
    for name in ("bool", "complex64", "nonsense", "sum"):
        with pytest.raises(InvalidInputError, match="dtype"):
            rounding_unit(name)
