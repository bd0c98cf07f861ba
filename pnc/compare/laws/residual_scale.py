"""ε_eff: the residual scale that a deep linear network of the same compression ratio would have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError

__all__ = ["EffectiveScale", "effective_residual_scale"]


@dataclass(frozen=True, kw_only=True)
class EffectiveScale:
    """The effective residual scale with its interval.

    Args:
        value: ε_eff, dimensionless.
        lower: end of its interval; NaN where the slope has none.
        upper: the other end.
        depth: L.
        samples_per_class: n, the geometric mean of the class sizes.
        label_scale: α.
    """

    value: float
    lower: float
    upper: float
    depth: int
    samples_per_class: float
    label_scale: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def effective_residual_scale(
    slope: float,
    slope_lower: float = math.nan,
    slope_upper: float = math.nan,
    *,
    depth: int,
    samples_per_class: float | Sequence[float] | Float[np.ndarray, " K"],
    label_scale: float = 1.0,
) -> EffectiveScale:
    """ε_eff = sqrt(ratio · (n/α²)^{1/L}), the scale that T2's ratio ε² (α²/n)^{1/L} asks for.

    For a nonlinear network this is a definition by analogy, not a theorem: no singular value of its weights need be
    ε_eff. For unequal classes n is the geometric mean of their sizes (n enters as a power, so logarithms are averaged),
    and the interval is widened by the smallest and the largest, as in T5.

    Args:
        slope: of log C_l per layer.
        slope_lower: end of its interval.
        slope_upper: the other end.
        depth: L, the number of weight matrices, the classifier included.
        samples_per_class: n, or one size a class.
        label_scale: α.

    Raises:
        InvalidInputError: a depth, a class size or an α that is not above 0.

    >>> round(effective_residual_scale(math.log(0.09 / 10 ** (1 / 6)), depth=6, samples_per_class=10).value, 12)
    0.3
    """
    sizes = np.atleast_1d(np.asarray(samples_per_class, dtype=np.float64))
    if depth < 1 or sizes.size == 0 or not (np.all(sizes > 0) and 0 < label_scale < math.inf):
        raise InvalidInputError(
            got=f"depth {depth}, samples per class {sizes.tolist()}, label scale {label_scale}",
            expected="a depth of at least 1, class sizes and a label scale above 0",
            next_step="give the network's number of weight matrices and the samples of each class",
        )

    def scale(slope: float, n: float) -> float:
        return math.exp(slope / 2) * (n / label_scale**2) ** (1 / (2 * depth))

    n = float(np.exp(np.log(sizes).mean()))
    return EffectiveScale(
        value=scale(slope, n),
        lower=scale(slope_lower, float(sizes.min())),
        upper=scale(slope_upper, float(sizes.max())),
        depth=int(depth),
        samples_per_class=n,
        label_scale=float(label_scale),
    )
