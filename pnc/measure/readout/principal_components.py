"""The principal components of features: the subspace of m dimensions that holds most of their variance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.spectrum import StreamingSpectrum
from pnc.measure.arrays import as_matrix

__all__ = ["PrincipalComponents", "principal_components"]

_ENTRIES = 2**21  # float64 entries of features at a time


@dataclass(frozen=True, kw_only=True, eq=False)
class PrincipalComponents:
    """m orthonormal directions about a mean, found on some samples and applied to any.

    Args:
        mean: (d,) float64, of the samples that they were found on.
        directions: (m, d) float64, orthonormal rows, the one with most variance first.
        variances: (m,) along each, squared feature norm; of a sketch, lower bounds.
        total: tr of the covariance, the variance of all directions together.
    """

    mean: Float[torch.Tensor, " d"]
    directions: Float[torch.Tensor, "m d"]
    variances: Float[torch.Tensor, " m"]
    total: float

    @property
    def dimensions(self) -> int:
        """m."""
        return self.directions.shape[0]

    def first(self, dimensions: int) -> PrincipalComponents:
        """The first m of them."""
        return replace(self, directions=self.directions[:dimensions], variances=self.variances[:dimensions])

    @torch.no_grad()
    def scores(self, features: Any) -> Float[torch.Tensor, "N m"]:
        """V (z - z̄) of each of (N, …) samples, flattened to (N, d); float64.

        Raises:
            InvalidInputError: another dimension.
        """
        x = as_matrix(features, device=self.mean.device)
        if x.shape[1] != self.mean.numel():
            raise InvalidInputError(
                got=f"features of dimension {x.shape[1]}",
                expected=f"dimension {self.mean.numel()}, as the components were found in",
                next_step="project the layer that they were found on",
            )
        rows = max(1, _ENTRIES // x.shape[1])
        return torch.cat([(part.to(torch.float64) - self.mean) @ self.directions.mT for part in x.split(rows)])

    @torch.no_grad()
    def reconstruct(self, scores: Float[torch.Tensor, "N m"]) -> Float[torch.Tensor, "N d"]:
        """z̄ + Vᵀ scores: the points of the subspace, float64.

        >>> components = principal_components(StreamingSpectrum(dimension=2).update([[0.0, 1.0], [4.0, 1.0]]), 1)
        >>> components.reconstruct(components.scores([[3.0, 9.0]])).tolist()
        [[3.0, 1.0]]
        """
        return self.mean + scores @ self.directions


def principal_components(spectrum: StreamingSpectrum, dimensions: int) -> PrincipalComponents:
    """The first m principal components of features that a `StreamingSpectrum` has seen.

    Right singular vectors of its factor B. Exact where B is; where it is a sketch, the m directions hold at least the
    variance that `variances` says, and `variance_curve` bounds how much the best m hold.

    Args:
        dimensions: m, from 1 to the number of rows of B.

    Raises:
        InvalidInputError: no such number of directions.

    >>> spectrum = StreamingSpectrum(dimension=3).update([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    >>> found = principal_components(spectrum, 2)
    >>> found.variances.numpy().round(9).tolist(), round(found.total, 9)
    ([2.0, 0.666666667], 2.666666667)
    """
    factor = spectrum.factor(centred=True)
    most = min(factor.shape)
    if not 1 <= dimensions <= most:
        raise InvalidInputError(
            got=f"{dimensions} dimensions",
            expected=f"1 to {most}, the directions that {spectrum.samples} samples in dimension {spectrum.dimension} "
            "were kept in",
            next_step="ask for fewer dimensions, give more samples or a larger sketch",
        )
    _, values, rows = torch.linalg.svd(factor, full_matrices=False)
    return PrincipalComponents(
        mean=spectrum.mean.clone(),
        directions=rows[:dimensions].contiguous(),
        variances=values[:dimensions] ** 2 / spectrum.samples,
        total=float(factor.square().sum() + spectrum.missing) / spectrum.samples,
    )
