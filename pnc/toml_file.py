"""Settings in a TOML file, read without harm: what is no TOML is refused in one line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pnc.errors import InvalidInputError

__all__ = ["read_toml"]

_LARGEST = 2**20  # bytes; settings are far smaller


def read_toml(path: str | Path, *, instead: str) -> dict[str, Any]:
    """The keys and values of a TOML file.

    Args:
        instead: what can be done without a file, for the error.

    Raises:
        InvalidInputError: no such file, not UTF-8, not TOML, larger than a MiB.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise InvalidInputError(
                got=f"{path} of {path.stat().st_size} bytes", expected="a TOML file of a MiB at most", next_step=instead
            )
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidInputError(
            got=f"{path}: {error.strerror or error}", expected="a TOML file", next_step=f"check the path, or {instead}"
        ) from None
    except (ValueError, RecursionError) as error:  # also of numbers with thousands of digits, and of deep nesting
        usual = {RecursionError: "nested too deep", UnicodeDecodeError: "not UTF-8 text"}
        said = usual.get(type(error), " ".join(str(error).split()))
        raise InvalidInputError(
            got=f"{path}, which is not TOML: {said}", expected="key = value lines", next_step="correct that line"
        ) from None
