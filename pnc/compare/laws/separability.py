"""Where in the network the classes become separable."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pnc.compare.noted import noted_numbers
from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError

__all__ = ["Separability", "separability_onset"]


@dataclass(frozen=True, kw_only=True)
class Separability:
    """First layers whose accuracy reaches a share of the last one's; `None` where it was not measured.

    Args:
        nearest_centre: by the nearest class centre.
        linear_probe: by the linear probe.
        share: of the last layer's accuracy.
    """

    nearest_centre: int | None
    linear_probe: int | None
    share: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def separability_onset(curve: LayerCurve, *, share: float = 0.95) -> Separability:
    """The first layers whose nearest-centre and linear-probe accuracy reach a share of the last layer's.

    Args:
        curve: measured with `probes` (and `spectra`, for the linear probe).
        share: in (0, 1].

    Raises:
        InvalidInputError: a share outside (0, 1].

    >>> curve = LayerCurve(layers=[0, 1, 2], compression=[1.0] * 3, discrimination=[1.0] * 3, within_scatter=[1.0] * 3,
    ...                    between_scatter=[1.0] * 3, provenance={"nearest_centre_accuracy": [0.5, 0.96, 1.0]})
    >>> separability_onset(curve).nearest_centre
    1
    """
    if not 0 < share <= 1:
        raise InvalidInputError(
            got=f"share = {share}", expected="a share in (0, 1]", next_step="pass for instance 0.95"
        )

    def first(name: str) -> int | None:
        values = noted_numbers(curve, name)
        if None in values:
            return None
        return int(curve.layers[int(np.argmax(np.array(values) >= share * values[-1]))])

    return Separability(
        nearest_centre=first("nearest_centre_accuracy"),
        linear_probe=first("linear_probe_accuracy"),
        share=share,
    )
