"""U3: nearest-class-centre error from compression and discrimination."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import sympy as sp
import z3
from flint import arb, fmpq, fmpq_mat

from .balls import at_most, ball
from .classical import CHEBYSHEV, applied
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, discharged, refuted
from .quantities import Moments, moments
from .rewriting import Algebra, Instance
from .scalar import for_all
from .u1_rank_from_compression import FeatureInstance, feature_instances

__all__ = ["STATEMENT", "centre_error", "distances", "on_the_border"]


def on_the_border(size: int) -> FeatureInstance:
    """K = 2 in one dimension: one of `size` samples a class half way to the other centre, the rest balancing it."""
    entries: list[fmpq] = []
    for centre, sign in ((fmpq(1), 1), (fmpq(3), -1)):
        entries += [centre + sign] + [centre - fmpq(sign, size - 1)] * (size - 1)
    second = [fmpq(1)] * size + [fmpq(-1)] * size  # keeps the cosine of the means away from 1
    return FeatureInstance(
        name=f"one of {size} samples on the border",
        features=fmpq_mat(2, 2 * size, entries + second),
        counts=(size, size),
    )


def _instances(scope: Scope) -> list[FeatureInstance]:
    return [*feature_instances(scope), _line(50), on_the_border(20)]


def _line(size: int) -> FeatureInstance:
    """The first coordinate of `on_the_border` with centres at ±1: Δ = 2 and Chebyshev's bound is 1/(size-1)."""
    entries: list[fmpq] = []
    for sign in (1, -1):
        entries += [fmpq(0)] + [fmpq(sign) + fmpq(sign, size - 1)] * (size - 1)
    return FeatureInstance(
        name=f"line, one of {size} samples on the border", features=fmpq_mat(1, 2 * size, entries), counts=(size, size)
    )


def distances(features: fmpq_mat, found: Moments[fmpq]) -> list[list[fmpq]]:
    """‖z_i - μ_k‖² for every sample and class."""
    rows = features.tolist()
    return [
        [sum(((row[i] - mean[r]) ** 2 for r, row in enumerate(rows)), start=fmpq(0)) for mean in found.means]
        for i in range(features.ncols())
    ]


def centre_error(features: fmpq_mat, counts: tuple[int, ...], found: Moments[fmpq]) -> fmpq:
    """Share of samples for which some other centre is as near as their own (ties count as errors)."""
    kinds = [k for k, size in enumerate(counts) for _ in range(size)]
    wrong = 0
    for kind, row in zip(kinds, distances(features, found)):
        wrong += any(other <= row[kind] for k, other in enumerate(row) if k != kind)
    return fmpq(wrong, len(kinds))


def _gap(found: Moments[fmpq]) -> fmpq:
    """Δ² = min ‖μ_k - μ_k'‖²."""
    return min(found.distance_square(a, b) for a, b in combinations(range(len(found.counts)), 2))


def _triangle(scope: Scope) -> Evidence:
    del scope
    return for_all(
        "own other D",
        lambda own, other, D: own * own >= D * D / 4,
        given=lambda own, other, D: [own >= 0, other >= 0, D >= 0, D <= own + other, other <= own],
    )


def _chebyshev(scope: Scope) -> Evidence:
    uses = []
    for instance in _instances(scope):
        found = moments(instance.features, instance.counts)
        gap = _gap(found)
        if gap == 0:
            continue
        kinds = [k for k, size in enumerate(instance.counts) for _ in range(size)]
        own = [row[k] for k, row in zip(kinds, distances(instance.features, found))]
        uses.append((own, gap / 4))
    return applied(CHEBYSHEV, scope, uses)


def _cosine(scope: Scope) -> Evidence:
    """‖μ_k - μ_k'‖² = a² + b² - 2ab cos ≥ 2ab(1 - cos) ≥ 2 min‖μ‖² D."""
    del scope
    return for_all(
        "a b c top m",
        lambda a, b, c, top, m: a * a + b * b - 2 * a * b * c >= 2 * m * m * (1 - top),
        given=lambda a, b, c, top, m: [m >= 0, a >= m, b >= m, c <= top, top <= 1],
    )


def _norms(scope: Scope) -> Evidence:
    """tr Σ_B = Σ p_k‖μ_k‖² - ‖μ‖²."""
    del scope
    algebra = Algebra()
    T = algebra.T
    B = algebra.symbol("B", "d", "K")
    P = algebra.symbol("diag(p)", "K", "K", symmetric=True)
    p, e = algebra.symbol("p", "K", "1"), algebra.symbol("e", "K", "1")
    algebra.rule(P * e, p, "diag(p) 1 = p")
    algebra.rule(T(e) * p, sp.Integer(1), "1ᵀp = 1")
    model = Instance(
        matrices={
            "B": fmpq_mat(2, 2, [1, 2, 3, 5]),
            "diag(p)": fmpq_mat(2, 2, [fmpq(1, 3), 0, 0, fmpq(2, 3)]),
            "p": fmpq_mat(2, 1, [fmpq(1, 3), fmpq(2, 3)]),
            "e": fmpq_mat(2, 1, [1, 1]),
        },
        name="K = 2",
    )
    centred = B * (1 - p * T(e))
    return algebra.proves(centred * P * T(centred), B * P * T(B) - B * p * T(p) * T(B), trace=True, instances=[model])


def _final(scope: Scope) -> Evidence:
    del scope
    return for_all(
        "W B D S m gap",
        lambda W, B, D, S, m, gap: 4 * W / gap <= 2 * (W / B) / D * S / m,
        given=lambda W, B, D, S, m, gap: [W >= 0, B > 0, D > 0, m > 0, S >= B, gap >= 2 * m * D],
    )


def _whole(
    scope: Scope, *, factor: Fraction = Fraction(4), second: Fraction = Fraction(2), norms: bool = True
) -> Evidence:
    def triples():
        for instance in _instances(scope):
            found = moments(instance.features, instance.counts)
            gap = _gap(found)
            if gap == 0:
                continue
            error = centre_error(instance.features, instance.counts, found)
            yield f"{instance.name}, Δ", error, ball(factor) * ball(found.within / gap)
            sizes = [found.inner(k, k) for k in range(len(instance.counts))]
            shares = [fmpq(n, sum(instance.counts)) for n in instance.counts]
            if min(sizes) == 0 or not found.discrimination > 0:
                continue
            total = sum((p * s for p, s in zip(shares, sizes)), start=fmpq(0)) / min(sizes)
            bound = ball(second) * ball(found.compression) / found.discrimination
            yield f"{instance.name}, C and D", error, bound * ball(total if norms else 1)

    return at_most(triples(), noun="comparisons")


def _norms_needed(scope: Scope) -> Evidence:
    """Two classes that overlap near 0 at a right angle, and a third far away: C tiny, D = 1, a third mislabelled."""
    del scope
    features = fmpq_mat(2, 6, [4, -2, 3, -3, -1000, -1000, -3, 3, -2, 4, -1000, -1000])
    counts = (2, 2, 2)
    found = moments(features, counts)
    error = centre_error(features, counts, found)
    bound = arb(2) * ball(found.compression) / found.discrimination
    return (
        refuted(f"error {error}, 2C/D = {float(bound):.3g}") if bound < ball(error) else discharged("no contradiction")
    )


def _cosine_wrong(scope: Scope) -> Evidence:
    del scope
    return for_all(
        "a b c top m",
        lambda a, b, c, top, m: a * a + b * b - 2 * a * b * c >= z3.Q(202, 100) * m * m * (1 - top),
        given=lambda a, b, c, top, m: [m >= 0, a >= m, b >= m, c <= top, top <= 1],
    )


STATEMENT = Statement(
    number="U3",
    title="separability",
    text="Nearest-class-centre error ≤ 4 tr Σ_W/Δ², Δ = min_{k≠k'}‖μ_k - μ_k'‖; Δ² ≥ 2 min_k‖μ_k‖² D_l; hence error ≤ "
    "2 (C_l/D_l) Σ_k p_k‖μ_k‖²/min_k‖μ_k‖². Ties count as errors. Any features, sample weights.",
    assumptions=("no two class means coincide (Δ > 0)", "no class mean is 0 and D_l > 0, for the second form"),
    tightness=("6",),
    steps=(
        Step(
            key="1",
            kind=Kind.INEQUALITY,
            claim="a sample that another centre attracts has ‖z - μ_k‖² ≥ Δ²/4",
            because="triangle inequality: Δ ≤ ‖z - μ_k‖ + ‖z - μ_k'‖ ≤ 2‖z - μ_k‖",
            check=_triangle,
            references=("demoura2008z3",),
        ),
        Step(
            key="2",
            kind=Kind.CLASSICAL,
            claim="share of samples with ‖z - μ_k‖² ≥ Δ²/4 is at most 4 tr Σ_W/Δ²",
            because="Chebyshev; the mean of ‖z - μ_k‖² is tr Σ_W",
            check=_chebyshev,
            references=("chebyshev1867",),
        ),
        Step(
            key="3",
            kind=Kind.INEQUALITY,
            claim="Δ² ≥ 2 min‖μ_k‖² D",
            because="a² + b² ≥ 2ab",
            check=_cosine,
            references=("demoura2008z3",),
        ),
        Step(
            key="4",
            kind=Kind.IDENTITY,
            claim="tr Σ_B = Σ p_k‖μ_k‖² - ‖μ‖² ≤ Σ p_k‖μ_k‖²",
            because="μ = Σ p_k μ_k",
            check=_norms,
        ),
        Step(
            key="5",
            kind=Kind.INEQUALITY,
            claim="4 tr Σ_W/Δ² ≤ 2(C/D) Σ p_k‖μ_k‖²/min‖μ_k‖²",
            because="steps 3 and 4",
            check=_final,
            references=("demoura2008z3",),
        ),
        Step(
            key="6",
            kind=Kind.BALL,
            claim="both forms on random and extreme features, errors counted exactly",
            because="rational features; cosines enclosed",
            check=_whole,
        ),
    ),
    wrong_variants=(
        WrongVariant(
            name="constant too small", claim="3.9 tr Σ_W/Δ²", check=lambda s: _whole(s, factor=Fraction(39, 10))
        ),
        WrongVariant(name="1 % too tight in Δ²", claim="Δ² ≥ 2.02 min‖μ_k‖² D", check=_cosine_wrong),
        WrongVariant(name="norms dropped", claim="error ≤ 2 C/D", check=_norms_needed),
        WrongVariant(
            name="Δ² in place of Δ²/4",
            claim="a sample attracted by another centre has ‖z - μ_k‖² ≥ Δ²",
            check=lambda s: for_all(
                "own other D",
                lambda own, other, D: own * own >= D * D,
                given=lambda own, other, D: [own >= 0, other >= 0, D >= 0, D <= own + other, other <= own],
            ),
        ),
    ),
)
