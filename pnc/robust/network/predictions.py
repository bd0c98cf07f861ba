"""What the network makes of images as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from pnc.errors import InvalidInputError
from pnc.robust.network.images import pixel_images
from pnc.robust.network.pixel_model import PixelModel
from pnc.statistics import share_interval

__all__ = ["clean_accuracy", "predicted_classes", "predicted_logits"]


def predicted_logits(model: PixelModel, images: Any, *, batch_size: int = 256) -> Float[np.ndarray, "N K"]:
    """Logits of every image, in order and without gradients.

    Raises:
        InvalidInputError: images that are not in [0, 1], an output that is not (batch, K).
    """
    images = pixel_images(images, dtype=model.dtype)
    found = []
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size].to(model.device)
            logits = model(batch)
            if logits.ndim != 2 or logits.shape[0] != len(batch) or logits.shape[1] < 2:
                raise InvalidInputError(
                    got=f"an output of shape {tuple(logits.shape)} for {len(batch)} images",
                    expected="logits of shape (batch, K), K ≥ 2",
                    next_step="wrap the network so that it gives one row of logits a sample",
                )
            found.append(logits.double().cpu().numpy())
    return np.concatenate(found)


def predicted_classes(model: PixelModel, images: Any, *, batch_size: int = 256) -> Int[np.ndarray, " N"]:
    """The class of the largest logit, of every image.

    Raises:
        InvalidInputError: as `predicted_logits`; logits that are NaN or infinite.

    >>> net = PixelModel(torch.nn.Identity())
    >>> predicted_classes(net, np.eye(3)).tolist()
    [0, 1, 2]
    """
    logits = predicted_logits(model, images, batch_size=batch_size)
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if bad.size:
        raise InvalidInputError(
            got=f"logits that are NaN or infinite for image {bad[0]} ({bad.size} of {len(logits)})",
            expected="finite logits for every image in [0, 1]",
            next_step="check the weights and the standardisation",
        )
    return logits.argmax(axis=1)


def clean_accuracy(
    model: PixelModel, images: Any, labels: Int[np.ndarray, " N"], *, batch_size: int = 256
) -> tuple[float, tuple[float, float]]:
    """Share of images classified correctly, and its 95 % interval (Clopper–Pearson).

    >>> clean_accuracy(PixelModel(torch.nn.Identity()), np.eye(2), np.array([0, 1]))[0]
    1.0
    """
    right = predicted_classes(model, images, batch_size=batch_size) == labels
    return float(right.mean()), share_interval(int(right.sum()), len(right))
