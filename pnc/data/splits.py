"""Training and test split of labelled data, from the words of a command line; what was loaded can be loaded again."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnc.data.files import load_problem
from pnc.data.image_sets import IMAGE_SETS, load_images
from pnc.data.images import ImageData
from pnc.data.preparation import Preparation
from pnc.data.problem import Problem
from pnc.data.text import TEXT_SUFFIXES, FittedTfIdf, TextData, TfIdf
from pnc.data.text_files import load_text
from pnc.errors import InvalidInputError

__all__ = ["Splits", "load_splits", "load_text_splits", "split_options"]

_PROBLEM_SUFFIXES = (".npz", ".safetensors")


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """Labelled data in two splits that were prepared alike.

    Args:
        train: training split; everything that is fitted (tf-idf, class numbers) is fitted on it.
        test: test split, or `None` where there is none.
        options: `load_splits(**options)` loads the same again, from any folder; plain JSON.
        preparation: the names of the classes and what was fitted to the texts, by which other data are matched.
    """

    train: ImageData | Problem
    test: ImageData | Problem | None
    options: Mapping[str, Any]
    preparation: Preparation

    def describe(self) -> dict[str, Any]:
        """Name, notes and origin of the training split, and the options that load both again."""
        train = self.train
        return {
            "name": train.name,
            "notes": list(train.notes),
            **train.provenance,
            "options": dict(self.options),
            "preparation": self.preparation.to_dict(),
        }


def load_splits(
    data: str | Path,
    *,
    test_data: str | Path | None = None,
    data_dir: str | Path | None = None,
    download: bool = False,
    samples_per_class: int | Sequence[int] | None = None,
    test_samples_per_class: int | Sequence[int] | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    vocabulary: int | None = None,
    size: Sequence[int] | None = None,
    like: Preparation | None = None,
) -> Splits:
    """Both splits of an image data set, a folder of images, problem files, or texts (as tf-idf features).

    Options that have no meaning for these data are refused.

    Args:
        data: one of `IMAGE_SETS`; a folder with one sub-folder of images a class, or with such folders under
            `train` and `test`; an `.npz` or `.safetensors` file with `X` and `y`; a `.csv`, `.tsv` or `.jsonl` file of
            texts and labels.
        test_data: the test split of a problem file or of texts.
        data_dir: folder of a named data set, see `load_images`.
        download: fetch a named data set that is not there.
        samples_per_class: the first n of every class of images or texts, or n_k, one size a class; `None`: all.
        test_samples_per_class: likewise, of the test split.
        text_column: of texts, see `load_text`; `None`: `text`.
        label_column: of texts; `None`: `label`.
        vocabulary: of texts, see `TfIdf`; words and their weights are those of the training split.
        size: (height, width) that the images of a folder are resized to.
        like: what a network was trained on, whose classes and words these data are given as; both splits then have to
            have every class of it.

    Raises:
        InvalidInputError: an unknown name, an option without meaning, files that are not there or cannot be read,
            labels of the test split that the training split lacks, more samples than a class has.

    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder) / "two.npz", X=np.eye(4), y=[0, 0, 1, 1])
    ...     splits = load_splits(Path(folder) / "two.npz")
    ...     load_splits(**splits.options).train.samples
    4
    """
    name, path = str(data), Path(data)
    fitted: FittedTfIdf | None = None
    texts = {"text_column": text_column, "label_column": label_column, "vocabulary": vocabulary}
    sizes = {"samples_per_class": samples_per_class, "test_samples_per_class": test_samples_per_class}
    named = {"data_dir": data_dir, "download": download or None}
    if path.suffix.lower() in TEXT_SUFFIXES:
        _refuse(name, "a named data set", **named)
        _refuse(name, "a folder of images", size=size)
        if like is not None:
            _refuse(name, "texts that are fitted: those of the run are taken", vocabulary=vocabulary)
        train, test, fitted = _tf_idf(path, test_data, sizes, texts, like)
    elif path.suffix.lower() in _PROBLEM_SUFFIXES:
        _refuse(name, "a named data set", **named)
        _refuse(name, "images and texts", **sizes)
        _refuse(name, "texts", **texts)
        _refuse(name, "a folder of images", size=size)
        train, test = _problems(path, test_data, like)
    else:
        _refuse(name, "texts", **texts)
        _refuse(name, "a problem file or texts", test_data=test_data)
        if name not in IMAGE_SETS:
            if not path.is_dir():
                raise _unknown(name)
            _refuse(name, "a named data set", **named)
        else:
            _refuse(name, "a folder of images", size=size)
        train, test = _images(name, {"data_dir": data_dir, "download": download, "size": size}, sizes, like)
    options = split_options(data, test_data=test_data, data_dir=data_dir, **sizes, **texts, size=size)
    return Splits(train=train, test=test, options=options, preparation=like or Preparation.of(train, fitted))


def split_options(
    data: str | Path, *, test_data: str | Path | None = None, data_dir: str | Path | None = None, **options: Any
) -> dict[str, Any]:
    """Arguments of `load_splits` that load the same data from any folder, as plain JSON; `download` is left out.

    >>> split_options("mnist", samples_per_class=(1, 2), download=True)
    {'data': 'mnist', 'samples_per_class': [1, 2]}
    """
    given = {
        "data": str(data) if str(data) in IMAGE_SETS else str(Path(data).absolute()),
        "test_data": None if test_data is None else str(Path(test_data).absolute()),
        "data_dir": None if data_dir is None else str(Path(data_dir).absolute()),
        **{key: list(n) if isinstance(n, tuple | list) else n for key, n in options.items() if key != "download"},
    }
    return {key: value for key, value in given.items() if value is not None}


def load_text_splits(
    data: str | Path,
    test_data: str | Path | None = None,
    *,
    samples_per_class: int | Sequence[int] | None = None,
    test_samples_per_class: int | Sequence[int] | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    like: Preparation | None = None,
) -> tuple[TextData, TextData | None]:
    """The texts of both splits, their classes numbered alike; arguments as those of `load_splits`.

    Raises:
        InvalidInputError: as `load_text`, more texts than a class has.
    """
    columns = {"text": text_column or "text", "label": label_column or "label"}
    train = load_text(data, **columns)
    train = train if like is None else like.matched(train, str(data))
    classes = Preparation.of(train)
    test = None
    if test_data is not None:
        with _of(test_data):
            test = load_text(test_data, **columns)
        test = classes.matched(test, str(test_data))
    if test is None:
        _refuse(f"{data} without `test_data`", "a test split", test_samples_per_class=test_samples_per_class)
    if samples_per_class is not None:
        train = train.subset(samples_per_class)
    if test is not None and test_samples_per_class is not None:
        test = test.subset(test_samples_per_class)
    return train, test


def _tf_idf(
    path: Path,
    test_data: str | Path | None,
    sizes: Mapping[str, Any],
    options: Mapping[str, Any],
    like: Preparation | None,
) -> tuple[Problem, Problem | None, FittedTfIdf]:
    columns = {key: options[key] for key in ("text_column", "label_column")}
    train, test = load_text_splits(path, test_data, **sizes, **columns, like=like)
    if like is not None and like.tf_idf is None:
        raise InvalidInputError(
            got=f"the texts of {path} for a network that was not trained on texts",
            expected="data of the kind that it was trained on",
            next_step="pass such data",
        )
    if like is None or like.tf_idf is None:
        fitted = TfIdf(**{} if options["vocabulary"] is None else {"vocabulary": options["vocabulary"]})
        fitted = fitted.fit(train.texts)
    else:
        fitted = like.tf_idf
    tested = None if test is None else test.to_problem(fitted, classes=train.classes)
    return train.to_problem(fitted), tested, fitted


def _problems(path: Path, test_data: str | Path | None, like: Preparation | None) -> tuple[Problem, Problem | None]:
    train = load_problem(path)
    train = train if like is None else like.matched(train, str(path))
    if test_data is None:
        return train, None
    with _of(test_data):
        test = load_problem(test_data)
    return train, Preparation.of(train).matched(test, str(test_data))


def _images(
    name: str, options: Mapping[str, Any], sizes: Mapping[str, Any], like: Preparation | None
) -> tuple[ImageData, ImageData | None]:
    splits: tuple[str | None, str | None] = ("train", "test")
    if name not in IMAGE_SETS:
        train_there, test_there = ((Path(name) / split).is_dir() for split in ("train", "test"))
        splits = "train" if train_there else None, "test" if test_there else None
    train = load_images(name, split=splits[0], samples_per_class=sizes["samples_per_class"], **options)
    train = train if like is None else like.matched(train, f"the training split of {name}")
    if splits[1] is None:
        _refuse(name, "a test split", test_samples_per_class=sizes["test_samples_per_class"])
        return train, None
    test = load_images(name, split="test", samples_per_class=sizes["test_samples_per_class"], **options)
    return train, Preparation.of(train).matched(test, f"the test split of {name}")


@contextlib.contextmanager
def _of(path: str | Path) -> Iterator[None]:
    """Names the file in an error that does not."""
    try:
        yield
    except InvalidInputError as error:
        if str(path) in error.got:
            raise
        raise InvalidInputError(
            got=f"{error.got}, in {path}", expected=error.expected, next_step=error.next_step
        ) from error


def _refuse(data: str, belongs: str, **options: Any) -> None:
    """Refuse options that have no meaning for these data: to ignore them would answer another question."""
    for option, value in options.items():
        if value is not None:
            raise InvalidInputError(
                got=f"`{option}` with `data={data}`",
                expected=f"`{option}` only with {belongs}",
                next_step=f"leave out `{option}`",
            )


def _unknown(name: str) -> InvalidInputError:
    near = difflib.get_close_matches(name.lower(), IMAGE_SETS, n=1)
    return InvalidInputError(
        got=f"data = {name!r}",
        expected=f"one of {', '.join(IMAGE_SETS)}, a folder of images, or a "
        f"{', '.join((*_PROBLEM_SUFFIXES, *TEXT_SUFFIXES))} file",
        next_step=f"did you mean {near[0]}?" if near else "check the name or the path",
    )
