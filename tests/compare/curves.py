"""Curves made to order."""

from __future__ import annotations

import numpy as np

from pnc.curves import LayerCurve


def curve(compression, discrimination=None, *, layers=None, between=None, **provenance):
    """A curve with these C_l and D_l; tr Σ_B is 1 unless given."""
    compression = np.asarray(compression, dtype=float)
    between = np.ones(compression.shape) if between is None else np.asarray(between, dtype=float)
    return LayerCurve(
        layers=np.arange(compression.size) if layers is None else layers,
        compression=compression,
        discrimination=np.full(compression.shape, 0.9) if discrimination is None else discrimination,
        within_scatter=compression * between,
        between_scatter=between,
        provenance=provenance,
    )
