"""The proof ledger: each statement of the theory, derived and checked by machine.

`verify` runs it; `python -m proofs_check.ledger_page` writes `LEDGER.md`, the same tree to read.
"""

from .references import bibtex
from .verify import require_provers, statement, verify, wrong_variants

__all__ = ["bibtex", "require_provers", "statement", "verify", "wrong_variants"]
