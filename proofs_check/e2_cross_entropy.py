"""E2, E3 and E4: cross-entropy on balanced classes and orthonormal data."""

from __future__ import annotations

import math

import numpy as np
import sympy as sp
from flint import fmpq, fmpq_mat

from .balls import at_most, ball, decided, exactly_zero, identity, rational
from .instances import labels, orthogonal
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, discharged, refuted
from .quantities import moments
from .rewriting import Algebra

__all__ = ["STATEMENT"]


def _gradient(scope: Scope, *, share: int = 1) -> Evidence:
    """At logits z(I - 11ᵀ/K) the pull is (1/N)·K/(e^z+K-1)·(e_c - 1/K) for each sample of class c."""
    del scope
    z, K, n = sp.symbols("z K n", positive=True)
    right = sp.exp(z * (1 - 1 / K)) / (sp.exp(z * (1 - 1 / K)) + (K - 1) * sp.exp(-z / K))
    wrong = sp.exp(-z / K) / (sp.exp(z * (1 - 1 / K)) + (K - 1) * sp.exp(-z / K))
    pull = K * share / (sp.exp(z) + K - 1)
    first = sp.simplify((1 - right) - pull * (1 - 1 / K))
    second = sp.simplify(-wrong + pull / K)
    # times the unit rows (I - 11ᵀ/K)YXᵀ/√n: (1/N) Σ over n samples a class gives √n/(K n) · K/(e^z+K-1)
    scale = sp.simplify(sp.sqrt(n) / (K * n) * K / (sp.exp(z) + K - 1) - 1 / (sp.sqrt(n) * (sp.exp(z) + K - 1)))
    loss = sp.simplify(sp.exp(-sp.log(right)) - 1 - (K - 1) * sp.exp(-z))
    if first == second == scale == loss == 0:
        return discharged("SymPy: pull, its scale, and e^loss - 1 = (K-1)e^{-z}")
    return refuted(f"the pull is off by {first}")


def _closed(scope: Scope) -> Evidence:
    """The pull has the map's own singular directions, so balanced aligned weights stay so: P = VVᵀ, U = (I-11ᵀ/K)…"""
    del scope
    algebra = Algebra()
    T = algebra.T
    U, V = algebra.symbol("U", "K", "r"), algebra.symbol("V", "d", "r")
    x, g = sp.symbols("x g", positive=True)
    a, b = sp.symbols("a b", positive=True)
    algebra.rule(T(V) * V, sp.Integer(1), "VᵀV = I")
    algebra.rule(T(U) * U, sp.Integer(1), "UᵀU = I")
    pull = g * U * T(V)
    up, down = x**a * U * T(V), x**b * V * T(V)  # W_{L:l+1} and W_{l-1:1} on the signal
    return algebra.proves(T(up) * pull * T(down), g * x ** (a + b) * V * T(V))


def _networks(scope: Scope) -> list[tuple[str, fmpq_mat, fmpq_mat, tuple[int, ...], fmpq, fmpq]]:
    rng = scope.rng("E2")
    found = []
    for number in range(scope.count(4, 14, 40)):
        classes, size = ((2, 3), (3, 2), (4, 2), (5, 2))[number % 4]
        counts = (size,) * classes
        N = classes * size
        frame = orthogonal(N + 1, rng)
        X = fmpq_mat(N + 1, N, [frame[i, j] for i in range(N + 1) for j in range(N)])
        y = labels(counts)
        flat = fmpq_mat(classes, classes, [fmpq(1, classes)] * classes**2)
        rows = (identity(classes) - flat) * y * X.transpose()
        P = rows.transpose() * rows * fmpq(1, size)
        x, ε = rational(("3/2", "9/5", "2")[number % 3]), rational("2/5")
        W = P * x + (identity(N + 1) - P) * ε
        found.append((f"K = {classes}, n = {size}", W, X, counts, x, ε))
    return found


def _whole(scope: Scope, *, power: int = 1, mean_is_signal: bool = False) -> Evidence:
    """C_l = C_0 r^l and D_l = K/(K-1+r^l), r = ε²/x², exactly: the global mean is residual."""
    triples = []
    for name, W, X, counts, x, ε in _networks(scope):
        K, n = len(counts), counts[0]
        r = ε**2 / x**2
        features = X
        for layer in range(4):
            found = moments(features, counts)
            law = fmpq((n - 1) * K, K - 1) * r ** (layer * power)
            triples.append((f"{name}, layer {layer}, C", abs(found.compression - law), fmpq(0)))
            # all cosines are equal and rational: μ_aᵀμ_b/‖μ_a‖², the norms being equal
            cosine = found.inner(0, 1) / found.inner(0, 0)
            wanted = 1 - fmpq(K) / (K - 1 + (1 if mean_is_signal else r**layer))
            triples.append((f"{name}, layer {layer}, D", abs(cosine - wanted), fmpq(0)))
            triples.append(decided(f"{name}, layer {layer}, equal norms", found.inner(0, 0) == found.inner(1, 1)))
            features = W * features
    return at_most(triples, noun="quantities")


def _projection(scope: Scope) -> Evidence:
    """P is the projection on K-1 directions, and the global mean is off them."""
    for name, W, X, counts, x, ε in _networks(scope):
        mean = X * fmpq_mat(X.ncols(), 1, [1] * X.ncols())
        if not exactly_zero(W * mean - mean * ε):
            return refuted(f"{name}: the mean is not residual")
        size = W.nrows()
        if (W - identity(size) * ε).rank() != len(counts) - 1 or (W - identity(size) * x).rank() != size - len(
            counts
        ) + 1:
            return refuted(f"{name}: not K-1 signal directions")
    return discharged("exact: K-1 directions grow by x, all others and the global mean by ε")


def _decay(scope: Scope, *, root: bool = True) -> Evidence:
    """E3: ẋ = 0 for ẋ = x^{L-1}/(√n(e^z+K-1)) - λx."""
    del scope
    x, z, K, n, L, λ = sp.symbols("x z K n L lambda", positive=True)
    speed = x ** (L - 1) / (sp.sqrt(n) * (sp.exp(z) + K - 1)) - λ * x
    claimed = λ * (sp.sqrt(n) if root else n) * (sp.exp(z) + K - 1)  # = x^{L-2}
    gap = sp.simplify((speed / x + λ) * (sp.sqrt(n) * (sp.exp(z) + K - 1)) - x ** (L - 2))
    at = sp.simplify(speed.subs(λ, x ** (L - 2) * λ / claimed))
    if gap == 0 and at == 0:
        return discharged("SymPy")
    return refuted("x^{L-2} of the claim is not stationary")


def _deviation(scope: Scope, *, depth_share: int = 2) -> Evidence:
    """E4: dz ∝ z^{2-2/L} a, dδ ∝ (2-2/L) z^{1-2/L} a δ - z^{2-2/L} a δ/K: d log(δ/z)/dz = (1-2/L)/z - 1/K."""
    del scope
    z, K, L, z0 = sp.symbols("z K L z_0", positive=True)
    slope = (2 - 2 / L) / z - 1 / K - 1 / z
    law = (1 - depth_share / L) * sp.log(z / z0) - (z - z0) / K
    gap = sp.simplify(sp.diff(law, z) - slope)
    top = sp.simplify(slope.subs(z, K * (1 - 2 / L)))
    if gap == 0 and top == 0:
        return discharged("SymPy: the law's derivative, and its zero at z = K(1-2/L)")
    return refuted(f"the derivative is off by {gap}")


def _softmax(scope: Scope) -> Evidence:
    """To first order in a symmetric δ with zero diagonal and row sums the softmax of z(I-11ᵀ/K)+δ off the diagonal is
    q(1+δ), q = 1/(e^z+K-1), and the diagonal does not move; exact derivative for K = 4."""
    del scope
    z, t = sp.symbols("z t", positive=True)
    K = 4
    δ = sp.Matrix(K, K, [0, 1, -1, 0, 1, 0, 0, -1, -1, 0, 0, 1, 0, -1, 1, 0])
    S = z * (sp.eye(K) - sp.ones(K, K) / K) + t * δ
    q = 1 / (sp.exp(z) + K - 1)
    for c in range(K):
        total = sum(sp.exp(S[k, c]) for k in range(K))
        for k in range(K):
            slope = sp.simplify(sp.diff(sp.exp(S[k, c]) / total, t).subs(t, 0))
            if sp.simplify(slope - q * δ[k, c] * (0 if k == c else 1)) != 0:
                return refuted(f"entry ({k}, {c}) moves by {slope}")
    return discharged("SymPy, K = 4, every entry")


def _costs(scope: Scope, *, pairs_value: int = 2) -> Evidence:
    """E4's implicit norms: the simplex at margin 1 has K-1 singular values 1, the cross-polytope K/2 of 2."""
    triples = []
    for K in (4, 6, 10):
        simplex = identity(K) - fmpq_mat(K, K, [fmpq(1, K)] * K**2)
        blocks = [[0] * K for _ in range(K)]
        for a in range(0, K, 2):
            blocks[a][a] = blocks[a + 1][a + 1] = 1
            blocks[a][a + 1] = blocks[a + 1][a] = -1
        pairs = fmpq_mat(K, K, [entry for row in blocks for entry in row])
        for name, map, value, rank in (("simplex", simplex, 1, K - 1), ("pairs", pairs, pairs_value, K // 2)):
            square = map * map  # symmetric
            triples.append(
                decided(f"K = {K}, {name}, values", exactly_zero(square * square - square * fmpq(value) ** 2))
            )
            triples.append((f"K = {K}, {name}, rank", fmpq(abs(map.rank() - rank)), fmpq(0)))
        threshold = 2 * math.log(2) / math.log(2 * (K - 1) / K)
        for depth in (2, 3, 4, 5):
            cost = ball(K) / 2 * (ball(2).log() * ball(fmpq(2, depth))).exp()
            dearer = bool(ball(K - 1) > cost)
            triples.append(decided(f"K = {K}, L = {depth}: which is dearer", dearer == (depth > threshold)))
    del scope
    return at_most(triples, noun="costs")


def _flow(scope: Scope) -> Evidence:
    """A departure followed through the matrix flow of the end-to-end map, K = 4, L = 3, against E4."""
    del scope
    K, depth, z0, small = 4, 3, 0.8, 1e-5
    J = np.eye(K) - 1 / K
    δ = np.array([[0, 1, -1, 0], [1, 0, 0, -1], [-1, 0, 0, 1], [0, -1, 1, 0.0]])

    def power(A, p):
        values, vectors = np.linalg.eigh(A)
        return (vectors * np.maximum(values, 0) ** p) @ vectors.T

    def slope(S):
        soft = np.exp(S)
        pull = np.eye(K) - soft / soft.sum(axis=0)
        return sum(
            power(S @ S.T, (depth - j) / depth) @ pull @ power(S.T @ S, (j - 1) / depth) for j in range(1, depth + 1)
        )

    S, step, worst, z = z0 * J + small * δ, 0.02, 0.0, z0
    for _ in range(1500):
        k1 = slope(S)
        k2 = slope(S + step / 2 * k1)
        S = S + step * k2
        z = np.trace(S) / (K - 1)
        seen = np.sum(S * δ) / np.sum(δ * δ) / z
        law = small / z0 * (z / z0) ** (1 - 2 / depth) * math.exp(-(z - z0) / K)
        worst = max(worst, abs(seen / law - 1))
    if worst < 5e-3 and z > 3:
        return discharged("K = 4, L = 3 to z > 3: 0.5 %")
    return refuted(f"off by {worst:.2g} at z = {z:.2g}")


STATEMENT = Statement(
    number="E2",
    title="cross-entropy",
    text="Balanced classes, orthonormal X, balanced aligned weights, mean cross-entropy: W_{L:1} = σ(I - 11ᵀ/K)YXᵀ/√n, "
    "z = σ/√n, ẋ = x^{L-1}/(√n(e^z + K - 1)), σ = x^L, z = ln(K-1) - ln(e^loss - 1). The global mean is residual: with "
    "r = ε²/(n z²)^{1/L}, C_l = C_0 r^l and D_l = K/(K - 1 + r^l), which saturates at K/(K-1). With decay the flow "
    "rests at x^{L-2} = λ√n(e^z + K - 1) (E3). A symmetric departure δ of zero diagonal and row sums obeys, to first "
    "order, δ/z = (δ/z)_0 (z/z_0)^{1-2/L} e^{-(z-z_0)/K} (E4). At margin 1 the simplex costs K-1 and the "
    "cross-polytope (K/2)2^{2/L} of Σ s^{2/L}.",
    assumptions=("balanced aligned weights", "equal classes, orthonormal data"),
    rests_on=("V1",),
    remarks=(
        "E4 is of first order; that training from the paper's weights reaches the simplex for L = 2, or L = 3 with "
        "K ≤ 4, and elsewhere mostly not, is seen in simulations and not proved.",
    ),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="pull K/(e^z+K-1)(e_c - 1/K) a sample; 1/(√n(e^z+K-1)) on the unit rows; the loss is the clock",
            because="softmax at z(I - 11ᵀ/K)",
            check=_gradient,
        ),
        Step(
            key="2",
            kind=Kind.IDENTITY,
            claim="so balanced aligned weights stay so: ẋ = x^{L-1} g in every layer",
            because="the pull has the map's own singular directions",
            check=_closed,
        ),
        Step(
            key="3",
            kind=Kind.BALL,
            claim="K-1 directions are signal; the global mean is residual",
            because="(I - 11ᵀ/K)1 = 0",
            check=_projection,
        ),
        Step(
            key="4",
            kind=Kind.BALL,
            claim="C_l = C_0 r^l, D_l = K/(K-1+r^l), exactly",
            because="rational weights on rational orthonormal data",
            check=_whole,
        ),
        Step(key="5", kind=Kind.IDENTITY, claim="E3: where the flow rests", because="ẋ = 0", check=_decay),
        Step(
            key="6",
            kind=Kind.IDENTITY,
            claim="E4: the softmax to first order in δ",
            because="row sums vanish, so the normaliser does not move",
            check=_softmax,
        ),
        Step(
            key="7",
            kind=Kind.IDENTITY,
            claim="E4: d log(δ/z)/dz = (1-2/L)/z - 1/K",
            because="on the range of I - 11ᵀ/K the map is z times the identity to zeroth order",
            check=_deviation,
        ),
        Step(key="8", kind=Kind.BALL, claim="E4: both costs, and which is dearer", because="exact maps", check=_costs),
        Step(key="9", kind=Kind.MEASURED, claim="E4 in the matrix flow", because="another integration", check=_flow),
    ),
    wrong_variants=(
        WrongVariant(name="twice the pull", claim="2K/(e^z+K-1)", check=lambda s: _gradient(s, share=2)),
        WrongVariant(name="r² for r", claim="C_l = C_0 r^{2l}", check=lambda s: _whole(s, power=2)),
        WrongVariant(name="D stays 1", claim="D_l = K/(K-1+1)", check=lambda s: _whole(s, mean_is_signal=True)),
        WrongVariant(name="n for √n", claim="x^{L-2} = λn(e^z+K-1)", check=lambda s: _decay(s, root=False)),
        WrongVariant(
            name="heals from the start", claim="(z/z_0)^{1-4/L}", check=lambda s: _deviation(s, depth_share=4)
        ),
        WrongVariant(name="pairs cost less", claim="(K/2)1^{2/L}", check=lambda s: _costs(s, pairs_value=1)),
    ),
)
