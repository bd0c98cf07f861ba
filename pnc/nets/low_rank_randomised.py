"""The principal subspace of activations by a randomised singular value decomposition."""

from __future__ import annotations

import torch
from jaxtyping import Float

from pnc.nets.low_rank_checks import check_activations

__all__ = ["subspace_by_random_range"]


def subspace_by_random_range(
    z: Float[torch.Tensor, "n m"],
    rank: int,
    *,
    generator: torch.Generator | None = None,
    oversampling: int = 10,
    power_iterations: int = 1,
) -> Float[torch.Tensor, "m rank"]:
    """The first right singular vectors of Q Qᵀ z, Q an orthonormal basis of (z zᵀ)^q z Ω with Ω Gaussian.

    Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1. With q power iterations what is left out weighs
    σ_i^(2q+1) instead of σ_i. Each pass over z costs n m (rank + oversampling) products, and there are 2 + 2q.

    Args:
        z: one row a sample.
        rank: dimension of the subspace.
        generator: on the CPU; draws Ω. `None`: torch's own.
        oversampling: columns of Ω beyond the rank.
        power_iterations: q.

    Raises:
        InvalidInputError: a rank that z cannot have.

    >>> z = torch.outer(torch.arange(1.0, 6.0), torch.tensor([3.0, 4.0]))
    >>> subspace_by_random_range(z, 1, generator=torch.Generator().manual_seed(0)).abs()
    tensor([[0.6000],
            [0.8000]])
    """
    check_activations(z, rank)
    columns = min(rank + oversampling, *z.shape)
    omega = torch.randn(z.shape[1], columns, generator=generator, dtype=z.dtype).to(z.device)
    basis = torch.linalg.qr(z @ omega)[0]
    for _ in range(power_iterations):  # a basis in between: powers of z would drown the small directions in rounding
        basis = torch.linalg.qr(z @ torch.linalg.qr(z.T @ basis)[0])[0]
    return torch.linalg.svd(basis.T @ z, full_matrices=False)[2][:rank].T.contiguous()
