"""What every way to a principal subspace asks of the activations."""

from __future__ import annotations

import torch

from pnc.errors import InvalidInputError

__all__ = ["check_activations"]


def check_activations(z: torch.Tensor, rank: int) -> None:
    """A matrix, and a rank that it can have.

    Raises:
        InvalidInputError: another number of axes, a rank below 1 or above the shorter side.

    >>> check_activations(torch.zeros(5, 3), 4)
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got rank 4 for activations of shape (5, 3); expected 1 to 3; ...
    """
    if z.ndim != 2:
        raise InvalidInputError(
            got=f"activations of shape {tuple(z.shape)}", expected="one row a sample", next_step="flatten(1) them"
        )
    if not 1 <= rank <= min(z.shape):
        raise InvalidInputError(
            got=f"rank {rank} for activations of shape {tuple(z.shape)}",
            expected=f"1 to {min(z.shape)}",
            next_step="lower the rank or give more samples",
        )
