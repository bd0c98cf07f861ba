"""Texts with labels, and their tf-idf features."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pnc.data.labels import named_labels
from pnc.data.problem import Problem
from pnc.data.subset import first_of_each_class
from pnc.errors import InvalidInputError

__all__ = ["TEXT_SUFFIXES", "FittedTfIdf", "TextData", "TfIdf"]

TEXT_SUFFIXES = (".csv", ".tsv", ".jsonl")
"""Endings of the files that `load_text` reads."""

_WORD = re.compile(r"\w\w+")  # two letters or digits at least, as scikit-learn takes them


@dataclass(frozen=True, kw_only=True, eq=False)
class TextData:
    """Texts and labels.

    Args:
        texts: N texts.
        y: (N,) labels 0…K-1.
        class_names: K names, in the order of the labels; `()`: the labels as numbers.
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
        y, names, notes = named_labels(self.y, self.class_names, samples=len(self.texts))
        object.__setattr__(self, "class_names", names)
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
            class_names=self.class_names,
            name=self.name,
            provenance={**self.provenance, "features": "tf-idf", "vocabulary": len(fitted.vocabulary)},
            notes=(*self.notes, *notes),
        )


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
