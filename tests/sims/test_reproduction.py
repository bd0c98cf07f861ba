"""docs/reproduction.md: written by the machine out of kept results, and of the code as it is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sims import reproduction_page
from sims.published_values import ROWS, SOURCES, Published
from sims.reproduction_page import kept, page, stale, verdict

PAGE = Path(__file__).parents[2] / "docs" / "reproduction.md"


def test_the_page_is_what_the_kept_results_say():
    start = time.perf_counter()
    assert PAGE.read_text(encoding="utf-8") == page(kept()), "run python -m sims.reproduction_page"
    assert time.perf_counter() - start < 10


def test_no_row_is_stale():
    assert stale(kept()) == []


def test_rows_of_other_code_are_stale(monkeypatch):
    monkeypatch.setattr(reproduction_page, "code_digest", lambda: "other")
    assert len(stale(kept())) == 1
    record = kept()
    record["result"].pop("unmoved")
    assert "no measurement of unmoved" in stale(record)


def test_every_row_has_its_source_and_its_command_or_its_reason():
    assert len(ROWS) >= 25
    assert sum(row.measured is not None for row in ROWS) >= 20
    for row in ROWS:
        assert row.source in SOURCES
        assert (row.measured is None) == isinstance(row.value, str)
        assert row.measured or row.why
    table = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    assert len(table) == len(ROWS)


@pytest.mark.parametrize(
    ("mean", "std", "outcome"),
    [(1.05, 0.0, "agrees"), (1.3, 0.2, "agrees"), (1.3, 0.0, "differs by 0.3, +30%"), (1.3, 0.05, "differs")],
)
def test_an_outcome_follows_from_precision_and_spread(mean, std, outcome):
    row = Published(what="x", value=1.0, source="P", precision=0.1, measured="x")
    assert verdict(row, {"mean": mean, "std": std, "seeds": 10}).startswith(outcome)
