"""Many networks of one shape as one array: a row a run, all weights of the run in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float, Int

__all__ = ["Networks", "largest_eigenvalue"]

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class Networks:
    """The loss ‖W_L ⋯ W_1 F - T‖²_F / N of a batch of deep linear networks of one shape, and its gradient (Y3).

    The gradient by W_l is the product of `W_{L:l+1}ᵀ` (K columns) and of `(2/N) E Fᵀ W_{l-1:1}ᵀ` (K rows), E being the
    error: K rows are carried backward and K columns forward, and no array has N columns.

    Args:
        factor: (B, d, m) economical data factors F.
        target: (B, K, m) economical targets T.
        samples: (B,) N.
        shapes: shapes (d_l, d_{l-1}) of W_1…W_L.
    """

    factor: Float[Tensor, "B d m"]
    target: Float[Tensor, "B K m"]
    samples: Float[Tensor, " B"]
    shapes: tuple[tuple[int, int], ...]

    def take(self, index: Int[Tensor, " b"] | slice) -> Self:
        """The networks of some runs of the batch, in the order of `index`."""
        return replace(self, factor=self.factor[index], target=self.target[index], samples=self.samples[index])

    @staticmethod
    def join_batch(parts: Sequence[Networks]) -> Networks:
        """One batch of several, of equal shapes."""
        arrays = {name: torch.cat([getattr(part, name) for part in parts]) for name in ("factor", "target", "samples")}
        return replace(parts[0], **arrays)

    def join(self, weights: Sequence[Float[Tensor, "B _ _"]]) -> Float[Tensor, "B P"]:
        """Weight matrices as one row a run."""
        return torch.cat([w.flatten(1) for w in weights], dim=1)

    def split(self, y: Float[Tensor, "B P"]) -> list[Float[Tensor, "B _ _"]]:
        """The weight matrices of every run, as views of `y`."""
        parts = torch.split(y, [rows * columns for rows, columns in self.shapes], dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def error(self, y: Float[Tensor, "B P"]) -> Float[Tensor, "B K m"]:
        """W_{L:1} F - T."""
        return self._backward(self.split(y))[0] @ self.factor - self.target

    def gradient(self, y: Float[Tensor, "B P"]) -> tuple[Float[Tensor, "B P"], Float[Tensor, "B K m"]]:
        """The gradient of the loss, and the error."""
        weights = self.split(y)
        backward = self._backward(weights)
        error = backward[0] @ self.factor - self.target
        forward = self.factor @ (error.mT * (2 / self.samples)[:, None, None])
        gradient = []
        for weight, left in zip(weights[:-1], backward[1:], strict=True):
            gradient.append(left.mT @ forward.mT)
            forward = weight @ forward
        gradient.append(forward.mT)
        return self.join(gradient), error

    @staticmethod
    def _backward(weights: Sequence[Tensor]) -> list[Float[Tensor, "B K _"]]:
        """`[W_{L:1}, W_{L:2}, …, W_L]`."""
        products = [weights[-1]]
        for weight in reversed(weights[:-1]):
            products.append(products[-1] @ weight)
        return products[::-1]

    def curvature(
        self, y: Float[Tensor, "B P"], probe: Float[Tensor, "B P"], *, iterations: int
    ) -> tuple[Float[Tensor, " B"], Float[Tensor, "B P"]]:
        """Largest absolute eigenvalue of the Hessian, by power iteration on differences of the gradient.

        Args:
            y: where.
            probe: start of the iteration, such as the vector that the last call returned.
            iterations: gradients to spend.

        Returns:
            The estimates, which come from below, and the vectors reached.
        """
        return largest_eigenvalue(lambda at: self.gradient(at)[0], y, probe, iterations=iterations)


def largest_eigenvalue(
    gradient: Callable[[Float[Tensor, "B P"]], Float[Tensor, "B P"]],
    y: Float[Tensor, "B P"],
    probe: Float[Tensor, "B P"],
    *,
    iterations: int,
) -> tuple[Float[Tensor, " B"], Float[Tensor, "B P"]]:
    """Largest absolute eigenvalue of the derivative of `gradient` at y; see `Networks.curvature`."""
    base = gradient(y)
    # the difference quotient is linear to about the square root of the rounding
    reach = torch.finfo(y.dtype).eps ** 0.5 * y.norm(dim=1, keepdim=True)
    value = torch.zeros(y.shape[0], dtype=y.dtype, device=y.device)
    for _ in range(iterations):
        probe = probe / probe.norm(dim=1, keepdim=True)
        probe = (gradient(y + reach * probe) - base) / reach
        value = probe.norm(dim=1)
    return value, probe
