"""What was fitted to a training split, and what other data have to be matched by: classes by name, words of texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Int

from pnc.data.images import ImageData
from pnc.data.problem import Problem
from pnc.data.text import FittedTfIdf, TextData
from pnc.errors import InvalidInputError

__all__ = ["Preparation"]

_Data = TypeVar("_Data", ImageData, Problem, TextData)


@dataclass(frozen=True, kw_only=True, eq=False)
class Preparation:
    """The classes of a training split by name, and the words of its texts.

    Args:
        class_names: K names, in the order of the labels 0…K-1; numbers as text where the data give no names.
        tf_idf: words and weights, where the samples are texts.

    >>> trained = Problem(X=np.eye(4), y=[3, 5, 3, 5])
    >>> other = Problem(X=np.eye(4), y=[5, 5, 3, 3])
    >>> Preparation.of(trained).matched(other, "other.npz").y.tolist()
    [1, 1, 0, 0]
    """

    class_names: tuple[str, ...]
    tf_idf: FittedTfIdf | None = None

    @classmethod
    def of(cls, train: ImageData | Problem | TextData, tf_idf: FittedTfIdf | None = None) -> Preparation:
        """Of a training split, and of what was fitted to its texts."""
        return cls(class_names=train.class_names, tf_idf=tf_idf)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, from which `from_dict` makes the same again."""
        words = None if self.tf_idf is None else list(self.tf_idf.vocabulary)
        weights = None if self.tf_idf is None else self.tf_idf.weights.tolist()
        return {"class_names": list(self.class_names), "vocabulary": words, "weights": weights}

    @classmethod
    def from_dict(cls, found: Any, *, source: str) -> Preparation:
        """What `to_dict` gave.

        Raises:
            InvalidInputError: something else.

        >>> Preparation.from_dict({"class_names": ["a", "b"]}, source="run.json").class_names
        ('a', 'b')
        """
        record: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        names: Any = record.get("class_names")
        words: Any = record.get("vocabulary")
        weights: Any = record.get("weights")
        wrong = not isinstance(names, list) or len(names) < 2 or not all(isinstance(name, str) for name in names)
        if not wrong and words is not None:
            wrong = not (isinstance(words, list) and isinstance(weights, list) and len(words) == len(weights) > 0)
            wrong = wrong or not all(isinstance(word, str) for word in words)
            wrong = wrong or not all(isinstance(w, float | int) and np.isfinite(w) for w in weights)
        if wrong:
            raise InvalidInputError(
                got=f"{source} without the names of the classes that the network was trained on",
                expected="a run of this version of pnc",
                next_step="train the network again",
            )
        tf_idf = None if words is None else FittedTfIdf(vocabulary=tuple(words), weights=np.array(weights, dtype=float))
        return cls(class_names=tuple(names), tf_idf=tf_idf)

    def matched(self, data: _Data, name: str) -> _Data:
        """The same data with the numbers that the training split gave to their classes.

        Data whose labels are numbers, without names, are taken by number where the training split has names: its own
        files are numbered so; a note says it.

        Args:
            data: labelled data with `class_names`.
            name: of the data, in messages.

        Raises:
            InvalidInputError: a class that the training split does not have, or one of its classes without a sample.
        """
        theirs, notes = data.class_names, ()
        if theirs == self.class_names:
            return data
        if _numbers(self.class_names) and _numbers(theirs) and len({int(each) for each in theirs}) == len(theirs):
            theirs = tuple(str(int(each)) for each in theirs)  # 04 is 4 where nothing else is
        if not _numbers(self.class_names) and _numbers(theirs) and max(map(int, theirs)) < len(self.class_names):
            theirs = tuple(self.class_names[int(number)] for number in theirs)
            shown = ", ".join(f"{data.class_names[i]} is {theirs[i]}" for i in range(min(3, len(theirs))))
            notes = (f"the classes of {name} are numbers, taken as those of the training split: {shown}",)
        places = {each: k for k, each in enumerate(self.class_names)}
        unknown = [each for each in theirs if each not in places]
        if unknown:
            raise InvalidInputError(
                got=f"the {_named(unknown)} in {name}, which the training split does not have",
                expected=f"its classes: {_listed(self.class_names)}",
                next_step="name the classes alike, or leave the others out",
            )
        missing = [each for each in self.class_names if each not in theirs]
        if missing:
            raise InvalidInputError(
                got=f"no sample of the {_named(missing)} in {name}",
                expected=f"at least 1 sample of every class of the training split: {_listed(self.class_names)}",
                next_step="add samples of it, or train without that class",
            )
        numbers: Int[np.ndarray, " K"] = np.array([places[each] for each in theirs])
        kept = tuple(note for note in data.notes if "were renumbered" not in note)
        return replace(data, y=numbers[data.y], class_names=self.class_names, notes=(*kept, *notes))


def _numbers(names: tuple[str, ...]) -> bool:
    return all(name.isascii() and name.isdigit() for name in names)


def _named(names: list[str]) -> str:
    return f"class{'es' if len(names) > 1 else ''} {_listed(tuple(names))}"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names[:6])) + (", …" if len(names) > 6 else "")
