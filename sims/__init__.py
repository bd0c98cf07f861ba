"""Experiments: each file one figure or table, plus timing.py; they use the public API of `pnc` only."""
