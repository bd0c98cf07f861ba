"""Textbook theorems that the proofs use: exact hypotheses, a check of them, a stress test, and what breaks without one.

A proof step names one, hands over the instances at its own point of use, and `applied` then verifies three things:
the hypotheses hold on those instances (exactly), the conclusion holds on them and on random ones (with balls), and an
instance with one hypothesis dropped violates the conclusion, so that the hypothesis is really needed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, arb_mat, fmpq, fmpq_mat

from .balls import (
    at_most,
    ball,
    ball_matrix,
    certainly_psd,
    decided,
    eigenvalues,
    exactly_zero,
    frobenius_square,
    identity,
    root,
    trace,
)
from .instances import columns, diagonal, orthogonal, random_matrix
from .ledger import Evidence, Scope, both, discharged, undecided
from .quantities import moments

__all__ = [
    "CHAN",
    "CHEBYSHEV",
    "GERSHGORIN",
    "JENSEN",
    "JENSEN_POWER",
    "KY_FAN",
    "LOEWNER_HEINZ",
    "MARSHALL_OLKIN",
    "PENROSE",
    "ROOT_UNIQUE",
    "SPECTRAL_ORDER",
    "STANDARD_MODEL",
    "STIELTJES",
    "SUBMULTIPLICATIVE",
    "WIELANDT",
    "Classical",
    "applied",
    "matrix_power",
]

Comparison = tuple[str, arb | fmpq, arb | fmpq]


@dataclass(frozen=True, kw_only=True)
class Classical:
    """A theorem from the literature.

    Args:
        name: what it is called.
        references: BibTeX keys.
        hypotheses: exactly what it asks.
        conclusion: exactly what it gives.
        holds: whether an instance satisfies the hypotheses, decided exactly.
        compares: (name, smaller side, larger side) that the conclusion orders on an instance.
        sample: a random instance that satisfies the hypotheses.
        dropped: the hypothesis left out in the failing variant.
        breaker: an instance that violates that hypothesis.
    """

    name: str
    references: tuple[str, ...]
    hypotheses: tuple[str, ...]
    conclusion: str
    holds: Callable[[Any], bool]
    compares: Callable[[Any], Iterable[Comparison]]
    sample: Callable[[random.Random], Any]
    dropped: str
    breaker: Callable[[], Any]


def applied(theorem: Classical, scope: Scope, uses: Sequence[Any]) -> Evidence:
    """Evidence that a theorem applies at its point of use, holds there and under stress, and needs what it asks."""
    for number, instance in enumerate(uses):
        if not theorem.holds(instance):
            return undecided(f"{theorem.name}: hypotheses fail at point of use {number + 1}")
    rng = scope.rng(theorem.name)
    stress = [theorem.sample(rng) for _ in range(scope.count(12, 240, 960))]
    if not all(theorem.holds(instance) for instance in stress):
        return undecided(f"{theorem.name}: a stress instance is out of its hypotheses")
    used = at_most((c for i in uses for c in theorem.compares(i)), noun="comparisons at the point of use")
    tried = at_most((c for i in stress for c in theorem.compares(i)), noun="stress comparisons")
    broken = theorem.breaker()
    fails = at_most(theorem.compares(broken))
    if theorem.holds(broken) or fails.status.value != "REFUTED":
        return undecided(f"{theorem.name}: dropping '{theorem.dropped}' was not shown to break it")
    where = used if uses else discharged("no instance of its own")
    done = both(where, tried)
    if not done.holds:
        return done
    return discharged(
        f"{theorem.name}: hypotheses ({'; '.join(theorem.hypotheses)}) hold exactly at {len(uses)} points of use; "
        f"conclusion holds there and on {len(stress)} stress instances; without '{theorem.dropped}' it fails"
    )


def _symmetric(matrix: fmpq_mat) -> bool:
    return exactly_zero(matrix - matrix.transpose())


def _random_psd(size: int, rng: random.Random) -> fmpq_mat:
    factor = random_matrix(size, size, rng)
    return factor * factor.transpose() + identity(size) * fmpq(1, 10)


# --- Gershgorin -----------------------------------------------------------------------------------------------------


def _gershgorin_sample(rng: random.Random) -> tuple[fmpq_mat, fmpq]:
    size = rng.randint(2, 5)
    matrix = random_matrix(size, size, rng)
    matrix = matrix + matrix.transpose()
    bound = max(sum((abs(matrix[i, j]) for j in range(size)), start=fmpq(0)) for i in range(size))
    return matrix, bound


GERSHGORIN = Classical(
    name="Gershgorin",
    references=("gershgorin1931", "horn2013matrix"),
    hypotheses=("A real symmetric", "every row sum of |A| is ≤ θ"),
    conclusion="‖A‖₂ ≤ θ",
    holds=lambda i: (
        _symmetric(i[0])
        and all(sum((abs(i[0][a, b]) for b in range(i[0].ncols())), start=fmpq(0)) <= i[1] for a in range(i[0].nrows()))
    ),
    compares=lambda i: [
        decided("θ²I - AᵀA ≥ 0", certainly_psd(identity(i[0].ncols()) * i[1] ** 2 - i[0].transpose() * i[0]))
    ],
    sample=_gershgorin_sample,
    dropped="A symmetric",
    breaker=lambda: (fmpq_mat(2, 2, [1, 0, 1, 0]), fmpq(1)),
)


# --- functions of a symmetric matrix on an interval that contains its spectrum ---------------------------------------


def _spectral_sample(rng: random.Random) -> tuple[fmpq_mat, fmpq, fmpq]:
    size = rng.randint(2, 5)
    q = orthogonal(size, rng)
    values = [fmpq(rng.randint(4, 16), 10) for _ in range(size)]
    return q * diagonal(values) * q.transpose(), min(values), max(values)


def _kantorovich_gap(i: tuple[fmpq_mat, fmpq, fmpq]) -> fmpq_mat:
    gram, low, high = i
    return identity(gram.nrows()) * (low + high) - gram - gram.inv() * (low * high)


SPECTRAL_ORDER = Classical(
    name="functional calculus",
    references=("bhatia1997matrix",),
    hypotheses=("G real symmetric", "spectrum of G inside [m, M], m > 0"),
    conclusion="f ≥ 0 on [m, M] gives f(G) ≥ 0; here f(λ) = m + M - λ - mM/λ",
    holds=lambda i: (
        _symmetric(i[0])
        and i[1] > 0
        and bool(certainly_psd(i[0] - identity(i[0].nrows()) * i[1]))
        and bool(certainly_psd(identity(i[0].nrows()) * i[2] - i[0]))
    ),
    compares=lambda i: [decided("f(G) ≥ 0", certainly_psd(_kantorovich_gap(i)))],
    sample=_spectral_sample,
    dropped="spectrum inside [m, M]",
    breaker=lambda: (diagonal([1, 3]), fmpq(1), fmpq(2)),
)


# --- Marshall-Olkin -------------------------------------------------------------------------------------------------


def _compressed(i: tuple[fmpq_mat, fmpq_mat, fmpq, fmpq]) -> list[Comparison]:
    gram, frame, low, high = i
    top = frame.transpose() * gram * frame
    bottom = (frame.transpose() * gram.inv() * frame).inv()
    factor = (low + high) ** 2 / (4 * low * high)
    return [
        decided("EᵀGE ≤ κ (EᵀG⁻¹E)⁻¹", certainly_psd(bottom * factor - top)),
        decided("EᵀGE ≥ (EᵀG⁻¹E)⁻¹", certainly_psd(top - bottom)),
    ]


def _marshall_sample(rng: random.Random) -> tuple[fmpq_mat, fmpq_mat, fmpq, fmpq]:
    gram, low, high = _spectral_sample(rng)
    size = gram.nrows()
    return gram, columns(orthogonal(size, rng), 0, rng.randint(1, size - 1)), low, high


MARSHALL_OLKIN = Classical(
    name="Marshall-Olkin (matrix Kantorovich)",
    references=("marshall1990matrix",),
    hypotheses=("G symmetric, mI ≤ G ≤ MI, m > 0", "EᵀE = I"),
    conclusion="(EᵀG⁻¹E)⁻¹ ≤ EᵀGE ≤ (m+M)²/(4mM) (EᵀG⁻¹E)⁻¹",
    holds=lambda i: (
        SPECTRAL_ORDER.holds((i[0], i[2], i[3])) and exactly_zero(i[1].transpose() * i[1] - identity(i[1].ncols()))
    ),
    compares=_compressed,
    sample=_marshall_sample,
    dropped="EᵀE = I",
    breaker=lambda: (diagonal([1, 2]), fmpq_mat(2, 1, [2, 0]), fmpq(1), fmpq(2)),
)


# --- Ky Fan ---------------------------------------------------------------------------------------------------------


def _ky_fan(i: tuple[fmpq_mat, fmpq_mat]) -> list[Comparison]:
    matrix, projector = i
    top = sum(eigenvalues(matrix)[-projector.rank() :], start=arb(0))
    return [("tr PS ≤ λ_1 + … + λ_k", ball(trace(projector * matrix)), top)]


def _ky_fan_sample(rng: random.Random) -> tuple[fmpq_mat, fmpq_mat]:
    size = rng.randint(2, 5)
    matrix = random_matrix(size, size, rng)
    frame = columns(orthogonal(size, rng), 0, rng.randint(1, size - 1))
    return matrix + matrix.transpose(), frame * frame.transpose()


KY_FAN = Classical(
    name="Ky Fan",
    references=("fan1949theorem", "bhatia1997matrix"),
    hypotheses=("S real symmetric", "P = Pᵀ = P² of rank k"),
    conclusion="tr PS ≤ sum of the k largest eigenvalues of S",
    holds=lambda i: _symmetric(i[0]) and _symmetric(i[1]) and exactly_zero(i[1] * i[1] - i[1]),
    compares=_ky_fan,
    sample=_ky_fan_sample,
    dropped="P = P²",
    breaker=lambda: (diagonal([3, 1]), diagonal([2, 0])),
)


# --- Löwner-Heinz and the enclosure of matrix roots -----------------------------------------------------------------


def _loewner(i: tuple[fmpq_mat, fmpq_mat, Fraction]) -> list[Comparison]:
    small, large, power = i
    if power.denominator == 1:
        gap = large * large - small * small
        return [decided("A^s ≤ B^s", certainly_psd(gap))]
    lower, upper = (root(m, power.denominator) for m in (small, large))
    total_low, total_high = lower, upper
    for _ in range(power.numerator - 1):
        total_low, total_high = total_low * lower, total_high * upper
    difference = total_high - total_low
    size = difference.nrows()
    entries = [(difference[a, b] + difference[b, a]) / 2 for a in range(size) for b in range(size)]
    return [("λ_min(B^s - A^s) ≥ 0", arb(0), eigenvalues(arb_mat(size, size, entries))[0])]


def _loewner_sample(rng: random.Random) -> tuple[fmpq_mat, fmpq_mat, Fraction]:
    size = rng.randint(2, 4)
    small = _random_psd(size, rng)
    return small, small + _random_psd(size, rng), Fraction(rng.randint(1, 3), 4)


LOEWNER_HEINZ = Classical(
    name="Löwner-Heinz",
    references=("loewner1934", "heinz1951"),
    hypotheses=("0 < A ≤ B symmetric", "0 ≤ s ≤ 1"),
    conclusion="A^s ≤ B^s; hence ‖A^s - B^s‖ ≤ s m^{s-1} ‖A - B‖ for A, B ≥ m",
    holds=lambda i: bool(certainly_psd(i[0], strictly=True)) and bool(certainly_psd(i[1] - i[0])) and 0 <= i[2] <= 1,
    compares=_loewner,
    sample=_loewner_sample,
    dropped="s ≤ 1",
    breaker=lambda: (fmpq_mat(2, 2, [2, 1, 1, 2]), fmpq_mat(2, 2, [4, 1, 1, 2]) * fmpq(1), Fraction(2)),
)


# --- one positive root ----------------------------------------------------------------------------------------------


def matrix_power(matrix: fmpq_mat, exponent: int) -> fmpq_mat:
    total = identity(matrix.nrows())
    for _ in range(exponent):
        total = total * matrix
    return total


def _roots_sample(rng: random.Random) -> tuple[fmpq_mat, fmpq_mat, int]:
    size = rng.randint(2, 4)
    frame = orthogonal(size, rng)
    values = [fmpq(rng.randint(1, 9), 4) for _ in range(size)]
    this = frame * diagonal(values) * frame.transpose()
    return this, (this + this.transpose()) * fmpq(1, 2), rng.randint(2, 4)


ROOT_UNIQUE = Classical(
    name="uniqueness of the positive root",
    references=("horn2013matrix",),
    hypotheses=("A, B symmetric positive semidefinite", "A^L = B^L"),
    conclusion="A = B",
    holds=lambda i: (
        bool(certainly_psd(i[0]))
        and bool(certainly_psd(i[1]))
        and exactly_zero(matrix_power(i[0], i[2]) - matrix_power(i[1], i[2]))
    ),
    compares=lambda i: [("‖A - B‖_F² ≤ 0", frobenius_square(i[0] - i[1]), fmpq(0))],
    sample=_roots_sample,
    dropped="positive semidefinite",
    breaker=lambda: (diagonal([1, 1]), diagonal([1, -1]), 2),
)


# --- Jensen ---------------------------------------------------------------------------------------------------------


def _measure_sample(rng: random.Random) -> tuple[list[fmpq], list[fmpq], int]:
    size = rng.randint(2, 5)
    weights = [fmpq(rng.randint(1, 9)) for _ in range(size)]
    total = sum(weights, start=fmpq(0))
    return [w / total for w in weights], [fmpq(rng.randint(0, 9), 4) for _ in range(size)], rng.randint(1, 5)


def _jensen(i: tuple[list[fmpq], list[fmpq], int]) -> list[Comparison]:
    weights, atoms, power = i
    mean = sum((w * a for w, a in zip(weights, atoms)), start=fmpq(0))
    return [("(∫λ)^l ≤ ∫λ^l", mean**power, sum((w * a**power for w, a in zip(weights, atoms)), start=fmpq(0)))]


JENSEN = Classical(
    name="Jensen for a spectral measure",
    references=("jensen1906",),
    hypotheses=("weights ≥ 0 of total mass 1", "atoms λ ≥ 0", "l ≥ 1"),
    conclusion="(∫λ dω)^l ≤ ∫λ^l dω",
    holds=lambda i: min(i[0]) >= 0 and sum(i[0], start=fmpq(0)) == 1 and min(i[1]) >= 0 and i[2] >= 1,
    compares=_jensen,
    sample=_measure_sample,
    dropped="total mass 1",
    breaker=lambda: ([fmpq(2)], [fmpq(3)], 2),
)


def _power_means(i: tuple[fmpq_mat, fmpq_mat]) -> list[Comparison]:
    matrix, vector = i
    half = root(matrix, 2)
    y = ball_matrix(vector)
    middle = (y.transpose() * half * y)[0, 0]
    inverse = ball((vector.transpose() * matrix.inv() * vector)[0, 0])
    return [
        ("(yᵀM⁻¹y)^{-1/2} ≤ yᵀM^{1/2}y", inverse ** (arb(-1) / 2), middle),
        ("(yᵀM^{1/2}y)² ≤ yᵀMy", middle * middle, ball((vector.transpose() * matrix * vector)[0, 0])),
    ]


def _unit_sample(rng: random.Random) -> tuple[fmpq_mat, fmpq_mat]:
    while True:
        size = rng.randint(2, 4)
        matrix, vector = _random_psd(size, rng), columns(orthogonal(size, rng), 0, 1)
        image = matrix * vector
        if not exactly_zero(
            image - vector * trace(vector.transpose() * image)
        ):  # on an eigenvector all sides are equal
            return matrix, vector


JENSEN_POWER = Classical(
    name="Jensen for powers of a matrix",
    references=("jensen1906", "bhatia1997matrix"),
    hypotheses=("M symmetric positive definite", "yᵀy = 1"),
    conclusion="(yᵀM⁻¹y)^{-t} ≤ yᵀM^ty ≤ (yᵀMy)^t for 0 ≤ t ≤ 1; tested at t = 1/2",
    holds=lambda i: bool(certainly_psd(i[0], strictly=True)) and trace(i[1].transpose() * i[1]) == 1,
    compares=_power_means,
    sample=_unit_sample,
    dropped="yᵀy = 1",
    breaker=lambda: (diagonal([1, 2]), fmpq_mat(2, 1, [2, 1])),
)


# --- Stieltjes moments ----------------------------------------------------------------------------------------------


def _hankel(i: tuple[list[fmpq], list[fmpq], int]) -> list[Comparison]:
    weights, atoms, top = i
    m = [sum((w * a**k for w, a in zip(weights, atoms)), start=fmpq(0)) for k in range(top + 1)]
    found = []
    for shift in (0, 1):
        size = (top - shift) // 2 + 1
        matrix = fmpq_mat(size, size, [m[a + b + shift] for a in range(size) for b in range(size)])
        found.append(decided(f"Hankel matrix, shift {shift}, is PSD", certainly_psd(matrix)))
    return found


STIELTJES = Classical(
    name="Stieltjes moments",
    references=("stieltjes1894",),
    hypotheses=("weights ≥ 0", "atoms λ ≥ 0"),
    conclusion="Hankel matrices (m_{i+j}) and (m_{i+j+1}) are positive semidefinite",
    holds=lambda i: min(i[0]) >= 0 and min(i[1]) >= 0,
    compares=_hankel,
    sample=_measure_sample,
    dropped="atoms λ ≥ 0",
    breaker=lambda: ([fmpq(1), fmpq(1)], [fmpq(-2), fmpq(1)], 3),
)


# --- Chebyshev (Markov's inequality for squared distances) ----------------------------------------------------------


def _tail_sample(rng: random.Random) -> tuple[list[fmpq], fmpq]:
    return [fmpq(rng.randint(0, 20), 4) for _ in range(rng.randint(2, 9))], fmpq(rng.randint(1, 20), 4)


CHEBYSHEV = Classical(
    name="Chebyshev",
    references=("chebyshev1867",),
    hypotheses=("values r_i ≥ 0", "t > 0"),
    conclusion="share of the i with r_i ≥ t is ≤ (mean of r)/t",
    holds=lambda i: min(i[0]) >= 0 and i[1] > 0,
    compares=lambda i: [
        (
            "share of r_i ≥ t",
            fmpq(sum(1 for r in i[0] if r >= i[1]), len(i[0])),
            sum(i[0], start=fmpq(0)) / len(i[0]) / i[1],
        )
    ],
    sample=_tail_sample,
    dropped="values ≥ 0",
    breaker=lambda: ([fmpq(1), fmpq(-1)], fmpq(1)),
)


# --- Chan's update: scatter about the own mean merges ---------------------------------------------------------------


def _merge(i: tuple[fmpq_mat, tuple[int, ...], bool]) -> list[Comparison]:
    features, counts, centred = i
    found = moments(features, counts)
    rows = features.tolist()
    samples = sum(counts)
    total = sum(
        ((entry - (m if centred else 0)) ** 2 for row, m in zip(rows, found.mean) for entry in row), start=fmpq(0)
    )
    parts = found.within + found.between
    gap = total / samples - parts
    return [("|total - within - between| ≤ 0", abs(gap), fmpq(0))]


def _merge_sample(rng: random.Random) -> tuple[fmpq_mat, tuple[int, ...], bool]:
    counts = tuple(rng.randint(1, 4) for _ in range(rng.randint(2, 4)))
    return random_matrix(3, sum(counts), rng), counts, True


CHAN = Classical(
    name="Chan's update",
    references=("chan1979updating",),
    hypotheses=("groups partition the samples", "total scatter taken about the overall mean"),
    conclusion="total scatter = Σ within-group scatter + Σ n_k ‖μ_k - μ‖²",
    holds=lambda i: sum(i[1]) == i[0].ncols() and i[2],
    compares=_merge,
    sample=_merge_sample,
    dropped="about the overall mean",
    breaker=lambda: (fmpq_mat(1, 2, [1, 3]), (1, 1), False),
)


# --- Penrose --------------------------------------------------------------------------------------------------------


def _penrose(i: tuple[fmpq_mat, fmpq_mat]) -> list[Comparison]:
    a, p = i
    conditions = {
        "APA = A": a * p * a - a,
        "PAP = P": p * a * p - p,
        "AP symmetric": a * p - (a * p).transpose(),
        "PA symmetric": p * a - (p * a).transpose(),
    }
    return [(name, frobenius_square(gap), fmpq(0)) for name, gap in conditions.items()]


def _penrose_instance(factor: fmpq_mat) -> tuple[fmpq_mat, fmpq_mat]:
    """S = BBᵀ and B (BᵀB)⁻² Bᵀ for B of full column rank."""
    small = (factor.transpose() * factor).inv()
    return factor * factor.transpose(), factor * small * small * factor.transpose()


def _penrose_sample(rng: random.Random) -> tuple[fmpq_mat, fmpq_mat]:
    while True:
        factor = random_matrix(4, 2, rng)
        if (factor.transpose() * factor).rank() == 2:
            return _penrose_instance(factor)


PENROSE = Classical(
    name="Penrose's four conditions",
    references=("penrose1955",),
    hypotheses=("P = B R⁺R⁺ Bᵀ with R = BᵀB and R⁺ of the same rank as R",),
    conclusion="P is the pseudo-inverse of BBᵀ",
    holds=lambda i: i[0].rank() == i[1].rank() and exactly_zero(i[0] * i[1] * i[0] - i[0]),
    compares=_penrose,
    sample=_penrose_sample,
    dropped="R⁺ of the same rank as R",
    breaker=lambda: (diagonal([2, 0]), diagonal(["1/2", "1/5"])),
)


# --- Wielandt -------------------------------------------------------------------------------------------------------


def _cosine(matrix: fmpq_mat) -> arb:
    return ball(matrix[0, 1]) / (ball(matrix[0, 0]) * ball(matrix[1, 1])).sqrt()


def _wielandt(i: tuple[fmpq_mat, fmpq_mat, fmpq]) -> list[Comparison]:
    first, second, kappa = i
    a, b = _cosine(first), _cosine(second)
    this, that = (1 - b) / (1 + b), (1 - a) / (1 + a)
    return [
        ("tan²(φ'/2) ≤ (1+κ) tan²(φ/2)", this, that * ball(1 + kappa)),
        ("tan²(φ/2) ≤ (1+κ) tan²(φ'/2)", that, this * ball(1 + kappa)),
    ]


def _wielandt_sample(rng: random.Random) -> tuple[fmpq_mat, fmpq_mat, fmpq]:
    first = _random_psd(2, rng)
    kappa = fmpq(rng.randint(1, 9), 5)
    frame = orthogonal(2, rng)
    # A between 0 and κA as a congruence of a contraction by a (rational) square root of A = F Fᵀ
    factor = random_matrix(2, 2, rng) + identity(2) * 3
    first = factor * factor.transpose()
    share = frame * diagonal([Fraction(rng.randint(0, 8), 8), Fraction(rng.randint(0, 8), 9)]) * frame.transpose()
    return first, first + factor * share * factor.transpose() * kappa, kappa


WIELANDT = Classical(
    name="Wielandt (angles in two metrics)",
    references=("bauer1960wielandt",),
    hypotheses=("A > 0, 2 × 2", "A ≤ Q ≤ (1+κ)A"),
    conclusion="tan²(φ_Q/2) lies within the factors (1+κ)^{±1} of tan²(φ_A/2), φ the angle of the two basis vectors",
    holds=lambda i: (
        bool(certainly_psd(i[0], strictly=True))
        and bool(certainly_psd(i[1] - i[0]))
        and bool(certainly_psd(i[0] * (1 + i[2]) - i[1]))
    ),
    compares=_wielandt,
    sample=_wielandt_sample,
    dropped="Q ≤ (1+κ)A",
    breaker=lambda: (identity(2), fmpq_mat(2, 2, [5, 4, 4, 5]), fmpq(1)),
)


# --- norms of products ----------------------------------------------------------------------------------------------


def _products(i: tuple[fmpq_mat, fmpq_mat, fmpq]) -> list[Comparison]:
    a, b, gain = i
    whole, part = frobenius_square(a * b), frobenius_square(b)
    largest = eigenvalues(a.transpose() * a)[-1]
    return [("‖AB‖² ≤ ‖A‖₂²‖B‖²", ball(whole), largest * part), ("‖AB‖² ≥ g²‖B‖²", gain**2 * part, whole)]


def _pair_sample(rng: random.Random) -> tuple[fmpq_mat, fmpq_mat, fmpq]:
    a = identity(3) + random_matrix(3, 3, rng, denominator=30)
    return a, random_matrix(3, rng.randint(2, 4), rng), fmpq(1, 3)


SUBMULTIPLICATIVE = Classical(
    name="norms of products",
    references=("horn2013matrix",),
    hypotheses=("AᵀA ≥ g²I",),
    conclusion="g‖B‖_F ≤ ‖AB‖_F ≤ ‖A‖₂‖B‖_F",
    holds=lambda i: bool(certainly_psd(i[0].transpose() * i[0] - identity(i[0].ncols()) * i[2] ** 2)),
    compares=_products,
    sample=_pair_sample,
    dropped="AᵀA ≥ g²I (AAᵀ ≥ g²I will not do)",
    breaker=lambda: (fmpq_mat(1, 2, [1, 0]), fmpq_mat(2, 1, [1, 2]), fmpq(1)),
)


# --- floating-point inner products ----------------------------------------------------------------------------------


def _as_rational(value: float) -> fmpq:
    top, bottom = float(value).as_integer_ratio()
    return fmpq(top, bottom)


def _inner(i: tuple[np.ndarray, np.ndarray]) -> list[Comparison]:
    a, b = i
    exact = [_as_rational(x) * _as_rational(y) for x, y in zip(a, b)]
    unit = fmpq(1, 2**53)
    gamma = len(a) * unit / (1 - len(a) * unit)
    error = abs(_as_rational(np.dot(a, b)) - sum(exact, start=fmpq(0)))
    return [("|fl(aᵀb) - aᵀb| ≤ γ_n |a|ᵀ|b|", error, gamma * sum((abs(x) for x in exact), start=fmpq(0)))]


def _vectors(rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
    size = rng.randint(2, 50)
    return (
        np.array([rng.uniform(-1, 1) * 10 ** rng.randint(-6, 6) for _ in range(size)]),
        np.array([rng.uniform(-1, 1) for _ in range(size)]),
    )


def _no_underflow(i: tuple[np.ndarray, np.ndarray]) -> bool:
    products = np.abs(i[0]) * np.abs(i[1])
    return bool(np.all(products < 1e300) and np.all((products > 1e-290) | (i[0] == 0) | (i[1] == 0)))


STANDARD_MODEL = Classical(
    name="standard model of floating-point arithmetic",
    references=("higham2002accuracy",),
    hypotheses=("float64, round to nearest", "no over- or underflow"),
    conclusion="|fl(aᵀb) - aᵀb| ≤ γ_n |a|ᵀ|b|, γ_n = nu/(1-nu), u = 2⁻⁵³, in any order of summation",
    holds=_no_underflow,
    compares=_inner,
    sample=_vectors,
    dropped="no underflow",
    breaker=lambda: (np.array([1e-200, 1e-200]), np.array([1e-200, 3e-200])),
)
