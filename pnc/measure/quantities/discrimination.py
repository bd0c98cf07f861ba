"""Discrimination D_l of features, from their class means."""

from __future__ import annotations

import torch
from jaxtyping import Float

__all__ = ["discrimination"]


def discrimination(
    means: Float[torch.Tensor, "*batch K d"], spread: Float[torch.Tensor, "*batch K"] | None = None
) -> Float[torch.Tensor, "*batch"]:
    """D = 1 - max_{k≠k'} cos(μ_k, μ_k'), means not centred (theory note, section 1); dimensionless.

    Args:
        means: (…, K, d) class means, K ≥ 2.
        spread: (…, K) root mean square distance of a class's samples from their mean. A mean is zero, and D
            undefined (NaN), where its norm is what rounding leaves of samples that cancel: at most 8u times
            the spread.

    >>> discrimination(torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])).item()
    1.0
    >>> discrimination(torch.tensor([[1.0, 0.0], [0.0, 0.0]])).item()
    nan
    """
    norms = torch.linalg.vector_norm(means, dim=-1)
    rounding = 0 if spread is None else 8 * torch.finfo(torch.float64).eps * spread
    undefined = (norms <= rounding).any(-1)
    units = means / torch.where(norms == 0, 1, norms)[..., None]
    classes = means.shape[-2]
    cosines = units @ units.mT
    # the diagonal is masked: dropping zeros from a triangle would lose pairs that are exactly orthogonal
    cosines = cosines.masked_fill(torch.eye(classes, dtype=torch.bool, device=means.device), -torch.inf)
    closest = cosines.flatten(-2).argmax(-1)
    pair = torch.stack([closest // classes, closest % classes], -1)[..., None]
    chosen = torch.take_along_dim(units, pair, dim=-2)
    # 1 - cos = ‖û - v̂‖²/2, which keeps the digits that 1 - cos loses for nearly parallel means
    distance = (chosen[..., 0, :] - chosen[..., 1, :]).square().sum(-1) / 2
    return torch.where(undefined, torch.nan, distance)
