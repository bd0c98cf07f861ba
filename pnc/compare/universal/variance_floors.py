"""U1 and U2 against a measured spectrum: what compression says of the variance in few directions, and the slack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pnc.curves import LayerCurve
from pnc.measure import curve_spectra, variance_curve
from pnc.theory import stable_rank_bound, variance_share_bound

__all__ = ["VarianceFloor", "variance_floors"]

_ROUNDING = 4e-6  # relative, of scatters: what sums of float32 deviations keep, see `RunningMoments`


@dataclass(frozen=True, kw_only=True)
class VarianceFloor:
    """One layer: how its centred variance lies in directions, and what U1 and U2 say from C alone.

    Args:
        layer: its number.
        name: of the module.
        compression: C.
        share: least and most that the first K-1 directions can hold of the variance; one number twice where exact.
        share_floor: 1/(1 + C), U1.
        stable_rank: least and most that it can be.
        stable_rank_ceiling: (1 + C)(K - 1), U2.
    """

    layer: int
    name: str
    compression: float
    share: tuple[float, float]
    share_floor: float
    stable_rank: tuple[float, float]
    stable_rank_ceiling: float

    @property
    def holds(self) -> bool:
        """Whether nothing measured contradicts U1 or U2; they are theorems, so that `False` means a wrong number."""
        return (
            self.share[1] >= self.share_floor * (1 - _ROUNDING)
            and self.stable_rank[0] <= self.stable_rank_ceiling * (1 + _ROUNDING)
        )  # fmt: skip

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
            **vars(self), "share": list(self.share), "stable_rank": list(self.stable_rank), "holds": self.holds,
            "share_slack": self.share_slack, "stable_rank_slack": self.stable_rank_slack,
        }  # fmt: skip


def variance_floors(curve: LayerCurve) -> list[VarianceFloor]:
    """U1 and U2 at every layer of a curve measured with spectra (theory note, section 4).

    Layers whose class means coincide (C undefined) are left out: nothing is said of them.

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
    spectra, classes = curve_spectra(curve, centred=True), curve.provenance["classes"]
    floors = []
    for layer, name, c, spectrum in zip(
        curve.layers.tolist(), curve.provenance["names"], curve.compression.tolist(), spectra, strict=True
    ):
        if np.isnan(c):
            continue
        lower, upper = variance_curve(spectrum)
        place = min(classes - 1, lower.size) - 1
        floors.append(
            VarianceFloor(
                layer=layer,
                name=name,
                compression=c,
                share=(float(lower[place]), float(upper[place])),
                share_floor=float(variance_share_bound(c)),
                stable_rank=spectrum.stable_rank(),
                stable_rank_ceiling=float(stable_rank_bound(c, classes)),
            )
        )
    return floors
