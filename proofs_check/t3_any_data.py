"""T3: the Gram law for any data, also more samples than dimensions, and the floor of compression."""

from __future__ import annotations

import sympy as sp
from flint import fmpq, fmpq_mat

from .assumptions import A1, A2, A3, WIDE
from .balls import at_most, certainly_psd, exactly_zero, trace
from .classical import PENROSE, applied
from .instances import (
    ExactNetwork,
    columns,
    diagonal,
    exact_network,
    labels,
    orthogonal,
    random_matrix,
    within_projection,
)
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, discharged, refuted, undecided
from .rewriting import Algebra, Instance

__all__ = ["STATEMENT"]

L, l = sp.symbols("L l", positive=True)
eps = sp.Symbol("epsilon", positive=True)


def _networks(scope: Scope) -> list[ExactNetwork]:
    """N > d, full and lower rank of M, unequal classes, widths above d."""
    rng = scope.rng("T3 networks")
    cases = [
        dict(counts=(3, 3), dimension=4, depth=3),
        dict(counts=(2, 4), dimension=3, depth=4, width=5),
        dict(counts=(3, 2, 3), dimension=4, depth=3, roots=("3/2", "6/5")),
        dict(counts=(3, 2, 2), dimension=3, depth=2, roots=("2",), residual_scale="1/2"),
    ]
    found = [exact_network(rng, explained=False, **case) for case in cases]
    return found + [
        exact_network(rng, explained=False, counts=(3, 4), dimension=5, depth=5) for _ in range(scope.count(2, 40, 160))
    ]


def _least_squares(data: fmpq_mat, targets: fmpq_mat) -> fmpq_mat:
    """M = Y X⁺ for X of full row rank."""
    return targets * data.transpose() * (data * data.transpose()).inv()


def _insertion(scope: Scope) -> Evidence:
    algebra = Algebra()
    T = algebra.T
    M, X = algebra.symbol("M", "K", "d"), algebra.symbol("X", "d", "N")
    U, V = algebra.symbol("U", "K", "r"), algebra.symbol("V", "d", "r")
    F = algebra.symbol("Ŷ", "K", "N")
    S = algebra.symbol("S", "r", "r", functional=True)
    G = algebra.symbol("G", "N", "N", functional=True)
    algebra.rule(T(U) * U, sp.Integer(1), "UᵀU = I_r")
    algebra.rule(V, T(M) * U * S**-1, "V = MᵀU S⁻¹")
    algebra.rule(M * X, F, "Ŷ = M X")
    algebra.rule(T(X) * X, G, "G = XᵀX")

    def h(power: sp.Expr) -> sp.Expr:
        """H^a on the range of H = U S² Uᵀ; a = -1 is H⁺."""
        return U * S ** (2 * power) * T(U)

    left = T(X) * (V * S ** (2 * l / L) * T(V) + eps ** (2 * l) * (1 - V * T(V))) * X
    right = T(F) * h(l / L - 1) * F + eps ** (2 * l) * (T(X) * X - T(F) * h(sp.Integer(-1)) * F)
    models = []
    for net in _networks(Scope(depth="quick", seed=scope.seed))[1:3]:
        m = _least_squares(net.data, net.targets)
        models.append(
            Instance(
                matrices={
                    "M": m,
                    "X": net.data,
                    "U": net.left,
                    "V": net.right,
                    "Ŷ": m * net.data,
                    "G": net.data.transpose() * net.data,
                },
                powers={"S": lambda e, net=net: diagonal([r ** int(net.depth * e) for r in net.roots])},
                scalars={L: sp.Integer(net.depth), l: sp.Integer(1), eps: sp.Rational(3, 10)},
                name=f"{net.name}, rank {len(net.roots)}",
            )
        )
    return algebra.proves(left, right, instances=models)


def _truncated(scope: Scope) -> Evidence:
    """The classifier has nothing outside the signal: W_L = U S^{1/L} Vᵀ Qᵀ, W_{L:1} = U S Vᵀ, M truncated."""
    algebra = Algebra()
    T = algebra.T
    U, V = algebra.symbol("U", "K", "r"), algebra.symbol("V", "d", "r")
    S = algebra.symbol("S", "r", "r", functional=True)
    algebra.rule(T(V) * V, sp.Integer(1), "VᵀV = I")
    hidden = V * S ** ((L - 1) / L) * T(V) + eps ** (L - 1) * (1 - V * T(V))
    frame = orthogonal(4, scope.rng("truncated"))
    values = [fmpq(3, 2), fmpq(5, 4)]
    model = Instance(
        matrices={"U": orthogonal(2, scope.rng("left")), "V": columns(frame, 0, 2)},
        powers={"S": lambda e: diagonal([v ** int(3 * e) for v in values])},
        scalars={L: sp.Integer(3), eps: sp.Rational(3, 10)},
        name="K = 2, n = 2, L = 3",
    )
    return algebra.proves(U * S ** (1 / L) * T(V) * hidden, U * S * T(V), instances=[model])


def _residual_psd(scope: Scope) -> Evidence:
    """G - ŶᵀH⁺Ŷ = ((I - VVᵀ)X)ᵀ((I - VVᵀ)X) ≥ 0."""
    algebra = Algebra()
    T = algebra.T
    X, V = algebra.symbol("X", "d", "N"), algebra.symbol("V", "d", "r")
    algebra.rule(T(V) * V, sp.Integer(1), "VᵀV = I")
    outside = (1 - V * T(V)) * X
    net = _networks(Scope(depth="quick", seed=scope.seed))[2]
    model = Instance(matrices={"X": net.data, "V": net.right}, name=net.name)
    return algebra.proves(T(X) * X - T(X) * V * T(V) * X, T(outside) * outside, instances=[model])


def _whole(scope: Scope, *, shift: int = 0, scale_power: int = 2, labels_for_fit: bool = False) -> Evidence:
    tried = _networks(scope)
    for net in tried:
        m = _least_squares(net.data, net.targets)
        h = m * m.transpose()
        if not exactly_zero(h - net.h_power(net.depth)):
            return undecided(f"{net.name}: the instance is not what it should be")
        gram = net.data.transpose() * net.data
        fit = net.targets if labels_for_fit else m * net.data
        for layer in range(net.depth):
            features = net.product(layer) * net.data
            rest = gram - fit.transpose() * net.h_power(-net.depth) * fit
            claimed = fit.transpose() * net.h_power(layer - net.depth + shift) * fit
            claimed = claimed + rest * net.residual_scale ** (scale_power * layer)
            if not exactly_zero(features.transpose() * features - claimed):
                return refuted(f"exact {net.name}, rank {len(net.roots)}: layer {layer} differs")
    return discharged(f"exact in rational numbers at every layer of {len(tried)} networks, N > d, ranks 1 to K")


def _floor(scope: Scope, *, no_floor: bool = False) -> Evidence:
    """tr Σ_W^l ≥ tr(P_W Ŷᵀ H^{l/L-1} Ŷ P_W)/N, and the excess is exactly geometric."""
    triples = []
    for net in _networks(scope):
        m = _least_squares(net.data, net.targets)
        fit = m * net.data
        projector = within_projection(net.counts)
        first = trace(projector * net.data.transpose() * net.data)
        lowest = trace(projector * fit.transpose() * net.h_power(-net.depth) * fit)
        for layer in range(net.depth):
            features = net.product(layer) * net.data
            seen = trace(projector * features.transpose() * features)
            floor = trace(projector * fit.transpose() * net.h_power(layer - net.depth) * fit)
            name = f"{net.name}, layer {layer}"
            scale = net.residual_scale ** (2 * layer)
            if no_floor:
                triples.append((name, abs(seen - first * scale), fmpq(0)))
                continue
            triples.append((name, floor, seen))
            triples.append((f"{name}, excess", abs(seen - floor - (first - lowest) * scale), fmpq(0)))
    return at_most(triples, noun="layers")


def _one_hot(scope: Scope) -> Evidence:
    """One-hot labels and arbitrary data with N > d; B_l is recognised by its L-th power on the range of H."""
    from .balls import ball_matrix, root
    from .quantities import hidden_map

    rng = scope.rng("T3 one-hot")
    count = scope.count(5, 80, 320)
    for number in range(count):
        counts = [(3, 3), (4, 2, 2), (5, 1), (2, 3, 2)][number % 4]
        depth = [3, 4, 2, 5][number % 4]
        size = len(counts) + 1 + number % 2
        data, targets, scale = random_matrix(size, sum(counts), rng), labels(counts), fmpq(2, 5)
        hidden, _ = hidden_map(data, targets, depth, scale)
        m = _least_squares(data, targets)
        h = m * m.transpose()
        step, signal = root(h, depth), ball_matrix(h.inv())
        fit = m * data
        rest = data.transpose() * data - fit.transpose() * h.inv() * fit
        features, y = ball_matrix(data), ball_matrix(fit)
        for layer in range(depth):
            if layer:
                features, signal = hidden * features, signal * step
            gap = features.transpose() * features - y.transpose() * signal * y
            gap = gap - ball_matrix(rest * scale ** (2 * layer))
            if not all(entry.contains(0) for entry in gap.entries()):
                return refuted(f"data {number}, layer {layer}: differs")
            if not all(entry.rad() < 1e-15 for entry in gap.entries()):
                return undecided(f"data {number}: enclosures too wide")
        if not certainly_psd(rest):
            return refuted(f"data {number}: the residual part is not positive")
    return discharged(f"{count} random one-hot data sets with N > d, both sides enclosed at every layer")


def _pseudo_inverse(scope: Scope) -> Evidence:
    """H⁺ = U S⁻² Uᵀ is the pseudo-inverse of H on instances of lower rank."""
    uses = [(net.h_power(net.depth), net.h_power(-net.depth)) for net in _networks(scope)]
    return applied(PENROSE, scope, uses)


STATEMENT = Statement(
    number="T3",
    title="Gram law for any data",
    text="With Ŷ = M X for Y and powers of H on its range, Z_lᵀ Z_l = Ŷᵀ H^{l/L-1} Ŷ + ε^{2l} (G - Ŷᵀ H⁺ "
    "Ŷ) for any X, also "
    "N > d and M of lower rank r (directions that are not signal: scale ε in W_1 … W_{L-1}, nothing in W_L; then "
    "W_{L:1} = M truncated). N tr Σ_W^l = tr(P_W Ŷᵀ H^{l/L-1} Ŷ P_W) + ε^{2l} tr(P_W (G - ŶᵀH⁺Ŷ) P_W), both terms ≥ 0.",
    assumptions=(str(A1), str(A2), str(A3), str(WIDE)),
    rests_on=("T1",),
    remarks=("Steps 1 to 5 of T1 use neither N ≤ d nor rank K; they hold with V of r columns.",),
    tightness=("6",),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="W_{L:1} = U S Vᵀ for W_L = U S^{1/L} Vᵀ (rotated) and A as in T1",
            because="the hidden layers' product is V S^{(L-1)/L} Vᵀ + ε^{L-1}(I - VVᵀ); VᵀV = I removes "
            "the second term",
            check=_truncated,
        ),
        Step(
            key="2",
            kind=Kind.CLASSICAL,
            claim="H⁺ = U S⁻² Uᵀ",
            because="Penrose's conditions",
            check=_pseudo_inverse,
            references=("penrose1955",),
        ),
        Step(
            key="3",
            kind=Kind.IDENTITY,
            claim="Xᵀ A^l X = Ŷᵀ H^{l/L-1} Ŷ + ε^{2l} (G - Ŷᵀ H⁺ Ŷ)",
            because="A^l from T1 step 5; VᵀX = S⁻¹UᵀŶ",
            check=_insertion,
        ),
        Step(
            key="4",
            kind=Kind.IDENTITY,
            claim="G - Ŷᵀ H⁺ Ŷ = ((I - VVᵀ)X)ᵀ (I - VVᵀ)X ≥ 0",
            because="VVᵀ is a projection",
            check=_residual_psd,
        ),
        Step(
            key="5",
            kind=Kind.BALL,
            claim="the law on exact rational networks",
            because="both sides are rational matrices",
            check=_whole,
        ),
        Step(
            key="6",
            kind=Kind.BALL,
            claim="tr Σ_W^l never falls below its floor, and the excess is ε^{2l} times the first",
            because="steps 3 and 4 under the trace with P_W",
            check=_floor,
        ),
        Step(
            key="7",
            kind=Kind.BALL,
            claim="the law on one-hot data with N > d, roots enclosed",
            because="weights from balls around roots of H",
            check=_one_hot,
            references=("johansson2017arb",),
        ),
    ),
    wrong_variants=(
        WrongVariant(name="exponent off by one", claim="H^{(l+1)/L-1}", check=lambda s: _whole(s, shift=1)),
        WrongVariant(name="ε^l", claim="residual ε^l (…)", check=lambda s: _whole(s, scale_power=1)),
        WrongVariant(
            name="labels for fitted labels", claim="Y in place of Ŷ", check=lambda s: _whole(s, labels_for_fit=True)
        ),
        WrongVariant(name="no floor", claim="tr Σ_W^l = ε^{2l} tr Σ_W^0", check=lambda s: _floor(s, no_floor=True)),
    ),
)
