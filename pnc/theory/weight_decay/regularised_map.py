"""V1: the end-to-end map that descent with weight decay comes to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pnc.data.problem import Problem
from pnc.errors import InvalidInputError
from pnc.theory.signal import data_modes

__all__ = ["RegularisedMap", "check_decay", "regularised_map"]

_DEAD = 1e-5  # share of the largest singular value below which a direction is taken to be dying
_MOST_SWEEPS = 20_000
_STILL = 1e-14  # relative change of a sweep at which the iteration has arrived


def check_decay(weight_decay: float) -> None:
    """Refuse a weight decay that is negative or not finite.

    Raises:
        InvalidInputError: that.

    >>> check_decay(0.1)
    """
    if not (math.isfinite(weight_decay) and weight_decay >= 0):
        raise InvalidInputError(
            got=f"weight_decay = {weight_decay}",
            expected="0 or a finite number above",
            next_step="set `weight_decay` to 0 or more",
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class RegularisedMap:
    """M_λ, and how well it solves its equation.

    Args:
        map: (K, d) M_λ, in labels per feature.
        values: (r,) its singular values, descending; r directions live.
        lost: how many directions of the undecayed map (Y/α) X⁺ have died.
        defect: ‖(2/N)(M XXᵀ - (Y/α)Xᵀ) + λ (MMᵀ)^{1/L-1}M‖ on the living directions, relative to ‖(2/N)(Y/α)Xᵀ‖.
    """

    map: Float[np.ndarray, "K d"]
    values: Float[np.ndarray, " r"]
    lost: int
    defect: float


def regularised_map(
    problem: Problem, *, depth: int, weight_decay: float, label_scale: float = 1.0, start: np.ndarray | None = None
) -> RegularisedMap:
    """The map M_λ that a balanced network of depth L comes to under weight decay λ (theory note, V1).

        (2/N) (M XXᵀ - (Y/α) Xᵀ) + λ (MMᵀ)^{1/L-1} M = 0

    Whitened data: `(2/N)(s - s*) + λ s^{2/L-1} = 0` for each singular value, the larger root. It is a stationary point
    of `‖MX - Y/α‖²/N + (λL/2) Σ s^{2/L}`, not convex for L ≥ 3: what is returned is the one that the undecayed map
    leads to. It is found by reweighted least squares in turn on the left and on the right singular vectors: with one
    side alone a map that loses rank is missed.

    Args:
        problem: inputs and labels.
        depth: L.
        weight_decay: λ.
        label_scale: α.
        start: (K, d) map to begin from; by default the undecayed one.

    Raises:
        InvalidInputError: a negative λ, fewer than 2 layers.

    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> found = regularised_map(problem, depth=2, weight_decay=0.1)
    >>> found.values.round(9).tolist()  # L = 2: s* - λN/2
    [1.432050808, 1.432050808]
    """
    check_decay(weight_decay)
    if depth < 2:
        raise InvalidInputError(got=f"depth = {depth}", expected="at least 2", next_step="raise `depth`")
    data = data_modes(problem)
    g = data.singular_values**2
    B = data.class_sums_left * data.singular_values / label_scale  # (Y/α) Xᵀ in the data's basis
    free = B / g
    top = np.linalg.svd(free, compute_uv=False)
    before = int(np.count_nonzero(top > _DEAD * top[0]))
    M = free if start is None else np.asarray(start, dtype=np.float64) @ data.right
    strength, power = problem.samples * weight_decay / 2, 2 / depth - 2
    M = _iterate(M, B, g, strength, power, float(top[0])) if weight_decay > 0 else free
    U, s, V = np.linalg.svd(M, full_matrices=False)
    keep = s > _DEAD * top[0]
    U, s, V = U[:, keep], s[keep], V[keep]
    penalty = (U * (strength * s ** (power + 1))) @ V
    gap = (U * s) @ V * g - B + penalty
    gap = U @ (U.T @ gap) + (gap - U @ (U.T @ gap)) @ V.T @ V  # a dead direction obeys an inequality only
    return RegularisedMap(
        map=((U * s) @ V) @ data.right.T,
        values=s,
        lost=before - int(s.size),
        defect=float(np.linalg.norm(gap) / np.linalg.norm(B)),
    )


def _iterate(M: np.ndarray, B: np.ndarray, g: np.ndarray, strength: float, power: float, top: float) -> np.ndarray:
    for _ in range(_MOST_SWEEPS):
        U, s, V = np.linalg.svd(M, full_matrices=False)
        alive = s > _DEAD * top
        if not alive.any():
            return np.zeros_like(M)
        U, weight = U[:, alive], strength * s[alive] ** power
        left = U @ ((U.T @ B) / (g + weight[:, None]))
        _, s, V = np.linalg.svd(left, full_matrices=False)
        alive = s > _DEAD * top
        if not alive.any():
            return np.zeros_like(M)
        V, weight = V[alive], strength * s[alive] ** power
        new = B @ V.T @ np.linalg.solve((V * g) @ V.T + np.diag(weight), V)
        moved = float(np.linalg.norm(new - M))
        M = new
        if moved <= _STILL * top:
            break
    return M
