"""From the words of a command line to a problem: a synthetic kind, a data set or a file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from pnc.data.fashion_mnist import Split, find_fashion_mnist, load_fashion_mnist
from pnc.data.files import load_problem
from pnc.data.preprocess import Preprocessing, Scale, preprocess
from pnc.data.problem import Problem
from pnc.data.synthetic import draw
from pnc.errors import InvalidInputError
from pnc.spec import DataKind, ProblemSpec

__all__ = ["DATA_NAMES", "resolve_data"]

DATA_NAMES = (*get_args(DataKind), "fashion-mnist")
"""The names that `--data` knows; anything else is a path."""

_FILE_TYPES = (".npz", ".safetensors")


def resolve_data(
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
) -> Problem:
    """The problem that `data` names: a synthetic kind, `fashion-mnist`, or a problem file.

    Every option that is not given (`None`) takes the default of what it belongs to. Fashion-MNIST is always
    centred and scaled, `orthonormal` unless `scale` says otherwise; its labels stay as they are. Problem
    files and draws are used as they are unless `components`, `whiten` or `scale` is given. A file that bears
    the name of a kind is reached as `./NAME`.

    Args:
        data: one of `DATA_NAMES`, or the path of an `.npz` or `.safetensors` file with `X` and `y`. `None`: a
            draw of the default kind.
        classes, samples_per_class, dimension, theta: of a draw, see `ProblemSpec`; for real data `classes`
            states K, which is checked, and the others are refused.
        seed: of a draw; without effect on real data.
        data_dir, split: of Fashion-MNIST, see `load_fashion_mnist`.
        components, whiten, scale: see `Preprocessing`.

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
    if name != "fashion-mnist":
        _refuse(name, data_dir=data_dir, split=split)
    if name is None or name in get_args(DataKind):
        given = {
            "classes": classes,
            "samples_per_class": samples_per_class,
            "dimension": dimension,
            "kind": name,
            "theta": theta,
            "seed": seed,
        }
        problem = draw(ProblemSpec(**{key: value for key, value in given.items() if value is not None}))
    else:
        _refuse(name, samples_per_class=samples_per_class, dimension=dimension, theta=theta)
        if name == "fashion-mnist":
            spec = Preprocessing(components=components, whiten=whiten, scale=scale or "orthonormal")
            return _fashion_mnist(data_dir, split or "train", spec, classes)
        problem = load_problem(_path(name), classes=classes)
    if components is None and not whiten and scale is None:
        return problem
    return preprocess(problem, components=components, whiten=whiten, scale=scale or "orthonormal")


def _refuse(data: str | None, **options: Any) -> None:
    """Refuse options that have no meaning for these data: to ignore them would answer another question."""
    for option, value in options.items():
        if value is not None:
            flag = "--" + option.replace("_", "-")
            belongs = "fashion-mnist" if option in ("data_dir", "split") else "synthetic data"
            raise InvalidInputError(
                got=f"{flag} with {'no --data' if data is None else f'--data {data}'}",
                expected=f"{flag} only with {belongs}",
                next_step=f"leave out {flag}",
            )


def _fashion_mnist(
    data_dir: str | Path | None, split: Split, spec: Preprocessing, classes: int | None
) -> Problem:
    images, labels = load_fashion_mnist(data_dir, split=split)
    pixels = images.reshape(len(images), -1)
    fitted = spec.fit(pixels)
    return Problem(
        X=fitted.apply(pixels),
        y=labels.astype(np.int64),
        classes=classes,
        name="fashion-mnist",
        provenance={
            "source": "fashion-mnist",
            "split": split,
            "folder": str(find_fashion_mnist(data_dir, split=split)[0].parent),
            "preprocessing": fitted.to_dict(),
        },
        notes=fitted.notes,
    )


def _path(name: str) -> Path:
    path = Path(name)
    if name and (path.exists() or path.suffix in _FILE_TYPES or path.name != name):
        return path
    near = difflib.get_close_matches(name.lower(), DATA_NAMES, n=1)
    raise InvalidInputError(
        got=f"data = {name!r}",
        expected=f"one of {', '.join(DATA_NAMES)}, or the path of a {' or '.join(_FILE_TYPES)} file",
        next_step=f"did you mean {near[0]}?" if near else "check the name; a file has to exist",
    )
