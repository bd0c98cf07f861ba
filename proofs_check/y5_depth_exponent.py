"""Y5: the gradient flow of balanced layers is that of three matrices, and of two with K rows; depth is an exponent."""

from __future__ import annotations

import sympy as sp
from flint import fmpq, fmpq_mat

from .balls import exactly_zero, identity
from .instances import columns, diagonal, orthogonal, random_matrix
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, discharged, refuted
from .rewriting import Algebra, Instance

__all__ = ["STATEMENT"]

eps, a, b = sp.symbols("e a b", positive=True)


def _conserved(scope: Scope, *, sign: int = 1) -> Evidence:
    """W_{l+1}ᵀ dW_{l+1} = dW_l W_lᵀ, so W_{l+1}ᵀW_{l+1} - W_lW_lᵀ is constant along the flow."""
    algebra = Algebra()
    T = algebra.T
    U, D, V = algebra.symbol("U", "K", "c"), algebra.symbol("D", "K", "d"), algebra.symbol("V", "a", "d")
    low, high = algebra.symbol("W", "b", "a"), algebra.symbol("W'", "c", "b")
    down = -T(U * high) * D * T(V)  # dW_l; W_{L:l+1} = U W_{l+1}
    up = -T(U) * D * T(low * V)
    rng = scope.rng("Y5 conserved")
    shapes = {"U": (2, 4), "D": (2, 5), "V": (3, 5), "W": (3, 3), "W'": (4, 3)}
    model = Instance(matrices={n: random_matrix(r, c, rng) for n, (r, c) in shapes.items()}, name="random")
    return algebra.proves(T(high) * up, sign * down * T(low), instances=[model])


def _middle(scope: Scope, *, shift: int = 0) -> Evidence:
    """A term of dQ, Q = W_{L-1}⋯W_2, is (QQᵀ)^{b/n} Δ (QᵀQ)^{a/n}, a + b = n - 1, in layers T_l R T_{l-1}ᵀ."""
    algebra = Algebra()
    T = algebra.T
    R = algebra.symbol("R", "r", "r", functional=True)
    top, mid, low, first = (algebra.symbol(name, "r", "r") for name in ("T_{L-1}", "T_l", "T_{l-1}", "T_1"))
    for letter in (top, mid, low, first):
        algebra.rule(T(letter) * letter, sp.Integer(1), "TᵀT = I")
    U, D, X = algebra.symbol("W_L", "K", "r"), algebra.symbol("D", "K", "d"), algebra.symbol("W_1", "r", "d")
    above = top * R**b * T(mid)  # W_{L-1:l+1}
    below = low * R**a * T(first)  # W_{l-1:2}
    change = T(U * above) * D * T(below * X)  # -dW_l
    squares = top * R ** (2 * b + shift) * T(top), first * R ** (2 * a) * T(first)
    rng = scope.rng("Y5 middle")
    model = Instance(
        matrices={
            "R": diagonal([2, 3, 5, 7]),
            **{name: orthogonal(4, rng) for name in ("T_{L-1}", "T_l", "T_{l-1}", "T_1")},
            "W_L": random_matrix(2, 4, rng),
            "D": random_matrix(2, 3, rng),
            "W_1": random_matrix(4, 3, rng),
        },
        scalars={a: sp.Integer(1), b: sp.Integer(2)},
        name="r = 4, a = 1, b = 2",
    )
    return algebra.proves(above * change * below, squares[0] * T(U) * D * T(X) * squares[1], instances=[model])


def _turned(scope: Scope) -> Evidence:
    """W_l = T_l R T_{l-1}ᵀ, T_0 = I, R² = A: W_{l:1}ᵀW_{l:1} = A^l, and with w = W_L T_{L-1} all terms are in A."""
    algebra = Algebra()
    T = algebra.T
    R = algebra.symbol("R", "r", "r", functional=True)
    top, mid, low = (algebra.symbol(name, "r", "r") for name in ("T_{L-1}", "T_l", "T_{l-1}"))
    for letter in (top, mid, low):
        algebra.rule(T(letter) * letter, sp.Integer(1), "TᵀT = I")
    w, D = algebra.symbol("w", "K", "r"), algebra.symbol("D", "K", "r")
    above = w * R**b * T(mid)  # W_{L:l+1}, as W_L = w T_{L-1}ᵀ
    below = low * R**a
    rng = scope.rng("Y5 turned")
    model = Instance(
        matrices={
            "R": diagonal([2, 3, 5]),
            **{name: orthogonal(3, rng) for name in ("T_{L-1}", "T_l", "T_{l-1}")},
            "w": random_matrix(2, 3, rng),
            "D": random_matrix(2, 3, rng),
        },
        scalars={a: sp.Integer(2), b: sp.Integer(1)},
        name="r = 3",
    )
    return both(
        algebra.proves(T(below) * below, R ** (2 * a), instances=[model]),
        algebra.proves(
            above * T(above) * D * T(below) * below, w * R ** (2 * b) * T(w) * D * R ** (2 * a), instances=[model]
        ),
    )


def _flow(k: int, *, turn: int = 1, power: int = 0, sign: int = 1) -> tuple[Algebra, dict[str, sp.Expr]]:
    """The right-hand sides for L = 2k + 1, where f(A) = A^k and Ω = Σ A^i (Dᵀw - wᵀD) A^{k-1-i}."""
    algebra = Algebra()
    T = algebra.T
    A = algebra.symbol("A", "r", "r", functional=True)
    w, γ, D = (algebra.symbol(name, "K", "r") for name in ("w", "g", "D"))
    algebra.rule(T(w) * w, A - eps**2 + eps**2 * T(γ) * γ, "A = ε²(I - γᵀγ) + wᵀw")
    skew = T(D) * w - sign * T(w) * D
    Ω = turn * sum((A**i * skew * A ** (k - 1 - i) for i in range(k)), sp.Integer(0))
    dw, dγ = -D * A ** (k + power) + w * Ω, γ * Ω
    dA = T(dw) * w + T(w) * dw - eps**2 * (T(dγ) * γ + T(γ) * dγ)
    return algebra, {"A": A, "w": w, "γ": γ, "D": D, "dw": dw, "dA": dA}


def _flow_instance(scope: Scope) -> Instance:
    """A with eigenvectors along rows of w and γ, none of them the same."""
    rng = scope.rng("Y5 flow")
    turn = orthogonal(5, rng)
    rows = turn.transpose()
    γ = fmpq_mat(2, 5, [rows[i, j] for i in range(2) for j in range(5)])
    w = random_matrix(2, 5, rng)
    A = (identity(5) - γ.transpose() * γ) * fmpq(1, 9) + w.transpose() * w
    return Instance(
        matrices={"A": A, "w": w, "g": γ, "D": random_matrix(2, 5, rng)},
        scalars={eps: sp.Rational(1, 3)},
        name="r = 5, K = 2",
    )


def _square(scope: Scope, **wrong: int) -> Evidence:
    """d(W_1ᵀW_1)/dt = -(PᵀD + DᵀP), P = W_{L:1} = wA^k."""
    found = []
    for k in (1, 2, 3)[: scope.count(2, 3, 3)]:
        algebra, s = _flow(k, **wrong)
        T = algebra.T
        P = s["w"] * s["A"] ** k
        found.append(algebra.proves(s["dA"], -T(P) * s["D"] - T(s["D"]) * P, instances=[_flow_instance(scope)]))
    return both(*found)


def _product(scope: Scope, **wrong: int) -> Evidence:
    """d(wA^k)/dt = -Σ_l (w A^{L-1-l} wᵀ) D A^{l-1} - D A^{L-1}: that of W_{L:1} by its L gradients."""
    found = []
    for k in (1, 2, 3)[: scope.count(2, 3, 3)]:
        algebra, s = _flow(k, **wrong)
        T, A, w, D = algebra.T, s["A"], s["w"], s["D"]
        P = w * A**k
        slope = -T(P) * D - T(D) * P  # dA, step 4
        changed = s["dw"] * A**k + w * sum((A**i * slope * A ** (k - 1 - i) for i in range(k)), sp.Integer(0))
        depth = 2 * k + 1
        layers = sum((w * A ** (depth - 1 - l) * T(w) * D * A ** (l - 1) for l in range(1, depth)), sp.Integer(0))
        found.append(algebra.proves(changed, -layers - D * A ** (depth - 1), instances=[_flow_instance(scope)]))
    return both(*found)


def _any_function(scope: Scope, *, turn: int = 1) -> Evidence:
    """Entries (i, j) with f_i, f_j any numbers: steps 4 and 5, K = wᵀD and PᵀD = fK; P's terms sum to f_i² - f_j²."""
    del scope
    x, y, f, g, k, t = sp.symbols("a_i a_j f_i f_j K_ij K_ji")
    ratio = (f - g) / (x - y)
    Ω = turn * ratio * (t - k)
    # dA from dw, dγ: [A, Ω] - f(A)Dᵀw... entry by entry
    square = (x - y) * Ω - f * t - k * g
    slope = -(f * k + g * t)
    product = Ω * g + ratio * slope
    if sp.simplify(square - slope) == 0 and sp.simplify(product + k * (f**2 - g**2) / (x - y)) == 0:
        return discharged("both differences simplify to 0")
    return refuted("an entry differs for some f_i, f_j")


def _orthonormal(scope: Scope) -> Evidence:
    """Ω + Ωᵀ = 0, so γγᵀ = I is kept."""
    algebra, s = _flow(2)
    T, A = algebra.T, s["A"]
    skew = T(s["D"]) * s["w"] - T(s["w"]) * s["D"]
    Ω = skew * A + A * skew
    return algebra.proves(Ω + T(Ω), sp.Integer(0) * Ω, instances=[_flow_instance(scope)])


def _descent(scope: Scope) -> Evidence:
    """Whether a step of descent, too, keeps W_{l+1}ᵀW_{l+1} = W_lW_lᵀ; rational numbers."""
    rng = scope.rng("Y5 descent")
    scale, rate = fmpq(1, 2), fmpq(1, 5)
    weights = [orthogonal(4, rng) * scale for _ in range(3)] + [random_matrix(2, 4, rng)]
    goal = random_matrix(2, 4, rng)
    for step in range(2):
        below = [identity(4)]
        for w in weights:
            below.append(w * below[-1])
        above, gradient = below[-1] - goal, []
        for layer in reversed(range(4)):
            gradient.insert(0, above * below[layer].transpose())
            above = weights[layer].transpose() * above
        weights = [w - g * rate for w, g in zip(weights, gradient, strict=True)]
        for low, high in zip(weights[:2], weights[1:3], strict=True):
            if not exactly_zero(high.transpose() * high - low * low.transpose()):
                return refuted(f"after step {step + 1} of descent two hidden layers are out of balance")
    return discharged("balanced after 2 steps")


def _start(scope: Scope) -> Evidence:
    """W_l(0) = εO_l: W_{l+1}ᵀW_{l+1} - W_lW_lᵀ = 0, and W_LᵀW_L - W_{L-1}W_{L-1}ᵀ = -ε²(I - cᵀc)."""
    rng = scope.rng("Y5 start")
    scale = fmpq(1, 3)
    one, other = orthogonal(5, rng) * scale, orthogonal(5, rng) * scale
    rows = columns(orthogonal(5, rng), 0, 2).transpose()
    last = rows * scale
    hidden = other.transpose() * other - one * one.transpose()
    end = last.transpose() * last - other * other.transpose()
    wanted = (rows.transpose() * rows - identity(5)) * scale**2
    if exactly_zero(hidden) and exactly_zero(end - wanted):
        return discharged("exact in rational numbers")
    return refuted("the initial weights have another imbalance")


STATEMENT = Statement(
    number="Y5",
    title="depth as an exponent",
    text="Gradient flow from orthogonal initial weights (d_h ≥ d; the inputs' space extended by the classifier's part "
    "outside it, so that W_1 is square). (a) The product Q = W_{L-1}⋯W_2 of n = L-2 hidden layers closes: "
    "dQ/dt = -Σ_{j=1}^{n} (QQᵀ)^{(n-j)/n} W_LᵀD W_1ᵀ (QᵀQ)^{(j-1)/n}, D = (2/N)(W_{L:1}G - YXᵀ). (b) With A = W_1ᵀW_1: "
    "W_{l:1}ᵀW_{l:1} = A^l for l < L, A = ε²(I - γᵀγ) + wᵀw, W_{L:1} = w f(A), f(a) = a^{(L-1)/2}, for two matrices of "
    "K rows with dw/dt = -D f(A) + wΩ, dγ/dt = γΩ, w(0) = εc, γ(0) = c, and "
    "Ω_ij = (f(a_i) - f(a_j))/(a_i - a_j) (Dᵀw - wᵀD)_ij in A's eigenvectors.",
    assumptions=("orthogonal initial weights", "d_h ≥ d", "gradient flow, full batches"),
    remarks=(
        "Arora, Cohen, Hazan 2018 have (a) for balanced layers.",
        "Steps 4 and 5 take odd depths, where f is a polynomial and A need not be diagonal; step 6 takes every f.",
        "With decay λ: ε becomes εe^{-λt} and dw/dt gains -λw, as imbalance decays at 2λ.",
    ),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="W_{l+1}ᵀW_{l+1} - W_lW_lᵀ is conserved",
            because="W_{l+1}ᵀ dW_{l+1} = dW_l W_lᵀ = -W_{l+1:l+1}ᵀ(·)W_{l:1}ᵀ",
            check=_conserved,
        ),
        Step(
            key="2",
            kind=Kind.BALL,
            claim="it is 0 between hidden layers at the start, -ε²(I - cᵀc) at the classifier",
            because="orthogonal matrices, rational arithmetic",
            check=_start,
        ),
        Step(
            key="3a",
            kind=Kind.IDENTITY,
            claim="(a): a term of dQ/dt is (QQᵀ)^{b/n} (·) (QᵀQ)^{a/n}",
            because="balanced layers are T_l R T_{l-1}ᵀ with one R",
            check=_middle,
        ),
        Step(
            key="3b",
            kind=Kind.IDENTITY,
            claim="W_{l:1}ᵀW_{l:1} = A^l; the terms of dW_{L:1}/dt are w A^{L-1-l}wᵀ D A^{l-1}",
            because="the same, with T_0 = I and w = W_L T_{L-1}",
            check=_turned,
        ),
        Step(
            key="4",
            kind=Kind.IDENTITY,
            claim="the flow of w and γ gives dA/dt = -(W_{L:1}ᵀD + DᵀW_{L:1})",
            because="AΩ - ΩA telescopes to A^k(Dᵀw - wᵀD) - (Dᵀw - wᵀD)A^k",
            check=_square,
        ),
        Step(
            key="5",
            kind=Kind.IDENTITY,
            claim="and dW_{L:1}/dt = -Σ_l W_{L:l+1}W_{L:l+1}ᵀ D W_{l-1:1}ᵀW_{l-1:1}",
            because="the terms of Ω and of d(A^k) that hold Dᵀw cancel",
            check=_product,
        ),
        Step(
            key="6",
            kind=Kind.IDENTITY,
            claim="both for any f, in A's eigenvectors",
            because="d f(A) is the divided difference of f times dA, entry by entry (Daleckii, Krein 1965)",
            check=_any_function,
        ),
        Step(
            key="7",
            kind=Kind.IDENTITY,
            claim="γγᵀ = I is kept",
            because="Ω is skew",
            check=_orthonormal,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="exponent off by one", claim="f(A) = A^{k+1}", check=lambda s: _square(s, power=1)),
        WrongVariant(name="no turning", claim="Ω = 0", check=lambda s: _square(s, turn=0)),
        WrongVariant(name="symmetric kernel", claim="Dᵀw + wᵀD in Ω", check=lambda s: _square(s, sign=-1)),
        WrongVariant(name="turning twice as fast", claim="2Ω in place of Ω", check=lambda s: _product(s, turn=2)),
        WrongVariant(
            name="sign", claim="W_{l+1}ᵀW_{l+1} + W_lW_lᵀ is conserved", check=lambda s: _conserved(s, sign=-1)
        ),
        WrongVariant(name="exponent of Q", claim="(QQᵀ)^{(2b+1)/2n}", check=lambda s: _middle(s, shift=1)),
        WrongVariant(name="any f", claim="Ω = 0 does for some f", check=lambda s: _any_function(s, turn=0)),
        WrongVariant(name="descent", claim="balance is exact for descent too", check=_descent),
    ),
)
