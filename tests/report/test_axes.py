"""Ticks: whole numbers for layers, and always enough labels on a logarithmic axis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnc.report.axes import log_labels, log_ticks, power, whole_ticks
from pnc.report.canvas import new_figure


@given(st.floats(-300, 300), st.floats(0.001, 290))
def test_a_logarithmic_axis_has_three_labels_or_more(start, decades):
    low = 10.0**start
    high = 10.0 ** min(start + decades, 307)
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 12
    if decades > 0.02:
        assert len(ticks) >= 3
    assert ticks == sorted(set(ticks))
    assert all(low * (1 - 1e-9) <= tick <= high * (1 + 1e-9) for tick in ticks)
    assert len({power(tick) for tick in ticks}) == len(ticks) or decades < 0.02


@pytest.mark.parametrize("layers", [range(5), range(13), range(40), [1, 5], range(1000)])
def test_layers_are_labelled_at_whole_numbers(layers):
    figure, (axis,) = new_figure(4, 3)
    axis.plot(list(layers), np.ones(len(layers)))
    whole_ticks(axis, layers)
    figure.canvas.draw()
    labels = [label.get_text() for label in axis.get_xticklabels() if label.get_text()]
    assert labels
    assert all(text.lstrip("−-").isdigit() for text in labels)
    assert len(labels) <= 13


def test_values_of_rounding_get_a_logarithmic_axis_and_zeros_none():
    _, (axis, other) = new_figure(4, 3, columns=2)
    axis.plot([1, 2], [6e-14, 2e-13], "o")
    assert log_labels(axis, [6e-14, 2e-13])
    assert axis.get_yscale() == "log"
    assert len(axis.get_yticks()) >= 3
    other.plot([1, 2], [0, 0])
    assert not log_labels(other, [0, 0])
    assert other.get_yscale() == "linear"
