"""E4: whether the class means reach the simplex, D = K/(K-1)."""

from __future__ import annotations

import math

from pnc.errors import InvalidInputError

__all__ = [
    "cross_polytope_cost",
    "deviation_growth",
    "healing_margin",
    "losing_depth",
    "simplex_cost",
    "simplex_expected",
]


def deviation_growth(margin: float, start: float, *, classes: int, depth: int) -> float:
    """How a small departure δ from the simplex, relative to the margin, has changed between two margins (theory note,
    E4; first order in δ).

        δ/z = (δ/z)_0 (z/z_0)^{1-2/L} e^{-(z-z_0)/K}

    δ is symmetric with zero diagonal and row sums, which exists for K ≥ 4. It grows until `z = K(1-2/L)`, then heals;
    for two layers it never grows.

    Args:
        margin: z.
        start: z_0.
        classes: K.
        depth: L.

    Returns:
        The factor, dimensionless.

    Raises:
        InvalidInputError: fewer than 4 classes, a margin that is not above 0.

    >>> deviation_growth(3.0, 3.0, classes=6, depth=4)
    1.0
    """
    if classes < 4 or depth < 2 or not (margin > 0 and start > 0):
        raise InvalidInputError(
            got=f"{classes} classes, depth {depth}, margins {start} and {margin}",
            expected="at least 4 classes (with fewer there is no such departure), 2 layers and margins above 0",
            next_step="for 2 or 3 classes the simplex is the only balanced shape",
        )
    return math.exp((1 - 2 / depth) * math.log(margin / start) - (margin - start) / classes)


def healing_margin(*, classes: int, depth: int) -> float:
    """The margin from which a departure from the simplex shrinks: `z = K(1 - 2/L)` (theory note, E4; first order).

    >>> healing_margin(classes=6, depth=4), healing_margin(classes=6, depth=2)
    (3.0, 0.0)
    """
    return classes * (1 - 2 / depth)


def simplex_cost(classes: int) -> float:
    """The implicit norm Σ s^{2/L} of the simplex at margin 1: K - 1, whatever the depth (theory note, E4).

    >>> simplex_cost(4)
    3.0
    """
    return float(classes - 1)


def cross_polytope_cost(*, classes: int, depth: int) -> float:
    """The implicit norm of the cross-polytope (classes in opposite pairs, D = 1) at margin 1: `(K/2) 2^{2/L}`.

    Its K/2 singular values are 2; each pair is told apart by a direction of its own (theory note, E4; even K).

    >>> cross_polytope_cost(classes=4, depth=2)
    4.0
    """
    return classes / 2 * 2 ** (2 / depth)


def losing_depth(classes: int) -> float:
    """The depth above which the simplex costs more than the cross-polytope: `2 ln 2/ln(2(K-1)/K)` (theory note, E4).

    >>> [round(losing_depth(K), 2) for K in (4, 6, 10)]
    [3.42, 2.71, 2.36]
    """
    if classes < 3:
        return math.inf
    return 2 * math.log(2) / math.log(2 * (classes - 1) / classes)


def simplex_expected(*, classes: int, depth: int) -> bool:
    """Whether the paper's initial weights have been seen to reach the simplex: L = 2, or L = 3 with K ≤ 4 (theory note,
    E4; from simulations, no proof). K ≤ 3 have no other balanced shape.

    Elsewhere D stays below K/(K-1), and only the measured map (E1) gives it.

    >>> simplex_expected(classes=10, depth=2), simplex_expected(classes=6, depth=4)
    (True, False)
    """
    return depth == 2 or classes <= 3 or (depth == 3 and classes <= 4)
