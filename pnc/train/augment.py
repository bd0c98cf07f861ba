"""Random crops and mirror images of a whole batch at once, on the device that holds it."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Shaped
from torch.nn import functional

from pnc.errors import InvalidInputError

__all__ = ["crop_and_flip"]


def crop_and_flip(
    images: Shaped[torch.Tensor, "N C H W"], generator: np.random.Generator, *, crop: int, flip: bool, rows: slice
) -> Shaped[torch.Tensor, "n C H W"]:
    """Each image shifted by up to `crop` pixels over zeros, and mirrored with probability one half.

    Args:
        images: the rows of the batch that this process holds.
        generator: draws for the whole batch, so that the draw does not depend on how processes share it.
        crop: pixels of padding; 0: no shift.
        flip: whether to mirror.
        rows: which rows of the whole batch `images` are; its `stop` is the size of the whole batch.

    Raises:
        InvalidInputError: samples that are not images (N, C, H, W).

    >>> images = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> crop_and_flip(images, np.random.default_rng(0), crop=0, flip=False, rows=slice(0, 1)).equal(images)
    True
    """
    if images.ndim != 4:
        raise InvalidInputError(
            got=f"samples of shape {tuple(images.shape[1:])} to crop or flip",
            expected="images of shape (channels, height, width)",
            next_step="leave out `crop` and `flip`",
        )
    _, channels, height, width = images.shape
    device = images.device
    shifts = torch.from_numpy(generator.integers(0, 2 * crop + 1, size=(rows.stop, 2))[rows]).to(device)
    mirrored = torch.from_numpy(generator.random(rows.stop)[rows] < 0.5).to(device) & flip
    y = shifts[:, :1] + torch.arange(height, device=device)
    x = torch.arange(width, device=device).expand(len(images), width)
    x = shifts[:, 1:] + torch.where(mirrored[:, None], width - 1 - x, x)
    padded = functional.pad(images, (crop, crop, crop, crop)) if crop else images
    sample = torch.arange(len(images), device=device)[:, None, None, None]
    channel = torch.arange(channels, device=device)[None, :, None, None]
    return padded[sample, channel, y[:, None, :, None], x[:, None, None, :]]
