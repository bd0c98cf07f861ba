"""T9: the within-class rate is exact in expectation at initialisation."""

from __future__ import annotations

import numpy as np
import pytest

from pnc.errors import InvalidInputError
from pnc.theory import default_weights_rates
from tests import oracles


def test_within_rate_at_initialisation():
    """Entries uniform on ±1/√fan_in, 200 draws: the mean ratio lies within five standard errors of d_l/(3
    d_{l-1})."""
    rng = np.random.default_rng(0)
    widths, y = (12, 20, 8), np.arange(15) % 3
    X = rng.standard_normal((15, 12))
    rates = default_weights_rates([5, 5, 5], widths).within
    ratios = []
    for _ in range(200):
        weights = [rng.uniform(-1, 1, (out, into)) / np.sqrt(into) for into, out in zip(widths, (*widths[1:], 3))]
        Z = oracles.features_of_layers(weights, X)
        traces = np.array([oracles.measure_layer(z, y).within_scatter for z in Z])
        ratios.append(traces[1:] / traces[:-1])
    error = np.std(ratios, axis=0, ddof=1) / np.sqrt(len(ratios))
    assert np.all(np.abs(np.mean(ratios, axis=0) - rates) <= 5 * error)
    assert np.all(5 * error < 0.1 * rates)


def test_compression_rate_as_the_note_writes_it():
    rates = default_weights_rates([10, 10], [64, 64, 64, 64, 64, 64])
    assert rates.compression == pytest.approx(np.full(5, 1 / (3 * 10 ** (1 / 6))))
    scaled = default_weights_rates([10, 10], [64, 64, 32], label_scale=10.0)
    assert scaled.compression == pytest.approx(np.array([1, 0.5]) / (3 * 0.1 ** (1 / 3)))
    uneven = default_weights_rates([4, 9], [5, 5])
    assert uneven.compression == pytest.approx([1 / (3 * np.sqrt(6))])


def test_a_widening_layer_is_left_out():
    rates = default_weights_rates([10, 10], [30, 64, 64])
    assert np.isnan(rates.compression[0])
    assert np.isfinite(rates.compression[1])
    assert "widening" in rates.caveat


@pytest.mark.parametrize("widths", [[5], [5, 0], []])
def test_bad_widths(widths):
    with pytest.raises(InvalidInputError, match="at least one hidden width"):
        default_weights_rates([2, 2], widths)
