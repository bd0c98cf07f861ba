"""T7 as a test of shape: do the per-layer ratios of a trace never fall?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Real

from pnc.theory import moment_law

__all__ = ["TraceShape", "trace_shape"]


@dataclass(frozen=True, kw_only=True)
class TraceShape:
    """How the per-layer ratios of tr Σ_W or of tr Σ_B move.

    Args:
        ratios: m_{l+1}/m_l.
        largest_fall: by how much a ratio falls below the one before it at most, relative to it; 0 where none does.
        falls_at: layer l of the ratio m_{l+1}/m_l that falls most; `None` where none does.
        violation: the most by which any inequality of the moment law fails, Hankel matrices and Jensen included.
        holds: whether that is no more than rounding.
    """

    ratios: tuple[float, ...]
    largest_fall: float
    falls_at: int | None
    violation: float
    holds: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def trace_shape(
    layers: Real[np.ndarray, " n"], traces: Float[np.ndarray, " n"], *, rounding: float = 0.0
) -> TraceShape | None:
    """Hold a trace to the moment law (theory note, T7).

    For balanced linear layers the ratios never fall; a nonlinear network is under no such law, and the test says only
    whether its trace could be that of a linear one.

    Args:
        layers: (n,) from the layer on that counts as the input.
        traces: (n,) squared feature norm.
        rounding: largest relative error of a trace.

    Returns:
        `None` with fewer than 3 layers, a gap between them, or a trace that is not above 0.

    >>> trace_shape(np.arange(3), np.array([1.0, 0.5, 0.4])).holds
    True
    >>> trace_shape(np.arange(3), np.array([1.0, 0.5, 0.1])).falls_at
    1
    """
    if layers.size < 3 or np.any(np.diff(layers) != 1) or not np.all(np.isfinite(traces) & (traces > 0)):
        return None
    law = moment_law(traces)
    fall = -law.ratio_increases
    at = int(np.argmax(fall))
    falls = bool(fall[at] > 0)
    return TraceShape(
        ratios=tuple(law.ratios.tolist()),
        largest_fall=float(1 - law.ratios[at + 1] / law.ratios[at]) if falls else 0.0,
        falls_at=int(layers[at + 1]) if falls else None,
        violation=law.violation(),
        # an inequality has four traces in it; float64's own rounding is that of a Hankel matrix's eigenvalue
        holds=law.holds(allowance=4 * rounding + 16 * layers.size * float(np.finfo(np.float64).eps)),
    )
