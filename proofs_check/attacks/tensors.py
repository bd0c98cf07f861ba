"""Torch arithmetic shared by the attacks: batches with restarts first, float64."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

__all__ = ["largest_cosine", "normal", "pairs", "spectral", "symmetric_box", "uniform"]


def spectral(matrix: Any, exponent: Any, *, exponential: bool = False) -> Any:
    """A^p, or e^{pA}, of symmetric A, one p a restart; derivatives by divided differences (Daletskii, Krein).

    Automatic differentiation of eigenvectors divides by differences of eigenvalues, which vanish just where
    the bounds are attained.
    """

    class Spectral(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, matrix: Any, exponent: Any) -> Any:
            values, vectors = torch.linalg.eigh(matrix)
            p = exponent[:, None]
            image = torch.exp(p * values) if exponential else values.clamp(min=1e-300) ** p
            slope = p * image if exponential else p * image / values
            ctx.save_for_backward(values, vectors, image, slope)
            return (vectors * image[:, None, :]) @ vectors.mT

        @staticmethod
        def backward(ctx: Any, *upstreams: Any) -> Any:
            (upstream,) = upstreams
            values, vectors, image, slope = ctx.saved_tensors
            gap = values[:, :, None] - values[:, None, :]
            close = gap.abs() < 1e-7 * values.abs().amax(dim=1)[:, None, None]
            quotient = (image[:, :, None] - image[:, None, :]) / torch.where(close, torch.ones_like(gap), gap)
            middle = (slope[:, :, None] + slope[:, None, :]) / 2
            inner = vectors.mT @ ((upstream + upstream.mT) / 2) @ vectors
            return vectors @ (torch.where(close, middle, quotient) * inner) @ vectors.mT, None

    return Spectral.apply(matrix, exponent)


def symmetric_box(raw: Any) -> Any:
    """A symmetric matrix with entries in (-1, 1)."""
    half = torch.triu(torch.tanh(raw))
    return half + torch.triu(half, 1).mT


def uniform(ends: Iterable[float], size: int, generator: Any) -> Any:
    """Draws from U(low, high), float64; `ends` are the two."""
    low, high = ends
    return low + (high - low) * torch.rand(size, generator=generator, dtype=torch.float64)


def normal(*shape: int, generator: Any) -> Any:
    """Standard normal draws, float64."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def pairs(matrix: Any) -> Any:
    """The entries above the diagonal, one row a restart."""
    rows, cols = torch.triu_indices(matrix.shape[-1], matrix.shape[-1], offset=1)
    return matrix[:, rows, cols]


def largest_cosine(gram: Any) -> Any:
    """max_{k≠k'} G_kk' / √(G_kk G_k'k'), one a restart."""
    norms = gram.diagonal(dim1=-2, dim2=-1).sqrt()
    return pairs(gram / (norms[:, :, None] * norms[:, None, :])).amax(dim=1)
