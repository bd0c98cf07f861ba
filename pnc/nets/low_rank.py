"""`LowRankLayer`: the virtual layer that draws activations towards a subspace of few dimensions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import nn

from pnc.errors import InvalidInputError
from pnc.nets.checks import at_least
from pnc.nets.low_rank_nystrom import subspace_by_nystrom
from pnc.nets.low_rank_randomised import subspace_by_random_range
from pnc.nets.low_rank_svd import subspace_by_svd

__all__ = ["PROJECTIONS", "LowRankLayer"]

PROJECTIONS: dict[str, Callable[..., torch.Tensor]] = {
    "nystrom": subspace_by_nystrom,
    "randomised": subspace_by_random_range,
    "svd": lambda z, rank, *, generator=None: subspace_by_svd(z, rank),
}
"""Ways to the subspace that `LowRankLayer.project` moves to."""


class LowRankLayer(nn.Module):
    """The losses L_c and L_n of activations at one site, and the W and b that go with it.

    Sanyal, Kanade, Torr and Dokania (arXiv:1804.07090) train a network with two more losses on the activations
    a_1 … a_n of a layer,

        L_c = (1/n) Σ ‖Wᵀ(a_i + b) - (a_i + b)‖²,    L_n = (1/n) Σ |1 - ‖a_i‖|,

    W (m × m) of rank r, b ∈ R^m. The first vanishes when all a_i + b lie in r dimensions, the second keeps the
    activations from vanishing instead. The layer is virtual: the network goes on with a_i, not with Wᵀ(a_i + b),
    so at inference there is nothing of it. Here a_i is what the network computes, divided by `unit`: the published
    losses have unit 1.

    **The best W.** With the rows z_i = a_i + b in Z (n × m), n L_c = ‖Z W - Z‖_F², and rank(Z W) ≤ r: by Eckart and
    Young it is at least Σ_{i>r} σ_i(Z)², and W = V_r V_rᵀ, V_r the first r right singular vectors of Z, attains it,
    as Z V_r V_rᵀ is the truncated decomposition of Z. Where σ_r > σ_{r+1}, Z W is unique, and of all W that give it
    the projector is the one of least norm.

    **What is done here.** W is kept as W = left · rightᵀ, two m × r factors (dense, W before ResNet-18's last
    stage has 268 million entries), so no gradient step leaves rank r. The published method takes gradient steps on
    W and thresholds its rank every k of them; what its steps do to the directions dropped at the next threshold is
    lost again. The factors' steps keep what survives, and `project` then moves to the minimiser itself, the projector
    V_r V_rᵀ of recent activations; b moves by gradient steps alone. Between projections, the gradient of `right`
    at left = right = V is -(2/n) (I - V Vᵀ) ZᵀZ V, Oja's rule: it turns the subspace after the activations.

    Args:
        width: m, entries of a sample's activations.
        rank: 1 ≤ r < m.
        dtype: of W and b, and of the losses.

    Attributes:
        left, right: (m, r), zero until the first `project`.
        shift: (m,) b, zero at first; in units of `unit`.
        unit: feature norm that L_n draws activations to.
        scale: mean of ‖a_i + b‖² at the last projection: the unit of a gradient step on the factors, whose curvature
            it bounds.

    Raises:
        InvalidInputError: a rank below 1, or not below the width.

    >>> layer = LowRankLayer(3, rank=1)
    >>> a = torch.tensor([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    >>> layer.project(a, method="svd")
    >>> [loss.tolist() for loss in layer(a)]
    [[0.0, 0.0], [0.0, 1.0]]
    >>> layer(torch.tensor([[0.0, 2.0, 0.0]]))[0].tolist()
    [4.0]
    """

    unit: torch.Tensor
    scale: torch.Tensor

    def __init__(self, width: int, *, rank: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if at_least("rank", rank, 1) >= width:
            raise InvalidInputError(
                got=f"rank = {rank} for activations of width {width}",
                expected=f"a rank below {width}",
                next_step="pass a lower `rank`, or choose a wider site",
            )
        self.left = nn.Parameter(torch.zeros(width, rank, dtype=dtype))
        self.right = nn.Parameter(torch.zeros(width, rank, dtype=dtype))
        self.shift = nn.Parameter(torch.zeros(width, dtype=dtype))
        self.register_buffer("unit", torch.ones((), dtype=dtype))
        self.register_buffer("scale", torch.ones((), dtype=dtype))

    @property
    def rank(self) -> int:
        return self.left.shape[1]

    @property
    def width(self) -> int:
        return self.left.shape[0]

    def forward(
        self, activations: Float[torch.Tensor, "n ..."]
    ) -> tuple[Float[torch.Tensor, " n"], Float[torch.Tensor, " n"]]:
        """‖Wᵀ(a_i + b) - (a_i + b)‖² and |1 - ‖a_i‖| of each sample; their means are L_c and L_n.

        Args:
            activations: one sample's are flattened; of any precision.
        """
        with torch.autocast(activations.device.type, enabled=False):
            # a new tensor, so that a module that works in place may overwrite what was given
            a = activations.flatten(1).to(self.shift.dtype) / self.unit
            z = a + self.shift
            residual = (z @ self.left) @ self.right.T - z
            return residual.square().sum(1), (1 - torch.linalg.vector_norm(a, dim=1)).abs()

    @torch.no_grad()
    def project(
        self,
        activations: Float[torch.Tensor, "n ..."],
        *,
        method: str = "nystrom",
        generator: torch.Generator | None = None,
    ) -> None:
        """W ← V_r V_rᵀ of activations + b.

        Args:
            activations: at least r samples.
            method: one of `PROJECTIONS`.
            generator: on the CPU, for those that draw.

        Raises:
            InvalidInputError: fewer samples than r.
        """
        z = activations.flatten(1).to(self.shift.dtype) / self.unit + self.shift
        basis = PROJECTIONS[method](z, self.rank, generator=generator)
        self.left.copy_(basis)
        self.right.copy_(basis)
        self.scale.copy_(z.square().sum(1).mean())
