"""R6 and R7: a trained embedding before the blocks, and blocks with two weight matrices."""

from __future__ import annotations

import numpy as np
import sympy as sp
from flint import fmpq

from .balls import exactly_zero, identity
from .instances import random_matrix
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, discharged, refuted
from .r1_residual_gram_law import residual_networks
from .rewriting import Algebra, Instance

__all__ = ["STATEMENT"]

β = sp.Symbol("beta", positive=True)


def _embedding(scope: Scope, *, sign: int = -1) -> Evidence:
    """d(A_0ᵀA_0 - β²EEᵀ) = 0 along dA_0 = -β² ∂ℓ/∂A_0, dE = -∂ℓ/∂E; F is what follows block 0."""
    algebra = Algebra()
    T = algebra.T
    F, A = algebra.symbol("F", "K", "b"), algebra.symbol("A_0", "b", "a")
    E, R = algebra.symbol("E", "a", "d"), algebra.symbol("R", "K", "d")
    block, first = -(β**2) * T(F) * R * T(E), -T(F * A) * R
    change = T(block) * A + T(A) * block + sign * β**2 * (first * T(E) + E * T(first))
    rng = scope.rng("R6")
    sizes = {"F": (2, 4), "A_0": (4, 3), "E": (3, 5), "R": (2, 5)}
    model = Instance(
        matrices={name: random_matrix(r, c, rng) for name, (r, c) in sizes.items()},
        scalars={β: sp.Rational(2, 3)},
        name="random layers",
    )
    return algebra.proves(change, sp.Integer(0), instances=[model])


def _equation(scope: Scope, *, isometry: int = 1) -> Evidence:
    """x - β²e = 1 - β²γ² and β²c² = x - 1 give e = γ² + (x-1)/β², and s² = e c² x^m."""
    del scope
    x, e, c2, g, m = sp.symbols("x e c2 gamma m", positive=True)
    found = sp.solve([x - β**2 * e - (isometry - β**2 * g**2), β**2 * c2 - (x - 1)], [e, c2], dict=True)[0]
    gap = sp.simplify(found[e] - (g**2 + (x - 1) / β**2))
    whole = sp.simplify(found[e] * found[c2] * x**m - (g**2 + (x - 1) / β**2) * ((x - 1) / β**2) * x**m)
    if gap == 0 and whole == 0:
        return discharged("SymPy")
    return refuted(f"e differs by {gap}")


def _whole(scope: Scope, *, rest_power: int = 2, share: bool = True) -> Evidence:
    tried = residual_networks(scope, embedded=True)
    for net in tried:
        start = net.block.transpose() * net.block - net.embedding * net.embedding.transpose() * net.scale**2
        conserved = identity(start.nrows()) * (1 - net.scale**2 * net.rest**2)
        if not exactly_zero(start - conserved):
            return refuted(f"{net.name}: the conserved quantity is not that of an isometry times γ")
        gram, fit = net.data.transpose() * net.data, net.fit()
        rest = gram - fit.transpose() * net.function([1 / s**2 for s in net.values]) * fit
        for layer in range(net.blocks + 1):
            features = net.features(layer)
            power = [
                (e**2 if share else fmpq(1)) * a ** (2 * layer) / s**2
                for e, a, s in zip(net.first, net.roots, net.values)
            ]
            claimed = fit.transpose() * net.function(power) * fit + rest * net.rest**rest_power
            if not exactly_zero(features.transpose() * features - claimed):
                return refuted(f"exact {net.name}: layer {layer} differs")
    return discharged(f"exact in rational numbers at every layer of {len(tried)} networks behind an embedding")


def _two_matrices(scope: Scope, *, factor: int = 2) -> Evidence:
    """R7: u₁² - u₂² and the classifier's share as functions of u, for both starts."""
    del scope
    u, e = sp.symbols("u epsilon", positive=True)
    u1 = sp.sqrt(e**2 + u**2)
    a = 1 + β * u * u1
    # c dc = -a p dt, du = -β u₁ p dt
    square = factor / β * sp.asinh(u / e) + u**2
    gap = sp.simplify(sp.diff(square, u) / 2 - a / (β * u1))
    start = square.subs(u, 0)
    symmetric = 2 / β * sp.log(u / e) + u**2 - e**2
    other = sp.simplify(sp.diff(symmetric, u) / 2 - (1 + β * u**2) / (β * u))
    if gap == 0 and other == 0 and start == 0 and sp.simplify(symmetric.subs(u, e)) == 0:
        return discharged("SymPy: derivatives and initial values, both starts")
    return refuted(f"c dc/du is off by {gap}")


def _planes(scope: Scope) -> Evidence:
    """Whitened data: what starts in one signal direction stays there, and off it the blocks keep their start."""
    algebra = Algebra()
    T = algebra.T
    r = algebra.symbol("p", "r", "r", functional=True)  # the gradient by the whole block, diagonal
    V, first, second = (
        algebra.symbol("V", "d", "r"),
        algebra.symbol("a", "r", "r", functional=True),
        algebra.symbol("b", "r", "r", functional=True),
    )
    ε = sp.Symbol("epsilon", positive=True)
    algebra.rule(T(V) * V, sp.Integer(1), "VᵀV = I")
    W1 = V * first * T(V) + ε * (1 - V * T(V))
    W2 = V * second * T(V)
    slope = V * r * T(V)
    off = 1 - V * T(V)
    del scope
    return both(
        algebra.proves(slope * T(W1), V * r * first * T(V)),
        algebra.proves(T(W2) * slope, V * second * r * T(V)),
        algebra.proves(off * slope * T(W1), sp.Integer(0)),
        algebra.proves(W2 * W1 * off, sp.Integer(0)),
    )


def _trained(scope: Scope) -> Evidence:
    """Two-matrix blocks trained from full matrices against the closed form."""
    rng = np.random.default_rng(scope.seed + 9)
    d, m, β_, ε, goal = 3, 2, 0.8, 0.5, np.array([1.5, 1.1])
    O = np.linalg.qr(rng.standard_normal((d, d)))[0]
    V, U = np.linalg.qr(rng.standard_normal((d, 2)))[0], np.linalg.qr(rng.standard_normal((2, 2)))[0]
    M = U @ np.diag(goal) @ V.T
    ones, twos, C = [ε * O for _ in range(m)], [np.zeros((d, d)) for _ in range(m)], np.zeros((2, d))
    step = 0.004
    for _ in range(9000):  # midpoint rule
        half = _move(ones, twos, C, M, β_, step / 2, at=(ones, twos, C))
        ones, twos, C = _move(ones, twos, C, M, β_, step, at=half)
    seen = np.linalg.svd(np.eye(d) + β_ * twos[0] @ ones[0], compute_uv=False)[:2]
    law = []
    for s in goal:
        low, high = 0.0, 10.0
        for _ in range(200):
            u = (low + high) / 2
            a = 1 + β_ * u * np.hypot(ε, u)
            low, high = (u, high) if np.sqrt(2 / β_ * np.arcsinh(u / ε) + u * u) * a**m < s else (low, u)
        law.append(1 + β_ * low * np.hypot(ε, low))
    error = float(np.abs(np.sort(seen)[::-1] / np.sort(law)[::-1] - 1).max())
    if error < 1e-5:
        return discharged("two blocks of two matrices: singular values agree to 1e-5")
    return refuted(f"singular values differ by {error:.2g}")


def _move(ones, twos, C, M, β_, step, *, at):
    first, second, last = at
    maps = [np.eye(len(a)) + β_ * b @ a for a, b in zip(first, second)]
    before = [np.eye(len(maps[0]))]
    for A in maps:
        before.append(A @ before[-1])
    error = last @ before[-1] - M
    rows, slopes = last, []
    for i in reversed(range(len(maps))):
        slopes.append(rows.T @ error @ before[i].T)
        rows = rows @ maps[i]
    slopes = slopes[::-1]
    return (
        [a - step * β_ * b.T @ g for a, b, g in zip(ones, second, slopes)],
        [b - step * β_ * g @ a.T for b, a, g in zip(twos, first, slopes)],
        C - step * error @ before[-1].T,
    )


STATEMENT = Statement(
    number="R6",
    title="embeddings and two-matrix blocks",
    text="A trained embedding before the blocks, an isometry times γ: e = γ² + (x-1)/β², e ((x-1)/β²) x^m = s²; the "
    "signal Gram matrix after l blocks is e x^l times that of the input, the residual's γ² times (R6). Blocks "
    "I + βW₂W₁ on whitened data: from W₂ = 0, W₁ = ε·orthogonal, a = 1 + βu√(ε²+u²), c² = (2/β) asinh(u/ε) + u², "
    "residual factor 1; from W₁ = W₂ᵀ = ε·orthogonal, a = 1 + βu², c² = (2/β) log(u/ε) + u² - ε², residual factor "
    "1 + βε²; c a^m = s (R7).",
    assumptions=("R1's, with these initial weights", "whitened data for R7"),
    rests_on=("R1",),
    remarks=("β in R7 is added here; the note has β = 1.",),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="A_0ᵀA_0 - β²EEᵀ is conserved",
            because="as R0",
            check=_embedding,
        ),
        Step(
            key="2",
            kind=Kind.IDENTITY,
            claim="e = γ² + (x-1)/β² and s² = e c² x^m",
            because="initial values I and β²γ²I, and β²c² = x - 1 from R0",
            check=_equation,
        ),
        Step(
            key="3",
            kind=Kind.BALL,
            claim="R6 on exact rational networks",
            because="Pythagorean triples twice",
            check=_whole,
        ),
        Step(
            key="4",
            kind=Kind.IDENTITY,
            claim="R7: blocks stay diagonal in the signal directions and as they were elsewhere",
            because="the gradient by a block is V p Vᵀ",
            check=_planes,
        ),
        Step(
            key="5",
            kind=Kind.IDENTITY,
            claim="R7: the classifier's share c² as a function of u",
            because="c dc = -a p dt, du₂ = -βu₁p dt, du₁ = -βu₂p dt; u₁² - u₂² is conserved",
            check=_two_matrices,
        ),
        Step(
            key="6",
            kind=Kind.MEASURED,
            claim="R7 from full matrices",
            because="midpoint rule",
            check=_trained,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="sign flipped", claim="A_0ᵀA_0 + β²EEᵀ", check=lambda s: _embedding(s, sign=1)),
        WrongVariant(name="isometry forgotten", claim="x - β²e = -β²γ²", check=lambda s: _equation(s, isometry=0)),
        WrongVariant(name="γ for γ²", claim="residual γ (…)", check=lambda s: _whole(s, rest_power=1)),
        WrongVariant(name="e left out", claim="signal x^l", check=lambda s: _whole(s, share=False)),
        WrongVariant(name="asinh once", claim="c² = (1/β) asinh(u/ε) + u²", check=lambda s: _two_matrices(s, factor=1)),
    ),
)
