"""JSON objects that commands wrote: parsed, and their fields taken with the type that they must have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pnc.errors import InvalidInputError

__all__ = ["Fields", "parse_json", "read_text"]

T = TypeVar("T")

_WORDS: Mapping[type, str] = {
    str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object", list: "a list",
}  # fmt: skip

_WRITE_IT = "write one with `pnc train … --out RUN` or `pnc measure … --json > measured.json`"


def parse_json(text: str, *, name: str) -> dict[str, Any]:
    """One JSON object.

    Raises:
        InvalidInputError: something else.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInputError(
            got=f"{name}: text that is not JSON ({reason})", expected="one JSON object", next_step=_WRITE_IT
        ) from error
    if not isinstance(data, dict):
        raise InvalidInputError(
            got=f"{name}: a JSON {type(data).__name__}", expected="one JSON object", next_step=_WRITE_IT
        )
    return data


def read_text(file: Path) -> str:
    """The text of a file.

    Raises:
        InvalidInputError: no such file, not UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            got=f"{file}, which cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8 text'})",
            expected="a run folder of `pnc train --out`, or the JSON of a command",
            next_step=_WRITE_IT,
        ) from error


class Fields:
    """The fields of a JSON object, each taken with the type that it must have.

    Args:
        data: the object.
        name: of the file that it is in.
        path: of the object in the file, such as `network`.

    >>> Fields({"depth": "six"}, "run.json", "network").take("depth", int)
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got run.json, where network.depth is 'six'; expected a whole number; ...
    """

    def __init__(self, data: Mapping[str, Any], name: str, path: str = "") -> None:
        self.data, self.name, self.path = data, name, path

    def take(self, key: str, kind: type[T]) -> T:
        """A field that has to be there.

        Raises:
            InvalidInputError: it is not, or is of another type.
        """
        if key not in self.data:
            raise self._error(f"{self.name} without {self._full(key)}", kind)
        value = self.data[key]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return kind(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self._error(f"{self.name}, where {self._full(key)} is {repr(value)[:40]}", kind)
        return value

    def get(self, key: str, kind: type[T]) -> T | None:
        """A field that may be missing or null.

        Raises:
            InvalidInputError: it is of another type.
        """
        return None if self.data.get(key) is None else self.take(key, kind)

    def each(self, key: str, kind: type[T]) -> tuple[T, ...]:
        """A list, all of one type.

        Raises:
            InvalidInputError: it is not.
        """
        values = self.take(key, list)
        inside = Fields({str(i): value for i, value in enumerate(values)}, self.name, self._full(key))
        return tuple(inside.take(i, kind) for i in inside.data)

    def within(self, key: str) -> Fields:
        """The fields of an object inside."""
        return Fields(self.take(key, dict), self.name, self._full(key))

    def _full(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _error(self, got: str, kind: type) -> InvalidInputError:
        return InvalidInputError(
            got=got, expected=_WORDS.get(kind, kind.__name__), next_step="make the run again with this version"
        )
