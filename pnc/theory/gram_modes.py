"""What the theory needs of inputs of which only the Gram matrix G = X Xᵀ (N, N) is known; it is never decomposed.

By T1 and T2 the labels ask for `G⁻¹Yᵀ` and `G Yᵀ` alone, K columns each; the bounds ask for the two ends of the
spectrum as well. So G is only ever multiplied by a few vectors: conjugate gradients and Lanczos, O(N²) a step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float

from pnc.data import GramProblem
from pnc.errors import InvalidInputError
from pnc.theory.class_factor import class_sums

__all__ = ["GramModes", "gram_modes"]

UNIT_ROUNDOFF = float(np.finfo(np.float64).eps)
_DENSE = 512  # samples up to which all eigenvalues are computed
_ROWS = 256  # rows of G looked at together
_STEPS = 1000


@dataclass(frozen=True, kw_only=True, eq=False)
class GramModes:
    """Of an invertible Gram matrix, what every statement about a layer is made of.

    Args:
        gram_smallest: smallest eigenvalue of G, squared feature norm.
        gram_largest: largest.
        largest_deviation: `max |G - I|` over all entries.
        label_gram: (K, K) `Y G⁻¹ Yᵀ`, which is α² M Mᵀ.
        label_weights: (N, K) `G⁻¹Yᵀ`: `Xᵀ G⁻¹Yᵀ` is where the labels lie in the inputs.
        mean_products: (N, K) products of every sample with every class mean, `G Yᵀ D⁻¹`, D the class sizes.
        within: tr Σ_W of the inputs.
        counts: (K,) class sizes.
        dimension: d.
    """

    gram_smallest: float
    gram_largest: float
    largest_deviation: float
    label_gram: Float[np.ndarray, "K K"]
    label_weights: Float[np.ndarray, "N K"]
    mean_products: Float[np.ndarray, "N K"]
    within: float
    counts: np.ndarray
    dimension: int

    @property
    def samples(self) -> int:
        """N."""
        return int(self.counts.sum())

    @property
    def rank(self) -> int:
        """Rank of X: N, as G is invertible."""
        return self.samples

    @property
    def gram_invertible(self) -> bool:
        """Always."""
        return True

    @property
    def interpolates(self) -> bool:
        """Always: the samples are linearly independent."""
        return True

    @property
    def condition(self) -> float:
        """Largest over smallest singular value of X."""
        return float(np.sqrt(self.gram_largest / self.gram_smallest))


_MODES: WeakKeyDictionary[GramProblem, GramModes] = WeakKeyDictionary()


def gram_modes(problem: GramProblem) -> GramModes:
    """`GramModes` of a problem, computed once (theory note, T1 and T2).

    Raises:
        InvalidInputError: a Gram matrix that is not positive definite.

    >>> found = gram_modes(GramProblem(gram=None, dimension=4, y=[0, 0, 1, 1]))
    >>> found.label_gram.tolist(), found.within
    ([[2.0, 0.0], [0.0, 2.0]], 0.5)
    """
    if problem not in _MODES:
        _MODES[problem] = _measured(problem)
    return _MODES[problem]


def _measured(problem: GramProblem) -> GramModes:
    n, y, N, G = problem.counts, problem.y, problem.samples, problem.gram
    labels = np.zeros((N, n.size))
    labels[np.arange(N), y] = 1.0
    if G is None:
        smallest, largest, deviation, diagonal, products, weights = 1.0, 1.0, 0.0, np.ones(N), labels / n, labels
    else:
        smallest, largest = _ends(G)
        if smallest <= N * UNIT_ROUNDOFF * largest:
            raise InvalidInputError(
                got=f"a Gram matrix with the eigenvalue {smallest:.3g}",
                expected="a positive definite one: linearly independent samples",
                next_step="lower `theta`, or pass the inputs themselves",
            )
        deviation, diagonal, products = _largest_deviation(G), np.diag(G), G @ labels / n
        weights = _solve(lambda v: G @ v, labels)
    label_gram = class_sums(weights, y, n.size)
    # per class, so that a class of one sample has no scatter whatever rounding does
    spread = class_sums(diagonal, y, n.size) - np.diag(class_sums(products, y, n.size))
    return GramModes(
        gram_smallest=smallest,
        gram_largest=largest,
        largest_deviation=deviation,
        label_gram=(label_gram + label_gram.T) / 2,
        label_weights=weights,
        mean_products=products,
        within=max(float(spread.sum()) / N, 0.0),
        counts=n,
        dimension=problem.dimension,
    )


def _largest_deviation(G: np.ndarray) -> float:
    """`max |G - I|`, a strip of rows at a time."""
    largest = 0.0
    for start in range(0, len(G), _ROWS):
        strip = G[start : start + _ROWS].copy()
        strip[np.arange(len(strip)), start + np.arange(len(strip))] -= 1
        largest = max(largest, float(np.abs(strip, out=strip).max()))
    return largest


def _ends(G: np.ndarray) -> tuple[float, float]:
    """Smallest and largest eigenvalue; of a large matrix by Lanczos on G - I, whose spectrum is what matters here."""
    N = len(G)
    if N <= _DENSE:
        values = np.linalg.eigvalsh(G)
        return float(values[0]), float(values[-1])
    from scipy.linalg import get_blas_funcs
    from scipy.sparse.linalg import LinearOperator, eigsh

    (symv,) = get_blas_funcs(("symv",), (G,))  # half of a symmetric matrix is read
    operator: Any = LinearOperator
    shifted = operator((N, N), matvec=lambda v: symv(1.0, G.T, v) - v.ravel(), dtype=np.float64)
    # a Ritz value is off by the square of its residual over the gap: 1e-5 of ‖G - I‖ leaves eight digits of θ. The edge
    # of such a spectrum is dense, and a space of 160 vectors needs no restart where the usual 20 need a dozen
    start = np.random.default_rng(0).standard_normal(N)
    options: dict[str, Any] = {
        "k": 2,
        "which": "BE",
        "tol": 1e-5,
        "ncv": 160,
        "v0": start,
        "return_eigenvectors": False,
    }
    low, high = np.sort(eigsh(shifted, **options))
    return 1 + float(low), 1 + float(high)


def _solve(apply: Callable[[np.ndarray], np.ndarray], right: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
    """`G Z = right` by conjugate gradients, all columns at once so that G is read once a step.

    Stops where the residual is rounding; G of nearly orthonormal data needs about ten steps.
    """
    Z, R = np.zeros_like(right), right.copy()
    P, squares = R.copy(), np.sum(R**2, axis=0)
    enough = (4 * UNIT_ROUNDOFF) ** 2 * squares
    for _ in range(_STEPS):
        GP = apply(P)
        step = squares / np.maximum(np.sum(P * GP, axis=0), np.finfo(float).tiny)
        Z += step * P
        R -= step * GP
        new = np.sum(R**2, axis=0)
        if np.all(new <= enough):
            return Z
        P *= new / np.maximum(squares, np.finfo(float).tiny)
        P += R
        squares = new
    raise InvalidInputError(
        got="a Gram matrix so close to singular that its inverse cannot be found",
        expected="linearly independent samples",
        next_step="lower `theta`, or pass the inputs themselves",
    )
