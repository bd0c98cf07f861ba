"""The corrected criterion against its definition, and how often its rule errs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pnc.compare import Verdict
from pnc.compare.laws.criterion import corrected_criterion, verdict_between


def test_it_is_akaikes_with_its_correction():
    # from the likelihood: -2 log L of normal residuals at their own variance, constants left out
    residuals = np.array([0.1, -0.2, 0.05, 0.3, -0.25, 0.0, 0.1, -0.1])
    n, k = residuals.size, 3
    variance = float(np.mean(residuals**2))
    twice = float(np.sum(residuals**2 / variance + math.log(variance))) - n
    expected = twice + 2 * k * n / (n - k - 1)  # 2k + 2k(k+1)/(n-k-1)
    found = corrected_criterion(float(residuals @ residuals), points=n, parameters=k)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("points", [2, 3, 4])
def test_it_says_nothing_with_too_few_points(points):
    assert corrected_criterion(1.0, points=points, parameters=3) == math.inf


@pytest.mark.parametrize(
    ("further", "difference", "verdict"),
    [
        *((1, d, Verdict.FOLLOWS) for d in (0.0, 3.0)),
        *((1, d, Verdict.UNDECIDED) for d in (-0.1, -1.9)),
        (1, -2.0, Verdict.DEPARTS),
        (-1, 2.0, Verdict.FOLLOWS),
        *((-1, d, Verdict.UNDECIDED) for d in (0.1, 1.9)),
        *((-1, d, Verdict.DEPARTS) for d in (0.0, -3.0)),
        (0, 2.0, Verdict.FOLLOWS),
        *((0, d, Verdict.UNDECIDED) for d in (1.9, 0.0, -1.9)),
        (0, -2.0, Verdict.DEPARTS),
    ],
)
def test_the_richer_must_be_lower_by_two(further, difference, verdict):
    assert verdict_between(5.0, 5.0 + difference, further_parameters=further) is verdict


@pytest.mark.parametrize("points", [7, 8, 12, 30])
def test_one_parameter_more_wins_against_a_true_line_in_at_most_five_per_cent(points):
    """Nested linear models: the gain is n log(1 + F/(n-3)) with F of 1 and n-3 degrees, so the rate is exact."""
    special = pytest.importorskip("scipy.special")
    line, bend = (corrected_criterion(1.0, points=points, parameters=k) for k in (3, 4))
    ratio = math.exp((bend - line + 2) / points)
    rate = float(special.fdtrc(1, points - 3, (ratio - 1) * (points - 3)))
    assert rate <= 0.05
    # and with BIC in its place, which is what it was chosen for, it would win far more often
    bayes = math.exp(math.log(points) / points)
    assert float(special.fdtrc(1, points - 3, (bayes - 1) * (points - 3))) > 0.05 + 0.02 * (points < 20)
