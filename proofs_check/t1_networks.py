"""Of T1: the exact networks, symbols and instances on which its steps are checked."""

from __future__ import annotations

import sympy as sp
from flint import fmpq, fmpq_mat

from .balls import identity
from .classical import matrix_power
from .instances import ExactNetwork, columns, diagonal, exact_network, orthogonal
from .ledger import Scope
from .rewriting import Algebra, Instance

__all__ = ["balance_algebra", "balance_instances", "fit_only_instance", "networks", "orthonormal_instances"]

L, l = sp.symbols("L l", positive=True)
eps = sp.Symbol("epsilon", positive=True)


def networks(scope: Scope) -> list[ExactNetwork]:
    """Exact networks: several depths, widths above d, unequal classes, ε above 1, equal singular values, α ≠ 1."""
    rng = scope.rng("networks")
    cases = [
        dict(counts=(2, 2), dimension=4, depth=3),
        dict(counts=(2, 2), dimension=5, depth=4, width=7),
        dict(counts=(1, 3), dimension=4, depth=2, residual_scale="3/2"),
        dict(counts=(1, 2, 2), dimension=6, depth=3, label_scale="5/2"),
        dict(counts=(2, 2, 2), dimension=6, depth=5, roots=("3/2", "3/2", "3/2")),
        dict(counts=(1, 1), dimension=3, depth=6, residual_scale="1/10"),
    ]
    if scope.depth != "quick":
        cases.append(dict(counts=(3, 3, 3, 3), dimension=14, depth=5, width=18))
        cases.append(dict(counts=(4, 1, 2, 3, 2), dimension=12, depth=6, label_scale="1/3"))
    return [exact_network(rng, **case) for case in cases] + [
        exact_network(rng, counts=(2, 3), dimension=6, depth=4, residual_scale=f"{k + 1}/5")
        for k in range(scope.count(2, 24, 96))
    ]


def balance_algebra() -> tuple[Algebra, dict[str, sp.Symbol]]:
    """W = W_l, W' = W_{l+1}, P = W_{l-1:1}, A = W_1ᵀW_1, with A2 at l and the induction hypotheses at l-1."""
    algebra = Algebra()
    s = {
        "P": algebra.symbol("P", "a", "d"),
        "W": algebra.symbol("W", "b", "a"),
        "W'": algebra.symbol("W'", "c", "b"),
        "A": algebra.symbol("A", "d", "d", functional=True),
        "V": algebra.symbol("V", "d", "K"),
        "S": algebra.symbol("S", "K", "K", functional=True),
    }
    return algebra, s


def balance_instances(scope: Scope, *, power: bool = False, last: bool = False) -> list[Instance]:
    found = []
    for net in networks(Scope(depth="quick", seed=scope.seed))[:2]:
        layer = net.depth - 1 if last else net.depth - 2
        gram = net.weights[0].transpose() * net.weights[0]
        found.append(
            Instance(
                matrices={
                    "P": net.product(layer - 1),
                    "W": net.weights[layer - 1],
                    "W'": net.weights[layer],
                    "A": gram,
                    "V": net.right,
                    "S": diagonal(net.roots),
                },
                scalars={l: sp.Integer(layer), L: sp.Integer(net.depth)},
                name=net.name,
            )
        )
    return found


def orthonormal_instances(scope: Scope) -> list[Instance]:
    rng = scope.rng("frames")
    values = [fmpq(3, 2), fmpq(5, 4)]
    return [
        Instance(
            matrices={"V": columns(orthogonal(4, rng), 0, 2), "S": diagonal([v**3 for v in values])},
            powers={"S": lambda e: diagonal([v ** int(3 * e) for v in values])},
            scalars={L: sp.Integer(3), l: sp.Integer(1), eps: sp.Rational(3, 10)},
            name="K = 2, n = 2, L = 3",
        )
    ]


def fit_only_instance() -> tuple[list[fmpq_mat], fmpq_mat]:
    """L = 2, K = 2, d = 4, N = 2, ε = 3: all of A1-A3 but that W_{L:1} = M, of which only W_{L:1} X = M X holds.

    In the plane of v (the row space of M, twice) and e (outside span X), W_1 = 3I + uuᵀ with u = (3, 4)/5, and
    W_2 = m W_1⁻¹ with m = vᵀW_1⁴/12: then m v = 12 and (W_2ᵀW_2 - W_1W_1ᵀ)W_1 v = 0.
    """
    u = fmpq_mat(2, 1, [fmpq(3, 5), fmpq(4, 5)])
    plane = identity(2) * 3 + u * u.transpose()
    v = fmpq_mat(2, 1, [1, 0])
    row = v.transpose() * matrix_power(plane, 4) * fmpq(1, 12) * plane.inv()
    first = fmpq_mat(4, 4, [plane[i // 2, j // 2] * int(i % 2 == j % 2) for i in range(4) for j in range(4)])
    second = fmpq_mat(2, 4, [row[0, j // 2] * int(i == j % 2) for i in range(2) for j in range(4)])
    data = fmpq_mat(4, 2, [fmpq(int(i == j), 12) for i in range(4) for j in range(2)])
    return [first, second], data
