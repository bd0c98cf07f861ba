"""A bounded share of what passes through the layers: a fixed sample of the rows, wide layers projected at random."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int

from pnc.errors import InvalidInputError

__all__ = ["SampledFeatures"]


@dataclass(kw_only=True, eq=False)
class SampledFeatures:
    """The features of at most `most_samples` samples, the same ones at every layer, in at most `most_dimensions`.

    The samples are a uniform draw from all that pass (reservoir sampling, Vitter 1985), whatever their number. Wider
    layers are multiplied by a fixed random matrix of signs over √m, which keeps inner products up to about 1/√m
    (Achlioptas 2003). Memory: 4 · most_samples · min(width, most_dimensions) bytes a layer.

    Args:
        most_samples: rows that are kept.
        most_dimensions: columns that are kept.
        seed: of both draws.

    Raises:
        InvalidInputError: fewer than 2 samples or 1 dimension.

    >>> kept = SampledFeatures(most_samples=2, most_dimensions=3)
    >>> for first in (0, 5):
    ...     kept.take("a", torch.zeros(5, 2), torch.arange(5), first)
    >>> kept.features("a").shape, kept.projected("a")
    (torch.Size([2, 2]), False)
    """

    most_samples: int = 4096
    most_dimensions: int = 512
    seed: int = 0
    _slots: list[int] = field(default_factory=list, repr=False)
    _rows: dict[str, torch.Tensor] = field(default_factory=dict, repr=False)
    _labels: torch.Tensor = field(default_factory=lambda: torch.empty(0), repr=False)
    _projections: dict[str, torch.Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.most_samples < 2 or self.most_dimensions < 1:
            raise InvalidInputError(
                got=f"most_samples = {self.most_samples}, most_dimensions = {self.most_dimensions}",
                expected="at least 2 samples and 1 dimension",
                next_step="raise `most_samples` or `most_dimensions`",
            )
        self._generator = torch.Generator().manual_seed(self.seed)
        self._labels = torch.full((self.most_samples,), -1)

    @torch.no_grad()
    def take(self, name: str, rows: Float[torch.Tensor, "N d"], labels: Int[torch.Tensor, " N"], first: int) -> None:
        """Keep what belongs to the sample of rows `first`, `first + 1`, … of a layer.

        Args:
            name: of the layer.
            rows: (N, d) features.
            labels: (N,) of the same samples.
            first: how many samples came before.
        """
        size = len(labels)
        for i in range(len(self._slots), first + size):
            self._slots.append(i if i < self.most_samples else self._drawn(i))
        pairs = [(i, slot) for i, slot in enumerate(self._slots[first : first + size]) if slot >= 0]
        if not pairs:
            return
        # of several samples for one slot the last one stays
        last = {slot: i for i, slot in pairs}
        slots = torch.tensor(list(last))
        chosen = rows[torch.tensor(list(last.values()), device=rows.device)]
        if name not in self._rows:
            width = min(rows.shape[1], self.most_dimensions)
            self._rows[name] = torch.zeros(self.most_samples, width)
            if rows.shape[1] > width:
                own = torch.Generator().manual_seed(self.seed)
                signs = torch.randint(0, 2, (rows.shape[1], width), generator=own, dtype=torch.int8)
                self._projections[name] = (2 * signs - 1).to(rows.device)
        self._rows[name][slots] = self.reduced(name, chosen).to(device="cpu", dtype=torch.float32)
        self._labels[slots] = labels.cpu()[list(last.values())].to(self._labels.dtype)

    def reduced(self, name: str, rows: Float[torch.Tensor, "N d"]) -> Float[torch.Tensor, "N m"]:
        """Features of a layer in the dimensions that are kept of it."""
        if name not in self._projections:
            return rows
        signs = self._projections[name]
        return rows.to(torch.float32) @ signs.to(torch.float32) / math.sqrt(signs.shape[1])

    def _drawn(self, index: int) -> int:
        slot = int(torch.randint(0, index + 1, (), generator=self._generator))
        return slot if slot < self.most_samples else -1

    @property
    def seen(self) -> int:
        """Samples that passed."""
        return len(self._slots)

    def labels(self) -> Int[torch.Tensor, " n"]:
        """Labels of the samples that are kept."""
        return self._labels[: min(self.seen, self.most_samples)]

    def features(self, name: str) -> Float[torch.Tensor, "n m"]:
        """What is kept of a layer."""
        return self._rows[name][: min(self.seen, self.most_samples)]

    def projected(self, name: str) -> bool:
        """Whether a layer was too wide to be kept as it is."""
        return name in self._projections
