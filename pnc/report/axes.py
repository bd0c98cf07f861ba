"""Axes that a reader can use: layers at whole numbers, logarithmic ones with labels enough to read a value off."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pnc.report.text import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["log_labels", "log_ticks", "power", "whole_axis", "whole_ticks"]

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_FEWEST, _MOST = 3, 8


def whole_ticks(axis: Axes, values: Iterable[float], *, which: str = "x") -> None:
    """Ticks at whole numbers only: at each of the values where they are few, at round ones else.

    Args:
        axis: the panel.
        values: layers, depths, epochs.
        which: `x` or `y`.
    """
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    found = sorted({int(value) for value in values})
    side = axis.xaxis if which == "x" else axis.yaxis
    if len(found) <= 13:
        side.set_ticks(found, [str(value) for value in found])
        return
    side.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=3))
    side.set_major_formatter(StrMethodFormatter("{x:.0f}"))


def whole_axis(axis: Axes, values: Iterable[float], *, name: str, other: str) -> None:
    """A panel over whole numbers, with its grid.

    Args:
        axis: the panel.
        values: layers, depths, epochs: the horizontal axis, see `whole_ticks`.
        name: of the horizontal axis.
        other: name of the vertical one.
    """
    whole_ticks(axis, values)
    axis.set_xlabel(name)
    axis.set_ylabel(other)
    axis.grid(lw=0.6)


def power(value: float) -> str:
    """A label on a logarithmic axis, in plain text.

    >>> power(1e-5), power(2e-7), power(0.05), power(1), power(3000)
    ('10⁻⁵', '2·10⁻⁷', '0.05', '1', '3000')
    """
    exponent = math.floor(math.log10(value) + 1e-9)
    if -3 <= exponent <= 3:
        return f"{value:.12g}"
    factor = value / 10.0**exponent
    tens = "10" + str(exponent).translate(_SUPERSCRIPT)
    return tens if abs(factor - 1) < 1e-9 else f"{number(factor, 3)}·{tens}"


def log_ticks(low: float, high: float) -> list[float]:
    """From three to eight values of a logarithmic axis to put labels at, whatever its length.

    >>> log_ticks(1e-9, 5)
    [1e-08, 1e-06, 0.0001, 0.01, 1.0]
    >>> log_ticks(0.8, 40), log_ticks(1.1, 1.3)
    ([1.0, 3.0, 10.0, 30.0], [1.12, 1.16, 1.2, 1.24, 1.28])
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = [k for k in range(first, last + 1) if low <= 10.0**k * (1 + 1e-12) and 10.0**k <= high * (1 + 1e-12)]
    if len(powers) > _MOST - 2:
        step = math.ceil(len(powers) / (_MOST - 2))
        return [float(f"1e{k}") for k in powers if k % step == 0]
    for factors in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7)):
        ticks = [float(f"{f}e{k}") for k in range(first, last + 1) for f in factors]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if _FEWEST <= len(ticks) <= _MOST and (len(powers) >= _FEWEST or factors != (1,)):
            return ticks
    from matplotlib.ticker import MaxNLocator

    scale = 10.0**first  # the locator takes very small numbers for 0
    values = np.asarray(MaxNLocator(nbins=6).tick_values(low / scale, high / scale)) * scale
    return [float(f"{value:.12g}") for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]


def log_labels(axis: Axes, values: Sequence[float] | np.ndarray = (), *, which: str = "y") -> bool:
    """A logarithmic axis with at least three labels; left linear, and said so by False, where nothing is above 0.

    Args:
        axis: the panel, drawn on already.
        values: that have to be in sight; what is drawn sets the limits besides.
        which: `x` or `y`.
    """
    from matplotlib.ticker import NullFormatter, NullLocator

    numbers = np.asarray(values, dtype=float)
    side = axis.xaxis if which == "x" else axis.yaxis
    if numbers.size and not (numbers > 0).any():
        return False
    (axis.set_xscale if which == "x" else axis.set_yscale)("log")
    axis.autoscale_view()
    low, high = axis.get_xlim() if which == "x" else axis.get_ylim()
    if high / low < 1.02:  # one value: a label above and one below it
        middle = math.sqrt(low * high)
        low, high = middle / 1.5, middle * 1.5
        (axis.set_xlim if which == "x" else axis.set_ylim)(low, high)
    ticks = log_ticks(low, high)
    side.set_ticks(ticks, [power(tick) for tick in ticks])
    side.set_minor_locator(NullLocator())
    side.set_minor_formatter(NullFormatter())
    return True
