"""A sweep killed with SIGKILL at random moments: nothing lost, nothing run twice but what was in flight.

    python -m sims.kill_sweep --kills 20

The moments are spread over the batches: an undisturbed sweep is timed from its first finished batch to its last, and
every kill comes a random share of that after the first batch was written. Each time the sweep is then resumed, and its
dataset and its table have to be those of the undisturbed one, bit for bit. Exit status 1 where one of them is not.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import xarray

from pnc.errors import PncError
from pnc.sweep import SweepProgress, make_plan, read_sweep, run_sweep

__all__ = ["kills"]

_PNC = (sys.executable, "-c", "from pnc.cli.main import main; main()")
_PATIENCE = 300  # seconds until a sweep that gets nowhere is given up


def _start(grid: Mapping[str, Any], folder: Path, *, workers: int) -> subprocess.Popen:
    options = [text for name, value in grid.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    command = [*_PNC, "sweep", *options, "--out", str(folder), "--workers", str(workers), "--device", "cpu", "--quiet"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def _finished(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Name → time of writing and content of every finished batch."""
    files = sorted((folder / "batches").glob("[!.]*.json"))
    return {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}


def _first_batch(process: subprocess.Popen, folder: Path) -> float:
    """The moment at which the first batch is there."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if next((folder / "batches").glob("[!.]*.json"), None):
            return time.monotonic()
        time.sleep(0.005)
    process.kill()
    process.wait()
    raise PncError("the sweep ended, or took minutes, without a batch that was seen: choose a larger one")


def kills(
    grid: Mapping[str, Any], folder: Path, *, count: int, workers: int = 1, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Kill a sweep `count` times, each time from its beginning, and resume it; one row a kill, as it comes.

    Args:
        grid: options of `pnc sweep`; several batches.
        folder: where to work.
        count: how many kills.
        workers: processes of the sweep that is killed.
        seed: of the moments.
    """
    plan, rng = make_plan(read_sweep(grid), device="cpu"), random.Random(seed)
    process = _start(grid, folder / "whole", workers=workers)
    process.wait()
    written = [moment for moment, _ in _finished(folder / "whole").values()]
    duration = (max(written) - min(written)) / 1e9  # until the last batch: writing the results would draw most kills
    expected = run_sweep(plan, folder / "whole", workers=1)  # reads what is there
    table = (folder / "whole" / "results.csv").read_bytes()
    attempt = made = 0
    while made < count:
        attempt += 1
        killed = folder / f"killed{attempt}"
        process = _start(grid, killed, workers=workers)
        first = _first_batch(process, killed)
        time.sleep(max(0.0, first + rng.uniform(0, duration) - time.monotonic()))
        if process.poll() is not None:
            continue  # it was over sooner than the first one
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = _finished(killed)
        states: list[SweepProgress] = []
        found = run_sweep(plan, killed, workers=1, progress=states.append)
        after = _finished(killed)
        there = sum(len(plan.batches[b]) for b in range(len(plan.batches)) if f"{plan.batch_name(b)}.json" in kept)
        made += 1
        yield {
            "batches finished": f"{len(kept)} of {len(plan.batches)}",
            "runs lost": there - states[0].found,
            "batches written twice": sum(after.get(name) != content for name, content in kept.items()),
            "identical": found.identical(expected) and _same_files(killed, expected, table),
        }


def _same_files(folder: Path, expected: xarray.Dataset, table: bytes) -> bool:
    with xarray.open_dataset(folder / "results.nc") as written:
        same = written.load().identical(expected)
    return same and (folder / "results.csv").read_bytes() == table


def main(
    count: Annotated[int, typer.Option("--kills", min=1, help="How many.")] = 20,
    workers: Annotated[int, typer.Option(min=1, help="Processes of the sweep that is killed.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
) -> None:
    """Kill a sweep of 20 batches, and print what was there, lost and repeated each time."""
    grid = {"depth": "2:6", "samples_per_class": "3:6", "epsilon": "0.3,0.4", "seeds": 6}
    good = 0
    with tempfile.TemporaryDirectory() as folder:
        for row in kills(grid, Path(folder), count=count, workers=workers, seed=seed):
            print(", ".join(f"{name}: {value}" for name, value in row.items()), flush=True)
            good += row["identical"] and not row["runs lost"] and not row["batches written twice"]
    print(f"{good} of {count} resumed to the same dataset, with nothing lost and no finished batch run again")
    raise typer.Exit(0 if good == count else 1)


if __name__ == "__main__":
    typer.run(main)
