"""stdout and stderr as they are found: closed, full, or of an encoding without Greek letters; warnings as one line."""

from __future__ import annotations

import codecs
import os
import sys
import warnings
from typing import TextIO

__all__ = ["discard_output", "prepare_streams"]

_PLAIN = {
    "α": "alpha", "δ": "delta", "ε": "eps", "η": "eta", "θ": "theta", "λ": "lambda", "μ": "mu", "ν": "nu", "π": "pi",
    "ρ": "rho", "σ": "sigma", "Σ": "Sigma", "ℓ": "l", "‖": "||", "×": "x", "±": "+-", "≤": "<=", "≥": ">=", "≠": "!=",
    "≈": "~", "→": "->", "−": "-", "–": "-", "—": "-", "…": "...", "²": "^2", "⁺": "^+", "ᵀ": "^T", "∞": "inf",
    "·": "*", "⌈": "ceil(", "⌉": ")", "√": "sqrt", "₀": "_0", "₁": "_1", "₂": "_2", "’": "'", "“": '"', "”": '"',
}  # fmt: skip
"""What stands for a character where it cannot be written."""


def _spelt_out(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in missing), error.end


_DEFAULT = warnings.formatwarning


def _warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """What a user should know, in one line; others, which are about code, with their place in it."""
    if category is UserWarning:
        return f"warning: {' '.join(str(message).split())}\n"
    return _DEFAULT(message, category, filename, lineno, line)


def prepare_streams() -> None:
    """Have stdout and stderr take any text; what is closed takes it too, and keeps nothing of it."""
    codecs.register_error("pnc-spelt-out", _spelt_out)
    warnings.formatwarning = _warning
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="pnc-spelt-out")  # pyright: ignore[reportAttributeAccessIssue]


def discard_output() -> None:
    """Have what is still to be written to stdout go nowhere: it cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
