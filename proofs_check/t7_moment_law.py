"""T7, the moment law: without A3, both traces are Stieltjes moment sequences of A's spectrum."""

from __future__ import annotations

import sympy as sp
import z3
from flint import fmpq, fmpq_mat

from .assumptions import BALANCE
from .balls import at_most, certainly_psd, decided, identity, trace
from .classical import JENSEN, STIELTJES, applied
from .instances import (
    columns,
    diagonal,
    labels,
    orthogonal,
    random_features,
    random_matrix,
    within_projection,
)
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both
from .rewriting import Algebra, Instance
from .scalar import for_all
from .t1_networks import balance_algebra

__all__ = ["STATEMENT"]

L, l = sp.symbols("L l", positive=True)


class _Balanced:
    """Balanced weights of any residual spectrum: W_l = Q_l A^{1/2} Q_{l-1}ᵀ, plus junk on unreachable directions."""

    def __init__(self, rng, *, counts, dimension, depth, width=None, imbalance: fmpq | int = 0):
        width = width or dimension
        self.counts, self.depth = counts, depth
        self.frame = orthogonal(dimension, rng)
        self.atoms = [fmpq(rng.randint(1, 12), 8) for _ in range(dimension)]  # of A^{1/2}
        core = self.frame * diagonal(self.atoms) * self.frame.transpose()
        self.data = random_features(rng, counts=counts, dimension=dimension)
        before, self.weights = identity(dimension), []
        for layer in range(1, depth):
            rotation = orthogonal(width, rng)
            after = columns(rotation, 0, dimension)
            weight = after * core * before.transpose()
            if layer > 1 and width > dimension:
                junk = columns(rotation, dimension, width) * random_matrix(width - dimension, width, rng)
                weight = weight + junk * (identity(width) - before * before.transpose())
            if layer == 2:
                weight = weight * (1 + imbalance)
            self.weights.append(weight)
            before = after
        self.name = f"balanced weights, n = {tuple(counts)}, d = {dimension}, width = {width}, L = {depth}"

    def features(self, layer: int) -> fmpq_mat:
        found = self.data
        for weight in self.weights[:layer]:
            found = weight * found
        return found

    def projections(self) -> dict[str, fmpq_mat]:
        samples = sum(self.counts)
        within = within_projection(self.counts)
        ones = fmpq_mat(samples, samples, [fmpq(1, samples)] * samples**2)
        return {"within": within, "between": identity(samples) - within - ones}

    def moments(self, which: str) -> list[fmpq]:
        """N tr Σ of every layer 0 … L-1, from features."""
        projection = self.projections()[which]
        found = []
        for layer in range(self.depth):
            features = self.features(layer)
            found.append(trace(features * projection * features.transpose()))
        return found

    def measure(self, which: str) -> tuple[list[fmpq], list[fmpq]]:
        """Weights and atoms of the spectral measure: ‖u_iᵀ X P‖² at λ_i."""
        turned = self.frame.transpose() * self.data * self.projections()[which]
        weights = [sum((x * x for x in row), start=fmpq(0)) for row in turned.tolist()]
        return weights, [a * a for a in self.atoms]


def _instances(scope: Scope, *, imbalance: fmpq | int = 0) -> list[_Balanced]:
    rng = scope.rng("T7")
    shapes = [((2, 2), 3, 4, 3), ((1, 3), 3, 5, 5), ((2, 3, 2), 4, 6, 4)]
    found = []
    for number in range(scope.count(8, 160, 640)):
        counts, dimension, depth, width = shapes[number % 3]
        found.append(_Balanced(rng, counts=counts, dimension=dimension, depth=depth, width=width, imbalance=imbalance))
    return found


def _telescoping(scope: Scope) -> Evidence:
    algebra, s = balance_algebra()
    P, W, V, A = s["P"], s["W"], s["W'"], s["A"]
    algebra.rule(algebra.T(V) * V * W * P, W * algebra.T(W) * W * P, "balance at l")
    algebra.rule(algebra.T(W) * W * P, P * A, "hypothesis at l")
    algebra.rule(algebra.T(P) * P, A ** (l - 1), "hypothesis on the Gram matrix")
    models = []
    for net in _instances(Scope(depth="quick", seed=scope.seed)):
        layer = net.depth - 2
        path = identity(net.data.nrows())
        for weight in net.weights[: layer - 1]:
            path = weight * path
        models.append(
            Instance(
                matrices={
                    "P": path,
                    "W": net.weights[layer - 1],
                    "W'": net.weights[layer],
                    "A": net.weights[0].transpose() * net.weights[0],
                },
                scalars={l: sp.Integer(layer)},
                name=net.name,
            )
        )
    return both(
        algebra.proves(algebra.T(V) * V * W * P, W * P * A, instances=models),
        algebra.proves(algebra.T(W * P) * W * P, A**l, instances=models),
    )


def _projections(scope: Scope) -> Evidence:
    """P_W and P_B = YᵀȲ - 11ᵀ/N are projections that add up to centring; N tr Σ = tr Z P Zᵀ."""
    del scope
    algebra = Algebra()
    T = algebra.T
    N = sp.Symbol("N", positive=True)
    Y = algebra.symbol("Y", "K", "N")
    D = algebra.symbol("D", "K", "K", functional=True)
    e, f = algebra.symbol("e", "N", "1"), algebra.symbol("f", "K", "1")
    algebra.rule(Y * T(Y), D, "YYᵀ = diag(n)")
    algebra.rule(Y * e, D * f, "Y1 = diag(n)1")
    algebra.rule(T(Y) * f, e, "Yᵀ1 = 1")
    algebra.rule(T(e) * e, N, "1ᵀ1 = N")
    algebra.rule(T(f) * D * f, N, "Σ n_k = N")
    counts = (2, 3)
    model = Instance(
        matrices={
            "Y": labels(counts),
            "D": diagonal(counts),
            "e": fmpq_mat(5, 1, [1] * 5),
            "f": fmpq_mat(2, 1, [1, 1]),
        },
        scalars={N: sp.Integer(5)},
        name="n = (2, 3)",
    )
    average = T(Y) * D**-1 * Y
    between, within = average - e * T(e) / N, 1 - average
    return both(
        algebra.proves(between * between, between, instances=[model]),
        algebra.proves(within * within, within, instances=[model]),
        algebra.proves(within * between, sp.Integer(0), instances=[model]),
    )


def _spectral(scope: Scope) -> Evidence:
    """tr P XᵀA^lX P = Σ_i λ_i^l ‖u_iᵀXP‖², from features against the spectral measure, exactly."""
    found = []
    for net in _instances(scope):
        for which in ("within", "between"):
            weights, atoms = net.measure(which)
            for layer, seen in enumerate(net.moments(which)):
                moment = sum((w * a**layer for w, a in zip(weights, atoms)), start=fmpq(0))
                found.append((f"{net.name}, {which}, layer {layer}", abs(seen - moment), fmpq(0)))
    return at_most(found, noun="moments, exactly")


def _stieltjes(scope: Scope) -> Evidence:
    uses = []
    for net in _instances(scope):
        for which in ("within", "between"):
            weights, atoms = net.measure(which)
            uses.append((weights, atoms, net.depth - 1))
    return applied(STIELTJES, scope, uses)


def _jensen(scope: Scope) -> Evidence:
    uses = []
    for net in _instances(scope):
        for which in ("within", "between"):
            weights, atoms = net.measure(which)
            mass = sum(weights, start=fmpq(0))
            if mass > 0:
                uses.append(([w / mass for w in weights], atoms, net.depth - 1))
    return applied(JENSEN, scope, uses)


def _ratios_scalar(scope: Scope) -> Evidence:
    """A 2 × 2 Hankel minor gives log-convexity; that gives ratios that never fall; one atom at a time, the range."""
    del scope
    return both(
        for_all(
            "a b c",
            lambda a, b, c: b * b <= a * c,
            # (a, b; b, c) positive semidefinite, tested on the vector (b, -a)
            given=lambda a, b, c: [a > 0, a * b * b - 2 * b * b * a + c * a * a >= 0],
        ),
        for_all(
            "a b c",
            lambda a, b, c: b / a <= c / b,
            given=lambda a, b, c: [a > 0, b > 0, c > 0, b * b <= a * c],
        ),
        for_all(
            "w x m M p",
            lambda w, x, m, M, p: z3.And(m * (w * p) <= w * p * x, w * p * x <= M * (w * p)),
            given=lambda w, x, m, M, p: [w >= 0, p >= 0, m <= x, x <= M, m >= 0],
        ),
    )


def _single_atom(scope: Scope) -> Evidence:
    """A3: VᵀXP_W = S⁻¹UᵀYP_W = 0, so ω sits on the complement of V, where A = ε²."""
    algebra = Algebra()
    T = algebra.T
    Y, X = algebra.symbol("Y", "K", "N"), algebra.symbol("X", "d", "N")
    D = algebra.symbol("D", "K", "K", functional=True)
    M, U = algebra.symbol("M", "K", "d"), algebra.symbol("U", "K", "K")
    S = algebra.symbol("S", "K", "K", functional=True)
    algebra.rule(Y * T(Y), D, "YYᵀ = diag(n)")
    algebra.rule(M * X, Y, "M X = Y")
    within = 1 - T(Y) * D**-1 * Y
    del scope
    return algebra.proves(S**-1 * T(U) * M * X * within, sp.Integer(0))


def _whole(scope: Scope, *, flipped: bool = False, of_c: bool = False, imbalance: fmpq | int = 0) -> Evidence:
    def triples():
        for net in _instances(scope, imbalance=imbalance):
            both_kinds = {which: net.moments(which) for which in ("within", "between")}
            lowest, highest = min(net.atoms) ** 2, max(net.atoms) ** 2
            if of_c:
                both_kinds = {"C": [a / b for a, b in zip(both_kinds["within"], both_kinds["between"])]}
            for which, m in both_kinds.items():
                if m[0] == 0:
                    continue
                ratios = [b / a for a, b in zip(m, m[1:])]
                for layer, (before, after) in enumerate(zip(ratios, ratios[1:])):
                    name = f"{net.name}, {which}, layers {layer} to {layer + 2}"
                    yield (name, after, before) if flipped else (name, before, after)
                if of_c:
                    continue
                for layer, ratio in enumerate(ratios):
                    yield f"{net.name}, {which}, ratio {layer} below", lowest, ratio
                    yield f"{net.name}, {which}, ratio {layer} above", ratio, highest
                for layer, value in list(enumerate(m))[2:]:
                    yield f"{net.name}, {which}, Jensen {layer}", (m[1] / m[0]) ** layer, value / m[0]
                for shift in (0, 1):
                    size = (len(m) - 1 - shift) // 2 + 1
                    hankel = fmpq_mat(size, size, [m[a + b + shift] for a in range(size) for b in range(size)])
                    yield decided(f"{net.name}, {which}, Hankel {shift}", certainly_psd(hankel))

    return at_most(triples(), noun="exact comparisons")


def _jensen_off(scope: Scope) -> Evidence:
    def triples():
        for net in _instances(scope):
            m = net.moments("within")
            for layer in range(1, net.depth):
                yield f"{net.name}, layer {layer}", (m[1] / m[0]) ** (layer - 1), m[layer] / m[0]

    return at_most(triples(), noun="layers")


STATEMENT = Statement(
    number="T7",
    title="moment law",
    text="A = W_1ᵀW_1, 0 ≤ l ≤ L-1: N tr Σ_W^l = ∫λ^l dω(λ), N tr Σ_B^l = ∫λ^l dβ(λ), ω, β the spectral "
    "measures of A weighted by "
    "the within- and between-class parts of X. Both traces are Stieltjes moment sequences: log-convex, Hankel matrices "
    "positive semidefinite, per-layer ratios never fall and stay inside A's spectrum; tr Σ_W^l/tr Σ_W^0 ≥ "
    "(tr Σ_W^1/tr Σ_W^0)^l. "
    "Under A3 ω is one atom at ε².",
    assumptions=(str(BALANCE),),
    remarks=(
        "The proof needs balance one-sidedly on all that W_{l:1} reaches, not on W_{l:1}X alone and not "
        "compressed (T1).",
        "Ratios of C are not monotone (wrong variant 'ratios of C').",
    ),
    tightness=("8",),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="W_{l:1}ᵀW_{l:1} = A^l for l ≤ L-1",
            because="induction on l as in T1 steps 1 and 2, which use balance alone",
            check=_telescoping,
        ),
        Step(
            key="2",
            kind=Kind.IDENTITY,
            claim="N tr Σ_W = tr Z P_W Zᵀ, N tr Σ_B = tr Z P_B Zᵀ with projections P_W, P_B, P_W P_B = 0",
            because="P_W = I - YᵀȲ, P_B = YᵀȲ - 11ᵀ/N",
            check=_projections,
        ),
        Step(
            key="3",
            kind=Kind.BALL,
            claim="tr P XᵀA^lX P = Σ_i λ_i^l ‖u_iᵀXP‖² = ∫λ^l",
            because="spectral theorem for A; exact networks with rational spectra",
            check=_spectral,
        ),
        Step(
            key="4",
            kind=Kind.CLASSICAL,
            claim="Hankel matrices (m_{i+j}), (m_{i+j+1}) of both traces are positive semidefinite",
            because="Stieltjes: A ≥ 0, weights ≥ 0",
            check=_stieltjes,
            references=("stieltjes1894",),
        ),
        Step(
            key="5",
            kind=Kind.INEQUALITY,
            claim="m_l² ≤ m_{l-1}m_{l+1}; m_l/m_{l-1} ≤ m_{l+1}/m_l; λ_min m_l ≤ m_{l+1} ≤ λ_max m_l",
            because="2 × 2 minors of step 4; atom by atom",
            check=_ratios_scalar,
            references=("demoura2008z3",),
        ),
        Step(
            key="6",
            kind=Kind.CLASSICAL,
            claim="m_l/m_0 ≥ (m_1/m_0)^l",
            because="Jensen for the normalised spectral measure",
            check=_jensen,
            references=("jensen1906",),
        ),
        Step(
            key="7",
            kind=Kind.IDENTITY,
            claim="A3: ω is a single atom at ε²",
            because="VᵀXP_W = S⁻¹UᵀMXP_W = S⁻¹UᵀYP_W = 0",
            check=_single_atom,
        ),
        Step(
            key="8",
            kind=Kind.BALL,
            claim="all consequences on exact balanced networks of any spectrum",
            because="traces of features in rational numbers",
            check=_whole,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="sign flipped", claim="ratios never rise", check=lambda s: _whole(s, flipped=True)),
        WrongVariant(name="ratios of C", claim="C_{l+1}/C_l never falls", check=lambda s: _whole(s, of_c=True)),
        WrongVariant(name="Jensen off by one", claim="m_l/m_0 ≥ (m_1/m_0)^{l-1}", check=_jensen_off),
        WrongVariant(
            name="without balance",
            claim="the same with W_2 scaled by 1/2",
            check=lambda s: _whole(s, imbalance=fmpq(-1, 2)),
        ),
    ),
)
