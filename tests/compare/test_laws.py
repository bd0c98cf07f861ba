"""Fits of the two laws: planted lines, intervals that cover as often as they say, planted onsets."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnc.compare import fit_geometric_law, fit_laws, fit_linear_law, follow
from tests.compare.curves import curve


@given(rate=st.floats(1e-3, 3.0), start=st.floats(1e-6, 1e6), layers=st.integers(3, 16), first=st.integers(0, 3))
def test_an_exactly_geometric_curve_gives_its_ratio(rate, start, layers, first):
    l = np.arange(first, first + layers)
    fit = fit_geometric_law(curve(start * rate ** l.astype(float), layers=l))
    assert math.exp(fit.slope) == pytest.approx(rate, rel=1e-10)
    assert math.exp(fit.intercept) == pytest.approx(start, rel=1e-8)
    assert (fit.onset, fit.layers) == (first, layers)
    assert fit.slope_lower - 1e-9 <= fit.slope <= fit.slope_upper + 1e-9
    if layers < 4:  # three points explain themselves
        assert math.isnan(fit.r_squared)
    elif abs(math.log(rate)) > 1e-3:
        assert fit.r_squared == pytest.approx(1, abs=1e-9)


@given(slope=st.floats(-0.1, 0.1), start=st.floats(0.1, 1.0), layers=st.integers(3, 16))
def test_an_exactly_linear_curve_gives_its_slope(slope, start, layers):
    l = np.arange(layers)
    fit = fit_linear_law(curve(np.ones(layers), start + slope * l))
    assert fit.slope == pytest.approx(slope, abs=1e-12)
    assert fit.intercept == pytest.approx(start, rel=1e-10)
    assert fit.onset == 0


def test_least_squares_agree_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    y = 0.3 - 0.7 * np.arange(7) + 0.2 * rng.standard_normal(7)
    fit, theirs = fit_geometric_law(curve(np.exp(y)), onset=0), stats.linregress(np.arange(7), y)
    assert (fit.slope, fit.intercept) == pytest.approx((theirs.slope, theirs.intercept))
    assert fit.r_squared == pytest.approx(theirs.rvalue**2)
    reach = theirs.stderr * stats.t.ppf(0.975, 5)
    assert (fit.slope_lower, fit.slope_upper) == pytest.approx((theirs.slope - reach, theirs.slope + reach))


def coverage(confidence, runs=2000, layers=8, **options):
    rng, covered = np.random.default_rng(3), 0
    for _ in range(runs):
        noisy = np.exp(1 - 0.8 * np.arange(layers) + 0.1 * rng.standard_normal(layers))
        fit = fit_geometric_law(curve(noisy), confidence=confidence, **options)
        covered += fit.slope_lower <= -0.8 <= fit.slope_upper
    return covered / runs


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_intervals_cover_the_slope_as_often_as_they_say(confidence):
    error = math.sqrt(confidence * (1 - confidence) / 2000)
    assert abs(coverage(confidence, onset=0) - confidence) < 4.5 * error


def test_a_normal_quantile_in_place_of_students_would_be_noticed():
    # z = 1.96 in place of t_6 = 2.447 is an interval of confidence 0.903
    error = math.sqrt(0.95 * 0.05 / 2000)
    assert abs(coverage(0.9025, onset=0) - 0.95) > 4.5 * error


def two_phases(start, *, layers=10, noise=0.0, seed=0):
    """log C: slope -0.2 before `start`, -1.5 from there on."""
    l = np.arange(layers)
    later = np.where(l < start, -0.2 * l, -0.2 * start - 1.5 * (l - start))
    return curve(np.exp(later + noise * np.random.default_rng(seed).standard_normal(layers)))


@pytest.mark.parametrize("start", [2, 3, 5, 7])
@pytest.mark.parametrize("seed", range(5))
def test_a_planted_onset_is_found(start, seed):
    fit = fit_geometric_law(two_phases(start, noise=0.02, seed=seed))
    assert fit.onset == start
    assert fit.slope == pytest.approx(-1.5, abs=0.08)
    assert fit.layers == 10 - start


@pytest.mark.parametrize("seed", range(8))
def test_there_is_one_estimator_of_the_onset(seed):
    """What is printed of a curve is what its verdict is judged by: onset, rate, interval and R²."""
    rng = np.random.default_rng(seed)
    l = np.arange(9)
    bent = np.where(l < 3, -0.1 * l, -0.3 - 0.7 * (l - 3)) + 0.15 * rng.standard_normal(9)
    both = curve(np.exp(bent), 0.1 + 0.08 * l + 0.02 * rng.standard_normal(9), converged=True)
    judged, printed = follow(both), fit_laws(both)
    for phase, fit in ((judged.geometric.phase, printed["geometric"]), (judged.linear.phase, printed["linear"])):
        for name in ("onset", "slope", "slope_lower", "slope_upper", "layers", "r_squared"):
            assert getattr(phase, name) == pytest.approx(getattr(fit, name), nan_ok=True), name


def test_no_share_is_explained_by_fewer_than_four_layers():
    values = np.exp([0.0, 0.1, 0.0, 0.1, 0.0, -2.0, -4.1])
    fit = fit_geometric_law(curve(values), onset=4)
    assert fit.layers == 3
    assert math.isnan(fit.r_squared)
    assert not math.isnan(fit_geometric_law(curve(values), onset=3).r_squared)


def test_a_single_outlying_first_layer_is_left_out():
    values = 0.1 ** np.arange(8.0)
    values[0] = 50
    fit = fit_geometric_law(curve(values))
    assert fit.onset == 1
    assert math.exp(fit.slope) == pytest.approx(0.1)


def test_noise_alone_seldom_makes_phases():
    rng = np.random.default_rng(1)
    onsets = [
        fit_geometric_law(curve(np.exp(-0.8 * np.arange(12) + 0.1 * rng.standard_normal(12)))).onset for _ in range(300)
    ]
    assert np.mean(np.equal(onsets, 0)) > 0.7


def test_a_given_onset_is_used():
    fit = fit_geometric_law(two_phases(4), onset=0)
    assert (fit.onset, fit.layers) == (0, 10)
    assert fit_geometric_law(two_phases(4), onset=9) is None


def test_layers_without_compression_are_left_out():
    fit = fit_geometric_law(curve([1.0, 0.1, 0.0, np.nan, 1e-4]))
    assert fit.layers == 3
    assert math.exp(fit.slope) == pytest.approx(0.1)
    assert fit_geometric_law(curve([0.0, 0.0, 0.0])) is None
    assert fit_geometric_law(curve([1.0])) is None
    assert fit_linear_law(curve([1.0, 1.0], [np.nan, 0.5])) is None


def test_two_layers_give_a_slope_without_an_interval():
    fit = fit_geometric_law(curve([1.0, 0.5]))
    assert math.exp(fit.slope) == pytest.approx(0.5)
    assert math.isnan(fit.slope_lower)
    assert math.isnan(fit.slope_upper)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_curve_has_slope_zero_and_no_share_explained(value):
    fit = fit_linear_law(curve(np.ones(6), np.full(6, value)))
    assert fit.slope == pytest.approx(0, abs=1e-16)
    assert math.isnan(fit.r_squared)
    assert fit.onset == 0
