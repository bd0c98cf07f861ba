"""Scalar inequalities: true ones are proved for all values, false ones refuted, touching ones stay open."""

from fractions import Fraction

import mpmath
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from proofs_check.ledger import Status
from proofs_check.scalar import exp_tail, for_all, log_quotient, nonnegative_on_box, positive_series


def test_a_polynomial_inequality_is_proved():
    assert for_all("x y", lambda x, y: (x + y) * (x + y) >= 4 * x * y).holds


@pytest.mark.parametrize("factor", ["401/100", "5"])
def test_a_constant_too_large_is_refuted(factor):
    top, bottom = (int(part) for part in (factor + "/1").split("/")[:2])
    evidence = for_all("x y", lambda x, y: bottom * (x + y) * (x + y) >= top * x * y)
    assert evidence.status is Status.REFUTED
    assert "fails at" in evidence.text


def test_nothing_is_proved_from_a_contradiction():
    evidence = for_all("x", lambda x: x > x + 1, given=lambda x: [x > 1, x < 0])
    assert evidence.status is Status.OPEN


def test_a_transcendental_inequality_is_proved_on_a_box():
    assert nonnegative_on_box(lambda x: x.exp() - 1 - x + arb("1e-6"), [(-3, 3)]).holds


def test_a_false_transcendental_inequality_is_refuted():
    assert nonnegative_on_box(lambda x: x.exp() - 1 - x - arb("1e-3"), [(-3, 3)]).status is Status.REFUTED


def test_equality_at_a_point_is_not_faked():
    evidence = nonnegative_on_box(lambda x: x.exp() - 1 - x, [(-1, 1)], most_boxes=300)
    assert evidence.status is Status.OPEN


def test_two_variables_are_subdivided():
    assert nonnegative_on_box(lambda x, y: x * x + y * y - x * y + arb("0.01"), [(-1, 1), (-1, 1)]).holds


@given(st.floats(-30, 30), st.integers(1, 4))
def test_the_exponential_tail_encloses_the_true_value(x, order):
    with mpmath.workdps(80):
        true = mpmath.hyp1f1(1, order + 1, mpmath.mpf(x)) / mpmath.factorial(order)
        text = mpmath.nstr(true, 60)
    found = exp_tail(arb(x), order)
    assert found.overlaps(arb(text)) or abs(found - arb(text)) < abs(arb(text)) * arb("1e-30")


@given(st.floats(-0.99, 50))
def test_the_logarithm_quotient_encloses_the_true_value(w):
    with mpmath.workdps(60):
        true = mpmath.mpf(1) if w == 0 else mpmath.log1p(mpmath.mpf(w)) / mpmath.mpf(w)
        text = mpmath.nstr(true, 45)
    assert abs(log_quotient(arb(w)) - arb(text)) < abs(arb(text)) * arb("1e-30")


def test_a_negative_coefficient_is_found():
    assert positive_series(lambda j: Fraction((-1) ** j, j + 1), "no reason").status is Status.REFUTED
