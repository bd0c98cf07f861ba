"""RL1 and RL4: trained ReLU networks, as far as their laws can be proved; the rest is measured, and said to be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import permutations, product

import numpy as np
import sympy as sp
from flint import fmpq, fmpq_mat

from .balls import at_most, exactly_zero, trace
from .instances import orthogonal, random_features, random_matrix
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, discharged, refuted
from .quantities import moments

__all__ = ["STATEMENT"]


def _gated(features: fmpq_mat, counts: tuple[int, ...], gates: list[list[bool]]) -> fmpq_mat:
    labels = [k for k, n in enumerate(counts) for _ in range(n)]
    return fmpq_mat(
        features.nrows(),
        features.ncols(),
        [
            features[i, j] if gates[labels[j]][i] else fmpq(0)
            for i in range(features.nrows())
            for j in range(len(labels))
        ],
    )


def _deviations(features: fmpq_mat, counts: tuple[int, ...]) -> fmpq_mat:
    found, labels = moments(features, counts), [k for k, n in enumerate(counts) for _ in range(n)]
    rows, columns = features.nrows(), features.ncols()
    return fmpq_mat(
        rows, columns, [features[i, j] - found.means[labels[j]][i] for i in range(rows) for j in range(columns)]
    )


def _draws(scope: Scope) -> Iterator[tuple[str, fmpq_mat, tuple[int, ...], list[list[bool]], fmpq_mat]]:
    rng = scope.rng("RL1")
    for number in range(scope.count(4, 12, 40)):
        counts = ((2, 3), (3, 1, 2))[number % 2]
        Z = random_features(rng, counts=counts, dimension=3)
        gates = [[rng.random() < 0.5 for _ in range(3)] for _ in counts]
        gates[0] = [True, False, True]
        yield f"features {number}", Z, counts, gates, random_matrix(3, 3, rng)


def _passed(scope: Scope, *, own_gate: bool = True) -> Evidence:
    """Gates constant within a class: t^l = G_k W t^{l-1}, exactly."""
    triples = []
    for name, Z, counts, gates, W in _draws(scope):
        used = gates if own_gate else gates[1:] + gates[:1]
        gap = _deviations(_gated(W * Z, counts, gates), counts) - _gated(W * _deviations(Z, counts), counts, used)
        triples.append((name, fmpq(0 if exactly_zero(gap) else 1), fmpq(0)))
    return at_most(triples, noun="feature sets")


def _rotations() -> list[fmpq_mat]:
    """The 48 signed permutations of three units: their second moments are those of all rotations."""
    found = []
    for order in permutations(range(3)):
        for signs in product((-1, 1), repeat=3):
            found.append(fmpq_mat(3, 3, [signs[i] if order[i] == j else 0 for i in range(3) for j in range(3)]))
    return found


def _average(scope: Scope, *, power: int = 2, untrained: bool = False) -> Evidence:
    """Mean over rotations O of tr Σ_W(G_k εO z) = ε² Σ_k S_k q_k, exactly."""
    triples, rng = [], scope.rng("RL1 rotations")
    turns = _rotations()
    for name, Z, counts, gates, _ in _draws(scope):
        ε, fixed = fmpq(rng.randint(1, 4), 5), orthogonal(3, rng)
        total = fmpq(0)
        for turn in turns:
            total += moments(_gated(fixed * turn * Z * ε, counts, gates), counts).within
        labels = [k for k, n in enumerate(counts) for _ in range(n)]
        T = _deviations(Z, counts)
        law = fmpq(0)
        for k in range(len(counts)):
            columns = [j for j, label in enumerate(labels) if label == k]
            scatter = sum((T[i, j] ** 2 for i in range(3) for j in columns), start=fmpq(0)) / len(labels)
            law += scatter * (fmpq(1, 2) if untrained else fmpq(sum(gates[k]), 3))
        triples.append((name, abs(total / len(turns) - ε**power * law), fmpq(0)))
    return at_most(triples, noun="averages over 48 rotations")


def _second_moments(scope: Scope) -> Evidence:
    """Mean of OᵀGO over the signed permutations is tr(G)/m I for every symmetric G, as it is over all rotations."""
    rng = scope.rng("RL1 moments")
    for number in range(scope.count(4, 12, 40)):
        A = random_matrix(3, 3, rng)
        G = A + A.transpose()
        total = fmpq_mat(3, 3, [0] * 9)
        for turn in _rotations():
            total = total + turn.transpose() * G * turn
        mean = total * fmpq(1, 48)
        wanted = fmpq_mat(3, 3, [trace(G) / 3 if i == j else fmpq(0) for i in range(3) for j in range(3)])
        if not exactly_zero(mean - wanted):
            return refuted(f"matrix {number}")
    return discharged("exact, random symmetric matrices")


def _trained(scope: Scope, *, share: float | None = None) -> Evidence:
    """One trained network: clusters, K = 2, n = 5, two hidden layers of 120; measured over ε² q."""
    del scope
    rng = np.random.default_rng(0)
    K, n, width, ε, s = 2, 5, 120, 0.4, 0.4
    N, y = K * n, np.repeat(np.arange(K), n)
    X = np.zeros((N, K + N))
    X[np.arange(N), y], X[np.arange(N), K + np.arange(N)] = math.sqrt(1 - s * s), s

    def haar(rows: int, columns: int) -> np.ndarray:
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diag(r))
        return q if rows >= columns else q.T

    weights = [ε * haar(width, K + N), ε * haar(width, width), ε * haar(K, width)]
    one = two = z1 = z2 = X
    for _ in range(6000):
        one = X @ weights[0].T
        z1 = np.maximum(one, 0)
        two = z1 @ weights[1].T
        z2 = np.maximum(two, 0)
        pull = z2 @ weights[2].T - np.eye(K)[y]
        if np.sum(pull**2) < 1e-7:
            break
        back2 = (pull @ weights[2]) * (two > 0)
        back1 = (back2 @ weights[1]) * (one > 0)
        slopes = [back1.T @ X, back2.T @ z1, pull.T @ z2]
        step = min(0.05, 0.03 / math.sqrt(sum(float(np.sum(g**2)) for g in slopes)))
        weights = [W - step * g for W, g in zip(weights, slopes)]

    def scatters(Z: np.ndarray) -> np.ndarray:
        return np.array([np.sum((Z[y == k] - Z[y == k].mean(axis=0)) ** 2) for k in range(K)])

    ratios = []
    for before, pre, after in ((X, one, z1), (z1, two, z2)):
        opened = np.array([np.mean(pre[y == k].mean(axis=0) > 0) for k in range(K)])
        q = share if share is not None else float(scatters(before) @ opened / scatters(before).sum())
        ratios.append(float(scatters(after).sum() / scatters(before).sum() / (ε**2 * q)))
    if max(abs(ratio - 1) for ratio in ratios) < 0.12:
        return discharged("K = 2, n = 5, width 120: within 12 % at both layers")
    return refuted("measured over predicted " + ", ".join(f"{ratio:.3f}" for ratio in ratios))


def _rest(scope: Scope, *, power: int = 1) -> Evidence:
    """RL4(a): ẋ = (2/K) r x^{L-1}(1 - r x^L) - λx rests where (2/K) r(σr - 1) + λσ^{2/L-1} = 0, σ = x^L."""
    del scope
    x, r, K, L, λ = sp.symbols("x r K L lambda", positive=True)
    speed = 2 / K * r * x ** (L - 1) * (1 - r * x**L) - λ * x
    law = 2 / K * r * (x**L * r - 1) + λ * x ** (L * (sp.Integer(2) / L - power))
    gap = sp.simplify(sp.powsimp(sp.expand(speed + x ** (L - 1) * law), force=True))
    return discharged("SymPy, every L, K, r, λ") if gap == 0 else refuted(f"off by {gap}")


def _off_diagonal(scope: Scope, *, divided: bool = True) -> Evidence:
    """RL4(b): the error off the diagonal is λ s cos, s = 1 - λ: one class's own units answer with -E s/λ."""
    del scope
    E, s, λ, c = sp.symbols("E s lambda c", positive=True)
    # v' = -E b - λ v = 0 on units that are on for the other class alone; Σ b² = s
    answer = sp.solve(sp.Eq(-E - λ * sp.Symbol("v"), 0), sp.Symbol("v"))[0] * s
    (found,) = sp.solve(sp.Eq(E, s * c + (answer if divided else 0)), E)
    gap = sp.simplify(found.subs(s, 1 - λ) - λ * (1 - λ) * c)
    return discharged("SymPy") if gap == 0 else refuted(f"off by {gap}")


def _parting(scope: Scope, *, rate: int = 4) -> Evidence:
    """RL4(b): u₁' = -Eu₂, u₂' = -Eu₁ keeps u₁² - u₂²; uniform near-ties make Σu₁u₂ ∝ e^{-4T}; 1/(4sλt) solves it."""
    del scope
    T, x, s, λ, t, h, a = sp.symbols("T x s lambda t h a", positive=True)
    τ = sp.symbols("tau", positive=True)
    one, two = sp.sqrt(h) * sp.cosh(τ - T), sp.sqrt(h) * sp.sinh(τ - T)
    motion = sp.simplify(sp.diff(one, T) + two), sp.simplify(sp.diff(two, T) + one)
    kept = sp.simplify((one**2 - two**2 - h).rewrite(sp.exp))
    # a unit at angle δ from the tie starts with h ∝ sin 2δ ≈ 2δ and leaves at T = τ, δ = e^{-2τ}: x = τ - T > 0 is on
    δ = sp.exp(-2 * (x + T))
    weight = -sp.diff(δ, x)  # dδ over dx
    product_ = (δ * sp.sinh(2 * x) * weight).rewrite(sp.exp)
    total = sp.integrate(sp.expand(product_), (x, 0, sp.oo))
    decay = sp.simplify(sp.diff(total, T) / total + rate)
    cosine = 1 / (rate * s * λ * t + 1 / a)
    law = sp.simplify(sp.diff(cosine, t) + rate * λ * s * cosine * cosine)
    tail = sp.limit(cosine * rate * s * λ * t, t, sp.oo) - 1
    if (*motion, kept, decay, law, tail) == (0, 0, 0, 0, 0, 0):
        return discharged("SymPy: motion, what is conserved, e^{-4T}, and the law's own equation")
    return refuted(f"off by {motion}, {kept}, {decay}, {law}")


STATEMENT = Statement(
    number="RL1",
    title="trained ReLU networks: what is proved of RL1 and RL4",
    text="Networks without biases from ε times orthogonal weights, gates constant in each class: deviations pass by "
    "t^l = G_k W t^{l-1}, and over rotations O the mean of tr Σ_W(G_k εO z) is ε² Σ_k S_k q_k, q_k the share of open "
    "gates; so S_l/S_{l-1} = ε² q_l where W_l acts on the deviations as εO. RL4: (a) balanced networks under weight "
    "decay on the mean squared error rest where (2/K) r(σr-1) + λσ^{2/L-1} = 0, ‖μ_k^l‖² = r²σ^{2l/L}; (b) L = K = 2: "
    "1 - D_1 → 1/(4sλt).",
    assumptions=("gates constant within each class", "no biases", "the initial part of W_l is what deviations meet"),
    remarks=(
        "Leading order. That trained weights act on the deviations of fitted samples as their initial part does is "
        "observed (step 4 and `pnc reproduce relu_laws`), not proved; the gate is `deviations_left`.",
        "RL2 (one point a class) has no proof here: it is the same observation, used as a predictor.",
        "RL4(b) is heuristic: steps 6 and 7 prove its algebra, not that errors are quasi-stationary nor that near-ties "
        "are uniform in angle. Not claimed for L ≥ 3 or K ≥ 3.",
    ),
    steps=(
        Step(key="1", kind=Kind.BALL, claim="t^l = G_k W t^{l-1}", because="exact features", check=_passed),
        Step(
            key="2",
            kind=Kind.BALL,
            claim="E OᵀGO = tr(G)/m I over signed permutations, as over all rotations",
            because="both groups act irreducibly: Schur's lemma",
            check=_second_moments,
        ),
        Step(key="3", kind=Kind.BALL, claim="E S_l = ε² Σ S_k q_k", because="steps 1 and 2, exactly", check=_average),
        Step(key="4", kind=Kind.MEASURED, claim="a trained network follows it", because="one descent", check=_trained),
        Step(
            key="5",
            kind=Kind.IDENTITY,
            claim="RL4(a): where balanced networks rest",
            because="ẋ = 0",
            check=_rest,
            references=("meurer2017sympy",),
        ),
        Step(
            key="6",
            kind=Kind.IDENTITY,
            claim="RL4(b): the error off the diagonal is λ s cos",
            because="a class's own units answer it",
            check=_off_diagonal,
            references=("meurer2017sympy",),
        ),
        Step(
            key="7",
            kind=Kind.IDENTITY,
            claim="RL4(b): cos' = -4sλcos² and 1/(4sλt)",
            because="units leave the shared set by angle",
            check=_parting,
            references=("meurer2017sympy",),
        ),
    ),
    wrong_variants=(
        WrongVariant(name="another class's gates", claim="t^l = G_k' W t", check=lambda s: _passed(s, own_gate=False)),
        WrongVariant(name="ε for ε²", claim="S_l/S_{l-1} = ε q_l", check=lambda s: _average(s, power=1)),
        WrongVariant(name="½ for q", claim="S_l/S_{l-1} = ε²/2", check=lambda s: _average(s, untrained=True)),
        WrongVariant(name="all gates open", claim="q = 1 in a trained network", check=lambda s: _trained(s, share=1.0)),
        WrongVariant(name="σ^{2/L-2}", claim="… + λσ^{2/L-2} = 0", check=lambda s: _rest(s, power=2)),
        WrongVariant(name="no answer", claim="the error is s cos", check=lambda s: _off_diagonal(s, divided=False)),
        WrongVariant(name="half as fast", claim="1 - D_1 → 1/(2sλt)", check=lambda s: _parting(s, rate=2)),
    ),
)
