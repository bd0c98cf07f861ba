"""Texts with labels from CSV, TSV and JSON lines, and their tf-idf features."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pnc.data.labels import check_labels
from pnc.data.problem import Problem
from pnc.data.subset import first_of_each_class
from pnc.errors import InvalidInputError

__all__ = ["TEXT_SUFFIXES", "FittedTfIdf", "TextData", "TfIdf", "load_text"]

TEXT_SUFFIXES = (".csv", ".tsv", ".jsonl")
"""Endings of the files that `load_text` reads."""

_WORD = re.compile(r"\w\w+")  # two letters or digits at least, as scikit-learn takes them
_LONGEST_FIELD = 1 << 24


@dataclass(frozen=True, kw_only=True, eq=False)
class TextData:
    """Texts and labels.

    Args:
        texts: N texts.
        y: (N,) labels 0…K-1.
        class_names: K names, in alphabetical order where the file held names; none where it held 0…K-1.
        name: what to call it in tables.
        provenance: where it was read from.
        notes: what a user should know of how it was read.

    Raises:
        InvalidInputError: labels that do not fit.

    >>> TextData(texts=("good film", "bad film"), y=[1, 0]).classes
    2
    """

    texts: tuple[str, ...]
    y: Int[np.ndarray, " N"]
    class_names: tuple[str, ...] = ()
    name: str = "texts"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        y, notes = check_labels(self.y, samples=len(self.texts))
        object.__setattr__(self, "texts", tuple(self.texts))
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "notes", (*self.notes, *notes))
        object.__setattr__(self, "provenance", dict(self.provenance))
        y.setflags(write=False)

    @property
    def samples(self) -> int:
        """N, the number of texts."""
        return len(self.texts)

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return int(self.y.max()) + 1

    def subset(self, samples_per_class: int | Sequence[int]) -> TextData:
        """The first n texts of every class (or n_k, one size a class), in the order of the file.

        Raises:
            InvalidInputError: fewer than one, or more than a class holds.
        """
        kept = first_of_each_class(self.y, samples_per_class).tolist()
        sizes = samples_per_class if isinstance(samples_per_class, int) else list(samples_per_class)
        return replace(
            self,
            texts=tuple(self.texts[i] for i in kept),
            y=self.y[kept],
            provenance={**self.provenance, "samples_per_class": sizes},
        )

    def to_problem(self, tf_idf: TfIdf | FittedTfIdf | None = None, *, classes: int | None = None) -> Problem:
        """The tf-idf features of the texts, fitted on them where they were not fitted before.

        Args:
            tf_idf: how, or what was fitted on other texts; `None`: as it comes.
            classes: K where it is stated; every class must then have a text.

        Raises:
            InvalidInputError: texts without words, a stated class without a text.

        >>> TextData(texts=("good film", "bad film"), y=[1, 0]).to_problem().X.round(3).tolist()
        [[0.58, 0.0, 0.815], [0.58, 0.815, 0.0]]
        """
        fitted = tf_idf if isinstance(tf_idf, FittedTfIdf) else (tf_idf or TfIdf()).fit(self.texts)
        X = fitted.apply(self.texts)
        empty = int(np.count_nonzero(~X.any(axis=1)))
        notes = (f"{empty} texts have no word of the vocabulary: their features are 0",) if empty else ()
        return Problem(
            X=X,
            y=self.y,
            classes=classes,
            name=self.name,
            provenance={**self.provenance, "features": "tf-idf", "vocabulary": len(fitted.vocabulary)},
            notes=(*self.notes, *notes),
        )


def load_text(path: str | Path, *, text: str = "text", label: str = "label", like: TextData | None = None) -> TextData:
    """Texts and labels of a file with one text a row.

    `.csv` and `.tsv` files have a heading that names their columns; a `.jsonl` file has one JSON object a
    line. Labels that are all whole numbers are kept as they are, any others are names and are numbered in
    alphabetical order. UTF-8.

    Args:
        path: the file.
        text: name of the column or key of the text.
        label: name of the column or key of the label.
        like: the training split, whose numbers of the classes are taken; every one of them must have a text.

    Raises:
        InvalidInputError: no such file, another kind of file, a column or key that is missing, a row that
            cannot be read, fewer than two classes, other labels than those of the training split.

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
    rows = _jsonl if path.suffix.lower() == ".jsonl" else _table
    texts, labels, places = [], [], []
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            for where, row in rows(file, path):
                texts.append(_field(row, text, where, path))
                labels.append(_field(row, label, where, path))
                places.append(where)
    except OSError as error:
        raise InvalidInputError(
            got=f"{path}, which cannot be read ({error.strerror})",
            expected="a file of texts and labels",
            next_step="check the path",
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(
            got=f"{path}, which cannot be read ({error})",
            expected="a UTF-8 file with one text a row",
            next_step="save it as UTF-8, with quotes around texts that hold separators",
        ) from error
    y, names = _numbered(labels) if like is None else (_as_in(like, labels, places, path), like.class_names)
    return TextData(
        texts=tuple(map(str, texts)),
        y=y,
        class_names=names,
        name=path.stem,
        provenance={"source": "texts", "file": str(path)},
    )


def _table(file: Iterator[str], path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    before = csv.field_size_limit(_LONGEST_FIELD)  # whole articles: the default of 128 KiB is not enough
    try:
        reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
        for row in reader:
            if None in row:
                raise InvalidInputError(
                    got=f"line {reader.line_num} of {path} with more fields than the heading",
                    expected=f"{len(reader.fieldnames)} fields",
                    next_step="put quotes around texts that hold separators",
                )
            yield f"line {reader.line_num}", row
    finally:
        csv.field_size_limit(before)


def _jsonl(file: Iterator[str], path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(
                got=f"line {number} of {path}, which is not JSON ({error})",
                expected="one JSON object a line",
                next_step="correct or remove the line",
            ) from error
        yield f"line {number}", row if isinstance(row, dict) else {}


def _field(row: Mapping[str, Any], name: str, where: str, path: Path) -> Any:
    value = row.get(name)
    if value is None or not isinstance(value, str | int):
        columns = ", ".join(str(key) for key in list(row)[:8]) or "nothing"
        raise InvalidInputError(
            got=f"no text or number as {name!r} at {where} of {path} (it has {columns})",
            expected=f"a field named {name}",
            next_step="state the names of the text and the label field",
        )
    return value


def _numbered(labels: list[Any]) -> tuple[Int[np.ndarray, " N"], tuple[str, ...]]:
    try:
        y = np.array([int(label) for label in labels], dtype=np.int64)
    except (ValueError, OverflowError):
        names, y = np.unique([str(label) for label in labels], return_inverse=True)
        return y, tuple(names.tolist())
    present = np.unique(y).tolist()
    return y, () if present == list(range(len(present))) else tuple(map(str, present))


def _spelt_as(names: tuple[str, ...], labels: list[Any]) -> list[str]:
    """The labels as names: 01 is 1 where all names are numbers, and a name of its own where they are not."""
    try:
        if all(str(int(name)) == name for name in names):
            return [str(int(label)) for label in labels]
    except ValueError:
        pass
    return [str(label) for label in labels]


def _as_in(like: TextData, labels: list[Any], places: list[str], path: Path) -> Int[np.ndarray, " N"]:
    """The numbers that the training split gave these labels."""
    names = like.class_names or tuple(map(str, range(like.classes)))
    numbers = {name: k for k, name in enumerate(names)}
    spelt = _spelt_as(names, labels)
    for label, word, place in zip(labels, spelt, places):
        if word not in numbers:
            raise InvalidInputError(
                got=f"label {label!r} at {place} of {path}",
                expected=f"the labels of the training split: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}",
                next_step="correct the label, or add texts of that class to the training split",
            )
    y = np.array([numbers[word] for word in spelt], dtype=np.int64)
    missing = np.setdiff1d(np.arange(len(names)), y)
    if missing.size:
        raise InvalidInputError(
            got=f"no text with label {names[missing[0]]!r} in {path} ({missing.size} of {len(names)} classes missing)",
            expected="at least 1 text of every class of the training split",
            next_step="add texts of that class, or leave it out of the training split",
        )
    return y


@dataclass(frozen=True, kw_only=True)
class TfIdf:
    """How texts become numbers: words of small letters, of two letters or digits at least.

    With f_ij the count of word j in text i, N texts and n_j of them with word j, the features are
    `x_ij = f_ij (log((1 + N)/(1 + n_j)) + 1)`, each row divided by its Euclidean norm: scikit-learn's
    convention. Dimensionless.

    Args:
        vocabulary: so many words are kept, those in the most texts (ties: alphabetically).
        rarest: words in fewer texts than this are left out.

    Raises:
        InvalidInputError: a number below 1.

    >>> TfIdf(vocabulary=2).fit(["one two", "one two three"]).vocabulary
    ('one', 'two')
    """

    vocabulary: int = 2000
    rarest: int = 1

    def __post_init__(self) -> None:
        for name in ("vocabulary", "rarest"):
            if getattr(self, name) < 1:
                raise InvalidInputError(
                    got=f"{name} = {getattr(self, name)}",
                    expected="1 or more",
                    next_step=f"raise {name}",
                )

    def fit(self, texts: Sequence[str]) -> FittedTfIdf:
        """Choose the words and their weights on these texts.

        Raises:
            InvalidInputError: no word is left.
        """
        documents = Counter(word for text in texts for word in set(_words(text)))
        frequent = [(-n, word) for word, n in documents.items() if n >= self.rarest]
        kept = tuple(word for _, word in sorted(frequent)[: self.vocabulary])
        if not kept:
            raise InvalidInputError(
                got=f"{len(texts)} texts without a word in {self.rarest} or more of them",
                expected="texts with words of two letters or more",
                next_step="check the text column, or lower rarest",
            )
        weights = np.log((1 + len(texts)) / (1 + np.array([documents[word] for word in kept]))) + 1
        return FittedTfIdf(vocabulary=kept, weights=weights)


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedTfIdf:
    """Words and their weights, ready for the fitted texts and any others.

    Args:
        vocabulary: d words, those in the most texts first.
        weights: (d,) inverse document frequencies.
    """

    vocabulary: tuple[str, ...]
    weights: Float[np.ndarray, " d"]

    def apply(self, texts: Sequence[str]) -> Float[np.ndarray, "N d"]:
        """Features (N, d) of norm 1; 0 for a text without a word of the vocabulary."""
        columns = {word: j for j, word in enumerate(self.vocabulary)}
        X = np.zeros((len(texts), len(columns)))
        for row, text in zip(X, texts):
            for word, count in Counter(_words(text)).items():
                if (j := columns.get(word)) is not None:
                    row[j] = count
        X *= self.weights
        norms = np.linalg.norm(X, axis=1, keepdims=True)
        return np.divide(X, norms, out=X, where=norms > 0)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
