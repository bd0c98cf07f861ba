"""The front of the ledger: what it runs, what it refuses, and that two processes change nothing."""

import importlib.util
import subprocess
import sys

import pytest

from pnc.errors import InvalidInputError
from proofs_check import bibtex, verify
from proofs_check.verify import require_provers


@pytest.mark.parametrize("only", ["T10", "", "T5,X1", ["Y9"]])
def test_unknown_statements_are_refused(only):
    with pytest.raises(InvalidInputError, match="expected one of T1"):
        verify(only)


def test_an_unknown_depth_is_refused():
    with pytest.raises(InvalidInputError, match="depth"):
        verify("T5", depth="bottomless")


@pytest.mark.parametrize("missing", ["flint", "z3"])
def test_missing_provers_are_named_with_what_to_install(missing, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    with pytest.raises(InvalidInputError, match="pip install python-flint z3-solver") as caught:
        require_provers()
    assert missing in str(caught.value)


def test_citations_need_no_prover(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "wang2025layerwise" in bibtex(["T5"])
    with pytest.raises(InvalidInputError, match="T10"):
        bibtex(["T10"])


def test_the_front_loads_no_prover():
    code = "import sys, proofs_check; sys.exit(bool({'flint', 'z3', 'sympy', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_statements_keep_their_order_and_progress_is_told():
    lines = []
    report = verify("Y3,u2", depth="quick", processes=1, progress=lines.append)
    assert [item.number for item in report.statements] == ["U2", "Y3"]
    assert [line.split()[0] for line in lines] == ["U2", "Y3"]


def test_two_processes_find_the_same():
    def outcome(report):
        return [(s.key, s.status, s.evidence, s.slack) for item in report.statements for s in item.steps]

    alone = verify(["U2", "Y2"], depth="quick", processes=1)
    assert outcome(verify(["U2", "Y2"], depth="quick", processes=2)) == outcome(alone)


def test_a_statement_proved_within_another_is_found_there():
    assert [item.number for item in verify("rl5,U7", depth="quick", processes=1).statements] == ["U5", "U6"]
