"""How close is close enough: the limits of a comparison, all of them options, all of them printed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from pnc.errors import InvalidInputError

__all__ = ["Limits"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits within which theory and measurement agree and the assumptions count as satisfied.

    Args:
        compression: largest relative error of C_l.
        discrimination: largest error of D_l, as a share of the change of D that is predicted over the layers; rounding
            and ν come on top. Of weights that are known to be off the ideal: largest error of 1 - D_l, relative to its
            prediction …
        discrimination_floor: … plus this.
        map_error: largest ν relative to ‖M X‖ on the signal directions (A1).
        imbalance: largest δ_l relative to ε², over l = 1…L-1 (A2). Orthogonal initial weights start with up to 1 at the
            classifier, which gradient flow conserves.
        residual_distance: largest root-mean-square distance of a layer's residual singular values from ε, relative to
            ε (A3). K of them end below ε whatever the width, which few others dilute in a narrow network.

    Raises:
        InvalidInputError: a limit that is not a number above 0.

    >>> Limits().compression
    0.1
    """

    compression: float = 0.10
    discrimination: float = 0.10
    discrimination_floor: float = 0.005
    map_error: float = 1e-3
    imbalance: float = 1.5
    residual_distance: float = 0.25

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                raise InvalidInputError(
                    got=f"limit {field.name} = {value}",
                    expected="a finite number above 0",
                    next_step="pass a larger limit, or leave it out for the default",
                )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
