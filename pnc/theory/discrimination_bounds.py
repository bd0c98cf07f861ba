"""T6: two-sided bounds on how discrimination grows, from the data's class geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pnc.data import Inputs
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.spec import NetworkSpec
from pnc.theory.assumptions import applicable_statements
from pnc.theory.signal import input_modes, signal_spectrum

__all__ = ["DiscriminationBounds", "discrimination_bounds", "explicit_discrimination_bound"]


@dataclass(frozen=True, kw_only=True, eq=False)
class DiscriminationBounds:
    """T6 for every layer.

    Args:
        linear: (L,) the line `1 - t m`, t = 1 - l/L, around which the bounds lie.
        lower: (L,) of D_l.
        upper: (L,) of D_l.
        steepest: m, the largest off-diagonal entry of Ψ; `1 - D_l` has slope `-m/L`.
        spread: ψ, half the range of Ψ's eigenvalues.
    """

    linear: Float[np.ndarray, " L"]
    lower: Float[np.ndarray, " L"]
    upper: Float[np.ndarray, " L"]
    steepest: float
    spread: float


def discrimination_bounds(problem: Inputs, network: NetworkSpec) -> DiscriminationBounds:
    """Bounds on D_l from `Ψ = -log(H/h)` of the data (theory note, T6, for any label scale and scale of the
    data).

    With `t = 1 - l/L`, `m = max_{k≠k'} Ψ_kk'`, `ψ = ‖Ψ‖₂`, the cosines of the signal part lie within
    `(e^{tψ} - 1 - tψ) e^{tψ} + tψ (e^{tψ} - 1)` of `t Ψ_kk'` and within `tanh(tψ)` of 0; the residual part of
    Q_l, between 0 and `r = ρ q^l` times the signal part, then turns a cosine c into one between
    `(c - r(1-c)/2) / (1 + r(1-c)/2)` and `(c + r(1+c)/2) / (1 + r(1+c)/2)`.

    Proof. h is free: it scales Q_l and drops out of every cosine, so it is put in the middle of H's spectrum
    on a log scale, which makes ψ least; α likewise (T5, with `e = ε α^{1/L}` in q). First term: theory note.
    `tanh`: two orthogonal vectors seen through a metric of condition number `κ = e^{2tψ}` have a cosine of at
        most (κ-1)/(κ+1) (Wielandt). Last
    step: an angle φ seen through a metric between 1 and 1+r becomes one with `tan²(φ/2)` at most a factor 1+r
        away
    (Wielandt again), and both ends grow with c, so they may be applied to the ends of the interval for c;
    they are within `r (1+|c|)/2` of c. ∎

    Raises:
        NotApplicableError: G singular, unequal classes, d_h < d or a direction of M that is not signal.

    >>> from pnc.data import Problem
    >>> bounds = discrimination_bounds(Problem(X=np.eye(4, 6), y=[0, 0, 1, 1]), NetworkSpec(depth=3))
    >>> bounds.lower.round(9).tolist(), bounds.upper.round(9).tolist()
    ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0])
    """
    _require("T6", problem, network)
    modes, data = signal_spectrum(problem, network), input_modes(problem)
    L, K = network.depth, problem.classes
    logs = 2 * np.log(modes.values)  # log of H's eigenvalues, up to log α²
    middle = (logs.max() + logs.min()) / 2
    Psi = (modes.left * (middle - logs)) @ modes.left.T
    m = float(Psi[~np.eye(K, dtype=bool)].max())
    ψ = float((logs.max() - logs.min()) / 2)

    l = np.arange(L)
    t = 1 - l / L
    grown = np.exp(t * ψ)
    away = (np.expm1(t * ψ) - t * ψ) * grown + t * ψ * np.expm1(t * ψ)
    most = np.tanh(t * ψ)
    smallest, largest = data.gram_smallest, data.gram_largest
    ρ = (largest - smallest) ** 2 / (4 * largest * smallest)
    # H of Y/α is the one in q, whose smallest eigenvalue is that of M M^T
    r = ρ * (network.residual_scale**2 / modes.values.min() ** (2 / L)) ** l
    high = np.clip(t * m + away, -most, most)
    low = np.clip(t * m - away, -most, most)
    gain, loss = r * (1 + high) / 2, r * (1 - low) / 2
    return DiscriminationBounds(
        linear=1 - t * m,
        lower=1 - (high + gain) / (1 + gain),
        upper=1 - (low - loss) / (1 + loss),
        steepest=m,
        spread=ψ,
    )


def explicit_discrimination_bound(
    theta: float, classes: int, samples_per_class: int, network: NetworkSpec
) -> Float[np.ndarray, " L"]:
    """Lower bound on D_l from the entrywise θ < ½ alone (theory note, T6, last display, with `e = ε α^{1/L}`
    for ε).

    `1 - D_l ≤ [a + 2θ² e^{2l} n^{-l/L} / ((1-2θ)K)] / (1-a)`, `a = (((1-θ)/(1-2θ))^t - 1)/K`, t = 1 - l/L.

    Returns:
        (L,) lower bounds on D_l; -∞ where a ≥ 1, which leaves nothing to say.

    Raises:
        InvalidInputError: θ outside [0, ½).

    >>> explicit_discrimination_bound(0.0, 3, 10, NetworkSpec(depth=3)).tolist()
    [1.0, 1.0, 1.0]
    """
    if not 0 <= theta < 0.5:
        raise InvalidInputError(
            got=f"theta = {theta}",
            expected="0 ≤ theta < 1/2",
            next_step="use discrimination_bounds, which reads the data's own class geometry",
        )
    L, K, n = network.depth, classes, samples_per_class
    l = np.arange(L)
    a = np.expm1((1 - l / L) * np.log((1 - theta) / (1 - 2 * theta))) / K
    e = network.residual_scale * network.label_scale ** (1 / L)
    residual = 2 * theta**2 * e ** (2 * l) * float(n) ** (-l / L) / ((1 - 2 * theta) * K)
    return np.where(a < 1, 1 - (a + residual) / np.where(a < 1, 1 - a, 1.0), -np.inf)


def _require(statement: str, problem: Inputs, network: NetworkSpec) -> None:
    found = applicable_statements(problem, network)[statement]
    if not found.applies:
        raise NotApplicableError(
            statement=statement,
            assumption=f"invertible G, d_h ≥ d, equal classes, all of M signal ({found.reason})",
            instead="use predict, which applies T3",
        )
