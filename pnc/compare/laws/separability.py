"""Where in the network the classes become separable."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

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
    """The first layers whose nearest-centre and linear-probe accuracy, held out, reach a share of the last layer's.

    Args:
        curve: measured with `probes` (and `spectra`, for the linear probe).
        share: in (0, 1].

    Raises:
        InvalidInputError: a share outside (0, 1].

    >>> from pnc.curves import LayerNotes
    >>> curve = LayerCurve(layers=[0, 1, 2], compression=[1.0] * 3, discrimination=[1.0] * 3, within_scatter=[1.0] * 3,
    ...                    between_scatter=[1.0] * 3,
    ...                    notes=[LayerNotes(nearest_centre_accuracy=share) for share in (0.5, 0.96, 1.0)])
    >>> separability_onset(curve).nearest_centre
    1
    """
    if not 0 < share <= 1:
        raise InvalidInputError(
            got=f"share = {share}", expected="a share in (0, 1]", next_step="pass for instance 0.95"
        )

    def first(name: str) -> int | None:
        # what was fitted to the samples that it is counted on tells nothing of others: it may separate noise
        found = [[getattr(note, f"{held_out}{name}") for note in curve.notes] for held_out in ("held_out_", "")]
        accuracies = next((values for values in found if None not in values), found[1])
        values = np.array(accuracies, dtype=np.float64)  # what was not measured becomes NaN
        return None if np.isnan(values).any() else int(curve.layers[int(np.argmax(values >= share * values[-1]))])

    return Separability(
        nearest_centre=first("nearest_centre_accuracy"),
        linear_probe=first("linear_probe_accuracy"),
        share=share,
    )
