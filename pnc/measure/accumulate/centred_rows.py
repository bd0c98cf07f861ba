"""Rows of a batch, class by class, centred in float64: the inner loop of both passes over the features."""

from __future__ import annotations

from collections.abc import Iterator

import torch

__all__ = ["centred_chunks"]

# A float64 chunk of 1 MiB a core stays in second-level caches between the four operations on it, up to a
# limit on memory; an accelerator wants work worth a launch instead.
_CORE_ENTRIES = 2**17
_CPU_ENTRIES = 2**21
_ACCELERATOR_ENTRIES = 2**23
_LEAST_ROWS = 16


def centred_chunks(
    features: torch.Tensor, order: torch.Tensor, counts: torch.Tensor, shifts: torch.Tensor
) -> Iterator[tuple[int | torch.Tensor, torch.Tensor]]:
    """Chunks of `features[order]`, each row less the shift of its class, in float64.

    Args:
        features: (N, d), any float dtype.
        order: (N,) rows sorted by class.
        counts: (P,) rows of each class.
        shifts: (P, d) float64, what to subtract from the rows of each class.

    Yields:
        The class of the chunk (an int, or an int64 tensor with one class a row where classes are small), and
        its (rows, d) float64 values, in a buffer that the next chunk overwrites.

    >>> x = torch.tensor([[1.0], [5.0], [3.0]])
    >>> shifts = torch.tensor([[1.0], [5.0]], dtype=torch.float64)
    >>> chunks = centred_chunks(x, torch.tensor([0, 2, 1]), torch.tensor([2, 1]), shifts)
    >>> [(k.tolist(), t.tolist()) for k, t in chunks]
    [([0, 0, 1], [[0.0], [2.0], [0.0]])]
    """
    samples, dimension = features.shape
    if features.device.type == "cpu":
        entries = min(_CPU_ENTRIES, _CORE_ENTRIES * torch.get_num_threads())
    else:
        entries = _ACCELERATOR_ENTRIES
    rows = min(samples, max(_LEAST_ROWS, entries // dimension))
    taken = features.new_empty((rows, dimension))
    centred = taken if features.dtype == torch.float64 else taken.to(torch.float64)

    def take(start: int, stop: int) -> torch.Tensor:
        chunk = torch.index_select(features, 0, order[start:stop], out=taken[: stop - start])
        return chunk if centred is taken else centred[: stop - start].copy_(chunk)

    if samples >= _LEAST_ROWS * counts.numel():
        start = 0
        for k, count in enumerate(counts.tolist()):
            stop = start + count
            for first in range(start, stop, rows):
                yield k, take(first, min(first + rows, stop)).sub_(shifts[k])
            start = stop
        return
    # many small classes: one operation for all of them instead of several for each
    classes = torch.repeat_interleave(counts)
    for first in range(0, samples, rows):
        stop = min(first + rows, samples)
        yield classes[first:stop], take(first, stop).sub_(shifts[classes[first:stop]])
