"""The rewriting engine proves what is true and nothing else."""

import pytest
import sympy as sp
from flint import fmpq_mat

from proofs_check.ledger import Status
from proofs_check.rewriting import ANY, Algebra, Instance, ShapeError


def _gram():
    algebra = Algebra()
    X = algebra.symbol("X", "d", "N")
    G = algebra.symbol("G", "N", "N", functional=True)
    algebra.rule(algebra.T(X) * X, G, "G = XᵀX")
    x = fmpq_mat(3, 2, [1, 2, 0, 1, 1, 1])
    return algebra, X, G, Instance(matrices={"X": x, "G": x.transpose() * x}, name="3 × 2")


def test_a_projection_is_proved():
    algebra, X, G, instance = _gram()
    projector = X * G**-1 * algebra.T(X)
    evidence = algebra.proves(projector * projector, projector, instances=[instance])
    assert evidence.status is Status.DISCHARGED
    assert "G = XᵀX" in evidence.text


@pytest.mark.parametrize("power", [0, -2, 1])
def test_a_wrong_power_is_refuted_by_the_instance(power):
    algebra, X, G, instance = _gram()
    wrong = X * G**power * algebra.T(X)
    assert algebra.proves(wrong * wrong, wrong, instances=[instance]).status is Status.REFUTED


def test_a_false_identity_without_an_instance_stays_open():
    algebra, X, G, _ = _gram()
    assert algebra.proves(X * G**-1 * algebra.T(X), sp.Integer(1)).status is Status.OPEN


def test_noncommuting_letters_do_not_commute():
    algebra = Algebra()
    A, B = algebra.symbol("A", "n", "n"), algebra.symbol("B", "n", "n")
    a, b = fmpq_mat(2, 2, [0, 1, 0, 0]), fmpq_mat(2, 2, [0, 0, 1, 0])
    instance = Instance(matrices={"A": a, "B": b}, name="nilpotent")
    assert algebra.proves(A * B, B * A, instances=[instance]).status is Status.REFUTED
    assert algebra.proves(A * B, B * A, trace=True, instances=[instance]).status is Status.DISCHARGED


def test_a_trace_of_three_letters_is_cyclic_but_not_symmetric():
    algebra = Algebra()
    A, B, C = (algebra.symbol(name, "n", "n") for name in "ABC")
    assert algebra.is_zero(A * B * C - C * A * B, trace=True)
    assert not algebra.is_zero(A * B * C - B * A * C, trace=True)
    assert algebra.is_zero(A * B * C - algebra.T(A * B * C), trace=True)


def test_rules_that_an_instance_contradicts_are_noticed():
    algebra, X, _, instance = _gram()
    algebra.rule(X * algebra.T(X), sp.Integer(1), "XXᵀ = I")  # false for the 3 × 2 instance
    evidence = algebra.proves(X * algebra.T(X), sp.Integer(1), instances=[instance])
    assert evidence.status is Status.OPEN
    assert "no model" in evidence.text


def test_functional_calculus_adds_exponents():
    algebra = Algebra()
    H = algebra.symbol("H", "K", "K", functional=True)
    U = algebra.symbol("U", "K", "K")
    S = algebra.symbol("S", "K", "K", functional=True)
    algebra.rule(U * S**ANY * algebra.T(U), H**ANY, "H = USUᵀ")
    a, b = sp.symbols("a b")
    assert algebra.is_zero(H**a * H**b - H ** (a + b))
    assert algebra.is_zero(U * S ** (a / b) * algebra.T(U) - H ** (a / b))
    assert not algebra.is_zero(H**a * H**b - H ** (a * b))


def test_products_of_wrong_shape_are_refused():
    algebra, X, _, _ = _gram()
    with pytest.raises(ShapeError):
        algebra.normal_form(X * X)


def test_rewriting_that_never_ends_is_stopped():
    algebra = Algebra()
    A, B = algebra.symbol("A", "n", "n", symmetric=True), algebra.symbol("B", "n", "n", symmetric=True)
    algebra.rule(A * B, B * A, "commute", transposed=True)
    with pytest.raises(RuntimeError):
        algebra.normal_form(A * B * A)
