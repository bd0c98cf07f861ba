"""Class means and the deviations from them, of inputs that are read once and kept nowhere."""

from __future__ import annotations

from typing import cast

import numpy as np
from jaxtyping import Float, Int

from pnc.data import Problem, StreamedProblem

__all__ = ["class_factor", "class_sums"]

_ENTRIES = 1 << 21  # of a block of rows: 16 MB in float64, read into, subtracted from and multiplied in place
_FEW = 8192  # rows up to which the accurate way costs nothing that anybody would notice
_MILD = 1e-6  # least eigenvalue, relative to the largest, that a Gram matrix in float64 tells to ten digits


def class_sums(X: Float[np.ndarray, "N ..."], y: Int[np.ndarray, " N"], classes: int) -> Float[np.ndarray, "K ..."]:
    """Sums of the rows of every class, by index: a product with a one-hot matrix would cost K times as much.

    >>> class_sums(np.array([[1.0], [2.0], [4.0]]), np.array([0, 1, 0]), 2).tolist()
    [[5.0], [2.0]]
    """
    sums = np.zeros((classes, *X.shape[1:]))
    step = max(1, _ENTRIES // max(1, X[:1].size))
    for start in range(0, len(X), step):
        labels, block = y[start : start + step], X[start : start + step]
        if np.any(labels[1:] < labels[:-1]):
            order = np.argsort(labels, kind="stable")
            labels, block = labels[order], block[order]
        present, first = np.unique(labels, return_index=True)
        sums[present] += np.add.reduceat(block, first, axis=0)
    return sums


def class_factor(problem: Problem | StreamedProblem) -> tuple[Float[np.ndarray, "m d"], Float[np.ndarray, "K d"]]:
    """R (m, d) with `RᵀR = Σ_i (x_i - μ_{y_i})(x_i - μ_{y_i})ᵀ`, m ≤ d, and the class means μ (K, d).

    One pass adds up the d × d Gram matrix of the inputs about the mean of the first block, and the sums of the classes.
    Where the deviations are so small beside the means, or spread so unevenly, that this loses digits, the inputs are
    read once more for a QR decomposition, block by block, which costs ten times the arithmetic: there blocks of rows
    are taken about their own class means and merged exactly (Chan, Golub and LeVeque 1983).
    Memory: O(d² + K d) and a block.

    >>> X = np.array([[0.0, 1.0], [2.0, 1.0], [5.0, 0.0], [5.0, 4.0]])
    >>> R, means = class_factor(Problem(X=X, y=[0, 0, 1, 1]))
    >>> (R.T @ R).round(12).tolist(), means.tolist()
    ([[2.0, 0.0], [0.0, 8.0]], [[1.0, 1.0], [5.0, 2.0]])
    """
    if problem.samples > _FEW:
        total, within, means = _sums_of_products(problem)
        eigenvalues, directions = np.linalg.eigh(within)
        if eigenvalues[0] > _MILD * np.trace(total):
            return np.sqrt(eigenvalues)[:, None] * directions.T, means
    return _factor(problem)


def _sums_of_products(problem: Problem | StreamedProblem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scatter about one point and about the class means, (d, d) each, and the class means."""
    d, K = problem.dimension, problem.classes or 0
    total, sums, centre = np.zeros((d, d)), np.zeros((K, d)), None
    for rows, X in problem.blocks(max(1, _ENTRIES // d)):
        centre = X.mean(axis=0) if centre is None else centre
        shifted = X - centre
        total += shifted.T @ shifted
        sums += class_sums(shifted, problem.y[rows], K)
    means = sums / problem.counts[:, None]
    return total, total - sums.T @ means, means if centre is None else means + centre


def _factor(problem: Problem | StreamedProblem) -> tuple[np.ndarray, np.ndarray]:
    """R by QR decompositions of blocks, and the class means."""
    d, K = problem.dimension, problem.classes or 0
    R, means, counts = np.zeros((0, d)), np.zeros((K, d)), np.zeros(K)
    for rows, X in problem.blocks(max(1, _ENTRIES // d)):
        present, y = np.unique(problem.y[rows], return_inverse=True)
        new = np.bincount(y)
        centres = class_sums(X, y, present.size) / new[:, None]
        # two steps: what rounding left in the mean of a block goes with the second
        about = X - centres[y]
        lost = class_sums(about, y, present.size) / new[:, None]
        about -= lost[y]
        apart = centres + lost - means[present]
        share = new / (counts[present] + new)
        between = np.sqrt(counts[present] * share)[:, None] * apart
        # NumPy's stub does not tell mode "r", an array, from the others
        R = cast("np.ndarray", np.linalg.qr(np.vstack([R, about, between]), mode="r"))
        means[present] += share[:, None] * apart
        counts[present] += new
    return R, means
