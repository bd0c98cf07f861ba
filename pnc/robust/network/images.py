"""What is checked of images and labels before an attack."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from pnc.errors import InvalidInputError

__all__ = ["check_reach", "class_labels", "finite_images", "pixel_images"]


def pixel_images(images: Any, *, dtype: torch.dtype = torch.float32) -> Float[torch.Tensor, "N ..."]:
    """Images as floating-point tensors in [0, 1]; unsigned bytes are divided by 255.

    Raises:
        InvalidInputError: no images, entries that are not finite or lie outside [0, 1], with the range found.

    >>> pixel_images(np.array([[0, 255]], np.uint8))
    tensor([[0., 1.]])
    >>> pixel_images(np.array([[-1.5, 2.0]]))
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got images in [-1.5, 2]; expected pixels in [0, 1], ...
    """
    if not torch.is_tensor(images):
        images = np.asarray(images)
        images = torch.from_numpy(images if images.flags.writeable else images.copy())
    images = images.detach()
    if images.ndim < 2 or 0 in images.shape:
        raise InvalidInputError(
            got=f"images of shape {tuple(images.shape)}",
            expected="shape (N, …), none of it empty",
            next_step="give one row a sample",
        )
    if images.dtype == torch.uint8:
        return images.to(dtype) / 255
    low, high = (float(end) for end in images.aminmax())
    if not (low >= 0 and high <= 1):  # NaN fails both
        raise InvalidInputError(
            got="images with NaN entries" if low != low or high != high else f"images in [{low:g}, {high:g}]",
            expected="pixels in [0, 1], since a radius and the clipping to valid images have no meaning otherwise",
            next_step="rescale the data, and hand the standardisation to PixelModel as mean and scale",
        )
    return images.to(dtype)


def check_reach(images: Float[torch.Tensor, "N ..."], *, radius: float, norm: str) -> None:
    """Refuse a ball of ℓ2 that is larger than it need be: no two images of d entries in [0, 1] are more than √d apart.

    Raises:
        InvalidInputError: a radius above √d for ℓ2.

    >>> check_reach(torch.zeros(1, 4), radius=2.0, norm="l2")
    >>> check_reach(torch.zeros(1, 4), radius=2.1, norm="l2")
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got radius = 2.1 for l2; expected at most √d = 2, within which lies every image ...
    """
    largest = math.sqrt(images[0].numel())
    if norm == "l2" and radius > largest * (1 + 1e-9):  # √d as it is rounded is allowed
        raise InvalidInputError(
            got=f"radius = {radius} for l2",
            expected=f"at most √d = {largest:.6g}, within which lies every image of {images[0].numel()} entries",
            next_step=f"pass for instance `radius={largest / 40:.2g}`",
        )


def finite_images(
    moved: Float[torch.Tensor, "n ..."], images: Float[torch.Tensor, "n ..."]
) -> Float[torch.Tensor, "n ..."]:
    """The images that an attack gives, and the original where it gives none (NaN, from a loss that overflows).

    >>> finite_images(torch.tensor([[torch.nan], [0.5]]), torch.zeros(2, 1)).tolist()
    [[0.0], [0.5]]
    """
    finite = torch.isfinite(moved.flatten(1)).all(1)
    return torch.where(finite.reshape(-1, *(1,) * (images.ndim - 1)), moved, images)


def class_labels(labels: Any, *, samples: int, classes: int) -> Int[np.ndarray, " N"]:
    """Labels as (N,) whole numbers 0…K-1.

    Raises:
        InvalidInputError: another shape, or not such numbers.
    """
    given = labels.detach().cpu().numpy() if torch.is_tensor(labels) else np.asarray(labels)
    if given.shape != (samples,) or given.dtype.kind not in "iu":
        raise InvalidInputError(
            got=f"labels of shape {given.shape} and dtype {given.dtype} for {samples} images",
            expected=f"({samples},) whole numbers",
            next_step="give one class index an image",
        )
    if given.min() < 0 or given.max() >= classes:
        raise InvalidInputError(
            got=f"labels from {given.min()} to {given.max()} for a network with {classes} outputs",
            expected=f"labels 0 to {classes - 1}",
            next_step="use the network and the data that belong together",
        )
    return given.astype(np.int64)
