"""One process or several: what `torchrun` started, or a group that the caller has set up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

__all__ = ["Processes", "joined_processes"]

_PATIENCE = timedelta(hours=2)  # one process may measure or write for much longer than the others


@dataclass(frozen=True, kw_only=True)
class Processes:
    """This process among those that train together.

    Args:
        rank: of this one, from 0.
        world: how many.
    """

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this one writes and reports."""
        return self.rank == 0

    def share(self, size: int) -> slice:
        """Which of `size` samples are this process's."""
        return slice(self.rank, size, self.world)

    def add(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all processes."""
        if self.world == 1:
            return tensor
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    def copy_first(self, tensor: torch.Tensor) -> None:
        """Give a tensor the value that it has in the first process."""
        if self.world > 1:
            distributed.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Until all have come here."""
        if self.world > 1:
            distributed.barrier()


@contextmanager
def joined_processes(device: torch.device) -> Iterator[Processes]:
    """The group that exists, or the one that torchrun's environment describes (nccl on CUDA, gloo elsewhere), or one
    process."""
    started = False
    if distributed.is_available() and not distributed.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        if device.type == "cuda" and device.index is None:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
        started = True
    try:
        if distributed.is_available() and distributed.is_initialized():
            yield Processes(rank=distributed.get_rank(), world=distributed.get_world_size())
        else:
            yield Processes()
    finally:
        if started:
            distributed.destroy_process_group()
