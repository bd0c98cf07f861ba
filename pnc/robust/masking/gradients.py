"""What the gradients of a network at its images are worth: whether they are there, and whether they point uphill."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float

from pnc.nets.initial import seeded
from pnc.robust.attacks.starts import sample_generator
from pnc.robust.attacks.within_ball import margins
from pnc.robust.masking.attacked_images import AttackedImages

__all__ = ["gradient_norms", "gradient_wins"]


def gradient_norms(shown: AttackedImages) -> Float[np.ndarray, " N"]:
    """‖∇ₓ cross-entropy‖₂ at every image; NaN or ∞ where it is no gradient at all."""
    norms = [torch.linalg.vector_norm(gradient.flatten(1).double(), dim=1) for _, _, _, gradient in _each(shown)]
    return torch.cat(norms).cpu().numpy()


def gradient_wins(shown: AttackedImages, *, radius: float, norm: str, directions: int) -> Bool[np.ndarray, " N"]:
    """Whether a step along the gradient lowers the margin more than every one of so many random steps as long.

    The margin is the label's logit less the largest other one. Steps: radius · sign(·) for ℓ∞, radius · (·)/‖·‖₂ for
    ℓ2, kept in [0, 1]. A step that changes nothing does not win.
    """
    wins = []
    for first, x, y, gradient in _each(shown):

        def margin_after(direction: torch.Tensor, first: int = first, x: torch.Tensor = x, y: torch.Tensor = y):
            # a network with random numbers is asked under the same ones: it is the direction that is to decide
            with torch.no_grad(), seeded(shown.seed + first):
                return margins(shown.model((x + radius * _unit(direction, norm).to(x)).clamp(0, 1)), y)

        # in float64: the square of a gradient of a saturated network underflows in float32
        along = margin_after(gradient.double().nan_to_num(0.0, 0.0, 0.0))
        best = margin_after(torch.zeros_like(gradient, dtype=torch.float64))
        for turn in range(directions):
            drawn = [
                sample_generator(shown.seed, "direction", first + row, turn).standard_normal(tuple(x.shape[1:]))
                for row in range(len(x))
            ]
            best = torch.minimum(best, margin_after(torch.from_numpy(np.stack(drawn)).to(x.device)))
        wins.append((along < best).cpu().numpy())
    return np.concatenate(wins)


def _unit(direction: torch.Tensor, norm: str) -> torch.Tensor:
    """Of length 1 in the norm; 0 stays 0."""
    if norm == "linf":
        return direction.sign()
    lengths = torch.linalg.vector_norm(direction.flatten(1), dim=1).clamp_min(1e-300)
    return direction / lengths.reshape(-1, *(1,) * (direction.ndim - 1))


def _each(shown: AttackedImages):
    """Position of the first, images, labels and cross-entropy gradients, a batch at a time."""
    with seeded(shown.seed):
        for first in range(0, len(shown.images), shown.batch_size):
            rows = slice(first, first + shown.batch_size)
            x = shown.images[rows].to(shown.model.device).requires_grad_()
            y = torch.from_numpy(shown.labels[rows]).to(x.device)
            with torch.enable_grad():
                loss = torch.nn.functional.cross_entropy(shown.model(x), y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, x)
            yield first, x.detach(), y, gradient
