"""One quick run of the ledger for all tests of this folder."""

import pytest

pytest.importorskip("flint", reason="the proofs extra (python-flint) is not installed")
pytest.importorskip("z3", reason="the proofs extra (z3-solver) is not installed")


@pytest.fixture(scope="session")
def quick_report():
    from proofs_check import verify

    return verify(depth="quick", seed=0, processes=1)


@pytest.fixture(scope="session")
def quick_variants():
    from proofs_check import wrong_variants

    return wrong_variants(depth="quick", seed=0)
