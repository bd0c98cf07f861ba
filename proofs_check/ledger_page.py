"""Writes `LEDGER.md`: every statement with its assumptions, its steps, how each was discharged, and how tight it is.

    python -m proofs_check.ledger_page            write the page
    python -m proofs_check.ledger_page --check    exit status 1 if the page is not what the ledger says now

The page is the outcome of a quick run with seed 0: every identity and scalar inequality is proved in full, the ball
checks try fewer instances. It holds no times and no dates, so that the same ledger gives the same page.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from .verify import verify, wrong_variants

if TYPE_CHECKING:
    from .ledger import Report, StatementResult, VariantResult

__all__ = ["PAGE", "page", "render"]

PAGE = Path(__file__).with_name("LEDGER.md")

HEAD = """# The proof ledger

Written by `python -m proofs_check.ledger_page`; do not edit. `pnc verify` runs the same steps on more instances.

Statements are those of the theory note, as corrected by their proofs. Every step was discharged by running
something:

* **identity**: normal forms of words over noncommuting symbols, for every size, with the rules that the
  assumptions give; each rule and each identity also evaluated on exact rational matrices.
* **scalar inequality**: z3 for polynomial ones, ball arithmetic with subdivision for transcendental ones.
* **classical**: a theorem from the literature; its hypotheses checked exactly at the point of use, its
  conclusion there and under stress; with one hypothesis dropped it was seen to fail.
* **ball check**: rational instances, every root, logarithm and eigenvalue enclosed.
* **measured**: numbers from runs; not a proof, and said so.

*Slack* is the smallest (bound - value)/|bound| met; 0 is a bound that is attained. Below 1e-6 it is shown so.
"""


def _slack(value: float | None) -> str:
    if value is None:
        return ""
    return "below 1e-6" if value < 1e-6 else f"{value:.2g}"


def _prose(text: str) -> str:
    """Text without what depends on the versions of the provers, and safe from Markdown's emphasis."""
    text = re.sub(r", \d+ pieces", "", text)
    text = re.sub(r"z3: fails at [^;]*", "z3: a counter-example", text)
    text = re.sub(r"ball arithmetic: negative at \([^)]*\)", "ball arithmetic: a point where it is false", text)
    return re.sub(r"(?<!\w)_", r"\_", text)


def _literal(text: str) -> list[str]:
    """Text as an indented block, which Markdown leaves alone."""
    return textwrap.wrap(text, 110, initial_indent="    ", subsequent_indent="    ", break_long_words=False)


def _statement(item: StatementResult, status: str, variants: tuple[VariantResult, ...]) -> list[str]:
    lines = [f"## {item.number}. {item.title}", "", f"**{status}**", "", *_literal(item.text), ""]
    lines += ["Assumes:", "", *(f"* {_prose(text)}" for text in item.assumptions), ""]
    if item.rests_on:
        lines += [f"Rests on {', '.join(item.rests_on)}.", ""]
    if item.remarks:
        lines += ["Remarks:", "", *(f"* {_prose(text)}" for text in item.remarks), ""]
    if item.slack is not None:
        lines += [f"Tightest slack of the statement: {_slack(item.slack)}.", ""]
    for step in item.steps:
        slack = f", slack {_slack(step.slack)}" if step.slack is not None else ""
        cited = f" [{', '.join(step.references)}]" if step.references else ""
        lines += [
            f"**{step.key}.** `{step.claim.strip()}`",
            "",
            f"* {step.kind.value}, {step.status.value}{slack}",
            f"* because: {_prose(step.because)}{cited}",
            f"* evidence: {_prose(step.evidence)}",
            "",
        ]
    lines += ["Wrong on purpose, and refuted:", ""]
    for variant in variants:
        lines.append(f"* {variant.name}: `{variant.claim}`. {variant.status.value}: {_prose(variant.evidence)}")
    return [*lines, ""]


def render(report: Report, variants: tuple[VariantResult, ...]) -> str:
    """The page for a report and its wrong variants."""
    rejected = sum(variant.rejected for variant in variants)
    lines = [HEAD, "| statement | status | steps | wrong variants refuted | tightest slack |", "|---|---|---|---|---|"]
    for item in report.statements:
        own = [v for v in variants if v.statement == item.number]
        lines.append(
            f"| {item.number}, {item.title} | {report.effective_status(item.number).value} | {len(item.steps)} "
            f"| {sum(v.rejected for v in own)} of {len(own)} | {_slack(item.slack)} |"
        )
    lines += ["", f"{report.steps} steps, {rejected} of {len(variants)} wrong variants refuted.", ""]
    for item in report.statements:
        own = tuple(v for v in variants if v.statement == item.number)
        lines += _statement(item, report.effective_status(item.number).value, own)
    return "\n".join(lines).rstrip() + "\n"


def page(*, processes: int = 2) -> str:
    """The page as the ledger is now: a quick run, seed 0.

    Raises:
        InvalidInputError: the provers are not installed.
    """
    return render(verify(depth="quick", seed=0, processes=processes), wrong_variants(depth="quick", seed=0))


def main(arguments: list[str] | None = None) -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description="write or check proofs_check/LEDGER.md")
    parser.add_argument("--check", action="store_true", help="only compare; exit status 1 if it is stale")
    options = parser.parse_args(arguments)
    text = page()
    if options.check:
        fresh = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        print("LEDGER.md is up to date" if fresh else "LEDGER.md is stale: run python -m proofs_check.ledger_page")
        return 0 if fresh else 1
    PAGE.write_text(text, encoding="utf-8")
    print(f"wrote {PAGE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
