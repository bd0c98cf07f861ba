"""T9: how fast compression falls when training starts from PyTorch's default weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError

__all__ = ["DefaultWeightsRates", "default_weights_rates"]


@dataclass(frozen=True, kw_only=True, eq=False)
class DefaultWeightsRates:
    """First-order rates for default initial weights, ratios from layer l to l+1, l = 0…L-2; dimensionless.

    Args:
        within: (L-1,) of tr Σ_W.
        compression: (L-1,) of C_l; NaN where the layer widens, where the answer is known to fail.
        caveat: what is known of its accuracy.
    """

    within: Float[np.ndarray, " H"]
    compression: Float[np.ndarray, " H"]
    caveat: str


def default_weights_rates(
    class_sizes: Sequence[int] | np.ndarray, widths: Sequence[int], *, label_scale: float = 1.0
) -> DefaultWeightsRates:
    """Rates `C_{l+1}/C_l ≈ (d_{l+1}/d_l) / (3 (n/α²)^{1/L})` for PyTorch's default weights (theory note, T9).

    Entries uniform on `±1/√d_l` have variance `1/(3 d_l)`, so a layer multiplies within-class scatter by
    `d_{l+1}/(3 d_l)` in expectation, and training, which moves the signal alone, multiplies the between-class
    scatter by about `(n/α²)^{1/L}`. For nearly orthonormal inputs; n is the geometric mean of the class
    sizes. `default_weights_ratios` (T9') corrects it for finite width and a first layer that is not square.

    Args:
        class_sizes: (K,) n_1, …, n_K.
        widths: d_0, d_1, …, d_{L-1}: input dimension and hidden widths.
        label_scale: α.

    Raises:
        InvalidInputError: fewer than two widths, or one below 1.

    >>> rates = default_weights_rates([10, 10, 10], [300, 300, 300])
    >>> rates.within.round(6).tolist(), rates.compression.round(6).tolist()
    ([0.333333, 0.333333], [0.15472, 0.15472])
    """
    d = np.asarray(widths, dtype=np.float64)
    if d.ndim != 1 or d.size < 2 or d.min() < 1:
        raise InvalidInputError(
            got=f"widths {list(widths)}",
            expected="the input dimension and at least one hidden width, each at least 1",
            next_step="list d_0, d_1, …, d_{L-1}",
        )
    within = d[1:] / (3 * d[:-1])
    n = np.exp(np.mean(np.log(np.asarray(class_sizes, dtype=np.float64))))
    rates = within / (n / label_scale**2) ** (1 / d.size)
    return DefaultWeightsRates(
        within=within,
        compression=np.where(d[1:] > d[:-1], np.nan, rates),
        caveat=(
            "a first-order answer: within 11 % for within-class ratios and 16 % for C in trained nets of "
            "equal widths, up to 30 % off at width 50; a widening layer is left out"
        ),
    )
