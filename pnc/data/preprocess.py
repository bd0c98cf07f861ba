"""Centring, principal components, whitening and scale: fitted on one data set, applied to any other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Real

from pnc.data.problem import Problem
from pnc.errors import InvalidInputError

__all__ = ["FittedPreprocessing", "Preprocessing", "Scale", "preprocess"]

Scale = Literal["orthonormal", "unit-norm", "unit-variance"]

_CHUNK = 4096  # rows held in float64 at a time: whole image sets may stay the bytes they are
_TALL = 8  # rows a column from which on the covariance is diagonalised instead of the data decomposed


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What to do to inputs before a network sees them.

    X is (N, d), one row a sample, centred where `centre` says so. A direction counts when its variance
    exceeds max(N, d) u times the largest, u the unit roundoff; r of them are kept, all or the first
    `components`.

    Args:
        components: number m of principal components to keep, at most the rank. `None`: all; the inputs then
            stay in their own coordinates unless they are whitened.
        whiten: give every kept component the same variance.
        centre: subtract the mean of the fitted data.
        scale: one number that multiplies everything, so that the fitted data have
            `orthonormal`: Σ_ij X_ij² = r, the mean eigenvalue of XᵀX on its range is 1; whitened, XᵀX = I
            (theory note, T3, which writes columns: `XXᵀ = I`);
            `unit-norm`: Σ_ij X_ij² = N, the root-mean-square norm of a sample is 1;
            `unit-variance`: Σ_ij X_ij² = N r, the mean variance of the kept directions is 1; whitened, their
            covariance is I.

    Raises:
        InvalidInputError: fewer than one component, an unknown scale.

    >>> Preprocessing(components=64, whiten=True).scale
    'orthonormal'
    """

    components: int | None = None
    whiten: bool = False
    centre: bool = True
    scale: Scale = "orthonormal"

    def __post_init__(self) -> None:
        if self.components is not None and self.components < 1:
            raise InvalidInputError(
                got=f"components = {self.components}",
                expected="at least 1 component",
                next_step="pass a larger `components`, or leave it out to keep all",
            )
        if self.scale not in get_args(Scale):
            raise InvalidInputError(
                got=f"scale = {self.scale!r}",
                expected=f"one of {', '.join(get_args(Scale))}",
                next_step="pass one of these as `scale`",
            )

    def fit(self, X: Real[np.ndarray, "N d"]) -> FittedPreprocessing:
        """Find mean, directions and scale on X, whose entries may be of any real dtype (pixels, say).

        Raises:
            InvalidInputError: X not two-dimensional, not finite, constant, or of a rank below `components`.

        >>> X = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 8.0]])
        >>> fitted = Preprocessing(whiten=True).fit(X)
        >>> Z = fitted.apply(X)
        >>> np.allclose(Z.T @ Z, np.eye(2))
        True
        """
        X = _checked(X)
        N, d = X.shape
        mean = _mean(X) if self.centre else np.zeros(d)
        eigenvalues, directions = _principal(X, mean)
        u = np.finfo(np.float64).eps
        rank = int(np.count_nonzero(eigenvalues > max(N, d) * u * eigenvalues[0]))
        if rank == 0:
            raise InvalidInputError(
                got="inputs that are all the same" if self.centre else "inputs that are all zero",
                expected="inputs that differ",
                next_step="check the data",
            )
        m = rank if self.components is None else self.components
        if m > rank:
            centred = "centred " if self.centre else ""
            raise InvalidInputError(
                got=f"components = {m} for {centred}inputs of shape {X.shape}, rank {rank}",
                expected=f"at most {rank} component{'s' if rank > 1 else ''}",
                next_step=f"pass `components={rank}` or fewer",
            )
        rotate = self.components is not None or self.whiten
        directions, kept = directions[:, :m], eigenvalues[:m]
        size = {"orthonormal": m, "unit-norm": N, "unit-variance": N * m}[self.scale]
        if self.whiten:
            factor = math.sqrt(size / m)
            matrix = factor * _whitening(X, mean, directions / np.sqrt(kept))
        else:
            factor = math.sqrt(size / kept.sum())
            matrix = factor * directions if rotate else None
        return FittedPreprocessing(
            spec=self,
            mean=mean,
            matrix=matrix,
            factor=factor,
            rank=rank,
            explained_variance=float(kept.sum() / eigenvalues.sum()),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedPreprocessing:
    """A preprocessing with its numbers, ready for the fitted data and any other of the same dimension.

    Args:
        spec: what was asked for.
        mean: (d,) subtracted first; zeros where the data are not centred.
        matrix: (d, m) multiplied then, scale included; `None` where the inputs keep their coordinates.
        factor: the scale: what kept components (whitened first, to `XᵀX = I`, where asked for) are multiplied
            by.
        rank: of the fitted data, centred where they are.
        explained_variance: share of the variance in the kept components, dimensionless.
    """

    spec: Preprocessing
    mean: Float[np.ndarray, " d"]
    matrix: Float[np.ndarray, "d m"] | None
    factor: float
    rank: int
    explained_variance: float

    def apply(self, X: Real[np.ndarray, "N d"]) -> Float[np.ndarray, "N m"]:
        """The preprocessed inputs, (N, m), or (N, d) where they keep their coordinates.

        Raises:
            InvalidInputError: X of another dimension than the fitted data, or not finite.
        """
        X = _checked(X)
        if X.shape[1] != self.mean.size:
            raise InvalidInputError(
                got=f"inputs of dimension {X.shape[1]}",
                expected=f"dimension {self.mean.size}, as fitted",
                next_step="apply it to data of the same kind",
            )
        out = np.empty((X.shape[0], self.mean.size if self.matrix is None else self.matrix.shape[1]))
        for rows, centred in _centred_chunks(X, self.mean):
            if self.matrix is None:
                np.multiply(centred, self.factor, out=out[rows])
            else:
                np.matmul(centred, self.matrix, out=out[rows])
        return out

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the fit: here, whitening that had to leave directions out."""
        if self.spec.whiten and self.spec.components is None and self.rank < self.mean.size:
            return (f"whitening kept {self.rank} of {self.mean.size} directions; the others do not vary",)
        return ()

    def to_dict(self) -> dict[str, Any]:
        """What was done, for the provenance of a problem; without the arrays."""
        return {
            **asdict(self.spec),
            "components": self.spec.components if self.matrix is None else self.matrix.shape[1],
            "rank": self.rank,
            "explained_variance": self.explained_variance,
            "factor": self.factor,
        }


def preprocess(
    problem: Problem,
    *,
    components: int | None = None,
    whiten: bool = False,
    centre: bool = True,
    scale: Scale = "orthonormal",
) -> Problem:
    """The problem with its inputs preprocessed, see `Preprocessing`.

    What was done stands in `provenance["preprocessing"]`: the options, the scale factor and the share of the
    variance that the kept components explain.

    Raises:
        InvalidInputError: an option out of range, inputs that do not vary.

    >>> problem = Problem(X=np.arange(12.0).reshape(4, 3) ** 2, y=[0, 0, 1, 1])
    >>> reduced = preprocess(problem, components=2, whiten=True)
    >>> reduced.X.shape, np.allclose(reduced.X.T @ reduced.X, np.eye(2))
    ((4, 2), True)
    """
    spec = Preprocessing(components=components, whiten=whiten, centre=centre, scale=scale)
    fitted = spec.fit(problem.X)
    return replace(
        problem,
        X=fitted.apply(problem.X),
        provenance={**problem.provenance, "preprocessing": fitted.to_dict()},
        notes=(*problem.notes, *fitted.notes),
    )


def _checked(X: np.ndarray) -> np.ndarray:
    X = np.asarray(X)
    if X.ndim != 2 or 0 in X.shape or X.dtype.kind not in "fiu":
        raise InvalidInputError(
            got=f"inputs of shape {X.shape} and dtype {X.dtype}",
            expected="real numbers of shape (N, d), one row a sample",
            next_step="reshape X to two dimensions, neither of them empty",
        )
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = X.dtype.kind == "f" and not np.isfinite(X.sum(dtype=np.float64))
    if suspicious and not np.isfinite(X).all():
        i, j = np.argwhere(~np.isfinite(X))[0].tolist()
        raise InvalidInputError(
            got=f"X[{i}, {j}] = {X[i, j]}",
            expected="finite numbers",
            next_step="remove or impute these samples",
        )
    return X


def _centred_chunks(X: np.ndarray, mean: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, X.shape[0], _CHUNK):
        rows = slice(start, start + _CHUNK)
        yield rows, X[rows] - mean


def _mean(X: np.ndarray) -> Float[np.ndarray, " d"]:
    """The mean to rounding: the second pass adds what the first lost, so equal inputs differ from it by 0."""
    mean = X.mean(axis=0, dtype=np.float64)
    return mean + sum(centred.sum(axis=0) for _, centred in _centred_chunks(X, mean)) / X.shape[0]


def _principal(X: np.ndarray, mean: np.ndarray) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, "d r"]]:
    """Eigenvalues of (X - mean)ᵀ(X - mean), largest first, and their directions as columns.

    Tall data go through their covariance, which costs a tenth of a decomposition; its eigenvalues are good to
    rounding relative to the largest, and that is what the rank is measured against in either case.
    """
    N, d = X.shape
    if _TALL * d > N:
        _, sigma, directions = np.linalg.svd(X - mean, full_matrices=False)
        eigenvalues, directions = sigma**2, directions.T
    else:
        gram = np.zeros((d, d))
        for _, centred in _centred_chunks(X, mean):
            gram += centred.T @ centred
        eigenvalues, directions = np.linalg.eigh(gram)
        eigenvalues, directions = eigenvalues[::-1].clip(min=0), directions[:, ::-1]
    # the largest entry of a direction is positive: signs do not depend on the LAPACK at hand
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
    return eigenvalues, directions * np.where(largest < 0, -1.0, 1.0)


def _whitening(X: np.ndarray, mean: np.ndarray, matrix: np.ndarray) -> Float[np.ndarray, "d m"]:
    """`matrix`, which whitens X up to rounding times the spread of its variances, corrected to rounding.

    One step of the polar decomposition: Z = (X - mean) matrix, Gram matrix ZᵀZ ≈ I, and Z (ZᵀZ)^{-1/2} has
    orthonormal columns.
    """
    gram = np.zeros((matrix.shape[1],) * 2)
    for _, centred in _centred_chunks(X, mean):
        Z = centred @ matrix
        gram += Z.T @ Z
    eigenvalues, vectors = np.linalg.eigh(gram)
    return matrix @ ((vectors / np.sqrt(eigenvalues)) @ vectors.T)
