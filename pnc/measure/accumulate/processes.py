"""Measurements of several processes as one: every process ends with the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import distributed

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.moments import ClassMoments

__all__ = ["gather_moments", "gather_objects", "process_count", "sum_over_processes", "together"]


def process_count() -> int:
    """How many processes `torch.distributed` joins; 1 where it was not started.

    >>> process_count()
    1
    """
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def gather_objects(value: Any) -> list[Any]:
    """The value that each process gave, in the order of their ranks."""
    if process_count() == 1:
        return [value]
    values: list[Any] = [None] * process_count()
    distributed.all_gather_object(values, value)
    return values


def together(action: Callable[[], Any]) -> Any:
    """What an action returns, once every process has done its own; where one fails, all fail.

    Without this the others would wait for the one that failed.

    Raises:
        InvalidInputError: the action failed in another process.

    >>> together(lambda: 3)
    3
    """
    if process_count() == 1:
        return action()
    failure, result = None, None
    try:
        result = action()
    except Exception as error:
        failure = error
    messages = gather_objects(None if failure is None else str(failure))
    if failure is not None:
        raise failure
    for rank, message in enumerate(messages):
        if message is not None:
            raise InvalidInputError(
                got=f"process {rank} failed: {message}",
                expected="every process to measure its share",
                next_step=f"look at process {rank}",
            )
    return result


def gather_moments(moments: ClassMoments) -> ClassMoments:
    """The moments of all processes' samples, merged in the order of their ranks; any may be empty."""
    if process_count() == 1:
        return moments
    # one tensor of one shape whatever a process has seen; counts are exact in float64 up to 2⁵³
    packed = torch.cat([moments.means, moments.squares[:, None], moments.counts[:, None].to(torch.float64)], 1)
    parts = [torch.empty_like(packed) for _ in range(process_count())]
    distributed.all_gather(parts, packed.contiguous())
    merged = ClassMoments(classes=moments.classes, dimension=moments.dimension, device=moments.device)
    for part in parts:
        state = {"counts": part[:, -1].to(torch.int64), "means": part[:, :-2], "squares": part[:, -2]}
        merged.merge(ClassMoments.from_state(state))
    return merged


def sum_over_processes(values: list[float], *, device: torch.device | str) -> list[float]:
    """The sum over processes of each number."""
    if process_count() == 1:
        return values
    total = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return total.tolist()
