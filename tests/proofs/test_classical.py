"""Classical theorems: applied where their hypotheses hold, refused where not, and not believed when false."""

from dataclasses import replace

import pytest
from flint import fmpq

from proofs_check import classical
from proofs_check.classical import Classical, applied
from proofs_check.instances import diagonal
from proofs_check.ledger import Scope, Status

THEOREMS = [value for value in vars(classical).values() if isinstance(value, Classical)]
QUICK = Scope(depth="quick")


@pytest.mark.parametrize("theorem", THEOREMS, ids=lambda t: t.name)
def test_it_holds_under_stress_and_needs_its_hypothesis(theorem):
    rng = QUICK.rng("point of use")
    evidence = applied(theorem, QUICK, [theorem.sample(rng)])
    assert evidence.status is Status.DISCHARGED, evidence.text
    assert theorem.dropped in evidence.text


@pytest.mark.parametrize("theorem", THEOREMS, ids=lambda t: t.name)
def test_it_is_refused_outside_its_hypotheses(theorem):
    evidence = applied(theorem, QUICK, [theorem.breaker()])
    assert evidence.status is Status.OPEN
    assert "hypotheses fail" in evidence.text


@pytest.mark.parametrize("theorem", THEOREMS, ids=lambda t: t.name)
def test_a_breaker_that_breaks_nothing_is_noticed(theorem):
    harmless = theorem.sample(QUICK.rng("harmless"))
    evidence = applied(replace(theorem, breaker=lambda: harmless), QUICK, [])
    assert evidence.status is Status.OPEN


def test_a_false_theorem_is_refuted():
    false = replace(
        classical.KY_FAN,
        compares=lambda i: [("tr PS ≤ λ_1 / 100", fmpq(1), fmpq(1, 100))],
    )
    assert applied(false, QUICK, []).status is Status.REFUTED


def test_gershgorin_accepts_equality():
    evidence = applied(classical.GERSHGORIN, QUICK, [(diagonal([1, 1]), fmpq(1))])
    assert evidence.holds
