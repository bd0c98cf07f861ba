"""`ImageData`: labelled images as bytes, whatever format they came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from pnc.data.labels import named_labels
from pnc.data.preprocess import Preprocessing
from pnc.data.problem import Problem
from pnc.data.subset import first_of_each_class
from pnc.errors import InvalidInputError

__all__ = ["ImageData"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageData:
    """Images and labels, kept as the bytes they are: a float copy of CIFAR-10 would take 1.2 GB.

    Args:
        images: (N, channels, height, width) pixels 0…255.
        y: (N,) labels 0…K-1.
        class_names: K names, in the order of the labels; `()`: the labels as numbers.
        name: what to call it in tables.
        provenance: where it was read from.
        notes: what a user should know of how it was read.

    Raises:
        InvalidInputError: images not (N, channels, height, width) bytes, labels that do not fit.

    >>> data = ImageData(images=np.zeros((4, 1, 2, 2), np.uint8), y=[0, 1, 0, 1])
    >>> data.shape, data.classes, data.counts.tolist()
    ((1, 2, 2), 2, [2, 2])
    """

    images: UInt8[np.ndarray, "N channels height width"]
    y: Int[np.ndarray, " N"]
    class_names: tuple[str, ...] = ()
    name: str = "images"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        images = np.asarray(self.images)
        if images.ndim != 4 or images.dtype != np.uint8 or 0 in images.shape:
            raise InvalidInputError(
                got=f"images of shape {images.shape} and dtype {images.dtype}",
                expected="unsigned bytes of shape (N, channels, height, width)",
                next_step="give grey images a channel axis of length 1",
            )
        y, names, notes = named_labels(self.y, self.class_names, samples=len(images))
        object.__setattr__(self, "class_names", names)
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "notes", (*self.notes, *notes))
        object.__setattr__(self, "provenance", dict(self.provenance))
        y.setflags(write=False)

    @property
    def samples(self) -> int:
        """N, the number of images."""
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image: the `input_shape` of a network for these data."""
        return self.images.shape[1:]

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return int(self.y.max()) + 1

    @property
    def counts(self) -> Int[np.ndarray, " K"]:
        """Class sizes n_1, …, n_K."""
        return np.bincount(self.y, minlength=self.classes)

    def subset(self, samples_per_class: int | Sequence[int]) -> ImageData:
        """The first n images of every class (or n_k, one size a class), in the order of the data set.

        Raises:
            InvalidInputError: fewer than one, or more than a class holds.

        >>> data = ImageData(images=np.zeros((5, 1, 2, 2), np.uint8), y=[0, 1, 1, 0, 1])
        >>> data.subset(2).y.tolist()
        [0, 1, 1, 0]
        """
        kept = first_of_each_class(self.y, samples_per_class)
        sizes = samples_per_class if isinstance(samples_per_class, int) else list(samples_per_class)
        return replace(
            self,
            images=self.images[kept],
            y=self.y[kept],
            provenance={**self.provenance, "samples_per_class": sizes},
        )

    def to_problem(self, preprocessing: Preprocessing, *, classes: int | None = None) -> Problem:
        """The images as rows of pixels, preprocessed: what the theory and `simulate` take.

        Args:
            preprocessing: fitted on these images.
            classes: K where it is stated; every class must then have a sample.

        Raises:
            InvalidInputError: more components than the images have, a stated class without an image.

        >>> images = np.arange(8, dtype=np.uint8).reshape(4, 1, 1, 2) ** 2
        >>> problem = ImageData(images=images, y=[0, 1, 0, 1]).to_problem(Preprocessing(scale="unit-norm"))
        >>> problem.X.shape, round(float(np.sum(problem.X**2)), 12)
        ((4, 2), 4.0)
        """
        pixels = self.images.reshape(self.samples, -1)
        fitted = preprocessing.fit(pixels)
        return Problem(
            X=fitted.apply(pixels),
            y=self.y,
            classes=classes,
            class_names=self.class_names,
            name=self.name,
            provenance={**self.provenance, "preprocessing": fitted.to_dict()},
            notes=(*self.notes, *fitted.notes),
        )
