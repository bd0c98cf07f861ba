"""Every statement of the theory is there, discharged, and its wrong variants are refuted."""

import pytest

from pnc.theory import assumptions as measured
from proofs_check import statement, verify, wrong_variants
from proofs_check.assumptions import ALL
from proofs_check.ledger import Kind, Status
from proofs_check.references import CITED_BY, ENTRIES, STATEMENTS, bibtex
from proofs_check.verify import MODULES

BY_NATURE = {Kind.IDENTITY, Kind.INEQUALITY, Kind.CLASSICAL, Kind.BALL}


def test_all_statements_are_covered():
    expected = [f"T{i}" for i in range(1, 10)] + [f"U{i}" for i in range(1, 7)] + [f"Y{i}" for i in range(1, 6)]
    expected += ["R1", "R3", "R6", "V1", "V3", "E2", "N1", "RL1", "RL3"]
    assert list(STATEMENTS) == expected == list(MODULES)
    assert [statement(number).number for number in STATEMENTS] == expected


def test_everything_is_discharged(quick_report):
    assert quick_report.open_steps == ()
    assert quick_report.status is Status.DISCHARGED


def test_no_step_is_a_bare_assertion(quick_report):
    for item in quick_report.statements:
        assert len({step.key for step in item.steps}) == len(item.steps)
        for step in item.steps:
            assert step.evidence, f"{item.number} step {step.key}"
            assert step.claim
            assert step.because


@pytest.mark.parametrize("number", STATEMENTS)
def test_each_statement_has_a_proof_and_a_whole_check(number):
    kinds = {step.kind for step in statement(number).steps}
    assert Kind.IDENTITY in kinds or Kind.INEQUALITY in kinds
    assert kinds & {Kind.BALL, Kind.MEASURED}


def test_at_least_three_wrong_variants_each_and_all_refuted(quick_variants):
    for number in STATEMENTS:
        own = [v for v in quick_variants if v.statement == number]
        assert len(own) >= 3, number
        accepted = [f"{v.name}: {v.status} {v.evidence}" for v in own if not v.rejected]
        assert not accepted, f"{number}: {accepted}"


@pytest.mark.parametrize("seed", [1, 2])
def test_other_seeds_give_the_same_verdicts(seed):
    report = verify(["T5", "T6", "T7", "T8", "U1", "U4"], depth="quick", seed=seed, processes=1)
    assert report.open_steps == ()
    assert all(v.rejected for v in wrong_variants(["T5", "T6", "U1"], depth="quick", seed=seed))


def test_references_exist_and_are_listed(quick_report):
    for item in quick_report.statements:
        assert set(item.references) <= set(ENTRIES)
        assert set(item.references) <= set(CITED_BY[item.number]), item.number
    assert set(CITED_BY) == set(STATEMENTS)


def test_bibtex_has_no_repeats_and_one_entry_a_key():
    text = bibtex(STATEMENTS)
    keys = [line.split("{")[1].rstrip(",") for line in text.splitlines() if line.startswith("@")]
    assert len(keys) == len(set(keys))
    assert set(keys) <= set(ENTRIES)
    assert text.count("{") == text.count("}")


def test_assumptions_are_those_the_package_measures():
    for assumption in ALL:
        if assumption.measured_by:
            owner, attribute = assumption.measured_by.split(".")
            assert (
                attribute in dir(getattr(measured, owner)) or attribute in getattr(measured, owner).__dataclass_fields__
            ), assumption.measured_by
