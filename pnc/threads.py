"""Threads of linear algebra: small factorisations are faster on one, most of all on a machine that others use too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

__all__ = ["threads_by_inputs", "threads_by_size"]


class _Sized(Protocol):
    @property
    def samples(self) -> int: ...

    @property
    def dimension(self) -> int: ...


P = ParamSpec("P")
T = TypeVar("T")
Sized = TypeVar("Sized", bound=_Sized)

_WORTH_SHARING = 700  # rows and columns; below, threads that wait for each other cost more than they do


@contextmanager
def threads_by_size(*sizes: int) -> Iterator[None]:
    """One thread of NumPy's and SciPy's libraries while the smaller side of a matrix is small; otherwise as usual.

    Args:
        sizes: rows and columns of the largest matrix that is factorised.

    >>> with threads_by_size(500, 300):
    ...     from threadpoolctl import threadpool_info
    ...     {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
    {1}
    """
    if min(sizes) >= _WORTH_SHARING:
        limit = nullcontext()
    else:
        from threadpoolctl import threadpool_limits

        limit = threadpool_limits(limits=1, user_api="blas")
    with limit:
        yield


def threads_by_inputs(function: Callable[Concatenate[Sized, P], T]) -> Callable[Concatenate[Sized, P], T]:
    """A function of a problem, whose inputs it factorises, under `threads_by_size`."""

    @wraps(function)
    def limited(problem: Sized, *arguments: P.args, **options: P.kwargs) -> T:
        with threads_by_size(problem.samples, problem.dimension):
            return function(problem, *arguments, **options)

    return limited
