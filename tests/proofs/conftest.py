"""One quick run of the ledger for all tests of this folder, which needs the proofs extra."""

import importlib.util

import pytest

MISSING = [name for name in ("flint", "z3") if importlib.util.find_spec(name) is None]

# the modules import the provers at their head: without them there is nothing to collect
collect_ignore_glob = ["test_*.py"] if MISSING else []


def pytest_terminal_summary(terminalreporter):
    if MISSING:
        terminalreporter.write_line(
            f"tests/proofs skipped: no {', '.join(MISSING)}; pip install python-flint z3-solver"
        )


@pytest.fixture(scope="session")
def quick_report():
    from proofs_check import verify

    return verify(depth="quick", seed=0, processes=1)


@pytest.fixture(scope="session")
def quick_variants():
    from proofs_check import wrong_variants

    return wrong_variants(depth="quick", seed=0)
