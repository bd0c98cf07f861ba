"""Evidence adds up honestly: what is not shown is OPEN, whatever surrounds it."""

from dataclasses import replace

import pytest

from proofs_check.ledger import (
    Kind,
    Report,
    Scope,
    Statement,
    Status,
    Step,
    WrongVariant,
    both,
    check_statement,
    check_variants,
    discharged,
    refuted,
    undecided,
)


def _statement(*checks, number="T1", rests_on=(), variants=()):
    steps = tuple(
        Step(key=str(i), kind=Kind.IDENTITY, claim="a = a", because="it is", check=check)
        for i, check in enumerate(checks)
    )
    return Statement(
        number=number,
        title="title",
        text="text",
        assumptions=(),
        steps=steps,
        wrong_variants=variants,
        rests_on=rests_on,
        tightness=("0",),
    )


def _report(*statements):
    results = tuple(check_statement(item, Scope()) for item in statements)
    return Report(statements=results, depth="quick", seed=0, seconds=0.0)


def good(scope):
    return discharged("fine", slack=0.25)


def unclear(scope):
    return undecided("who knows")


def bad(scope):
    return refuted("at x = 1")


def broken(scope):
    raise ZeroDivisionError("0/0")


@pytest.mark.parametrize(
    ("checks", "status"),
    [((good, good), Status.DISCHARGED), ((good, unclear), Status.OPEN), ((good, unclear, bad), Status.REFUTED)],
)
def test_a_statement_is_as_good_as_its_worst_step(checks, status):
    report = _report(_statement(*checks))
    assert report.status is status
    assert bool(report.open_steps) is (status is not Status.DISCHARGED)


def test_a_check_that_fails_to_run_is_open_with_its_reason():
    report = _report(_statement(broken))
    assert report.status is Status.OPEN
    assert "ZeroDivisionError: 0/0" in report.statements[0].steps[0].evidence


def test_open_propagates_to_what_rests_on_it():
    below = _statement(unclear, number="T1")
    above = _statement(good, number="T2", rests_on=("T1",))
    top = _statement(good, number="T5", rests_on=("T2",))
    report = _report(below, above, top)
    assert [report.effective_status(n) for n in ("T1", "T2", "T5")] == [Status.OPEN] * 3
    assert report.statements[1].status is Status.DISCHARGED
    assert report.open_steps == ("T1 step 0",)


def test_evidence_of_several_parts_is_the_worst_of_them():
    assert both(good(None), bad(None), unclear(None)).status is Status.REFUTED
    assert both(good(None), unclear(None)).status is Status.OPEN
    assert both(good(None), discharged("x", slack=0.5)).slack == 0.25


def test_only_a_refutation_rejects_a_wrong_variant():
    variants = tuple(
        WrongVariant(name=name, claim="", check=check)
        for name, check in (("good", good), ("unclear", unclear), ("bad", bad), ("broken", broken))
    )
    results = check_variants(_statement(good, variants=variants), Scope())
    assert [r.rejected for r in results] == [False, False, True, False]


def test_slack_is_that_of_the_steps_that_say_how_tight_the_statement_is():
    tight = replace(_statement(good, lambda scope: discharged("", slack=0.0)))
    assert check_statement(tight, Scope()).slack == 0.25


def test_the_report_is_plain_data():
    report = _report(_statement(good, unclear))
    data = report.to_dict()
    assert data["status"] == "OPEN"
    assert data["open_steps"] == ["T1 step 1"]
    assert [step["status"] for step in data["statements"][0]["steps"]] == ["DISCHARGED", "OPEN"]


def test_random_choices_depend_on_seed_and_purpose():
    assert Scope(seed=1).rng("a").random() == Scope(seed=1).rng("a").random()
    assert Scope(seed=1).rng("a").random() != Scope(seed=2).rng("a").random()
    assert Scope(seed=1).rng("a").random() != Scope(seed=1).rng("b").random()
