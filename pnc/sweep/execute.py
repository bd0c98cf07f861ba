"""Carry a plan out: in this process, in a pool of processes, or on a Dask cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnc.errors import PncError
from pnc.parallel import one_thread_each, process_pool, scheduler_client
from pnc.sweep.dataset import make_dataset, make_table, results_bytes, results_name, write_results
from pnc.sweep.plan import Plan
from pnc.sweep.records import run_batch
from pnc.sweep.store import open_folder

if TYPE_CHECKING:
    import xarray
    from distributed import Client

__all__ = ["SweepProgress", "run_sweep", "usual_workers"]


@dataclass(frozen=True, kw_only=True)
class SweepProgress:
    """Where a sweep is.

    Args:
        runs: finished, those of an earlier process included.
        total: of the plan.
        found: runs that were finished before this process began.
        seconds: since this process began.
        seconds_left: by the plan's estimate, corrected by what finished batches took; `None` before the first.
    """

    runs: int
    total: int
    found: int
    seconds: float
    seconds_left: float | None

    @property
    def runs_per_second(self) -> float:
        """Of this process."""
        return (self.runs - self.found) / self.seconds if self.seconds > 0 else 0.0


def usual_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_sweep(
    plan: Plan,
    folder: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[SweepProgress], None] | None = None,
) -> xarray.Dataset:
    """Carry out what is left of a plan and write `results.nc`, or `results.zarr` for a large one, and `results.csv`.

    A batch counts once its file is written; killed at any moment, the same call goes on from there and ends with the
    same numbers, because batches do not depend on what is finished.

    Args:
        plan: what to run.
        folder: where to; made if it is not there.
        workers: processes on this machine; by default one a core, and one alone on a GPU.
        scheduler: address of a Dask scheduler, in place of processes on this machine.
        progress: called after every batch.

    Returns:
        The dataset: one dimension for every axis, then `seed` and `layer`.

    Raises:
        InvalidInputError: a folder in use, of another version, or damaged; no scheduler there; a plan too large.
    """
    name = results_name(plan)
    on_gpu = scheduler is None and _on_gpu(plan)
    if workers is None:
        workers = 1 if on_gpu else usual_workers()
    plan.require_memory(workers=workers if scheduler is None else 0, results=results_bytes(plan))
    connection = nullcontext() if scheduler is None else scheduler_client(scheduler)
    with connection as client, open_folder(folder) as store:
        records = store.finished()
        store.begin(plan)
        wanted = {run.hash for run in plan.runs}
        found = len(wanted & records.keys())
        left = {
            b: missing
            for b, members in enumerate(plan.batches)
            if (missing := [i for i in members if plan.runs[i].hash not in records])
        }
        began, expected = time.perf_counter(), sum(plan.batch_seconds(b) for b in left)
        spent, done = 0.0, found

        def tell() -> None:
            if progress is not None:
                seconds = time.perf_counter() - began
                rest = max(expected - spent, 0.0) * seconds / spent if spent else None
                progress(
                    SweepProgress(runs=done, total=len(plan.runs), found=found, seconds=seconds, seconds_left=rest)
                )

        tell()
        with _backend(plan, left, workers=workers, client=client) as results:
            for batch, computed in results:
                fresh = {plan.runs[i].hash: record for i, record in zip(left[batch], computed, strict=True)}
                store.write(_file_name(plan, batch, left[batch]), fresh)
                records |= fresh
                spent += plan.batch_seconds(batch)
                done += len(fresh)
                tell()
        dataset = make_dataset(plan, records)
        write_results(store.path, dataset, make_table(plan, records), name=name)
    return dataset


def _on_gpu(plan: Plan) -> bool:
    """Whether any run is on a GPU; a device that is not there is refused, before anything is written."""
    named = {run.train.device for run in plan.runs} - {"cpu"}
    if not named:
        return False
    from pnc.simulate.device import resolve_device  # torch, which this process does without on CPUs

    return any([resolve_device(device).type == "cuda" for device in sorted(named)])


def _file_name(plan: Plan, batch: int, members: Sequence[int]) -> str:
    """A batch's file; what an extended sweep adds to a batch goes beside what was there."""
    if len(members) == len(plan.batches[batch]):
        return plan.batch_name(batch)
    return f"{plan.batch_name(batch)}-{plan.runs[members[0]].hash}"


Results = Iterator[tuple[int, list[dict[str, Any]]]]


@contextmanager
def _backend(plan: Plan, left: dict[int, list[int]], *, workers: int, client: Client | None) -> Iterator[Results]:
    # the longest first, so that none of them is what everyone waits for in the end
    order = sorted(left, key=lambda b: (-plan.batch_seconds(b), b))
    tasks = {b: ([plan.runs[i] for i in left[b]], plan.problem) for b in order}
    workers = min(workers, len(tasks))
    if client is not None:
        yield _distributed(client, tasks)
    elif workers <= 1:
        yield ((b, run_batch(*task)) for b, task in tasks.items())
    else:
        with _processes(workers, tasks) as results:
            yield results


@contextmanager
def _processes(workers: int, tasks: dict[int, tuple]) -> Iterator[Results]:
    with one_thread_each(), process_pool(workers) as pool:
        futures = {pool.submit(run_batch, *task): b for b, task in tasks.items()}

        def results() -> Results:
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            except BrokenProcessPool:
                raise PncError(
                    "a worker process died: for lack of memory, or because a script calls this outside of "
                    "`if __name__ == '__main__':`, which every worker imports again. Run it again with fewer "
                    "`workers`; finished batches are kept"
                ) from None

        yield results()


def _distributed(client: Client, tasks: dict[int, tuple]) -> Results:
    from distributed import CancelledError, KilledWorker
    from distributed import as_completed as completed

    futures = {client.submit(run_batch, *task, pure=False, retries=3): b for b, task in tasks.items()}
    try:
        for future in completed(futures, loop=client.loop):
            yield futures[future], future.result()
    except (CancelledError, KilledWorker) as error:
        lost = "workers died one after another on the same batch, perhaps for lack of memory"
        raise PncError(
            f"{lost if isinstance(error, KilledWorker) else 'the connection to the scheduler was lost'}: run the same "
            "command again once the cluster is well; finished batches are kept"
        ) from None
