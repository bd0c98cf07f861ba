"""Intervals against SciPy's own distributions, and the exact coverage of the binomial ones."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from scipy.stats import binom

import pnc
from pnc.statistics import (
    excess_bound,
    share_bound,
    share_interval,
    student_cdf,
    student_interval,
    student_reach,
)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("shape", [(4,), (3, 2), (5, 2, 3)])
def test_students_interval_is_scipys(confidence, shape):
    values = np.random.default_rng(0).normal(3, 2, shape)
    theirs = scipy.stats.t.interval(
        confidence, shape[0] - 1, loc=values.mean(axis=0), scale=scipy.stats.sem(values, axis=0)
    )
    mean, *ends = student_interval(values, confidence=confidence)
    assert mean == pytest.approx(values.mean(axis=0))
    np.testing.assert_allclose(ends, theirs, rtol=1e-12)


def test_one_value_has_no_interval():
    mean, *ends = student_interval([0.3])
    assert float(mean) == 0.3
    assert all(math.isnan(end) for end in ends)


def test_reach_and_distribution_are_scipys():
    assert student_reach(5, 0.9) == pytest.approx(scipy.stats.t.ppf(0.95, 5), rel=1e-12)
    t = np.linspace(-4, 4, 9)
    np.testing.assert_allclose(student_cdf(7, t), scipy.stats.t.cdf(t, 7), rtol=1e-12)


@pytest.mark.parametrize(("hits", "samples"), [(0, 10), (3, 10), (10, 10), (57, 400)])
def test_the_interval_of_a_share_is_scipys(hits, samples):
    theirs = scipy.stats.binomtest(hits, samples).proportion_ci(0.95, method="exact")
    assert share_interval(hits, samples) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_no_sample_says_nothing_of_a_share():
    assert share_interval(0, 0) == (0.0, 1.0)


def test_the_bound_of_a_share_is_exact():
    n, tail = 40, 0.01
    for p in (0.02, 0.3, 0.77):
        hits = np.arange(n + 1)
        over = np.array([share_bound(k, n, tail=tail) > p for k in hits])
        assert binom.pmf(hits, n, p)[over].sum() <= tail
    assert share_bound(0, n, tail=tail) == 0
    assert share_interval(n, n)[1] == 1
    # where the bound is p, that many hits or more have just this probability
    assert binom.sf(11, n, share_bound(12, n, tail=tail)) == pytest.approx(tail, rel=1e-9)


def test_a_difference_is_called_beyond_chance_no_more_often_than_said():
    """Exact, over all outcomes of n paired samples that differ one way with probability p + δ and the other with p."""
    n, tail = 25, 0.05
    for p, delta in ((0.05, 0.0), (0.1, 0.1), (0.3, 0.2)):
        wrong = 0.0
        for b in range(n + 1):
            for c in range(n + 1 - b):
                one = np.arange(n) < b
                other = (np.arange(n) >= b) & (np.arange(n) < b + c)
                if excess_bound(one, other, tail=tail)[1] > delta:
                    # b of n, then c of the rest
                    wrong += binom.pmf(b, n, p + delta) * binom.pmf(c, n - b, p / (1 - p - delta))
        assert wrong <= tail


@pytest.mark.parametrize("name", ["pnc", "sims"])
def test_intervals_are_computed_nowhere_else(name):
    folder = Path(pnc.__file__).parent.parent / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not beside pnc: an installed wheel")
    sources = [file for file in folder.rglob("*.py") if file != Path(pnc.__file__).parent / "statistics.py"]
    names = r"\b(stdtrit?|betaincinv|btdtri|proportion_ci|binomtest)\b|\bt\.(ppf|interval)\b"
    asked = re.compile(names + r"|scipy\.stats import .*\b(t|binom|beta)\b")
    assert [str(file) for file in sources if asked.search(file.read_text(encoding="utf-8"))] == []
