"""From the words of a command line to a problem: a synthetic kind, a data set or a file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, overload

from pnc.data.files import load_problem
from pnc.data.idx_images import Split
from pnc.data.image_sets import IMAGE_SETS, load_images
from pnc.data.inputs import Inputs
from pnc.data.preprocess import Preprocessing, Scale, preprocess
from pnc.data.problem import Problem
from pnc.data.synthetic import GRAM_KINDS, draw, draw_gram
from pnc.data.text import TEXT_SUFFIXES
from pnc.data.text_files import load_text
from pnc.errors import InvalidInputError
from pnc.spec import DataKind, ProblemSpec

__all__ = ["DATA_NAMES", "resolve_data"]

DATA_NAMES = (*get_args(DataKind), *IMAGE_SETS)
"""The names that `resolve_data` knows; anything else is a path."""

_FILE_TYPES = (".npz", ".safetensors", *TEXT_SUFFIXES)


@overload
def resolve_data(data: str | Path | None = None, *, whole: Literal[True] = True, **options: Any) -> Problem: ...


@overload
def resolve_data(data: str | Path | None = None, *, whole: bool, **options: Any) -> Inputs: ...


def resolve_data(  # pyright: ignore[reportInconsistentOverload]
    data: str | Path | None = None,
    *,
    classes: int | None = None,
    samples_per_class: int | Sequence[int] | None = None,
    dimension: int | None = None,
    theta: float | None = None,
    seed: int | None = None,
    data_dir: str | Path | None = None,
    split: Split | None = None,
    components: int | None = None,
    whiten: bool = False,
    scale: Scale | None = None,
    download: bool = False,
    size: Sequence[int] | None = None,
    whole: bool = True,
) -> Inputs:
    """The problem that `data` names: a synthetic kind, an image data set, or a file.

    Every option that is not given (`None`) takes the default of what it belongs to. Images are always
    centred and scaled, `orthonormal` unless `scale` says otherwise; their labels stay as they are. Problem
    files, texts (as tf-idf features) and draws are used as they are unless `components`, `whiten` or `scale`
    is given. A file that bears the name of a kind or a data set is reached as `./NAME`.

    Args:
        data: one of `DATA_NAMES`; the path of an `.npz` or `.safetensors` file with `X` and `y`, of a
            `.csv`, `.tsv` or `.jsonl` file with `text` and `label`, or of a folder with one sub-folder of
            images a class. `None`: a draw of the default kind.
        classes: K of a draw, see `ProblemSpec`; of real data it is checked.
        samples_per_class: of a draw, see `ProblemSpec`; of images and texts the first n of every class are taken.
        dimension: of a draw, see `ProblemSpec`; refused with real data.
        theta: likewise.
        seed: of a draw; without effect on real data.
        data_dir: folder of images, see `load_images`.
        split: of images, likewise.
        size: (height, width) that the images of a folder are resized to.
        components: see `Preprocessing`.
        whiten: see `Preprocessing`.
        scale: see `Preprocessing`.
        download: fetch an image data set that is not found; without effect on anything else.
        whole: `False`: what the theory needs is enough. Draws of the orthonormal kinds then come as their Gram matrix
            (`draw_gram`) and large problem files as blocks of rows (`load_problem`), unless they are preprocessed.

    Raises:
        InvalidInputError: an unknown name, an option that has no meaning for these data, and whatever is
            wrong with the data themselves.

    >>> resolve_data("gaussian-clusters", classes=2, samples_per_class=50, dimension=5).X.shape
    (100, 5)
    >>> resolve_data("fashion-minst")
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got data = 'fashion-minst'; expected ...; did you mean fashion-mnist?
    """
    name = None if data is None else str(data)
    changed = components is not None or whiten or scale is not None
    if name is None or name in get_args(DataKind):
        _refuse(name, data_dir=data_dir, split=split, size=size)
        given: dict[str, Any] = {
            "classes": classes,
            "samples_per_class": samples_per_class,
            "dimension": dimension,
            "kind": name,
            "theta": theta,
            "seed": seed,
        }
        spec = ProblemSpec(**{key: value for key, value in given.items() if value is not None})
        if not whole and not changed and spec.kind in GRAM_KINDS:
            return draw_gram(spec)
        problem = draw(spec)
    else:
        _refuse(name, dimension=dimension, theta=theta)
        if name in IMAGE_SETS or (name and Path(name).is_dir()):
            if name not in IMAGE_SETS:
                _refuse(name, data_dir=data_dir)
            else:
                _refuse(name, size=size)
            spec = Preprocessing(components=components, whiten=whiten, scale=scale or "orthonormal")
            options: dict[str, Any] = {"samples_per_class": samples_per_class, "download": download, "size": size}
            images = load_images(name, data_dir, split=split, **options)
            return images.to_problem(spec, classes=classes)
        _refuse(name, data_dir=data_dir, split=split, size=size)
        path = _path(name)
        if path.suffix.lower() in TEXT_SUFFIXES:
            texts = load_text(path)
            if samples_per_class is not None:
                texts = texts.subset(samples_per_class)
            problem = texts.to_problem(classes=classes)
        else:
            _refuse(name, samples_per_class=samples_per_class)
            problem = load_problem(path, classes=classes, whole=whole or changed)
    if not changed or not isinstance(problem, Problem):
        return problem
    return preprocess(problem, components=components, whiten=whiten, scale=scale or "orthonormal")


_BELONGS = {
    "data_dir": "an image data set",
    "split": "images",
    "size": "a folder of images",
    "samples_per_class": "synthetic data, images and texts",
}


def _refuse(data: str | None, **options: Any) -> None:
    """Refuse options that have no meaning for these data: to ignore them would answer another question."""
    for option, value in options.items():
        if value is not None:
            belongs = _BELONGS.get(option, "synthetic data")
            raise InvalidInputError(
                got=f"`{option}` with {'no `data`' if data is None else f'`data={data}`'}",
                expected=f"`{option}` only with {belongs}",
                next_step=f"leave out `{option}`",
            )


def _path(name: str) -> Path:
    path = Path(name)
    if name and (path.exists() or path.suffix in _FILE_TYPES or path.name != name):
        return path
    near = difflib.get_close_matches(name.lower(), DATA_NAMES, n=1)
    raise InvalidInputError(
        got=f"data = {name!r}",
        expected=f"one of {', '.join(DATA_NAMES)}, or the path of a {', '.join(_FILE_TYPES)} file or of a "
        "folder of images",
        next_step=f"did you mean {near[0]}?" if near else "check the name; a file has to exist",
    )
