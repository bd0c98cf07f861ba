"""Rigorous numbers: exact rational matrices, and enclosures (Arb balls) of everything that is not rational.

Instances are exact (`fmpq_mat`); roots, logarithms and eigenvalues are enclosed, so no rounding can fake a pass.
Singular values are never taken: the Gram matrix's eigenvalues are.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import overload

from flint import acb_mat, arb, arb_mat, ctx, fmpq, fmpq_mat

from .ledger import Evidence, discharged, refuted, undecided

__all__ = [
    "at_most",
    "ball",
    "ball_matrix",
    "certainly_psd",
    "decided",
    "eigenvalues",
    "exactly_zero",
    "exponential",
    "frobenius_square",
    "identity",
    "logarithm",
    "meets",
    "rational",
    "root",
    "trace",
    "zeros",
]

PRECISION = 160
ctx.prec = PRECISION


def rational(value: int | str | Fraction | fmpq) -> fmpq:
    """An exact rational number.

    >>> rational("3/10") + 1
    13/10
    """
    if isinstance(value, fmpq):
        return value
    fraction = Fraction(value)
    return fmpq(fraction.numerator, fraction.denominator)


def ball(value: int | str | Fraction | fmpq | arb) -> arb:
    """An enclosure of a number."""
    return value if isinstance(value, arb) else arb(rational(value))


def ball_matrix(matrix: fmpq_mat | arb_mat) -> arb_mat:
    """An entrywise enclosure of an exact matrix."""
    return matrix if isinstance(matrix, arb_mat) else arb_mat(matrix)


def identity(size: int) -> fmpq_mat:
    """The identity matrix, exact."""
    return fmpq_mat(size, size, [int(i == j) for i in range(size) for j in range(size)])


def zeros(rows: int, cols: int) -> fmpq_mat:
    """A zero matrix, exact."""
    return fmpq_mat(rows, cols, [0] * (rows * cols))


@overload
def trace(matrix: fmpq_mat) -> fmpq: ...
@overload
def trace(matrix: arb_mat) -> arb: ...
def trace(matrix: fmpq_mat | arb_mat) -> fmpq | arb:
    """Σ_i A_ii."""
    return sum((matrix[i, i] for i in range(matrix.nrows())), start=fmpq(0))


@overload
def frobenius_square(matrix: fmpq_mat) -> fmpq: ...
@overload
def frobenius_square(matrix: arb_mat) -> arb: ...
def frobenius_square(matrix: fmpq_mat | arb_mat) -> fmpq | arb:
    """Σ_ij A_ij²."""
    return sum((entry * entry for entry in matrix.entries()), start=fmpq(0))


def exactly_zero(matrix: fmpq_mat) -> bool:
    """Whether every entry of a rational matrix is 0."""
    return all(entry == 0 for entry in matrix.entries())


def eigenvalues(matrix: fmpq_mat | arb_mat, *, seed: int = 0) -> list[arb]:
    """Enclosures of all eigenvalues of a symmetric matrix, ascending, repeats included.

    The k-th smallest of numbers enclosed in [a_i, b_i] lies between the k-th smallest a_i and the k-th smallest b_i.
    Matrices with exact repeats can defeat the isolation of clusters; a rational one is then conjugated by a random
    integer matrix, which leaves its spectrum alone.

    >>> [round(float(v), 6) for v in eigenvalues(fmpq_mat(3, 3, [2, 0, 0, 0, 2, 0, 0, 0, 3]))]
    [2.0, 2.0, 3.0]
    """
    size = matrix.nrows()
    if isinstance(matrix, fmpq_mat) and exactly_zero(matrix - matrix[0, 0] * identity(size)):
        return [ball(matrix[0, 0])] * size  # a multiple of the identity, which no conjugation would change
    try:
        found = acb_mat(ball_matrix(matrix)).eig(multiple=True)
    except ValueError:
        if not isinstance(matrix, fmpq_mat):
            raise
        rng = random.Random(seed)
        mixer = fmpq_mat(size, size, [rng.randint(-9, 9) for _ in range(size * size)])
        mixed = mixer.inv() * matrix * mixer
        found = acb_mat(ball_matrix(mixed)).eig(multiple=True)
    lows = sorted((arb(v.real.lower()) for v in found), key=float)
    highs = sorted((arb(v.real.upper()) for v in found), key=float)
    return [low.union(high) for low, high in zip(lows, highs)]


def certainly_psd(matrix: fmpq_mat | arb_mat, *, strictly: bool = False) -> bool | None:
    """True if the symmetric matrix is certainly positive (semi-)definite, False if certainly not, None if undecided.

    A rational matrix is decided exactly, by LDLᵀ with diagonal pivots: it is PSD iff at each step a positive pivot can
    be taken or what is left is 0.

    >>> certainly_psd(fmpq_mat(2, 2, [1, 1, 1, 1])), certainly_psd(fmpq_mat(2, 2, [1, 2, 2, 1]))
    (True, False)
    """
    if isinstance(matrix, fmpq_mat):
        return _exactly_psd(matrix, strictly=strictly)
    smallest = eigenvalues(matrix)[0]
    if smallest > 0:
        return True
    return False if smallest < 0 else None


def _exactly_psd(matrix: fmpq_mat, *, strictly: bool) -> bool:
    rows = [list(row) for row in matrix.tolist()]
    left = list(range(len(rows)))
    while left:
        pivots = [i for i in left if rows[i][i] > 0]
        if any(rows[i][i] < 0 for i in left):
            return False
        if not pivots:
            rest_is_zero = all(rows[i][j] == 0 for i in left for j in left)
            return rest_is_zero and not strictly
        p = pivots[0]
        left.remove(p)
        for i in left:
            factor = rows[i][p] / rows[p][p]
            if factor != 0:
                for j in left:
                    rows[i][j] -= factor * rows[p][j]
    return True


def _approximate_function(matrix: arb_mat, function) -> arb_mat:
    """A symmetric, exact (radius 0) matrix near f(A); nothing is claimed about how near.

    A perturbation far below the working precision's use splits repeated eigenvalues, whose vectors an approximate
    method may return nearly parallel; more digits keep the split ones apart.
    """
    size = matrix.nrows()
    with ctx.workprec(3 * PRECISION):
        tiny = arb(2) ** (-PRECISION + 10) * abs(ball(trace(matrix)))
        noise = [((i * i + j * j) * 2654435761 % 1009) for i in range(size) for j in range(size)]
        split = matrix.mid() + arb_mat(size, size, noise) * tiny / 1009
        values, vectors = acb_mat(split).eig(right=True, algorithm="approx")
        diagonal = acb_mat(size, size)
        for i, value in enumerate(values):
            diagonal[i, i] = function(value.real.mid())
        near = (vectors * diagonal * vectors.inv()).real.mid()
        return ((near + near.transpose()) / 2).mid()


def _norm_above(matrix: arb_mat) -> arb:
    """An upper bound of ‖A‖₂: the sum of the entries' magnitudes."""
    return sum((arb(entry.abs_upper()) for entry in matrix.entries()), start=arb(0))


def _widen(matrix: arb_mat, radius: arb) -> arb_mat:
    spread = arb(0, radius.upper())
    return arb_mat(matrix.nrows(), matrix.ncols(), [entry + spread for entry in matrix.entries()])


def root(matrix: fmpq_mat | arb_mat, degree: int) -> arb_mat:
    """An enclosure of the positive root A^{1/q} of a symmetric positive definite matrix.

    A float guess B is certified: with m below the spectra of A and B^q, ‖A^{1/q} - B‖ ≤ m^{1/q-1}/q ‖A - B^q‖,
    because x ↦ x^{1/q} is operator monotone (Löwner-Heinz; its Fréchet derivative is largest at m). No eigenvector
    has to be isolated, so repeated eigenvalues are no obstacle.

    >>> print(root(fmpq_mat(1, 1, [8]), 3)[0, 0].str(5, radius=False))
    2.0000
    """
    exact = ball_matrix(matrix)
    if degree == 1:
        return exact
    exponent = ball(Fraction(1, degree))
    guess = _approximate_function(exact, lambda value: value**exponent)
    error = _norm_above(_power(guess, degree) - exact)
    lowest = arb(eigenvalues(matrix)[0].lower()) - error
    if not lowest > 0:
        raise ValueError(f"a root needs a positive definite matrix; lowest eigenvalue {lowest}")
    return _widen(guess, error * lowest ** (exponent - 1) * exponent)


def logarithm(matrix: fmpq_mat | arb_mat) -> arb_mat:
    """An enclosure of log A of a symmetric positive definite matrix; the logarithm is operator monotone as well.

    >>> print(logarithm(fmpq_mat(1, 1, [1]))[0, 0].str(5, radius=False))
    0
    """
    exact = ball_matrix(matrix)
    guess = _approximate_function(exact, lambda value: value.log())
    error = _norm_above(guess.exp() - exact)
    lowest = arb(eigenvalues(matrix)[0].lower()) - error
    if not lowest > 0:
        raise ValueError(f"a logarithm needs a positive definite matrix; lowest eigenvalue {lowest}")
    return _widen(guess, error / lowest)


def exponential(matrix: arb_mat) -> arb_mat:
    """An enclosure of e^A."""
    return matrix.exp()


def _power(matrix: arb_mat, exponent: int) -> arb_mat:
    result = ball_matrix(identity(matrix.nrows()))
    for _ in range(exponent):
        result = result * matrix
    return result


def at_most(triples: Iterable[tuple[str, arb | fmpq, arb | fmpq]], *, noun: str = "instances") -> Evidence:
    """Evidence for `value ≤ bound` on every (name, value, bound).

    DISCHARGED if every ball lies on the right side, REFUTED if one lies strictly on the wrong side, OPEN if a ball
    straddles. Exact numbers may be equal. The slack is (bound - value) / |bound|.

    >>> at_most([("a", fmpq(1), fmpq(2)), ("b", fmpq(1), fmpq(1))]).slack
    0.0
    >>> at_most([("a", fmpq(2), fmpq(1))]).status.value
    'REFUTED'
    """
    smallest: float | None = None
    tightest = unclear = ""
    count = 0
    for name, value, bound in triples:
        count += 1
        room = bound - value
        if room < 0:
            return refuted(f"{name}: {_show(value)} > {_show(bound)}")
        if not room >= 0:
            unclear = unclear or f"{name}: {_show(value)} against {_show(bound)}: the balls overlap"
            continue
        scale = abs(ball(bound))
        if scale > 0:
            slack = max(float((ball(room) / scale).lower()), 0.0)
            if smallest is None or slack < smallest:
                smallest, tightest = slack, name
    if unclear:
        return undecided(unclear)
    if not count:
        return undecided(f"no {noun} were tried")
    where = "" if smallest is None else f", tightest at {tightest}"
    return discharged(f"{count} {noun}{where}", slack=smallest)


def meets(pairs: Iterable[tuple[str, arb | fmpq, arb | fmpq]], *, noun: str, width: float = 1e-20) -> Evidence:
    """Evidence for `this = that` on every (name, this, that) from enclosures: they meet and are narrower than `width`.

    REFUTED if two enclosures are disjoint, OPEN if one is too wide to say anything. Meeting enclosures prove no
    equality: the step that says why the sides are equal is another one, and this one guards it against slips.

    >>> meets([("a", arb(2).sqrt() ** 2, fmpq(2))], noun="numbers").holds
    True
    """
    count = 0
    for name, this, that in pairs:
        count += 1
        gap = ball(this) - ball(that)
        if not gap.contains(0):
            return refuted(f"{name}: {_show(this)} is not {_show(that)}")
        if not gap.rad() < width:
            return undecided(f"{name}: the enclosures are too wide")
    if not count:
        return undecided(f"no {noun} were tried")
    return discharged(f"{count} {noun}, both sides enclosed to {width:g}")


def decided(name: str, truth: bool | None) -> tuple[str, fmpq, fmpq]:
    """A yes-or-no question as a comparison: 0 ≤ 0 if it is certainly so, 1 ≤ 0 if not."""
    return name, fmpq(0 if truth else 1), fmpq(0)


def _show(value: arb | fmpq) -> str:
    return ball(value).str(12, radius=False)


def column(values: Sequence[fmpq | arb]) -> fmpq_mat | arb_mat:
    """A column vector."""
    exact = [value for value in values if isinstance(value, fmpq)]
    if len(exact) == len(values):
        return fmpq_mat(len(values), 1, exact)
    return arb_mat(len(values), 1, list(values))
