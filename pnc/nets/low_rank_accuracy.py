"""How good an approximate principal subspace is."""

from __future__ import annotations

import torch
from jaxtyping import Float

__all__ = ["captured_share", "largest_angle"]


def captured_share(z: Float[torch.Tensor, "n m"], basis: Float[torch.Tensor, "m r"]) -> float:
    """‖z V‖_F² / ‖z‖_F², the share of the (uncentred) variance in the span of orthonormal V; in [0, 1], in float64.

    >>> captured_share(torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0], [0.0]]))
    0.36
    """
    return float((z @ basis).double().square().sum() / z.double().square().sum())


def largest_angle(one: Float[torch.Tensor, "m r"], other: Float[torch.Tensor, "m r"]) -> float:
    """The largest principal angle between two subspaces of one dimension, in degrees, from their orthonormal bases.

    Its sine is ‖(I - P₁) V₂‖₂, which, unlike its cosine, keeps the digits of small angles.

    >>> e = torch.eye(3)
    >>> largest_angle(e[:, :1], e[:, :1]), round(largest_angle(e[:, :1], e[:, 1:2]), 9)
    (0.0, 90.0)
    """
    one, other = one.double(), other.double()
    sine = torch.linalg.matrix_norm(other - one @ (one.T @ other), 2)
    return float(torch.rad2deg(torch.asin(sine.clamp(max=1.0))))
