"""Y2: from orthogonal initial weights, descent leaves all but rank(X) + K directions untouched."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp
from flint import fmpq, fmpq_mat

from .balls import at_most, exactly_zero, identity
from .instances import columns, labels, orthogonal, random_matrix
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, discharged, refuted
from .rewriting import Algebra, Instance

__all__ = ["STATEMENT"]

eps, eta, decay = sp.symbols("e eta lambda", positive=True)


def _rotation(scope: Scope) -> Evidence:
    """W_l = T_l W̃_l T_{l-1}ᵀ with orthogonal T: the gradient rotates alike, and T_0 = T_1 … keep the product."""
    algebra = Algebra()
    T = algebra.T
    A, B = algebra.symbol("A", "K", "b"), algebra.symbol("B", "a", "d")
    E = algebra.symbol("E", "K", "N")
    X = algebra.symbol("X", "d", "N")
    up, down = algebra.symbol("T_l", "b", "b"), algebra.symbol("T_{l-1}", "a", "a")
    for letter in (up, down):
        algebra.rule(T(letter) * letter, sp.Integer(1), "TᵀT = I")
        algebra.rule(letter * T(letter), sp.Integer(1), "TTᵀ = I")
    full = T(A * T(up)) * E * T(down * B * X)  # W_{L:l+1} = Ã T_lᵀ, W_{l-1:1} = T_{l-1} B̃
    rotated = T(A) * E * T(B * X)
    rng = scope.rng("Y2 rotation")
    model = Instance(
        matrices={
            "A": random_matrix(2, 3, rng),
            "B": random_matrix(4, 5, rng),
            "E": random_matrix(2, 6, rng),
            "X": random_matrix(5, 6, rng),
            "T_l": orthogonal(3, rng),
            "T_{l-1}": orthogonal(4, rng),
        },
        name="random",
    )
    return algebra.proves(T(up) * full * down, rotated, instances=[model])


def _form() -> tuple[Algebra, dict[str, sp.Symbol]]:
    """P projects on the touched subspace S, Q on span X; D is any matrix, V a classifier, O the first layer's frame."""
    algebra = Algebra()
    s = {
        "P": algebra.symbol("P", "h", "h", symmetric=True),
        "Q": algebra.symbol("Q", "d", "d", symmetric=True),
        "X": algebra.symbol("X", "d", "N"),
        "O": algebra.symbol("O", "h", "d"),
        "B": algebra.symbol("B", "h", "h"),
        "C": algebra.symbol("C", "h", "d"),
        "V": algebra.symbol("V", "K", "h"),
        "R": algebra.symbol("R", "K", "N"),
        "Z": algebra.symbol("Z", "h", "N"),
        "A": algebra.symbol("A", "K", "h"),
        "D": algebra.symbol("D", "h", "h"),
        "F": algebra.symbol("F", "h", "d"),
    }
    P, Q, X, O = s["P"], s["Q"], s["X"], s["O"]
    algebra.rule(P * P, P, "P² = P")
    algebra.rule(Q * Q, Q, "Q² = Q")
    algebra.rule(Q * X, X, "Q X = X")
    algebra.rule(P * O * Q, O * Q, "O span(X) lies in S")
    algebra.rule(P * O * X, O * X, "O span(X) lies in S")
    return algebra, s


def _form_instance(scope: Scope) -> Instance:
    rng = scope.rng("Y2 form")
    data = random_matrix(5, 2, rng)
    frame = columns(orthogonal(6, rng), 0, 5)
    rows = random_matrix(2, 6, rng)
    touched = fmpq_mat(6, 4, [x for r in range(6) for x in [*(frame * data).tolist()[r], rows[0, r], rows[1, r]]])
    shapes = {"B": (6, 6), "C": (6, 5), "V": (2, 6), "R": (2, 2), "Z": (6, 2), "A": (2, 6), "D": (6, 6), "F": (6, 5)}
    return Instance(
        matrices={
            "P": _projector(touched),
            "Q": _projector(data),
            "X": data,
            "O": frame,
            **{name: random_matrix(r, c, rng) for name, (r, c) in shapes.items()},
        },
        scalars={eps: sp.Rational(1, 3), eta: sp.Rational(1, 7), decay: sp.Rational(1, 11)},
        name="d_h = 6, d = 5, K = 2, rank X = 2",
    )


def _projector(basis: fmpq_mat) -> fmpq_mat:
    return basis * (basis.transpose() * basis).inv() * basis.transpose()


def _start(scope: Scope) -> Evidence:
    """εI = P(εI)P + ε(I-P); εO = P(εO)Q + εO(I-Q); the classifier's rows lie in S."""
    algebra, s = _form()
    P, Q, O = s["P"], s["Q"], s["O"]
    model = [_form_instance(scope)]
    return both(
        algebra.proves(P * eps * P + eps * (1 - P), eps * sp.Integer(1), instances=[]),
        algebra.proves(P * (eps * O) * Q + eps * O * (1 - Q), eps * O, instances=model),
    )


def _products(scope: Scope) -> Evidence:
    """Signals stay in S going up and coming down: W̃_1X = PW̃_1X, W̃_l PZ = P W̃_l PZ, AP W̃_l = AP W̃_l P."""
    algebra, s = _form()
    P, Q, X, O = s["P"], s["Q"], s["X"], s["O"]
    first = P * s["C"] * Q + eps * O * (1 - Q)
    hidden = P * s["B"] * P + eps * (1 - P)
    model = [_form_instance(scope)]
    return both(
        algebra.proves(first * X, P * first * X, instances=model),
        algebra.proves(hidden * P * s["Z"], P * hidden * P * s["Z"], instances=model),
        algebra.proves(s["A"] * P * hidden, s["A"] * P * hidden * P, instances=model),
    )


def _updates(scope: Scope) -> Evidence:
    """Gradients are PDP (hidden), PFQ (first), DP (classifier); descent, decay, momentum and batches keep the form."""
    algebra, s = _form()
    P, Q, X, T = s["P"], s["Q"], s["X"], algebra.T
    model = [_form_instance(scope)]
    up = s["A"] * P  # W̃_{L:l+1} ends in P
    hidden = T(up) * s["R"] * T(P * s["Z"])
    first = T(up) * s["R"] * T(X)
    last = s["R"] * T(P * s["Z"])
    weight = P * s["B"] * P + eps * (1 - P)
    step = (1 - eta * decay) * weight - eta * P * s["D"] * P
    kept = P * ((1 - eta * decay) * s["B"] - eta * s["D"]) * P + (1 - eta * decay) * eps * (1 - P)
    below = P * s["C"] * Q + eps * s["O"] * (1 - Q)
    step_below = (1 - eta * decay) * below - eta * P * s["F"] * Q
    kept_below = P * ((1 - eta * decay) * s["C"] - eta * s["F"]) * Q
    kept_below = kept_below + (1 - eta * decay) * eps * s["O"] * (1 - Q)
    return both(
        algebra.proves(P * hidden * P, hidden, instances=model),
        algebra.proves(P * first * Q, first, instances=model),
        algebra.proves(last * P, last, instances=model),
        algebra.proves(step, kept, instances=model),
        algebra.proves(step_below, kept_below, instances=model),
    )


def _reduced(scope: Scope) -> Evidence:
    """With P = FFᵀ, FᵀF = I: the small weights FᵀW̃F have the same product on X, and their gradient is FᵀDF."""
    algebra = Algebra()
    T = algebra.T
    F = algebra.symbol("F", "h", "r")
    A, Z, E = algebra.symbol("A", "K", "h"), algebra.symbol("Z", "h", "N"), algebra.symbol("E", "K", "N")
    W = algebra.symbol("W", "h", "h")
    algebra.rule(T(F) * F, sp.Integer(1), "FᵀF = I")
    rng = scope.rng("Y2 reduced")
    model = Instance(
        matrices={
            "F": columns(orthogonal(5, rng), 0, 3),
            "A": random_matrix(2, 5, rng),
            "Z": random_matrix(5, 4, rng),
            "E": random_matrix(2, 4, rng),
            "W": random_matrix(5, 5, rng),
        },
        name="h = 5, r = 3",
    )
    inside = F * T(F)
    gradient = T(A * inside) * E * T(inside * Z)
    small = T(A * F) * E * T(T(F) * Z)
    return both(
        algebra.proves(A * inside * W * inside * Z, (A * F) * (T(F) * W * F) * (T(F) * Z), instances=[model]),
        algebra.proves(T(F) * gradient * F, small, instances=[model]),
    )


@dataclass
class _Run:
    """A network, its data and what the touched subspaces are, all rational."""

    weights: list[fmpq_mat]
    data: fmpq_mat
    targets: fmpq_mat
    rotations: list[fmpq_mat]
    scale: fmpq
    frame: fmpq_mat


def _run(
    rng: random.Random, *, width: int, dimension: int, counts: Sequence[int], depth: int, orthogonal_start: bool
) -> _Run:
    samples, classes, scale = sum(counts), len(counts), fmpq(1, 3)
    if width >= dimension:
        frame = columns(orthogonal(width, rng), 0, dimension)
    else:
        frame = columns(orthogonal(dimension, rng), 0, width).transpose()
    weights, rotations = [frame * scale], [identity(width)]
    for _ in range(depth - 2):
        turn = orthogonal(width, rng) if orthogonal_start else random_matrix(width, width, rng, size=2, denominator=3)
        weights.append(turn * scale)
        rotations.append(turn * rotations[-1])
    last = fmpq_mat(classes, width, [fmpq(int(i == j)) for i in range(classes) for j in range(width)])
    weights.append(last * scale)
    return _Run(
        weights=weights,
        data=random_matrix(dimension, samples, rng, size=2, denominator=2),
        targets=labels(counts),
        rotations=rotations,
        scale=scale,
        frame=frame,
    )


def _descend(run: _Run, steps: int, *, momentum: bool, batches: bool) -> fmpq:
    """Gradient descent in rational numbers, with weight decay; returns what an untouched direction is multiplied by."""
    rate, decay_rate = fmpq(1, 5), fmpq(1, 10)
    samples = run.data.ncols()
    velocity: list[fmpq_mat | None] = [None] * len(run.weights)
    untouched, speed = run.scale, fmpq(0)
    for number in range(steps):
        keep = range(number % 2, samples, 2) if batches else range(samples)
        pick = fmpq_mat(samples, len(keep), [fmpq(int(i == k)) for i in range(samples) for k in keep])
        x, y = run.data * pick, run.targets * pick
        below = [x]
        for weight in run.weights:
            below.append(weight * below[-1])
        error = (below[-1] - y) * fmpq(2, len(keep))
        grads, above = [], error
        for layer in reversed(range(len(run.weights))):
            grads.insert(0, above * below[layer].transpose() + run.weights[layer] * decay_rate)
            above = run.weights[layer].transpose() * above
        for i, grad in enumerate(grads):
            if momentum and (before := velocity[i]) is not None:
                grad = grad + before * fmpq(1, 2)
            velocity[i] = grad
            run.weights[i] = run.weights[i] - grad * rate
        speed = untouched * decay_rate + (speed * fmpq(1, 2) if momentum else 0)
        untouched = untouched - speed * rate
    return untouched


def _touched(run: _Run, *, with_classifier: bool = True) -> fmpq_mat:
    """The projection on O span(X) + rows of the rotated classifier."""
    first = run.frame * run.data
    start = fmpq_mat(
        run.targets.nrows(),
        run.frame.nrows(),
        [fmpq(int(i == j)) for i in range(run.targets.nrows()) for j in range(run.frame.nrows())],
    )
    rows = (start * run.rotations[-1]).transpose()
    both_parts = [[*first.tolist()[r], *(rows.tolist()[r] if with_classifier else [])] for r in range(first.nrows())]
    matrix = fmpq_mat(first.nrows(), len(both_parts[0]), [x for row in both_parts for x in row])
    return _projector(_column_basis(matrix))


def _column_basis(matrix: fmpq_mat) -> fmpq_mat:
    """The pivot columns of a matrix."""
    reduced, rank = matrix.rref()
    pivots = [next(c for c in range(matrix.ncols()) if reduced[row, c] != 0) for row in range(rank)]
    return fmpq_mat(matrix.nrows(), rank, [matrix[r, c] for r in range(matrix.nrows()) for c in pivots])


def _descent(
    scope: Scope, *, with_classifier: bool = True, orthogonal_start: bool = True, frozen: bool = False
) -> Evidence:
    """Rational gradient descent: W̃_l (I-P) = c (I-P) exactly, c = ε without decay, for all l ≥ 2 and W_1(I-Q)."""
    rng = scope.rng("Y2 descent")
    cases = [
        dict(width=5, dimension=3, counts=(1, 1), depth=3),
        dict(width=6, dimension=5, counts=(1, 2), depth=3),
        dict(width=4, dimension=6, counts=(1, 1), depth=4),
        dict(width=5, dimension=2, counts=(2, 2), depth=3),
    ]
    checked = 0
    for number, case in enumerate(cases[: scope.count(3, 4, 4)]):
        for momentum, batches in ((False, False), (True, sum(case["counts"]) > 2)):
            run = _run(rng, orthogonal_start=orthogonal_start, **case)
            projector = _touched(run, with_classifier=with_classifier)
            untouched = _descend(run, 2, momentum=momentum, batches=batches)
            if frozen:
                untouched = run.scale
            outside = identity(case["width"]) - projector
            for layer in range(1, case["depth"] - 1):
                turned = run.rotations[layer].transpose() * run.weights[layer] * run.rotations[layer - 1]
                if not exactly_zero(turned * outside - outside * untouched):
                    return refuted(f"case {number}, layer {layer + 1}: a direction outside moved after 2 steps")
            beside = identity(case["dimension"]) - _projector(_column_basis(run.data))
            first = run.weights[0] * beside - run.frame * beside * untouched
            last = run.weights[-1] * run.rotations[-1] * outside
            if not exactly_zero(first) or not exactly_zero(last):
                return refuted(f"case {number}: the first layer or the classifier moved outside")
            checked += 1
    return discharged(f"{checked} runs of 2 steps with decay, momentum and mini-batches, exact in rational numbers")


def _dimension(scope: Scope) -> Evidence:
    """rank P ≤ rank X + K."""
    rng = scope.rng("Y2 dimension")
    found = []
    for width, dimension, counts in ((8, 5, (1, 2)), (9, 9, (2, 2)), (6, 4, (3, 3))):
        run = _run(rng, width=width, dimension=dimension, counts=counts, depth=4, orthogonal_start=True)
        found.append(
            (
                f"width {width}, d = {dimension}, n = {counts}",
                fmpq(_touched(run).rank()),
                fmpq(run.data.rank() + len(counts)),
            )
        )
    return at_most(found, noun="dimensions")


STATEMENT = Statement(
    number="Y2",
    title="exact reduction",
    text="Hidden W_2 … W_{L-1} start at ε × orthogonal matrices O_l (d_h × d_h), W_1 at εO_1, the "
    "classifier anywhere. With T_l = O_l ⋯ O_2 "
    "and W_l = T_l W̃_l T_{l-1}ᵀ, the subspace S = O_1 span(X) + rows of W̃_L, of dimension ≤ rank(X) + K, "
    "is invariant: at every "
    "step W̃_l = P B_l P + c(I-P), W̃_1 = P C Q + cO_1(I-Q), W̃_L = VP; c = ε, or ε(1-ηλ)^t with decay. So "
    "descent is the same "
    "computation in S, for any data, width, mini-batches and momentum.",
    assumptions=("orthogonal initial weights in the hidden layers",),
    remarks=(
        "The proof uses nothing of O_1, so d_h < d and d_h > d are covered at once.",
        "Default (non-orthogonal) initial weights have no such subspace (wrong variant).",
    ),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="∇W̃_l = T_lᵀ ∇W_l T_{l-1}",
            because="the rotations cancel between layers",
            check=_rotation,
        ),
        Step(
            key="2",
            kind=Kind.IDENTITY,
            claim="at the start W̃_l = εI = P(εI)P + ε(I-P), W̃_1 = P(εO_1)Q + εO_1(I-Q)",
            because="P O_1 Q = O_1 Q since O_1 span(X) lies in S",
            check=_start,
        ),
        Step(
            key="3",
            kind=Kind.IDENTITY,
            claim="W̃_{l:1}X = P W̃_{l:1}X and W̃_{L:l+1} = W̃_{L:l+1}P",
            because="induction over layers, from the form",
            check=_products,
        ),
        Step(
            key="4",
            kind=Kind.IDENTITY,
            claim="gradients are PDP, PFQ and DP, and a step with decay keeps the form, c → (1-ηλ)c",
            because="step 3; momentum adds gradients of that form; a batch has its columns in span(X); "
            "induction over steps",
            check=_updates,
        ),
        Step(
            key="5",
            kind=Kind.IDENTITY,
            claim="with P = FFᵀ the weights FᵀW̃_lF have the same output and the gradient FᵀDF",
            because="FᵀF = I: the reduced run is the same computation",
            check=_reduced,
        ),
        Step(
            key="6",
            kind=Kind.BALL,
            claim="dim S ≤ rank(X) + K",
            because="ranks of rational matrices",
            check=_dimension,
        ),
        Step(
            key="7",
            kind=Kind.BALL,
            claim="descent with decay, momentum and mini-batches leaves I-P alone",
            because="rational arithmetic, every digit",
            check=_descent,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="K forgotten", claim="S = O_1 span(X)", check=lambda s: _descent(s, with_classifier=False)),
        WrongVariant(
            name="any initial weights",
            claim="the same from non-orthogonal W_l(0)",
            check=lambda s: _descent(s, orthogonal_start=False),
        ),
        WrongVariant(
            name="decay forgotten", claim="c = ε also with weight decay", check=lambda s: _descent(s, frozen=True)
        ),
    ),
)
