"""Y3: a step needs the data only through an economical factor, and K vectors a layer."""

from __future__ import annotations

import numpy as np
import sympy as sp
from flint import fmpq, fmpq_mat

from .balls import exactly_zero, frobenius_square, identity
from .instances import columns, labels, orthogonal, random_matrix
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, discharged, refuted
from .rewriting import Algebra, Instance

__all__ = ["STATEMENT"]


def _factor() -> tuple[Algebra, dict[str, sp.Expr]]:
    """X = R Qᵀ, QᵀQ = I_r; A = W_{L:l+1}, B = W_{l-1:1}, W = W_{L:1}."""
    algebra = Algebra()
    s: dict[str, sp.Expr] = {
        "R": algebra.symbol("R", "d", "r"),
        "Q": algebra.symbol("Q", "N", "r"),
        "Y": algebra.symbol("Y", "K", "N"),
        "W": algebra.symbol("W", "K", "d"),
        "A": algebra.symbol("A", "K", "b"),
        "B": algebra.symbol("B", "a", "d"),
    }
    algebra.rule(algebra.T(s["Q"]) * s["Q"], sp.Integer(1), "QᵀQ = I")
    s["X"] = s["R"] * algebra.T(s["Q"])
    return algebra, s


def _instance(scope: Scope) -> Instance:
    rng = scope.rng("Y3")
    return Instance(
        matrices={
            "R": random_matrix(3, 2, rng),
            "Q": columns(orthogonal(6, rng), 0, 2),
            "Y": labels((2, 4)),
            "W": random_matrix(2, 3, rng),
            "A": random_matrix(2, 5, rng),
            "B": random_matrix(4, 3, rng),
        },
        name="K = 2, d = 3, N = 6, r = 2",
    )


def _same_gradient(scope: Scope, *, project: bool = True) -> Evidence:
    """∇W_l from (X, Y) is ∇W_l from (R, YQ)."""
    algebra, s = _factor()
    T = algebra.T
    full = T(s["A"]) * (s["W"] * s["X"] - s["Y"]) * T(s["B"] * s["X"])
    goal = s["Y"] * s["Q"] if project else 2 * s["Y"] * s["Q"]
    small = T(s["A"]) * (s["W"] * s["R"] - goal) * T(s["B"] * s["R"])
    return algebra.proves(full, small, instances=[_instance(scope)])


def _same_loss(scope: Scope, *, constant: bool = True) -> Evidence:
    """‖WX - Y‖² = ‖WR - YQ‖² + ‖Y(I - QQᵀ)‖²."""
    algebra, s = _factor()
    T = algebra.T
    error, small = s["W"] * s["X"] - s["Y"], s["W"] * s["R"] - s["Y"] * s["Q"]
    rest = s["Y"] * (1 - s["Q"] * T(s["Q"]))
    right = small * T(small) + (rest * T(rest) if constant else 0)
    return algebra.proves(error * T(error), right, trace=True, instances=[_instance(scope)])


def _few_vectors(scope: Scope, *, error: bool = True) -> Evidence:
    """∇W_l = W_{L:l+1}ᵀ (W_{l-1:1} X Eᵀ)ᵀ: K columns forward, K rows backward; and no letter is of size N."""
    algebra = Algebra()
    T = algebra.T
    A, B = algebra.symbol("A", "K", "b"), algebra.symbol("B", "a", "d")
    X, E = algebra.symbol("X", "d", "N"), algebra.symbol("E", "K", "N")
    C = algebra.symbol("C", "d", "K")
    algebra.rule(X * T(E), C, "C = XEᵀ, d × K")
    rng = scope.rng("Y3 vectors")
    x, e = random_matrix(3, 6, rng), random_matrix(2, 6, rng)
    model = Instance(
        matrices={"A": random_matrix(2, 5, rng), "B": random_matrix(4, 3, rng), "X": x, "E": e, "C": x * e.transpose()},
        name="K = 2, N = 6",
    )
    carried = T(A) * T(B * C)
    return algebra.proves(T(A) * E * T(B * X), carried if error else 2 * carried, instances=[model])


def _sizes(scope: Scope) -> Evidence:
    """Multiplications of one step, counted on the shapes: with (R, YQ) and K vectors N appears nowhere."""
    del scope
    d, h, K, N, r, L = sp.symbols("d h K N r L", positive=True)
    # K vectors back through the layers give W_{L:1} and every W_{L:l+1}; then E = W R - YQ, C = R Eᵀ, K vectors up,
    # and L outer products
    backward = (L - 2) * K * h * h + K * h * d
    error = K * d * r
    start = d * r * K
    forward = h * d * K + (L - 2) * h * h * K
    gradients = h * d * K + (L - 2) * h * h * K + K * h * K
    total = sp.expand(backward + error + start + forward + gradients)
    plain = sp.expand(2 * N * (h * d + (L - 2) * h * h + K * h))
    if total.has(N) or not plain.has(N):
        return refuted("the number of samples is left in the cost")
    return discharged(f"multiplications of a step: {total}, free of N")


def _descent(scope: Scope) -> Evidence:
    """Two rational descent steps with (X, Y) and with (R, YQ): the same weights."""
    rng = scope.rng("Y3 descent")
    count = scope.count(4, 40, 160)
    for number in range(count):
        samples, rank, d = 6, 2 + number % 2, 3
        q, r = columns(orthogonal(samples, rng), 0, rank), random_matrix(d, rank, rng)
        x, y = r * q.transpose(), labels((2, 4))
        weights = [random_matrix(4, d, rng), random_matrix(4, 4, rng), random_matrix(2, 4, rng)]
        full, small = list(weights), list(weights)
        for _ in range(2):
            full, small = _step(full, x, y), _step(small, r, y * q)
        if not all(exactly_zero(a - b) for a, b in zip(full, small)):
            return refuted(f"run {number}: the weights differ")
        rest = frobenius_square(y * (identity(samples) - q * q.transpose()))
        losses = [frobenius_square(_product(w, a) - b) for w, a, b in ((full, x, y), (small, r, y * q))]
        if losses[0] != losses[1] + rest:
            return refuted(f"run {number}: the losses differ by more than the constant")
    return discharged(f"{count} runs of 2 steps, exact in rational numbers; losses differ by ‖Y(I-QQᵀ)‖² exactly")


def _product(weights: list[fmpq_mat], data: fmpq_mat) -> fmpq_mat:
    for weight in weights:
        data = weight * data
    return data


def _step(weights: list[fmpq_mat], data: fmpq_mat, targets: fmpq_mat) -> list[fmpq_mat]:
    below = [data]
    for weight in weights:
        below.append(weight * below[-1])
    above, grads = below[-1] - targets, []
    for layer in reversed(range(len(weights))):
        grads.insert(0, above * below[layer].transpose())
        above = weights[layer].transpose() * above
    return [w - g * fmpq(1, 20) for w, g in zip(weights, grads)]


def _cancellation(scope: Scope, *, gram_is_fine: bool = False) -> Evidence:
    """tr WXXᵀWᵀ - 2 tr WXYᵀ + tr YYᵀ in float64 against the exact value, near convergence."""
    rng = np.random.default_rng(scope.seed + 5)
    data = np.round(rng.standard_normal((3, 3)) * 64) / 64 + 2 * np.eye(3)
    targets = np.eye(3)[:2]
    weight = targets @ np.linalg.inv(data) + 2.0**-32 * np.round(rng.standard_normal((2, 3)) * 8) / 8

    def exact(matrix: np.ndarray) -> fmpq_mat:
        entries = []
        for value in matrix.ravel():
            top, bottom = float(value).as_integer_ratio()
            entries.append(fmpq(top, bottom))
        return fmpq_mat(matrix.shape[0], matrix.shape[1], entries)

    true = frobenius_square(exact(weight) * exact(data) - exact(targets))
    value = int(true.p) / int(true.q)
    residual = float(np.sum((weight @ data - targets) ** 2))
    gram, cross = data @ data.T, targets @ data.T
    expanded = float(np.sum((weight @ gram) * weight) - 2 * np.sum(weight * cross) + np.sum(targets**2))
    good, bad = abs(residual / value - 1), abs(expanded / value - 1)
    if gram_is_fine:
        return refuted(f"relative error {bad:.2g} of the expanded loss") if bad > 1e-3 else discharged("")
    if good < 1e-4 and bad > 0.5:
        return discharged("float64 at a loss near 1e-18: the residual form keeps 4 digits, the expanded form none")
    return refuted(f"residual form off by {good:.2g}, expanded form by {bad:.2g}")


STATEMENT = Statement(
    number="Y3",
    title="economical step",
    text="With X = R Qᵀ, QᵀQ = I_r, every gradient from (X, Y) equals that from (R, YQ), and the losses "
    "differ by the constant "
    "‖Y(I-QQᵀ)‖_F². ∇W_l = W_{L:l+1}ᵀ (W_{l-1:1} X Eᵀ)ᵀ: a layer needs K vectors forward and K backward, "
    "so the cost of a step "
    "does not depend on N. The loss must not be computed from XXᵀ and YXᵀ: it cancels.",
    assumptions=("any data, any weights",),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="∇W_l(X, Y) = ∇W_l(R, YQ)",
            because="QᵀQ = I",
            check=_same_gradient,
        ),
        Step(
            key="2",
            kind=Kind.IDENTITY,
            claim="‖WX - Y‖² = ‖WR - YQ‖² + ‖Y(I - QQᵀ)‖²",
            because="Pythagoras over range Q",
            check=_same_loss,
        ),
        Step(
            key="3",
            kind=Kind.IDENTITY,
            claim="∇W_l = W_{L:l+1}ᵀ (W_{l-1:1} C)ᵀ with C = XEᵀ, d × K",
            because="associativity",
            check=_few_vectors,
        ),
        Step(
            key="4",
            kind=Kind.IDENTITY,
            claim="the multiplications of a step are free of N",
            because="counted on the shapes",
            check=_sizes,
        ),
        Step(
            key="5",
            kind=Kind.BALL,
            claim="descent with (X, Y) and with (R, YQ) gives the same weights",
            because="rational arithmetic, every digit",
            check=_descent,
        ),
        Step(
            key="6",
            kind=Kind.MEASURED,
            claim="near convergence the expanded loss has no correct digit in float64",
            because="against the exact loss of the same float64 numbers",
            check=_cancellation,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="targets scaled", claim="∇W_l(R, 2YQ)", check=lambda s: _same_gradient(s, project=False)),
        WrongVariant(
            name="constant dropped", claim="the losses are equal", check=lambda s: _same_loss(s, constant=False)
        ),
        WrongVariant(
            name="twice the gradient", claim="2 W_{L:l+1}ᵀ (W_{l-1:1}C)ᵀ", check=lambda s: _few_vectors(s, error=False)
        ),
        WrongVariant(
            name="expanded loss is fine",
            claim="tr WXXᵀWᵀ - 2 tr WXYᵀ + tr YYᵀ to 3 digits in float64",
            check=lambda s: _cancellation(s, gram_is_fine=True),
        ),
    ),
)
