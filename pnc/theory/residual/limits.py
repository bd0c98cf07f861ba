"""R4 and R5: how linear discrimination is in a residual network, and what many blocks do in all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError
from pnc.theory.residual.growth import growth_excess
from pnc.theory.residual.spec import ResidualSpec

__all__ = ["DepthLimit", "depth_limit", "effective_depth", "remaining_angle"]


def effective_depth(samples_per_class: float, network: ResidualSpec) -> float:
    """`L_eff = m + g/(g-1)`, the depth at which D_l would reach 1 on its straight line (theory note, R4).

    Args:
        samples_per_class: n.

    Returns:
        A number of layers, above m: D_l does not reach 1 within the blocks.

    >>> effective_depth(10, ResidualSpec(depth=5)) > 4
    True
    """
    return network.blocks + 1 + 1 / _excess(samples_per_class, network)


def remaining_angle(samples_per_class: float, network: ResidualSpec) -> Float[np.ndarray, " L"]:
    """`t_l = 1 - l/L_eff`: `1 - D_l = t_l m_Ψ` to first order in θ, so t_l is the share of 1 - D_0 that is left (theory
    note, R4).

    Args:
        samples_per_class: n.

    Returns:
        (L,) for layers 0…m, dimensionless.

    >>> t = remaining_angle(10, ResidualSpec(depth=5))
    >>> float(t[0]), bool(0 < t[-1] < 1)
    (1.0, True)
    """
    return 1 - np.arange(network.depth) / effective_depth(samples_per_class, network)


@dataclass(frozen=True, kw_only=True)
class DepthLimit:
    """What all blocks together do, orthonormal data and equal classes.

    Args:
        total_compression: C_0/C_m = g^m.
        total_compression_limit: `mβ²n/(wα²)`, what it tends to for many blocks; never below it.
        total_compression_least: `exp(m/(m+1) W((m+1)β²n/α²))`, never above it.
        remaining_angle: (1 - D_m)/(1 - D_0) to first order in θ.
        remaining_angle_limit: `1/(1 + w)`.
        w: `W_Lambert(mβ²n/α²)`.
    """

    total_compression: float
    total_compression_limit: float
    total_compression_least: float
    remaining_angle: float
    remaining_angle_limit: float
    w: float


def depth_limit(samples_per_class: float, network: ResidualSpec) -> DepthLimit:
    """Total compression and remaining angle after all blocks, and their limits for many blocks (theory note, R5).

        exp(m/(m+1) W((m+1)β²n)) ≤ C_0/C_m = g^m ≤ mβ²n/w,     1 - D_m ≈ (1 - D_0)/(1 + w),     w = W_Lambert(mβ²n)

    β = 1: total compression grows as m/log m; β = 1/√m: it does not depend on depth; β = 1/m: it tends to 1.

    Args:
        samples_per_class: n.

    Raises:
        InvalidInputError: n not a finite number above 0.

    >>> limit = depth_limit(10, ResidualSpec(depth=33, block_scale=32**-0.5))
    >>> round(limit.total_compression, 3), round(limit.total_compression_limit, 3)
    (5.631, 5.729)
    """
    import scipy.special  # keeps `import pnc` light

    m = network.blocks
    drive = m * network.block_scale**2 * samples_per_class / network.label_scale**2
    w = float(scipy.special.lambertw(drive).real)
    return DepthLimit(
        total_compression=math.exp(m * math.log1p(_excess(samples_per_class, network))),
        total_compression_limit=drive / w,
        total_compression_least=math.exp(m / (m + 1) * float(scipy.special.lambertw(drive * (m + 1) / m).real)),
        remaining_angle=float(remaining_angle(samples_per_class, network)[-1]),
        remaining_angle_limit=1 / (1 + w),
        w=w,
    )


def _excess(samples_per_class: float, network: ResidualSpec) -> float:
    if not (math.isfinite(samples_per_class) and samples_per_class > 0):
        raise InvalidInputError(
            got=f"samples_per_class = {samples_per_class}",
            expected="a finite number above 0",
            next_step="pass the size of a class for `samples_per_class`",
        )
    values = np.array([math.sqrt(samples_per_class) / network.label_scale])
    return float(growth_excess(values, blocks=network.blocks, block_scale=network.block_scale)[0])
