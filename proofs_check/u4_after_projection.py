"""U4: nearest-class-centre error after projection to the top K-1 principal components."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import z3
from flint import acb_mat, arb, arb_mat, fmpq

from .balls import at_most, ball, ball_matrix, identity, trace
from .classical import CHEBYSHEV, KY_FAN, applied
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, undecided
from .quantities import class_scatter, moments
from .scalar import for_all
from .t4_separation_fuzziness import pseudo_inverse
from .u1_rank_from_compression import FeatureInstance, feature_instances
from .u3_separability import distances

__all__ = ["STATEMENT"]


def _instances(scope: Scope) -> list[FeatureInstance]:
    """Those with more dimensions than K-1, so that the projection does something."""
    return [i for i in feature_instances(scope) if i.features.nrows() > len(i.counts) - 1 and "simplex" not in i.name]


def _principal(instance: FeatureInstance) -> arb_mat | None:
    """An enclosure of the projection on the top K-1 eigenvectors of Σ_T; None if an eigenvalue is not isolated."""
    within, between = class_scatter(instance.features, instance.counts)
    try:
        values, vectors = acb_mat(ball_matrix(within + between)).eig(right=True)
    except ValueError:
        return None
    order = sorted(range(len(values)), key=lambda i: float(values[i].real.mid()))
    chosen = order[len(order) - (len(instance.counts) - 1) :]
    size = within.nrows()
    total = arb_mat(size, size)
    for i in chosen:
        column = [vectors[r, i] for r in range(size)]
        # an eigenvector of a real symmetric matrix, up to a complex factor: divide by its largest entry
        pivot = max(range(size), key=lambda r: float(abs(column[r]).mid()))
        real = [(entry / column[pivot]).real for entry in column]
        norm = sum((x * x for x in real), start=arb(0))
        total = total + arb_mat(size, size, [a * b / norm for a in real for b in real])
    return total


def _outside(scope: Scope) -> Evidence:
    """tr (I-P)Σ_B ≤ tr (I-P)Σ_T ≤ tr Σ_W, from Ky Fan as in U1."""
    uses, triples = [], []
    for instance in _instances(scope):
        within, between = class_scatter(instance.features, instance.counts)
        projector = between * pseudo_inverse(between)
        if projector.rank() < projector.nrows():
            uses.append((within + between, projector))
        principal = _principal(instance)
        if principal is None:
            continue
        outside = ball_matrix(identity(within.nrows())) - principal
        lost = ball(trace(outside * ball_matrix(between)))
        triples.append((f"{instance.name}: tr (I-P)Σ_B ≤ tr Σ_W", lost, ball(trace(within))))
    scalar = for_all(
        "top W B",
        lambda top, W, B: W + B - top <= W,
        given=lambda top, W, B: [top >= B, W >= 0, B >= 0],
    )
    return both(applied(KY_FAN, scope, uses), scalar, at_most(triples, noun="projections"))


def _cauchy(scope: Scope) -> Evidence:
    """(x-y)² ≤ (1/p + 1/q)(p x² + q y²), coordinate by coordinate."""
    del scope
    return for_all(
        "x y p q",
        lambda x, y, p, q: (x - y) * (x - y) <= (1 / p + 1 / q) * (p * x * x + q * y * y),
        given=lambda x, y, p, q: [p > 0, q > 0],
    )


def _pythagoras(scope: Scope) -> Evidence:
    """‖Pδ‖² = ‖δ‖² - ‖(I-P)δ‖² ≥ ‖δ‖² - tr Σ_W(1/p+1/q), and tr PΣ_W ≤ tr Σ_W."""
    del scope
    return for_all(
        "inside outside whole W r",
        lambda inside, outside, whole, W, r: inside >= whole - W * r,
        given=lambda inside, outside, whole, W, r: [
            inside + outside == whole,
            outside >= 0,
            W >= 0,
            r > 0,
            outside <= W * r,
        ],
    )


def _chebyshev(scope: Scope) -> Evidence:
    """Chebyshev as in U3; its points of use here are features projected on rational directions (any projection)."""
    uses = []
    for instance in _instances(scope):
        _, between = class_scatter(instance.features, instance.counts)
        projector = between * pseudo_inverse(between)
        projected = projector * instance.features
        found = moments(projected, instance.counts)
        gaps = [found.distance_square(a, b) for a, b in combinations(range(len(instance.counts)), 2)]
        if min(gaps) == 0:
            continue
        kinds = [k for k, size in enumerate(instance.counts) for _ in range(size)]
        own = [row[k] for k, row in zip(kinds, distances(projected, found))]
        uses.append((own, min(gaps) / 4))
    return applied(CHEBYSHEV, scope, uses)


def _whole(scope: Scope, *, factor: Fraction = Fraction(4), share: bool = True, correction: bool = True) -> Evidence:
    """Error after projection against the bound, on instances whose bracket is positive."""
    skipped, triples = 0, []
    for instance in _instances(scope):
        principal = _principal(instance)
        found = moments(instance.features, instance.counts)
        if principal is None:
            skipped += 1
            continue
        total = sum(instance.counts)
        brackets, kept = [], []
        projected = moments(principal * ball_matrix(instance.features), instance.counts)
        for a, b in combinations(range(len(instance.counts)), 2):
            weight = fmpq(total, instance.counts[a]) + fmpq(total, instance.counts[b])
            loss = found.within * (weight if share else 1) if correction else fmpq(0)
            bracket = found.distance_square(a, b) - loss
            brackets.append(bracket)
            kept.append((bracket, projected.distance_square(a, b)))
        for bracket, inside in kept:
            if bracket > 0:
                triples.append((f"{instance.name}, distance kept", ball(bracket), ball(inside)))
        if not min(brackets) > 0:
            continue
        error = _error(principal, instance)
        if error is None:
            return undecided(f"{instance.name}: a sample lies too near a border")
        triples.append((f"{instance.name}, error", error, ball(factor) * ball(found.within / min(brackets))))
    return at_most(triples, noun="comparisons after projection")


def _error(principal: arb_mat, instance: FeatureInstance) -> fmpq | None:
    """Exact count from enclosures; None if one comparison is undecided."""
    projected = principal * ball_matrix(instance.features)
    found = moments(projected, instance.counts)
    kinds = [k for k, size in enumerate(instance.counts) for _ in range(size)]
    rows = projected.tolist()
    wrong = 0
    for i, kind in enumerate(kinds):
        far = [
            sum(((row[i] - mean[r]) * (row[i] - mean[r]) for r, row in enumerate(rows)), start=arb(0))
            for mean in found.means
        ]
        others = [x for k, x in enumerate(far) if k != kind]
        if all(far[kind] < x for x in others):
            continue
        if any(x <= far[kind] for x in others):
            wrong += 1
        else:
            return None
    return fmpq(wrong, len(kinds))


def _no_correction(scope: Scope) -> Evidence:
    """Distances would have to survive the projection whole."""
    return _whole(scope, correction=False)


STATEMENT = Statement(
    number="U4",
    title="separability after projection",
    text="After projection to the top K-1 principal components of centred features, nearest-class-centre error ≤ "
    "4 tr Σ_W / min_{k≠k'}[‖μ_k - μ_k'‖² - tr Σ_W(1/p_k + 1/p_k')] where the bracket is positive. Any "
    "features, sample weights.",
    assumptions=("every bracket is positive",),
    rests_on=("U1", "U3"),
    tightness=("5",),
    steps=(
        Step(
            key="1",
            kind=Kind.CLASSICAL,
            claim="tr (I-P)Σ_B ≤ tr (I-P)Σ_T ≤ tr Σ_W, P the projection on the top K-1 components",
            because="tr PΣ_T ≥ tr Σ_B (Ky Fan, U1 step 4) and Σ_W ≥ 0",
            check=_outside,
            references=("fan1949theorem",),
        ),
        Step(
            key="2",
            kind=Kind.INEQUALITY,
            claim="‖(I-P)(μ_k - μ_k')‖² ≤ (1/p_k + 1/p_k') tr (I-P)Σ_B",
            because="(x-y)² ≤ (1/p+1/q)(px²+qy²) in every coordinate; tr (I-P)Σ_B = Σ p_j‖(I-P)(μ_j - μ)‖²",
            check=_cauchy,
            references=("demoura2008z3",),
        ),
        Step(
            key="3",
            kind=Kind.INEQUALITY,
            claim="‖P(μ_k - μ_k')‖² ≥ ‖μ_k - μ_k'‖² - tr Σ_W(1/p_k + 1/p_k')",
            because="Pythagoras, steps 1 and 2",
            check=_pythagoras,
            references=("demoura2008z3",),
        ),
        Step(
            key="4",
            kind=Kind.CLASSICAL,
            claim="error after projection ≤ 4 tr PΣ_W/min‖P(μ_k - μ_k')‖²",
            because="U3 steps 1 and 2 for the projected features; tr PΣ_W ≤ tr Σ_W",
            check=_chebyshev,
            references=("chebyshev1867",),
        ),
        Step(
            key="5",
            kind=Kind.BALL,
            claim="distances kept and errors counted after projection",
            because="principal components enclosed, errors decided exactly",
            check=_whole,
            references=("johansson2017arb",),
        ),
    ),
    wrong_variants=(
        WrongVariant(
            name="distances survive whole",
            claim="4 tr Σ_W/min‖μ_k - μ_k'‖², from ‖Pδ‖² ≥ ‖δ‖²",
            check=_no_correction,
        ),
        WrongVariant(
            name="weights dropped",
            claim="(x-y)² ≤ px² + qy²",
            check=lambda s: for_all(
                "x y p q",
                lambda x, y, p, q: (x - y) * (x - y) <= p * x * x + q * y * y,
                given=lambda x, y, p, q: [p > 0, q > 0, p + q <= 1],
            ),
        ),
        WrongVariant(
            name="1 % too tight",
            claim="(x-y)² ≤ 0.99 (1/p+1/q)(px²+qy²)",
            check=lambda s: for_all(
                "x y p q",
                lambda x, y, p, q: (x - y) * (x - y) <= z3.Q(99, 100) * (1 / p + 1 / q) * (p * x * x + q * y * y),
                given=lambda x, y, p, q: [p > 0, q > 0],
            ),
        ),
        WrongVariant(
            name="sign flipped",
            claim="‖Pδ‖² ≥ ‖δ‖² + tr Σ_W(1/p+1/q)",
            check=lambda s: for_all(
                "inside outside whole W r",
                lambda inside, outside, whole, W, r: inside >= whole + W * r,
                given=lambda inside, outside, whole, W, r: [
                    inside + outside == whole,
                    outside >= 0,
                    W >= 0,
                    r > 0,
                    outside <= W * r,
                ],
            ),
        ),
    ),
)
