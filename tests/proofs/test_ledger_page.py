"""LEDGER.md says what the ledger says now."""

from dataclasses import replace

from proofs_check.ledger import Status
from proofs_check.ledger_page import PAGE, _prose, render
from proofs_check.references import STATEMENTS


def test_the_page_is_fresh(quick_report, quick_variants):
    """Run `python -m proofs_check.ledger_page` if this fails."""
    assert PAGE.read_text(encoding="utf-8") == render(quick_report, quick_variants)


def test_the_page_would_show_an_open_step(quick_report, quick_variants):
    first = quick_report.statements[0]
    worse = replace(first, steps=(replace(first.steps[0], status=Status.OPEN), *first.steps[1:]))
    text = render(replace(quick_report, statements=(worse, *quick_report.statements[1:])), quick_variants)
    assert text != PAGE.read_text(encoding="utf-8")
    assert "| T1, Gram law | OPEN |" in text
    assert "| T2, compression is exactly geometric | OPEN |" in text  # it rests on T1


def test_the_page_has_every_statement_and_no_times(quick_report, quick_variants):
    text = render(quick_report, quick_variants)
    assert all(f"## {number}. " in text for number in STATEMENTS)
    slower = replace(
        quick_report,
        statements=tuple(
            replace(item, steps=tuple(replace(step, seconds=99.0) for step in item.steps))
            for item in quick_report.statements
        ),
    )
    assert render(slower, quick_variants) == text


def test_what_depends_on_the_provers_versions_is_left_out():
    assert _prose("z3: fails at x = 1/2, y = 0; exact") == "z3: a counter-example; exact"
    assert _prose("ball arithmetic on the closed box, 17 pieces") == "ball arithmetic on the closed box"
    assert _prose("ball arithmetic: negative at (0.1, 2)") == "ball arithmetic: a point where it is false"
    assert _prose("‖A‖_F of W_l") == r"‖A‖\_F of W_l"
