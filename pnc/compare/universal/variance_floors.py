"""U1 and U2 against a measured spectrum: what compression says of the variance in few directions, and the slack."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pnc.curves import LayerCurve, LayerNotes
from pnc.errors import InvalidInputError
from pnc.theory import stable_rank_bound, variance_share_bound

__all__ = ["VarianceFloor", "layer_floors", "rounding_of_moments", "rounding_of_sums", "variance_floors"]

_UNIT = float(np.finfo(np.float64).eps)
_SINGLE = 1e-6
"""Of tr Σ_W and, relative to √tr Σ_W, of the class means: their error where features are narrower than float64."""


@dataclass(frozen=True, kw_only=True)
class VarianceFloor:
    """One layer: how its centred variance lies in directions, and what U1 and U2 say from C alone.

    Args:
        layer: its number.
        name: of the module, where it has one.
        compression: C.
        share: least and most that the first K-1 directions can hold of the variance; one number twice where exact.
        share_floor: 1/(1 + C), U1.
        share_rounding: by how much rounding can have moved share and floor against each other.
        stable_rank: least and most that it can be.
        stable_rank_ceiling: (1 + C)(K - 1), U2.
        stable_rank_rounding: by how much rounding can have moved stable rank and ceiling against each other.
    """

    layer: int
    name: str | None
    compression: float
    share: tuple[float, float]
    share_floor: float
    share_rounding: float
    stable_rank: tuple[float, float]
    stable_rank_ceiling: float
    stable_rank_rounding: float

    @property
    def share_margin(self) -> float:
        """By how much U1 is kept at the end of the share that is on its side, rounding allowed for."""
        return self.share[1] - self.share_floor + self.share_rounding

    @property
    def stable_rank_margin(self) -> float:
        """By how much U2 is kept at the end of the stable rank that is on its side, rounding allowed for."""
        return self.stable_rank_ceiling - self.stable_rank[0] + self.stable_rank_rounding

    @property
    def holds(self) -> bool:
        """Whether nothing measured contradicts U1 or U2; they are theorems, so that `False` means a wrong number."""
        return self.share_margin >= 0 and self.stable_rank_margin >= 0

    @property
    def share_slack(self) -> float:
        """How much more the directions hold, at least, than U1 says."""
        return self.share[0] - self.share_floor

    @property
    def stable_rank_slack(self) -> float:
        """By what factor U2 is above the stable rank, at least."""
        return self.stable_rank_ceiling / self.stable_rank[1]

    def to_dict(self) -> dict[str, Any]:
        return {
            **{name: value for name, value in vars(self).items() if not name.endswith("_rounding")},
            "share": list(self.share), "stable_rank": list(self.stable_rank), "holds": self.holds,
            "share_slack": self.share_slack, "stable_rank_slack": self.stable_rank_slack,
        }  # fmt: skip


def rounding_of_sums(curve: LayerCurve, note: LayerNotes) -> float:
    """γ = (N + d) u, the relative error of a float64 sum over N samples of d entries."""
    return ((curve.origin.samples or 0) + (note.dimension or 0)) * _UNIT


def rounding_of_moments(note: LayerNotes) -> float:
    """η, the relative error of tr Σ_W: 0 in float64, 1e-6 of narrower features, whose sums are taken in float32."""
    return 0.0 if note.dtype in (None, "float64") else _SINGLE


def layer_floors(curve: LayerCurve) -> list[VarianceFloor | None]:
    """U1 and U2 at every layer; `None` where C is undefined, or spectra were not measured."""
    classes = curve.origin.classes
    floors: list[VarianceFloor | None] = []
    for layer, C, note in zip(curve.layers.tolist(), curve.compression.tolist(), curve.notes, strict=True):
        if classes is None or note.leading_variance is None or note.ranks is None or not math.isfinite(C):
            floors.append(None)
            continue
        γ, η = rounding_of_sums(curve, note), rounding_of_moments(note)
        lost = 3 * η * (1 + math.sqrt(C)) * C / (1 + C)  # of 1 + C, relative
        floor, ceiling = float(variance_share_bound(C)), float(stable_rank_bound(C, classes))
        floors.append(
            VarianceFloor(
                layer=layer,
                name=note.name,
                compression=C,
                share=note.leading_variance,
                share_floor=floor,
                share_rounding=floor * lost + 4 * γ,
                stable_rank=note.ranks.centred.stable_rank,
                stable_rank_ceiling=ceiling,
                stable_rank_rounding=ceiling * (4 * γ + lost),
            )
        )
    return floors


def variance_floors(curve: LayerCurve) -> list[VarianceFloor]:
    """U1 and U2 at every layer of a curve measured with spectra (theory note, section 4).

    Rounding is allowed for as in `check_universal`, which takes its U1 and U2 from here. Layers whose class means
    coincide (C undefined) are left out: nothing is said of them.

    Raises:
        InvalidInputError: a curve without spectra.

    >>> import torch
    >>> from pnc.measure import measure_model
    >>> x, y = torch.tensor([[0.0, 1.0], [2.0, 0.0], [6.0, 0.0], [8.0, 1.0]]), torch.tensor([0, 0, 1, 1])
    >>> [floor] = variance_floors(measure_model(torch.nn.Sequential(torch.nn.Identity()), [(x, y)], classes=2,
    ...                                         layers=["0"], spectra=True).at([1]))
    >>> round(floor.share_floor, 4), round(floor.share[0], 4), floor.holds
    (0.878, 0.9756, True)
    """
    if any(note.leading_variance is None or note.ranks is None for note in curve.notes):
        raise InvalidInputError(
            got="a curve without singular values",
            expected="one measured with spectra",
            next_step="call measure_model(…, spectra=True)",
        )
    return [floor for floor in layer_floors(curve) if floor is not None]
