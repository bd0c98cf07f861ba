"""Curves along training, thinned as it goes on, so that their number does not depend on its length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from pnc.simulate.krylov import CutOff

__all__ = ["History", "Recorder"]


_LOOK_EVERY = 4  # points between looks at what coordinates leave out of the gradient


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """C_l and D_l along training.

    Args:
        time: (T,) flow time: the sum of the steps, in units of 1 / (loss per squared weight).
        loss: (T,) loss on the signal directions as a share of its start.
        compression: (T, L) of layers 0…L-1, dimensionless.
        discrimination: (T, L) of layers 0…L-1, dimensionless.
    """

    time: Float[np.ndarray, " T"]
    loss: Float[np.ndarray, " T"]
    compression: Float[np.ndarray, "T L"]
    discrimination: Float[np.ndarray, "T L"]

    def to_dict(self) -> dict[str, list]:
        return {name: value.tolist() for name, value in vars(self).items()}


class Recorder:
    """Keeps between `points` and twice as many points: when full it drops every other one and records half as often.

    Args:
        points: how many points the history should have; 0 records nothing.
        curves: weights in one row → (compression, discrimination), each (L,).
        cut_off: what follows how much of the update the coordinates leave out; `None`: nothing.
    """

    def __init__(
        self,
        points: int,
        curves: Callable[[torch.Tensor], tuple[np.ndarray, np.ndarray]],
        *,
        cut_off: CutOff | None = None,
    ) -> None:
        self.points, self._curves = points, curves
        self.cut_off = cut_off
        self._stride, self._seen = 1, 0
        self._rows: list[tuple[float, float, np.ndarray, np.ndarray]] = []

    def offer(self, y: torch.Tensor, time: float, loss: float, *, last: bool = False) -> None:
        """Record the point if its turn has come, or if it is the last."""
        if self.cut_off is not None and (last or self._seen % _LOOK_EVERY == 0):
            self.cut_off.look(y, time)
        due = self._seen % self._stride == 0
        self._seen += 1
        if not self.points or not (due or last) or (self._rows and self._rows[-1][0] == time):
            return
        if len(self._rows) >= 2 * self.points:
            del self._rows[1::2]
            self._stride *= 2
        self._rows.append((time, loss, *self._curves(y)))

    def history(self) -> History | None:
        """What was recorded, at most `points` of it: the last, the first, and others evenly between them."""
        if not self._rows:
            return None
        # from the end backward, so that a single point is the last one
        kept = np.unique(np.linspace(len(self._rows) - 1, 0, min(self.points, len(self._rows))).round().astype(int))
        time, loss, compression, discrimination = zip(*(self._rows[i] for i in kept), strict=True)
        return History(
            time=np.array(time),
            loss=np.array(loss),
            compression=np.array(compression),
            discrimination=np.array(discrimination),
        )
