"""`Samples`: a labelled data set as tensors. Images stay unsigned bytes until a batch of them is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped

from pnc.data import check_labels
from pnc.errors import InvalidInputError

__all__ = ["Batches", "Samples", "as_samples"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """A labelled data set whose tensors all lie on one device.

    Args:
        x: (N, …) inputs. Unsigned bytes are pixels: each batch is divided by 255 and standardised when it is made.
        y: (N,) labels 0…K-1.
        classes: K, the number of classes.
        mean: (C,) mean of the pixels divided by 255, one number a channel, computed on the training split; `None` if x
            is used unchanged.
        scale: (C,) standard deviation of the same numbers; `None` if x is used unchanged.
    """

    x: Shaped[torch.Tensor, "N ..."]
    y: Int[torch.Tensor, " N"]
    classes: int
    mean: Float[torch.Tensor, " C"] | None = None
    scale: Float[torch.Tensor, " C"] | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return tuple(self.x.shape[1:])

    def to(self, device: torch.device) -> Samples:
        """A copy of the data set on another device."""
        moved = {name: getattr(self, name) for name in ("x", "y", "mean", "scale")}
        return replace(self, **{name: None if t is None else t.to(device) for name, t in moved.items()})

    def prepare(
        self, x: Shaped[torch.Tensor, "n ..."], *, dtype: torch.dtype, channels_last: bool = False
    ) -> Float[torch.Tensor, "n ..."]:
        """Convert inputs to what the network is given: numbers of `dtype`, standardised if they are pixels."""
        x = x.to(dtype, copy=x._is_view())  # a network that works in place must not write to the samples
        if self.mean is not None:
            assert self.scale is not None  # mean and scale come together
            each = (1, -1, *(1,) * (x.ndim - 2))
            x = (x / 255 - self.mean.to(dtype).reshape(each)) / self.scale.to(dtype).reshape(each)
        if channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        return x

    def batches(
        self,
        size: int,
        *,
        dtype: torch.dtype = torch.float32,
        channels_last: bool = False,
        rows: slice = slice(None),
    ) -> Batches:
        """Batches (x, y) of all samples, or of some rows, in order; they can be iterated over any number of times."""
        some = replace(self, x=self.x[rows], y=self.y[rows])
        return Batches(samples=some, size=size, dtype=dtype, channels_last=channels_last)

    def digest(self) -> str:
        """A hash of the inputs, the labels and the standardisation: equal data sets have equal digests."""
        found = hashlib.blake2b(digest_size=16)
        for tensor in (self.x, self.y, self.mean, self.scale):
            if tensor is not None:
                found.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
                found.update(tensor.cpu().contiguous().numpy().data)
        return found.hexdigest()


@dataclass(frozen=True, kw_only=True, eq=False)
class Batches:
    """The batches (x, y) of a data set, in order; they can be iterated over any number of times."""

    samples: Samples
    size: int
    dtype: torch.dtype
    channels_last: bool

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for start in range(0, len(self.samples), self.size):
            rows = slice(start, start + self.size)
            x = self.samples.prepare(self.samples.x[rows], dtype=self.dtype, channels_last=self.channels_last)
            yield x, self.samples.y[rows]

    def __len__(self) -> int:
        return -(-len(self.samples) // self.size)


def as_samples(
    data: Any, *, classes: int | None = None, like: Samples | None = None, name: str = "the training split"
) -> Samples:
    """Make `Samples` out of a pair (x, y), `ImageData` or a `Problem`; `Samples` are returned unchanged.

    Args:
        data: `(x, y)` arrays or tensors, something with `images` or `X`, and `y`, or samples. Grey images of
            unsigned bytes (N, H, W) are given their channel.
        classes: K, if it is known; otherwise it is the largest label + 1.
        like: the training split; its K, mean and scale are then used.
        name: what to call the data in error messages.

    Raises:
        InvalidInputError: no samples, samples of another shape than the training split, labels that are out of
            range or not whole numbers, a class without a sample, entries that are not finite.

    >>> samples = as_samples((np.zeros((4, 2, 2), np.uint8), [0, 1, 0, 1]))
    >>> samples.input_shape, samples.classes
    ((1, 2, 2), 2)
    """
    if isinstance(data, Samples):
        return data
    if hasattr(data, "y"):
        x, y = data.images if hasattr(data, "images") else data.X, data.y
    else:
        x, y = data
    if isinstance(x, np.ndarray):
        x = np.ascontiguousarray(x)
        x = x if x.flags.writeable else x.copy()  # torch warns about arrays that are read-only
    x = torch.as_tensor(x).detach()
    pixels = x.dtype == torch.uint8
    if pixels and x.ndim == 3:
        x = x[:, None]
    if x.ndim < 2 or 0 in x.shape:
        raise InvalidInputError(
            got=f"samples of shape {tuple(x.shape)} in {name}",
            expected="shape (N, …), none of it empty",
            next_step="give one row a sample",
        )
    if like is not None:
        classes = like.classes
    labels, notes = check_labels(y.detach().cpu().numpy() if torch.is_tensor(y) else y, samples=len(x), classes=classes)
    if notes:
        given = np.unique(np.asarray(y))
        missing = np.setdiff1d(np.arange(given.max() + 1), given)
        raise InvalidInputError(
            got=f"no sample of class {missing[0]:.0f} in {name}, whose labels go up to {given.max():.0f}",
            expected="at least 1 sample of every class",
            next_step="renumber the classes 0…K-1 in every split, or add samples",
        )
    if like is not None and tuple(x.shape[1:]) != like.input_shape:
        raise InvalidInputError(
            got=f"samples of shape {tuple(x.shape[1:])} in {name}",
            expected=f"shape {like.input_shape}, as in the training split",
            next_step="prepare both splits alike",
        )
    if not pixels:
        bad = (~torch.isfinite(x.flatten(1)).all(1)).nonzero()
        if len(bad):
            raise InvalidInputError(
                got=f"entries that are NaN or infinite in sample {int(bad[0])} of {name}",
                expected="finite numbers",
                next_step="remove these samples",
            )
    mean = scale = None
    if like is not None:
        mean, scale = like.mean, like.scale
    elif pixels:
        # sums of bytes are exact in float64, so no pass over a copy of the images in floating point is needed
        each = x.transpose(0, 1).flatten(1) if x.ndim > 2 else x.T
        counts = torch.stack([torch.bincount(channel, minlength=256) for channel in each]).double()
        values = torch.arange(256, dtype=torch.float64) / 255
        mean = counts @ values / counts.sum(1)
        scale = (counts * (values - mean[:, None]).square()).sum(1).div(counts.sum(1)).sqrt()
        scale = torch.where(scale > 0, scale, 1.0)  # a constant channel stays at 0
    return Samples(x=x, y=torch.from_numpy(labels), classes=classes or int(labels.max()) + 1, mean=mean, scale=scale)
