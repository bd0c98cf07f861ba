"""V3 and V4: the weight decay at which a direction dies, and the one above which it never starts."""

from __future__ import annotations

import math

import numpy as np

from pnc.data.problem import Problem
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.theory.numerics import StopAtZero, root_between
from pnc.theory.weight_decay.regularised_map import regularised_map

__all__ = ["death_decay", "escape_decay", "first_death", "surviving_value", "value_at_death"]


def death_decay(value: float, *, depth: int, samples: int, input_scale: float = 1.0) -> float:
    """The weight decay at which a direction of whitened data dies (theory note, V3).

        λ_c = (2/N) s*^{2-2/L} · L/(2L-2) · ((L-2)/(2L-2))^{1-2/L}

    Args:
        value: s*, the singular value of (Y/α) X⁺; √n_k/α for class k of orthonormal data.
        depth: L.
        samples: N.
        input_scale: squared singular value of the data along the direction; 1 for `XXᵀ = I`.

    Raises:
        InvalidInputError: a number out of range.

    >>> round(death_decay(2.0, depth=2, samples=8), 12)  # L = 2: (2/N) s*
    0.5
    """
    _check(value, depth, samples, input_scale)
    L = depth
    hill = L / (2 * L - 2) * ((L - 2) / (2 * L - 2)) ** (1 - 2 / L)  # 0⁰ = 1 for L = 2
    return 2 * input_scale / samples * value ** (2 - 2 / L) * hill


def value_at_death(value: float, *, depth: int) -> float:
    """The singular value from which a direction jumps to 0 as λ passes λ_c: `s*(L-2)/(2L-2)` (theory note, V3).

    0 for L = 2, where it dies continuously.

    >>> value_at_death(3.0, depth=3)
    0.75
    """
    return value * (depth - 2) / (2 * depth - 2)


def surviving_value(value: float, *, depth: int, samples: int, weight_decay: float, input_scale: float = 1.0) -> float:
    """The singular value that a direction of whitened data comes to under weight decay λ (theory note, V1 and V3).

    The larger root of `(2/N)(s - s*) + λ s^{2/L-1} = 0`; 0 where λ is above λ_c.

    Args:
        value: s*.
        depth: L.
        samples: N.
        weight_decay: λ.
        input_scale: as for `death_decay`.

    >>> surviving_value(2.0, depth=2, samples=8, weight_decay=0.25)
    1.0
    >>> surviving_value(2.0, depth=4, samples=8, weight_decay=10.0)
    0.0
    """
    _check(value, depth, samples, input_scale)
    if weight_decay >= death_decay(value, depth=depth, samples=samples, input_scale=input_scale):
        return 0.0
    if weight_decay == 0:
        return value
    pull = weight_decay * samples / (2 * input_scale)
    if depth == 2:
        return value - pull
    return root_between(lambda s: (value - s) * s ** (1 - 2 / depth) - pull, value_at_death(value, depth=depth), value)


def first_death(problem: Problem, *, depth: int, label_scale: float = 1.0, tolerance: float = 1e-4) -> float:
    """The smallest weight decay at which M_λ of any data loses a direction, by bisection (theory note, V3).

    For data that are not white the scalar formula can be far off.

    Args:
        problem: inputs and labels.
        depth: L.
        label_scale: α.
        tolerance: relative.

    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 1, 1, 1, 1])
    >>> found = first_death(problem, depth=3)
    >>> bool(np.isclose(found, death_decay(np.sqrt(2), depth=3, samples=6), rtol=1e-3))
    True
    """

    def dies(decay: float) -> bool:
        return regularised_map(problem, depth=depth, weight_decay=decay, label_scale=label_scale).lost > 0

    free = regularised_map(problem, depth=depth, weight_decay=0.0, label_scale=label_scale)
    guess = death_decay(float(free.values[-1]), depth=depth, samples=problem.samples)
    low, high = 0.0, guess
    while not dies(high):
        low, high = high, 2 * high
    while high - low > tolerance * high:
        middle = (low + high) / 2
        low, high = (low, middle) if dies(middle) else (middle, high)
    return (low + high) / 2


def escape_decay(
    value: float, *, depth: int, start: float, samples: int, input_scale: float = 1.0, aligned: bool = False
) -> float:
    """The weight decay above which training never leaves the neighbourhood of zero weights (theory note, V4).

    Aligned weights: `λ_esc = (2/N)(s* - ε^L) ε^{L-2}`, exact. The paper's orthogonal weights: the 2 × 2 plane of Y1
    with decay, integrated and bisected (0.83, 0.78, 0.76 times the aligned one for L = 3, 4, 5 as ε → 0). That part is
    a heuristic: it treats each direction alone and in wide networks; measured thresholds lie 4–10 % around it.

    Args:
        value: s*.
        depth: L, at least 3: two layers have no such threshold apart from λ_c.
        start: ε.
        samples: N.
        input_scale: as for `death_decay`.
        aligned: balanced, aligned initial weights; by default orthogonal ones of a wide network.

    Raises:
        InvalidInputError: a number out of range, an ε that hides the direction.
        NotApplicableError: two layers.

    >>> λ = escape_decay(2.0, depth=4, start=0.1, samples=8, aligned=True)
    >>> round(λ, 12)
    0.00499975
    >>> round(escape_decay(2.0, depth=4, start=0.1, samples=8) / λ, 2)
    0.78
    """
    _check(value, depth, samples, input_scale)
    if depth < 3:
        raise NotApplicableError(
            statement="V4", assumption="at least three layers", instead="use death_decay (V3): L = 2 escapes below it"
        )
    if not (math.isfinite(start) and 0 < start**depth < value):
        raise InvalidInputError(
            got=f"start = {start} for a target of {value:g}",
            expected="a scale above 0 with start**depth below the target",
            next_step="lower `start`",
        )
    bound = 2 * input_scale / samples * (value - start**depth) * start ** (depth - 2)
    if aligned:
        return bound
    low, high = 0.5, 1.1
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (
            (middle, high)
            if _escapes(value, depth, start, middle * bound * samples / (2 * input_scale))
            else (
                low,
                middle,
            )
        )
    return (low + high) / 2 * bound


def _escapes(value: float, depth: int, start: float, decay: float) -> bool:
    """Whether a direction in its plane learns its target, or its product falls for good; time in units of N/(2λ_X)."""
    import scipy.integrate  # keeps `import pnc` light

    from pnc.theory.dynamics import plane_flow, plane_start, plane_weights

    def slope(_: float, y: np.ndarray) -> np.ndarray:
        return plane_flow(y, value, depth) - decay * y

    def product(y: np.ndarray) -> float:
        hidden, row = plane_weights(y, depth)
        return float(row @ np.linalg.multi_dot([*hidden[::-1], np.array([1.0, 0.0])]))

    goal = value_at_death(value, depth=depth)

    learned = StopAtZero(lambda y: product(y) - goal)
    least = 0.05 * float(np.linalg.norm(plane_start(depth, start)))
    faded = StopAtZero(lambda y: float(np.linalg.norm(y)) - least)
    found = scipy.integrate.solve_ivp(
        slope,
        (0.0, 1e3 / decay),
        plane_start(depth, start),
        method="LSODA",
        rtol=1e-8,
        atol=1e-12 * start,
        events=(learned, faded),
    )
    return bool(found.t_events[0].size)


def _check(value: float, depth: int, samples: int, input_scale: float) -> None:
    if not (math.isfinite(value) and value > 0 and depth >= 2 and samples >= 1 and input_scale > 0):
        raise InvalidInputError(
            got=f"value {value}, depth {depth}, {samples} samples, input scale {input_scale}",
            expected="numbers above 0 and at least two layers",
            next_step="leave out directions without signal",
        )
