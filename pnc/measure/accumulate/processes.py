"""Measurements of several processes as one: every process ends with the same numbers."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import distributed

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.moments import ClassMoments

__all__ = ["gather_moments", "gather_objects", "in_this_process", "process_count", "sum_over_processes", "together"]

_PATIENCE = 20.0  # seconds, after which a process says whom it waits for
_alone: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def in_this_process() -> Iterator[None]:
    """Everything inside is of this process alone, whatever `torch.distributed` joins.

    >>> with in_this_process():
    ...     process_count()
    1
    """
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def process_count() -> int:
    """How many processes `torch.distributed` joins; 1 where it was not started.

    >>> process_count()
    1
    """
    if not _alone.get() and distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def gather_objects(value: Any) -> list[Any]:
    """The value that each process gave, in the order of their ranks."""
    if process_count() == 1:
        return [value]
    _wait_for_all()
    values: list[Any] = [None] * process_count()
    distributed.all_gather_object(values, value)
    return values


def _wait_for_all() -> None:
    """A barrier that says what it waits for: where one process measures and the others do not, it waits in vain.

    Raises:
        InvalidInputError: the others did not come before the time limit of the process group.
    """
    arrived = distributed.barrier(async_op=True)
    if arrived is None:
        return
    start, said = time.monotonic(), False
    while not arrived.is_completed():
        time.sleep(0.001)
        if not said and time.monotonic() - start > _PATIENCE:
            said = True
            warnings.warn(
                f"process {distributed.get_rank()} waits for the others: all {process_count()} of them must measure, "
                "each its share; or pass alone=True to measure in this one only",
                stacklevel=2,
            )
    try:
        arrived.wait()
    except RuntimeError as error:
        raise InvalidInputError(
            got=f"process {distributed.get_rank()} of {process_count()}, alone",
            expected="every process to measure its share",
            next_step="let every process call this, or pass `alone` True to measure in this one only",
        ) from error


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
