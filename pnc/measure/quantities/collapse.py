"""How near class means are to an equiangular tight frame: the second property of neural collapse."""

from __future__ import annotations

import torch
from jaxtyping import Float

__all__ = ["centred", "equiangularity", "equinorm"]

_BLOCK_ENTRIES = 2**22  # of cosines at a time


def centred(means: Float[torch.Tensor, "K d"]) -> Float[torch.Tensor, "K d"]:
    """m_k = μ_k - μ_G, μ_G the mean of the class means; a large common mean costs no digits."""
    offset = means - means[:1]
    return offset.sub_(offset.mean(0))


def equinorm(means: Float[torch.Tensor, "K d"]) -> float:
    """NC2: std_k ‖m_k‖ / mean_k ‖m_k‖ of (K, d) class means, m_k centred at their mean; NaN where all are 0.

    >>> equinorm(torch.eye(3, dtype=torch.float64)) < 1e-15
    True
    """
    norms = torch.linalg.vector_norm(centred(means), dim=1)
    return float(norms.std(correction=0) / norms.mean())


def equiangularity(means: Float[torch.Tensor, "K d"]) -> float:
    """NC2: mean over k ≠ k' of |cos(m_k, m_k') + 1/(K-1)| of (K, d) class means, m_k centred at their mean.

    A block of classes against all at a time: O(block · K + K d) memory.

    >>> equiangularity(torch.eye(3, dtype=torch.float64)) < 1e-15
    True
    """
    units = centred(means)
    units /= torch.linalg.vector_norm(units, dim=1, keepdim=True)
    classes, total = means.shape[0], 0.0
    for rows in units.split(max(1, _BLOCK_ENTRIES // classes)):
        total += float((rows @ units.mT).add_(1 / (classes - 1)).abs_().sum())
    own = float((torch.linalg.vecdot(units, units) + 1 / (classes - 1)).abs().sum())
    return (total - own) / (classes * (classes - 1))
