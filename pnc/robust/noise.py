"""Random pixel noise: a share of the pixels says nothing any more."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from pnc.errors import InvalidInputError
from pnc.nets.initial import seeded
from pnc.robust.attacks.starts import sample_generator
from pnc.robust.network.images import class_labels, pixel_images
from pnc.robust.network.pixel_model import PixelModel
from pnc.robust.network.predictions import predicted_classes
from pnc.robust.results import NoiseResult

__all__ = ["check_probability", "pixel_noise", "replaced_pixels"]


def check_probability(probability: float) -> None:
    """Refuse a probability outside [0, 1].

    Raises:
        InvalidInputError: such a one.

    >>> check_probability(1.5)
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got noise with probability 1.5; expected a number in [0, 1]; ...
    """
    if not 0 <= probability <= 1:  # NaN fails
        raise InvalidInputError(
            got=f"noise with probability {probability}",
            expected="a number in [0, 1]",
            next_step="pass for instance `noise=0.4,0.6`",
        )


def replaced_pixels(
    images: Float[torch.Tensor, "N ..."], probability: float, *, seed: int = 0, first: int = 0
) -> Float[torch.Tensor, "N ..."]:
    """x'_i = u_i with probability p and x_i otherwise, u_i uniform in [0, 1], independently for every pixel i.

    A pixel of (N, C, H, W) images is a position: all of its channels are replaced, each by a draw of its own; of other
    shapes every entry is a pixel. The draws belong to the sample, and are the same for every p: what is replaced at a
    small p is replaced, by the same, at a larger one.

    Args:
        images: in [0, 1].
        probability: p, in [0, 1].
        seed: of the draws.
        first: position of the first image in the data.

    Raises:
        InvalidInputError: a probability outside [0, 1].

    >>> noisy = replaced_pixels(torch.zeros(1, 1, 40, 40), 0.4)
    >>> round((noisy > 0).float().mean().item(), 1)
    0.4
    """
    check_probability(probability)
    noisy = images.clone()
    shape = tuple(images.shape[1:])
    for row in range(len(images)):
        draw = sample_generator(seed, "noise", first + row)
        replaced = draw.random(shape[1:] if len(shape) == 3 else shape) < probability
        values = torch.from_numpy(draw.random(shape)).to(images)
        noisy[row] = torch.where(torch.from_numpy(replaced).to(images.device), values, images[row])
    return noisy


def pixel_noise(
    model: PixelModel, images: Any, labels: Any, probability: float, *, seed: int = 0, batch_size: int = 256
) -> NoiseResult:
    """Accuracy with every pixel replaced, with probability p, by uniform noise, see `replaced_pixels`.

    Raises:
        InvalidInputError: images outside [0, 1], labels that do not fit, a probability outside [0, 1].

    >>> net = PixelModel(torch.nn.Identity())
    >>> pixel_noise(net, np.eye(3), np.arange(3), 0.0).accuracy
    1.0
    """
    images = pixel_images(images, dtype=model.dtype)
    with seeded(seed), torch.no_grad():
        classes = model(images[:1].to(model.device)).shape[1]
        labels = class_labels(labels, samples=len(images), classes=classes)
    with seeded(seed):  # of a network that draws random numbers: those by which it is judged without noise
        found = predicted_classes(model, replaced_pixels(images, probability, seed=seed), batch_size=batch_size)
    return NoiseResult(probability=float(probability), correct=np.equal(found, labels))
