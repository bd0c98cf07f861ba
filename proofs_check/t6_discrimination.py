"""T6: discrimination is linear in depth, with explicit remainders."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations

import sympy as sp
import z3
from flint import arb, fmpq, fmpq_mat

from . import t6_sharp_cosine as sharp
from .assumptions import A1, A2, A3, ENTRYWISE, EQUAL_CLASSES, INVERTIBLE, SPECTRAL, WIDE
from .balls import at_most, ball, eigenvalues, exponential, identity, logarithm, meets
from .classical import WIELANDT, applied
from .instances import GramInstance, gram_instances, spectral_gram
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, discharged, refuted
from .quantities import ClosedForm, closed_form, cosines, largest
from .scalar import choice, exp_tail, for_all, log_quotient, nonnegative_on_box, positive_series
from .t5_compression_rate import coupled_gram

__all__ = ["STATEMENT", "equal_class_instances"]

EDGE = arb("1e-12")
"""Ball checks allow this much more than the bound: where both sides are exactly equal, no ball can decide."""


def equal_class_instances(scope: Scope, thetas: tuple[str, ...]) -> list[GramInstance]:
    """Equal classes: entrywise extreme, random, class-aligned and coupled Gram matrices."""
    rng = scope.rng("T6")
    shapes = [(2, 2), (2, 2, 2), (3, 3), (1, 1, 1, 1)]
    if scope.depth != "quick":
        shapes += [(4, 4), (3, 3, 3), (2, 2, 2, 2, 2)]
    return gram_instances(thetas, shapes, rng, randoms=scope.count(4, 20, 80))


def _exponential_form(scope: Scope) -> Evidence:
    """h^{l/L-1} = n^{-t} e^{tψ_h}, ψ_h = -log(h/n), for every eigenvalue h; and once in balls."""
    h, n, t = sp.symbols("h n t", positive=True)
    gap = sp.simplify(h ** (-t) / (n ** (-t) * sp.exp(-t * (sp.log(h) - sp.log(n)))))
    if gap != 1:
        return refuted(f"the sides differ by {gap}")

    def pairs():
        for instance in equal_class_instances(scope, ("1/2",))[:6]:
            form = closed_form(instance.gram, instance.counts, depth=4, residual_scale=fmpq(1, 5))
            size = ball(instance.counts[0])
            psi = logarithm(form.h * fmpq(1, instance.counts[0])) * arb(-1)
            for layer in range(4):
                t = arb(4 - layer) / 4
                right = exponential(psi * t) * size ** (-t)
                for a, b in zip(form.signal(layer).entries(), right.entries()):
                    yield f"{instance.name}, layer {layer}", a, b

    return both(discharged("SymPy on every eigenvalue (functional calculus)"), meets(pairs(), noun="entries"))


def _log_bound(scope: Scope) -> Evidence:
    """log(1+θ) ≤ -log(1-θ): -log(1-θ²) = θ² · [log(1+w)/w at w = -θ²] ≥ 0, the bracket ∫₀¹ dt/(1+tw) > 0."""
    del scope
    return nonnegative_on_box(lambda t: log_quotient(-t * t) - arb("0.5"), [(0, Fraction(999, 1000))])


def _remainder(scope: Scope) -> Evidence:
    """0 ≤ e^y - 1 - y ≤ e^{|y|} - 1 - |y| for real y, increasing in |y|.

    e^y - 1 - y = y² T_2(y) with T_2(y) = ∫₀¹ (1-u)e^{uy} du > 0; for x ≥ 0 the other side minus this one at y = -x is
    x³ (T_3(x) + T_3(-x)), T_3(y) = ∫₀¹ (1-u)²/2 e^{uy} du > 0. The singular point y = 0 is divided
    out; balls on |y| ≤ 20.
    """
    del scope
    return both(
        nonnegative_on_box(lambda y: exp_tail(y, 2) - arb("1e-4"), [(-20, 20)]),
        nonnegative_on_box(lambda x: exp_tail(x, 3) + exp_tail(-x, 3) - arb("1e-4"), [(0, 20)]),
        nonnegative_on_box(lambda x: exp_tail(x, 1) - arb("0.5"), [(0, 20)]),
    )


def _cosine_step(scope: Scope, *, missing: bool = False) -> Evidence:
    """|e/s - p| ≤ r g + y (g-1) where |e-p| ≤ r, |p| ≤ y, s = √(E_kk E_k'k') in [1/g, g]."""
    del scope
    return for_all(
        "e p r y s g",
        lambda e, p, r, y, s, g: z3.And(
            e / s - p <= r * g + (0 if missing else y * (g - 1)), p - e / s <= r * g + (0 if missing else y * (g - 1))
        ),
        given=lambda e, p, r, y, s, g: [
            g >= 1,
            s * g >= 1,
            s <= g,
            s > 0,
            e - p <= r,
            p - e <= r,
            p <= y,
            -p <= y,
            r >= 0,
            y >= 0,
        ],
    )


def _diagonal_step(scope: Scope) -> Evidence:
    """Diagonal entries between 1/g and g have a geometric mean there: s² = E_kk E_k'k'."""
    del scope
    return for_all(
        "a b s g",
        lambda a, b, s, g: z3.And(s <= g, s * g >= 1),
        given=lambda a, b, s, g: [g >= 1, a * g >= 1, a <= g, b * g >= 1, b <= g, s > 0, s * s == a * b],
    )


def _maximum_step(scope: Scope) -> Evidence:
    """|max a - max b| ≤ max |a - b|, by induction on the number of pairs: one more pair."""
    del scope

    def larger(x, y):
        return choice(x >= y, x, y)

    return for_all(
        "a A b B d",
        lambda a, A, b, B, d: z3.And(larger(a, A) - larger(b, B) <= d, larger(b, B) - larger(a, A) <= d),
        given=lambda a, A, b, B, d: [a - b <= d, b - a <= d, A - B <= d, B - A <= d, d >= 0],
    )


def _quadratic(scope: Scope) -> Evidence:
    """The remainder is y² [T_2(y)e^y + T_1(y)] ≤ (3/2) y² e^{2y}, y = tψ: O(t²θ²)."""
    del scope
    return nonnegative_on_box(
        lambda y: arb("1.5") * (2 * y).exp() - exp_tail(y, 2) * y.exp() - exp_tail(y, 1) + EDGE, [(0, 10)]
    )


def _wielandt(scope: Scope) -> Evidence:
    """2 × 2 blocks of the signal part A and of Q = A + B, 0 ≤ B ≤ κA, at l = 0, where both are rational."""
    uses = []
    for instance in equal_class_instances(scope, ("1/2", "9/10")):
        form = closed_form(instance.gram, instance.counts, depth=1, residual_scale=fmpq(1))
        t = instance.theta
        first = form.h.inv()
        second = first + form.residual
        for a, b in combinations(range(len(instance.counts)), 2):
            block = [(a, a), (a, b), (b, a), (b, b)]
            uses.append(
                (
                    fmpq_mat(2, 2, [first[i] for i in block]),
                    fmpq_mat(2, 2, [second[i] for i in block]),
                    t * t / (1 - t * t),
                )
            )
    return applied(WIELANDT, scope, uses)


def _residual_step(scope: Scope, *, factor: Fraction = Fraction(1)) -> Evidence:
    """(1-c')/(1+c') within (1+κ)^{±1} of (1-c)/(1+c) gives |c' - c| ≤ κ(1-c²)/2 ≤ κ(1+|c|)/2."""
    del scope
    tight = z3.Q(factor.numerator, factor.denominator)
    return for_all(
        "c d k",
        lambda c, d, k: z3.And(2 * (d - c) <= tight * k * (1 - c * c), 2 * (c - d) <= tight * k * (1 - c * c)),
        given=lambda c, d, k: [
            -1 < c,
            c < 1,
            -1 < d,
            d < 1,
            k >= 0,
            (1 - d) * (1 + c) <= (1 + k) * (1 - c) * (1 + d),
            (1 - c) * (1 + d) <= (1 + k) * (1 - d) * (1 + c),
        ],
    )


def _neumann(scope: Scope) -> Evidence:
    """|(Δ^j)_ii'| ≤ θ^j/N by induction; then entries of H/n - I, log and power are majorised by their series."""
    del scope
    t, N, n, K, j = sp.symbols("theta N n K j", positive=True)
    induction = sp.simplify(N * (t / N) * (t**j / N) - t ** (j + 1) / N)
    blocks = sp.simplify(n**2 * (t / (1 - t)) / (n * K) / n - t / ((1 - t) * K))
    ratio = t / (1 - t)
    logs = sp.simplify((1 - ratio) - (1 - 2 * t) / (1 - t))
    rest = sp.simplify(t**2 / (1 - t) + ratio**2 / (1 - ratio) - 2 * t**2 / (1 - 2 * t))
    if any(gap != 0 for gap in (induction, blocks, logs, rest)):
        return refuted(f"SymPy: {induction}, {blocks}, {logs}, {rest}")
    series = [
        positive_series(lambda k: Fraction(1, k + 1), "-log(1-h) = Σ h^k/k"),
        *(
            positive_series(lambda k, t=t: _binomial(t, k), "(1-h)^{-t}: c_{k+1}/c_k = (t+k)/(k+1) > 0, t in [0, 1]")
            for t in (Fraction(0), Fraction(1, 3), Fraction(1))
        ),
    ]
    return both(discharged("SymPy: the four identities of the majorants"), *series)


def _binomial(t: Fraction, k: int) -> Fraction:
    value = Fraction(1)
    for j in range(k):
        value = value * (t + j) / (j + 1)
    return value


def _entries(scope: Scope) -> Evidence:
    """The entrywise bounds themselves, exactly and in balls, on instances with θ < 1/2."""

    def triples():
        for instance in equal_class_instances(scope, ("1/10", "2/5", "49/100")):
            t, n, size = instance.theta, instance.counts[0], len(instance.counts)
            samples = n * size
            delta = instance.gram - identity(samples)
            power = delta
            for j in range(1, 4):
                most = max(abs(entry) for entry in power.entries())
                yield f"{instance.name}, Δ^{j}", most, t**j / samples
                power = power * delta
            form = closed_form(instance.gram, instance.counts, depth=1, residual_scale=fmpq(1))
            gap = form.h * fmpq(1, n) - identity(size)
            most = max(abs(entry) for entry in gap.entries())
            yield f"{instance.name}, H/n - I", most, t / ((1 - t) * size)
            most = max(abs(entry) for entry in form.residual.entries()) * n
            yield f"{instance.name}, n(Q_0 - H⁻¹)", most, 2 * t * t / ((1 - 2 * t) * size)
            psi = logarithm(form.h * fmpq(1, n)) * arb(-1)
            bound = (ball((1 - t) / (1 - 2 * t))).log() / size
            for a, b in combinations(range(size), 2):
                if not psi[a, b].overlaps(bound):
                    yield f"{instance.name}, Ψ", psi[a, b], bound

    return at_most(triples(), noun="entry bounds")


def _explicit_step(scope: Scope) -> Evidence:
    """cos = (e + f)/√(uv) ≤ (a+b)/(1-a) where e ≤ a, f ≤ b, u, v ≥ 1-a > 0."""
    del scope
    return for_all(
        "e f a b u v s",
        lambda e, f, a, b, u, v, s: (e + f) * (1 - a) <= (a + b) * s,
        given=lambda e, f, a, b, u, v, s: [
            e <= a,
            f <= b,
            a >= 0,
            b >= 0,
            a < 1,
            u >= 1 - a,
            v >= 1 - a,
            s > 0,
            s * s == u * v,
        ],
    )


def _signal_parts(
    instance: GramInstance, depth: int, scale: fmpq
) -> Iterator[tuple[int, arb, arb, arb, arb, ClosedForm]]:
    """(layer, t, ψ, m, D of the signal part, form)."""
    form = closed_form(instance.gram, instance.counts, depth=depth, residual_scale=scale)
    n, size = instance.counts[0], len(instance.counts)
    values = eigenvalues(form.h * fmpq(1, n))
    spread = values[-1].log().max(-values[0].log())
    psi = logarithm(form.h * fmpq(1, n)) * arb(-1)
    steepest = largest([psi[a, b] for a, b in combinations(range(size), 2)])
    for layer in range(depth):
        t = arb(depth - layer) / depth
        yield layer, t, spread, steepest, 1 - largest(cosines(form.signal(layer))), form


def _signal_bound(scope: Scope, *, factor: Fraction = Fraction(1), shift: int = 0, sign: int = -1) -> Evidence:
    def triples():
        for instance in equal_class_instances(scope, ("1/10", "1/2", "99/100")):
            for depth in (3, 6):
                for layer, t, psi, m, value, _ in _signal_parts(instance, depth, fmpq(3, 10)):
                    y = t * psi
                    bound = (y.exp() - 1 - y) * y.exp() + y * (y.exp() - 1)
                    shifted = arb(depth - layer - shift) / depth
                    gap = abs(value - (1 + sign * shifted * m))
                    yield f"{instance.name}, L = {depth}, l = {layer}", gap, bound * ball(factor) + EDGE

    return at_most(triples(), noun="signal parts")


def _whole(scope: Scope, *, residual: Fraction = Fraction(1)) -> Evidence:
    """D_l itself: line ± signal remainder ± residual part, and D between the two ends."""

    def triples():
        instances = [
            *equal_class_instances(scope, ("1/2", "99/100")),
            coupled_gram(2, "1/2"),
            spectral_gram(2, 3, "3/5", means=(1, -1, 0), within=(0,)),
        ]
        for instance in instances:
            theta = ball(instance.theta)
            rho = theta**2 / (1 - theta**2)
            for depth, scale in ((3, fmpq(3, 10)), (5, fmpq(2))):
                for layer, t, psi, m, _, form in _signal_parts(instance, depth, scale):
                    q = ball(scale) ** 2 * ((1 + theta) / instance.counts[0]) ** (arb(1) / depth)
                    kappa = rho * q**layer * ball(residual)
                    name = f"{instance.name}, L = {depth}, ε = {scale}, l = {layer}"
                    old, new = cosines(form.signal(layer)), cosines(form.means_gram(layer))
                    for before, after in zip(old, new):
                        yield f"{name}, residual", abs(after - before), kappa * (1 - before * before) / 2 + EDGE
                    value = 1 - largest(new)
                    y = t * psi
                    bound = (y.exp() - 1 - y) * y.exp() + y * (y.exp() - 1) + kappa
                    yield f"{name}, whole", abs(value - (1 - t * m)), bound + EDGE

    return at_most(triples(), noun="layers")


def _explicit(scope: Scope, *, power: int = 1, tighten: Fraction = Fraction(1)) -> Evidence:
    """1 - D_l ≤ [a + 2θ²ε^{2l}n^{-l/L}/((1-2θ)K)]/(1-a) where a < 1; `power` 2 puts K² for K."""

    def triples():
        for instance in equal_class_instances(scope, ("1/10", "1/5", "2/5")):
            theta, size = ball(instance.theta), len(instance.counts)
            for depth, scale in ((3, fmpq(3, 10)), (6, fmpq(3, 2))):
                form = closed_form(instance.gram, instance.counts, depth=depth, residual_scale=scale)
                for layer in range(depth):
                    t = arb(depth - layer) / depth
                    a = (((1 - theta) / (1 - 2 * theta)) ** t - 1) / size**power
                    if not a < 1:
                        continue
                    n = ball(instance.counts[0])
                    b = 2 * theta**2 * ball(scale) ** (2 * layer) * n ** (-arb(layer) / depth)
                    b = b / ((1 - 2 * theta) * size**power)
                    value = largest(cosines(form.means_gram(layer)))
                    name = f"{instance.name}, L = {depth}, l = {layer}"
                    yield name, value, (a + b) / (1 - a) * ball(tighten)

    return at_most(triples(), noun="layers")


def _condition_needed(scope: Scope) -> Evidence:
    """a < 1 is a condition, not a consequence of θ < 1/2: at K = 2, t = 1, θ = 49/100 it is 49/4."""
    del scope
    theta = Fraction(49, 100)
    a = ((1 - theta) / (1 - 2 * theta) - 1) / 2
    return refuted(f"a = {a} at K = 2, t = 1, θ = 49/100") if a >= 1 else discharged("")


STATEMENT = Statement(
    number="T6",
    title="discrimination is linear",
    text="Ψ = -log(H/n), ψ = ‖Ψ‖₂ ≤ -log(1-θ), t = 1 - l/L, m = max_{k≠k'} Ψ_kk'. Signal part: "
    "|D_l - (1 - tm)| ≤ (e^{tψ}-1-tψ)e^{tψ} + tψ(e^{tψ}-1) ≤ (3/2)(tψ)²e^{2tψ}. The residual part moves "
    "each cosine c by at most "
    "κ(1-c²)/2, κ = ρq^l, so D_l by at most κ/2. Entrywise θ < 1/2: m ≤ (1/K) log((1-θ)/(1-2θ)), and where "
    "a = (((1-θ)/(1-2θ))^t - 1)/K < 1, 1 - D_l ≤ [a + 2θ²ε^{2l}n^{-l/L}/((1-2θ)K)]/(1-a)." + " " + sharp.TEXT,
    assumptions=(
        str(A1),
        str(A2),
        str(A3),
        str(INVERTIBLE),
        str(WIDE),
        str(EQUAL_CLASSES),
        str(SPECTRAL),
        f"{ENTRYWISE}, for the explicit bound and T6'a",
    ),
    rests_on=("T1", "T2", "T5"),
    remarks=(
        "Sharper than the note: κ(1-c²)/2 in place of κ(1+|c|)/2 for the residual part (Wielandt).",
        "a < 1 is a condition of its own: θ < 1/2 does not imply it (wrong variant 'a < 1 for free').",
    ),
    tightness=("13", "14", "15", "24", "29"),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="H^{l/L-1} = n^{-t} e^{tΨ}",
            because="functional calculus of H, eigenvalue by eigenvalue",
            check=_exponential_form,
        ),
        Step(
            key="2",
            kind=Kind.INEQUALITY,
            claim="ψ ≤ -log(1-θ)",
            because="n/(1+θ) ≤ H ≤ n/(1-θ) (T5 step 7) puts Ψ in [log(1-θ), log(1+θ)]; log(1-θ²) ≤ 0, its "
            "double zero at "
            "θ = 0 divided out; for θ → 1 the quotient is an integral of a positive function",
            check=_log_bound,
            references=("johansson2017arb",),
        ),
        Step(
            key="3",
            kind=Kind.INEQUALITY,
            claim="|e^y - 1 - y| ≤ e^{|y|} - 1 - |y|, so ‖e^{tΨ} - I - tΨ‖₂ ≤ e^{tψ} - 1 - tψ, and so each entry",
            because="power series; singular point y = 0 divided out; |e_kᵀRe_k'| ≤ ‖R‖₂",
            check=_remainder,
            references=("johansson2017arb",),
        ),
        Step(
            key="4",
            kind=Kind.INEQUALITY,
            claim="the norm s = √(E_kk E_k'k') of E = e^{tΨ} lies in [e^{-tψ}, e^{tψ}]",
            because="diagonal entries of E lie in its spectrum's range",
            check=_diagonal_step,
            references=("demoura2008z3",),
        ),
        Step(
            key="5",
            kind=Kind.INEQUALITY,
            claim="|E_kk'/s - tΨ_kk'| ≤ (e^{tψ}-1-tψ)e^{tψ} + tψ(e^{tψ}-1)",
            because="E_kk'/s - p = (E_kk' - p)/s + p(1/s - 1), |p| ≤ tψ",
            check=_cosine_step,
            references=("demoura2008z3",),
        ),
        Step(
            key="6",
            kind=Kind.INEQUALITY,
            claim="|max a - max b| ≤ max |a - b|",
            because="induction on the number of pairs",
            check=_maximum_step,
            references=("demoura2008z3",),
        ),
        Step(
            key="7",
            kind=Kind.INEQUALITY,
            claim="the remainder is at most (3/2)(tψ)² e^{2tψ}",
            because="double zero at tψ = 0 divided out",
            check=_quadratic,
            references=("johansson2017arb",),
        ),
        Step(
            key="8",
            kind=Kind.CLASSICAL,
            claim="A ≤ Q ≤ (1+κ)A changes tan²(φ/2) of an angle by a factor within (1+κ)^{±1}",
            because="Wielandt; 0 ≤ B ≤ κA for the residual part B, κ = ρq^l, by T5 step 9",
            check=_wielandt,
            references=("bauer1960wielandt",),
        ),
        Step(
            key="9",
            kind=Kind.INEQUALITY,
            claim="so a cosine moves by at most κ(1-c²)/2",
            because="tan²(φ/2) = (1-c)/(1+c)",
            check=_residual_step,
            references=("demoura2008z3",),
        ),
        Step(
            key="10",
            kind=Kind.INEQUALITY,
            claim="entrywise: |H/n - I| ≤ θ/((1-θ)K), |log(H/n)| ≤ (1/K)log((1-θ)/(1-2θ)), |e^{tΨ} - I| ≤ a, "
            "n|Q_0 - H⁻¹| ≤ 2θ²/((1-2θ)K)",
            because="Neumann series, |(Δ^j)_ii'| ≤ θ^j/N; log and (1-h)^{-t} have series with coefficients ≥ 0",
            check=_neumann,
        ),
        Step(
            key="11",
            kind=Kind.INEQUALITY,
            claim="1 - D_l ≤ (a+b)/(1-a)",
            because="diagonal entries of Q_l, scaled, are ≥ 1-a since the residual part is positive",
            check=_explicit_step,
            references=("demoura2008z3",),
        ),
        Step(
            key="12",
            kind=Kind.BALL,
            claim="the entry bounds of step 10 on random and extreme instances",
            because="exact, logarithm enclosed",
            check=_entries,
        ),
        Step(
            key="13",
            kind=Kind.BALL,
            claim="the signal part's bound on random and extreme instances, θ up to 0.99",
            because="Ψ and eigenvalues enclosed; up to 1e-12, where both sides vanish",
            check=_signal_bound,
            references=("johansson2017arb",),
        ),
        Step(
            key="14",
            kind=Kind.BALL,
            claim="the residual part's bound, cosine by cosine, and the whole bound on D_l",
            because="Q_l enclosed; ε = 0.3 and 2; up to 1e-12, where both sides vanish",
            check=_whole,
            references=("johansson2017arb",),
        ),
        Step(
            key="15",
            kind=Kind.BALL,
            claim="the explicit bound on 1 - D_l for θ < 1/2",
            because="Q_l enclosed",
            check=_explicit,
            references=("johansson2017arb",),
        ),
        *sharp.STEPS,
    ),
    wrong_variants=(
        *sharp.VARIANTS,
        WrongVariant(name="layer off by one", claim="t = 1 - (l+1)/L", check=lambda s: _signal_bound(s, shift=1)),
        WrongVariant(name="sign flipped", claim="D_l near 1 + tm", check=lambda s: _signal_bound(s, sign=1)),
        WrongVariant(
            name="remainder ten times smaller",
            claim="a tenth of the remainder",
            check=lambda s: _signal_bound(s, factor=Fraction(1, 10)),
        ),
        WrongVariant(
            name="residual part 1 % too tight",
            claim="|c' - c| ≤ 0.99 κ(1-c²)/2",
            check=lambda s: _residual_step(s, factor=Fraction(99, 100)),
        ),
        WrongVariant(
            name="second term dropped",
            claim="|E_kk'/s - tΨ_kk'| ≤ (e^{tψ}-1-tψ)e^{tψ} from the same facts",
            check=lambda s: _cosine_step(s, missing=True),
        ),
        WrongVariant(name="K² for K", claim="a and b divided by K²", check=lambda s: _explicit(s, power=2)),
        WrongVariant(name="a < 1 for free", claim="θ < 1/2 implies a < 1", check=_condition_needed),
    ),
)
