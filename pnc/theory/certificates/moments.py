"""`InputMoments`: first and second moments of labelled inputs, all that the certificate needs of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pnc.errors import InvalidInputError
from pnc.theory.certificates.rounding import gamma, reduced_factor, rounded_up

__all__ = ["InputMoments", "real_matrix"]


@dataclass(frozen=True)
class InputMoments:
    """First and second moments of labelled inputs, all that the certificate needs of the data.

    `within_factor` is any R with `RᵀR = N Σ_W` at layer 0: the class-centred inputs themselves, or a
    triangular factor of them, so that nothing downstream depends on N. `absolute_error` bounds the Frobenius
    error of `within_factor` (up to an isometry from the left) and of `diag(√n_k) class_means`.

    >>> X, y = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]]), np.array([0, 0, 1])
    >>> moments = InputMoments.from_samples(X, y)
    >>> moments.class_means.tolist(), moments.class_counts.tolist()
    ([[2.0, 0.0], [0.0, 2.0]], [2, 1])
    """

    class_means: Float[np.ndarray, "K d"]
    class_counts: Int[np.ndarray, " K"]
    within_factor: Float[np.ndarray, "m d"]
    absolute_error: float = 0.0

    def __post_init__(self) -> None:
        means = real_matrix(self.class_means, "class_means")
        factor = real_matrix(self.within_factor, "within_factor")
        counts = np.asarray(self.class_counts)
        if means.shape[0] < 2:
            raise InvalidInputError(
                got=f"{means.shape[0]} class mean(s)",
                expected="at least 2 classes",
                next_step="C_l and D_l compare classes: pass data with two or more labels",
            )
        if factor.shape[1] != means.shape[1]:
            raise InvalidInputError(
                got=f"within_factor {factor.shape} and class_means {means.shape}",
                expected="the same dimension d in both",
                next_step="compute both from the same inputs, or call InputMoments.from_samples(X, y)",
            )
        if counts.shape != means.shape[:1] or np.any(counts < 1) or np.any(counts != np.round(counts)):
            raise InvalidInputError(
                got=f"class_counts {counts.tolist()}",
                expected=f"{means.shape[0]} positive whole numbers, one a class",
                next_step="drop empty classes and relabel the others 0, 1, ..., K-1",
            )
        if not (np.isfinite(self.absolute_error) and self.absolute_error >= 0):
            raise InvalidInputError(
                got=f"absolute_error = {self.absolute_error}",
                expected="a finite number, 0 or larger",
                next_step="pass 0.0 if the moments are exact",
            )
        object.__setattr__(self, "class_means", means)
        object.__setattr__(self, "within_factor", factor)
        object.__setattr__(self, "class_counts", counts.astype(np.int64))

    @classmethod
    def from_samples(cls, X: Float[np.ndarray, "N d"], y: Int[np.ndarray, " N"]) -> InputMoments:
        """Moments of N labelled samples; with N > d the within-class factor is the R of a QR decomposition.

        Args:
            X: inputs, one row a sample.
            y: labels 0 ... K-1, each of them present.

        Raises:
            InvalidInputError: shapes that do not match, labels that are not 0 ... K-1, or numbers that are
                not finite.
        """
        X = real_matrix(X, "X")
        y = np.asarray(y)
        if y.shape != X.shape[:1]:
            raise InvalidInputError(
                got=f"X {X.shape} and y {y.shape}",
                expected="X (N, d) and y (N,)",
                next_step="pass one label for each row of X",
            )
        labels = np.unique(y)
        if labels.size < 2 or not np.array_equal(labels, np.arange(labels.size)):
            raise InvalidInputError(
                got=f"labels {labels[:8].tolist()}",
                expected="0, 1, ..., K-1 with K >= 2, each present",
                next_step="relabel the classes with numpy.unique(y, return_inverse=True)",
            )
        y = y.astype(np.int64)
        counts = np.bincount(y)
        means = np.stack([X[y == k].mean(axis=0) for k in range(counts.size)])
        factor = X - means[y]
        # a sum of n terms is off by at most γ_n Σ|x|, which gives √n_k ‖error of mean k‖ <= γ_n ‖X_k‖_F;
        # subtracting and averaging add a few roundings of the same entries
        error = 2.0 * gamma(int(counts.max()) + 4) * rounded_up(np.linalg.norm(X), X.size)
        if factor.shape[0] > factor.shape[1]:
            factor, reduction_error = reduced_factor(factor)
            error += reduction_error
        return cls(means, counts, factor, error)


def real_matrix(value: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(value)
    if array.ndim != 2 or array.dtype.kind not in "iuf" or not np.all(np.isfinite(array)):
        raise InvalidInputError(
            got=f"{name} of shape {array.shape}, dtype {array.dtype}, finite: "
            f"{bool(array.dtype.kind in 'iuf' and np.all(np.isfinite(array)))}",
            expected="a matrix of finite real numbers",
            next_step=f"check {name} for nan, inf and for a missing axis",
        )
    return array.astype(np.float64)
