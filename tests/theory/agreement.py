"""When a predicted curve and measured layers agree: one rule, used by the tests of the law and of their own
power."""

from __future__ import annotations

import numpy as np

from pnc.theory import rounding_allowance

QUANTITIES = (
    "compression",
    "discrimination",
    "within_scatter",
    "between_scatter",
    "separation_fuzziness",
)
EXACT = 1e-9


def relative_errors(curve, measured, quantity):
    """Relative error a layer (absolute for D, which may be 0), and 0 where both say that there is nothing."""
    predicted = getattr(curve, quantity)
    found = np.array([getattr(layer, quantity) for layer in measured])
    scale = np.ones(predicted.shape) if quantity == "discrimination" else np.abs(predicted)
    return np.divide(np.abs(found - predicted), scale, out=np.where(found == predicted, 0.0, np.inf), where=scale > 0)


def disagreements(curve, measured, problem, network, *, residual_projection=None, quantities=QUANTITIES):
    """What is off by more than max(1e-9, computed rounding allowance): (quantity, layer, error, allowed)."""
    off = []
    for quantity in quantities:
        allowance = rounding_allowance(problem, network, quantity=quantity, residual_projection=residual_projection)
        allowed = np.maximum(EXACT, allowance)
        errors = relative_errors(curve, measured, quantity)
        off += [(quantity, int(l), float(errors[l]), float(allowed[l])) for l in np.flatnonzero(~(errors <= allowed))]
    return off
