"""V1 and V2, with E1: weight decay, and the Gram law for any end-to-end map."""

from __future__ import annotations

import numpy as np
import sympy as sp
from flint import fmpq, fmpq_mat

from .balls import at_most, exactly_zero, identity, rational, trace
from .instances import (
    ExactNetwork,
    diagonal,
    exact_network,
    random_matrix,
    within_projection,
)
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, discharged, refuted
from .rewriting import Algebra, Instance

__all__ = ["STATEMENT"]

L = sp.Symbol("L", positive=True)
λ = sp.Symbol("lambda", positive=True)


def _imbalance(scope: Scope, *, factor: int = 2) -> Evidence:
    """d(VᵀV - WWᵀ)/dt = -2λ(VᵀV - WWᵀ) for V = W_{l+1}, W = W_l, dW = -∇ - λW; R is the gradient of any loss."""
    algebra = Algebra()
    T = algebra.T
    F, V = algebra.symbol("F", "K", "c"), algebra.symbol("V", "c", "b")
    W, B, R = algebra.symbol("W", "b", "a"), algebra.symbol("B", "a", "d"), algebra.symbol("R", "K", "d")
    above = -T(F) * R * T(W * B) - λ * V
    below = -T(F * V) * R * T(B) - λ * W
    change = T(above) * V + T(V) * above - below * T(W) - W * T(below)
    rng = scope.rng("V1")
    sizes = {"F": (2, 4), "V": (4, 3), "W": (3, 5), "B": (5, 6), "R": (2, 6)}
    model = Instance(
        matrices={name: random_matrix(r, c, rng) for name, (r, c) in sizes.items()},
        scalars={λ: sp.Rational(1, 7)},
        name="random layers",
    )
    return algebra.proves(change, -factor * λ * (T(V) * V - W * T(W)), instances=[model])


def _stationary(scope: Scope, *, power: sp.Expr = 2 / L - 1) -> Evidence:
    """R W_{L-1:1}ᵀ + λW_L = 0 times W_{L-1:1}, W_{L-1:1}ᵀW_{L-1:1} = V S^{2-2/L}Vᵀ on the signal, M = U S Vᵀ:
    R V = -λ U S^{2/L-1}."""
    del scope
    algebra = Algebra()
    T = algebra.T
    U, V = algebra.symbol("U", "K", "r"), algebra.symbol("V", "d", "r")
    P, C, R = algebra.symbol("W_{L-1:1}", "b", "d"), algebra.symbol("W_L", "K", "b"), algebra.symbol("R", "K", "d")
    S = algebra.symbol("S", "r", "r", functional=True)
    algebra.rule(T(P) * P * V, V * S ** (2 - 2 / L), "balance", transposed=False)
    left = R * T(P) * P * V * S ** (2 / L - 2)
    by_balance = algebra.proves(left, R * V)
    algebra.rules.clear()
    algebra.rule(R * T(P), -λ * C, "W_L is stationary", transposed=False)
    algebra.rule(C * P * V, U * S, "W_{L:1} = M on the signal", transposed=False)
    return both(by_balance, algebra.proves(left, -λ * U * S**power))


def _power(scope: Scope) -> Evidence:
    """(MMᵀ)^{1/L-1} M = U S^{2/L-1} Vᵀ for (MMᵀ)^a = U S^{2a} Uᵀ on its range."""
    del scope
    algebra = Algebra()
    U, V = algebra.symbol("U", "K", "r"), algebra.symbol("V", "d", "r")
    S = algebra.symbol("S", "r", "r", functional=True)
    algebra.rule(algebra.T(U) * U, sp.Integer(1), "UᵀU = I")
    left = U * S ** (2 / L - 2) * algebra.T(U) * U * S * algebra.T(V)
    return algebra.proves(left, U * S ** (2 / L - 1) * algebra.T(V))


def _networks(scope: Scope) -> list[tuple[ExactNetwork, fmpq_mat, fmpq]]:
    """Balanced weights, any spanning data, targets for which they are stationary under decay; no minimum norm."""
    rng = scope.rng("V1 networks")
    cases = [
        dict(counts=(4, 3), dimension=3, depth=3),
        dict(counts=(3, 5), dimension=4, depth=2),
        dict(counts=(3, 2, 4), dimension=4, depth=4, roots=("3/2", "6/5")),
        dict(counts=(4, 4), dimension=3, depth=5),
    ]
    found = []
    for number in range(scope.count(4, 16, 60)):
        net = exact_network(rng, explained=False, **cases[number % 4])
        decay = rational(("1/10", "1/3", "2")[number % 3])
        samples = sum(net.counts)
        signal = [r ** (2 - net.depth) for r in net.roots]  # s^{2/L-1}
        pull = net.left * diagonal(signal) * net.right.transpose() * (decay * samples / 2)
        gram = net.data * net.data.transpose()
        targets = net.product(net.depth) * net.data + pull * gram.inv() * net.data
        found.append((net, targets, decay))
    return found


def _whole(scope: Scope, *, strength: int = 1) -> Evidence:
    """Those weights solve ∇_{W_l} + λW_l = 0 in rational numbers on the signal, at every layer, and M_λ's equation."""
    tried = _networks(scope)
    for net, targets, decay in tried:
        samples = sum(net.counts)
        M = net.product(net.depth)
        R = (M * net.data - targets) * net.data.transpose() * fmpq(2, samples)
        signal = net.left * diagonal([r ** (2 - net.depth) for r in net.roots]) * net.right.transpose()
        if not exactly_zero(R + signal * decay * strength):
            return refuted(f"{net.name}: M does not solve V1's equation")
        projector = net.right * net.right.transpose()
        for layer in range(1, net.depth + 1):
            after = identity(net.left.nrows())
            for weight in reversed(net.weights[layer:]):
                after = after * weight
            before = net.product(layer - 1)
            slope = after.transpose() * R * before.transpose() + net.weights[layer - 1] * decay
            if not exactly_zero(slope * before * projector):
                return refuted(f"{net.name}: layer {layer} is not stationary")
    return discharged(f"{len(tried)} networks: every layer stationary on the signal, exactly")


def _gram(scope: Scope, *, shift: int = 0, labels_fit: bool = False) -> Evidence:
    """E1: Z_lᵀZ_l = Ŷᵀ H^{l/L-1} Ŷ + ε^{2l}(G - ŶᵀH⁺Ŷ) with Ŷ = W_{L:1}X, whatever the data's labels."""
    tried = _networks(scope)
    for net, targets, _ in tried:
        gram = net.data.transpose() * net.data
        fit = targets if labels_fit else net.product(net.depth) * net.data
        rest = gram - fit.transpose() * net.h_power(-net.depth) * fit
        for layer in range(net.depth):
            features = net.product(layer) * net.data
            claimed = fit.transpose() * net.h_power(layer - net.depth + shift) * fit
            claimed = claimed + rest * net.residual_scale ** (2 * layer)
            if not exactly_zero(features.transpose() * features - claimed):
                return refuted(f"exact {net.name}: layer {layer} differs")
    return discharged(f"exact at every layer of {len(tried)} networks whose map is not the least-squares one")


def _floor(scope: Scope, *, none: bool = False) -> Evidence:
    """V2: tr Σ_W^l as ε → 0 is tr(P_W Ŷᵀ H^{l/L-1} Ŷ P_W)/N, above 0 where Ŷ is not constant within classes."""
    triples = []
    for net, _, _ in _networks(scope):
        projector = within_projection(net.counts)
        fit = net.product(net.depth) * net.data
        first = trace(projector * net.data.transpose() * net.data)
        lowest = trace(projector * fit.transpose() * net.h_power(-net.depth) * fit)
        for layer in range(1, net.depth):
            features = net.product(layer) * net.data
            seen = trace(projector * features.transpose() * features)
            floor = trace(projector * fit.transpose() * net.h_power(layer - net.depth) * fit)
            excess = (first - lowest) * net.residual_scale ** (2 * layer)
            triples.append((f"{net.name}, layer {layer}", abs(seen - floor * (0 if none else 1) - excess), fmpq(0)))
    return at_most(triples, noun="layers")


def _trained(scope: Scope, *, decay_of_scale: float = 1.0) -> Evidence:
    """Descent with decay from εI on orthonormal data with spare directions: the residual scale is ε(1-ηλ)^t."""
    rng = np.random.default_rng(scope.seed + 2)
    d, ε, η, λ_, depth = 7, 0.5, 0.1, 0.03, 3
    X = np.linalg.qr(rng.standard_normal((d, 4)))[0]
    Y = np.kron(np.eye(2), np.ones((1, 2)))
    C = np.linalg.qr(rng.standard_normal((d, 2)))[0].T
    weights = [ε * np.eye(d) for _ in range(depth - 1)] + [ε * C]
    steps = 900
    for _ in range(steps):
        products = [np.eye(d)]
        for W in weights:
            products.append(W @ products[-1])
        rows, slopes = np.eye(2), []
        error = 2 / 4 * (products[-1] @ X - Y) @ X.T
        for W, before in zip(weights[::-1], products[-2::-1]):
            slopes.append(rows.T @ error @ before.T)
            rows = rows @ W
        weights = [W - η * (g + λ_ * W) for W, g in zip(weights, slopes[::-1])]
    spare = np.linalg.svd(np.vstack([X.T, C]))[2][-1]  # the one direction off the inputs and the classifier's rows
    left = float(np.linalg.norm(weights[0] @ spare))
    expected = ε * (1 - decay_of_scale * η * λ_) ** steps
    if abs(left / expected - 1) < 1e-9:
        return discharged(f"{steps} steps: the untouched direction of W_1 is ε(1-ηλ)^t to 1e-9")
    return refuted(f"the untouched direction is {left:.3g} against {expected:.3g}")


STATEMENT = Statement(
    number="V1",
    title="weight decay",
    text="Descent on any loss with dW_l = -∇ - λW_l: the imbalance W_{l+1}ᵀW_{l+1} - W_lW_lᵀ decays as e^{-2λt}. "
    "Balanced stationary weights for the squared error have an end-to-end map M_λ with (2/N)(M XXᵀ - (Y/α)Xᵀ) + "
    "λ(MMᵀ)^{1/L-1}M = 0 on its directions. T3 holds with any end-to-end map M of balanced weights, Ŷ = MX, "
    "whatever the loss and its "
    "minimum (E1): here with M_λ and ε_t = ε(1-ηλ)^t. As ε_t → 0, tr Σ_W^l → tr(P_W Ŷᵀ H^{l/L-1} Ŷ P_W)/N, which is 0 "
    "only where Ŷ is constant within classes (V2).",
    assumptions=("balanced weights, one residual scale (A2, A3)", "rows of W_{L:1} in span X"),
    rests_on=("T3",),
    remarks=("Which stationary map training comes to is not proved: M_λ is followed from the undecayed map.",),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="d(W_{l+1}ᵀW_{l+1} - W_lW_lᵀ)/dt = -2λ (…)",
            because="Y1's conservation, and each weight decays by λ",
            check=_imbalance,
        ),
        Step(
            key="2",
            kind=Kind.IDENTITY,
            claim="R V = -λ U S^{2/L-1}, R = (2/N)(MXXᵀ - (Y/α)Xᵀ)",
            because="the classifier's equation times W_{L-1:1}; balance",
            check=_stationary,
        ),
        Step(
            key="3",
            kind=Kind.IDENTITY,
            claim="U S^{2/L-1} Vᵀ = (MMᵀ)^{1/L-1} M",
            because="functional calculus on the range",
            check=_power,
        ),
        Step(
            key="4",
            kind=Kind.BALL,
            claim="exact weights with such a map are stationary at every layer",
            because="all numbers rational",
            check=_whole,
        ),
        Step(
            key="5",
            kind=Kind.BALL,
            claim="E1: the Gram law with a map that fits nothing",
            because="T1's and T3's steps never use what M is",
            check=_gram,
        ),
        Step(
            key="6",
            kind=Kind.BALL,
            claim="V2: what is left of tr Σ_W above its floor is ε^{2l} times the first",
            because="step 5 under the trace with P_W",
            check=_floor,
        ),
        Step(
            key="7",
            kind=Kind.MEASURED,
            claim="ε_t = ε(1-ηλ)^t outside Y2's subspace",
            because="the gradient vanishes there",
            check=_trained,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="decay rate λ", claim="imbalance decays as e^{-λt}", check=lambda s: _imbalance(s, factor=1)),
        WrongVariant(name="twice the decay", claim="2λ(MMᵀ)^{1/L-1}M", check=lambda s: _whole(s, strength=2)),
        WrongVariant(name="exponent off by one", claim="H^{(l+1)/L-1}", check=lambda s: _gram(s, shift=1)),
        WrongVariant(
            name="labels for fitted labels", claim="Y in place of MX", check=lambda s: _gram(s, labels_fit=True)
        ),
        WrongVariant(name="no floor", claim="tr Σ_W^l → 0 always", check=lambda s: _floor(s, none=True)),
        WrongVariant(
            name="ε decays twice as fast",
            claim="ε_t = ε(1-2ηλ)^t",
            check=lambda s: _trained(s, decay_of_scale=2.0),
        ),
    ),
)
