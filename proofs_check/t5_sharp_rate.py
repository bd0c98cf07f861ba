"""T5', the sharp form of T5 under the entrywise condition: the factor (1 ± 2θ/K)^{1/L}. Steps for T5's ledger.

With M = nH⁻¹ = I + F - S, a(t) = tr P M^t, p = tr P S, r = ε²n^{-1/L}, h = 1/L, t = 1 - l/L, δ = 2θ/K, c = 1 ± δ:
C_{l+1}/C_l = r (a(t) + r^l p)/(a(t-h) + r^{l+1} p).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import sympy as sp
import z3
from flint import arb, fmpq, fmpq_mat

from .balls import at_most, ball, exactly_zero, identity
from .instances import (
    GramInstance,
    columns,
    diagonal,
    gram_instances,
    labels,
    nearly_orthonormal,
    orthogonal,
    random_matrix,
)
from .ledger import Evidence, Kind, Scope, Step, WrongVariant, both, discharged, refuted, undecided
from .quantities import closed_form
from .rewriting import Algebra, Instance
from .scalar import choice, for_all, log_quotient, nonnegative_on_box

__all__ = ["STEPS", "TEXT", "VARIANTS"]

TEXT = (
    "T5', entrywise θ, equal classes, r = ε²/n^{1/L}: r(1-2θ/K)^{1/L} ≤ C_{l+1}/C_l ≤ r(1+2θ/K)^{1/L} "
    "wherever the brackets "
    "[r^l(1-c^hr) - hc^{t-1}Λ₊] and [r^l(c^hr-1) - hc^{t-1}Λ₋] are ≤ 0; Λ₊ ≥ 0 for θ ≤ 0.65, Λ₋ ≥ 0 for θ "
    "≤ 0.48, every K, L, l; "
    "elsewhere with a residual term. Attained for every K, n, L, l; false for all θ < 1."
)


def _schur(scope: Scope) -> Evidence:
    """(BᵀG⁻¹B)⁻¹ = BᵀGB - BᵀGC (CᵀGC)⁻¹ CᵀGB for [B C] orthogonal."""
    algebra = Algebra()
    T = algebra.T
    B, C = algebra.symbol("B", "N", "K"), algebra.symbol("C", "N", "m")
    G = algebra.symbol("G", "N", "N", functional=True)
    R = algebra.symbol("R", "m", "m", functional=True)
    algebra.rule(B * T(B), 1 - C * T(C), "BBᵀ + CCᵀ = I")
    algebra.rule(T(B) * C, sp.Integer(0), "BᵀC = 0")
    algebra.rule(T(B) * B, sp.Integer(1), "BᵀB = I")
    algebra.rule(T(C) * C, sp.Integer(1), "CᵀC = I")
    algebra.rule(T(C) * G * C, R, "R = CᵀGC")
    claimed = T(B) * G * B - T(B) * G * C * R**-1 * T(C) * G * B
    rng = scope.rng("T5' Schur")
    frame, factor = orthogonal(4, rng), random_matrix(4, 4, rng, denominator=9)
    gram = factor * factor.transpose() + identity(4)
    b, c = columns(frame, 0, 2), columns(frame, 2, 4)
    model = Instance(matrices={"B": b, "C": c, "G": gram, "R": c.transpose() * gram * c}, name="N = 4, K = 2")
    return algebra.proves(T(B) * G**-1 * B * claimed, sp.Integer(1), instances=[model])


def _energy(scope: Scope) -> Evidence:
    """Lemma 1: tr PX² + 2e + v² ≤ 2θg, from ‖E‖_F ≤ θ, tr F ≤ θ and ‖F‖² ≥ tr PF² + (uᵀFu)²."""
    del scope
    return for_all(
        "t K d f g q e v u w",
        # q = tr PF², f = tr PF, u = uᵀFu, w = θ - tr F, d = δ
        lambda t, K, d, f, g, q, e, v, u, w: q - 2 * d * f + d * d * (K - 1) + 2 * e + v * v <= 2 * t * g,
        given=lambda t, K, d, f, g, q, e, v, u, w: [
            t > 0,
            t < 1,
            K >= 2,
            d * K == 2 * t,
            w >= 0,
            u == t - w - f,
            g == d * (K - 1) - f,
            q + u * u + 2 * e + v * v <= t * t,
        ],
    )


def _schur_term(scope: Scope) -> Evidence:
    """Lemma 2: (Γ-v²)/(2(1-v)) ≤ 1-√(1-Γ) ≤ ϰΓ and ≤ ς, Γ ≤ θ²; s, r the two roots."""
    del scope
    return both(
        for_all(
            "s v",
            lambda s, v: 1 - s * s - v * v <= 2 * (1 - v) * (1 - s),
            given=lambda s, v: [0 <= s, s <= 1, 0 <= v, v < 1],
        ),
        for_all(
            "s r",
            lambda s, r: z3.And(1 - s <= (1 - s * s) / (1 + r), 1 - s <= 1 - r),
            given=lambda s, r: [0 < r, r <= s, s <= 1],
        ),
        for_all("x v", lambda x, v: 1 / (1 + x) <= 1 / (1 - v), given=lambda x, v: [0 <= v, v < 1, -v <= x, x <= v]),
    )


def _lemma_three(scope: Scope) -> Evidence:
    """x^s log x grows with s; its second derivative x^{s-2}b falls while b > 0, and b stays negative once it is.

    b = 2s-1 - s(1-s) log x.

    So (f - (x-1))/(x-1)² = ∫₀¹ (1-v) f''(1+v(x-1)) dv is largest at the left end x₊ ≤ 1, where f'' ≥ f''(1) ≥ 0.
    """
    del scope
    x, s = sp.symbols("x s", positive=True)
    f = x**s * sp.log(x)
    b = (2 * s - 1) - s * (1 - s) * sp.log(x)
    second = sp.simplify(sp.diff(f, x, 2) / x ** (s - 2) - b)
    third = sp.simplify(sp.diff(f, x, 3) / x ** (s - 3) - ((s - 2) * b - s * (1 - s)))
    grows = sp.simplify(sp.diff(f, s) - x**s * sp.log(x) ** 2)
    start = sp.simplify(sp.sympify(sp.diff(f, x)).subs(x, 1) - sp.Integer(1))
    logarithm = sp.simplify(sp.diff(sp.log(x), x, 2) + 1 / x**2)
    if any(sp.expand(gap) != 0 for gap in (second, third, grows, start, logarithm)):
        return refuted("SymPy: a derivative is not as claimed")
    falls = for_all(
        "s b y z",
        lambda s, b, y, z: z3.And(
            (s - 2) * b - s * (1 - s) <= 0, z3.Implies(z >= y, s * (1 - s) * z >= s * (1 - s) * y)
        ),
        given=lambda s, b, y, z: [s * 2 >= 1, s <= 1, b >= 0],
    )
    return both(discharged("SymPy: the derivatives of x^s log x"), falls)


def _cancel(scope: Scope) -> Evidence:
    """With η = c/(2θk) - 1 the terms in g cancel and -c(g±p) + … = -cΛ₊p, respectively c(g-p) - … = cΛ₋p."""
    del scope
    c, g, p, k, theta, varkappa, sigma = sp.symbols("c g p k theta varkappa sigma", positive=True)
    eta = c / (2 * theta * k) - 1
    square = (1 + eta) * (2 * theta * g - p / varkappa) + (1 + 1 / eta) * sigma * p
    upper = 1 + 1 / (2 * theta * varkappa) - k * sigma * (1 + 1 / eta) / c
    lower = -1 + 1 / (2 * theta * varkappa) - k * sigma * (1 + 1 / eta) / c
    above = sp.simplify(-c * (g + p) + k * square + c * upper * p)
    below = sp.simplify(c * (g - p) - k * square - c * lower * p)
    young = for_all(
        "x y n",
        lambda x, y, n: (x - y) * (x - y) <= (1 + n) * x * x + (1 + 1 / n) * y * y,
        given=lambda x, y, n: [n > 0],
    )
    if above != 0 or below != 0:
        return refuted(f"SymPy: {above}, {below} left over")
    return both(discharged("SymPy: both combinations"), young)


def _conclude(scope: Scope) -> Evidence:
    """From a(t) - c^h a(t-h) ≤ -hc^{t-1}Λ p =: -λp to the ratio, and the other side."""
    del scope
    return both(
        for_all(
            "A B a b p R r C m T",
            # R = r^l, C = c^h, m = hc^{t-1}Λ, T a lower bound of a(t-h), p ≤ s
            lambda A, B, a, b, p, R, r, C, m, T: A
            <= B * C + choice(R * (1 - C * r) - m >= 0, R * (1 - C * r) - m, 0) * p,
            given=lambda A, B, a, b, p, R, r, C, m, T: [
                A == a + R * p, B == b + R * r * p, a - C * b <= -m * p, p >= 0, R > 0, r > 0, C > 0, b >= T, T > 0
            ],
        ),
        for_all(
            "A B a b p R r C m T",
            lambda A, B, a, b, p, R, r, C, m, T: A
            >= B * C - choice(R * (C * r - 1) - m >= 0, R * (C * r - 1) - m, 0) * p,
            given=lambda A, B, a, b, p, R, r, C, m, T: [
                A == a + R * p, B == b + R * r * p, a - C * b >= m * p, p >= 0, R > 0, r > 0, C > 0, b >= T, T > 0
            ],
        ),
        for_all(
            "p s T R",
            lambda p, s, T, R: p / (T + R * p) <= s / (T + R * s),
            given=lambda p, s, T, R: [0 <= p, p <= s, T > 0, R >= 0],
        ),
    )  # fmt: skip


def _curvature_log(w: arb) -> arb:
    """(w - log(1+w))/w², the double zero at 0 divided out."""
    if not abs(w) < arb("0.5"):
        return (w - w.log1p()) / (w * w)
    total, power, terms = arb(0), arb(1), 150
    for j in range(terms):
        total += power / (j + 2)
        power *= -w
    return total + arb(0, (abs(power) / (1 - abs(w))).upper())


def _curvature_product(w: arb) -> arb:
    """((1+w) log(1+w) - w)/w², the double zero at 0 divided out: log(1+w)/w - (w - log(1+w))/w²."""
    return log_quotient(w) - _curvature_log(w)


def _thresholds(scope: Scope, *, upper: str = "0.65", lower: str = "0.48") -> Evidence:
    """θΛ₊ ≥ 0 and θΛ₋ ≥ 0 for all K ≥ 3 (x = 1/K in [0, 1/3]), with k₊ at its largest, s = 1."""
    del scope

    def margin(sign: int):
        def value(theta: arb, x: arb) -> arb:
            c = 1 + sign * 2 * theta * x
            w = -theta * ((1 + 2 * x) if sign > 0 else (1 - 2 * x)) / c  # (1-θ)/c - 1
            k = _curvature_product(w) if sign > 0 else _curvature_log(w)
            root = (1 - theta * theta).sqrt()
            room = 1 - 2 * theta * k / c  # 1 + 1/η = 1/room
            if not room > 0:
                # either η ≤ 0 somewhere in this piece, or the piece is too large to say: a wide answer makes it split
                return -arb(1) if room < 0 else arb(0, 10)
            return sign * theta + (1 + root) / 2 - theta * k * (1 - root) / (c * room)

        return value

    return both(
        nonnegative_on_box(margin(1), [(0, Fraction(upper)), (0, Fraction(1, 3))]),
        nonnegative_on_box(margin(-1), [(0, Fraction(lower)), (0, Fraction(1, 3))]),
    )


def _attained(scope: Scope) -> Evidence:
    """E = ±(θ/N)(2YᵀY - 11ᵀ): S = 0 and M = (1±δ) on range P, so the ratio is r(1±δ)^{1/L} at every l."""
    del scope
    for counts in ((2, 2), (3, 3, 3), (2, 2, 2, 2, 2)):
        size = len(counts)
        centre = identity(size) - fmpq_mat(size, size, [fmpq(1, size)] * size**2)
        for sign in (1, -1):
            gram = nearly_orthonormal(counts, "2/5", lambda i, j, a, b, s=sign: s if a == b else -s)
            form = closed_form(gram, counts, depth=1, residual_scale=fmpq(1))
            m = form.h.inv() * counts[0]
            factor = 1 + sign * 2 * fmpq(2, 5) / size
            if not exactly_zero(form.residual) or not exactly_zero((m - identity(size) * factor) * centre):
                return refuted(f"n = {counts}: the instance is not extremal")
    return discharged("exact for K = 2, 3, 5 and both signs: Q_0 = H⁻¹ and nH⁻¹P = (1 ± 2θ/K)P")


def _sides(instance: GramInstance, depth: int, layer: int, scale: fmpq) -> tuple[arb, arb]:
    """T5' with its residual terms; ±inf where η ≤ 0."""
    theta, size, n = ball(instance.theta), len(instance.counts), instance.counts[0]
    h, t = arb(1) / depth, arb(depth - layer) / depth
    r = ball(scale) ** 2 * ball(n) ** (-h)
    root = (1 - theta * theta).sqrt()
    sigma, varkappa = 1 - root, 1 / (1 + root)
    delta = 2 * theta / size
    least = (size - 1) * (1 - theta) ** (t - h)
    up, down = 1 + delta, 1 - delta
    x = (1 - theta) / up
    top = t.max(arb(1) / 2 + h)
    k_up = ((x**top - x ** (top - h)) / h - (x - 1)) / ((x - 1) * (x - 1))
    k_down = arb(1) / 2 if size == 2 else _curvature_log((1 - theta) / down - 1)
    sides = []
    for sign, c, k in ((1, up, k_up), (-1, down, k_down)):
        room = 1 - 2 * theta * k / c
        if not room > 0:
            sides.append(arb(10) ** 9 if sign > 0 else arb(0))
            continue
        margin = sign + 1 / (2 * theta * varkappa) - k * sigma / (c * room)
        if size == 2:
            margin = margin.max(arb(0))
        if sign > 0:
            extra = (r**layer * (1 - c**h * r) - h * c ** (t - 1) * margin).max(arb(0))
            sides.append(r * (c**h + sigma * extra / least))
        else:
            extra = (r**layer * (c**h * r - 1) - h * c ** (t - 1) * margin).max(arb(0))
            sides.append(r * (c**h - sigma * extra / (least + r ** (layer + 1) * sigma)))
    return sides[1], sides[0]


def _triples(
    scope: Scope, *, factor: Fraction = Fraction(1), conjecture: bool = False, power: int = 1
) -> Iterator[tuple[str, arb, arb]]:
    rng = scope.rng("T5'")
    shapes = [(2, 2), (2, 2, 2), (2, 2, 2, 2)] + ([(3, 3, 3, 3, 3)] if scope.depth != "quick" else [])
    instances = gram_instances(("3/10", "48/100", "9/10"), shapes, rng, randoms=scope.count(3, 10, 60))
    for instance in instances:
        size = len(instance.counts)
        for depth, scale in ((3, fmpq(3, 10)), (8, fmpq(1, 10)), (4, fmpq(2))):
            form = closed_form(instance.gram, instance.counts, depth=depth, residual_scale=scale)
            layers = sorted({0, 1, depth - 2})
            values = {k: form.compression(k) for a in layers for k in (a, a + 1)}
            for layer in layers:
                if values[layer].contains(0):
                    continue
                ratio = values[layer + 1] / values[layer]
                low, high = _sides(instance, depth, layer, scale)
                if conjecture or power != 1 or factor != 1:
                    r = ball(scale) ** 2 * ball(instance.counts[0]) ** (-arb(1) / depth)
                    delta = 2 * ball(instance.theta) * ball(factor) / ball(size) ** power
                    low, high = r * (1 - delta) ** (arb(1) / depth), r * (1 + delta) ** (arb(1) / depth)
                edge = arb("1e-20")  # the extremal data attain the bounds: no ball decides equality
                name = f"{instance.name}, L = {depth}, ε = {scale}, l = {layer}"
                yield f"{name}, upper", ratio, high * (1 + edge)
                yield f"{name}, lower", low * (1 - edge), ratio


def _whole(scope: Scope, **change) -> Evidence:
    return at_most(_triples(scope, **change), noun="two-sided checks of T5'")


def _lower_conjecture(scope: Scope) -> Evidence:
    """K = 4, E = -(θ/N)zzᵀ with z = 1 on two classes and -1 on the others: θ = 9/10, L = 20, l = 18, ε → 0."""
    del scope
    theta = Fraction(9, 10)
    counts = (2, 2, 2, 2)
    gram = nearly_orthonormal(counts, theta, lambda i, j, a, b: -1 if (a < 2) == (b < 2) else 1)
    form = closed_form(gram, counts, depth=20, residual_scale=fmpq(1, 10**6))
    if not exactly_zero(form.residual):
        return undecided("the instance has a residual part")
    ratio = form.compression(19) / form.compression(18)
    limit = ball(fmpq(1, 10**12)) * ball(2) ** (-arb(1) / 20)
    bound = limit * (1 - ball(theta) / 2) ** (arb(1) / 20)
    return at_most([("K = 4, θ = 9/10, L = 20, l = 18", bound, ratio)])


def _diagonal_is_fine(scope: Scope) -> Evidence:
    """The entries of F, ‖E‖_F and tr F under the entrywise condition, exactly on extreme data."""
    rng = scope.rng("T5' entries")
    found = []
    for instance in gram_instances(("1/2",), [(2, 2), (2, 2, 2)], rng, randoms=3):
        n, size = instance.counts[0], len(instance.counts)
        y = labels(instance.counts)
        gap = instance.gram - identity(n * size)
        f = y * gap * y.transpose() * diagonal([Fraction(1, n)] * size)
        found.append((f"{instance.name}, F", max(abs(x) for x in f.entries()), instance.theta / size))
        total = sum((x * x for x in gap.entries()), start=fmpq(0))
        found.append((f"{instance.name}, ‖E‖²", total, instance.theta**2))
    return at_most(found, noun="entry bounds, exactly")


STEPS = (
    Step(
        key="15",
        kind=Kind.IDENTITY,
        claim="T5': nH⁻¹ = (BᵀG⁻¹B)⁻¹ = I + F - S, S = E₁₂(I+E₂₂)⁻¹E₂₁, B = Yᵀ/√n",
        because="Schur complement in an orthogonal basis whose first vectors are the columns of B",
        check=_schur,
    ),
    Step(
        key="16",
        kind=Kind.BALL,
        claim="|F_kk'| ≤ θ/K and ‖E‖_F ≤ θ",
        because="block means and sums of N² entries of at most θ/N",
        check=_diagonal_is_fine,
    ),
    Step(
        key="17",
        kind=Kind.INEQUALITY,
        claim="Lemma 1: tr PX² + 2 tr PE₁₂E₂₁ + ‖E₂₂‖² ≤ 2θg, X = F - δ, g = -tr PX",
        because="‖E‖_F ≤ θ, tr F ≤ θ, ‖F‖² ≥ tr PF² + (uᵀFu)²",
        check=_energy,
        references=("demoura2008z3",),
    ),
    Step(
        key="18",
        kind=Kind.INEQUALITY,
        claim="Lemma 2: p = tr PS ≤ ϰ(2θg - tr PX²), p ≤ ς, ‖S‖ ≤ ς, ς = 1-√(1-θ²) = ϰθ²",
        because="S ≤ E₁₂E₂₁/(1-‖E₂₂‖), Lemma 1, and the largest value over ‖E₂₂‖",
        check=_schur_term,
        references=("demoura2008z3",),
    ),
    Step(
        key="19",
        kind=Kind.INEQUALITY,
        claim="Lemma 3: (x^t - x^{t-h})/h ≤ (x-1) + k₊(x-1)² for x ≥ x₊ and ≥ (x-1) - k₋(x-1)² for x ≥ x₋",
        because="Taylor with integral remainder at the double point x = 1; x^s log x grows with s",
        check=_lemma_three,
    ),
    Step(
        key="20",
        kind=Kind.IDENTITY,
        claim="a(t) - c^h a(t-h) ≤ -hc^{t-1}Λ₊p, and ≥ hc^{t-1}Λ₋p for the lower sign",
        because="Lemma 3 under tr P, ‖(X∓S)P‖² ≤ (1+η)tr PX² + (1+1/η)ςp, Lemma 2; η makes the terms in g cancel",
        check=_cancel,
    ),
    Step(
        key="21",
        kind=Kind.INEQUALITY,
        claim="the two bounds on C_{l+1}/C_l, with the residual term where a bracket is positive",
        because="C_{l+1}/C_l = r(a(t)+r^lp)/(a(t-h)+r^{l+1}p), a(t-h) ≥ (K-1)(1-θ)^{t-h}, p ≤ ς",
        check=_conclude,
        references=("demoura2008z3",),
    ),
    Step(
        key="22",
        kind=Kind.INEQUALITY,
        claim="Λ₊ ≥ 0 for θ ≤ 0.65 and Λ₋ ≥ 0 for θ ≤ 0.48, all K ≥ 3, L, l",
        because="ball arithmetic in (θ, 1/K); k₊ is largest for s = 1; Λ times θ has no pole at θ = 0, "
        "double zeros of k divided out",
        check=_thresholds,
        references=("johansson2017arb",),
    ),
    Step(
        key="23",
        kind=Kind.IDENTITY,
        claim="E = ±(θ/N)(2YᵀY - 11ᵀ) attains r(1±2θ/K)^{1/L} at every K, n, L, l, ε",
        because="Q_0 = H⁻¹ and nH⁻¹ = 1 ± 2θ/K on range P",
        check=_attained,
    ),
    Step(
        key="24",
        kind=Kind.BALL,
        claim="T5' on random and extreme entrywise instances, residual terms included",
        because="C_l from T2 with enclosed roots; equality at the extremal data allowed to 1e-20",
        check=_whole,
        references=("johansson2017arb",),
    ),
)

VARIANTS = (
    WrongVariant(name="T5' with K for K/2", claim="(1 ± θ/K)^{1/L}", check=lambda s: _whole(s, factor=Fraction(1, 2))),
    WrongVariant(
        name="T5' 1 % too tight", claim="(1 ± 1.98 θ/K)^{1/L}", check=lambda s: _whole(s, factor=Fraction(99, 100))
    ),
    WrongVariant(
        name="conjecture for all θ < 1, lower",
        claim="C_{l+1}/C_l ≥ r(1-2θ/K)^{1/L} for every θ < 1",
        check=_lower_conjecture,
    ),
    WrongVariant(
        name="conjecture without residual term, upper",
        claim="C_{l+1}/C_l ≤ r(1+2θ/K)^{1/L} for every θ < 1 and l ≥ 0",
        check=lambda s: _whole(s, conjecture=True),
    ),
    WrongVariant(name="Λ₊ ≥ 0 up to 0.7", claim="for every K, L, l", check=lambda s: _thresholds(s, upper="0.7")),
)
