"""Which samples a step sees: a function of the seed, the epoch and the step, so that a resumed run sees the same."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

__all__ = ["batch_bounds", "epoch_order", "random_stream", "step_seed"]

# one stream for each purpose, so that switching augmentation on leaves the order as it was
_PURPOSES = {"order": 0, "augmentation": 1, "step": 2, "projection": 3}


def random_stream(purpose: str, seed: int, *position: int) -> np.random.Generator:
    """A generator of its own for each purpose, seed and position in the training."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([_PURPOSES[purpose], seed, *position])))


def step_seed(seed: int, step: int, rank: int) -> int:
    """What torch's own generator (dropout) is set to before a step, different in each process."""
    return int(random_stream("step", seed, step, rank).integers(2**63))


def epoch_order(samples: int, *, seed: int, epoch: int, shuffle: bool = True) -> Int[np.ndarray, " N"]:
    """The samples in the order of an epoch.

    >>> a, b = epoch_order(5, seed=0, epoch=0), epoch_order(5, seed=0, epoch=1)
    >>> sorted(a.tolist()) == sorted(b.tolist()), a.tolist() == epoch_order(5, seed=0, epoch=0).tolist()
    (True, True)
    """
    return random_stream("order", seed, epoch).permutation(samples) if shuffle else np.arange(samples)


def batch_bounds(samples: int, batch_size: int | None) -> Int[np.ndarray, " ends"]:
    """Where the batches of an epoch begin and end: as few as `batch_size` allows, equal to within one sample.

    >>> batch_bounds(1001, 500).tolist()
    [0, 334, 668, 1001]
    """
    batches = 1 if batch_size is None else -(-samples // batch_size)
    small, larger = divmod(samples, batches)
    sizes = np.full(batches, small)
    sizes[:larger] += 1
    return np.concatenate([[0], np.cumsum(sizes)])
