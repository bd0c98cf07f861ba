"""Inequalities between real numbers, proved for all of them.

Polynomial ones go to z3 (nonlinear real arithmetic, always with a time limit). Transcendental ones are proved on a
closed box by ball arithmetic with adaptive subdivision; a removable singularity at an end point is divided out by
hand first, and the step says how.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from fractions import Fraction

import z3
from flint import arb

from .balls import ball
from .ledger import Evidence, discharged, refuted, undecided

__all__ = [
    "choice",
    "closed_interval",
    "exp_tail",
    "for_all",
    "log_quotient",
    "nonnegative_on_box",
    "positive_series",
]

TIME_LIMIT_MS = 20_000

Claim = z3.BoolRef | z3.Probe | bool  # what z3 declares that its comparisons and connectives may give


def for_all(
    variables: str,
    claim: Callable[..., Claim],
    *,
    given: Callable[..., Sequence[Claim]] = lambda *_: (),
) -> Evidence:
    """Proof by z3 that the claim holds for all real values that satisfy the conditions.

    The conditions are also shown to be satisfiable, so that nothing is proved from a contradiction.

    >>> for_all("x y", lambda x, y: x * x + y * y >= 2 * x * y).status.value
    'DISCHARGED'
    >>> for_all("x", lambda x: x * x >= x).status.value
    'REFUTED'
    """
    symbols = [z3.Real(name) for name in variables.split()]
    conditions = list(given(*symbols))
    if _solve(conditions)[0] != z3.sat:
        return undecided("the conditions were not shown to be satisfiable")
    wanted = claim(*symbols)
    verdict, model = _solve([*conditions, z3.Not(wanted)])
    text = f"z3: for all real {', '.join(map(str, symbols))}"
    if verdict == z3.unsat:
        return discharged(text)
    if model is not None:
        point = ", ".join(f"{symbol} = {model.eval(symbol, model_completion=True)}" for symbol in symbols)
        return refuted(f"z3: fails at {point}")
    return undecided("z3 gave up within its time limit")


def _solve(conditions: Sequence[Claim]) -> tuple[z3.CheckSatResult, z3.ModelRef | None]:
    solver = z3.Solver()
    solver.set("timeout", TIME_LIMIT_MS)
    solver.set("random_seed", 0)
    solver.add(*conditions)
    verdict = solver.check()
    return verdict, solver.model() if verdict == z3.sat else None


def choice(condition: Claim, this: z3.ArithRef, that: z3.ArithRef | int) -> z3.ArithRef:
    """One number or the other; z3 declares that `If` may give anything that is not a number, too."""
    chosen = z3.If(condition, this, that)
    assert isinstance(chosen, z3.ArithRef)
    return chosen


def closed_interval(low: Fraction, high: Fraction) -> arb:
    """A ball that contains [low, high]."""
    return ball(low).union(ball(high))


def nonnegative_on_box(
    function: Callable[..., arb],
    box: Sequence[tuple[Fraction | int | str, Fraction | int | str]],
    *,
    most_boxes: int = 20_000,
) -> Evidence:
    """Proof by ball arithmetic that f ≥ 0 on a closed box, which is cut in two wherever the enclosure is too wide.

    REFUTED if f is certainly negative at the middle of some piece; OPEN if the pieces run out.

    >>> nonnegative_on_box(lambda x: x.exp() - 1 - x + arb("0.001"), [(-1, 1)]).status.value
    'DISCHARGED'
    >>> nonnegative_on_box(lambda x: x * x - arb("0.1"), [(-1, 1)]).status.value
    'REFUTED'
    """
    start = tuple((Fraction(low), Fraction(high)) for low, high in box)
    queue: list[tuple[float, int, tuple[tuple[Fraction, Fraction], ...]]] = [(0.0, 0, start)]
    pieces = 0
    while queue:
        _, _, piece = heapq.heappop(queue)
        pieces += 1
        if pieces > most_boxes:
            return undecided(f"ball arithmetic: {most_boxes} pieces were not enough")
        value = function(*(closed_interval(low, high) for low, high in piece))
        if value >= 0:
            continue
        middle = tuple((low + high) / 2 for low, high in piece)
        if function(*(ball(point) for point in middle)) < 0:
            point = ", ".join(f"{float(value):.6g}" for value in middle)
            return refuted(f"ball arithmetic: negative at ({point})")
        widths = [high - low for low, high in piece]
        axis = widths.index(max(widths))
        low, high = piece[axis]
        for half in ((low, middle[axis]), (middle[axis], high)):
            smaller = (*piece[:axis], half, *piece[axis + 1 :])
            heapq.heappush(queue, (-float(max(widths)), pieces * 2 + (half[0] > low), smaller))
    return discharged(f"ball arithmetic on the closed box, {pieces} pieces")


def exp_tail(x: arb, order: int) -> arb:
    """(e^x - Σ_{j<k} x^j/j!) / x^k, the removable singularity at 0 divided out: Σ_j x^j/(j+k)!.

    Near 0: 60 terms and a ball for the rest, which is below |x|^60/(60+k)! e^{|x|}. Elsewhere directly.

    >>> bool(abs(exp_tail(arb(0), 2) - arb("0.5")) < 1e-30)
    True
    """
    if abs(x) > 1:
        rest = x.exp() - sum((x**j / arb.fac_ui(j) for j in range(order)), start=arb(0))
        return rest / x**order
    total, power, terms = arb(0), arb(1), 60
    for j in range(terms):
        total += power / arb.fac_ui(j + order)
        power *= x
    rest = abs(power) / arb.fac_ui(terms + order) * abs(x).exp()
    return total + arb(0, rest.upper())


def log_quotient(w: arb) -> arb:
    """log(1+w)/w with the removable singularity at 0 divided out, for w > -1.

    >>> bool(abs(log_quotient(arb(0)) - 1) < 1e-30)
    True
    """
    if not w.contains(0):
        return w.log1p() / w
    if not abs(w) < 0.9:
        return (1 / (1 + w)).union(arb(1))  # mean value: between 1/(1+w) and 1
    total, power, terms = arb(0), arb(1), 200
    for j in range(terms):
        total += power / (j + 1)
        power *= -w
    rest = abs(power) / (1 - abs(w))
    return total + arb(0, rest.upper())


def positive_series(coefficient: Callable[[int], Fraction], ratio: str, *, terms: int = 40) -> Evidence:
    """Evidence that the first coefficients of a series are ≥ 0; `ratio` says why all later ones are.

    >>> positive_series(lambda j: Fraction(1, j + 1), "c_{j+1}/c_j = (j+1)/(j+2) > 0").holds
    True
    """
    for j in range(terms):
        if coefficient(j) < 0:
            return refuted(f"coefficient {j} is {coefficient(j)}")
    return discharged(f"coefficients ≥ 0: {terms} of them exactly, all by {ratio}")
