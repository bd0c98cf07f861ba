"""Where a phase begins: planted onsets, how often the stated intervals hold them, and the slope in them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pnc.compare.laws.phase import find_phase
from pnc.statistics import student_interval

L = np.arange(1.0, 10.0)


def planted(onset, *, before, after, noise, rng, layers=L, curves=1):
    law = before * np.minimum(layers - onset, 0) + after * np.maximum(layers - onset, 0)
    return law + noise * rng.standard_normal((curves, layers.size))


@pytest.mark.parametrize("onset", [2, 3, 5, 7])
def test_a_clear_onset_is_found_with_certainty(onset):
    values = planted(onset, before=0.1, after=-1.0, noise=0.02, rng=np.random.default_rng(onset))
    phase, _ = find_phase(L, values, confidence=0.95)
    assert (phase.onset, phase.onset_lower, phase.onset_upper) == (onset, onset, onset)
    assert phase.layers == 10 - onset
    assert phase.slope == pytest.approx(-1.0, abs=0.05)


def test_weights_are_probabilities_of_every_possible_onset():
    values = planted(4, before=0, after=-0.5, noise=0.1, rng=np.random.default_rng(0))
    weights = find_phase(L, values, confidence=0.95)[0].onset_weights
    assert list(weights) == [1, 2, 3, 4, 5, 6, 7]  # three layers at least in the phase
    assert sum(weights.values()) == pytest.approx(1)


def held(runs, *, onset, noise, confidence, seed=5):
    """How often onset and slope lie in their intervals."""
    rng, onsets, slopes = np.random.default_rng(seed), 0, 0
    for _ in range(runs):
        values = planted(onset, before=0.0, after=-0.5, noise=noise, rng=rng)
        phase, _ = find_phase(L, values, confidence=confidence)
        onsets += phase.onset_lower <= onset <= phase.onset_upper
        slopes += phase.slope_lower <= -0.5 <= phase.slope_upper
    return onsets / runs, slopes / runs


@pytest.mark.parametrize("noise", [0.05, 0.1])
def test_the_onset_interval_holds_the_onset_at_least_as_often_as_it_says(noise):
    runs, confidence = 400, 0.9
    allowed = 4 * math.sqrt(confidence * (1 - confidence) / runs)
    assert held(runs, onset=4, noise=noise, confidence=confidence)[0] >= confidence - allowed


@pytest.mark.parametrize("confidence", [0.5, 0.9])
def test_the_slope_interval_holds_the_slope_as_often_as_it_says(confidence):
    runs = 400
    allowed = 4 * math.sqrt(confidence * (1 - confidence) / runs)
    assert abs(held(runs, onset=1, noise=0.1, confidence=confidence)[1] - confidence) < allowed


def test_an_interval_that_ignored_the_onset_would_be_noticed():
    # the interval of one half instead of nine tenths
    allowed = 4 * math.sqrt(0.9 * 0.1 / 400)
    assert abs(held(400, onset=1, noise=0.1, confidence=0.5)[1] - 0.9) > allowed


def test_noise_alone_seldom_makes_a_phase():
    rng, runs = np.random.default_rng(3), 400
    made = sum(
        find_phase(L, planted(1, before=0, after=-0.5, noise=0.1, rng=rng), confidence=0.95)[0].onset > 1
        for _ in range(runs)
    )
    assert made / runs < 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)


def test_several_curves_find_what_one_does_not():
    rng = np.random.default_rng(2)
    layers = L[:7]
    options = {"before": 0.0, "after": -0.2, "noise": 0.06, "rng": rng, "layers": layers}
    alone = [find_phase(layers, planted(3, **options), confidence=0.95)[0].onset_weights[3] for _ in range(40)]
    joint = [
        find_phase(layers, planted(3, **options, curves=4), confidence=0.95)[0].onset_weights[3] for _ in range(40)
    ]
    assert np.mean(joint) > np.mean(alone) + 0.2


def test_curves_have_slopes_of_their_own():
    values = np.array([-0.5 * L, -0.7 * L + 3])
    phase, _ = find_phase(L, values, confidence=0.95)
    assert phase.slopes == pytest.approx((-0.5, -0.7))
    assert phase.starts == pytest.approx((-0.5, 2.3))
    low, high = student_interval(np.array([-0.5, -0.7]), confidence=0.95)[1:]
    assert (phase.slope_lower, phase.slope_upper) == pytest.approx((low, high))


def test_a_misfit_is_named_with_its_layer():
    values = (-0.5 * L)[None].copy()
    values[0, 5] += 0.3
    phase, _ = find_phase(L, values, confidence=0.95)
    assert phase.misfit_layer == 6
    assert 0.15 < phase.misfit < 0.3


def test_where_the_onset_is_certain_the_interval_is_that_of_the_hinge():
    stats = pytest.importorskip("scipy.stats")
    y = planted(5, before=0.2, after=-1.0, noise=0.03, rng=np.random.default_rng(4))[0]
    phase, _ = find_phase(L, y[None], confidence=0.95)
    assert phase.onset_weights[5] > 1 - 1e-6
    columns = np.column_stack([np.ones(9), np.maximum(L - 5, 0), np.minimum(L - 5, 0)])
    inverse = np.linalg.inv(columns.T @ columns)
    coefficients = inverse @ columns.T @ y
    error = math.sqrt(np.sum((y - columns @ coefficients) ** 2) / 6 * inverse[1, 1])
    reach = error * stats.t.ppf(0.975, 6)
    assert (phase.slope_lower, phase.slope_upper) == pytest.approx(
        (coefficients[1] - reach, coefficients[1] + reach), rel=1e-4
    )


def test_of_many_layers_an_onset_is_found_to_the_distance_of_the_candidates():
    """4,000 layers take as many fits as 256, and the phase is the planted one."""
    layers = np.arange(4000.0)
    values = -0.01 * np.maximum(layers - 1500, 0)
    phase, _ = find_phase(layers, values[None], confidence=0.95)
    assert phase.onset_lower <= 1500 <= phase.onset_upper
    assert abs(phase.onset - 1500) <= 200
    assert phase.slope_lower <= phase.slope <= phase.slope_upper
    assert phase.slope == pytest.approx(-0.01, rel=5e-2)
    assert len(phase.onset_weights) == 256
    short = find_phase(layers[:258], -0.01 * layers[None, :258], confidence=0.95)[0]
    assert list(short.onset_weights) == list(range(256))  # all of them
