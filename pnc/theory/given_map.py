"""E1: T3 for any end-to-end map, measured or predicted: no minimum norm, no convergence, any loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from pnc.curves import LayerCurve, Origin
from pnc.data.problem import Problem
from pnc.theory.compression import between_scatter, compression, within_scatter
from pnc.theory.discrimination import discrimination
from pnc.theory.layer_statistics import LayerStatistics, statistics_of_modes
from pnc.theory.separation_fuzziness import separation_fuzziness
from pnc.theory.signal import SIGNAL_MARGIN, modes_of_map

__all__ = ["map_statistics", "predict_from_map", "statistics_curve"]


def map_statistics(
    problem: Problem,
    map: Float[np.ndarray, "K d"],
    *,
    depth: int,
    residual_scale: float,
    statement: str = "E1",
) -> LayerStatistics:
    """T3's statistics for a given end-to-end map (theory note, E1).

    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> map_statistics(problem, np.eye(2, 6), depth=3, residual_scale=0.1).signal_scales.tolist()
    [1.0, 1.0]
    """
    modes = modes_of_map(problem, map, floor=SIGNAL_MARGIN * residual_scale**depth)
    return statistics_of_modes(
        problem,
        modes,
        statement=statement,
        layers=depth,
        signal_scales=modes.values ** (1 / depth),
        residual_scale=residual_scale,
        fitted=False,
    )


def predict_from_map(
    problem: Problem,
    map: Float[np.ndarray, "K d"],
    *,
    depth: int,
    residual_scale: float,
    statement: str = "E1",
    reason: str | None = None,
    further: Mapping[str, Any] | None = None,
) -> LayerCurve:
    """C_l, D_l and the rest of layers 0…L-1 of a balanced network with this end-to-end map (theory note, E1).

        Z_lᵀ Z_l = Ŷᵀ H^{l/L-1} Ŷ + ε^{2l} (G - Ŷᵀ H⁺ Ŷ),     Ŷ = M X,  H = M Mᵀ,  M = W_{L:1} P_X

    Balance (A2) and one residual scale (A3) are enough; the loss, its minimum and its norm do not enter.

    Args:
        problem: inputs and labels.
        map: (K, d) W_{L:1}; its part off the span of the inputs does not matter.
        depth: L.
        residual_scale: ε, of every direction that the map does not use; 0 for the limit in which they have died.
        statement: which statement gave the map.
        reason: why that one.
        further: what else to say of the curve.

    Returns:
        `LayerCurve` of layers 0…L-1.

    Raises:
        InvalidInputError: a map that does not act on the inputs.

    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> map = np.eye(2)[problem.y].T @ np.linalg.pinv(problem.X.T)
    >>> curve = predict_from_map(problem, map, depth=3, residual_scale=0.1)
    >>> curve.compression.round(9).tolist()
    [4.0, 0.027734451, 0.0001923]
    """
    statistics = map_statistics(problem, map, depth=depth, residual_scale=residual_scale, statement=statement)
    origin = Origin(
        kind="theory",
        statement=statement,
        reason=reason,
        samples=problem.samples,
        classes=problem.classes,
        dtype="float64",
        further={
            "signal_directions": statistics.signal_scales.size,
            "residual_scale": residual_scale,
            "dimension": problem.dimension,
            **(further or {}),
        },
    )
    return statistics_curve(statistics, origin)


def statistics_curve(statistics: LayerStatistics, origin: Origin) -> LayerCurve:
    """The curve of given statistics.

    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> statistics = map_statistics(problem, np.eye(2, 6), depth=3, residual_scale=0.1)
    >>> statistics_curve(statistics, Origin(statement="E1")).origin.statement
    'E1'
    """
    return LayerCurve(
        layers=np.arange(statistics.depth),
        compression=compression(statistics),
        discrimination=discrimination(statistics),
        within_scatter=within_scatter(statistics),
        between_scatter=between_scatter(statistics),
        separation_fuzziness=separation_fuzziness(statistics),
        origin=origin,
    )
