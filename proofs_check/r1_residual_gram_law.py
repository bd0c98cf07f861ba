"""R1, with R0 and R2: the Gram law of deep linear residual networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp
from flint import fmpq, fmpq_mat

from .balls import at_most, exactly_zero, identity, rational, trace
from .instances import averaging, columns, diagonal, labels, orthogonal, random_matrix, within_projection
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, discharged, refuted
from .rewriting import Algebra, Instance
from .scalar import for_all

__all__ = ["STATEMENT", "ResidualNetwork", "residual_networks"]

m, l = sp.symbols("m l", positive=True)
β = sp.Symbol("beta", positive=True)

TRIPLES = ("5/4", "5/3", "13/12", "13/5")
"""√g with √(g-1) rational: 3/4, 4/3, 5/12, 12/5."""


@dataclass(frozen=True, kw_only=True)
class ResidualNetwork:
    """A residual network in rational numbers, converged, with the data that it fits.

    Args:
        block: I + βW, the same for every block.
        classifier: W_c.
        embedding: before the blocks; the identity where there is none.
        data: X, d × N.
        counts: class sizes.
        blocks: m.
        scale: β.
        left: U.
        right: V.
        roots: √g of each signal direction.
        shares: c = √(g-1)/β.
        first: √e, what the embedding multiplies each signal direction by; 1 without one.
        rest: γ.
    """

    block: fmpq_mat
    classifier: fmpq_mat
    embedding: fmpq_mat
    data: fmpq_mat
    counts: tuple[int, ...]
    blocks: int
    scale: fmpq
    left: fmpq_mat
    right: fmpq_mat
    roots: tuple[fmpq, ...]
    shares: tuple[fmpq, ...]
    first: tuple[fmpq, ...]
    rest: fmpq
    name: str

    @property
    def values(self) -> tuple[fmpq, ...]:
        """s, the singular values of the end-to-end map."""
        return tuple(c * e * a**self.blocks for c, e, a in zip(self.shares, self.first, self.roots))

    def features(self, layer: int) -> fmpq_mat:
        """Z_l."""
        found = self.embedding * self.data
        for _ in range(layer):
            found = self.block * found
        return found

    def fit(self) -> fmpq_mat:
        """Ŷ = M X."""
        return self.left * diagonal(self.values) * self.right.transpose() * self.data

    def function(self, values: Sequence[fmpq]) -> fmpq_mat:
        """U diag(values) Uᵀ."""
        return self.left * diagonal(values) * self.left.transpose()


def residual_networks(scope: Scope, *, embedded: bool = False) -> list[ResidualNetwork]:
    """Explained (N ≤ d) and unexplained (N > d) data, equal and unequal classes, several β."""
    rng = scope.rng("residual networks")
    cases = [((3, 3), 8, 2), ((4, 2), 7, 3), ((5, 3), 4, 3), ((2, 2, 3), 9, 4), ((6, 4, 3), 5, 2)]
    found = []
    for number in range(scope.count(5, 25, 80)):
        counts, dimension, blocks = cases[number % len(cases)]
        scale = rational(("1", "1/2", "2")[number % 3])
        size = len(counts)
        gamma = fmpq(1)
        if embedded:  # γ² + c² must be a square as well: γ = 4c/3 gives e = (5c/3)²
            roots = [rational(TRIPLES[number % 4])] * size
            share = _share(roots[0]) / scale
            gamma = share * fmpq(4, 3)
            first = [share * fmpq(5, 3)] * size
        else:
            roots = [rational(TRIPLES[(number + k) % 4]) for k in range(size)]
            first = [fmpq(1)] * size
        shares = [_share(a) / scale for a in roots]
        right = columns(orthogonal(dimension, rng), 0, size)
        left = orthogonal(size, rng)
        rest = identity(dimension) - right * right.transpose()
        while True:
            data = random_matrix(dimension, sum(counts), rng)
            if data.rank() == min(data.nrows(), data.ncols()):
                break
        found.append(
            ResidualNetwork(
                block=right * diagonal(roots) * right.transpose() + rest,
                classifier=left * diagonal(shares) * right.transpose(),
                embedding=right * diagonal(first) * right.transpose() + rest * gamma,
                data=data,
                counts=counts,
                blocks=blocks,
                scale=scale,
                left=left,
                right=right,
                roots=tuple(roots),
                shares=tuple(shares),
                first=tuple(first),
                rest=gamma,
                name=f"residual network {number}, n = {counts}, d = {dimension}, m = {blocks}, β = {scale}",
            )
        )
    return found


def _share(root: fmpq) -> fmpq:
    """√(a² - 1) of a Pythagorean a."""
    top = root * root - 1
    return fmpq(int(sp.sqrt(int(top.p))), int(sp.sqrt(int(top.q))))


def _flow() -> tuple[Algebra, dict[str, sp.Symbol]]:
    """F = what follows block l+1, V and W = blocks l+1 and l, B = what comes before; R the error times the data."""
    algebra = Algebra()
    shapes = {"F": ("K", "c"), "V": ("c", "b"), "W": ("b", "a"), "B": ("a", "d"), "R": ("K", "d"), "C": ("K", "b")}
    return algebra, {name: algebra.symbol(name, *shape) for name, shape in shapes.items()}


def _model(scope: Scope) -> Instance:
    rng = scope.rng("R1 flow")
    sizes = {"F": (2, 4), "V": (4, 3), "W": (3, 5), "B": (5, 6), "R": (2, 6), "C": (2, 3)}
    return Instance(
        matrices={name: random_matrix(r, c, rng) for name, (r, c) in sizes.items()},
        scalars={β: sp.Rational(1, 3)},
        name="random layers",
    )


def _conserved(scope: Scope, *, sign: int = -1, scaled: bool = True) -> Evidence:
    """Along dA_l = -β² ∂ℓ/∂A_l: d(A_{l+1}ᵀA_{l+1} - A_lA_lᵀ) = 0; with dW_c = -∂ℓ/∂W_c: d(β²W_cᵀW_c - AAᵀ) = 0."""
    algebra, s = _flow()
    T = algebra.T
    F, V, W, B, R, C = (s[name] for name in "FVWBRC")
    above, below = -(β**2) * T(F) * R * T(W * B), -(β**2) * T(F * V) * R * T(B)
    blocks = T(above) * V + T(V) * above + sign * (below * T(W) + W * T(below))
    last, classifier = -(β**2) * T(C) * R * T(B), -R * T(W * B)
    weight = β**2 if scaled else sp.Integer(1)
    ends = weight * (T(classifier) * C + T(C) * classifier) + sign * (last * T(W) + W * T(last))
    models = [_model(scope)]
    return both(
        algebra.proves(blocks, sp.Integer(0), instances=models), algebra.proves(ends, sp.Integer(0), instances=models)
    )


def _telescopes(scope: Scope) -> Evidence:
    """If A_lᵀA_l P_l = P_l A for P_l = A_{l-1}⋯A_0, then the same for l+1, and P_{l+1}ᵀP_{l+1} = P_lᵀP_l A."""
    del scope
    algebra = Algebra()
    T = algebra.T
    N, W, P = (algebra.symbol(name, "d", "d") for name in ("A_{l+1}", "A_l", "P"))
    A = algebra.symbol("A", "d", "d", functional=True)
    algebra.rule(T(N) * N, W * T(W), "balance", transposed=False)
    algebra.rule(T(W) * W * P, P * A, "induction", transposed=False)
    step = algebra.proves(T(N) * N * W * P, W * P * A)
    return both(step, algebra.proves(T(W * P) * W * P, T(P) * P * A))


def _classifier(scope: Scope, *, power: int = 0) -> Evidence:
    """β²W_eᵀW_e = A^m (A - I) from β²W_cᵀW_c = A_{m-1}A_{m-1}ᵀ - I."""
    del scope
    algebra = Algebra()
    T = algebra.T
    C, W, P = algebra.symbol("W_c", "K", "d"), algebra.symbol("A_{m-1}", "d", "d"), algebra.symbol("P", "d", "d")
    A = algebra.symbol("A", "d", "d", functional=True)
    algebra.rule(T(C) * C, β**-2 * (W * T(W) - 1), "R0", transposed=False)
    algebra.rule(T(W) * W * P, P * A, "step 2", transposed=False)
    algebra.rule(T(P) * P, A ** (m - 1), "step 2, l = m-1", transposed=False)
    whole = C * W * P
    return algebra.proves(β**2 * T(whole) * whole, A ** (m + power) * (A - 1))


def _root(scope: Scope) -> Evidence:
    """x ↦ x^m(x-1) increases strictly on [1, ∞): products of increasing factors, one positive, one not negative."""
    del scope
    return for_all(
        "x y a b",
        lambda x, y, a, b: a * (x - 1) > b * (y - 1),
        given=lambda x, y, a, b: [x > y, y >= 1, a >= b, b >= 1],
    )


def _insertion(scope: Scope) -> Evidence:
    """Xᵀ(V g^l Vᵀ + I - VVᵀ)X = Ŷᵀ U S⁻¹ g^l S⁻¹ Uᵀ Ŷ + G - ŶᵀH⁺Ŷ; functions of H commute."""
    algebra = Algebra()
    T = algebra.T
    M, X = algebra.symbol("M", "K", "d"), algebra.symbol("X", "d", "N")
    U, V, Y = algebra.symbol("U", "K", "r"), algebra.symbol("V", "d", "r"), algebra.symbol("Ŷ", "K", "N")
    S = algebra.symbol("S", "r", "r", functional=True)
    g = algebra.symbol("g", "r", "r", functional=True)
    G = algebra.symbol("G", "N", "N", functional=True)
    algebra.rule(V, T(M) * U * S**-1, "V = MᵀU S⁻¹")
    algebra.rule(M * X, Y, "Ŷ = M X")
    algebra.rule(T(X) * X, G, "G = XᵀX")
    left = T(X) * (V * g**l * T(V) + 1 - V * T(V)) * X
    right = T(Y) * U * S**-1 * g**l * S**-1 * T(U) * Y + G - T(Y) * U * S**-2 * T(U) * Y
    net = residual_networks(Scope(depth="quick", seed=scope.seed))[0]
    model = Instance(
        matrices={
            "M": net.left * diagonal(net.values) * net.right.transpose(),
            "X": net.data,
            "U": net.left,
            "V": net.right,
            "Ŷ": net.fit(),
            "G": net.data.transpose() * net.data,
        },
        powers={
            "S": lambda e: diagonal([s ** int(e) for s in net.values]),
            "g": lambda e: diagonal([a ** (2 * int(e)) for a in net.roots]),
        },
        scalars={l: sp.Integer(2)},
        name=net.name,
    )
    return algebra.proves(left, right, instances=[model])


def _converged(net: ResidualNetwork) -> bool:
    """R0's conserved quantities have their initial values."""
    blocks = net.block.transpose() * net.block - net.block * net.block.transpose()
    ends = net.classifier.transpose() * net.classifier * net.scale**2 - net.block * net.block.transpose()
    return exactly_zero(blocks) and exactly_zero(ends + identity(net.block.nrows()))


def _whole(scope: Scope, *, shift: int = 0, decays: bool = False, growth: str = "g") -> Evidence:
    tried = residual_networks(scope)
    for net in tried:
        if not _converged(net):
            return refuted(f"{net.name}: the conserved quantities are not those of zero weights")
        gram, fit = net.data.transpose() * net.data, net.fit()
        inverse = net.function([1 / s**2 for s in net.values])
        rest = gram - fit.transpose() * inverse * fit
        for layer in range(net.blocks + 1):
            features = net.features(layer)
            power = [(a**2 if growth == "g" else a) ** (layer + shift) / s**2 for a, s in zip(net.roots, net.values)]
            scale = fmpq(9, 10) ** layer if decays else fmpq(1)
            claimed = fit.transpose() * net.function(power) * fit + rest * scale
            if not exactly_zero(features.transpose() * features - claimed):
                return refuted(f"exact {net.name}: layer {layer} differs")
    return discharged(f"exact in rational numbers at every layer of {len(tried)} networks, N ≤ d and N > d")


def _curves(scope: Scope, *, shrinks: bool = False) -> Evidence:
    """R2 on data that the map explains: tr Σ_W never changes, tr Σ_B grows."""
    triples = []
    for net in residual_networks(scope):
        if net.data.ncols() > net.data.nrows():
            continue
        data = _explained(net)
        projector = within_projection(net.counts)
        average = averaging(net.counts)
        traces, spread = [], []
        for layer in range(net.blocks + 1):
            features = data
            for _ in range(layer):
                features = net.block * features
            traces.append(trace(projector * features.transpose() * features))
            means = features * average.transpose()
            spread.append(trace(means.transpose() * means))
        for layer in range(net.blocks):
            name = f"{net.name}, block {layer + 1}"
            gone = fmpq(99, 100) if shrinks else fmpq(1)
            triples.append((f"{name}, tr Σ_W", abs(traces[layer + 1] - traces[layer] * gone), fmpq(0)))
            triples.append((f"{name}, means", spread[layer], spread[layer + 1]))
    return at_most(triples, noun="blocks")


def _explained(net: ResidualNetwork) -> fmpq_mat:
    """Data that M sends to one-hot labels exactly."""
    y = labels(net.counts)
    inverse = net.right * diagonal([1 / s for s in net.values]) * net.left.transpose()
    rest = identity(net.data.nrows()) - net.right * net.right.transpose()
    return inverse * y + rest * net.data


def _trained(scope: Scope) -> Evidence:
    """Flow of a small network by Runge–Kutta against the formula: two computations that share nothing."""
    rng = np.random.default_rng(scope.seed + 5)
    K, d, N, blocks, scale = 2, 5, 4, 3, 0.8
    X = np.linalg.qr(rng.standard_normal((d, N)))[0] @ np.diag([1.0, 0.8, 1.2, 0.9])
    Y = np.kron(np.eye(K), np.ones((1, N // K)))

    def slope(state: np.ndarray) -> np.ndarray:
        W, C = state[: blocks * d * d].reshape(blocks, d, d), state[blocks * d * d :].reshape(K, d)
        Z = [X]
        for w in W:
            Z.append(Z[-1] + scale * w @ Z[-1])
        error = C @ Z[-1] - Y
        back, found = C.T @ error, [error @ Z[-1].T]
        for w, z in zip(W[::-1], Z[-2::-1]):
            found.append(scale * back @ z.T)
            back = back + scale * w.T @ back
        return -np.concatenate([part.ravel() for part in (*found[:0:-1], found[0])])

    state, step = np.zeros(blocks * d * d + K * d), 0.025
    for _ in range(1800):
        k1 = slope(state)
        k2 = slope(state + step / 2 * k1)
        k3 = slope(state + step / 2 * k2)
        state = state + step / 6 * (k1 + 2 * k2 + 2 * k3 + slope(state + step * k3))
    W = state[: blocks * d * d].reshape(blocks, d, d)
    _, s, Vt = np.linalg.svd(Y @ np.linalg.pinv(X))
    worst, Z = 0.0, X
    for layer in range(blocks + 1):
        T = Vt[:K] @ X
        g = np.array([max(np.roots([1, -1, *[0] * (blocks - 1), -(scale**2) * v**2]).real) for v in s])
        law = T.T @ (T * g[:, None] ** layer) + X.T @ X - T.T @ T
        worst = max(worst, float(np.abs(Z.T @ Z - law).max() / np.abs(law).max()))
        if layer < blocks:
            Z = Z + scale * W[layer] @ Z
    if worst < 1e-6:
        return discharged("three blocks trained from zero: every Gram matrix agrees to 1e-6")
    return refuted(f"Gram matrices differ by {worst:.2g}")


STATEMENT = Statement(
    number="R1",
    title="Gram law of residual networks",
    text="Deep linear residual network Z_{l+1} = A_l Z_l, A_l = I + βW_l, m blocks, blocks and classifier from zero, "
    "squared error, gradient flow. It conserves A_{l+1}ᵀA_{l+1} - A_lA_lᵀ = 0 and β²W_cᵀW_c - A_{m-1}A_{m-1}ᵀ = -I (R0)"
    ". "
    "Converged to W_e = M = (Y/α)X⁺, for any data: Z_lᵀZ_l = Ŷᵀ H⁺ g(H)^l Ŷ + (G - ŶᵀH⁺Ŷ), 0 ≤ l ≤ m, g^m(g-1) = β²H. "
    "Where the labels are fitted, tr Σ_W^l is constant and the class means spread (R2).",
    assumptions=("gradient flow from zero weights", "converged: W_e = M", "no layer narrower than the input"),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="R0: both quantities are conserved",
            because="dA_l = β dW_l = -β² ∂ℓ/∂A_l, and A_lᵀ ∂ℓ/∂A_l = ∂ℓ/∂A_{l-1} A_{l-1}ᵀ",
            check=_conserved,
            references=("arora2018optimization",),
        ),
        Step(
            key="2",
            kind=Kind.IDENTITY,
            claim="(A_{l-1}⋯A_0)ᵀ(A_{l-1}⋯A_0) = A^l, A = A_0ᵀA_0",
            because="induction on A_lᵀA_l P_l = P_l A",
            check=_telescopes,
        ),
        Step(
            key="3",
            kind=Kind.IDENTITY,
            claim="β²W_eᵀW_e = A^m(A - I)",
            because="step 2 and the classifier's conserved quantity",
            check=_classifier,
        ),
        Step(
            key="4",
            kind=Kind.INEQUALITY,
            claim="so A is g on the rows of M and 1 elsewhere: x^m(x-1) = β²s² has one root x ≥ 1",
            because="A_lA_lᵀ = I + β²W_cᵀW_c ≥ I for the last block, and all A_lA_lᵀ, A_lᵀA_l share one spectrum",
            check=_root,
            references=("demoura2008z3",),
        ),
        Step(
            key="5",
            kind=Kind.IDENTITY,
            claim="Xᵀ A^l X = Ŷᵀ H⁺ g(H)^l Ŷ + G - ŶᵀH⁺Ŷ",
            because="VᵀX = S⁻¹UᵀŶ",
            check=_insertion,
        ),
        Step(
            key="6",
            kind=Kind.BALL,
            claim="the law on exact rational networks whose conserved quantities are those of zero weights",
            because="√g and √(g-1) from Pythagorean triples",
            check=_whole,
        ),
        Step(
            key="7",
            kind=Kind.BALL,
            claim="R2: tr Σ_W is exactly constant where labels are fitted, class means only grow",
            because="P_W kills the signal",
            check=_curves,
        ),
        Step(
            key="8",
            kind=Kind.MEASURED,
            claim="training from zero ends there",
            because="Runge–Kutta on full matrices",
            check=_trained,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="sign flipped", claim="A_{l+1}ᵀA_{l+1} + A_lA_lᵀ", check=lambda s: _conserved(s, sign=1)),
        WrongVariant(name="β² lost", claim="W_cᵀW_c - AAᵀ", check=lambda s: _conserved(s, scaled=False)),
        WrongVariant(name="exponent off by one", claim="g^{l+1}", check=lambda s: _whole(s, shift=1)),
        WrongVariant(name="√g for g", claim="g^{l/2}", check=lambda s: _whole(s, growth="root")),
        WrongVariant(name="residual decays", claim="residual 0.9^l (…)", check=lambda s: _whole(s, decays=True)),
        WrongVariant(
            name="classes shrink", claim="tr Σ_W falls by 1 % a block", check=lambda s: _curves(s, shrinks=True)
        ),
    ),
)
