"""The alternatives' fits against SciPy's optimisers, from many starting points."""

from __future__ import annotations

import numpy as np
import pytest

from pnc.compare.laws.shapes import approach, bend, broken_line, constant, flat_from, floor, line, squares

X = np.arange(1.0, 9.0)
CURVES = [
    np.log(0.05 + 0.9 * 0.4**X) + 0.05 * np.random.default_rng(0).standard_normal(8),
    0.9 - 0.7 * 0.6**X + 0.02 * np.random.default_rng(1).standard_normal(8),
    -0.5 * X + 0.2 * np.random.default_rng(2).standard_normal(8),
]


def searched(model, y, starts):
    optimize = pytest.importorskip("scipy.optimize")
    return min(2 * optimize.least_squares(lambda p: y - model(p), p, max_nfev=400).cost for p in starts)


STARTS = [(a, b, c) for a in (-4.0, -1.0, 1.0) for b in (-2.0, 0.5, 2.0) for c in (-2.5, -1.0, 0.5)]


@pytest.mark.parametrize("y", CURVES, ids=("floor", "approach", "line"))
def test_no_optimiser_finds_a_better_approach_within_the_rates(y):
    def model(p):  # a rate within the grid's bounds
        rate = np.exp(np.clip(p[2], np.log(0.02), np.log(6.0)))
        return p[0] + p[1] * np.exp(-rate * (X - 1))

    assert squares(y, approach(X, y)) <= searched(model, y, STARTS) * (1 + 1e-6)


@pytest.mark.parametrize("y", CURVES, ids=("floor", "approach", "line"))
def test_no_optimiser_finds_a_better_floor_within_the_ranges(y):
    def model(p):  # rate and meeting point within the grid's bounds
        rate, meeting = np.exp(np.clip(p[2], np.log(0.02), np.log(6.0))), np.clip(p[1] + 4, -6.0, 15.0)
        return p[0] + np.logaddexp(0, -rate * (X - meeting))

    # the surface has several flat valleys; what counts is the criterion, n log S, of which 2 are decisive
    assert X.size * np.log(squares(y, floor(X, y)) / searched(model, y, STARTS)) < 0.05


@pytest.mark.parametrize("y", CURVES, ids=("floor", "approach", "line"))
def test_linear_shapes_are_polynomials_and_hinges(y):
    np.testing.assert_allclose(bend(X, y), np.polyval(np.polyfit(X, y, 2), X), rtol=1e-9)
    np.testing.assert_allclose(line(X, y)[0][::-1], np.polyfit(X - 1, y, 1)[::1], rtol=1e-9)
    np.testing.assert_allclose(constant(X, y), y.mean())
    hinge = flat_from(4.0, X, y)
    assert np.ptp(hinge[3:]) < 1e-12
    np.testing.assert_allclose(np.diff(hinge[:4], 2), 0, atol=1e-12)
    # normal equations of the hinge, by hand
    for column in (np.ones(8), np.minimum(X - 4, 0)):
        assert column @ (y - hinge) == pytest.approx(0, abs=1e-12)


def test_a_broken_line_meets_at_its_onset():
    y = np.where(X < 4, 1 + 0.1 * (X - 4), 1 - 0.7 * (X - 4))
    (height, rate, before), left = broken_line(X, y, 4.0)
    assert (height, rate, before) == pytest.approx((1.0, -0.7, 0.1))
    assert left < 1e-25
