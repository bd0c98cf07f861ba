"""Synthetic problems: nearly orthonormal inputs of a given θ, the paper's noisy ones, Gaussian clusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from pnc.data.inputs import GramProblem
from pnc.data.problem import Problem
from pnc.errors import InvalidInputError
from pnc.memory import require_memory
from pnc.spec import ProblemSpec
from pnc.threads import threads_by_size

__all__ = ["CLUSTER_RADIUS", "GRAM_KINDS", "draw", "draw_gram"]

GRAM_KINDS = ("nearly-orthonormal", "orthonormal")
"""The kinds whose Gram matrix is known before any input is made."""

_MOST_NUMBERS = 2**34  # that a draw goes through, some minutes of it
_ROWS = 256  # of a matrix that are worked on together: a square of them fits in a cache

CLUSTER_RADIUS = 0.5
"""Root-mean-square distance of a sample of `gaussian-clusters` from its class centre, which has norm 1."""


def draw(spec: ProblemSpec) -> Problem:
    """Draw the inputs and labels that `spec` describes; the same seed gives the same numbers.

    The rows of X are samples, and the samples are sorted by class. With the Gram matrix G = X Xᵀ (N, N) of
    the rows (theory note, section 1) the kinds are

    * `orthonormal`: G = I to rounding, the row space uniformly (Haar) distributed;
    * `nearly-orthonormal`: G = I + (θ/N) S, S symmetric with entries uniform in [-1, 1], rescaled so that the
    largest
      is 1 in magnitude: N max |G - I| = θ, all of it, and G is positive definite by Gershgorin since θ < 1;
    * `orthonormal-noise`: orthonormal rows plus a Gaussian matrix scaled to Frobenius norm 1, as in the
    paper;
    * `gaussian-clusters`: for every class a centre uniform on the unit sphere, and around it isotropic noise
    of
      standard deviation `CLUSTER_RADIUS/√d` a coordinate, so tr Σ_W = `CLUSTER_RADIUS`² in expectation for
      large classes. N may exceed d.

    Lengths are dimensionless. The labels are 0, …, 0, 1, …, 1, and so on.

    >>> problem = draw(ProblemSpec(classes=2, samples_per_class=(1, 2), theta=0.5))
    >>> problem.y.tolist(), problem.X.shape
    ([0, 1, 1], (3, 5))
    >>> gram = problem.X @ problem.X.T
    >>> round(3 * float(np.abs(gram - np.eye(3)).max()), 12)
    0.5
    """
    require_memory(
        8 * 3 * spec.samples * spec.dimension,  # the numbers, their factorisation and its result
        what=f"a draw of {spec.samples} samples in {spec.dimension} dimensions",
        next_step="lower `samples_per_class`, `classes` or `dimension`",
    )
    rng = np.random.default_rng(spec.seed)
    with threads_by_size(spec.samples, spec.dimension):
        X = _DRAWS[spec.kind](spec, rng)
    return Problem(
        X=X,
        y=np.repeat(np.arange(spec.classes), spec.counts),
        classes=spec.classes,
        name=spec.kind,
        provenance={"source": "synthetic", **_stated(spec)},
    )


def draw_gram(spec: ProblemSpec) -> GramProblem:
    """What `draw` of the same spec has as its Gram matrix and labels, without the inputs themselves.

    Compression, discrimination and bounds need no more (theory note, T1, T2). Nothing of size N × d is made, and one
    matrix of size N × N, for `orthonormal` data not even that.

    Args:
        spec: of a kind among `GRAM_KINDS`.

    Raises:
        InvalidInputError: another kind, a matrix that needs more memory than there is.

    >>> spec = ProblemSpec(classes=2, samples_per_class=(1, 2), theta=0.5)
    >>> X = draw(spec).X
    >>> bool(np.allclose(draw_gram(spec).gram, X @ X.T, atol=1e-14))
    True
    """
    if spec.kind not in GRAM_KINDS:
        raise InvalidInputError(
            got=f"kind = {spec.kind!r}",
            expected=f"one of {', '.join(GRAM_KINDS)}",
            next_step="draw the inputs themselves",
        )
    gram = None
    if spec.kind == "nearly-orthonormal":
        what = f"the Gram matrix of {spec.samples} samples"
        require_memory(8 * spec.samples**2, what=what, next_step="lower `samples_per_class` or `classes`")
        if spec.dimension * spec.samples > _MOST_NUMBERS:
            raise InvalidInputError(
                got=f"{spec.samples} samples in {spec.dimension} dimensions",
                expected=f"at most {_MOST_NUMBERS:.2g} numbers, which are all drawn, one after another",
                next_step="lower `samples_per_class`, `classes` or `dimension`",
            )
        rng = np.random.default_rng(spec.seed)
        # `draw` draws the rows first: the same numbers are drawn, and dropped, so that the seed means the same
        row, left = np.empty(1 << 16), spec.dimension * spec.samples
        while left:
            left -= rng.standard_normal(out=row[: min(left, row.size)]).size
        gram = _nearly_identity(spec, rng)
    return GramProblem(
        gram=gram,
        y=np.repeat(np.arange(spec.classes), spec.counts),
        dimension=spec.dimension,
        classes=spec.classes,
        name=spec.kind,
        provenance={"source": "synthetic", **_stated(spec)},
    )


def _stated(spec: ProblemSpec) -> dict[str, Any]:
    """The fields of `spec` that have a say in its draw: θ belongs to one kind alone."""
    fields = spec.to_dict()
    if spec.kind != "nearly-orthonormal":
        del fields["theta"]
    return fields


def _orthonormal(spec: ProblemSpec, rng: np.random.Generator) -> Float[np.ndarray, "N d"]:
    columns, R = np.linalg.qr(rng.standard_normal((spec.dimension, spec.samples)))
    # Householder QR leaves the signs of R's diagonal to the data; made positive, the factor is Haar
    return (columns * np.where(np.diag(R) < 0, -1.0, 1.0)).T


def _nearly_orthonormal(spec: ProblemSpec, rng: np.random.Generator) -> Float[np.ndarray, "N d"]:
    rows = _orthonormal(spec, rng)
    # any C with C Cᵀ = G will do: C = G^{1/2} O for an orthogonal O, and O times Haar rows is Haar again
    return np.linalg.cholesky(_nearly_identity(spec, rng)) @ rows


def _nearly_identity(spec: ProblemSpec, rng: np.random.Generator) -> Float[np.ndarray, "N N"]:
    """G = I + (θ/N) S, made in place of its random numbers: their upper triangle decides, block by block."""
    N = spec.samples
    S = np.empty((N, N))
    rng.random(out=S)
    S *= 2
    S -= 1
    largest = 0.0
    for start in range(0, N, _ROWS):
        rows = slice(start, start + _ROWS)
        corner = np.triu(S[rows, rows])
        S[rows, rows] = corner + np.triu(corner, 1).T
        largest = max(largest, S[rows, start:].max(), -S[rows, start:].min())
        for other in range(start + _ROWS, N, _ROWS):
            columns = slice(other, other + _ROWS)
            S[columns, rows] = S[rows, columns].T
    S *= spec.theta / (N * largest)
    S[np.diag_indices(N)] += 1
    return S


def _orthonormal_noise(spec: ProblemSpec, rng: np.random.Generator) -> Float[np.ndarray, "N d"]:
    rows = _orthonormal(spec, rng)
    noise = rng.standard_normal(rows.shape)
    return rows + noise / np.linalg.norm(noise)


def _gaussian_clusters(spec: ProblemSpec, rng: np.random.Generator) -> Float[np.ndarray, "N d"]:
    centres = rng.standard_normal((spec.classes, spec.dimension))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    noise = rng.standard_normal((spec.samples, spec.dimension))
    return np.repeat(centres, spec.counts, axis=0) + noise * (CLUSTER_RADIUS / np.sqrt(spec.dimension))


_DRAWS: dict[str, Callable[[ProblemSpec, np.random.Generator], np.ndarray]] = {
    "orthonormal": _orthonormal,
    "nearly-orthonormal": _nearly_orthonormal,
    "orthonormal-noise": _orthonormal_noise,
    "gaussian-clusters": _gaussian_clusters,
}
