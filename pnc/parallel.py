"""Tasks for other processes: on this machine, or on a Dask cluster; their results come in the order of the tasks."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from pnc.errors import InvalidInputError, PncError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Crew", "crew", "one_thread_each", "process_pool", "scheduler_client"]

# workers are as many as there are cores: threads inside them would only wait for each other
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_SCHEDULER_TIMEOUT = 10  # seconds
_AHEAD = 2  # tasks a worker that are handed out before the oldest result is taken: results never pile up
_DEATHS = 3  # of workers, one after another without any result between them

Task = TypeVar("Task")
Shared = TypeVar("Shared")
Result = TypeVar("Result")


class Crew(Protocol):
    """Other processes that work."""

    def map(
        self, function: Callable[[Shared, Task], Result], shared: Shared, tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """`function(shared, task)` of every task, in their order; `shared` is sent to each worker once."""
        ...


@contextmanager
def crew(*, workers: int | None = None, scheduler: str | None = None) -> Iterator[Crew | None]:
    """Processes to work in; `None` where one is enough, which is this one.

    A worker that dies is replaced, and does its task again.

    Args:
        workers: processes on this machine.
        scheduler: address of a Dask scheduler, in place of these.

    Raises:
        InvalidInputError: no scheduler answers there; both are given.

    >>> with crew(workers=1) as nobody:
    ...     nobody is None
    True
    """
    if scheduler is not None:
        if workers is not None:
            raise InvalidInputError(
                got=f"`workers={workers}` with `scheduler={scheduler}`",
                expected="processes on this machine, or those of a cluster",
                next_step="leave out `workers`; a cluster has its own",
            )
        with scheduler_client(scheduler) as client:
            yield _Cluster(client)
    elif workers is None or workers <= 1:
        yield None
    else:
        with tempfile.TemporaryDirectory(prefix="pnc-") as folder, one_thread_each():
            processes = _Processes(workers, Path(folder))
            try:
                yield processes
            finally:
                processes.stop()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes that are started meanwhile use one thread of linear algebra each."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start_worker() -> None:
    """Ignore Ctrl-C, which the parent handles, and end when the parent has gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None  # this runs in the processes of a pool alone

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes on this machine, which end with the block, whatever they are at."""
    pool = _new_pool(workers)
    try:
        yield pool
    finally:
        _end(pool)


def _new_pool(workers: int) -> ProcessPoolExecutor:
    # spawned: a fork of a process that has used threads may deadlock
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start_worker)


def _end(pool: ProcessPoolExecutor) -> None:
    for process in list((pool._processes or {}).values()):
        process.terminate()  # what is in flight is lost anyway, and nobody waits for it
    pool.shutdown(wait=True, cancel_futures=True)


@lru_cache(maxsize=1)
def _from_file(path: str) -> Any:
    with open(path, "rb") as file:
        return pickle.load(file)  # written by the parent, into a folder of its own


def _with_shared(path: str, function: Callable[[Any, Any], Any], task: Any) -> Any:
    return function(_from_file(path), task)


class _Processes:
    """A pool of processes on this machine."""

    def __init__(self, workers: int, folder: Path) -> None:
        self._workers, self._folder, self._shared = workers, folder, 0
        self._pool: ProcessPoolExecutor | None = None

    def _start(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = _new_pool(self._workers)
        return self._pool

    def stop(self) -> None:
        """End the processes, whatever they are at."""
        if self._pool is not None:
            _end(self._pool)
            self._pool = None

    def map(
        self, function: Callable[[Shared, Task], Result], shared: Shared, tasks: Iterable[Task]
    ) -> Iterator[Result]:
        self._shared += 1
        path = self._folder / f"{self._shared}"
        path.write_bytes(pickle.dumps(shared))
        rest = iter(tasks)
        waiting: list[tuple[Task, Future[Result]]] = []
        deaths = 0
        try:
            while True:
                while len(waiting) < _AHEAD * self._workers and (task := next(rest, None)) is not None:
                    waiting.append((task, self._submit(path, function, task)))
                if not waiting:
                    return
                try:
                    result = waiting[0][1].result()
                except BrokenProcessPool:
                    deaths += 1
                    if deaths == _DEATHS:
                        raise PncError(
                            "worker processes died one after another on the same task: for lack of memory, or because "
                            "a script calls this outside of `if __name__ == '__main__':`, which every worker imports "
                            "again. Run it again with fewer `workers`"
                        ) from None
                    self.stop()
                    waiting = [
                        (task, done if _is_there(done) else self._submit(path, function, task))
                        for task, done in waiting
                    ]
                    continue
                deaths = 0
                waiting.pop(0)
                yield result
        finally:
            path.unlink(missing_ok=True)

    def _submit(self, path: Path, function: Callable[[Any, Any], Any], task: Any) -> Future[Any]:
        try:
            return self._start().submit(_with_shared, str(path), function, task)
        except BrokenProcessPool:  # a worker died since the last result
            failed: Future[Any] = Future()
            failed.set_exception(BrokenProcessPool())
            return failed


def _is_there(done: Future[Any]) -> bool:
    return done.done() and not done.cancelled() and done.exception() is None


class _Cluster:
    """The workers of a Dask scheduler."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def map(
        self, function: Callable[[Shared, Task], Result], shared: Shared, tasks: Iterable[Task]
    ) -> Iterator[Result]:
        from distributed import CancelledError, KilledWorker

        threads = sum(cast("dict[str, int]", self._client.nthreads()).values())
        if not threads:
            raise InvalidInputError(
                got="a scheduler without workers",
                expected="at least one worker",
                next_step="start one with `dask worker` and the scheduler's address",
            )
        sent = self._client.scatter(shared, broadcast=True, hash=False)
        rest = iter(tasks)
        waiting: list[Any] = []
        try:
            while True:
                while len(waiting) < _AHEAD * threads and (task := next(rest, None)) is not None:
                    waiting.append(self._client.submit(function, sent, task, pure=False, retries=3))
                if not waiting:
                    return
                yield waiting.pop(0).result()
        except (CancelledError, KilledWorker) as error:
            lost = "workers died one after another on the same task, perhaps for lack of memory"
            raise PncError(
                f"{lost if isinstance(error, KilledWorker) else 'the connection to the scheduler was lost'}: run the "
                "same again once the cluster is well"
            ) from None


@contextmanager
def scheduler_client(address: str) -> Iterator[Client]:
    """A client of the scheduler, which answers.

    Raises:
        InvalidInputError: none does, or dask.distributed is not installed.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InvalidInputError(
            got=f"`scheduler={address}` without dask.distributed",
            expected="the package that speaks to a scheduler",
            next_step="pip install dask distributed",
        ) from None
    try:
        client = Client(address, timeout=_SCHEDULER_TIMEOUT, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise InvalidInputError(
            got=f"`scheduler={address}`, which does not answer ({' '.join(str(error).split())[:80]})",
            expected="the address of a running Dask scheduler",
            next_step="start one with `dask scheduler` and pass the tcp:// address that it prints",
        ) from None
    log = logging.getLogger("distributed.client")
    before, log.disabled = log.disabled, True  # its tracebacks of a lost connection, which is said in one line
    try:
        with client:
            yield client
    finally:
        log.disabled = before
