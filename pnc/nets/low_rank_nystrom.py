"""The principal subspace of wide activations by an ensemble of Nyström approximations from sampled columns."""

from __future__ import annotations

import torch
from jaxtyping import Float

from pnc.nets.low_rank_checks import check_activations

__all__ = ["subspace_by_nystrom"]


def subspace_by_nystrom(
    z: Float[torch.Tensor, "n m"],
    rank: int,
    *,
    generator: torch.Generator | None = None,
    columns: int | None = None,
    experts: int = 3,
) -> Float[torch.Tensor, "m rank"]:
    """The first eigenvectors of the mean of `experts` Nyström approximations of the Gram matrix G = zᵀz (m × m).

    From the columns S of G the approximation is G_S = G[:, S] G[S, S]⁺ G[S, :] (Williams and Seeger 2001), and the
    ensemble is the mean over several S (Kumar, Mohri and Talwalkar 2009, uniform weights). G itself is never formed:
    as G[:, S] = zᵀ z_S, with z_S the sampled columns of z,

        G_S = zᵀ P_S z,   P_S = z_S (z_Sᵀ z_S)⁺ z_Sᵀ, the projector onto range(z_S),

    so with orthonormal Q_S over range(z_S) the mean is BᵀB / experts for B the stacked Q_Sᵀ z, and its eigenvectors
    are the right singular vectors of B. No pseudo-inverse is taken and nothing is squared. In exact arithmetic
    G_S ⪯ G, and rank(z) independent columns give G back.

    A column is drawn with a probability that goes with its squared norm, so that dead units are never drawn. Cost:
    one pass over z of n m (columns · experts) products, half of what a random range without power iterations costs
    for as many columns, as no random mixture of all columns is formed.

    Args:
        z: one row a sample.
        rank: dimension of the subspace.
        generator: on the CPU; draws the columns. `None`: torch's own.
        columns: of each expert; `None`: four times the rank.
        experts: how many.

    Raises:
        InvalidInputError: a rank that z cannot have.

    >>> z = torch.outer(torch.arange(1.0, 6.0), torch.tensor([3.0, 0.0, 4.0]))
    >>> subspace_by_nystrom(z, 1, generator=torch.Generator().manual_seed(0)).abs()
    tensor([[0.6000],
            [0.0000],
            [0.8000]])
    """
    check_activations(z, rank)
    columns = min(max(rank, 4 * rank if columns is None else columns), *z.shape)
    # a trace of probability for every column: there may be fewer alive than are drawn
    weights = z.square().sum(0).double().cpu()
    weights += weights.sum() * 1e-12 + torch.finfo(torch.float64).tiny
    parts = []
    for _ in range(experts):
        chosen = torch.multinomial(weights, columns, generator=generator).to(z.device)
        parts.append(torch.linalg.qr(z[:, chosen])[0].T @ z)
    # B is wide: its singular vectors from the small factor of its transpose
    basis, small = torch.linalg.qr(torch.cat(parts).T)
    return basis @ torch.linalg.svd(small, full_matrices=False)[0][:, :rank]
