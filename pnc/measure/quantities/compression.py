"""Compression C_l of features, from their scatters."""

from __future__ import annotations

import torch
from jaxtyping import Float

__all__ = ["compression"]


def compression(
    within: Float[torch.Tensor, "*batch"],
    between: Float[torch.Tensor, "*batch"],
    means: Float[torch.Tensor, "*batch K d"],
) -> Float[torch.Tensor, "*batch"]:
    """C = tr Σ_W / tr Σ_B (theory note, section 1), dimensionless; NaN where the class means coincide.

    Means coincide where tr Σ_B is what float64 leaves of the difference of equal numbers, (8u)² max_k ‖μ_k‖².

    >>> means = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    >>> compression(torch.tensor(3.0), torch.tensor(1.0), means).item()
    3.0
    >>> compression(torch.tensor(3.0), torch.tensor(0.0), means).item()
    nan
    """
    rounding = (8 * torch.finfo(torch.float64).eps) ** 2 * means.square().sum(-1).amax(-1)
    return torch.where(between > rounding, within / between, torch.nan)
