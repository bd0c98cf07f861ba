"""Printed formulas are the formulas: parsed back and evaluated, they give the closed forms."""

import math

import pytest
import sympy as sp

from pnc.errors import InvalidInputError
from pnc.theory.symbolic import symbolic_prediction


def _closed(text: str) -> sp.Expr:
    line = next(line for line in text.splitlines() if "C_l" in line)
    return sp.sympify(line.split("=", 1)[1])


@pytest.mark.parametrize(
    ("K", "n", "L", "eps", "alpha"), [(3, 10, 6, 0.3, 1.0), (2, 4, 2, 0.1, 2.5), (10, 7, 8, 1.5, 0.5)]
)
def test_substituted_numbers_give_the_closed_form(K, n, L, eps, alpha):
    formula = _closed(symbolic_prediction(K, n, L, eps, alpha, substitute=True))
    for layer in range(L):
        expected = (n - 1) * K / (K - 1) * (eps**2 / (n / alpha**2) ** (1 / L)) ** layer
        assert math.isclose(float(formula.subs("l", layer)), expected, rel_tol=1e-12)


def test_letters_stay_without_substitution():
    formula = _closed(symbolic_prediction(3, 10, 6, 0.3, 1))
    assert {str(symbol) for symbol in formula.free_symbols} == {"K", "n", "L", "l", "epsilon", "alpha"}
    values = {"K": 3, "n": 10, "L": 6, "l": 2, "epsilon": sp.Rational(3, 10), "alpha": 1}
    assert math.isclose(float(formula.subs(values)), 13.5 * (0.09 / 10 ** (1 / 6)) ** 2, rel_tol=1e-12)


def test_latex_has_every_line_and_balanced_braces():
    text = symbolic_prediction(3, 10, 6, 0.3, 2, substitute=True, latex=True)
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert [line.split(" = ")[0] for line in lines] == ["C_l", "D_l", "Q_l", "C_l", "D_l"]
    assert all(line.count("{") == line.count("}") for line in lines)


@pytest.mark.parametrize(
    "bad", [dict(K=1), dict(K=2.5), dict(n=0), dict(L=1), dict(eps=0.0), dict(eps=float("nan")), dict(alpha=-1.0)]
)
def test_numbers_out_of_range_are_refused(bad):
    with pytest.raises(InvalidInputError):
        symbolic_prediction(**bad)
