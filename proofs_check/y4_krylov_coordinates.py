"""Y4: the weights move in a Krylov space of the data's Gram matrix alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import sympy as sp
from flint import fmpq, fmpq_mat

from .balls import at_most, exactly_zero, identity
from .instances import columns, diagonal, labels, orthogonal, random_matrix
from .ledger import Evidence, Kind, Scope, Statement, Step, WrongVariant, both, discharged, refuted
from .rewriting import Algebra, Instance

__all__ = ["STATEMENT"]

eps, eta, decay = sp.symbols("e eta lambda", positive=True)


def _form() -> tuple[Algebra, dict[str, sp.Symbol]]:
    """P projects on V in the inputs' span, Q on the image of V and the classifier's rest; J embeds the span."""
    algebra = Algebra()
    s = {
        "P": algebra.symbol("P", "m", "m", symmetric=True),
        "Q": algebra.symbol("Q", "r", "r", symmetric=True),
        "J": algebra.symbol("J", "r", "m"),
        "G": algebra.symbol("G", "m", "m", symmetric=True),
        "B": algebra.symbol("B", "K", "m"),
        "C": algebra.symbol("C", "K", "r"),
        "F": algebra.symbol("F", "r", "m"),
        "H": algebra.symbol("H", "r", "r"),
        "U": algebra.symbol("U", "K", "r"),
        "Z": algebra.symbol("Z", "r", "m"),
    }
    P, Q, J, G, B = s["P"], s["Q"], s["J"], s["G"], s["B"]
    T = algebra.T
    algebra.rule(P * P, P, "P² = P")
    algebra.rule(Q * Q, Q, "Q² = Q")
    algebra.rule(T(J) * J, sp.Integer(1), "JᵀJ = I")
    algebra.rule(Q * J, J * P, "Q J = J P")
    algebra.rule(P * G, G * P, "V is invariant under G", transposed=False)
    algebra.rule(B * P, B, "rows of YXᵀ lie in V")
    return algebra, s


def _projector(basis: fmpq_mat) -> fmpq_mat:
    return basis * (basis.transpose() * basis).inv() * basis.transpose()


def _form_instance(scope: Scope) -> Instance:
    """Inputs of three singular values, V spanned by four of six eigenvectors of G."""
    rng = scope.rng("Y4 form")
    turn = orthogonal(6, rng)
    gram = turn * diagonal([1, 1, 2, 2, 3, 3]) * turn.transpose()
    P = _projector(columns(turn, 0, 4))
    frame = orthogonal(8, rng)
    J = columns(frame, 0, 6)
    rest = columns(frame, 6, 7)
    Q = J * P * J.transpose() + rest * rest.transpose()
    shapes = {"C": (2, 8), "F": (8, 6), "H": (8, 8), "U": (2, 8), "Z": (8, 6)}
    return Instance(
        matrices={
            "P": P,
            "Q": Q,
            "J": J,
            "G": gram,
            "B": random_matrix(2, 6, rng) * P,
            **{name: random_matrix(r, c, rng) for name, (r, c) in shapes.items()},
        },
        scalars={eps: sp.Rational(1, 3), eta: sp.Rational(1, 7), decay: sp.Rational(1, 11)},
        name="m = 6, r = 8, dim V = 4",
    )


def _weights(s: dict[str, sp.Symbol]) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """W_1, a hidden layer and the classifier in the form that training keeps."""
    P, Q, J = s["P"], s["Q"], s["J"]
    first = Q * s["F"] * P + eps * J * (1 - P)
    return first, Q * s["H"] * Q + eps * (1 - Q), s["C"] * Q


def _start(scope: Scope) -> Evidence:
    """εJ = Q(εJ)P + εJ(1-P) and εI = Q(εI)Q + ε(1-Q)."""
    algebra, s = _form()
    P, Q, J = s["P"], s["Q"], s["J"]
    model = [_form_instance(scope)]
    return both(
        algebra.proves(Q * (eps * J) * P + eps * J * (1 - P), eps * J, instances=model),
        algebra.proves(Q * eps * Q + eps * (1 - Q), eps * sp.Integer(1), instances=[]),
    )


def _products(scope: Scope) -> Evidence:
    """W_{l:1} = (·)P + ε^l J(1-P) with its first part in Q, and W_{L:1} = W_{L:1}P; the induction step and the ends."""
    algebra, s = _form()
    P, Q, J = s["P"], s["Q"], s["J"]
    _, hidden, last = _weights(s)
    below = Q * s["Z"] * P + eps * J * (1 - P)  # ε stands for ε^{l-1}
    inside = Q * s["H"] * Q * s["Z"] * P
    model = [_form_instance(scope)]
    return both(
        algebra.proves(hidden * below, inside + eps**2 * J * (1 - P), instances=model),
        algebra.proves(last * below, last * below * P, instances=model),
        algebra.proves(last * hidden, last * hidden * Q, instances=model),
    )


def _updates(scope: Scope) -> Evidence:
    """D = W_{L:1}G - YXᵀ has its rows in V, the gradients are (·)P in Q, Q(·)Q and (·)Q, a step keeps the form."""
    algebra, s = _form()
    P, Q, J, T = s["P"], s["Q"], s["J"], algebra.T
    first, hidden, _ = _weights(s)
    force = s["B"] * P - s["C"] * Q * s["Z"] * P * s["G"]
    below = Q * s["Z"] * P + eps * J * (1 - P)
    up = s["U"] * Q
    model = [_form_instance(scope)]
    middle = T(up) * force * T(below)
    shrink = 1 - eta * decay
    return both(
        algebra.proves(force * P, force, instances=model),
        algebra.proves(T(up) * force, Q * T(up) * force * P, instances=model),
        algebra.proves(middle, Q * middle * Q, instances=model),
        algebra.proves(force * T(below), force * T(below) * Q, instances=model),
        algebra.proves(
            shrink * first - eta * Q * s["Z"] * P,
            Q * (shrink * s["F"] - eta * s["Z"]) * P + shrink * eps * J * (1 - P),
            instances=model,
        ),
        algebra.proves(
            shrink * hidden - eta * middle,
            Q * (shrink * s["H"] - eta * middle) * Q + shrink * eps * (1 - Q),
            instances=model,
        ),
    )


def _features(scope: Scope, *, crossed: int = 0) -> Evidence:
    """W_{l:1}ᵀW_{l:1} = P(·)P + ε^{2l}(1-P): no cross terms, so the residual part needs traces of G alone."""
    algebra, s = _form()
    P, Q, J, T = s["P"], s["Q"], s["J"], algebra.T
    below = Q * s["Z"] * P + eps * J * (1 - P)
    gram = P * T(s["Z"]) * Q * s["Z"] * P + eps**2 * (1 - P)
    extra = crossed * (1 - P) * s["G"] * (1 - P)
    return algebra.proves(T(below) * below, gram + extra, instances=[_form_instance(scope)])


@dataclass
class _Run:
    weights: list[fmpq_mat]
    gram: fmpq_mat
    sums: fmpq_mat
    rows: fmpq_mat
    scale: fmpq


def _run(rng: random.Random, *, eigenvalues: Sequence[int], counts: Sequence[int], depth: int) -> _Run:
    """A network in reduced coordinates on inputs with these squared singular values."""
    m, K, scale = len(eigenvalues), len(counts), fmpq(1, 3)
    factor = orthogonal(m, rng) * diagonal([fmpq(v) for v in eigenvalues]) * orthogonal(sum(counts), rng)
    first = fmpq_mat(m + K, m, [fmpq(int(i == j)) for i in range(m + K) for j in range(m)])
    turned = orthogonal(m + K, rng)
    rows = fmpq_mat(K, m + K, [turned[i, j] for i in range(K) for j in range(m + K)])
    weights = [first * scale, *[identity(m + K) * scale for _ in range(depth - 2)], rows * scale]
    return _Run(
        weights=weights,
        gram=factor * factor.transpose(),
        sums=labels(counts) * factor.transpose(),
        rows=rows,
        scale=scale,
    )


def _space(run: _Run, *, blocks: int | None = None, with_classifier: bool = True) -> tuple[fmpq_mat, fmpq_mat]:
    """Projections on V and on its hidden image with the classifier's rest."""
    m, (K, r) = run.gram.nrows(), (run.rows.nrows(), run.rows.ncols())
    start = [[*[run.sums[k, i] for k in range(K)]] for i in range(m)]
    if with_classifier:
        start = [[*row, *[run.rows[k, i] for k in range(K)]] for i, row in enumerate(start)]
    block = fmpq_mat(m, len(start[0]), [x for row in start for x in row])
    found = _basis(block)
    for _ in range(m if blocks is None else blocks):
        block = run.gram * block
        found = _basis(_beside(found, block))
    P = _projector(found)
    embed = fmpq_mat(r, found.ncols(), [found[i, j] if i < m else 0 for i in range(r) for j in range(found.ncols())])
    rest = fmpq_mat(r, K, [run.rows[k, i] if i >= m else fmpq(0) for i in range(r) for k in range(K)])
    return P, _projector(_basis(_beside(embed, rest)))


def _beside(one: fmpq_mat, other: fmpq_mat) -> fmpq_mat:
    rows = [[*a, *b] for a, b in zip(one.tolist(), other.tolist(), strict=True)]
    return fmpq_mat(len(rows), len(rows[0]), [x for row in rows for x in row])


def _basis(matrix: fmpq_mat) -> fmpq_mat:
    reduced, rank = matrix.rref()
    pivots = [next(c for c in range(matrix.ncols()) if reduced[row, c] != 0) for row in range(rank)]
    return fmpq_mat(matrix.nrows(), rank, [matrix[r, c] for r in range(matrix.nrows()) for c in pivots])


def _descend(run: _Run, steps: int, *, decayed: fmpq) -> fmpq:
    """Gradient descent on ‖W F - T‖²/2 in rational numbers; what an untouched direction is multiplied by."""
    rate, kept = fmpq(1, 5), run.scale
    for _ in range(steps):
        below = [identity(run.gram.nrows())]
        for weight in run.weights:
            below.append(weight * below[-1])
        above, gradient = below[-1] * run.gram - run.sums, []
        for layer in reversed(range(len(run.weights))):
            gradient.insert(0, above * below[layer].transpose())
            above = run.weights[layer].transpose() * above
        run.weights = [w * (1 - rate * decayed) - g * rate for w, g in zip(run.weights, gradient, strict=True)]
        kept = kept * (1 - rate * decayed)
    return kept


class _Case(TypedDict):
    eigenvalues: tuple[int, ...]
    counts: tuple[int, ...]
    depth: int


_CASES = (
    _Case(eigenvalues=(1, 1, 1, 1, 1), counts=(2, 3), depth=3),
    _Case(eigenvalues=(1, 1, 1, 2, 2, 2, 2), counts=(1, 6), depth=3),
    _Case(eigenvalues=(1, 1, 1, 1, 1, 1), counts=(3, 3), depth=4),
)


def _descent(
    scope: Scope, *, blocks: int | None = None, with_classifier: bool = True, frozen: bool = False
) -> Evidence:
    """Rational descent with decay leaves everything outside V and its image alone, to the last digit."""
    rng, moved = scope.rng("Y4 descent"), 0
    for number, case in enumerate(_CASES[: scope.count(2, 3, 3)]):
        run = _run(rng, **case)
        P, Q = _space(run, blocks=blocks, with_classifier=with_classifier)
        kept = _descend(run, 2, decayed=fmpq(1, 10))
        kept = run.scale if frozen else kept
        beside, outside = identity(P.nrows()) - P, identity(Q.nrows()) - Q
        embed = fmpq_mat(Q.nrows(), P.nrows(), [fmpq(int(i == j)) for i in range(Q.nrows()) for j in range(P.nrows())])
        left = run.weights[0] * beside - embed * beside * kept
        rest = [w * outside - outside * kept for w in run.weights[1:-1]]
        if not all(exactly_zero(part) for part in (left, run.weights[-1] * outside, *rest)):
            return refuted(f"case {number}: a direction outside moved within 2 steps")
        moved += 1
    return discharged(f"{moved} runs of 2 steps with decay, exact in rational numbers")


def _dimension(scope: Scope) -> Evidence:
    """dim V ≤ 2K g for inputs of g different singular values: 2K where XXᵀ = I, and 3K hidden dimensions."""
    rng, found = scope.rng("Y4 dimension"), []
    for eigenvalues, counts in (((1,) * 7, (3, 4)), ((1,) * 4 + (2,) * 5, (4, 5)), ((1,) * 10, (3, 3, 4))):
        P, Q = _space(_run(rng, eigenvalues=eigenvalues, counts=counts, depth=3))
        K, groups = len(counts), len(set(eigenvalues))
        found.append((f"inputs {eigenvalues}", fmpq(P.rank()), fmpq(2 * K * groups)))
        found.append((f"hidden, inputs {eigenvalues}", fmpq(Q.rank()), fmpq(2 * K * groups + K)))
    return at_most(found, noun="dimensions")


STATEMENT = Statement(
    number="Y4",
    title="Krylov coordinates",
    text="In Y2's coordinates (W_1(0) = εJ, hidden εI, classifier εc), with G = XXᵀ on the inputs' span, S spanned by "
    "XYᵀ and c's part in the span, V = S + GS + G²S + …: with P the projection on V and Q that on JV and c's part "
    "outside, at every step W_1 = Q(·)P + c_t J(I-P), W_l = Q(·)Q + c_t(I-Q), W_L = (·)Q, c_t = ε(1-ηλ)^t. dim V ≤ 2K "
    "for whitened inputs. Features: Z_lᵀZ_l = XᵀP(·)PX + c_t^{2l} Xᵀ(I-P)X.",
    assumptions=("orthogonal initial weights", "d_h ≥ d", "full batches"),
    remarks=(
        "Yaras et al. 2023 have 2K dimensions for whitened data and square networks.",
        "Where V is cut after q terms the part of the gradient that leads out of it bounds what is lost.",
    ),
    steps=(
        Step(
            key="1",
            kind=Kind.IDENTITY,
            claim="the initial weights have the form",
            because="QJ = JP: JV lies in Q's range, J(I-P) outside it",
            check=_start,
        ),
        Step(
            key="2",
            kind=Kind.IDENTITY,
            claim="W_{l:1} = Q(·)P + c^l J(I-P), W_{L:1} = W_{L:1}P, W_{L:l+1} = W_{L:l+1}Q",
            because="induction over layers, from the form",
            check=_products,
        ),
        Step(
            key="3",
            kind=Kind.IDENTITY,
            claim="the gradients are Q(·)P, Q(·)Q and (·)Q; a step with decay keeps the form",
            because="PG = GP and YXᵀP = YXᵀ, so W_{L:1}G - YXᵀ has its rows in V; induction over steps",
            check=_updates,
        ),
        Step(
            key="4",
            kind=Kind.IDENTITY,
            claim="W_{l:1}ᵀW_{l:1} = P(·)P + c^{2l}(I-P)",
            because="both parts of W_{l:1} have orthogonal ranges, and JᵀJ = I",
            check=_features,
        ),
        Step(
            key="5",
            kind=Kind.BALL,
            claim="dim V ≤ 2K for each singular value of the inputs",
            because="ranks of rational matrices",
            check=_dimension,
        ),
        Step(
            key="6",
            kind=Kind.BALL,
            claim="descent with decay leaves the complement alone",
            because="rational arithmetic, every digit",
            check=_descent,
        ),
    ),
    wrong_variants=(
        WrongVariant(name="S alone", claim="V = S for any inputs", check=lambda s: _descent(s, blocks=0)),
        WrongVariant(
            name="classifier forgotten",
            claim="S = span XYᵀ",
            check=lambda s: _descent(s, with_classifier=False),
        ),
        WrongVariant(
            name="decay forgotten", claim="c_t = ε also with weight decay", check=lambda s: _descent(s, frozen=True)
        ),
        WrongVariant(
            name="residual of G",
            claim="the residual part of W_{l:1}ᵀW_{l:1} has a term in G",
            check=lambda s: _features(s, crossed=1),
        ),
    ),
)
