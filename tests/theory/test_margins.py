"""The margins of T5', written once more in 50 digits: bounds that contain what they should do not show a wrong one."""

from __future__ import annotations

import mpmath as mp
import pytest

from pnc.theory.sharp_bounds import _lower_margin, _upper_margin


def margin(θ, c, curvature, sign):
    root = mp.sqrt(1 - mp.mpf(θ) ** 2)
    room = c / (2 * θ * curvature) - 1
    if room <= 0:
        return -mp.inf
    return sign + (1 + root) / (2 * θ) - curvature * (1 - root) * (1 + 1 / room) / c


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("θ", [0.05, 0.3, 0.6])
def test_margins_are_those_of_the_theorem(θ, classes):
    with mp.workdps(50):
        t, h, exact = mp.mpf("0.75"), mp.mpf("0.25"), mp.mpf(θ)
        c = 1 + 2 * exact / classes
        y = (1 - exact) / c - 1
        # the mean of the second derivative of (1+y)^s over the step before the top, from its Taylor remainder
        upper = margin(exact, c, mp.quad(lambda s: _second(y, s), [t - h, t]) / h, 1)
        down = 1 - 2 * exact / classes
        below = (1 - exact) / down - 1
        lower = margin(
            exact, down, mp.mpf("0.5") if classes == 2 else mp.quad(lambda s: s / (1 + s * below), [0, 1]), -1
        )
    if classes == 2:
        upper, lower = max(upper, 0), max(margin(exact, 1 - exact, mp.mpf("0.5"), -1), 0)
    assert _upper_margin(θ, classes, 0.75, 0.25) == pytest.approx(float(upper), rel=1e-9)
    assert _lower_margin(θ, classes) == pytest.approx(float(lower), rel=1e-9)


def _second(y, s):
    """((1+y)^s log(1+y) - y)/y²: its mean over a step is c₂."""
    return ((1 + y) ** s * mp.log(1 + y) - y) / y**2
