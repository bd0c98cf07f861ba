"""Texts with labels read from CSV, TSV and JSON lines."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from pnc.data.text import TEXT_SUFFIXES, TextData
from pnc.errors import InvalidInputError
from pnc.memory import require_memory

__all__ = ["decoded", "load_text"]

_LONGEST_FIELD = 1 << 24
# 7, -1 and 12 are numbers; 007, 1_0, ١ and 1e3 are names: two of them may look like one number and be two classes
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")


def decoded(content: bytes) -> str:
    """Text in UTF-8, with or without a byte order mark, or in UTF-16 with one.

    Raises:
        UnicodeDecodeError: neither of these.

    >>> decoded("ä".encode("utf-16")), decoded("ä".encode("utf-8-sig"))
    ('ä', 'ä')
    """
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return content.decode("utf-16" if content.startswith(marks) else "utf-8-sig")


def load_text(path: str | Path, *, text: str = "text", label: str = "label") -> TextData:
    """Texts and labels of a file with one text a row.

    `.csv` and `.tsv` files have a heading that names their columns; a `.jsonl` file has one JSON object a line. UTF-8
    or UTF-16. Labels are taken as they are written, spaces around them apart: where all of them are plain whole numbers
    (`0`, `12`; not `007` or `1_0`) their order is that of the numbers, otherwise they are names in alphabetical order.
    In a `.tsv` file quotation marks are plain characters where reading them as quotes would join lines.

    Args:
        path: the file.
        text: name of the column or key of the text.
        label: name of the column or key of the label.

    Raises:
        InvalidInputError: no such file, another kind of file, a column or key that is missing or there twice, a label
            that is empty, a row that cannot be read, fewer than two classes.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "films.csv"
    ...     _ = file.write_text("text,label\\ngood film,pro\\nbad film,contra\\n")
    ...     load_text(file).class_names
    ('contra', 'pro')
    """
    path = Path(path)
    if path.suffix.lower() not in TEXT_SUFFIXES:
        raise InvalidInputError(
            got=f"{path}",
            expected=f"a {', '.join(TEXT_SUFFIXES)} file",
            next_step="convert it, or name it by its format",
        )
    rows = {".jsonl": _jsonl, ".tsv": _tab_separated, ".csv": _comma_separated}[path.suffix.lower()]
    texts, labels, notes = [], [], []
    try:
        # text in memory takes up to four bytes a character, twice: once whole, once in rows
        require_memory(8 * path.stat().st_size, what=f"{path} in memory", next_step="split the file")
        content = decoded(path.read_bytes())
        for where, row in rows(content, path, notes):
            texts.append(str(_field(row, text, where, path)))
            labels.append(_label(row, label, where, path))
    except OSError as error:
        raise InvalidInputError(
            got=f"{path}, which cannot be read ({error.strerror})",
            expected="a file of texts and labels",
            next_step="check the path",
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(
            got=f"{path}, which cannot be read ({error})",
            expected="a file in UTF-8 or UTF-16 with one text a row",
            next_step="save it as UTF-8, with quotes around texts that hold separators",
        ) from error
    y, names = _numbered(labels)
    return TextData(
        texts=tuple(texts),
        y=y,
        class_names=names,
        name=path.stem,
        provenance={"source": "texts", "file": str(path)},
        notes=(*notes, *_alike(labels)),
    )


_Rows = Iterator[tuple[str, Mapping[str, Any]]]


def _table(content: str, path: Path, delimiter: str, quoting: int) -> list[tuple[str, dict[str, str]]]:
    before = csv.field_size_limit(_LONGEST_FIELD)  # whole articles: the default of 128 KiB is not enough
    found = []
    try:
        reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True, quoting=quoting)  # pyright: ignore[reportArgumentType]
        names = list(reader.fieldnames or ())
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise InvalidInputError(
                got=f"the heading {twice[0]!r} more than once in {path}",
                expected="a name of its own for every column",
                next_step="rename or remove one of the columns",
            )
        for row in reader:
            if None in row:
                raise InvalidInputError(
                    got=f"line {reader.line_num} of {path} with more fields than the heading",
                    expected=f"{len(names)} fields",
                    next_step="put quotes around texts that hold separators",
                )
            found.append((f"line {reader.line_num}", row))
    finally:
        csv.field_size_limit(before)
    return found


def _comma_separated(content: str, path: Path, notes: list[str]) -> _Rows:
    yield from _table(content, path, ",", csv.QUOTE_MINIMAL)


def _tab_separated(content: str, path: Path, notes: list[str]) -> _Rows:
    """Rows; quotes count as such unless they would join lines that are whole without them."""
    try:
        quoted = _table(content, path, "\t", csv.QUOTE_MINIMAL)
    except (csv.Error, InvalidInputError) as error:
        quoted = error
    if '"' in content:
        lines = [line for line in content.splitlines() if line]
        whole = len({line.count("\t") for line in lines}) == 1
        if whole and (isinstance(quoted, Exception) or len(quoted) < len(lines) - 1):
            notes.append("quotation marks were read as plain characters: as quotes they would join lines")
            yield from _table(content, path, "\t", csv.QUOTE_NONE)
            return
    if isinstance(quoted, Exception):
        raise quoted
    yield from quoted


def _jsonl(content: str, path: Path, notes: list[str]) -> _Rows:
    # not str.splitlines, which also splits at characters that JSON allows within a text
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(
                got=f"line {number} of {path}, which is not JSON ({error})",
                expected="one JSON object a line",
                next_step="correct or remove the line",
            ) from error
        yield f"line {number}", row if isinstance(row, dict) else {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice!r} is there more than once")
    return found


def _field(row: Mapping[str, Any], name: str, where: str, path: Path) -> str | int:
    value = row.get(name)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)  # JSON knows no whole numbers: 1.0 is 1
    if value is None or not isinstance(value, str | int):
        columns = ", ".join(str(key) for key in list(row)[:8]) or "nothing"
        raise InvalidInputError(
            got=f"no text or whole number as {name!r} at {where} of {path} (it has {columns})",
            expected=f"a field named {name}",
            next_step="state the names of the text and the label field",
        )
    return value


def _label(row: Mapping[str, Any], name: str, where: str, path: Path) -> str:
    label = str(_field(row, name, where, path)).strip()
    if not label:
        raise InvalidInputError(
            got=f"an empty label at {where} of {path}",
            expected="the name or the number of a class",
            next_step="fill it in, or remove the row",
        )
    return label


def _numbered(labels: list[str]) -> tuple[Int[np.ndarray, " N"], tuple[str, ...]]:
    names = sorted(set(labels))
    if all(_NUMBER.fullmatch(name) for name in names):
        names.sort(key=int)
        return np.array([int(label) for label in labels], dtype=np.int64), tuple(names)
    place = {name: k for k, name in enumerate(names)}
    return np.array([place[label] for label in labels], dtype=np.int64), tuple(names)


def _alike(labels: list[str]) -> tuple[str, ...]:
    """Labels that are kept apart and that a reader might take for one."""
    groups: dict[object, list[str]] = {}
    for name in sorted(set(labels)):
        try:
            groups.setdefault(int(name), []).append(name)
        except ValueError:
            groups.setdefault(name.casefold(), []).append(name)
    return tuple(
        f"the labels {' and '.join(map(repr, group))} are different classes"
        for group in groups.values()
        if len(group) > 1
    )
