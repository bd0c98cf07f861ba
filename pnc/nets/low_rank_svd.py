"""The principal subspace of activations by a full singular value decomposition: the reference for the others."""

from __future__ import annotations

import torch
from jaxtyping import Float

from pnc.nets.low_rank_checks import check_activations

__all__ = ["subspace_by_svd"]


def subspace_by_svd(z: Float[torch.Tensor, "n m"], rank: int) -> Float[torch.Tensor, "m rank"]:
    """The first `rank` right singular vectors of z: of all subspaces of this dimension, the one that keeps most.

    V_r of z = U S Vᵀ maximises ‖z V‖_F² over orthonormal V (Ky Fan). Cost O(n m min(n, m)).

    Args:
        z: one row a sample.
        rank: 1 ≤ r < min(n, m) + 1.

    Raises:
        InvalidInputError: a rank that z cannot have.

    >>> subspace_by_svd(torch.tensor([[3.0, 0.0], [0.0, 1.0]]), 1).abs()
    tensor([[1.],
            [0.]])
    """
    check_activations(z, rank)
    return torch.linalg.svd(z, full_matrices=False)[2][:rank].T.contiguous()
