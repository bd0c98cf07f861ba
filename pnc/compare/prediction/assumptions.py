"""Which of A1–A3 measured weights break, and how far from them they are."""

from __future__ import annotations

import numpy as np

from pnc.compare.limits import Limits
from pnc.theory import WeightAssumptions

__all__ = ["assumption_failures", "assumptions_in_words"]


def assumption_failures(residuals: WeightAssumptions, limits: Limits, *, residual_scale: float) -> tuple[str, ...]:
    """Which of A1–A3 measured weights break, each with the number and the limit; empty where none.

    A1: ν relative to ‖M X‖. A2: δ_l relative to ε². A3: root-mean-square distance of the residual singular values from
    ε, relative to ε; a few directions below ε, which every classifier leaves, do not count for much in a wide network.
    """
    found = []
    if not residuals.map_error_relative <= limits.map_error:
        found.append(f"A1 (minimum norm): ν/‖MX‖ = {residuals.map_error_relative:.3g}, limit {limits.map_error:.3g}")
    imbalance = float(np.nanmax(residuals.imbalance)) / residual_scale**2
    if not imbalance <= limits.imbalance:
        layer = int(np.nanargmax(residuals.imbalance)) + 1
        found.append(f"A2 (balance): δ_{layer} = {imbalance:.3g} ε², limit {limits.imbalance:.3g} ε²")
    distance = residuals.residual_distance(residual_scale) / residual_scale
    if not np.isnan(distance).all() and not np.nanmax(distance) <= limits.residual_distance:
        low, high = residuals.residual_interval
        found.append(
            f"A3 (one residual scale): singular values in [{low:.3g}, {high:.3g}], {np.nanmax(distance):.3g} ε from ε, "
            f"limit {limits.residual_distance:.3g} ε"
        )
    return tuple(found)


def assumptions_in_words(residuals: WeightAssumptions, *, residual_scale: float) -> str:
    """How far weights are from A1, A2 and A3, in one line."""
    imbalance = float(np.nanmax(residuals.imbalance)) / residual_scale**2
    distance = residuals.residual_distance(residual_scale) / residual_scale
    spread = "undefined" if np.isnan(distance).all() else f"{np.nanmax(distance):.2g} ε"
    return (
        f"A1 ν/‖MX‖ = {residuals.map_error_relative:.2g}, A2 max δ_l = {imbalance:.2g} ε², A3 distance from ε {spread}"
    )
