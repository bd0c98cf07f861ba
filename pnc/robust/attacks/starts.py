"""Random draws that belong to one sample: the same in any batch, order of batches or company of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

__all__ = ["random_starts", "random_targets", "sample_generator"]

_PURPOSES = ("start", "target", "noise", "direction")  # that two draws of one sample may not be the same


def sample_generator(seed: int, purpose: str, index: int, turn: int = 0) -> np.random.Generator:
    """The generator of one sample, for one purpose and one turn (restart)."""
    return np.random.default_rng([seed, _PURPOSES.index(purpose), turn, index])


def random_starts(
    shape: Sequence[int],
    indices: Sequence[int] | Int[np.ndarray, " n"],
    *,
    radius: float,
    norm: str,
    seed: int,
    restart: int = 0,
) -> Float[np.ndarray, "n ..."]:
    """A uniform point of the ball of `radius` about 0, one a sample.

    ℓ∞: every entry uniform in [-ε, ε]. ℓ2: a uniform direction times ε u^(1/d), u uniform in [0, 1].

    Args:
        shape: of one sample.
        indices: positions of the samples in the data: each has its own generator.
        radius: ε.
        norm: `linf` or `l2`.
        seed: of the draws.
        restart: another point for every restart.

    >>> starts = random_starts((3,), [0, 1, 2], radius=0.1, norm="l2", seed=0)
    >>> np.array_equal(starts[1:2], random_starts((3,), [1], radius=0.1, norm="l2", seed=0))
    True
    >>> bool((np.linalg.norm(starts, axis=1) <= 0.1).all())
    True
    """
    starts = np.empty((len(indices), *shape))
    for row, index in enumerate(indices):
        draw = sample_generator(seed, "start", index, restart)
        if norm == "linf":
            starts[row] = draw.uniform(-radius, radius, shape)
        else:
            direction = draw.standard_normal(shape)
            length = radius * draw.uniform() ** (1 / direction.size)
            starts[row] = direction * (length / np.linalg.norm(direction))
    return starts


def random_targets(labels: Int[np.ndarray, " N"], *, classes: int, seed: int) -> Int[np.ndarray, " N"]:
    """Another class than the label, uniform among these, one a sample.

    >>> random_targets(np.array([0, 1, 2, 0]), classes=3, seed=0).shape
    (4,)
    """
    steps = [int(sample_generator(seed, "target", index).integers(1, classes)) for index in range(len(labels))]
    return (labels + np.array(steps, dtype=labels.dtype)) % classes
