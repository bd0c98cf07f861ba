"""`E[φ(u)φ(v)]` of a centred Gaussian pair (u, v), for the activations that networks are built with."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from jaxtyping import Float

from pnc.errors import InvalidInputError

__all__ = ["ACTIVATIONS", "apply", "dual_moment"]

_SLOPE = 0.01  # of leaky ReLU, PyTorch's default
_CLOSED = ("relu", "leaky-relu", "identity")
_TAIL = 1e-12  # share of E φ² that the Hermite series may leave out
_MOST_TERMS = 256
_REACH, _NODES = 12.0, 128  # of the quadrature, on each side of 0, where an activation may have a kink


def _erf(x: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return erf(x)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))


_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky-relu": lambda x: np.where(x > 0, x, _SLOPE * x),
    "identity": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "gelu": lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2))),
    "silu": lambda x: x * _sigmoid(x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}

ACTIVATIONS = tuple(sorted(_FUNCTIONS))
"""The activations whose law is known."""


def apply(name: str, x: np.ndarray) -> np.ndarray:
    """φ(x) entry by entry.

    Raises:
        InvalidInputError: an activation that is not among `ACTIVATIONS`.
    """
    return _FUNCTIONS[_known(name)](x)


def dual_moment(
    name: str,
    variance: Float[np.ndarray, "... N"],
    covariance: Float[np.ndarray, "... N M"],
    other: Float[np.ndarray, "... M"] | None = None,
) -> Float[np.ndarray, "... N M"]:
    """`E[φ(u_i)φ(v_j)]` for centred Gaussians u, v with the given variances and covariances (theory note, N1).

    ReLU: `√(a b) (sin θ + (π - θ) cos θ)/2π` with `cos θ = H_ij/√(a b)` (Cho and Saul, 2009). Leaky ReLU and the
    identity follow from it. Every other activation is expanded in Hermite polynomials, `Σ_k a_k(H_ii) a_k(H_jj) ρ^k`,
    until what is left out is below 1e-12 of the second moment, or 256 of them.

    Args:
        name: one of `ACTIVATIONS`.
        variance: (…, N) of u.
        covariance: (…, N, M).
        other: (…, M) variances of v; `None`: those of u.

    Raises:
        InvalidInputError: an unknown activation.

    >>> dual_moment("relu", np.array([2.0]), np.array([[2.0]]))
    array([[1.]])
    >>> dual_moment("identity", np.array([1.0, 1.0]), np.array([[1.0, 0.3], [0.3, 1.0]]))[0, 1].item()
    0.3
    """
    _known(name)
    other = variance if other is None else other
    if name == "identity":
        return covariance.copy()
    a, b = np.sqrt(np.maximum(variance, 0)), np.sqrt(np.maximum(other, 0))
    size = a[..., :, None] * b[..., None, :]
    cosine = np.divide(covariance, size, out=np.zeros_like(size), where=size > 0)
    np.clip(cosine, -1.0, 1.0, out=cosine)
    if name in _CLOSED:
        sine = np.sqrt((1 - cosine) * (1 + cosine))
        rectified = size * (sine + (np.pi - np.arccos(cosine)) * cosine) / (2 * np.pi)
        if name == "relu":
            return rectified
        return _SLOPE * covariance + (1 - _SLOPE) ** 2 * rectified
    left = _coefficients(name, a)
    right = left if other is variance else _coefficients(name, b)
    terms = max(left.shape[-1], right.shape[-1])
    result = np.zeros_like(size)
    for k in reversed(range(terms)):  # Horner in ρ
        result *= cosine
        if k < min(left.shape[-1], right.shape[-1]):
            result += left[..., :, None, k] * right[..., None, :, k]
    return result


def _known(name: str) -> str:
    if name not in _FUNCTIONS:
        raise InvalidInputError(
            got=f"activation {name!r}",
            expected=f"an activation whose law at initialisation is known: {', '.join(ACTIVATIONS)}",
            next_step="choose one of these, or measure the network without a prediction",
        )
    return name


@cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """(nodes,) and (nodes, terms): `weight · he_k(node)` for the standard Gaussian, apart on both sides of 0."""
    x, w = np.polynomial.legendre.leggauss(_NODES)
    x, w = _REACH * (x + 1) / 2, w * _REACH / 2
    nodes, weights = np.concatenate([-x[::-1], x]), np.concatenate([w[::-1], w])
    weights = weights * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
    columns = [np.ones_like(nodes), nodes]
    for k in range(1, _MOST_TERMS - 1):  # he_k, the normalised Hermite polynomials
        columns.append((nodes * columns[k] - math.sqrt(k) * columns[k - 1]) / math.sqrt(k + 1))
    return nodes, weights[:, None] * np.stack(columns, axis=1)


def _coefficients(name: str, scale: Float[np.ndarray, "... N"]) -> Float[np.ndarray, "... N k"]:
    """`a_k = E[φ(s x) he_k(x)]` for each scale s; as many as leave out less than `_TAIL` of `E φ(s x)²`."""
    nodes, basis = _quadrature()
    flat = scale.reshape(-1)
    found = np.empty((flat.size, _MOST_TERMS))
    total = np.empty(flat.size)
    for rows in np.array_split(np.arange(flat.size), max(1, flat.size // 8192)):  # 2 kB of values for each scale
        values = _FUNCTIONS[name](flat[rows, None] * nodes)
        found[rows] = values @ basis
        total[rows] = values**2 @ basis[:, 0]
    left_out = total[:, None] - np.cumsum(found**2, axis=1)
    enough = np.all(left_out <= _TAIL * total[:, None], axis=0)
    terms = int(np.argmax(enough)) + 1 if enough.any() else _MOST_TERMS
    return found[:, :terms].reshape(*scale.shape, terms)
