"""Y5: the gradient flow of a network of any depth as the flow of two matrices with K rows each.

Orthogonal initial weights (the paper's) are balanced: `W_{l+1}ᵀW_{l+1} - W_lW_lᵀ` is 0 between hidden layers and
`-ε²(I - cᵀc)` at the classifier, `c` being its K orthonormal rows, and gradient flow conserves both. So in coordinates
that turn with the hidden layers all of W_1 … W_{L-1} are one symmetric matrix, the root of

    A = ε²(I - γᵀγ) + wᵀw,        W_{L:1} = w A^{(L-1)/2},        A^l = W_{l:1}ᵀW_{l:1},

where `w` is the classifier (K × r) and `γ`, with orthonormal rows, is where its initial rows are in these coordinates.
The flow of the L matrices is

    dw/dt = -D f(A) + wΩ,   dγ/dt = γΩ,   D = (2/N)(W_{L:1} G - YXᵀ),   f(a) = a^{(L-1)/2},
    Ω_ij = (f(a_i) - f(a_j))/(a_i - a_j) (Dᵀw - wᵀD)_ij   in the eigenvectors of A,

and depth is an exponent in it (theory note, Y5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from pnc.simulate.networks import largest_eigenvalue

__all__ = ["Arrays", "BalancedNetworks", "Spectrum", "motion", "spectrum_of"]

Tensor = torch.Tensor

_SMALLEST = 1e-300  # what an eigenvalue that rounding has made negative counts as
_SERIES = 1e-5  # of a logarithm: below, a quotient of differences is its Taylor polynomial


class Spectrum(NamedTuple):
    """`A = ε² I + E diag(σ² - ε²) Eᵀ` on the span of the rows of w and γ, and both matrices there.

    Args:
        frame: (B, r, s) E, orthonormal columns.
        gain: (B, s) σ, the singular values of a hidden layer there; elsewhere they are ε.
        rows: (B, 2K, s) w E above γ E.
    """

    frame: Float[np.ndarray, "B r s"]
    gain: Float[np.ndarray, "B s"]
    rows: Float[np.ndarray, "B two_K s"]


@dataclass(frozen=True, eq=False)
class BalancedNetworks:
    """The gradient flow of a batch of deep linear networks with balanced hidden layers (Y5), as `Networks` gives it.

    A run's weights are one row, w before γ. The last r - m of the r coordinates hold what of the classifier lies
    outside the inputs' span; no input has a part there. Matrices are small and there are many operations on them, so
    they are NumPy's, which begins an operation faster.

    Args:
        factor: (B, m) singular values of the inputs.
        target: (B, K, m) economical targets T.
        samples: (B,) N.
        scale: (B,) ε.
        depth: (B,) L.
        size: r.
    """

    factor: Float[Tensor, "B m"]
    target: Float[Tensor, "B K m"]
    samples: Float[Tensor, " B"]
    scale: Float[Tensor, " B"]
    depth: Float[Tensor, " B"]
    size: int

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Shapes of w and γ."""
        return ((self.target.shape[1], self.size),) * 2

    def take(self, index: Int[Tensor, " b"] | slice) -> BalancedNetworks:
        """The networks of some runs of the batch, in the order of `index`."""
        arrays = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "size"}
        return replace(self, **arrays)

    @staticmethod
    def join_batch(parts: Sequence[BalancedNetworks]) -> BalancedNetworks:
        """One batch of several."""
        names = [f.name for f in fields(BalancedNetworks) if f.name != "size"]
        return replace(parts[0], **{name: torch.cat([getattr(part, name) for part in parts]) for name in names})

    @cached_property
    def arrays(self) -> Arrays:
        """The same as NumPy arrays."""
        return Arrays(
            factor=self.factor.numpy()[:, None],
            share=(self.factor * (2 / self.samples)[:, None]).numpy()[:, None],
            target=self.target.numpy(),
            scale=self.scale.numpy(),
            power=self.depth.numpy() - 1,
        )

    def spectrum(self, y: Float[Tensor, "B P"]) -> Spectrum:
        """Eigenvalues and eigenvectors of A where they are not ε²."""
        return spectrum_of(y.numpy().reshape(len(y), -1, self.size), self.arrays.scale)

    def hidden(self, y: Float[Tensor, "B P"]) -> Float[np.ndarray, "B r r"]:
        """The root of A, which every hidden layer is in coordinates that turn with them."""
        at, ε = self.spectrum(y), self.arrays.scale[:, None, None]
        return (at.frame * (at.gain[:, None] - ε)) @ at.frame.mT + ε * np.eye(self.size)

    def error(self, y: Float[Tensor, "B P"]) -> Float[Tensor, "B K m"]:
        """W_{L:1} F - T."""
        at = self.spectrum(y)
        return torch.from_numpy(self._error(at, _raised(at.gain, self.arrays.power)))

    def _error(self, at: Spectrum, power: Float[np.ndarray, "B s"]) -> Float[np.ndarray, "B K m"]:
        arrays = self.arrays
        K, m = arrays.target.shape[1:]
        return ((at.rows[:, :K] * power[:, None]) @ at.frame[:, :m].mT) * arrays.factor - arrays.target

    def gradient(self, y: Float[Tensor, "B P"]) -> tuple[Float[Tensor, "B P"], Float[Tensor, "B K m"]]:
        """Minus the right-hand side of the flow, and the error."""
        arrays, at = self.arrays, self.spectrum(y)
        error = self._error(at, _raised(at.gain, arrays.power))
        gradient = motion(at, arrays.scale, arrays.power, error * arrays.share)
        return torch.from_numpy(gradient.reshape(len(gradient), -1)), torch.from_numpy(error)

    def curvature(
        self, y: Float[Tensor, "B P"], probe: Float[Tensor, "B P"], *, iterations: int
    ) -> tuple[Float[Tensor, " B"], Float[Tensor, "B P"]]:
        """Largest absolute eigenvalue of the flow's derivative, as `Networks.curvature` finds it."""
        return largest_eigenvalue(lambda at: self.gradient(at)[0], y, probe, iterations=iterations)


def _raised(gain: Float[np.ndarray, "B s"], power: Float[np.ndarray, " B"]) -> Float[np.ndarray, "B s"]:
    """`gain ** power`, one power a run, with an exponent of its own for every number.

    NumPy squares where one exponent of 2 is repeated in memory, which depends on how many runs there are: a run would
    not be the same alone and in a batch.
    """
    return np.power(gain, np.repeat(power[:, None], gain.shape[1], axis=1))


def spectrum_of(pair: Float[np.ndarray, "B two_K r"], scale: Float[np.ndarray, " B"]) -> Spectrum:
    """A's eigenvalues and eigenvectors where they are not ε², of w above γ."""
    K, square = pair.shape[1] // 2, (scale**2)[:, None, None]
    basis, triangle = np.linalg.qr(pair.mT)
    rows = triangle.mT
    last, first = rows[:, :K], rows[:, K:]
    values, vectors = np.linalg.eigh(last.mT @ last - square * (first.mT @ first - np.eye(basis.shape[2])))
    return Spectrum(basis @ vectors, np.sqrt(np.maximum(values, _SMALLEST)), rows @ vectors)


def motion(
    at: Spectrum, scale: Float[np.ndarray, " B"], power: Float[np.ndarray, " B"], force: Float[np.ndarray, "B K m"]
) -> Float[np.ndarray, "B two_K r"]:
    """Minus the derivatives of w and γ under the force D, which has no part in coordinates beyond the m-th.

    Args:
        at: where.
        scale: ε.
        power: L - 1.
        force: D.
    """
    K, m = force.shape[1:]
    f, ratio = _quotients(np.concatenate([at.gain, scale[:, None]], axis=1), power)
    rest, f, beside, ratio = f[:, -1, None, None], f[:, None, :-1], ratio[:, -1:, :-1], ratio[:, :-1, :-1]
    inside = force @ at.frame[:, :m]
    crossed = inside.mT @ at.rows[:, :K]  # Dᵀw
    # Ω in the frame, less the part that leads out of it as D in the frame would have it
    turn = ratio * (crossed - crossed.mT) + beside.mT * crossed.mT
    small = -(at.rows @ turn)
    small[:, :K] += inside * (f - rest)
    large = (at.rows * beside) @ at.rows[:, :K].mT
    large[:, :K] += rest * np.eye(K)
    slopes = small @ at.frame.mT
    slopes[:, :, :m] += large @ force
    return slopes


class Arrays(NamedTuple):
    """What `BalancedNetworks` holds, ready for use.

    Args:
        factor: (B, 1, m) F.
        share: (B, 1, m) 2 F/N.
        target: (B, K, m) T.
        scale: (B,) ε.
        power: (B,) L - 1.
    """

    factor: Float[np.ndarray, "B 1 m"]
    share: Float[np.ndarray, "B 1 m"]
    target: Float[np.ndarray, "B K m"]
    scale: Float[np.ndarray, " B"]
    power: Float[np.ndarray, " B"]


def _quotients(
    gain: Float[np.ndarray, "B s"], power: Float[np.ndarray, " B"]
) -> tuple[Float[np.ndarray, "B s"], Float[np.ndarray, "B s s"]]:
    """f = σ^(L-1) and (f_i - f_j)/(σ_i² - σ_j²), without a difference of numbers that are nearly equal."""
    log, n = np.log(gain), power[:, None, None]
    difference = -np.abs(log[:, :, None] - log[:, None])
    near = difference > -_SERIES
    difference[near] = -1.0
    ratio = np.expm1(n * difference) / np.expm1(2 * difference)
    if near.any():
        exact = np.broadcast_to(n / 2, near.shape)
        gap = np.abs(log[:, :, None] - log[:, None])
        ratio = np.where(near, exact * (1 - (exact - 1) * gap), ratio)
    return np.exp(n[:, 0] * log), np.exp((n - 2) * np.maximum(log[:, :, None], log[:, None])) * ratio
