"""The formulas of T2 as text or LaTeX, with given numbers left as symbols or put in."""

from __future__ import annotations

import math
from fractions import Fraction

from pnc.errors import InvalidInputError

__all__ = ["symbolic_prediction"]


def symbolic_prediction(
    K: int | None = None,
    n: int | None = None,
    L: int | None = None,
    eps: float | None = None,
    alpha: float | None = None,
    *,
    substitute: bool = False,
    latex: bool = False,
) -> str:
    """C_l and D_l as formulas: orthonormal data in closed form, and any data with G invertible (theory note, T2).

        orthonormal, equal classes:  C_l = (n-1) K/(K-1) (ε²/(n/α²)^{1/L})^l,   D_l = 1
        equal classes:               Q_l = H^{l/L-1}/α² + ε^{2l} (Q_0 - H⁻¹/α²),
                                     C_l = ε^{2l} tr Σ_W⁰ / [(tr Q_l - 1ᵀQ_l1/K)/K],
                                     D_l = 1 - max (Q_l)_kk' / √((Q_l)_kk (Q_l)_k'k')

    Args:
        K: number of classes, at least 2.
        n: samples in each class, at least 1.
        L: number of weight matrices, the classifier included, at least 2.
        eps: residual scale ε.
        alpha: label scale α.
        substitute: put in the numbers that were given; without it they are only checked, and every letter stays.
        latex: LaTeX in place of plain text.

    Returns:
        One formula a line; dimensionless quantities, l = 0 … L-1 stays a symbol.

    Raises:
        InvalidInputError: a number out of range.

    >>> print(symbolic_prediction())
    orthonormal data:
      C_l = K*(epsilon**2*(alpha**2/n)**(1/L))**l*(n - 1)/(K - 1)
      D_l = 1
    G invertible, H = Y G^-1 Y^T/alpha^2, Q_0 the Gram matrix of the input's class means:
      Q_l = epsilon**(2*l)*((-1/alpha**2)*H**(-1) + Q_0) + alpha**(-2)*H**(-1 + l/L)
      C_l = K*Sigma_W0*epsilon**(2*l)/(Trace(Q_l) - ones(Q_l)/K)
      D_l = 1 - Max(Q_l[k, k']/sqrt(Q_l[k, k]*Q_l[k', k']) for k != k')
      where Sigma_W0 = tr Sigma_W at layer 0, ones(Q) = sum of all entries of Q
    >>> print(symbolic_prediction(3, 10, 6, 0.3, 1, substitute=True).splitlines()[1])
      C_l = 27*(9*10**(5/6)/1000)**l/2
    """
    import sympy as sp  # slow to import, and only this command needs it

    _check("K", K, 2)
    _check("n", n, 1)
    _check("L", L, 2)
    _check("epsilon", eps, None)
    _check("alpha", alpha, None)

    symbols = dict(zip("KnLea", sp.symbols("K n L epsilon alpha", positive=True)))
    value = {
        name: symbol if not substitute or number is None else _rational(sp, number)
        for (name, symbol), number in zip(symbols.items(), (K, n, L, eps, alpha))
    }
    classes, size, depth, scale, label = (value[name] for name in "KnLea")
    l = sp.Symbol("l", nonnegative=True, integer=True)
    rate = sp.powsimp(scale**2 * (size / label**2) ** (-1 / depth))
    closed = (size - 1) * classes / (classes - 1) * rate**l

    order = classes if classes.is_Integer else sp.Symbol("K", positive=True, integer=True)
    H, Q, first = (sp.MatrixSymbol(name, order, order) for name in ("H", "Q_l", "Q_0"))
    power = sp.MatPow(H, l / depth - 1)
    means = power / label**2 + scale ** (2 * l) * (first - H.inv() / label**2)
    within, total = sp.Symbol("Sigma_W0", positive=True), sp.Symbol("ones(Q_l)")
    if latex:
        within, total = sp.Symbol(r"\operatorname{tr}\Sigma_W^{0}"), sp.Symbol(r"\mathbf{1}^{\top}Q_l\mathbf{1}")
    compression = scale ** (2 * l) * within * classes / (sp.Trace(Q) - total / classes)

    if latex:
        show = sp.latex
        return "\n".join(
            [
                r"% orthonormal data",
                rf"C_l = {show(closed)}",
                r"D_l = 1",
                r"% G invertible, H = Y G^{-1} Y^\top / \alpha^2, Q_0 the Gram matrix of the input's class means",
                rf"Q_l = {show(means)}",
                rf"C_l = {show(compression)}",
                r"D_l = 1 - \max_{k \neq k'} \frac{(Q_l)_{kk'}}{\sqrt{(Q_l)_{kk} (Q_l)_{k'k'}}}",
            ]
        )
    return "\n".join(
        [
            "orthonormal data:",
            f"  C_l = {closed}",
            "  D_l = 1",
            "G invertible, H = Y G^-1 Y^T/alpha^2, Q_0 the Gram matrix of the input's class means:",
            f"  Q_l = {means}",
            f"  C_l = {compression}",
            "  D_l = 1 - Max(Q_l[k, k']/sqrt(Q_l[k, k]*Q_l[k', k']) for k != k')",
            "  where Sigma_W0 = tr Sigma_W at layer 0, ones(Q) = sum of all entries of Q",
        ]
    )


def _check(name: str, number: float | None, least: int | None) -> None:
    if number is None:
        return
    if least is not None and (number != int(number) or number < least):
        raise InvalidInputError(
            got=f"{name} = {number}",
            expected=f"a whole number, {least} or more",
            next_step=f"pass for instance {name} = {least}",
        )
    if not (math.isfinite(number) and number > 0):
        raise InvalidInputError(
            got=f"{name} = {number}", expected="a finite number above 0", next_step=f"pass for instance {name} = 0.3"
        )


def _rational(sp, number: float):
    """The decimal number that was typed, exactly: 0.3 is 3/10."""
    fraction = Fraction(str(number))
    return sp.Rational(fraction.numerator, fraction.denominator)
