"""RL3: on orthogonal inputs the first layer's gates never come back, and what follows for its compression."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp
from flint import fmpq, fmpq_mat

from .balls import at_most, decided, rational
from .instances import diagonal, orthogonal, random_features, random_matrix
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, discharged, refuted
from .quantities import moments
from .rewriting import Algebra
from .scalar import for_all

__all__ = ["STATEMENT"]


def _update(scope: Scope) -> Evidence:
    """W⁺X = (1-ηλ)WX - ηgN, N = XᵀX diagonal: a column of pre-activations moves by its own sample's signal alone."""
    del scope
    algebra = Algebra()
    T = algebra.T
    W, X, g = algebra.symbol("W", "m", "d"), algebra.symbol("X", "d", "N"), algebra.symbol("g", "m", "N")
    N = algebra.symbol("N", "N", "N", symmetric=True)
    algebra.rule(T(X) * X, N, "orthogonal inputs")
    η, λ = sp.symbols("eta lambda", positive=True)
    after = W - η * (g * T(X) + λ * W)
    return algebra.proves(after * X, (1 - η * λ) * W * X - η * g * N)


def _sign(scope: Scope, *, most: int = 1) -> Evidence:
    """A shut gate (p ≤ 0, g = 0) stays shut: (1-ηλ)p - ηg‖x‖² ≤ 0 for ηλ ≤ 1."""
    del scope
    return for_all(
        "p g rate norm",
        lambda p, g, rate, norm: (1 - rate) * p - g * norm <= 0,
        given=lambda p, g, rate, norm: [p <= 0, g == 0, rate >= 0, rate <= most, norm > 0],
    )


def _networks(scope: Scope, *, orthogonal_inputs: bool) -> Iterator[tuple[str, fmpq_mat, fmpq_mat, fmpq_mat, tuple]]:
    rng = scope.rng("RL3 networks")
    for number in range(scope.count(4, 10, 30)):
        counts = ((2, 2), (3, 2))[number % 2]
        samples = sum(counts)
        X = orthogonal(samples, rng) * diagonal([fmpq(rng.randint(3, 8), 5) for _ in range(samples)])
        if not orthogonal_inputs:
            X = X + fmpq_mat(samples, samples, [fmpq(3, 4)] * samples**2)
        yield f"network {number}", X, random_matrix(6, samples, rng), random_matrix(2, 6, rng), counts


def _descent(scope: Scope, *, orthogonal_inputs: bool = True, decay: str = "1/10") -> Evidence:
    """Exact gradient descent on ½‖V relu(WX) - Y‖² with decay: no gate comes back in any step."""
    η, λ = fmpq(1, 10), rational(decay)
    triples = []
    for name, X, W, V, counts in _networks(scope, orthogonal_inputs=orthogonal_inputs):
        samples = sum(counts)
        Y = fmpq_mat(
            2,
            samples,
            [int(j < counts[0]) if i == 0 else int(j >= counts[0]) for i in range(2) for j in range(samples)],
        )
        first = None
        for step in range(3):
            pre = W * X
            on = [[pre[i, j] > 0 for j in range(samples)] for i in range(6)]
            first = first or on
            fresh = any(on[i][j] and not first[i][j] for i in range(6) for j in range(samples))
            triples.append(decided(f"{name}, step {step}", not fresh))
            hidden = fmpq_mat(
                6, samples, [pre[i, j] if on[i][j] else fmpq(0) for i in range(6) for j in range(samples)]
            )
            pull = V * hidden - Y
            back = V.transpose() * pull
            back = fmpq_mat(6, samples, [back[i, j] if on[i][j] else fmpq(0) for i in range(6) for j in range(samples)])
            W, V = W - (back * X.transpose() + W * λ) * η, V - (pull * hidden.transpose() + V * λ) * η
    return at_most(triples, noun="steps of exact descent")


def _variance(scope: Scope, *, power: int = 1) -> Evidence:
    """Var a = p Var_on a + m²(1-p)/p for a that is 0 on a share 1-p: so Var a ≥ m²(1-p)/p."""
    del scope
    p, m, v = sp.symbols("p m v", positive=True)
    square = p * (v + (m / p) ** 2)  # E a² from the samples that are on, of mean m/p and variance v
    gap = sp.simplify(square - m**2 - (p * v + m**2 * (1 - p) / p**power))
    return discharged("SymPy, every p, m and v") if gap == 0 else refuted(f"off by {gap}")


def _between(scope: Scope) -> Evidence:
    """Variance over classes of the means is at most their mean square; (1-p)/p falls in p (z3)."""
    del scope
    falls = for_all(
        "p q",
        lambda p, q: (1 - p) * q >= (1 - q) * p,
        given=lambda p, q: [p > 0, p <= q, q <= 1],
    )
    spread = for_all("a b c", lambda a, b, c: (a * a + b * b + c * c) * 3 >= (a + b + c) * (a + b + c))
    return both(falls, spread)


def _bounds(scope: Scope, *, scatter: str = "1") -> Evidence:
    """S_1 ≥ (1/K) Σ m²(1-p)/p and C_1 ≥ (1-p_max)/p_max, p of any gates that contain the open ones."""
    rng = scope.rng("RL3 bounds")
    triples = []
    for number in range(scope.count(40, 400, 4000)):
        K, n = (2, 3)[number % 2], 2 + number % 4
        counts = (n,) * K
        Z = random_features(rng, counts=counts, dimension=3, spread=("1/4", "1", "4")[number % 3])
        if number % 7 == 0:  # one sample on a unit: where the bound is attained
            values = [int(j % n == 0) * (2 + i) for i in range(3) for j in range(K * n)]
            Z = fmpq_mat(3, K * n, values)
        hidden = fmpq_mat(3, K * n, [v if v > 0 else fmpq(0) for v in Z.entries()])
        allowed = [[hidden[i, j] > 0 or (number % 7 and rng.random() < 0.2) for j in range(K * n)] for i in range(3)]
        found = moments(hidden, counts)
        if found.between == 0:
            continue
        least, most = fmpq(0), fmpq(0)
        for i in range(3):
            for k in range(K):
                p = fmpq(sum(allowed[i][k * n : (k + 1) * n]), n)
                if p > 0:
                    least += found.means[k][i] ** 2 * (1 - p) / p / K
                    most = max(most, p)
        triples.append((f"features {number}, scatter", least * rational(scatter), found.within))
        triples.append((f"features {number}, C", (1 - most) / most * found.between, found.within))
    return at_most(triples, noun="bounds")


STATEMENT = Statement(
    number="RL3",
    title="gates that never come back",
    text="Orthogonal inputs, first layer pre-activations WX without biases, any loss and any layers after a ReLU, "
    "gradient descent with any step η and weight decay λ ≤ 1/η: a unit that is off for a sample stays off. So, classes "
    "of equal size, with p_jk the share of class k that unit j is on for at the start and m_jk its mean activation at "
    "any later time: tr Σ_W ≥ (1/K) Σ_jk m_jk²(1 - p_jk)/p_jk, and C_1 ≥ (1 - p_max)/p_max.",
    assumptions=("orthogonal inputs", "no biases in the first layer", "equal classes, for the bounds"),
    tightness=("5",),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="W⁺X = (1-ηλ)WX - ηg XᵀX, XᵀX diagonal",
            because="the gradient is gXᵀ, whatever comes after the layer",
            check=_update,
        ),
        Step(
            key="2",
            kind=Kind.INEQUALITY,
            claim="a shut gate stays shut",
            because="g is 0 there and 1-ηλ ≥ 0",
            check=_sign,
            references=("demoura2008z3",),
        ),
        Step(key="3", kind=Kind.BALL, claim="no gate comes back", because="exact gradient descent", check=_descent),
        Step(
            key="4",
            kind=Kind.IDENTITY,
            claim="Var a = p Var_on a + m²(1-p)/p",
            because="a is 0 on the share 1-p",
            check=lambda s: both(_variance(s), _between(s)),
            references=("meurer2017sympy", "demoura2008z3"),
        ),
        Step(key="5", kind=Kind.BALL, claim="both bounds", because="exact features, attained ones too", check=_bounds),
    ),
    wrong_variants=(
        WrongVariant(
            name="inputs with a common part",
            claim="no gate comes back",
            check=lambda s: _descent(s, orthogonal_inputs=False),
        ),
        WrongVariant(name="decay to 2/η", claim="ηλ ≤ 2", check=lambda s: _sign(s, most=2)),
        WrongVariant(name="decay of 15", claim="λ = 15, η = 1/10", check=lambda s: _descent(s, decay="15")),
        WrongVariant(name="(1-p)/p²", claim="Var a ≥ m²(1-p)/p²", check=lambda s: _variance(s, power=2)),
        WrongVariant(name="1.1 of the bound", claim="S_1 ≥ 1.1 Σ …", check=lambda s: _bounds(s, scatter="11/10")),
    ),
)
