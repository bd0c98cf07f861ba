"""U2: the stable rank of centred features is at most (1+C)(K-1)."""

from __future__ import annotations

from fractions import Fraction

from .balls import at_most, ball, certainly_psd, decided, eigenvalues, identity, trace
from .classical import KY_FAN, applied
from .instances import random_matrix
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both
from .quantities import class_scatter
from .scalar import for_all
from .u1_rank_from_compression import feature_instances, scatter_identity

__all__ = ["STATEMENT"]


def _rayleigh(scope: Scope) -> Evidence:
    """Ky Fan with k = 1: uᵀSu ≤ λ_1(S); at the point of use S = Σ_T and u rational directions."""
    rng = scope.rng("U2")
    uses = []
    for instance in feature_instances(scope):
        within, between = class_scatter(instance.features, instance.counts)
        u = random_matrix(within.nrows(), 1, rng)
        norm = trace(u.transpose() * u)
        if norm != 0:
            uses.append((within + between, u * u.transpose() * (1 / norm)))
    return applied(KY_FAN, scope, uses)


def _largest(scope: Scope) -> Evidence:
    """λ_1(Σ_T) ≥ λ_1(Σ_B) ≥ tr Σ_B/(K-1): λ_1 I - Σ_B ≥ 0 has trace ≥ 0 on range Σ_B."""
    scalar = for_all(
        "top sum rank K",
        lambda top, sum_, rank, K: top * (K - 1) >= sum_,
        given=lambda top, sum_, rank, K: [top >= 0, rank <= K - 1, rank >= 1, sum_ <= rank * top],
    )
    found = []
    for instance in feature_instances(scope):
        within, between = class_scatter(instance.features, instance.counts)
        share = trace(between) / (len(instance.counts) - 1)
        # λ_1(Σ_T) < share would make share·I - Σ_T positive definite
        gap = identity(within.nrows()) * share - within - between
        found.append(decided(f"{instance.name}: λ_1(Σ_T) ≥ tr Σ_B/(K-1)", not certainly_psd(gap, strictly=True)))
        found.append(decided(f"{instance.name}: Σ_T ≥ Σ_B", certainly_psd(within)))
    return both(scalar, at_most(found, noun="facts decided exactly"))


def _final(scope: Scope) -> Evidence:
    del scope
    return for_all(
        "W B top K",
        lambda W, B, top, K: (W + B) / top <= (1 + W / B) * (K - 1),
        given=lambda W, B, top, K: [W >= 0, B > 0, top > 0, K >= 2, top * (K - 1) >= B],
    )


def _whole(scope: Scope, *, classes: int = -1, factor: Fraction = Fraction(1), sign: int = 1) -> Evidence:
    def triples():
        for instance in feature_instances(scope):
            within, between = class_scatter(instance.features, instance.counts)
            top = eigenvalues(within + between)[-1]
            ratio = trace(within) / trace(between)
            bound = ball((1 + sign * ratio) * (len(instance.counts) + classes)) * ball(factor)
            yield instance.name, ball(trace(within + between)) / top, bound

    return at_most(triples(), noun="feature sets")


STATEMENT = Statement(
    number="U2",
    title="stable rank",
    text="‖Z-μ‖_F²/‖Z-μ‖₂² ≤ (1+C_l)(K-1). Any features, sample weights.",
    assumptions=("at least two classes with different means (tr Σ_B > 0)",),
    tightness=("5",),
    remarks=("‖Z-μ‖_F² = N tr Σ_T and ‖Z-μ‖₂² = N λ_1(Σ_T): no singular value has to be taken.",),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="Σ_T = Σ_W + Σ_B, Σ_W ≥ 0, and Σ_k p_k(μ_k - μ) = 0, so rank Σ_B ≤ K-1",
            because="I - 11ᵀ/N = P_W + P_B",
            check=scatter_identity,
        ),
        Step(
            key="2",
            kind=Kind.CLASSICAL,
            claim="λ_1(Σ_T) ≥ uᵀΣ_Tu ≥ uᵀΣ_Bu for every unit u",
            because="Ky Fan with k = 1; Σ_W ≥ 0",
            check=_rayleigh,
            references=("fan1949theorem",),
        ),
        Step(
            key="3",
            kind=Kind.INEQUALITY,
            claim="λ_1(Σ_T) ≥ λ_1(Σ_B) ≥ tr Σ_B/(K-1)",
            because="tr Σ_B is a sum of at most K-1 eigenvalues",
            check=_largest,
            references=("demoura2008z3",),
        ),
        Step(
            key="4",
            kind=Kind.INEQUALITY,
            claim="tr Σ_T/λ_1 ≤ (1+C)(K-1)",
            because="z3",
            check=_final,
            references=("demoura2008z3",),
        ),
        Step(
            key="5",
            kind=Kind.BALL,
            claim="the whole statement on random and extreme features",
            because="λ_1 enclosed",
            check=_whole,
            references=("johansson2017arb",),
        ),
    ),
    wrong_variants=(
        WrongVariant(name="K-2", claim="(1+C)(K-2)", check=lambda s: _whole(s, classes=-2)),
        WrongVariant(name="sign flipped", claim="(1-C)(K-1)", check=lambda s: _whole(s, sign=-1)),
        WrongVariant(
            name="1 % too tight", claim="0.99 (1+C)(K-1)", check=lambda s: _whole(s, factor=Fraction(99, 100))
        ),
    ),
)
