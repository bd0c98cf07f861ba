"""Scatters of classes and their ratio: the factor and the trace of Σ_B, and C = tr Σ_W / tr Σ_B."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float

from pnc.errors import InvalidInputError
from pnc.measure.arrays import squared_norms

__all__ = ["ClassWeights", "between_factor", "between_scatter", "class_weights", "compression"]

_PART_ENTRIES = 2**20  # 8 MiB of float64

ClassWeights = Literal["samples", "classes"]


def class_weights(counts: torch.Tensor, weights: ClassWeights = "samples") -> Float[torch.Tensor, " K"]:
    """p_k: n_k/N (`samples`) or 1/K (`classes`), in float64 (theory note, section 1).

    Raises:
        InvalidInputError: another kind of weights.

    >>> class_weights(torch.tensor([1, 3])).tolist(), class_weights(torch.tensor([1, 3]), "classes").tolist()
    ([0.25, 0.75], [0.5, 0.5])
    """
    if weights not in get_args(ClassWeights):
        raise InvalidInputError(
            got=f"weights = {weights!r}",
            expected="samples or classes",
            next_step="pass weights='samples', which section 4 of the theory note needs",
        )
    counts = counts.to(torch.float64)
    if weights == "samples":
        return counts / counts.sum()
    return torch.full_like(counts, 1 / counts.numel())


def between_factor(
    means: Float[torch.Tensor, "*batch K d"], p: Float[torch.Tensor, " K"]
) -> Float[torch.Tensor, "*batch K d"]:
    """B = diag(√p)(μ_k - μ), μ = Σ_k p_k μ_k, so that Σ_B = BᵀB (theory note, section 1).

    >>> between_factor(torch.tensor([[0.0], [2.0]]), torch.tensor([0.5, 0.5])).flatten().tolist()
    [-0.70..., 0.70...]
    """
    return p.sqrt()[:, None] * _centred(means, p)


def _centred(means: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    # differences from one of the means first, so that equal means have no scatter, not even rounding
    offset = means - means[..., :1, :]
    return offset - (p[:, None] * offset).sum(-2, keepdim=True)


def between_scatter(
    means: Float[torch.Tensor, "*batch K d"], p: Float[torch.Tensor, " K"]
) -> Float[torch.Tensor, "*batch"]:
    """tr Σ_B = Σ_k p_k ‖μ_k - μ‖² (theory note, section 1); squared feature norm.

    >>> between_scatter(torch.tensor([[0.0], [2.0]]), torch.tensor([0.5, 0.5])).item()
    1.0
    """
    if means.ndim > 2 or means.numel() <= _PART_ENTRIES:
        return (p * _centred(means, p).square().sum(-1)).sum(-1)
    # many classes of wide features: class by class, without a copy of all means
    first, rows = means[0], max(1, _PART_ENTRIES // means.shape[1])
    parts = list(zip(means.split(rows), p.split(rows), strict=True))
    centre = torch.zeros_like(first)
    for part, weights in parts:
        centre.addmv_((part - first).mT, weights)
    total = means.new_zeros(())
    for part, weights in parts:
        offset = (part - first).sub_(centre)
        total += weights @ torch.linalg.vecdot(offset, offset)
    return total


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
    norms = squared_norms(means) if means.ndim == 2 else torch.linalg.vecdot(means, means)
    rounding = (8 * torch.finfo(torch.float64).eps) ** 2 * norms.amax(-1)
    return torch.where(between > rounding, within / between, torch.nan)
