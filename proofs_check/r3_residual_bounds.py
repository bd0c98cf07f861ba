"""R3, with R4 and R5: how much a residual block compresses, how discrimination moves, and what many blocks do."""

from __future__ import annotations

import numpy as np
import sympy as sp
from flint import arb, arb_mat, fmpq, fmpq_mat

from .balls import at_most, ball, ball_matrix, identity, trace
from .classical import MARSHALL_OLKIN, applied
from .instances import averaging, diagonal, gram_instances, labels
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, discharged, refuted
from .scalar import exp_tail, for_all, nonnegative_on_box

__all__ = ["STATEMENT", "enclosed_growth", "scalar_growth"]


def _step_below(scope: Scope) -> Evidence:
    """(a+t)/(b+t) ≥ a/b ≥ 1/g₊ for 0 < a ≤ b ≤ g₊a, t ≥ 0."""
    del scope
    return for_all(
        "a b t g",
        lambda a, b, t, g: (a + t) * g >= b + t,
        given=lambda a, b, t, g: [a > 0, b >= a, b <= g * a, t >= 0, g >= 1],
    )


def _step_above(scope: Scope) -> Evidence:
    """(a+t)/(b+t) ≤ (1+r)/(g₋+r) for b ≥ g₋a, 0 ≤ t ≤ ra, g₋ ≥ 1."""
    del scope
    return for_all(
        "a b t g r",
        lambda a, b, t, g, r: (a + t) * (g + r) <= (1 + r) * (b + t),
        given=lambda a, b, t, g, r: [a > 0, b >= g * a, t >= 0, t <= r * a, g >= 1, r >= 0],
    )


def enclosed_growth(h: fmpq_mat, blocks: int, scale: fmpq) -> arb_mat:
    """An enclosure of g(H): a float guess B and `‖B - g(H)‖_F ≤ ‖B^m(B-1) - β²H‖_F`.

    x ↦ x^m(x-1)/β² has slope at least 1/β² on x ≥ 1, so its inverse is Lipschitz with β², and a Lipschitz function of
    symmetric matrices is so in the Frobenius norm with the same constant.
    """
    size = h.nrows()
    values, vectors = np.linalg.eigh([[float(h[i, j].p) / float(h[i, j].q) for j in range(size)] for i in range(size)])
    grown = []
    for value in values:
        low, high = 1.0, 2.0 + float(scale.p) ** 2 / float(scale.q) ** 2 * value
        for _ in range(200):
            middle = (low + high) / 2
            under = middle**blocks * (middle - 1) < float(scale.p) ** 2 / float(scale.q) ** 2 * value
            low, high = (middle, high) if under else (low, middle)
        grown.append(low)
    guess = (vectors * np.array(grown)) @ vectors.T
    guess = (guess + guess.T) / 2
    exact = arb_mat(size, size, [arb(float(entry)) for entry in guess.ravel()])
    one, target = ball_matrix(identity(size)), ball_matrix(h * scale**2)
    for _ in range(3):  # Newton's method; everything is near a function of H and so nearly commutes
        before = one
        for _ in range(blocks - 1):
            before = before * exact
        slope = before * (exact * (blocks + 1) - one * blocks)
        exact = (exact - (before * exact * (exact - one) - target) * slope.inv()).mid()
        exact = ((exact + exact.transpose()) / 2).mid()
    power = one
    for _ in range(blocks):
        power = power * exact
    gap = power * (exact - one) - target
    radius = sum((arb(entry.abs_upper()) for entry in gap.entries()), start=arb(0))
    spread = arb(0, radius.upper())
    return arb_mat(size, size, [entry + spread for entry in exact.entries()])


def scalar_growth(value: arb, blocks: int, scale: fmpq) -> arb:
    """g of a number, enclosed by bisection."""
    target = value * ball(scale**2)
    low, high = arb(1), 2 + target
    for _ in range(120):
        middle = ((low + high) / 2).mid()
        excess = middle**blocks * (middle - 1) - target
        if excess > 0:
            high = middle
        elif excess < 0:
            low = middle
        else:
            break
    return low.union(high)


def _uses(scope: Scope) -> Evidence:
    """Marshall and Olkin at the point of use: Q_0 - H⁻¹ between 0 and ρ H⁻¹, as in T5."""
    return applied(MARSHALL_OLKIN, scope, [])


def _whole(scope: Scope, *, factor: str = "1", swap: bool = False, lower_shift: int = 0) -> Evidence:
    rng = scope.rng("R3")
    shapes = [(2, 2), (3, 1), (2, 1, 2)]
    triples = []
    for number, instance in enumerate(
        gram_instances(("1/5", "4/5", "19/20"), shapes, rng, randoms=scope.count(1, 6, 25))
    ):
        blocks, scale = (2, 3, 5)[number % 3], (fmpq(1), fmpq(1, 2), fmpq(3))[number // 3 % 3]
        y, average = labels(instance.counts), averaging(instance.counts)
        h = y * instance.gram.inv() * y.transpose()
        rest = average * instance.gram * average.transpose() - h.inv()
        growth, signal = enclosed_growth(h, blocks, scale), ball_matrix(h.inv())
        N = sum(instance.counts)
        p = [fmpq(n, N) for n in instance.counts]
        weights = diagonal(p) - fmpq_mat(len(p), len(p), [a * b for a in p for b in p])
        spread = []
        for _ in range(blocks + 1):
            spread.append(ball(trace(ball_matrix(weights) * (signal + ball_matrix(rest)))))
            signal = signal * growth
        θ = instance.theta * (1 + fmpq(1, 10**12))  # a hair more, for K = 2 attains the bounds
        fast = scalar_growth(ball(max(instance.counts) / (1 - θ)), blocks, scale)
        slow = scalar_growth(ball(min(instance.counts) / (1 + θ)), blocks, scale)
        ρ = ball(θ**2 / (1 - θ**2))
        for layer in range(blocks):
            ratio = spread[layer] / spread[layer + 1]
            r, least = ρ / slow**layer, fast if swap else slow
            name = f"{instance.name}, m = {blocks}, β = {scale}, block {layer + 1}"
            triples.append((f"{name}, below", 1 / fast ** (1 - lower_shift), ratio))
            triples.append((f"{name}, above", ratio, (1 + r) / (least + r) * ball(factor)))
    return at_most(triples, noun="bounds")


def _linear(scope: Scope, *, classifier: int = 1) -> Evidence:
    """R4: d log g/d log h = 1/(m + g/(g-1)), so h⁻¹g^l has logarithmic slope -t_l, t_l = 1 - l/L_eff."""
    del scope
    g, m, l, c = sp.symbols("g m l c", positive=True)  # β²h = g^m (g-1)
    h = g**m * (g - 1) / c
    slope = 1 / sp.simplify(g * sp.diff(sp.log(h), g))
    gap = sp.simplify(slope - 1 / (m + classifier * g / (g - 1)))
    signal = sp.simplify(-1 + l * slope + (1 - l / (m + g / (g - 1))))
    if gap == 0 and signal == 0:
        return discharged("SymPy, for symbolic m, l and β")
    return refuted(f"the slopes differ by {gap}")


def _second_order(scope: Scope) -> Evidence:
    """R4 measured: what is neglected falls as θ²."""
    rng = np.random.default_rng(scope.seed + 3)
    n, K, m, β = 4, 3, 4, 0.7
    E = rng.uniform(-1, 1, (n * K, n * K))
    E = E + E.T
    Y = np.kron(np.eye(K), np.ones((1, n)))
    errors = []
    for θ in (0.02, 0.01, 0.005):
        h, U = np.linalg.eigh(Y @ np.linalg.inv(np.eye(n * K) + θ / (2 * n * K) * E) @ Y.T)
        g = np.array([max(np.roots([1, -1, *[0] * (m - 1), -(β**2) * v]).real) for v in h])
        mid = max(np.roots([1, -1, *[0] * (m - 1), -(β**2) * n]).real)
        Ψ = -(U * np.log(h / n)) @ U.T
        worst = 0.0
        for l in range(m + 1):
            Q = (U * (g**l / h)) @ U.T
            size = np.sqrt(np.diag(Q))
            t = 1 - l / (m + mid / (mid - 1))
            worst = max(worst, float(np.abs((Q / np.outer(size, size) - t * Ψ)[~np.eye(K, dtype=bool)]).max()))
        errors.append(worst)
    ratios = [a / b for a, b in zip(errors, errors[1:])]
    if all(3.2 < ratio < 4.8 for ratio in ratios):
        return discharged("signal part: the remainder falls to a quarter as θ halves, twice")
    return refuted(f"remainders {errors}")


def _elementary(scope: Scope) -> Evidence:
    """x ≤ e^x - 1 ≤ x e^x for 0 ≤ x ≤ 8, x² divided out; beyond, both are plain."""
    del scope
    low = nonnegative_on_box(lambda x: exp_tail(x, 2), [(0, 8)])
    # x e^x - e^x + 1 = x² Σ_j x^j (j+1)/(j+2)!: = x² (exp_tail₁(x) - exp_tail₂(x))
    return both(low, nonnegative_on_box(lambda x: exp_tail(x, 1) - exp_tail(x, 2), [(0, 8)]))


def _depth(scope: Scope, *, exponent: str = "1", lower: bool = True) -> Evidence:
    """R5, two-sided: e^{(m/(m+1)) W((m+1)β²n)} ≤ g^m ≤ mβ²n/W(mβ²n), enclosed."""
    triples = []
    for blocks in (1, 3, 10, 100, 1000)[: scope.count(4, 5, 5)]:
        for scale in (fmpq(1), fmpq(1, 3), fmpq(1, blocks)):
            for n in (2, 10, 300):
                total = scalar_growth(ball(n), blocks, scale) ** blocks
                drive = ball(scale**2 * n * blocks)
                name = f"m = {blocks}, β = {scale}, n = {n}"
                triples.append((f"{name}, above", total, (drive / drive.lambertw()) ** ball(exponent)))
                if lower:
                    more = ball(scale**2 * n * (blocks + 1))
                    least = (more.lambertw() * blocks / (blocks + 1)).exp()
                    triples.append((f"{name}, below", least, total))
    return at_most(triples, noun="bounds on the total compression")


STATEMENT = Statement(
    number="R3",
    title="compression of a residual block",
    text="‖G - I‖₂ ≤ θ < 1, g₊ = g(n_max/(1-θ)), g₋ = g(n_min/(1+θ)), ρ = θ²/(1-θ²), r_l = ρ g₋^{-l}: "
    "1/g₊ ≤ C_{l+1}/C_l ≤ (1 + r_l)/(g₋ + r_l). To first order in θ, 1 - D_l = t_l m_Ψ with t_l = 1 - l/L_eff, "
    "L_eff = m + g/(g-1) (R4). Orthonormal data, equal classes: C_0/C_m = g^m lies between e^{m/(m+1) W((m+1)β²n)} and "
    "mβ²n/W(mβ²n), W the Lambert function (R5): both tend to mβ²n/w.",
    assumptions=("R1's", "‖G - I‖₂ ≤ θ < 1 for the bounds; equal classes for R4 and R5"),
    rests_on=("R1",),
    tightness=("4",),
    remarks=(
        "R5 is two-sided here at every depth; the limit m → ∞ follows.",
        "R4 is of first order: its remainder is measured, not bounded.",
    ),
    steps=(
        Step(
            key="1",
            kind=Kind.CLASSICAL,
            claim="0 ≤ Q_0 - H⁻¹ ≤ ρ H⁻¹",
            because="Marshall and Olkin, as in T5",
            check=_uses,
            references=("marshall1990matrix",),
        ),
        Step(
            key="2",
            kind=Kind.INEQUALITY,
            claim="(a_l + t)/(a_{l+1} + t) ≥ 1/g₊",
            because="a_l ≤ a_{l+1} ≤ g₊ a_l, since functions of H commute and 1 ≤ g₋ ≤ g(H) ≤ g₊",
            check=_step_below,
            references=("demoura2008z3",),
        ),
        Step(
            key="3",
            kind=Kind.INEQUALITY,
            claim="(a_l + t)/(a_{l+1} + t) ≤ (1 + r_l)/(g₋ + r_l)",
            because="a_{l+1} ≥ g₋ a_l and t ≤ ρ a_0 ≤ r_l a_l",
            check=_step_above,
            references=("demoura2008z3",),
        ),
        Step(
            key="4",
            kind=Kind.BALL,
            claim="both bounds on random and extreme Gram matrices, g(H) enclosed",
            because="a guess of g(H) is certified by its residual",
            check=_whole,
            references=("johansson2017arb",),
        ),
        Step(
            key="5",
            kind=Kind.IDENTITY,
            claim="R4: d log(h⁻¹g^l)/d log h = -(1 - l/(m + g/(g-1)))",
            because="logarithm of g^m(g-1) = β²h, differentiated",
            check=_linear,
        ),
        Step(
            key="6",
            kind=Kind.MEASURED,
            claim="R4: what is left out is of second order",
            because="θ halved twice",
            check=_second_order,
        ),
        Step(
            key="7",
            kind=Kind.INEQUALITY,
            claim="x ≤ e^x - 1 ≤ x e^x, x = log g: so y e^y ≤ mβ²n and y(1+1/m) e^{y(1+1/m)} ≥ (m+1)β²n, y = m log g",
            because="power series",
            check=_elementary,
        ),
        Step(
            key="8",
            kind=Kind.BALL,
            claim="R5: the two-sided bound on g^m",
            because="step 7; W is increasing",
            check=_depth,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="1 % too tight", claim="0.99 (1+r)/(g₋+r)", check=lambda s: _whole(s, factor="99/100")),
        WrongVariant(
            name="fastest for slowest", claim="C_{l+1}/C_l ≤ (1+r)/(g₊+r)", check=lambda s: _whole(s, swap=True)
        ),
        WrongVariant(name="no growth", claim="C_{l+1}/C_l ≥ 1", check=lambda s: _whole(s, lower_shift=1)),
        WrongVariant(name="L_eff = m", claim="t_l = 1 - l/m", check=lambda s: _linear(s, classifier=0)),
        WrongVariant(
            name="total compression too small", claim="g^m ≤ (mβ²n/w)^{0.9}", check=lambda s: _depth(s, exponent="9/10")
        ),
    ),
)
