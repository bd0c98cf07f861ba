"""The proof ledger: each statement of the theory, derived and checked by machine."""
