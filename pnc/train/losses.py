"""The two losses, each the mean over samples."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch.nn import functional

from pnc.spec import Loss

__all__ = ["sample_losses"]


def sample_losses(
    outputs: Float[torch.Tensor, "N K"], labels: Int[torch.Tensor, " N"], *, loss: Loss, label_scale: float = 1.0
) -> Float[torch.Tensor, " N"]:
    """The loss of each sample: ‖α f(x) - y‖², summed over the K outputs, or the cross-entropy of α f(x); α the label
    scale, y one-hot.

    The squared loss is least at f(x) = y/α: the network is trained to Y/α, as in the theory note, section 1.
    Its gradient is α² times that of ‖f(x) - y/α‖².

    Args:
        outputs: f(x); at least float32 is computed in.
        labels: 0…K-1.
        loss: which.
        label_scale: α > 0.

    >>> sample_losses(torch.tensor([[0.5, 0.0]]), torch.tensor([0]), loss="mse", label_scale=2.0).item()
    0.0
    """
    if outputs.dtype in (torch.float16, torch.bfloat16):
        outputs = outputs.float()
    scaled = label_scale * outputs
    if loss == "cross-entropy":
        return functional.cross_entropy(scaled, labels, reduction="none")
    one_hot = functional.one_hot(labels, outputs.shape[1]).to(outputs.dtype)
    return (scaled - one_hot).square().sum(1)
