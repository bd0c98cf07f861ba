"""V5: with weight decay the minority classes die first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from pnc.errors import InvalidInputError
from pnc.theory.weight_decay.regularised_map import check_decay
from pnc.theory.weight_decay.thresholds import death_decay, escape_decay

__all__ = ["ClassFate", "MinorityCurves", "class_fates", "class_growth", "minority_curves"]

Fate = Literal["lives", "never starts", "dies"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassFate:
    """What weight decay does to each class of orthonormal data.

    Args:
        death: (K,) λ_c of each class (V3).
        escape: (K,) λ_esc of each class from its initial weights (V4); λ_c for two layers.
        order: classes in the order in which they die as λ grows, smallest classes first.
        fates: one a class at the given λ: `lives`; `never starts` (λ is between its λ_esc and its λ_c); `dies`.
    """

    death: Float[np.ndarray, " K"]
    escape: Float[np.ndarray, " K"]
    order: Int[np.ndarray, " K"]
    fates: tuple[Fate, ...]

    @property
    def living(self) -> Int[np.ndarray, " r"]:
        """Classes that are learned at the given λ."""
        return np.flatnonzero([fate == "lives" for fate in self.fates])


def class_fates(
    class_sizes: Sequence[int] | np.ndarray,
    *,
    depth: int,
    weight_decay: float,
    start: float,
    label_scale: float = 1.0,
    aligned: bool = False,
) -> ClassFate:
    """Which classes of orthonormal data live under weight decay λ, and in which order they die (theory note, V3, V5).

    `λ_{c,k} ∝ n_k^{1-1/L}`: minority classes die first. Away from both thresholds of each class.

    Args:
        class_sizes: (K,) n_1, …, n_K.
        depth: L.
        weight_decay: λ.
        start: ε of the initial weights.
        label_scale: α.
        aligned: balanced, aligned initial weights; by default orthogonal ones of a wide network (V4's heuristic part).

    Raises:
        InvalidInputError: a number out of range.

    >>> found = class_fates([50, 50, 5], depth=2, weight_decay=0.1, start=0.1)
    >>> found.order.tolist(), found.fates
    ([2, 0, 1], ('lives', 'lives', 'dies'))
    """
    check_decay(weight_decay)
    counts = _sizes(class_sizes)
    samples = int(counts.sum())
    death, escape = np.empty((2, counts.size))
    known: dict[int, tuple[float, float]] = {}
    for k, n in enumerate(counts.tolist()):
        if n not in known:
            value = math.sqrt(n) / label_scale
            dies = death_decay(value, depth=depth, samples=samples)
            starts = (
                dies if depth == 2 else escape_decay(value, depth=depth, start=start, samples=samples, aligned=aligned)
            )
            known[n] = dies, min(starts, dies)
        death[k], escape[k] = known[n]
    fates: list[Fate] = [
        "lives" if weight_decay < starts else "never starts" if weight_decay < dies else "dies"
        for starts, dies in zip(escape, death)
    ]
    return ClassFate(death=death, escape=escape, order=np.argsort(death, kind="stable"), fates=tuple(fates))


def class_growth(
    times: Float[np.ndarray, " T"],
    class_sizes: Sequence[int] | np.ndarray,
    *,
    depth: int,
    weight_decay: float,
    start: float,
    label_scale: float = 1.0,
) -> Float[np.ndarray, "T K"]:
    """Each class's scale x_k(t) in every layer, orthonormal data, balanced aligned weights (theory note, V5).

        ẋ_k = (2/N) x_k^{L-1} (√n_k/α - x_k^L) - λ x_k,     x_k(0) = ε

    Args:
        times: (T,) not negative, in units of 1 / (loss per squared weight).
        class_sizes: (K,) n_1, …, n_K.
        depth: L.
        weight_decay: λ.
        start: ε.
        label_scale: α.

    Returns:
        (T, K) of x_k.

    Raises:
        InvalidInputError: a number out of range.

    >>> x = class_growth(np.array([0.0, 1e4]), [9, 9], depth=3, weight_decay=0.0, start=0.1)
    >>> bool(np.allclose(x[1] ** 3, 3.0))
    True
    """
    from pnc.theory.dynamics import checked_times, solve_flow

    check_decay(weight_decay)
    counts, times = _sizes(class_sizes), checked_times(times)
    if not (math.isfinite(start) and start > 0):
        raise InvalidInputError(got=f"start = {start}", expected="a number above 0", next_step="raise `start`")
    targets, rate = np.sqrt(counts) / label_scale, 2 / counts.sum()

    def slope(_: float, y: np.ndarray) -> np.ndarray:  # y = log x, which dying classes take down a straight line
        x = np.exp(y)
        return rate * x ** (depth - 2) * (targets - x**depth) - weight_decay

    return np.exp(solve_flow(slope, np.full(counts.size, math.log(start)), times))


@dataclass(frozen=True, kw_only=True, eq=False)
class MinorityCurves:
    """C_l and D_l in time; D_l of orthonormal data stays 1."""

    time: Float[np.ndarray, " T"]
    scales: Float[np.ndarray, "T K"]
    compression: Float[np.ndarray, "T L"]


def minority_curves(
    times: Float[np.ndarray, " T"],
    class_sizes: Sequence[int] | np.ndarray,
    *,
    depth: int,
    weight_decay: float,
    start: float,
    label_scale: float = 1.0,
) -> MinorityCurves:
    """C_l(t) of orthonormal data with unequal classes under weight decay, balanced aligned weights (theory note, V5).

        tr Σ_B^l = Σ_k p_k (1-p_k) x_k^{2l}/n_k,     tr Σ_W^l = (ε e^{-λt})^{2l} (N-K)/N

    D_l stays 1: the collapse of a class shows in C_l alone.

    Args:
        times: as `class_growth`.
        class_sizes: (K,) n_1, …, n_K.
        depth: L.
        weight_decay: λ.
        start: ε.
        label_scale: α.

    Raises:
        InvalidInputError: a number out of range.

    >>> found = minority_curves(np.array([0.0]), [6, 3], depth=3, weight_decay=0.01, start=0.2)
    >>> bool(np.allclose(found.compression, found.compression[0, 0]))  # nothing has happened yet
    True
    """
    counts = _sizes(class_sizes)
    x = class_growth(times, counts, depth=depth, weight_decay=weight_decay, start=start, label_scale=label_scale)
    times = np.asarray(times, dtype=np.float64)
    p, l = counts / counts.sum(), np.arange(depth)
    grown = x[:, None, :] / (start * np.exp(-weight_decay * times))[:, None, None]  # no power of a small number
    between = np.sum(p * (1 - p) / counts * grown ** (2 * l[None, :, None]), axis=2)
    within = (counts.sum() - counts.size) / counts.sum()
    return MinorityCurves(time=times, scales=x, compression=within / between)


def _sizes(class_sizes: Sequence[int] | np.ndarray) -> Int[np.ndarray, " K"]:
    counts = np.asarray(class_sizes)
    if counts.ndim != 1 or counts.size < 2 or counts.min() < 1 or np.any(counts != np.floor(counts)):
        raise InvalidInputError(
            got=f"class sizes {counts.tolist()}",
            expected="at least two classes of at least one sample each",
            next_step="pass one size a class",
        )
    return counts.astype(np.int64)
