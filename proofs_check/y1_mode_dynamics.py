"""Y1: gradient flow conserves balance, and aligned weights follow one scalar equation a mode."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import sympy as sp
import z3
from flint import acb, fmpq, fmpq_mat

from .balls import at_most, ball
from .instances import diagonal, orthogonal, random_matrix
from .ledger import (
    Evidence,
    Kind,
    Scope,
    Statement,
    Step,
    WrongVariant,
    both,
    discharged,
    refuted,
    undecided,
)
from .rewriting import ANY, Algebra, Instance
from .scalar import for_all

__all__ = ["STATEMENT"]

L = sp.Symbol("L", positive=True)


def _layers() -> tuple[Algebra, dict[str, sp.Symbol]]:
    """F = W_{L:l+2}, V = W_{l+1}, W = W_l, B = W_{l-1:1}; R = (2/N)(W_{L:1}X - Y)Xᵀ."""
    algebra = Algebra()
    return algebra, {
        "F": algebra.symbol("F", "K", "c"),
        "V": algebra.symbol("V", "c", "b"),
        "W": algebra.symbol("W", "b", "a"),
        "B": algebra.symbol("B", "a", "d"),
        "R": algebra.symbol("R", "K", "d"),
        "H": algebra.symbol("Ẇ", "b", "a"),
    }


def _layer_instance(scope: Scope) -> Instance:
    rng = scope.rng("Y1 layers")
    shapes = {"F": (2, 4), "V": (4, 3), "W": (3, 5), "B": (5, 6), "R": (2, 6), "Ẇ": (3, 5)}
    return Instance(
        matrices={name: random_matrix(r, c, rng) for name, (r, c) in shapes.items()},
        name="random 2 … 6 dimensional layers",
    )


def _gradient(scope: Scope, *, factor: int = 1) -> Evidence:
    """The derivative of ‖W_{L:1}X - Y‖²/N along Ẇ_l is tr Ẇ_lᵀ ∇W_l, ∇W_l = W_{L:l+1}ᵀ R W_{l-1:1}ᵀ."""
    algebra, s = _layers()
    T = algebra.T
    after, before = s["F"] * s["V"], s["B"]
    left = T(after * s["H"] * before) * s["R"]  # 2/N tr (ΔW X)ᵀ(W X - Y) = tr ΔWᵀ R
    grad = T(after) * s["R"] * T(before) * factor
    return algebra.proves(left, T(s["H"]) * grad, trace=True, instances=[_layer_instance(scope)])


def _conservation(scope: Scope, *, sign: int = -1) -> Evidence:
    """d/dt (W_{l+1}ᵀW_{l+1} - W_lW_lᵀ) = 0 along Ẇ = -∇W."""
    algebra, s = _layers()
    T = algebra.T
    F, V, W, B, R = s["F"], s["V"], s["W"], s["B"], s["R"]
    above = -T(F) * R * T(W * B)  # Ẇ_{l+1}
    below = -T(F * V) * R * T(B)  # Ẇ_l
    first = T(above) * V + T(V) * above
    second = below * T(W) + W * T(below)
    return algebra.proves(first + sign * second, sp.Integer(0), instances=[_layer_instance(scope)])


def _aligned(scope: Scope, *, power: int = 1) -> Evidence:
    """W_l = U_l Σ U_{l-1}ᵀ, XXᵀV = V, YXᵀ = M XXᵀ, M = U S Vᵀ: ∇W_l = (2/N) U_l Σ^{L-1}(Σ^L - S) U_{l-1}ᵀ."""
    algebra = Algebra()
    T = algebra.T
    l, scale = sp.Symbol("l", positive=True), sp.Symbol("c", positive=True)
    U, V = algebra.symbol("U", "K", "K"), algebra.symbol("V", "d", "K")
    after, before = algebra.symbol("U_l", "b", "K"), algebra.symbol("U_{l-1}", "a", "K")
    C = algebra.symbol("XXᵀ", "d", "d", symmetric=True)
    modes = algebra.symbol("Σ", "K", "K", functional=True)
    S = algebra.symbol("S", "K", "K", symmetric=True)
    algebra.rule(C * V, V, "XXᵀV = V")
    algebra.rule(T(V) * V, sp.Integer(1), "VᵀV = I")
    algebra.rule(T(U) * U, sp.Integer(1), "UᵀU = I")
    algebra.rule(S * modes**ANY, modes**ANY * S, "S and Σ are diagonal", transposed=False)
    algebra.rule(T(after) * after, sp.Integer(1), "U_lᵀU_l = I")
    product = U * modes**L * T(V)
    r = scale * (product * C - U * S * T(V) * C)
    up = U * modes ** (L - l) * T(after)  # W_{L:l+1}
    down = before * modes ** (l - 1) * T(V)  # W_{l-1:1}
    grad = T(up) * r * T(down)
    claimed = scale * after * modes ** (L - power) * (modes**L - S) * T(before)
    rng = scope.rng("Y1 aligned")
    values = [fmpq(3, 2), fmpq(4, 5)]
    frame = orthogonal(4, rng)
    basis = fmpq_mat(4, 2, [frame[i, j] for i in range(4) for j in range(2)])
    other = fmpq_mat(4, 2, [frame[i, j] for i in range(4) for j in (2, 3)])
    square = orthogonal(2, rng)
    instance = Instance(
        matrices={
            "U": square,
            "V": basis,
            "U_l": orthogonal(2, rng),
            "U_{l-1}": orthogonal(2, rng),
            "XXᵀ": basis * basis.transpose() + other * other.transpose() * fmpq(1, 3),
            "S": diagonal(["7/3", "1/2"]),
        },
        powers={"Σ": lambda e: diagonal([v ** int(e) for v in values])},
        scalars={L: sp.Integer(4), l: sp.Integer(2), scale: sp.Rational(1, 3)},
        name="K = 2, d = 4, L = 4",
    )
    above = algebra.symbol("U_{l+1}", "c", "K")
    chain = algebra.proves((above * modes * T(after)) * (after * modes**l * T(V)), above * modes ** (l + 1) * T(V))
    return both(chain, algebra.proves(grad, claimed, instances=[instance]))


def _unique(scope: Scope) -> Evidence:
    """The flow is polynomial, so locally Lipschitz; without that solutions branch: x' = 2√x, x = 0 or t²."""
    del scope
    a, s, N = sp.symbols("a s N", positive=True)
    for depth in (2, 3, 5):
        field = 2 / N * a ** (depth - 1) * (s - a**depth)
        if not sp.Poly(field, a).is_univariate or sp.degree(field, a) != 2 * depth - 1:
            return undecided("the flow is not polynomial")
    t = sp.Symbol("t", nonnegative=True)
    branch = t**2
    if sp.simplify(sp.diff(branch, t) - 2 * sp.sqrt(branch)) != 0 or branch.subs(t, 0) != 0:
        return undecided("the branching example is wrong")
    return discharged(
        "Picard-Lindelöf: the hypothesis (locally Lipschitz) holds, the flow is a polynomial; without it x' = 2√x has "
        "the solutions 0 and t² from x(0) = 0, checked"
    )


def _integral(scope: Scope) -> Evidence:
    """∫_ε^δ σ^{1-L} dσ = (ε^{2-L} - δ^{2-L})/(L-2), log(δ/ε) for L = 2."""
    del scope
    x, e, d = sp.symbols("x e d", positive=True)
    for depth in (3, 4, 5, 8):
        gap = sp.simplify(
            sp.integrate(x ** (1 - depth), (x, e, d)) - (e ** (2 - depth) - d ** (2 - depth)) / sp.Integer(depth - 2)
        )
        if gap != 0:
            return refuted(f"L = {depth}: {gap}")
    general = sp.diff(-(x ** (2 - L)) / (L - 2), x) - x ** (1 - L)
    if sp.simplify(general) != 0 or sp.simplify(sp.integrate(1 / x, (x, e, d)) - sp.log(d / e)) != 0:
        return refuted("the antiderivative is wrong")
    return discharged("SymPy: antiderivative for symbolic L > 2 and for L = 2")


def _bracket(scope: Scope) -> Evidence:
    """1/s ≤ 1/(s - x) ≤ 1/(s - y) for 0 ≤ x ≤ y < s, x = σ^L, y = δ^L."""
    del scope
    return for_all(
        "s x y",
        lambda s, x, y: z3.And(1 / s <= 1 / (s - x), 1 / (s - x) <= 1 / (s - y)),
        given=lambda s, x, y: [0 <= x, x <= y, y < s],
    )


def _logistic(scope: Scope) -> Evidence:
    """L = 2, a = σ²: a' = (4/N) a (s - a) has a = s/(1 + (s/a_0 - 1) e^{-4st/N})."""
    del scope
    t, s, a0, N = sp.symbols("t s a_0 N", positive=True)
    a = s / (1 + (s / a0 - 1) * sp.exp(-4 * s * t / N))
    gap = sp.simplify(sp.diff(a, t) - 4 / N * a * (s - a))
    chain = sp.Symbol("σ", positive=True)
    product = sp.simplify(2 * chain * (2 / N * chain * (s - chain**2)) - 4 / N * chain**2 * (s - chain**2))
    ok = gap == 0 and product == 0 and sp.simplify(a.subs(t, 0) - a0) == 0
    return discharged("SymPy, initial value included") if ok else refuted(f"residual {gap}")


def _times(scope: Scope, *, shift: int = 0, factor: Fraction = Fraction(1), half: int = 2) -> Evidence:
    """The time from ε to δ by certified integration against its two bounds; `shift` puts L-1 for L-2."""
    triples = []
    cases = [(3, "1/100", "1/2", "2"), (4, "1/20", "3/10", "1"), (6, "1/10", "1/2", "3/2"), (8, "1/5", "1/2", "1")]
    for depth, first, last, goal in cases[: scope.count(3, 4, 4)]:
        e, d, s = ball(first), ball(last), ball(goal)

        def speed(x, _, depth=depth, s=s):
            return 1 / (half * x ** (depth - 1) * (acb(s) - x**depth))

        time = acb.integral(speed, acb(e), acb(d)).real  # N = 1
        power = depth - 2 + shift
        base = (e**-power - d**-power) / (2 * s * power)
        name = f"L = {depth}, ε = {first}, δ = {last}, s = {goal}"
        triples.append((f"{name}, below", base, time))
        triples.append((f"{name}, above", time, base / (1 - d**depth / s) * ball(factor)))
    return at_most(triples, noun="bounds on times, integrals enclosed")


def _simulated(scope: Scope) -> Evidence:
    """Matrix flow from aligned weights, Runge-Kutta on the matrices and on the scalar: agreement of two integrators."""
    rng = np.random.default_rng(scope.seed + 11)
    depth, width, samples, classes = 3, 5, 6, 2
    frames = [np.linalg.qr(rng.standard_normal((width, classes)))[0] for _ in range(depth - 1)]
    left = np.linalg.qr(rng.standard_normal((classes, classes)))[0]
    data = np.linalg.qr(rng.standard_normal((width, samples)).T)[0].T  # XXᵀ = I on its rows
    right = np.linalg.qr(rng.standard_normal((width, classes)))[0]
    goal, start = np.array([1.5, 0.7]), np.array([0.2, 0.2])
    targets = left @ np.diag(goal) @ right.T @ data
    sides = [right, *frames, left]
    weights = [sides[i + 1] @ np.diag(start) @ sides[i].T for i in range(depth)]

    def flow(ws):
        product = ws[2] @ ws[1] @ ws[0]
        r = 2 / samples * (product @ data - targets) @ data.T
        return [-(ws[2] @ ws[1]).T @ r, -ws[2].T @ r @ ws[0].T, -r @ (ws[1] @ ws[0]).T]

    def rung(state, field, step):
        k1 = field(state)
        k2 = field([x + step / 2 * k for x, k in zip(state, k1)])
        k3 = field([x + step / 2 * k for x, k in zip(state, k2)])
        k4 = field([x + step * k for x, k in zip(state, k3)])
        return [x + step / 6 * (a + 2 * b + 2 * c + d) for x, a, b, c, d in zip(state, k1, k2, k3, k4)]

    def scalar(state):
        (a,) = state
        return [2 / samples * a ** (depth - 1) * (goal - a**depth)]

    modes, step = [start], 0.01
    balance = [weights[1].T @ weights[1] - weights[0] @ weights[0].T]
    for _ in range(1500):
        weights, modes = rung(weights, flow, step), rung(modes, scalar, step)
    seen = np.diag(sides[1].T @ weights[0] @ sides[0])
    drift = float(np.abs(weights[1].T @ weights[1] - weights[0] @ weights[0].T - balance[0]).max())
    error = float(np.abs(seen - modes[0]).max())
    if error < 1e-9 and drift < 1e-9 and modes[0].min() > 0.5:
        return discharged("3 layers to t = 15: modes and conserved quantity agree to 1e-9")
    return refuted(f"modes differ by {error:.2g}, balance drifts by {drift:.2g}")


STATEMENT = Statement(
    number="Y1",
    title="mode dynamics",
    text="Gradient flow on ‖W_{L:1}X - Y/α‖_F²/N conserves W_{l+1}ᵀW_{l+1} - W_lW_lᵀ. From balanced, aligned weights, "
    "XXᵀ = I on the signal space, each layer's signal singular value obeys dσ/dt = (2/N) σ^{L-1}(s - σ^L). "
    "The time from ε to δ "
    "lies between b and b/(1 - δ^L/s), b = N(ε^{2-L} - δ^{2-L})/(2s(L-2)): the plateau N/(2s(L-2)ε^{L-2}); for L = 2, "
    "b = N log(δ/ε)/(2s), and σ² is logistic.",
    assumptions=("weights balanced and aligned: W_l = U_l Σ U_{l-1}ᵀ, U_0 = V, U_L = U", "XXᵀV = V"),
    tightness=("8",),
    remarks=("The time is two-sided here; the note gives its leading term.",),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="∇W_l = W_{L:l+1}ᵀ R W_{l-1:1}ᵀ, R = (2/N)(W_{L:1}X - Y)Xᵀ",
            because="derivative of the squared norm along any direction, cyclic trace",
            check=_gradient,
        ),
        Step(
            key="2",
            kind=Kind.IDENTITY,
            claim="d/dt (W_{l+1}ᵀW_{l+1} - W_lW_lᵀ) = 0",
            because="both derivatives are -(W_{L:l+1}ᵀ R W_{l:1}ᵀ + transpose)",
            check=_conservation,
            references=("arora2018optimization",),
        ),
        Step(
            key="3",
            kind=Kind.IDENTITY,
            claim="for aligned weights ∇W_l = (2/N) U_l Σ^{L-1}(Σ^L - S) U_{l-1}ᵀ",
            because="XXᵀV = V, YXᵀ = MXXᵀ; S and Σ are diagonal",
            check=_aligned,
            references=("saxe2014exact",),
        ),
        Step(
            key="4",
            kind=Kind.CLASSICAL,
            claim="so the flow stays aligned and every mode follows dσ/dt = (2/N)σ^{L-1}(s - σ^L)",
            because="the aligned family solves the flow, and solutions are unique (Picard-Lindelöf)",
            check=_unique,
            references=("coddington1955theory",),
        ),
        Step(
            key="5",
            kind=Kind.INEQUALITY,
            claim="1/s ≤ 1/(s - σ^L) ≤ 1/(s - δ^L) for σ ≤ δ",
            because="δ^L < s",
            check=_bracket,
            references=("demoura2008z3",),
        ),
        Step(
            key="6",
            kind=Kind.IDENTITY,
            claim="∫_ε^δ σ^{1-L} dσ = (ε^{2-L} - δ^{2-L})/(L-2); log(δ/ε) for L = 2",
            because="antiderivative",
            check=_integral,
        ),
        Step(
            key="7",
            kind=Kind.IDENTITY,
            claim="L = 2: σ² = s/(1 + (s/σ_0² - 1) e^{-4st/N})",
            because="substitution",
            check=_logistic,
            references=("saxe2014exact",),
        ),
        Step(
            key="8",
            kind=Kind.BALL,
            claim="times from ε to δ between their bounds",
            because="certified integration",
            check=_times,
            references=("johansson2017arb",),
        ),
        Step(
            key="9",
            kind=Kind.MEASURED,
            claim="matrix flow and scalar equation give the same modes; the conserved quantity stays",
            because="two integrations that share no formula",
            check=_simulated,
        ),
    ),
    wrong_variants=(
        WrongVariant(
            name="sign flipped",
            claim="W_{l+1}ᵀW_{l+1} + W_lW_lᵀ is conserved",
            check=lambda s: _conservation(s, sign=1),
        ),
        WrongVariant(name="exponent off by one", claim="Σ^L in place of Σ^{L-1}", check=lambda s: _aligned(s, power=0)),
        WrongVariant(name="L-1 for L-2 in the plateau", claim="N/(2s(L-1)ε^{L-1})", check=lambda s: _times(s, shift=1)),
        WrongVariant(name="factor 2 lost", claim="dσ/dt = (1/N)σ^{L-1}(s - σ^L)", check=lambda s: _times(s, half=1)),
        WrongVariant(
            name="gradient twice as large",
            claim="∇W_l = 2 W_{L:l+1}ᵀ R W_{l-1:1}ᵀ",
            check=lambda s: _gradient(s, factor=2),
        ),
    ),
)
