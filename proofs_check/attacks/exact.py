"""Exact and enclosed numbers shared by the attacks."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, fmpq, fmpq_mat

__all__ = ["exact_matrix", "float_ball", "integer_power", "largest_cosine_ball"]


def exact_matrix(array: Any) -> Any:
    """A float64 matrix as the rational matrix that it is."""
    rows, columns = np.shape(array)
    fractions = [Fraction(float(value)) for value in np.asarray(array).ravel()]
    return fmpq_mat(rows, columns, [fmpq(f.numerator, f.denominator) for f in fractions])


def float_ball(value: Any) -> Any:
    """A float64 as the ball of radius 0 that it is."""
    return arb(float(value))


def integer_power(matrix: Any, exponent: int) -> Any:
    """A^p for p ≥ 1."""
    result = matrix
    for _ in range(exponent - 1):
        result = result * matrix
    return result


def largest_cosine_ball(gram: Any) -> Any:
    """max_{k≠k'} G_kk' / √(G_kk G_k'k'), enclosed."""
    K = gram.nrows()
    best = None
    for i in range(K):
        for j in range(i):
            cosine = gram[i, j] / (gram[i, i] * gram[j, j]).sqrt()
            best = cosine if best is None else best.max(cosine)
    return best
