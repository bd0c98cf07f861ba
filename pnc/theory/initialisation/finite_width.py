"""N1's first correction in 1/width, and the spread over draws of the weights, for dense networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from pnc.errors import NotApplicableError
from pnc.theory.discrimination import discrimination_of_gram
from pnc.theory.initialisation.architecture import Activation, Dense, Flatten, Layer, Named, Scale
from pnc.theory.initialisation.duals import apply, dual_moment

__all__ = ["FiniteWidth", "finite_width"]

_STEP = 0.02  # of the central differences, as a share of the Gram matrix
_UNITS = 16  # units whose deviations make one direction


@dataclass(frozen=True, kw_only=True, eq=False)
class FiniteWidth:
    """What finite width does to first order, of every named layer.

    Args:
        names: of the layers.
        log_compression_shift: mean of log C_l over draws of the weights, less its limit.
        log_compression_spread: standard deviation of log C_l over draws.
        discrimination_shift: mean of D_l less its limit.
        discrimination_spread: standard deviation of D_l over draws.
    """

    names: tuple[str, ...]
    log_compression_shift: Float[np.ndarray, " n"]
    log_compression_spread: Float[np.ndarray, " n"]
    discrimination_shift: Float[np.ndarray, " n"]
    discrimination_spread: Float[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True)
class _Segment:
    """A dense layer and what is applied to its units one by one."""

    dense: Dense
    pointwise: tuple[Activation | Scale | Named, ...]


def finite_width(
    layers: Sequence[Layer],
    X: Float[np.ndarray, "N ..."],
    y: Int[np.ndarray, " N"],
    *,
    directions: int = 64,
    seed: int = 0,
) -> FiniteWidth:
    """Shift of the mean and spread over draws of log C_l and D_l, to first order in 1/width (theory note, N1).

    Given the Gram matrix of a layer, the units of the next are independent Gaussian vectors; their mean outer product
    fluctuates about its limit K by ξ with covariance `Cov(φφᵀ)/width`. With F(K) the value of log C or D that follows
    from K by the recursion, the variance is `Σ_m E[(DF ξ_m)²]` and the shift of the mean `½ Σ_m E[D²F(ξ_m, ξ_m)]`, over
    the layers m before and at the place. Both derivatives are central differences along `directions` drawn ξ for each
    layer, so that the spread itself is known to about `1/√(2·directions)` of it.

    Args:
        layers: of a dense network: `Dense`, `Activation`, `Scale`, `Named`, and `Flatten` of the input.
        X: (N, …) inputs.
        y: (N,) integer labels 0…K-1.
        directions: drawn for each layer.
        seed: of these draws.

    Raises:
        NotApplicableError: a layer of another kind: the spread of convolutional networks is read off fresh draws.

    >>> layers = (Dense(width=100, gain=2.0), Activation(name="relu"), Named(name="1"))
    >>> found = finite_width(layers, np.eye(6), np.array([0, 0, 0, 1, 1, 1]))
    >>> bool(0 < found.log_compression_spread[0] < 0.5)
    True
    """
    segments = _segments(layers)
    X = np.asarray(X, dtype=np.float64).reshape(len(X), -1)
    values = partial(_values, y=np.asarray(y), average=_averaging(np.asarray(y)))
    start = X @ X.T / X.shape[1]
    names, limit = _walk(segments, start, values)
    shift, square = np.zeros_like(limit), np.zeros_like(limit)
    generator = np.random.default_rng(seed)
    place, K = 0, start
    for index, segment in enumerate(segments):
        H = segment.dense.gain * K + segment.dense.bias
        here = sum(isinstance(step, Named) for step in segment.pointwise)
        eigenvalues, vectors = np.linalg.eigh(H)
        root = vectors * np.sqrt(np.maximum(eigenvalues, 0))
        for _ in range(directions):
            units = generator.standard_normal((_UNITS, len(H))) @ root.T
            ends = []
            for sign in (1, -1):
                found, end = _perturbed(segment, H, units, sign * _STEP, values)
                later = _walk(segments[index + 1 :], end, values)[1]
                ends.append(np.concatenate([found, later]) if len(later) else found)
            shift[place:] += (ends[0] + ends[1] - 2 * limit[place:]) / (2 * _STEP**2) / directions / segment.dense.width
            square[place:] += ((ends[0] - ends[1]) / (2 * _STEP)) ** 2 / directions / segment.dense.width
        K = _pointwise(segment, H)[-1]
        place += here
    spread = np.sqrt(square)
    return FiniteWidth(
        names=tuple(names),
        log_compression_shift=shift[:, 0],
        log_compression_spread=spread[:, 0],
        discrimination_shift=shift[:, 1],
        discrimination_spread=spread[:, 1],
    )


def _segments(layers: Sequence[Layer]) -> list[_Segment]:
    found: list[tuple[Dense, list[Activation | Scale | Named]]] = []
    for layer in layers:
        if isinstance(layer, Dense):
            found.append((layer, []))
        elif isinstance(layer, Activation | Scale | Named) and found:
            found[-1][1].append(layer)
        elif not (isinstance(layer, Flatten) and not found):
            raise NotApplicableError(
                statement="N1's spread",
                assumption=f"a dense network; {type(layer).__name__} is here",
                instead="read the spread off fresh draws of the network",
            )
    return [_Segment(dense=dense, pointwise=tuple(steps)) for dense, steps in found]


def _averaging(y: np.ndarray) -> np.ndarray:
    counts = np.bincount(y)
    return np.eye(counts.size)[:, y] / counts[:, None]


def _values(gram: np.ndarray, *, y: np.ndarray, average: np.ndarray) -> np.ndarray:
    """(log C, D) of features with this Gram matrix."""
    priors = np.bincount(y) / y.size
    Q = average @ gram @ average.T
    own = np.diag(Q)
    within = np.trace(gram) / y.size - priors @ own
    between = priors @ own - priors @ Q @ priors
    return np.array([np.log(within / between), discrimination_of_gram(Q)])


def _pointwise(segment: _Segment, H: np.ndarray) -> list[np.ndarray]:
    """Second moments of the units after each step; the last is what the next layer sees."""
    moments, gaussian = [H], True
    for step in segment.pointwise:
        K = moments[-1]
        if isinstance(step, Scale):
            K = step.factor**2 * K
        elif isinstance(step, Activation):
            if not gaussian:
                raise NotApplicableError(
                    statement="N1's spread", assumption="one activation a layer", instead="merge the two"
                )
            K, gaussian = dual_moment(step.name, np.diag(K), K), False
        moments.append(K)
    return moments


def _walk(
    segments: Sequence[_Segment], K: np.ndarray, values: Callable[[np.ndarray], np.ndarray]
) -> tuple[list[str], np.ndarray]:
    """Names of the places and (places, 2) values behind a Gram matrix K per unit."""
    names, found = [], []
    for segment in segments:
        moments = _pointwise(segment, segment.dense.gain * K + segment.dense.bias)
        for step, moment in zip(segment.pointwise, moments[1:]):
            if isinstance(step, Named):
                names.append(step.name)
                found.append(values(moment))
        K = moments[-1]
    return names, np.array(found).reshape(-1, 2)


def _perturbed(
    segment: _Segment, H: np.ndarray, units: np.ndarray, step: float, values: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Values at the places of a segment, and its last moment, moved by `step` along the deviation of these units."""

    def moved(K: np.ndarray, z: np.ndarray) -> np.ndarray:
        return K + step * np.sqrt(len(z)) * (z.T @ z / len(z) - K)

    found, z = [], units
    moments = _pointwise(segment, H)
    for pointwise, moment in zip(segment.pointwise, moments[1:]):
        if isinstance(pointwise, Activation):
            z = apply(pointwise.name, z)
        elif isinstance(pointwise, Scale):
            z = pointwise.factor * z
        else:
            found.append(values(moved(moment, z)))
    return np.array(found).reshape(-1, 2), moved(moments[-1], z)
