"""U1: the top K-1 principal components hold at least 1/(1+C) of the variance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp
from flint import arb, fmpq, fmpq_mat

from .balls import at_most, ball, certainly_psd, decided, eigenvalues, exactly_zero, trace
from .classical import CHAN, KY_FAN, applied
from .instances import diagonal, labels, random_features
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both
from .quantities import class_scatter, moments
from .rewriting import Algebra, Instance
from .scalar import for_all
from .t4_separation_fuzziness import pseudo_inverse

__all__ = ["STATEMENT", "FeatureInstance", "feature_instances", "scatter_identity"]


@dataclass(frozen=True, kw_only=True)
class FeatureInstance:
    """Exact features Z, d × N, classes in blocks."""

    name: str
    features: fmpq_mat
    counts: tuple[int, ...]


def feature_instances(scope: Scope) -> list[FeatureInstance]:
    """Random features at several spreads, unequal classes, and aligned ones that come near equality."""
    rng = scope.rng("features")
    shapes = [((3, 3), 3), ((2, 4, 3), 4), ((1, 5), 2), ((2, 2, 2, 2), 5), ((4, 4, 4), 2)]
    found = []
    for number in range(scope.count(15, 400, 1600)):
        counts, dimension = shapes[number % 5]
        spread = ("1/10", "1", "5")[number // 5 % 3]
        features = random_features(rng, counts=counts, dimension=dimension, spread=spread)
        while moments(features, counts).between == 0:
            features = random_features(rng, counts=counts, dimension=dimension, spread=spread)
        found.append(
            FeatureInstance(
                name=f"random {number}, n = {counts}, d = {dimension}, spread {spread}",
                features=features,
                counts=counts,
            )
        )
    found.append(FeatureInstance(name="simplex, noise outside", features=_simplex(3, fmpq(1, 7), 1), counts=(2, 2, 2)))
    found.append(
        FeatureInstance(name="simplex, wide noise outside", features=_simplex(3, fmpq(1), 4), counts=(8, 8, 8))
    )
    return found


def _simplex(classes: int, spread: fmpq, directions: int) -> fmpq_mat:
    """Means e_1 … e_K (isotropic about their mean), noise ±spread along `directions` others: U1 and U2 near equality.

    A tilt into the class space, different for every class, keeps equality a hair away.
    """
    columns = []
    for k in range(classes):
        for direction in range(directions):
            for sign in (1, -1):
                column = [fmpq(0)] * (classes + directions)
                column[k] = fmpq(1) + sign * spread * fmpq(k + 1, 1000)
                column[classes + direction] = sign * spread
                columns.append(column)
    rows = classes + directions
    return fmpq_mat(rows, len(columns), [column[r] for r in range(rows) for column in columns])


def scatter_identity(scope: Scope) -> Evidence:
    """Z(I - 11ᵀ/N)Zᵀ = Z P_W Zᵀ + Z P_B Zᵀ, and B√p = 0 for B with columns √p_k(μ_k - μ)."""
    del scope
    algebra = Algebra()
    T = algebra.T
    N = sp.Symbol("N", positive=True)
    Z = algebra.symbol("Z", "d", "N")
    Y = algebra.symbol("Y", "K", "N")
    D = algebra.symbol("D", "K", "K", functional=True)
    e = algebra.symbol("e", "N", "1")
    counts = (2, 3)
    model = Instance(
        matrices={
            "Z": fmpq_mat(2, 5, [1, 4, -2, 3, 0, 5, 1, 1, -3, 2]),
            "Y": labels(counts),
            "D": diagonal(counts),
            "e": fmpq_mat(5, 1, [1] * 5),
        },
        scalars={N: sp.Integer(5)},
        name="n = (2, 3)",
    )
    average = T(Y) * D**-1 * Y
    total = Z * (1 - e * T(e) / N) * T(Z)
    within, between = Z * (1 - average) * T(Z), Z * (average - e * T(e) / N) * T(Z)
    this = algebra.proves(total, within + between, instances=[model])
    other = Algebra()
    B, p, f = other.symbol("B", "d", "K"), other.symbol("p", "K", "1"), other.symbol("f", "K", "1")
    other.rule(other.T(f) * p, sp.Integer(1), "1ᵀp = 1")
    second = Instance(
        matrices={
            "B": fmpq_mat(2, 2, [1, 2, 3, 5]),
            "p": fmpq_mat(2, 1, [fmpq(1, 3), fmpq(2, 3)]),
            "f": fmpq_mat(2, 1, [1, 1]),
        },
        name="K = 2",
    )
    return both(this, other.proves((B - B * p * other.T(f)) * p, sp.Integer(0), instances=[second]))


def _rank(scope: Scope) -> Evidence:
    found = []
    for instance in feature_instances(scope):
        _, between = class_scatter(instance.features, instance.counts)
        found.append((f"{instance.name}, rank Σ_B", fmpq(between.rank()), fmpq(len(instance.counts) - 1)))
    return at_most(found, noun="ranks, exactly")


def _chan(scope: Scope) -> Evidence:
    return applied(CHAN, scope, [(i.features, i.counts, True) for i in feature_instances(scope)])


def _ky_fan(scope: Scope) -> Evidence:
    """Σ_T with the projection Σ_B Σ_B⁺ on the range of Σ_B; and Σ_T ≥ Σ_B, which Σ_B's projection leaves alone."""
    uses, found = [], []
    for instance in feature_instances(scope):
        within, between = class_scatter(instance.features, instance.counts)
        projector = between * pseudo_inverse(between)
        if projector.rank() < projector.nrows():
            uses.append((within + between, projector))
        found.append(decided(f"{instance.name}: Σ_W ≥ 0", certainly_psd(within)))
        found.append(decided(f"{instance.name}: PΣ_B = Σ_B", exactly_zero(projector * between - between)))
        found.append((f"{instance.name}: tr PΣ_T ≥ tr Σ_B", trace(between), trace(projector * (within + between))))
    return both(applied(KY_FAN, scope, uses), at_most(found, noun="projections"))


def _share(scope: Scope) -> Evidence:
    del scope
    return both(
        for_all(
            "top W B",
            lambda top, W, B: top / (W + B) >= 1 / (1 + W / B),
            given=lambda top, W, B: [W >= 0, B > 0, top >= B],
        ),
        for_all("C t", lambda C, t: 1 / (1 + C) >= t, given=lambda C, t: [0 < t, t < 1, C >= 0, C <= (1 - t) / t]),
    )


def _shares(scope: Scope) -> Iterator[tuple[str, arb, fmpq, list[arb]]]:
    for instance in feature_instances(scope):
        within, between = class_scatter(instance.features, instance.counts)
        values = eigenvalues(within + between)
        ratio = trace(within) / trace(between)
        yield instance.name, ball(len(instance.counts) - 1), ratio, values


def _whole(scope: Scope, *, fewer: int = 0, factor: Fraction = Fraction(1), power: int = 1) -> Evidence:
    def triples():
        for name, components, ratio, values in _shares(scope):
            kept = int(float(components)) - fewer
            if kept >= len(values):
                continue
            total = sum(values, start=arb(0))
            top = sum(values[len(values) - kept :], start=arb(0))
            yield name, ball(factor) / ball(1 + ratio) ** power * total, top

    return at_most(triples(), noun="feature sets")


def _rank_of_variance(scope: Scope, *, power: int = 1) -> Evidence:
    """τ-variance rank ≤ K-1 at the largest τ that C_l ≤ (1-τ)/τ^power admits, τ = 1/(1+C) for power 1."""

    def triples():
        for name, components, ratio, values in _shares(scope):
            kept = int(float(components))
            if kept >= len(values):
                continue
            # a τ in twentieths below the threshold
            share = max(
                (Fraction(k, 20) for k in range(1, 20) if ratio * fmpq(k, 20) ** power <= fmpq(20 - k, 20)),
                default=None,
            )
            if share is None:
                continue
            total = sum(values, start=arb(0))
            top = sum(values[len(values) - kept :], start=arb(0))
            yield f"{name}, τ = {share}", ball(share) * total, top

    return at_most(triples(), noun="feature sets")


STATEMENT = Statement(
    number="U1",
    title="rank from compression",
    text="The top K-1 principal components of centred features hold at least 1/(1+C_l) of the variance; so "
    "the τ-variance rank "
    "is ≤ K-1 once C_l ≤ (1-τ)/τ. Any features of any network, sample weights.",
    assumptions=("at least two classes with different means (tr Σ_B > 0)",),
    tightness=("6",),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="Σ_T = Σ_W + Σ_B, and Σ_k p_k(μ_k - μ) = 0",
            because="I - 11ᵀ/N = P_W + P_B",
            check=scatter_identity,
        ),
        Step(
            key="2",
            kind=Kind.CLASSICAL,
            claim="tr Σ_T = tr Σ_W + tr Σ_B",
            because="Chan's update merges scatters about group means",
            check=_chan,
            references=("chan1979updating",),
        ),
        Step(
            key="3",
            kind=Kind.BALL,
            claim="rank Σ_B ≤ K-1",
            because="K columns √p_k(μ_k - μ) with one linear relation (step 1)",
            check=_rank,
        ),
        Step(
            key="4",
            kind=Kind.CLASSICAL,
            claim="λ_1 + … + λ_{K-1} of Σ_T ≥ tr PΣ_T ≥ tr PΣ_B = tr Σ_B, P the projection on range Σ_B",
            because="Ky Fan; Σ_W ≥ 0; rank P ≤ K-1 and eigenvalues ≥ 0",
            check=_ky_fan,
            references=("fan1949theorem",),
        ),
        Step(
            key="5",
            kind=Kind.INEQUALITY,
            claim="tr Σ_B/tr Σ_T = 1/(1+C); C ≤ (1-τ)/τ gives 1/(1+C) ≥ τ",
            because="z3",
            check=_share,
            references=("demoura2008z3",),
        ),
        Step(
            key="6",
            kind=Kind.BALL,
            claim="the share of the top K-1 eigenvalues on random and extreme features",
            because="eigenvalues of exact covariance matrices enclosed",
            check=_whole,
            references=("johansson2017arb",),
        ),
        Step(
            key="7",
            kind=Kind.BALL,
            claim="the τ-variance rank at the largest admitted τ",
            because="eigenvalues enclosed",
            check=_rank_of_variance,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="one component fewer", claim="the top K-2", check=lambda s: _whole(s, fewer=1)),
        WrongVariant(name="1 % too tight", claim="1.01/(1+C)", check=lambda s: _whole(s, factor=Fraction(101, 100))),
        WrongVariant(name="sign flipped", claim="at least 1 + C", check=lambda s: _whole(s, power=-1)),
        WrongVariant(
            name="τ² in the condition",
            claim="C ≤ (1-τ)/τ² suffices",
            check=lambda s: _rank_of_variance(s, power=2),
        ),
    ),
)
