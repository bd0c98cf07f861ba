"""T5: two-sided bounds on how fast compression falls from layer to layer."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import sympy as sp
import z3
from flint import arb, fmpq, fmpq_mat

from . import t5_sharp_rate as sharp
from .assumptions import A1, A2, A3, ENTRYWISE, EQUAL_CLASSES, INVERTIBLE, SPECTRAL, WIDE
from .balls import at_most, ball, certainly_psd, decided, exactly_zero, identity
from .classical import GERSHGORIN, MARSHALL_OLKIN, SPECTRAL_ORDER, applied
from .instances import (
    GramInstance,
    averaging,
    diagonal,
    gram_instances,
    labels,
    nearly_orthonormal,
    spectral_gram,
)
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, refuted, undecided
from .quantities import closed_form
from .rewriting import Algebra, Instance
from .scalar import exp_tail, for_all, log_quotient, nonnegative_on_box

__all__ = ["STATEMENT", "coupled_gram", "power_is_monotone", "small_instances"]

L, l = sp.symbols("L l", positive=True)
eps, rho, theta = sp.symbols("epsilon rho theta", positive=True)


def small_instances(scope: Scope) -> list[GramInstance]:
    """Entrywise extreme and random Gram matrices; equal and unequal classes; θ up to 0.99."""
    rng = scope.rng("T5")
    shapes = [(2, 2), (1, 3), (2, 2, 2), (1, 2, 3), (2, 2, 2, 2)]
    if scope.depth != "quick":
        shapes += [(4, 4), (3, 3, 3), (1, 2, 4, 2), (2, 2, 2, 2, 2)]
    thetas = ("1/10", "1/2", "99/100")
    return gram_instances(thetas, shapes, rng, randoms=scope.count(4, 20, 160))


def coupled_gram(per_class: int, theta: str) -> GramInstance:
    """K = 2: G = I + θ (e wᵀ + w eᵀ), e the contrast of the classes and w a contrast within them.

    Kantorovich's bound is attained on e: eᵀGe = 1 and (eᵀG⁻¹e)⁻¹ = 1 - θ². n is even.
    """
    value, size = fmpq(Fraction(theta).numerator, Fraction(theta).denominator), 2 * per_class
    e = [1] * per_class + [-1] * per_class
    w = [1 if i % 2 == 0 else -1 for i in range(size)]
    gram = identity(size)
    for i in range(size):
        for j in range(size):
            gram[i, j] += value * fmpq(e[i] * w[j] + w[i] * e[j], size)
    return GramInstance(
        name=f"contrast coupled to the inside, n = {per_class}, K = 2, θ = {theta}",
        gram=gram,
        counts=(per_class, per_class),
        theta=value,
        entrywise=False,
    )


def _spectral_instances() -> list[GramInstance]:
    found = [coupled_gram(2, theta) for theta in ("1/100", "1/2", "9/10")]
    for theta in ("1/100", "1/2"):
        found.append(spectral_gram(3, 3, theta, means=(1,), within=(Fraction(-1, 2),)))
        found.append(spectral_gram(2, 2, theta, means=(-1,), within=(1, Fraction(1, 3))))
    return found


def _gershgorin(scope: Scope) -> Evidence:
    uses = []
    for instance in small_instances(scope):
        uses.append((instance.gram - identity(instance.gram.nrows()), instance.theta))
    sizes = for_all(
        "N t",
        lambda N, t: N * (t / N) <= t,
        given=lambda N, t: [N >= 1, t >= 0, t < 1],
    )
    return both(applied(GERSHGORIN, scope, uses), sizes)


def _kantorovich_scalar(scope: Scope) -> Evidence:
    del scope
    return both(
        for_all(
            "x t",
            lambda x, t: x + (1 - t * t) / x <= 2,
            given=lambda x, t: [0 <= t, t < 1, x >= 1 - t, x <= 1 + t],
        ),
        for_all(
            "r t", lambda r, t: 2 - (1 - t * t) * r <= 1 / ((1 - t * t) * r), given=lambda r, t: [0 <= t, t < 1, r > 0]
        ),
        for_all("t", lambda t: 1 / (1 - t * t) - 1 == t * t / (1 - t * t), given=lambda t: [0 <= t, t < 1]),
    )


def _kantorovich_calculus(scope: Scope) -> Evidence:
    uses = []
    for instance in [*small_instances(scope)[:6], *_spectral_instances()]:
        uses.append((instance.gram, 1 - instance.theta, 1 + instance.theta))
    return applied(SPECTRAL_ORDER, scope, uses)


def _compress(scope: Scope) -> Evidence:
    """Eᵀ(2I - G - cG⁻¹)E = 2I - P - cR with EᵀE = I."""
    algebra = Algebra()
    c = sp.Symbol("c", positive=True)
    E = algebra.symbol("E", "N", "K")
    G = algebra.symbol("G", "N", "N", functional=True)
    T = algebra.T
    algebra.rule(T(E) * E, sp.Integer(1), "EᵀE = I")
    gap = 2 - G - c * G**-1
    return algebra.proves(
        T(E) * gap * E,
        2 - T(E) * G * E - c * T(E) * G**-1 * E,
        instances=[_frame_instance({c: sp.Rational(1, 2)})],
    )


def _frame_instance(scalars: Mapping[sp.Symbol, sp.Expr]) -> Instance:
    """Classes of 4 samples, so that E = Yᵀ diag(n)^{-1/2} is rational."""
    counts = (4, 4)
    gram = nearly_orthonormal(counts, "1/2", lambda i, j, a, b: Fraction((3 * i + 5 * j) % 7 - 3, 3))
    frame = labels(counts).transpose() * fmpq(1, 2)
    inner = frame.transpose() * gram.inv() * frame
    return Instance(
        matrices={"E": frame, "G": gram, "R": inner, "D": diagonal(counts)},
        powers={"D": lambda e: identity(2) * fmpq(2) ** int(2 * e)},
        scalars=scalars,
        name="K = 2, n = 4",
    )


def _undo_normalisation(scope: Scope) -> Evidence:
    """Y = D^{1/2}Eᵀ: Q_0 = D^{-1/2} EᵀGE D^{-1/2}, H = D^{1/2} R D^{1/2}; Q_0 - H⁻¹ is a square."""
    del scope
    algebra = Algebra()
    T = algebra.T
    half = sp.Rational(1, 2)
    E = algebra.symbol("E", "N", "K")
    G = algebra.symbol("G", "N", "N", functional=True)
    D = algebra.symbol("D", "K", "K", functional=True)
    R = algebra.symbol("R", "K", "K", functional=True)
    algebra.rule(T(E) * E, sp.Integer(1), "EᵀE = I")
    algebra.rule(T(E) * G**-1 * E, R, "R = EᵀG⁻¹E")
    y = D**half * T(E)
    bar = D**-1 * y
    h_inverse = D**-half * R**-1 * D**-half
    inner = 1 - G**-1 * E * R**-1 * T(E)
    model = [_frame_instance({})]
    return both(
        algebra.proves(y * T(y), D, instances=model),
        algebra.proves(y * G**-1 * T(y) * h_inverse, sp.Integer(1), instances=model),
        algebra.proves(
            bar * G * T(bar) - h_inverse,
            D**-half * T(E) * T(inner) * G * inner * E * D**-half,
            instances=model,
        ),
    )


def _marshall(scope: Scope) -> Evidence:
    uses = []
    frame = labels((4, 4)).transpose() * fmpq(1, 2)
    for number, theta in enumerate(("1/10", "1/2", "9/10")):
        gram = nearly_orthonormal((4, 4), theta, lambda i, j, a, b, m=number: (-1) ** ((i * j + m) % 2))
        value = fmpq(Fraction(theta).numerator, Fraction(theta).denominator)
        uses.append((gram, frame, 1 - value, 1 + value))
    return applied(MARSHALL_OLKIN, scope, uses)


def _bounds_of_h(scope: Scope) -> Evidence:
    """H - diag(n)/(1+θ) = Y (G⁻¹ - 1/(1+θ)) Yᵀ ≥ 0, and the other side."""
    algebra = Algebra()
    T = algebra.T
    c = sp.Symbol("c", positive=True)
    Y = algebra.symbol("Y", "K", "N")
    G = algebra.symbol("G", "N", "N", functional=True)
    D = algebra.symbol("D", "K", "K", functional=True)
    algebra.rule(Y * T(Y), D, "YYᵀ = diag(n)")
    instance = small_instances(scope)[4]
    model = Instance(
        matrices={"Y": labels(instance.counts), "G": instance.gram, "D": diagonal(instance.counts)},
        scalars={c: sp.Rational(2, 3)},
        name=instance.name,
    )
    scalar = for_all(
        "g t n a b",
        lambda g, t, n, a, b: z3.And(a / (1 + t) <= n / g, n / g <= b / (1 - t)),
        given=lambda g, t, n, a, b: [0 <= t, t < 1, 1 - t <= g, g <= 1 + t, 1 <= a, a <= n, n <= b],
    )
    return both(algebra.proves(Y * G**-1 * T(Y) - c * D, Y * (G**-1 - c) * T(Y), instances=[model]), scalar)


def power_is_monotone(scope: Scope) -> Evidence:
    """x ↦ x^s, s ≥ 0, never falls: x^s - 1 = s(x-1) · [log x/(x-1)] · [(e^y - 1)/y], y = s log x.

    Both brackets are ∫₀¹ dt/(1+t(x-1)) and ∫₀¹ e^{ty} dt, positive for every x > 0 and y; the singular points x = 1 and
    y = 0 are divided out. Balls check them where 1e-3 ≤ x ≤ 1000, |y| ≤ 20.
    """
    del scope
    return both(
        nonnegative_on_box(lambda w: log_quotient(w) - arb("1e-9"), [(Fraction(-999, 1000), 999)]),
        nonnegative_on_box(lambda y: exp_tail(y, 1) - arb("1e-10"), [(-20, 20)]),
    )


def _sandwich(scope: Scope) -> Evidence:
    """(1+ρq^l)H^{l/L-1} - Q_l as a sum of two positive terms; q^l = ε^{2l} c^{l/L}, c = (1+θ)/n_min."""
    algebra = Algebra()
    c = sp.Symbol("c", positive=True)
    H = algebra.symbol("H", "K", "K", functional=True)
    Q = algebra.symbol("Q_0", "K", "K", symmetric=True)
    q_l = H ** (l / L - 1) + eps ** (2 * l) * (Q - H**-1)
    power = (l / L - 1) / 2
    left = (1 + rho * eps ** (2 * l) * c ** (l / L)) * H ** (l / L - 1) - q_l
    first = eps ** (2 * l) * (rho * H**-1 - (Q - H**-1))
    second = rho * eps ** (2 * l) * H**power * (c ** (l / L) - H ** (-l / L)) * H**power
    model = Instance(
        matrices={"Q_0": fmpq_mat(2, 2, [1, fmpq(1, 5), fmpq(1, 5), 2])},
        powers={"H": lambda e: diagonal([fmpq(3, 2) ** int(6 * e), fmpq(2) ** int(6 * e)])},
        scalars={
            L: sp.Integer(3),
            l: sp.Integer(1),
            eps: sp.Rational(1, 3),
            rho: sp.Rational(1, 4),
            c: sp.Rational(8, 27),
        },
        name="K = 2, L = 3",
    )
    return algebra.proves(left, first + second, instances=[model])


def _one_layer(scope: Scope) -> Evidence:
    """H^{(l+1)/L-1} - c H^{l/L-1} = H^{a} (H^{1/L} - c) H^{a}, a = (l/L-1)/2; and diag p - ppᵀ is a square."""
    algebra = Algebra()
    c = sp.Symbol("c", positive=True)
    H = algebra.symbol("H", "K", "K", functional=True)
    power = (l / L - 1) / 2
    this = algebra.proves(H ** ((l + 1) / L - 1) - c * H ** (l / L - 1), H**power * (H ** (1 / L) - c) * H**power)
    other = Algebra()
    T = other.T
    P = other.symbol("diag(p)", "K", "K", symmetric=True)
    p, one = other.symbol("p", "K", "1"), other.symbol("e", "K", "1")
    other.rule(P * one, p, "diag(p) 1 = p")
    other.rule(T(one) * p, sp.Integer(1), "1ᵀp = 1")
    shares = [fmpq(1, 3), fmpq(2, 3)]
    instance = Instance(
        matrices={"diag(p)": diagonal(shares), "p": fmpq_mat(2, 1, shares), "e": fmpq_mat(2, 1, [1, 1])},
        name="p = (1/3, 2/3)",
    )
    square = other.proves(P - p * T(p), (1 - p * T(one)) * P * (1 - one * T(p)), instances=[instance])
    return both(this, square)


def _ratio(scope: Scope) -> Evidence:
    """From the sandwiches to the ratio b_l/b_{l+1}, a_l = tr T H^{l/L-1}, b_l = tr T Q_l, T = diag p - ppᵀ ≥ 0."""
    del scope
    return for_all(
        "a1 a2 b1 b2 r1 r2 low high",
        lambda a1, a2, b1, b2, r1, r2, low, high: z3.And(b1 * low <= (1 + r1) * b2, b1 * high * (1 + r2) >= b2),
        given=lambda a1, a2, b1, b2, r1, r2, low, high: [
            a1 > 0,
            a2 > 0,
            r1 >= 0,
            r2 >= 0,
            low > 0,
            high >= low,
            a1 <= b1,
            b1 <= (1 + r1) * a1,
            a2 <= b2,
            b2 <= (1 + r2) * a2,
            low * a1 <= a2,
            a2 <= high * a1,
        ],
    )


def _kantorovich_balls(scope: Scope) -> Evidence:
    """0 ≤ Q_0 - H⁻¹ ≤ ρH⁻¹ and n_min/(1+θ) ≤ H ≤ n_max/(1-θ), exactly, on every instance."""
    found = []
    for instance in [*small_instances(scope), *_spectral_instances()]:
        form = closed_form(instance.gram, instance.counts, depth=1, residual_scale=fmpq(1))
        t = instance.theta
        size = len(instance.counts)
        found.append(decided(f"{instance.name}: Q_0 ≥ H⁻¹", certainly_psd(form.residual)))
        gap = form.h.inv() * (t * t / (1 - t * t)) - form.residual
        found.append(decided(f"{instance.name}: Q_0 - H⁻¹ ≤ ρH⁻¹", certainly_psd(gap)))
        low = form.h - identity(size) * (min(instance.counts) / (1 + t))
        high = identity(size) * (max(instance.counts) / (1 - t)) - form.h
        found.append(decided(f"{instance.name}: H above", certainly_psd(low)))
        found.append(decided(f"{instance.name}: H below", certainly_psd(high)))
    return at_most(found, noun="matrix inequalities decided exactly")


def ratio_bounds(
    instance: GramInstance,
    depth: int,
    layer: int,
    scale: fmpq,
    *,
    root_shift: int = 0,
    sign: int = 1,
    tighten: Fraction = Fraction(1),
    with_residual: bool = True,
) -> tuple[arb, arb]:
    """The two sides of T5; the keywords make it wrong on purpose."""
    theta = ball(instance.theta) * sign
    smallest, largest_class = ball(min(instance.counts)), ball(max(instance.counts))
    power = arb(1) / (depth + root_shift)
    square = ball(scale) ** 2
    rho = theta**2 / (1 - theta**2) if with_residual else arb(0)
    q = square * ((1 + theta) / smallest) ** power
    upper = square * ((1 + theta) / smallest) ** power * (1 + rho * q**layer) * ball(tighten)
    lower = square * ((1 - theta) / largest_class) ** power / (1 + rho * q ** (layer + 1)) / ball(tighten)
    return lower, upper


def _whole(scope: Scope, **change) -> Evidence:
    def triples():
        instances = [*small_instances(scope), *_spectral_instances()]
        cases = [(3, fmpq(3, 10)), (6, fmpq(1, 10)), (20, fmpq(1, 10)), (2, fmpq(9, 2))]
        for instance in instances:
            for depth, scale in cases[: 4 if not instance.entrywise else scope.count(2, 4, 4)]:
                form = closed_form(instance.gram, instance.counts, depth=depth, residual_scale=scale)
                layers = sorted({0, 1, depth // 2, depth - 2} & set(range(depth - 1)))
                values = {k: form.compression(k) for k in {m for a in layers for m in (a, a + 1)}}
                for layer in layers:
                    if values[layer].contains(0) or instance.theta == 0:
                        continue
                    ratio = values[layer + 1] / values[layer]
                    lower, upper = ratio_bounds(instance, depth, layer, scale, **change)
                    name = f"{instance.name}, L = {depth}, ε = {scale}, l = {layer}"
                    yield f"{name}, upper", ratio, upper
                    yield f"{name}, lower", lower, ratio

    return at_most(triples(), noun="two-sided checks of C_{l+1}/C_l")


def _negative_exactness(scope: Scope) -> Evidence:
    """At θ = 0 both sides are ε²/n^{1/L} and so is the ratio: H = nI, Q_0 = H⁻¹."""
    for counts in ((2, 2), (3, 3, 3)):
        form = closed_form(identity(sum(counts)), counts, depth=2, residual_scale=fmpq(1, 3))
        size = len(counts)
        if not exactly_zero(form.h - identity(size) * counts[0]) or not exactly_zero(form.residual):
            return refuted(f"θ = 0, n = {counts}: H is not nI")
        bar = averaging(counts)
        if not exactly_zero(bar * bar.transpose() * counts[0] - identity(size)):
            return undecided("averaging is off")
    n, e = sp.symbols("n e", positive=True)
    between = [n ** (k / L - 1) for k in (l, l + 1)]
    gap = sp.simplify(sp.powsimp(e**2 * between[0] / between[1] / (e**2 / n ** (1 / L)), force=True))
    from .ledger import discharged

    return discharged("exact; SymPy") if gap == 1 else refuted(f"the ratio is {gap} times the bound")


STATEMENT = Statement(
    number="T5",
    title="compression rate",
    text="ε²((1-θ)/n_max)^{1/L} / (1 + ρq^{l+1}) ≤ C_{l+1}/C_l ≤ ε²((1+θ)/n_min)^{1/L} (1 + ρq^l) for all "
    "θ < 1, ε > 0, "
    "L ≥ 2, 0 ≤ l < L-1 and any class sizes; ρ = θ²/(1-θ²), q = ε²((1+θ)/n_min)^{1/L}." + " " + sharp.TEXT,
    assumptions=(
        *(str(a) for a in (A1, A2, A3, INVERTIBLE, WIDE, SPECTRAL)),
        f"{ENTRYWISE} and {EQUAL_CLASSES}, for T5'",
    ),
    rests_on=("T1", "T2"),
    remarks=(
        "The note states it for equal classes; the proof needs them nowhere, with n_min above and n_max below.",
        "Only ‖G - I‖₂ ≤ θ is used up to step 14; the entrywise condition implies it (step 1).",
        "The conjecture (1 ± 2θ/K)^{1/L} is proved where T5' says so and refuted for all θ < 1 (wrong variants).",
    ),
    tightness=("14", "24"),
    steps=(
        Step(
            key="1",
            kind=Kind.CLASSICAL,
            claim="|G_ij - δ_ij| ≤ θ/N gives ‖G - I‖₂ ≤ θ",
            because="Gershgorin: N entries of at most θ/N in a row",
            check=_gershgorin,
            references=("gershgorin1931",),
        ),
        Step(
            key="2",
            kind=Kind.INEQUALITY,
            claim="λ + (1-θ²)/λ ≤ 2 on [1-θ, 1+θ]; 2 - cr ≤ 1/(cr) for r > 0; 1/(1-θ²) - 1 = ρ",
            because="(λ-1)² ≤ θ²; (cr-1)² ≥ 0",
            check=_kantorovich_scalar,
            references=("demoura2008z3",),
        ),
        Step(
            key="3",
            kind=Kind.CLASSICAL,
            claim="G + (1-θ²) G⁻¹ ≤ 2I",
            because="functional calculus with step 2 on the spectrum of G",
            check=_kantorovich_calculus,
            references=("bhatia1997matrix",),
        ),
        Step(
            key="4",
            kind=Kind.IDENTITY,
            claim="Eᵀ(2I - G - cG⁻¹)E = 2I - EᵀGE - cR, R = EᵀG⁻¹E, E = Yᵀ diag(n)^{-1/2}",
            because="EᵀE = I; so EᵀGE ≤ 2I - cR ≤ R⁻¹/c with step 2 on the spectrum of R",
            check=_compress,
        ),
        Step(
            key="5",
            kind=Kind.CLASSICAL,
            claim="R⁻¹ ≤ EᵀGE ≤ (1+ρ) R⁻¹",
            because="Marshall and Olkin's matrix Kantorovich inequality, which steps 2 to 4 have proved again",
            check=_marshall,
            references=("marshall1990matrix",),
        ),
        Step(
            key="6",
            kind=Kind.IDENTITY,
            claim="Q_0 = D^{-1/2}EᵀGE D^{-1/2}, H⁻¹ = D^{-1/2}R⁻¹D^{-1/2}, D = diag(n), and Q_0 - H⁻¹ = CᵀGC: "
            "0 ≤ Q_0 - H⁻¹ ≤ ρH⁻¹",
            because="Y = D^{1/2}Eᵀ; congruence keeps the order; C = (I - G⁻¹ER⁻¹Eᵀ)E D^{-1/2}",
            check=_undo_normalisation,
        ),
        Step(
            key="7",
            kind=Kind.IDENTITY,
            claim="H - cD = Y(G⁻¹ - c)Yᵀ, so n_min/(1+θ) ≤ H ≤ n_max/(1-θ)",
            because="c = 1/(1±θ); G⁻¹ lies between; D between n_min and n_max (z3)",
            check=_bounds_of_h,
        ),
        Step(
            key="8",
            kind=Kind.INEQUALITY,
            claim="x^s never falls in x > 0, s ≥ 0; so H^{1/L} and H^{-l/L} lie between the powers of step 7's ends",
            because="x^s - 1 has the sign of s(x-1); removable singularities divided out, integrands positive",
            check=power_is_monotone,
            references=("johansson2017arb",),
        ),
        Step(
            key="9",
            kind=Kind.IDENTITY,
            claim="(1+ρq^l)H^{l/L-1} - Q_l = ε^{2l}[ρH⁻¹ - (Q_0-H⁻¹)] + ρε^{2l}H^a(c^{l/L} - H^{-l/L})H^a "
            "≥ 0, a = (l/L-1)/2",
            because="functional calculus; c = (1+θ)/n_min, both terms ≥ 0 by steps 6 and 8; Q_l ≥ H^{l/L-1} by step 6",
            check=_sandwich,
        ),
        Step(
            key="10",
            kind=Kind.IDENTITY,
            claim="H^{(l+1)/L-1} - cH^{l/L-1} = H^a(H^{1/L} - c)H^a; diag p - ppᵀ = J'diag(p)J'ᵀ ≥ 0",
            because="so a_l = tr (diag p - ppᵀ)H^{l/L-1} changes by a factor between the ends of H^{1/L} (step 8)",
            check=_one_layer,
        ),
        Step(
            key="11",
            kind=Kind.INEQUALITY,
            claim="C_{l+1}/C_l = ε² b_l/b_{l+1} between the two bounds, b_l = tr (diag p - ppᵀ)Q_l",
            because="a_l ≤ b_l ≤ (1+ρq^l)a_l (step 9) and step 10",
            check=_ratio,
            references=("demoura2008z3",),
        ),
        Step(
            key="12",
            kind=Kind.IDENTITY,
            claim="θ = 0: both sides and the ratio are ε²/n^{1/L}",
            because="H = nI, Q_0 = H⁻¹: the bounds are attained",
            check=_negative_exactness,
        ),
        Step(
            key="13",
            kind=Kind.BALL,
            claim="0 ≤ Q_0 - H⁻¹ ≤ ρH⁻¹ and the bounds of H on random and extreme instances",
            because="rational matrices, LDLᵀ: decided without rounding",
            check=_kantorovich_balls,
        ),
        Step(
            key="14",
            kind=Kind.BALL,
            claim="the whole statement on random and extreme instances, θ up to 0.99, ε up to 4.5, L up to 20",
            because="C_l from T2 with enclosed roots",
            check=_whole,
            references=("johansson2017arb",),
        ),
        *sharp.STEPS,
    ),
    wrong_variants=(
        *sharp.VARIANTS,
        WrongVariant(
            name="exponent off by one",
            claim="(1±θ)^{1/(L+1)}, n^{1/(L+1)}",
            check=lambda s: _whole(s, root_shift=1),
        ),
        WrongVariant(name="sign flipped", claim="1-θ above, 1+θ below", check=lambda s: _whole(s, sign=-1)),
        WrongVariant(
            name="1 % too tight",
            claim="upper × 0.99, lower / 0.99",
            check=lambda s: _whole(s, tighten=Fraction(99, 100)),
        ),
        WrongVariant(name="no residual term", claim="ρ = 0", check=lambda s: _whole(s, with_residual=False)),
        WrongVariant(
            name="Kantorovich without the square",
            claim="λ + (1-θ)/λ ≤ 2 on [1-θ, 1+θ]",
            check=lambda s: for_all(
                "x t",
                lambda x, t: x + (1 - t) / x <= 2 - t,
                given=lambda x, t: [0 <= t, t < 1, x >= 1 - t, x <= 1 + t],
            ),
        ),
    ),
)
