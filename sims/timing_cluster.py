"""Timing of a sweep on Dask: two worker processes against one, on the same plan.

    python -m sims.timing_cluster

Real worker processes with one thread each, started beforehand, on which a small sweep has loaded every library; what is
timed is the sweep itself. Both clusters take turns, and the ratio is the median of the turns'. Nothing is asserted:
machines differ, and where two cores are not free two workers cannot be twice as fast.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
import xarray

from pnc.sweep import Plan, SweepProgress, make_plan, read_sweep, run_sweep

__all__ = ["rows"]


@contextmanager
def _cluster(workers: int) -> Iterator[str]:
    """The address of a scheduler with so many workers, each of them warm.

    Workers are spawned and import the main module again: a script that starts them has to do so under
    `if __name__ == "__main__":`, or each of them tries to start a cluster of its own, for ever.
    """
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    )
    with cluster:
        with Client(cluster, set_as_default=False) as client:
            client.wait_for_workers(workers)
            client.run(_warm_up)
        yield cluster.scheduler_address


def _warm_up() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run_sweep(make_plan(read_sweep(depth=2), device="cpu"), folder, workers=1)


def _timed(plan: Plan, address: str) -> tuple[float, xarray.Dataset]:
    """Seconds until the last batch was finished, and the dataset."""
    states: list[SweepProgress] = []
    with tempfile.TemporaryDirectory() as folder:
        dataset = run_sweep(plan, Path(folder), scheduler=address, progress=states.append)
    return states[-1].seconds, dataset


def rows(*, seeds: int = 24, repeats: int = 3) -> list[dict[str, Any]]:
    """Seconds of a sweep of 20 batches on one worker and on two, and the ratio.

    Args:
        seeds: of the sweep, which has 40 runs for each.
        repeats: turns.
    """
    plan = make_plan(read_sweep(depth="2:6", samples_per_class="3:6", epsilon="0.3,0.4", seeds=seeds), device="cpu")
    found: dict[int, list[float]] = {1: [], 2: []}
    datasets = []
    with _cluster(1) as one, _cluster(2) as two:
        for _ in range(repeats):
            for workers, address in ((1, one), (2, two)):
                seconds, dataset = _timed(plan, address)
                found[workers].append(seconds)
                datasets.append(dataset)
    ratios = [alone / together for alone, together in zip(found[1], found[2], strict=True)]
    same = all(dataset.identical(datasets[0]) for dataset in datasets)
    return [
        {
            f"Dask, {len(plan.runs)} runs": f"{workers} worker{'s' if workers > 1 else ''}",
            "seconds": median(found[workers]),
            "× one worker": 1.0 if workers == 1 else median(ratios),
            "same dataset": "yes" if same else "NO",
        }
        for workers in found
    ]


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Of the sweep, which has 40 runs for each.")] = 24,
    repeats: Annotated[int, typer.Option(min=1, help="Turns.")] = 3,
) -> None:
    """Print the table."""
    for row in rows(seeds=seeds, repeats=repeats):
        print(", ".join(f"{name} {v:.3g}" if isinstance(v, float) else f"{name}: {v}" for name, v in row.items()))


if __name__ == "__main__":
    typer.run(main)
