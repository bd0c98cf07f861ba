"""Whether a later pass sees the samples of the first one: their deviations from the class means then cancel."""

from __future__ import annotations

import torch

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.moments import ClassMoments

__all__ = ["SameSamples"]

_CHANGED = 1e-3  # of the root of Σ(t·w)²: a single other sample of a class of n moves Σ t·w by its 1/sqrt(n)
_ROUNDING = 2.0**-20  # of means that were summed in single precision, relative to the deviations


class SameSamples:
    """Σ_i (z_i - μ_{y_i})·w of each class in a later pass, w one random direction: 0 if the samples are the same.

    Class counts are compared too. Sums only, so shares of several processes can be added.

    Args:
        moments: of the first pass, complete.
        rounding: unit of rounding of the features.

    Raises:
        InvalidInputError: from `check`, where counts or sums say that the samples are others.

    >>> x, y = torch.tensor([[0.0], [2.0], [4.0], [6.0]]), torch.tensor([0, 0, 1, 1])
    >>> moments = ClassMoments(classes=2, dimension=1).update(x, y)
    >>> same, other = SameSamples(moments), SameSamples(moments)
    >>> same.update(x, y).differs(), other.update(x[[0, 0, 2, 3]], y).differs()
    (False, True)
    """

    def __init__(self, moments: ClassMoments, *, rounding: float = torch.finfo(torch.float64).eps) -> None:
        generator = torch.Generator().manual_seed(0)  # of its own: nobody else's random numbers are drawn
        direction = torch.randn(moments.dimension, generator=generator, dtype=torch.float64)
        self._direction = (direction / direction.norm()).to(moments.device)
        self._along = moments.means @ self._direction
        self._counts = moments.counts.to(torch.float64)
        # what rounding of the features, another one in batches of another size, makes of a sum of so many
        size = torch.linalg.vector_norm(moments.means, dim=1) + (moments.squares / moments.counts.clamp(min=1)).sqrt()
        self._slack = 8 * rounding * self._counts * size
        self._sums = torch.zeros((3, moments.classes), dtype=torch.float64, device=moments.device)

    @torch.no_grad()
    def update(self, features: torch.Tensor, labels: torch.Tensor) -> SameSamples:
        """Add a batch: (N, d) features and (N,) labels."""
        y = labels.to(self._along.device)
        parts = features.split(max(1, 2**21 // features.shape[1]))
        along = torch.cat([part.to(torch.float64) @ self._direction for part in parts]) - self._along[y]
        self._sums.index_add_(1, y, torch.stack([torch.ones_like(along), along, along.square()]))
        return self

    def totals(self) -> torch.Tensor:
        """(3, K) sums: what several processes add up."""
        return self._sums

    def differs(self, totals: torch.Tensor | None = None) -> bool:
        """Whether the samples were others; `totals` of all processes where there are several."""
        count, total, square = self._sums if totals is None else totals
        limit = _CHANGED * square.sqrt() + _ROUNDING * (count * square).sqrt() + self._slack
        return bool(((count != self._counts) | (total.abs() > limit)).any())


def other_samples(layer: str) -> InvalidInputError:
    """The refusal of numbers from passes over different samples."""
    return InvalidInputError(
        got=f"other samples in the second pass than in the first, as layer {layer} shows",
        expected="the same samples in every pass: no random augmentation, no sampler that draws them anew or drops "
        "others each time, no randomness in the model",
        next_step="pass a loader that gives every sample once, unchanged, or leave out what needs a second pass "
        "(`fuzziness`, `probes`)",
    )
