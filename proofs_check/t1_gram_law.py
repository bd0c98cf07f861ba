"""T1, the Gram law: the Gram matrix of every layer's features in closed form."""

from __future__ import annotations

import random
from collections.abc import Sequence

import sympy as sp
from flint import fmpq, fmpq_mat
from sympy.polys.matrices import DomainMatrix

from .assumptions import A1, A2, A3, INVERTIBLE, WIDE
from .balls import ball_matrix, certainly_psd, exactly_zero, identity
from .classical import ROOT_UNIQUE, applied, matrix_power
from .instances import (
    ExactNetwork,
    averaging,
    columns,
    diagonal,
    labels,
    orthogonal,
    random_matrix,
)
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
from .quantities import hidden_map
from .rewriting import ANY, Algebra, Instance
from .t1_networks import (
    L,
    balance_algebra,
    balance_instances,
    eps,
    fit_only_instance,
    l,
    networks,
    orthonormal_instances,
)

__all__ = ["STATEMENT"]


def _telescoped_map(scope: Scope) -> Evidence:
    """W_lᵀW_l W_{l-1:1} = W_{l-1:1} A, by induction on l; the base l = 1 is A = W_1ᵀW_1 with W_{0:1} = I."""
    algebra, s = balance_algebra()
    P, W, V, A = s["P"], s["W"], s["W'"], s["A"]
    algebra.rule(algebra.T(V) * V * W * P, W * algebra.T(W) * W * P, "A2 at l")
    algebra.rule(algebra.T(W) * W * P, P * A, "hypothesis at l")
    return algebra.proves(algebra.T(V) * V * (W * P), (W * P) * A, instances=balance_instances(scope))


def _telescoped_power(scope: Scope) -> Evidence:
    """W_{l:1}ᵀW_{l:1} = A^l, by induction; base l = 0 is I = A⁰."""
    algebra, s = balance_algebra()
    P, W, A = s["P"], s["W"], s["A"]
    algebra.rule(algebra.T(W) * W * P, P * A, "step 1")
    algebra.rule(algebra.T(P) * P, A ** (l - 1), "hypothesis at l-1")
    instances = balance_instances(scope, power=True)
    return algebra.proves(algebra.T(W * P) * (W * P), A**l, instances=instances)


def _last_layer(scope: Scope) -> Evidence:
    """MᵀM V = A^L V on the signal subspace, from A1 and the last pair's balance."""
    algebra, s = balance_algebra()
    P, W, last, A, V = s["P"], s["W"], s["W'"], s["A"], s["V"]
    algebra.rule(algebra.T(last) * last * W * P * V, W * algebra.T(W) * W * P * V, "A2 at L-1 on the signal")
    algebra.rule(algebra.T(W) * W * P, P * A, "step 1")
    algebra.rule(algebra.T(P) * P, A ** (L - 2), "step 2")
    m = last * W * P
    return algebra.proves(algebra.T(m) * m * V, A**L * V, instances=balance_instances(scope, last=True))


def _signal_root(scope: Scope) -> Evidence:
    """A^L V = V S² with A ≥ 0 gives A V = V S^{2/L}."""
    uses = []
    for net in networks(scope):
        a = net.weights[0].transpose() * net.weights[0]
        if not exactly_zero(
            matrix_power(a, net.depth) * net.right - net.right * diagonal([r ** (2 * net.depth) for r in net.roots])
        ):
            return undecided(f"A^L V = V S² fails on {net.name}")
        inside = net.right.transpose() * a * net.right
        if not exactly_zero(a * net.right - net.right * inside):
            return undecided(f"V is not invariant under A on {net.name}")
        uses.append((inside, diagonal([r**2 for r in net.roots]), net.depth))
    return applied(ROOT_UNIQUE, scope, uses)


def _power_of_hidden(algebra: Algebra, V: sp.Symbol, S: sp.Symbol, exponent: sp.Expr, scale: sp.Expr) -> sp.Expr:
    """V S^{2l/L} Vᵀ + ε^{2l} (I - VVᵀ), the claimed A^l."""
    return V * S ** (2 * exponent / L) * algebra.T(V) + scale ** (2 * exponent) * (1 - V * algebra.T(V))


def _all_powers(scope: Scope) -> Evidence:
    """A^l from A = V S^{2/L} Vᵀ + ε² (I - VVᵀ), by induction on l; base l = 0: VVᵀ + I - VVᵀ = I."""
    algebra, s = balance_algebra()
    V, S = s["V"], s["S"]
    algebra.rule(algebra.T(V) * V, sp.Integer(1), "VᵀV = I")
    model = orthonormal_instances(scope)
    base = algebra.proves(
        _power_of_hidden(algebra, V, S, sp.Integer(0), eps), sp.Integer(1) * V * algebra.T(V) + 1 - V * algebra.T(V)
    )
    before = _power_of_hidden(algebra, V, S, l, eps)
    once = _power_of_hidden(algebra, V, S, sp.Integer(1), eps)
    step = algebra.proves(before * once, _power_of_hidden(algebra, V, S, l + 1, eps), instances=model)
    return both(base, step)


def _insertion(scope: Scope) -> Evidence:
    """Xᵀ A^l X with V = MᵀU S⁻¹, M X = Y, H = M Mᵀ = U S² Uᵀ."""
    algebra = Algebra()
    M = algebra.symbol("M", "K", "d")
    X = algebra.symbol("X", "d", "N")
    Y = algebra.symbol("Y", "K", "N")
    U = algebra.symbol("U", "K", "K")
    V = algebra.symbol("V", "d", "K")
    S = algebra.symbol("S", "K", "K", functional=True)
    H = algebra.symbol("H", "K", "K", functional=True)
    G = algebra.symbol("G", "N", "N", functional=True)
    T = algebra.T
    algebra.rule(V, T(M) * U * S**-1, "V = MᵀU S⁻¹")
    algebra.rule(M * X, Y, "M X = Y")
    algebra.rule(T(X) * X, G, "G = XᵀX")
    algebra.rule(U * S**ANY * T(U), H ** (ANY / 2), "functional calculus, H = U S² Uᵀ")
    left = T(X) * _power_of_hidden(algebra, V, S, l, eps) * X
    right = T(Y) * H ** (l / L - 1) * Y + eps ** (2 * l) * (G - T(Y) * H**-1 * Y)
    net = networks(Scope(depth="quick", seed=scope.seed))[0]
    m = _map(net)
    instance = Instance(
        matrices={
            "M": m,
            "X": net.data,
            "Y": net.targets,
            "U": net.left,
            "V": net.right,
            "G": net.data.transpose() * net.data,
        },
        powers={
            "S": lambda e: diagonal([r ** int(net.depth * e) for r in net.roots]),
            "H": lambda e: net.h_power(int(net.depth * e)),
        },
        scalars={L: sp.Integer(net.depth), l: sp.Integer(1), eps: sp.Rational(3, 10)},
        name=net.name,
    )
    return algebra.proves(left, right, instances=[instance])


def _minimum_norm(scope: Scope) -> Evidence:
    """M X = Y and H = Y G⁻¹ Yᵀ where M = Y X⁺ = Y G⁻¹ Xᵀ."""
    algebra = Algebra()
    X, Y = algebra.symbol("X", "d", "N"), algebra.symbol("Y", "K", "N")
    G = algebra.symbol("G", "N", "N", functional=True)
    algebra.rule(algebra.T(X) * X, G, "G = XᵀX")
    m = Y * G**-1 * algebra.T(X)
    net = networks(Scope(depth="quick", seed=scope.seed))[1]
    instance = Instance(matrices={"X": net.data, "Y": net.targets, "G": net.data.transpose() * net.data}, name=net.name)
    return both(
        algebra.proves(m * X, Y, instances=[instance]),
        algebra.proves(m * algebra.T(m), Y * G**-1 * algebra.T(Y), instances=[instance]),
    )


def _map(net: ExactNetwork) -> fmpq_mat:
    """M = (Y/α) X⁺, computed from the data alone."""
    gram = net.data.transpose() * net.data
    return net.targets * gram.inv() * net.data.transpose()


def law_holds(
    weights: Sequence[fmpq_mat],
    data: fmpq_mat,
    targets: fmpq_mat,
    counts: Sequence[int],
    scale: fmpq,
    alpha: fmpq,
    *,
    power_shift: int = 0,
    scale_power: int = 2,
    sign: int = -1,
) -> tuple[bool, str]:
    """T1 on exact weights, without using how they were built.

    B_l = Ȳ (Z_lᵀZ_l - ε^{2l}(G - YᵀH⁻¹Y)) Ȳᵀ α² must be the positive matrix with B_l^L = H^{l-L}, and YᵀB_lY/α² must
    give back the signal part. H comes from X and Y alone.
    """
    depth = len(weights)
    gram = data.transpose() * data
    m = targets * gram.inv() * data.transpose()
    h = m * m.transpose()
    inverse = h.inv()
    bar = averaging(counts)
    features = data
    for layer in range(depth):
        if layer:
            features = weights[layer - 1] * features
        residual = gram + targets.transpose() * inverse * targets * sign
        signal = features.transpose() * features - residual * scale ** (scale_power * layer)
        power = bar * signal * bar.transpose() * alpha**2
        given_back = targets.transpose() * power * targets
        wanted = inverse if layer - depth + power_shift < 0 else h
        wanted = matrix_power(wanted, abs(layer - depth + power_shift))
        if not exactly_zero(given_back - signal):
            return False, f"layer {layer}: the signal part is no function of the labels"
        if not exactly_zero(matrix_power(power, depth) - wanted) or not certainly_psd(power):
            return False, f"layer {layer}: the signal part is not Yᵀ H^{{l/L-1}} Y"
    return True, ""


def _whole(scope: Scope, **change: int) -> Evidence:
    tried = networks(scope)
    for net in tried:
        good, why = law_holds(
            net.weights, net.data, net.targets, net.counts, net.residual_scale, net.label_scale, **change
        )
        if not good:
            return refuted(f"exact {net.name}: {why}")
    return discharged(f"exact in rational numbers at every layer of {len(tried)} networks, widths up to d + 2")


def _symbolic_small(scope: Scope, *, scale_power: int = 2) -> Evidence:
    """K = 2, n = 2, L = 3 with ε, s_1, s_2 left as symbols: matrices over the field Q(ε, s_1, s_2)."""
    rng = random.Random(7)
    e, a, b = sp.symbols("e a b")
    field = sp.QQ.frac_field(e, a, b)

    def lift(matrix: fmpq_mat) -> DomainMatrix:
        rows = [[field(sp.QQ(int(x.p), int(x.q))) for x in row] for row in matrix.tolist()]
        return DomainMatrix(rows, (matrix.nrows(), matrix.ncols()), field)

    def diag(first: sp.Expr, second: sp.Expr) -> DomainMatrix:
        entries = [[field.from_sympy(first), field.zero], [field.zero, field.from_sympy(second)]]
        return DomainMatrix(entries, (2, 2), field)

    V, U = lift(columns(orthogonal(4, rng), 0, 2)), lift(orthogonal(2, rng))
    Q1, Q2 = lift(orthogonal(4, rng)), lift(orthogonal(4, rng))
    Y, eye = lift(labels((2, 2))), lift(identity(4))
    rest = eye - V * V.transpose()
    core = V * diag(a, b) * V.transpose() + field.from_sympy(e) * rest
    mix, pick = (
        lift(random_matrix(4, 4, rng)),
        lift(averaging((2, 2)).transpose() + random_matrix(4, 2, rng, denominator=9)),
    )
    X = V * diag(a**-3, b**-3) * U.transpose() * Y + rest * mix * (eye - pick * (Y * pick).inv() * Y)
    G = X.transpose() * X
    M = Y * G.inv() * X.transpose()
    H = M * M.transpose()
    if H != U * diag(a**6, b**6) * U.transpose():
        return undecided("H of the data is not U S² Uᵀ")
    Z = X
    for layer, weight in enumerate((Q1 * core, Q2 * core * Q1.transpose())):
        Z = weight * Z
        power = U * diag(a ** (2 * (layer + 1) - 6), b ** (2 * (layer + 1) - 6)) * U.transpose()
        scale = field.from_sympy(e ** (scale_power * (layer + 1)))
        if Z.transpose() * Z != Y.transpose() * power * Y + scale * (G - Y.transpose() * H.inv() * Y):
            return refuted(f"explicit matrices over Q(ε, s_1, s_2): layer {layer + 1} differs")
    return discharged("explicit 4 × 4 matrices over the field Q(ε, s_1^{1/3}, s_2^{1/3}), layers 1 and 2")


def _narrow(scope: Scope) -> Evidence:
    """d_h < d: A = V S^{2/L} Vᵀ + ε² Π with Π = Π² = Πᵀ, ΠV = 0 of rank d_h - K."""
    algebra, s = balance_algebra()
    V, S, T = s["V"], s["S"], algebra.T
    projector = algebra.symbol("Π", "d", "d", symmetric=True)
    algebra.rule(T(V) * V, sp.Integer(1), "VᵀV = I")
    algebra.rule(projector * projector, projector, "Π² = Π")
    algebra.rule(projector * V, sp.Integer(0), "ΠV = 0")

    def power(k: sp.Expr) -> sp.Expr:
        return V * S ** (2 * k / L) * T(V) + eps ** (2 * k) * projector

    frame = orthogonal(4, scope.rng("narrow"))
    model = orthonormal_instances(scope)[0]
    instance = Instance(
        matrices={
            "V": columns(frame, 0, 2),
            "S": model.matrices["S"],
            "Π": columns(frame, 2, 3) * columns(frame, 2, 3).transpose(),
        },
        powers=model.powers,
        scalars=model.scalars,
        name="d = 4, d_h = 3",
    )
    return algebra.proves(power(l) * power(sp.Integer(1)), power(l + 1), instances=[instance])


def _ball_networks(scope: Scope, *, exponent_shift: int = 0) -> Evidence:
    """Weights built from balls around roots of H for one-hot data that nobody arranged; both sides as enclosures."""
    from .balls import root

    rng = scope.rng("ball networks")
    count = scope.count(5, 80, 320)
    for number in range(count):
        counts = [(2, 2), (1, 2, 2), (3, 1), (2, 2, 1, 1), (1, 1)][number % 5]
        depth = [3, 4, 2, 5, 6][number % 5]
        size, samples = sum(counts) + number % 2, sum(counts)
        data = random_matrix(size, samples, rng) + fmpq_mat(
            size, samples, [3 * int(i == j) for i in range(size) for j in range(samples)]
        )
        targets, scale = labels(counts), fmpq(3, 10)
        hidden, _ = hidden_map(data, targets, depth, scale)
        gram = data.transpose() * data
        h = targets * gram.inv() * targets.transpose()
        step = root(h, depth)
        signal = ball_matrix(h.inv())
        for _ in range(exponent_shift):
            signal = signal * step
        y = ball_matrix(targets)
        rest = gram - targets.transpose() * h.inv() * targets
        features = ball_matrix(data)
        for layer in range(depth):
            if layer:
                features, signal = hidden * features, signal * step
            gap = (
                features.transpose() * features - y.transpose() * signal * y - ball_matrix(rest * scale ** (2 * layer))
            )
            for entry in gap.entries():
                if not entry.contains(0):
                    return refuted(f"data {number}, n = {counts}, layer {layer}: off by {float(entry.mid()):.3g}")
                if not entry.rad() < 1e-20:
                    return undecided(f"data {number}: enclosures too wide to say anything")
    return discharged(f"{count} random data sets: both sides enclosed to 1e-20 at every layer, enclosures meet")


def _compressed_balance(scope: Scope) -> Evidence:
    """A2 as first written, W_{l:1}ᵀ(W_{l+1}ᵀW_{l+1} - W_lW_lᵀ)W_{l:1} = 0, with d = K = 2, d_h = 4, L = 4."""
    eye, zero = identity(2), fmpq_mat(2, 2, [0] * 4)

    def stack(rows: Sequence[Sequence[fmpq_mat]]) -> fmpq_mat:
        entries = [x for blocks in rows for r in range(2) for block in blocks for x in block.tolist()[r]]
        return fmpq_mat(2 * len(rows), 2 * len(rows[0]), entries)

    weights = [
        stack([[eye * 3], [zero]]),
        stack([[eye * 3, eye * 4], [zero, zero]]),
        stack([[eye * 5, zero], [zero, zero]]),
        stack([[eye * 5, zero]]),
    ]
    data = eye * fmpq(1, 225)
    path = eye
    for weight, after in zip(weights, weights[1:]):
        path = weight * path
        gap = after.transpose() * after - weight * weight.transpose()
        if not exactly_zero(path.transpose() * gap * path):
            return undecided("the instance is not balanced in the compressed sense")
    good, why = law_holds(weights, data, eye, (1, 1), fmpq(3, 10), fmpq(1))
    return discharged("no contradiction") if good else refuted(f"d_h = 4 > d = 2, L = 4, W_2 = [3I 4I; 0 0]: {why}")


def _fit_only(scope: Scope) -> Evidence:
    """A1 as first written, W_{L:1} X = M X; balance also holds on the row space of M, and A3 holds."""
    del scope
    (first, second), data = fit_only_instance()
    signal = data * 12
    balanced = exactly_zero((second.transpose() * second - first * first.transpose()) * first * signal)
    fits = exactly_zero(second * first * data - identity(2))
    low_rank = (first.transpose() * first - identity(4) * 9).rank() == 2
    if not (balanced and fits and low_rank):
        return undecided("the instance is not what it should be")
    good, why = law_holds([first, second], data, identity(2), (1, 1), fmpq(3), fmpq(1))
    return discharged("no contradiction") if good else refuted(f"d = 4 > N = 2, L = 2: {why}")


STATEMENT = Statement(
    number="T1",
    title="Gram law",
    text="Z_lᵀ Z_l = Yᵀ H^{l/L-1} Y + ε^{2l} (G - Yᵀ H⁻¹ Y) for 0 ≤ l ≤ L-1 and any class sizes; Y stands for Y/α, "
    "H = M Mᵀ = Y G⁻¹ Yᵀ. For d_h < d the second term is ε^{2l} XᵀΠX, l ≥ 1, Π a (d_h - K)-dimensional projection.",
    assumptions=(str(A1), str(A2), str(A3), str(INVERTIBLE), str(WIDE)),
    remarks=(
        "Balance has to hold one-sidedly on the reachable space. Compressed from both sides, "
        "W_{l:1}ᵀ(W_{l+1}ᵀW_{l+1} - W_lW_lᵀ)W_{l:1} = 0, it does not imply the law once d_h > d and L ≥ 4: "
        "W_{l+1} may mix "
        "unreachable directions into reachable ones (wrong variant 'compressed balance' holds the counter-example).",
        "A1 has to mean W_{L:1} = M as matrices. The fit W_{L:1} X = M X alone does not imply the law when d > N "
        "(wrong variant 'fit only').",
    ),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="W_lᵀW_l W_{l-1:1} = W_{l-1:1} A with A = W_1ᵀW_1, for 1 ≤ l ≤ L-1",
            because="induction on l: base A = W_1ᵀW_1; step by A2 at l and W_l W_lᵀ W_l W_{l-1:1} = W_l W_{l-1:1} A",
            check=_telescoped_map,
        ),
        Step(
            key="2",
            kind=Kind.IDENTITY,
            claim="W_{l:1}ᵀW_{l:1} = A^l for 0 ≤ l ≤ L-1",
            because="induction on l with step 1",
            check=_telescoped_power,
        ),
        Step(
            key="3",
            kind=Kind.IDENTITY,
            claim="A^L V = MᵀM V = V S² where M = U S Vᵀ",
            because="A1, the last pair's balance on the signal, steps 1 and 2 at L-1",
            check=_last_layer,
        ),
        Step(
            key="4",
            kind=Kind.CLASSICAL,
            claim="A V = V S^{2/L}",
            because="A ≥ 0 is a polynomial in A^L, so it leaves V invariant; a positive semidefinite L-th "
            "root is unique",
            check=_signal_root,
            references=("horn2013matrix",),
        ),
        Step(
            key="5",
            kind=Kind.IDENTITY,
            claim="A^l = V S^{2l/L} Vᵀ + ε^{2l} (I - VVᵀ)",
            because="A leaves V and its complement invariant; there all singular values of W_1 are ε (A3); "
            "induction on l",
            check=_all_powers,
        ),
        Step(
            key="6",
            kind=Kind.IDENTITY,
            claim="M X = Y and H = M Mᵀ = Y G⁻¹ Yᵀ",
            because="G invertible: X⁺ = G⁻¹Xᵀ",
            check=_minimum_norm,
        ),
        Step(
            key="7",
            kind=Kind.IDENTITY,
            claim="Xᵀ A^l X = Yᵀ H^{l/L-1} Y + ε^{2l} (G - Yᵀ H⁻¹ Y)",
            because="V = MᵀU S⁻¹, so VᵀX = S⁻¹UᵀY, and U S^a Uᵀ = H^{a/2}",
            check=_insertion,
        ),
        Step(
            key="8",
            kind=Kind.IDENTITY,
            claim="d_h < d: A^l = V S^{2l/L} Vᵀ + ε^{2l} Π for l ≥ 1",
            because="W_1 has d_h - K further singular values, all ε; the rest of the complement is in its kernel",
            check=_narrow,
        ),
        Step(
            key="9",
            kind=Kind.IDENTITY,
            claim="the law with explicit matrices, K = 2, n = 2, L = 3, ε and both singular values as symbols",
            because="direct computation over Q(ε, s_1^{1/3}, s_2^{1/3})",
            check=_symbolic_small,
        ),
        Step(
            key="10",
            kind=Kind.BALL,
            claim="the law on exact rational networks, H^{l/L} recognised by its L-th power",
            because="no rounding: both sides are rational matrices",
            check=_whole,
        ),
        Step(
            key="11",
            kind=Kind.BALL,
            claim="the law on random one-hot data, weights and roots enclosed",
            because="roots of H by certified enclosures (Löwner-Heinz bound)",
            check=_ball_networks,
            references=("loewner1934", "heinz1951", "johansson2017arb"),
        ),
    ),
    wrong_variants=(
        WrongVariant(
            name="exponent off by one",
            claim="signal part Yᵀ H^{(l+1)/L-1} Y",
            check=lambda scope: _whole(scope, power_shift=1),
        ),
        WrongVariant(
            name="off by one in balls", claim="as before", check=lambda scope: _ball_networks(scope, exponent_shift=1)
        ),
        WrongVariant(
            name="ε^l for ε^{2l}", claim="residual ε^l (G - YᵀH⁻¹Y)", check=lambda scope: _whole(scope, scale_power=1)
        ),
        WrongVariant(
            name="ε^{3l}, explicit symbols",
            claim="residual ε^{3l} (…)",
            check=lambda scope: _symbolic_small(scope, scale_power=3),
        ),
        WrongVariant(
            name="sign flipped", claim="residual ε^{2l} (G + YᵀH⁻¹Y)", check=lambda scope: _whole(scope, sign=1)
        ),
        WrongVariant(
            name="compressed balance",
            claim="A2 only as W_{l:1}ᵀ(W_{l+1}ᵀW_{l+1} - W_lW_lᵀ)W_{l:1} = 0",
            check=_compressed_balance,
        ),
        WrongVariant(name="fit only", claim="A1 only as W_{L:1} X = M X", check=_fit_only),
    ),
)
