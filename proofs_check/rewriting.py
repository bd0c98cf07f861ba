"""Proofs of matrix identities for every size: normal forms of words over noncommuting symbols.

An `Algebra` holds symbols with shapes and oriented rules `word → expression`, one for each assumption. Two expressions
are equal if the difference has normal form 0. Every rewriting step replaces equals by equals, so a proof is sound
whatever the order of steps; termination is enforced by a limit. Rules that contradicted each other would prove
anything: `Algebra.holds_on` therefore evaluates every rule, and the identity, on an exact rational instance.

`functional` symbols stand for positive definite matrices with real powers: H^a H^b = H^{a+b} (functional calculus).
All other letters have no powers. SymPy carries the coefficients, the exponents and the noncommutative products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count as counter

import sympy as sp
from flint import fmpq, fmpq_mat

from .balls import exactly_zero, identity
from .ledger import Evidence, discharged, refuted, undecided

__all__ = ["ANY", "Algebra", "Instance", "Letter", "ShapeError"]

ANY = sp.Symbol("s", commutative=True)
"""In the left side of a rule: every exponent; the right side may use it."""

MOST_STEPS = 20_000

Word = tuple[tuple[sp.Symbol, sp.Expr], ...]
Letter = sp.Symbol


class ShapeError(ValueError):
    """A product of matrices whose inner sizes differ."""


@dataclass(frozen=True)
class _Rule:
    left: Word
    right: sp.Expr
    name: str


@dataclass(frozen=True, kw_only=True)
class Instance:
    """Exact rational matrices for the symbols of an algebra, and numbers for its scalars.

    Args:
        matrices: symbol name to matrix; transposes are derived.
        powers: symbol name to a function of the exponent, for functional symbols with fractional powers.
        scalars: SymPy scalar to a rational number.
        name: for the report.
    """

    matrices: Mapping[str, fmpq_mat]
    powers: Mapping[str, Callable[[sp.Rational], fmpq_mat]] = field(default_factory=dict)
    scalars: Mapping[sp.Symbol, sp.Expr] = field(default_factory=dict)
    name: str = "instance"


class Algebra:
    """Noncommuting symbols with shapes, and the rules that the assumptions give.

    >>> algebra = Algebra()
    >>> A = algebra.symbol("A", "m", "n")
    >>> G = algebra.symbol("G", "n", "n", functional=True)
    >>> algebra.rule(algebra.T(A) * A, G, "Gram matrix")
    >>> algebra.is_zero(algebra.T(A) * A * G**-1 - 1)
    True
    >>> algebra.is_zero(A * G**-1 * algebra.T(A) - 1)
    False
    """

    def __init__(self) -> None:
        self._shape: dict[sp.Symbol, tuple[str, str]] = {}
        self._transpose: dict[sp.Symbol, sp.Symbol] = {}
        self._functional: set[sp.Symbol] = set()
        self.rules: list[_Rule] = []
        self._used: dict[str, None] = {}

    def symbol(
        self, name: str, rows: str, cols: str, *, symmetric: bool = False, functional: bool = False
    ) -> sp.Symbol:
        """A matrix symbol; a functional one is symmetric positive definite and has real powers."""
        letter = sp.Symbol(name, commutative=False)
        self._shape[letter] = (rows, cols)
        if functional:
            self._functional.add(letter)
        if symmetric or functional:
            self._transpose[letter] = letter
        else:
            other = sp.Symbol(name + "ᵀ", commutative=False)
            self._shape[other] = (cols, rows)
            self._transpose[letter], self._transpose[other] = other, letter
        return letter

    def rule(self, left: sp.Expr, right: sp.Expr, name: str, *, transposed: bool = True) -> None:
        """Adds `left → right` and its transpose; `left` is one word, whose exponents may be `ANY`.

        A rule that only sorts commuting letters goes without its transpose, which would undo it for ever.
        """
        for this, that in ((left, right), (self.T(left), self.T(right)))[: 2 if transposed else 1]:
            ((word, coefficient),) = self._words(sp.sympify(this)).items()
            if coefficient != 1:
                raise ValueError(f"the left side of a rule is one word, not {this}")
            rule = _Rule(word, sp.sympify(that), name)
            if rule not in self.rules:
                self.rules.append(rule)

    def T(self, expression: sp.Expr) -> sp.Expr:
        """The transpose: words reversed, letters transposed."""
        total = sp.Integer(0)
        for word, coefficient in self._words(sp.sympify(expression)).items():
            product = coefficient
            for letter, exponent in reversed(word):
                product = product * self._transpose[letter] ** exponent
            total += product
        return total

    def normal_form(self, expression: sp.Expr) -> sp.Expr:
        """The expression with rules applied until none applies."""
        return self._expression(self._reduce(self._words(sp.sympify(expression))))

    def trace_form(self, expression: sp.Expr) -> sp.Expr:
        """The same for the trace: words are equal when they are cyclic rotations or transposes of each other."""
        todo = self._reduce(self._words(sp.sympify(expression)))
        for _ in range(MOST_STEPS):
            best: dict[Word, sp.Expr] = {}
            changed = False
            for word, coefficient in todo.items():
                rotated, again = self._rotate(word)
                changed |= again
                best[rotated] = _tidy(best.get(rotated, 0) + coefficient)
            reduced = self._reduce({w: c for w, c in best.items() if c != 0})
            if reduced == todo and not changed:
                return self._expression(todo)
            todo = reduced
        raise RuntimeError("trace rewriting did not end")

    def is_zero(self, expression: sp.Expr, *, trace: bool = False) -> bool:
        """Whether the normal form is 0."""
        return (self.trace_form if trace else self.normal_form)(expression) == 0

    def proves(
        self,
        left: sp.Expr,
        right: sp.Expr,
        *,
        trace: bool = False,
        instances: Sequence[Instance] = (),
    ) -> Evidence:
        """Evidence for `left = right` at every size, with the rules shown to be consistent on exact instances.

        OPEN if the normal forms differ and no instance separates the sides; REFUTED if one does.
        """
        self._used.clear()
        difference = sp.sympify(left) - sp.sympify(right)
        rest = (self.trace_form if trace else self.normal_form)(difference)
        used = list(self._used)
        for instance in instances:
            for rule in self.rules:
                word = self._expression({rule.left: sp.Integer(1)})
                if word.has(ANY):
                    pairs = [(word.subs(ANY, s), rule.right.subs(ANY, s)) for s in (2, -2, 4)]
                else:
                    pairs = [(word, rule.right)]
                for this, that in pairs:
                    if not exactly_zero(self._value(this - that, instance)):
                        return undecided(f"rule '{rule.name}' fails on {instance.name}: the instance is no model")
            if trace:
                wrong = self._trace_value(difference, instance) != 0
            else:
                wrong = not exactly_zero(self._value(difference, instance))
            if wrong:
                return refuted(f"exact rational {instance.name}: the sides differ")
        if rest != 0:
            return undecided(f"normal form of the difference: {sp.sstr(rest)[:200]}")
        by = f", by {', '.join(used)}" if used else ""
        seen = f"; exact on {', '.join(i.name for i in instances)}" if instances else ""
        return discharged(f"one normal form for every size{by}{seen}")

    # --- words -------------------------------------------------------------------------------------------------

    def _words(self, expression: sp.Expr) -> dict[Word, sp.Expr]:
        total: dict[Word, sp.Expr] = {}
        for term in sp.Add.make_args(sp.expand(expression, power_base=False, power_exp=False, log=False)):
            scalars, letters = term.args_cnc()
            word: list[tuple[sp.Symbol, sp.Expr]] = []
            for factor in letters:
                base, exponent = factor.as_base_exp()
                if base in self._functional:
                    word.append((base, exponent))
                elif base in self._shape and exponent.is_Integer and exponent > 0:
                    word.extend([(base, sp.Integer(1))] * int(exponent))
                else:
                    raise ValueError(f"{factor} is no product of declared symbols")
            key = self._merge(word)
            total[key] = _tidy(total.get(key, sp.Integer(0)) + sp.Mul(*scalars))
        return {word: c for word, c in total.items() if c != 0}

    def _merge(self, word: Sequence[tuple[sp.Symbol, sp.Expr]]) -> Word:
        merged: list[tuple[sp.Symbol, sp.Expr]] = []
        for letter, exponent in word:
            if merged and merged[-1][0] == letter and letter in self._functional:
                exponent = merged.pop()[1] + exponent
            exponent = sp.expand(exponent)
            if exponent != 0:
                merged.append((letter, exponent))
        for (left, _), (right, _) in zip(merged, merged[1:]):
            if self._shape[left][1] != self._shape[right][0]:
                raise ShapeError(f"{left} is {self._shape[left]}, {right} is {self._shape[right]}")
        return tuple(merged)

    def _expression(self, words: Mapping[Word, sp.Expr]) -> sp.Expr:
        return sp.Add(*(sp.Mul(c, *(b**e for b, e in word)) for word, c in words.items()))

    def _reduce(self, words: Mapping[Word, sp.Expr]) -> dict[Word, sp.Expr]:
        todo, done = dict(words), {}
        for step in counter():
            if not todo:
                return {word: c for word, c in done.items() if c != 0}
            if step > MOST_STEPS:
                raise RuntimeError("rewriting did not end")
            word, coefficient = todo.popitem()
            found = self._rewrite(word)
            if found is None:
                done[word] = _tidy(done.get(word, sp.Integer(0)) + coefficient)
                continue
            for new, factor in found.items():
                todo[new] = _tidy(todo.get(new, sp.Integer(0)) + coefficient * factor)
        raise AssertionError

    def _rewrite(self, word: Word) -> dict[Word, sp.Expr] | None:
        for rule in self.rules:
            size = len(rule.left)
            for start in range(len(word) - size + 1):
                bound = _match(rule.left, word[start : start + size])
                if bound is None:
                    continue
                self._used[rule.name] = None
                right = rule.right if bound is True else rule.right.subs(ANY, bound)
                middle = self._words(right)
                return {self._merge([*word[:start], *part, *word[start + size :]]): c for part, c in middle.items()}
        return None

    def _rotate(self, word: Word) -> tuple[Word, bool]:
        """The smallest cyclic rotation, transposes included; says whether ends were merged."""
        if len(word) > 1 and word[0][0] == word[-1][0] and word[0][0] in self._functional:
            joined = self._merge([(word[0][0], word[0][1] + word[-1][1]), *word[1:-1]])
            return joined, True
        turns = []
        flipped = tuple((self._transpose[b], e) for b, e in reversed(word))
        for this in (word, flipped):
            turns += [this[i:] + this[:i] for i in range(len(this))] or [this]
        for turn in turns:
            if self._rewrite(turn) is not None:
                return turn, True
        return min(turns, key=lambda w: [(str(b), str(e)) for b, e in w]), False

    # --- exact evaluation --------------------------------------------------------------------------------------

    def _value(self, expression: sp.Expr, instance: Instance) -> fmpq_mat:
        words = self._words(sp.sympify(expression).subs(list(instance.scalars.items())))
        shapes = {(self._shape[w[0][0]][0], self._shape[w[-1][0]][1]) for w in words if w}
        if len(shapes) > 1:
            raise ShapeError(f"terms of different shapes: {shapes}")
        size = self._size(next(iter(shapes))[0], instance) if shapes else 1
        cols = self._size(next(iter(shapes))[1], instance) if shapes else 1
        total = fmpq_mat(size, cols, [0] * (size * cols))
        for word, coefficient in words.items():
            number = sp.nsimplify(coefficient.subs(list(instance.scalars.items())))
            if not number.is_Rational:
                raise ValueError(f"coefficient {coefficient} is not rational on {instance.name}")
            product = identity(size)
            for letter, exponent in word:
                product = product * self._letter(letter, exponent, instance)
            total = total + fmpq(int(number.p), int(number.q)) * product
        return total

    def _trace_value(self, expression: sp.Expr, instance: Instance) -> fmpq:
        """The trace term by term: cyclic forms of one trace may have different shapes."""
        total = fmpq(0)
        for word, coefficient in self._words(sp.sympify(expression)).items():
            value = self._value(self._expression({word: coefficient}), instance)
            total += sum((value[i, i] for i in range(value.nrows())), start=fmpq(0))
        return total

    def _size(self, dimension: str, instance: Instance) -> int:
        for letter, (rows, cols) in self._shape.items():
            if str(letter) in instance.matrices:
                matrix = instance.matrices[str(letter)]
                if rows == dimension:
                    return matrix.nrows()
                if cols == dimension:
                    return matrix.ncols()
        raise ValueError(f"no matrix of {instance.name} has dimension {dimension}")

    def _letter(self, letter: sp.Symbol, exponent: sp.Expr, instance: Instance) -> fmpq_mat:
        name = str(letter)
        exponent = sp.nsimplify(sp.sympify(exponent).subs(list(instance.scalars.items())))
        if name in instance.powers:
            return instance.powers[name](exponent)
        if name not in instance.matrices:
            return instance.matrices[str(self._transpose[letter])].transpose()
        matrix = instance.matrices[name]
        if not exponent.is_Integer:
            raise ValueError(f"{name}^{exponent} is not known on {instance.name}")
        base = matrix if exponent > 0 else matrix.inv()
        product = identity(matrix.nrows())
        for _ in range(abs(int(exponent))):
            product = product * base
        return product


def _tidy(coefficient: sp.Expr) -> sp.Expr:
    return sp.expand(sp.powsimp(coefficient)) if coefficient.free_symbols else coefficient


def _match(pattern: Word, word: Word) -> sp.Expr | bool | None:
    bound: sp.Expr | bool = True
    for (wanted, power), (letter, exponent) in zip(pattern, word):
        if wanted != letter:
            return None
        if power == ANY:
            if bound is not True and sp.expand(bound - exponent) != 0:
                return None
            bound = exponent
        elif sp.expand(power - exponent) != 0:
            return None
    return bound
