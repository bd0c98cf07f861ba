"""V3, V4 and V5: when weight decay kills a direction, when it never starts, and which classes die first."""

from __future__ import annotations

from fractions import Fraction

import sympy as sp
from flint import arb, fmpq, fmpq_mat

from .balls import at_most, ball, exactly_zero, identity, rational
from .instances import diagonal, labels, orthogonal
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, discharged, refuted
from .quantities import moments
from .scalar import exp_tail, for_all, nonnegative_on_box

__all__ = ["STATEMENT"]

DEPTHS = (3, 4, 6, 9)


def _logarithm(scope: Scope) -> Evidence:
    """log x ≤ x - 1: with x = e^w, e^w - 1 - w = w² exp_tail₂(w) ≥ 0."""
    del scope
    return nonnegative_on_box(lambda w: exp_tail(w, 2), [(-8, 8)])


def _maximum(scope: Scope, *, shift: int = 0) -> Evidence:
    """For p = 1-2/L and y₀ = p/(1+p) = (L-2)/(2L-2): (y₀-y)/(1-y₀) + p(y-y₀)/y₀ = 0, so (1-y)y^p is largest at y₀."""
    del scope
    return for_all(
        "y L",
        lambda y, L: (
            (((L - 2) / (2 * L - 2 + shift) - y) / (1 - (L - 2) / (2 * L - 2 + shift)))
            + (1 - 2 / L) * (y - (L - 2) / (2 * L - 2 + shift)) / ((L - 2) / (2 * L - 2 + shift))
            == 0
        ),
        given=lambda y, L: [L > 2, y > 0, y < 1],
    )


def _equation(scope: Scope) -> Evidence:
    """Stationary: λ = (2/N)(s*-s)s^{1-2/L}, whose largest value over s is λ_c: (1-y)y^p is stationary at y₀ alone."""
    del scope
    y, L = sp.symbols("y L", positive=True)
    p = 1 - 2 / L
    root = sp.solve(sp.simplify(sp.diff((1 - y) * y**p, y) * y ** (1 - p)), y)
    at = (L - 2) / (2 * L - 2)
    if len(root) != 1 or sp.simplify(root[0] - at) != 0:
        return refuted(f"stationary points {root}")
    hill = sp.simplify((1 - at) - L / (2 * L - 2))
    return discharged("SymPy: y₀ = (L-2)/(2L-2), 1 - y₀ = L/(2L-2)") if hill == 0 else refuted(str(hill))


def _hill(depth: int) -> arb:
    """L/(2L-2) ((L-2)/(2L-2))^{1-2/L}."""
    y = ball(Fraction(depth - 2, 2 * depth - 2))
    return ball(Fraction(depth, 2 * depth - 2)) * y ** ball(Fraction(depth - 2, depth))


def _attained(scope: Scope, *, factor: str = "1") -> Evidence:
    """(1-y)y^p ≤ the hill at many y, and it is attained at y₀."""
    triples = []
    for depth in DEPTHS:
        for k in range(1, scope.count(40, 200, 800)):
            y = ball(Fraction(k, scope.count(40, 200, 800)))
            value = (1 - y) * y ** ball(Fraction(depth - 2, depth))
            triples.append(
                (f"L = {depth}, y = {k}", value, _hill(depth) * ball(factor) * ball("1000000001/1000000000"))
            )
    return at_most(triples, noun="values")


def _minority(scope: Scope, *, power: int = 1) -> Evidence:
    """s*_k = √n_k: λ_{c,k} ∝ n_k^{1-1/L}; exact rational orthonormal data have M = Y Xᵀ with these singular values."""
    n, L = sp.symbols("n L", positive=True)
    if sp.simplify(sp.sqrt(n) ** (2 - 2 / L) - n ** (power - 1 / L)) != 0:
        return refuted("(√n)^{2-2/L} is not that power of n")
    rng = scope.rng("V5")
    for counts in ((3, 2), (4, 1, 2)):
        data = orthogonal(sum(counts) + 1, rng)
        samples = sum(counts)
        X = fmpq_mat(samples + 1, samples, [data[i, j] for i in range(samples + 1) for j in range(samples)])
        M = labels(counts) * X.transpose()
        if not exactly_zero(M * M.transpose() - diagonal(list(counts))):
            return refuted(f"n = {counts}: M Mᵀ is not diag(n)")
    return discharged("SymPy; M Mᵀ = diag(n) exactly on orthonormal data")


def _between(scope: Scope, *, share: int = 1) -> Evidence:
    """tr Σ_B^l = Σ_k p_k(1-p_k) x_k^{2l}/n_k, D_l = 1, on exact networks with one scale a class."""
    rng = scope.rng("V5 curves")
    triples = []
    for counts in ((3, 2), (4, 1, 2), (2, 5, 3), (6, 1))[: scope.count(3, 4, 4)]:
        samples, K = sum(counts), len(counts)
        frame = orthogonal(samples + 1, rng)
        X = fmpq_mat(samples + 1, samples, [frame[i, j] for i in range(samples + 1) for j in range(samples)])
        scales = [rational(Fraction(5 + 3 * k, 7)) for k in range(K)]
        ε = rational("3/10")
        W = identity(samples + 1) * ε
        y = labels(counts)
        for k in range(K):  # projection on the class's mean direction
            row = fmpq_mat(1, samples, [y[k, i] for i in range(samples)])
            direction = X * row.transpose()
            W = W + direction * direction.transpose() * ((scales[k] - ε) / counts[k])
        features = X
        for layer in range(4):
            found = moments(features, counts)
            law = sum(
                (
                    fmpq(n, samples) * (1 - share * fmpq(n, samples)) * x ** (2 * layer) / n
                    for n, x in zip(counts, scales)
                ),
                start=fmpq(0),
            )
            triples.append((f"n = {counts}, layer {layer}, tr Σ_B", abs(found.between - law), fmpq(0)))
            within = fmpq(samples - K, samples) * ε ** (2 * layer)
            triples.append((f"n = {counts}, layer {layer}, tr Σ_W", abs(found.within - within), fmpq(0)))
            for a in range(K):
                for b in range(a):
                    triples.append((f"n = {counts}, layer {layer}, angle", abs(found.inner(a, b)), fmpq(0)))
            features = W * features
    return at_most(triples, noun="quantities")


def _escape(scope: Scope) -> Evidence:
    """V4, aligned: x ↦ x^{L-2}(s-x^L) increases below y₀, so a scale that starts to fall falls for ever, and one that
    starts to rise rises to the stable root."""
    del scope
    z, L, s = sp.symbols("x L s", positive=True)
    slope = sp.simplify(sp.diff(z ** (L - 2) * (s - z**L), z) / z ** (L - 3))
    if sp.simplify(slope - ((L - 2) * s - (2 * L - 2) * z**L)) != 0:
        return refuted("the slope is another")
    sign = for_all(
        "y s L",
        lambda y, s, L: (L - 2) * s - (2 * L - 2) * y > 0,
        given=lambda y, s, L: [L > 2, s > 0, y >= 0, y * (2 * L - 2) < s * (L - 2)],
    )
    return both(discharged("SymPy: d/dx x^{L-2}(s-x^L) = x^{L-3}((L-2)s - (2L-2)x^L)"), sign)


def _fates(scope: Scope, *, factor: float = 1.0) -> Evidence:
    """Scalar descent from above at 0.1 % around λ_c, and from ε at 0.5 % around λ_esc."""
    del scope
    for depth in (3, 4, 6):
        s, samples, ε = 1.6, 8, 0.25
        p = 1 - 2 / depth
        y = (depth - 2) / (2 * depth - 2)
        death = 2 / samples * s ** (2 - 2 / depth) * (1 - y) * y**p * factor
        escape = 2 / samples * (s - ε**depth) * ε ** (depth - 2)
        for share, lives in ((0.999, True), (1.001, False)):
            if _lives(s ** (1 / depth), s, depth, samples, share * death) != lives:
                return refuted(f"L = {depth}: at {share} λ_c it {'dies' if lives else 'lives'}")
        for share, lives in ((0.995, True), (1.005, False)):
            if _lives(ε, s, depth, samples, share * escape) != lives:
                return refuted(f"L = {depth}: at {share} λ_esc it {'never starts' if lives else 'starts'}")
    return discharged("L = 3, 4, 6: alive and dead on the right sides of both thresholds")


def _lives(x: float, s: float, depth: int, samples: int, decay: float) -> bool:
    rate = 0.1 * samples / 2
    low = x / 4
    for _ in range(200_000):
        step = rate * (2 / samples * x ** (depth - 1) * (s - x**depth) - decay * x)
        x += step
        if x < low:
            return False
        if abs(step) < 1e-12 * x:
            break
    return x**depth > s * (depth - 2) / (2 * depth - 2)


STATEMENT = Statement(
    number="V3",
    title="death, escape and minority collapse",
    text="Whitened data, weight decay λ: a direction with s* lives iff λ ≤ λ_c = (2/N) s*^{2-2/L} L/(2L-2) "
    "((L-2)/(2L-2))^{1-2/L}, and for L ≥ 3 jumps to 0 from s*(L-2)/(2L-2). Aligned balanced weights of scale ε leave "
    "zero iff λ < λ_esc = (2/N)(s* - ε^L) ε^{L-2} (V4). Orthonormal data: s*_k = √n_k, so λ_{c,k} ∝ n_k^{1-1/L}: "
    "minority classes die first; D_l stays 1 and tr Σ_B^l = Σ p_k(1-p_k) x_k^{2l}/n_k (V5).",
    assumptions=("balanced weights", "whitened data (V3, V4), orthonormal data (V5)"),
    rests_on=("V1",),
    tightness=("4",),
    remarks=(
        "V4 for the paper's unaligned weights is a numerical factor from the plane of Y1, not proved: a heuristic.",
        "Other data: the rank of M_λ is followed numerically.",
    ),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="λ = (2/N)(s* - s)s^{1-2/L} is stationary in s at s*(L-2)/(2L-2) alone",
            because="V1's equation solved for λ, differentiated",
            check=_equation,
        ),
        Step(key="2", kind=Kind.INEQUALITY, claim="log x ≤ x - 1", because="power series", check=_logarithm),
        Step(
            key="3",
            kind=Kind.INEQUALITY,
            claim="log(1-y) + p log y is largest at y₀",
            because="step 2 for (1-y)/(1-y₀) and y/y₀; the linear terms cancel",
            check=_maximum,
            references=("demoura2008z3",),
        ),
        Step(
            key="4",
            kind=Kind.BALL,
            claim="(1-y)y^{1-2/L} ≤ its value at y₀",
            because="enclosed on a grid",
            check=_attained,
        ),
        Step(
            key="5",
            kind=Kind.INEQUALITY,
            claim="V4: below y₀ the growth rate x^{L-2}(s-x^L) increases with x",
            because="derivative",
            check=_escape,
        ),
        Step(
            key="6",
            kind=Kind.BALL,
            claim="V5: λ_{c,k} ∝ n_k^{1-1/L}",
            because="M Mᵀ = diag(n) for orthonormal data",
            check=_minority,
        ),
        Step(
            key="7",
            kind=Kind.BALL,
            claim="V5: both scatters and the angles",
            because="each class has its own direction",
            check=_between,
        ),
        Step(
            key="8",
            kind=Kind.MEASURED,
            claim="descent lives and dies there",
            because="scalar descent on both sides",
            check=_fates,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="another summit", claim="y₀ = (L-2)/(2L-1)", check=lambda s: _maximum(s, shift=1)),
        WrongVariant(name="1 % too low", claim="0.99 λ_c", check=lambda s: _attained(s, factor="99/100")),
        WrongVariant(name="λ_c ∝ n^{2-1/L}", claim="λ_{c,k} ∝ n_k^{2-1/L}", check=lambda s: _minority(s, power=2)),
        WrongVariant(
            name="classes uncentred", claim="tr Σ_B = Σ p_k x_k^{2l}/n_k", check=lambda s: _between(s, share=0)
        ),
        WrongVariant(name="dies 2 % later", claim="1.02 λ_c", check=lambda s: _fates(s, factor=1.02)),
    ),
)
