"""R7: residual blocks with two weight matrices, whitened data."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError
from pnc.theory.numerics import root_between

__all__ = ["two_matrix_growth", "two_matrix_residual"]


def two_matrix_growth(
    values: Float[np.ndarray, " r"],
    *,
    blocks: int,
    block_scale: float = 1.0,
    initial_scale: float,
    symmetric: bool = False,
) -> Float[np.ndarray, " r"]:
    """What a block `I + βW₂W₁` multiplies a signal direction of the features by (theory note, R7).

    From `W₂ = 0`, `W₁ = ε · orthogonal`:  `a = 1 + βu√(ε²+u²)`,  `c² = (2/β) asinh(u/ε) + u²`; from `W₁ = W₂ᵀ`,
    ε times orthogonal:  `a = 1 + βu²`,  `c² = (2/β) log(u/ε) + u² - ε²`; both with `c a^m = s`, c being the
    classifier's share.

    Args:
        values: (r,) singular values s of the end-to-end map.
        blocks: m.
        block_scale: β.
        initial_scale: ε.
        symmetric: whether both matrices start as ε times orthogonal, each the transpose of the other.

    Returns:
        (r,) of a, dimensionless; the signal Gram matrix grows as a² a block.

    Raises:
        InvalidInputError: no block, or a number that is not finite and above 0.

    >>> a = two_matrix_growth(np.array([2.0]), blocks=3, initial_scale=0.3)
    >>> bool(1 < a[0] < 2)
    True
    """
    s = np.asarray(values, dtype=np.float64)
    scales = (block_scale, initial_scale)
    if blocks < 1 or not (np.all(np.isfinite(s)) and np.all(s > 0)) or not all(0 < x < math.inf for x in scales):
        raise InvalidInputError(
            got=f"singular values {s.tolist()}, {blocks} blocks, scales {scales}",
            expected="finite numbers above 0 and at least one block",
            next_step="leave out directions without signal",
        )
    return np.array([_grown(value, blocks, block_scale, initial_scale, symmetric) for value in s.tolist()])


def _grown(value: float, m: int, β: float, ε: float, symmetric: bool) -> float:
    def share(w: float) -> tuple[float, float]:
        """a and c² at u = e^w ε, in the symmetric case at u² = ε² + (e^w ε)²."""
        rise = math.exp(w)
        if symmetric:
            return 1 + β * ε**2 * (1 + rise**2), math.log1p(rise**2) / β + (ε * rise) ** 2
        return 1 + β * ε**2 * rise * math.hypot(1, rise), 2 * math.asinh(rise) / β + (ε * rise) ** 2

    def excess(w: float) -> float:
        a, square = share(w)
        return math.log(square) / 2 + m * math.log(a) - math.log(value)

    low, high = -1.0, 1.0
    while excess(low) > 0:
        low *= 2
    while excess(high) < 0:
        high *= 2
    return share(root_between(excess, low, high))[0]


def two_matrix_residual(*, block_scale: float, initial_scale: float, symmetric: bool) -> float:
    """What a two-matrix block multiplies every other direction of the features by: 1, or 1 + βε² (theory note, R7).

    >>> two_matrix_residual(block_scale=1.0, initial_scale=0.5, symmetric=True)
    1.25
    """
    return 1 + block_scale * initial_scale**2 if symmetric else 1.0
