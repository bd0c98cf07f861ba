"""Networks that draw random numbers at test time: whether one does, and the mean over its draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from pnc.nets.initial import seeded
from pnc.robust.network.images import pixel_images
from pnc.robust.network.pixel_model import PixelModel
from pnc.robust.network.predictions import predicted_logits

__all__ = ["DRAWS", "AveragedModel", "draws_random_numbers"]

DRAWS = 16
"""Of a random network, that gradients are averaged over (expectation over transformation)."""

_LOOKED_AT = 256  # images
_NONDETERMINISM = 1e-5  # of the largest logit: what the order of sums may change on a GPU


def draws_random_numbers(model: PixelModel, images: Any, *, batch_size: int = 256, seed: int = 0) -> bool:
    """Whether two passes over the same images give different logits.

    >>> net = PixelModel(nn.Identity())
    >>> draws_random_numbers(net, np.eye(3))
    False
    """
    images = pixel_images(images, dtype=model.dtype)[:_LOOKED_AT]
    with seeded(seed):
        one, other = (predicted_logits(model, images, batch_size=batch_size) for _ in range(2))
    slack = 0.0 if model.device.type == "cpu" else _NONDETERMINISM * float(np.abs(one).max(initial=0.0))
    return bool(np.any(~(np.abs(one - other) <= slack) & ~(np.isnan(one) & np.isnan(other))))


class AveragedModel(nn.Module):
    """The mean of a random network's logits over so many draws: what an attack on it descends.

    Athalye, Carlini, Wagner, *Obfuscated Gradients Give a False Sense of Security*, ICML 2018 (arXiv:1802.00420).
    """

    def __init__(self, model: PixelModel, draws: int = DRAWS) -> None:
        super().__init__()
        self.model, self.draws = model, draws

    def forward(self, x: Float[torch.Tensor, "batch ..."]) -> Float[torch.Tensor, "batch classes"]:
        return torch.stack([self.model(x) for _ in range(self.draws)]).mean(0)
