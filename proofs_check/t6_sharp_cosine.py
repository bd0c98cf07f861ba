"""T6', the sharp forms of T6: the largest cosine (a) and the remainder of the linear law (b). Steps for T6's ledger."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations
from math import factorial

import sympy as sp
from flint import arb, fmpq, fmpq_mat

from .balls import at_most, ball, eigenvalues, exactly_zero, identity, logarithm
from .classical import JENSEN_POWER, applied
from .instances import GramInstance, gram_instances, nearly_orthonormal
from .ledger import Evidence, Kind, Scope, Step, WrongVariant, both, discharged, refuted
from .quantities import closed_form, cosines
from .scalar import choice, exp_tail, for_all, log_quotient, nonnegative_on_box, positive_series

__all__ = ["STEPS", "TEXT", "VARIANTS"]

TEXT = (
    "T6'a, entrywise θ < 1: every |cos| ≤ (R-1)/(R+1), R = κ^t(1 + ς[r^l - t(1+2θ/K)^{t-1}]₊), κ = 1 + "
    "2θ/(K(1-θ)), attained. "
    "T6'b, signal part: |cos_kk' - tΨ_kk'| ≤ S(τ) = (√(2τ/(1-e^{-2τ})) - 1)², τ = t(λ_max - λ_min)(Ψ)/2 ≤ 0.9."
)

ZERO = arb("1e-25")
"""Ball checks allow this much more than the bound: it is attained, and no ball can decide equality."""


# --- a: the largest cosine --------------------------------------------------------------------------------------------


def _from_ratio(scope: Scope) -> Evidence:
    """(A-B)/(A+B) ≤ (R-1)/(R+1) where A ≤ R B; and equal scaled norms make 2 x̂ᵀQŷ vanish."""
    del scope
    return both(
        for_all(
            "A B R",
            lambda A, B, R: (A - B) / (A + B) <= (R - 1) / (R + 1),
            given=lambda A, B, R: [A > 0, B > 0, R >= 1, A <= R * B],
        ),
        for_all(
            # q = α²Q₁₁ = α⁻²Q₂₂, m = Q₁₂: x̂ᵀQx̂ and ŷᵀQŷ are 2(q ± m)/(α² + α⁻²), cos = m/q
            "q m a",
            lambda q, m, a: (2 * (q + m) / a - 2 * (q - m) / a) * q == (2 * (q + m) / a + 2 * (q - m) / a) * m,
            given=lambda q, m, a: [q > 0, a > 0],
        ),
    )


def _bernoulli(scope: Scope) -> Evidence:
    """m^t ≤ (m+s)^t - ts(m+s)^{t-1}: u^t ≤ 1 + t(u-1) for 0 < u, t in [0, 1].

    1 + t(u-1) - u^t = t(1-t)(u-1)² ∫₀¹ (1-v)(1+v(u-1))^{t-2} dv ≥ 0, by Taylor at the double point u = 1.
    """
    del scope
    u, t = sp.symbols("u t", positive=True)
    gap = 1 + t * (u - 1) - u**t
    second = sp.simplify(sp.diff(gap, u, 2) - t * (1 - t) * u ** (t - 2))
    if second != 0 or gap.subs(u, 1) != 0 or sp.simplify(sp.diff(gap, u).subs(u, 1)) != 0:
        return refuted("SymPy: the Taylor coefficients differ")
    return discharged("SymPy: double zero at u = 1 and second derivative t(1-t)u^{t-2} ≥ 0")


def _jensen(scope: Scope) -> Evidence:
    """yᵀM^ty ≥ (yᵀM⁻¹y)^{-t} and xᵀM^tx ≤ (xᵀMx)^t: spectral measures of mass 1; at t = 1/2, tested squared."""
    rng = scope.rng("T6' Jensen")
    uses = []
    for instance in gram_instances(("1/2",), [(2, 2)], rng, randoms=2):
        form = closed_form(instance.gram, instance.counts, depth=1, residual_scale=fmpq(1))
        m = form.h.inv() * instance.counts[0]
        if not exactly_zero(m - identity(2) * m[0, 0]):  # for a multiple of I both sides are equal
            uses.append((m, fmpq_mat(2, 1, [fmpq(3, 5), -fmpq(4, 5)])))
    return applied(JENSEN_POWER, scope, uses)


def _box_sum(scope: Scope) -> Evidence:
    """|pq - zw| ≤ ½(|p-z||q+w| + |p+z||q-w|) and |p-z| + |p+z| = 2 max(|p|, |z|); ab ≤ ((a+b)/2)²."""
    del scope
    size = lambda x: choice(x >= 0, x, -x)  # noqa: E731
    larger = lambda x, y: choice(x >= y, x, y)  # noqa: E731
    return both(
        for_all("p q z w", lambda p, q, z, w: 2 * (p * q - z * w) == (p - z) * (q + w) + (p + z) * (q - w)),
        for_all("p z", lambda p, z: size(p - z) + size(p + z) == 2 * larger(size(p), size(z))),
        for_all("a b", lambda a, b: 4 * a * b <= (a + b) * (a + b)),
    )


def _other_classes(scope: Scope) -> Evidence:
    """min_p m p² - s(A+mp)² = -sA²/(1-sm), s = θ/N, m = N-2n; then s becomes ω/(2n), ω = 1 - 1/κ."""
    del scope
    square = for_all(
        "A p s m",
        lambda A, p, s, m: m * p * p - s * (A + m * p) * (A + m * p) >= -s * A * A / (1 - s * m),
        given=lambda A, p, s, m: [m >= 0, s >= 0, s * m < 1],
    )
    theta, K, n = sp.symbols("theta K n", positive=True)
    s, m = theta / (n * K), n * K - 2 * n
    omega = sp.simplify(2 * n * s / (1 - s * m))
    kappa = 1 + 2 * theta / (K * (1 - theta))
    gap = sp.simplify(omega - (1 - 1 / kappa))
    return both(square, discharged("SymPy: ω = 1 - 1/κ") if gap == 0 else refuted(f"ω differs by {gap}"))


def _deficits(scope: Scope) -> Evidence:
    """Positive and negative parts on disjoint shares c, 1-c: m²/c + ζ²/(1-c) ≥ (m+ζ)², m - ζ the mean; and Cauchy."""
    del scope
    return both(
        for_all(
            "m z c",
            lambda m, z, c: m * m / c + z * z / (1 - c) >= (m + z) * (m + z),
            given=lambda m, z, c: [0 < c, c < 1, m >= 0, z >= 0],
        ),
        for_all("x y", lambda x, y: (x + y) * (x + y) <= 2 * (x * x + y * y)),
    )


def _final_form(scope: Scope, *, factor: int = 1) -> Evidence:
    """Ψ(a,ζ) - 1 - (2/k)(a-k) = e² + 2eζ(k+1/k) + (3+1/k²)ζ² + 2ζ(k-1)²/k ≥ 0, a = k(1+e), ζ ≥ 0, a - 1 + ζ ≥ 0."""
    del scope
    e, zeta, k = sp.symbols("e zeta k", positive=True)
    a = k * (1 + e)
    psi = (a - 1 + 2 * zeta) ** 2 + 2 * a - 1 - (1 - 1 / k**2) * (a + zeta) ** 2
    claimed = e**2 + 2 * e * zeta * (k + 1 / k) + (3 + 1 / k**2) * zeta**2 + 2 * zeta * (k - 1) ** 2 / k
    gap = sp.simplify(psi - 1 - 2 / k * (a - k) - claimed)
    inequality = for_all(
        "e z k",
        lambda e, z, k: (
            k * k * e * e + 2 * e * z * k * (k * k + 1) + (3 * k * k + 1) * z * z + 2 * z * k * (k - 1) * (k - 1)
            >= (factor - 1) * k
        ),
        given=lambda e, z, k: [k >= 1, z >= 0, k * (1 + e) - 1 + z >= 0],
    )
    return both(discharged("SymPy: the expansion") if gap == 0 else refuted(f"differs by {gap}"), inequality)


def _cosine_bound(instance: GramInstance, depth: int, layer: int, scale: fmpq, *, linear: bool = False) -> arb:
    theta, size, n = ball(instance.theta), len(instance.counts), instance.counts[0]
    t = arb(depth - layer) / depth
    r = ball(scale) ** 2 * ball(n) ** (-arb(1) / depth)
    kappa = 1 + 2 * theta / (size if linear else size * (1 - theta))
    extra = (r**layer - t * (1 + 2 * theta / size) ** (t - 1)).max(arb(0))
    ratio = kappa**t * (1 + (1 - (1 - theta * theta).sqrt()) * extra)
    return (ratio - 1) / (ratio + 1)


def _cosines(scope: Scope, *, linear: bool = False, tighten: Fraction = Fraction(1)) -> Evidence:
    def triples():
        rng = scope.rng("T6'a")
        shapes = [(2, 2), (2, 2, 2), (4, 4)] + ([(2, 2, 2, 2), (3, 3, 3)] if scope.depth != "quick" else [])
        instances = gram_instances(("3/10", "9/10"), shapes, rng, randoms=scope.count(3, 12, 60))
        for counts in ((2, 2), (2, 2, 2)):
            gram = nearly_orthonormal(counts, "1/2", _extremal_sign)
            instances.append(GramInstance(name=f"extremal, n = {counts}", gram=gram, counts=counts, theta=fmpq(1, 2)))
        for instance in instances:
            for depth, scale in ((3, fmpq(3, 10)), (6, fmpq(3, 2))):
                form = closed_form(instance.gram, instance.counts, depth=depth, residual_scale=scale)
                for layer in range(depth):
                    bound = _cosine_bound(instance, depth, layer, scale, linear=linear) * ball(tighten)
                    for value in cosines(form.means_gram(layer)):
                        name = f"{instance.name}, L = {depth}, ε = {scale}, l = {layer}"
                        yield name, abs(value), bound + ZERO

    return at_most(triples(), noun="cosines")


def _extremal_sign(i: int, j: int, a: int, b: int) -> int:
    """-zzᵀ with z = +1 on class 1, -1 on class 2, alternating inside every other class."""

    def z(index: int, kind: int) -> int:
        return {0: 1, 1: -1}.get(kind, 1 - 2 * (index % 2))

    return -z(i, a) * z(j, b)


def _attained(scope: Scope) -> Evidence:
    """M = I - (1-1/κ)yyᵀ exactly, so the cosine of classes 1 and 2 in the signal part is (κ^t-1)/(κ^t+1)."""
    del scope
    for counts in ((2, 2), (2, 2, 2), (4, 4, 4, 4)):
        size, theta = len(counts), Fraction(1, 2)
        form = closed_form(nearly_orthonormal(counts, theta, _extremal_sign), counts, depth=1, residual_scale=fmpq(1))
        kappa = 1 + 2 * theta / (size * (1 - theta))
        y = fmpq_mat(size, 1, [1, -1] + [0] * (size - 2))
        share = 1 - 1 / kappa
        claimed = identity(size) - y * y.transpose() * fmpq(share.numerator, 2 * share.denominator)
        if not exactly_zero(form.h.inv() * counts[0] - claimed):
            return refuted(f"n = {counts}: M is not I - (1-1/κ)yyᵀ")
    t, k = sp.symbols("t k", positive=True)
    first, second = (1 + k ** (-t)) / 2, (1 - k ** (-t)) / 2
    gap = sp.simplify(second / first - (k**t - 1) / (k**t + 1))
    return discharged("exact for K = 2, 3, 4; SymPy for M^t") if gap == 0 else refuted("the cosine differs")


# --- b: the remainder -------------------------------------------------------------------------------------------------


def _even_tail(x: arb, order: int) -> arb:
    """Σ_j x^{2j}/(2j+k)!: (cosh x - 1)/x² for k = 2, (sinh x - x)/x³ for k = 3, singular point divided out."""
    total, power, terms, square = arb(0), arb(1), 14, x * x
    for j in range(terms):
        total += power / factorial(2 * j + order)
        power *= square
    rest = abs(power) / factorial(2 * terms + order) * abs(x).exp()
    return total + arb(0, rest.upper())


def _w_minus_one(tau: arb) -> arb:
    """(τ coth τ - 1)/τ², double zero divided out: (τ cosh τ - sinh τ)/(τ² sinh τ) from exponential tails."""
    # τ cosh τ - sinh τ = τ³ (C - D): cosh τ = 1 + τ² C, sinh τ = τ + τ³ D
    cosh_tail, sinh_tail = _even_tail(tau, 2), _even_tail(tau, 3)
    return (cosh_tail - sinh_tail) / (1 + tau * tau * sinh_tail)


def _remainder_of(tau: arb) -> arb:
    """S(τ)/τ²: S = (√(1+x) - 1)², x = 2τ/(1-e^{-2τ}) - 1 = τ(1 + τ·(w-1)/τ²); (√(1+x)-1)/τ = (x/τ)/(√(1+x)+1)."""
    slope = 1 + tau * _w_minus_one(tau)
    root = (1 + tau * slope).sqrt()
    quotient = slope / (root + 1)
    return quotient * quotient


def _half_gap(tau: arb) -> arb:
    """S₀/τ², S₀ = ½[log(sinh τ/τ) - 1 + τ coth τ]; log(1+z)/τ² with z = τ² D."""
    sinh_tail = _even_tail(tau, 3)
    return (sinh_tail * log_quotient(tau * tau * sinh_tail) + _w_minus_one(tau)) / 2


def _case_one(scope: Scope) -> Evidence:
    """φ = (X-e^τ)/(X+e^τ) - ½κ(X - cosh τ) + ½τ is at most 1 + w + τ - 2√(w+τ) = (√(w+τ) - 1)², w = τ coth τ."""
    del scope
    tau = sp.Symbol("tau", positive=True)
    same = sp.simplify((tau * sp.coth(tau) + tau - 2 * tau / (1 - sp.exp(-2 * tau))).rewrite(sp.exp))
    best = for_all(
        # y = X + e^τ, s² = 4 e^τ/κ (best y = s): (y - 2E)/y - κ(y - s + …)/2 is concave; value at y below that at s
        "y s E k",
        lambda y, s, E, k: (y - 2 * E) / y - k * y / 2 <= (s - 2 * E) / s - k * s / 2,
        given=lambda y, s, E, k: [y > 0, s > 0, E > 0, k > 0, k * s * s == 4 * E],
    )
    E, k = sp.symbols("E k", positive=True)
    # at y = s: 1 - 2E/s - ks/2 = 1 - ks with ks = 2√(kE); κe^τ = w + τ and κ cosh τ = w
    value = sp.simplify((1 - 2 * E / (2 * sp.sqrt(E / k)) - k * 2 * sp.sqrt(E / k) / 2) - (1 - 2 * sp.sqrt(k * E)))
    kappa = tau / sp.sinh(tau)
    first = sp.simplify((kappa * sp.exp(tau) - (tau * sp.coth(tau) + tau)).rewrite(sp.exp))
    if any(gap != 0 for gap in (same, value, first)):
        return refuted(f"SymPy: {same}, {value}, {first}")
    return both(best, discharged("SymPy: w + τ = κe^τ = 2τ/(1-e^{-2τ}) and the value at the best X"))


def _monotone(scope: Scope) -> Evidence:
    """∂/∂ν [tanh(½(A-ν)) + ½ν] = ½ tanh² ≥ 0; c ≤ 0: c√(ab) ≥ c(a+b)/2; case 2: tanh x ≤ x, m/σ ≤ m."""
    del scope
    a, nu = sp.symbols("A nu", real=True)
    gap = sp.simplify(sp.diff(sp.tanh((a - nu) / 2) + nu / 2, nu) - sp.tanh((a - nu) / 2) ** 2 / 2)
    means = for_all(
        "c a b g",
        lambda c, a, b, g: c * g >= c * (a + b) / 2,
        given=lambda c, a, b, g: [c <= 0, a > 0, b > 0, g > 0, g * g == a * b],
    )
    scaled = for_all("m s", lambda m, s: m / s <= m, given=lambda m, s: [m >= 0, s >= 1])
    return both(discharged("SymPy: the derivative") if gap == 0 else refuted("the derivative differs"), means, scaled)


def _case_three(scope: Scope, *, last: str = "0.9") -> Evidence:
    """0 ≤ |m| ≤ S₀: |m| + min{e^{S₀} sinh(S₀-|m|), tanh(S₀ - |m|/cosh τ)} ≤ S(τ), u = |m|/S₀.

    τ ≤ 2/5: the first of the two is convex in |m|, so its ends count: S₀ ≤ τ²/4 and ½(e^{2S₀}-1) ≤ S₀ + S₀²e^{2S₀} ≤
    τ²/4 + (τ⁴/16)e^{τ²/2}. Both sides over τ² are 1/4 at τ = 0; that is subtracted and one more τ divided out.
    Above: ball arithmetic in (τ, u), over τ² as well, which keeps the enclosures narrow.
    """
    del scope

    def room(tau: arb, u: arb) -> arb:
        square, half = tau * tau, _half_gap(tau)
        rest = square * half * (1 - u)
        first = (square * half).exp() * (1 + rest * rest * _even_tail(rest, 3)) * half * (1 - u)
        second = (square * half * (1 - u / tau.cosh())).tanh() / square
        return _remainder_of(tau) - u * half - first.min(second)

    bernoulli = for_all("j", lambda j: (j + 1) * (j + 2) >= 2, given=lambda j: [j >= 0])  # e^x - 1 - x ≤ ½x²e^x
    x, h = sp.symbols("x h", positive=True)
    convex = sp.simplify(sp.diff(sp.sinh(h - x), x, 2) - sp.sinh(h - x))
    small = nonnegative_on_box(lambda tau: _slope(tau) - tau / 16 * (tau * tau / 2).exp(), [(0, Fraction(2, 5))])
    large = nonnegative_on_box(room, [(Fraction(2, 5), Fraction(last)), (0, 1)], most_boxes=60_000)
    return both(
        discharged("SymPy: sinh is convex where it is positive") if convex == 0 else refuted("not convex"),
        bernoulli,
        small,
        large,
    )


def _slope(tau: arb) -> arb:
    """(S/τ² - 1/4)/τ for S/τ² = q², q = s/(ρ+1), s = 1 + τv, ρ = √(1+τs), v = (τ coth τ - 1)/τ².

    q - ½ = (2s - ρ - 1)/(2(ρ+1)), and 2s - 2 - (ρ-1) = τ(2v - s/(ρ+1)).
    """
    v = _w_minus_one(tau)
    s = 1 + tau * v
    root = (1 + tau * s).sqrt()
    return (2 * v - s / (root + 1)) / (2 * (root + 1)) * (s / (root + 1) + arb(1) / 2)


def _half_gap_bound(scope: Scope) -> Evidence:
    """τ coth τ - 1 ≤ τ²/3, and log(sinh τ/τ) ≤ τ²/6 because its derivative says the same: S₀ ≤ ½(τ²/6 + τ²/3)."""
    del scope
    tau = sp.Symbol("tau", positive=True)
    derivative = sp.simplify(sp.diff(sp.log(sp.sinh(tau) / tau), tau) - (sp.coth(tau) - 1 / tau))
    series = positive_series(
        lambda j: (
            Fraction(1, factorial(2 * j + 1))
            + (Fraction(1, 3 * factorial(2 * j - 1)) if j else Fraction(0))
            - Fraction(1, factorial(2 * j))
        ),
        "(2j+1)! times it is 1 + (2j+1)2j/3 - (2j+1), the coefficients of sinh τ(1+τ²/3) - τ cosh τ",
    )
    general = for_all("j", lambda j: 1 + (2 * j + 1) * 2 * j / 3 - (2 * j + 1) >= 0, given=lambda j: [j >= 1])
    return both(discharged("SymPy: the derivative") if derivative == 0 else refuted("the derivative"), series, general)


def _remainders(scope: Scope, *, factor: Fraction = Fraction(1)) -> Evidence:
    def triples():
        rng = scope.rng("T6'b")
        shapes = [(2, 2), (2, 2, 2)] + ([(1, 1, 1, 1), (3, 3, 3)] if scope.depth != "quick" else [])
        for instance in gram_instances(("3/10", "6/10"), shapes, rng, randoms=scope.count(4, 20, 100)):
            yield from _remainder_triples(instance, factor)
        yield from _remainder_triples(_spread_pair(), factor)

    return at_most(triples(), noun="cosines of signal parts")


def _remainder_triples(instance: GramInstance, factor: Fraction) -> Iterator[tuple[str, arb, arb]]:
    n, size, depth = instance.counts[0], len(instance.counts), 4
    form = closed_form(instance.gram, instance.counts, depth=depth, residual_scale=fmpq(1, 10))
    values = eigenvalues(form.h)
    if values[0].overlaps(values[-1]):
        return
    omega = (values[-1].log() - values[0].log()) / 2
    psi = logarithm(form.h * fmpq(1, n)) * arb(-1)
    for layer in range(depth):
        t = arb(depth - layer) / depth
        tau = t * omega
        if not tau <= arb("0.9"):
            continue
        bound = _remainder_of(tau) * tau * tau * ball(factor)
        seen = cosines(form.signal(layer))
        for (a, b), value in zip(combinations(range(size), 2), seen):
            yield f"{instance.name}, l = {layer}", abs(value - t * psi[a, b]), bound + ZERO


def _spread_pair() -> GramInstance:
    """Near the extremal geometry of b: classes 1 and 2 with contrast at λ_max, and their sum spread over both ends."""
    size, theta = 3, fmpq(3, 5)
    counts = (1,) * size
    y = fmpq_mat(3, 1, [1, -1, 0])
    z = fmpq_mat(3, 1, [2, 2, 1])
    gram = identity(3) - y * y.transpose() * (theta / 2) - z * z.transpose() * (theta / 9)
    top = fmpq_mat(3, 1, [1, 1, -4])
    gram = gram + top * top.transpose() * (theta / 18)
    return GramInstance(
        name="contrast at one end, sum over both", gram=gram, counts=counts, theta=theta, entrywise=False
    )


def _jensen_ends(scope: Scope) -> Evidence:
    """e^μ ≤ zᵀe^Az ≤ cosh τ + (μ/τ) sinh τ: convexity, tangent and chord; checked on a grid of exact points."""
    del scope
    tangent = nonnegative_on_box(lambda y: exp_tail(y, 2), [(-20, 20)])

    def chord(tau: arb, u: arb) -> arb:
        return tau.cosh() + u * tau.sinh() - (u * tau).exp()

    inside = nonnegative_on_box(chord, [(Fraction(1, 5), 2), (Fraction(-9, 10), Fraction(9, 10))])
    t, u = sp.symbols("t u", positive=True)
    ends = [sp.simplify((sp.cosh(t) + s * sp.sinh(t) - sp.exp(s * t)).rewrite(sp.exp)) for s in (1, -1)]
    second = sp.simplify(sp.diff(sp.cosh(t) + u * sp.sinh(t) - sp.exp(u * t), u, 2) + t**2 * sp.exp(u * t))
    good = all(end == 0 for end in ends) and second == 0
    return both(
        tangent,
        inside,
        discharged("SymPy: the chord meets e^{uτ} at u = ±1 and the gap is concave") if good else refuted("chord"),
    )


STEPS = (
    Step(
        key="16",
        kind=Kind.INEQUALITY,
        claim="T6'a: cos ≤ (R-1)/(R+1) where x̂ᵀQx̂ ≤ R ŷᵀQŷ, x̂, ŷ = (αe₁ ± α⁻¹e₂)/√(α²+α⁻²), α²Q₁₁ = α⁻²Q₂₂",
        because="cos = (x̂ᵀQx̂ - ŷᵀQŷ)/(x̂ᵀQx̂ + ŷᵀQŷ)",
        check=_from_ratio,
        references=("demoura2008z3",),
    ),
    Step(
        key="17",
        kind=Kind.CLASSICAL,
        claim="ŷᵀM^tŷ ≥ (ŷᵀM⁻¹ŷ)^{-t} and x̂ᵀM^tx̂ ≤ (x̂ᵀMx̂)^t, 0 ≤ t ≤ 1",
        because="Jensen for spectral measures",
        check=_jensen,
        references=("jensen1906",),
    ),
    Step(
        key="18",
        kind=Kind.INEQUALITY,
        claim="m^t + r^ls ≤ (m+s)^t + s(r^l - t(m+s)^{t-1})",
        because="u^t ≤ 1 + t(u-1) on [0, 1]",
        check=_bernoulli,
    ),
    Step(
        key="19",
        kind=Kind.INEQUALITY,
        claim="the worst E costs at most (θ/N)(Σ max(|p_i|, x_i))² in wᵀGw against zᵀEz",
        because="p_ip_j - z_iz_j = ½[(p-z)_i(p+z)_j + (p+z)_i(p-z)_j], |p-z| + |p+z| = 2max",
        check=_box_sum,
        references=("demoura2008z3",),
    ),
    Step(
        key="20",
        kind=Kind.INEQUALITY,
        claim="minimising over the other classes turns θ/N into ω/(2n), ω = 1 - 1/κ",
        because="a quadratic in one number",
        check=_other_classes,
        references=("demoura2008z3",),
    ),
    Step(
        key="21",
        kind=Kind.INEQUALITY,
        claim="mean of (a_i-1)² ≥ (a-1+2ζ)², and (Σ√β_j s_j)² ≤ 2Σβ_js_j²",
        because="positive and negative parts live on disjoint samples; Cauchy",
        check=_deficits,
        references=("demoura2008z3",),
    ),
    Step(
        key="22",
        kind=Kind.INEQUALITY,
        claim="Ψ(a,ζ) ≥ 1 + (2/k)(a-k), k = √κ; so 1 + x̂ᵀFx̂ ≤ κγ",
        because="e² + 2eζ(k+1/k) + (3+1/k²)ζ² + 2ζ(k-1)²/k ≥ 0 on the admitted range",
        check=_final_form,
        references=("demoura2008z3",),
    ),
    Step(
        key="23",
        kind=Kind.IDENTITY,
        claim="E = -(θ/N)zzᵀ attains (κ^t-1)/(κ^t+1) in the signal part (n even or K = 2)",
        because="M = I - (1-1/κ)yyᵀ",
        check=_attained,
    ),
    Step(
        key="24",
        kind=Kind.BALL,
        claim="T6'a on random, extreme and extremal entrywise instances, θ up to 0.9",
        because="Q_l enclosed; up to 1e-25, since the bound is attained",
        check=_cosines,
        references=("johansson2017arb",),
    ),
    Step(
        key="25",
        kind=Kind.INEQUALITY,
        claim="T6'b: e^μ ≤ zᵀe^Az ≤ X(μ) = cosh τ + (μ/τ) sinh τ, spectrum of A = tΨ in [-τ, τ]",
        because="tangent and chord of the exponential (double zeros divided out; the chord's gap is concave)",
        check=_jensen_ends,
    ),
    Step(
        key="26",
        kind=Kind.INEQUALITY,
        claim="c ≤ 0: c - m ≤ max_X φ = (√(w+τ) - 1)² = S(τ), w = τ coth τ",
        because="monotone in ν, best X in closed form",
        check=lambda scope: both(_monotone(scope), _case_one(scope)),
        references=("demoura2008z3",),
    ),
    Step(
        key="27",
        kind=Kind.INEQUALITY,
        claim="S₀ = ½[log(sinh τ/τ) - 1 + τ coth τ] ≤ τ²/4",
        because="Taylor coefficients",
        check=_half_gap_bound,
        references=("demoura2008z3",),
    ),
    Step(
        key="28",
        kind=Kind.INEQUALITY,
        claim="c ≥ 0: c - m ≤ S(τ) for τ ≤ 0.9",
        because="c - m ≤ S₀ (m ≥ 0), else |m| + min{e^{S₀}sinh(S₀-|m|), tanh(S₀-|m|/cosh τ)}; everything "
        "over τ², below 2/5 with the meeting point τ = 0 divided out once more",
        check=_case_three,
        references=("johansson2017arb",),
    ),
    Step(
        key="29",
        kind=Kind.BALL,
        claim="T6'b on random and extreme instances",
        because="Ψ and cosines enclosed; up to 1e-25",
        check=_remainders,
        references=("johansson2017arb",),
    ),
)

VARIANTS = (
    WrongVariant(name="T6'a without 1-θ", claim="κ = 1 + 2θ/K", check=lambda s: _cosines(s, linear=True)),
    WrongVariant(
        name="T6'a 1 % too tight",
        claim="0.99 (κ^t-1)/(κ^t+1)",
        check=lambda s: _cosines(s, tighten=Fraction(99, 100)),
    ),
    WrongVariant(
        name="T6'a final form too strong", claim="… ≥ 1 in place of ≥ 0", check=lambda s: _final_form(s, factor=2)
    ),
    WrongVariant(name="T6'b case 3 for all τ", claim="τ ≤ 1.5", check=lambda s: _case_three(s, last="1.5")),
    WrongVariant(name="T6'b four times smaller", claim="S(τ)/4", check=lambda s: _remainders(s, factor=Fraction(1, 4))),
)
