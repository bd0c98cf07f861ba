"""What people see of a sweep: its plan before it starts, and a line that follows it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pnc.sweep.dataset import dataset_bytes, results_bytes, results_name
from pnc.sweep.execute import SweepProgress
from pnc.sweep.plan import Plan, axis_label

__all__ = ["describe_plan", "duration", "show_progress"]

_STARTING = 3.0  # seconds until a worker has loaded its libraries


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(0.4), duration(75), duration(7300)
    ('under 1 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def describe_plan(plan: Plan, *, workers: int) -> str:
    """Runs, their axes, reduced sizes and batches, expected time, memory and results; one line each."""
    values = {name: plan.values(name) for name in plan.axes}
    varied = [
        f"{name} {_shown(found[0])}…{_shown(found[-1])} ({len(found)})"
        for name, found in values.items()
        if len(found) > 1
    ]
    seeds = plan.sweep.settings.seeds
    varied += [f"{seeds} seeds"] if seeds > 1 else []
    sizes: Counter[tuple[int, int, int]] = Counter()
    for members, (rank, width, depth, _) in zip(plan.batches, plan.shapes, strict=True):
        sizes[width, rank, depth] += len(members)
    shown = [
        f"{count} of {depth} layers, {width} × {width} on inputs of rank {rank}"
        for (width, rank, depth), count in list(sizes.items())[:4]
    ]
    shown += [f"{len(sizes) - 4} further sizes"] if len(sizes) > 4 else []
    seconds = _STARTING + sum(plan.batch_seconds(b) for b in range(len(plan.batches))) / min(workers, len(plan.batches))
    memory = max(plan.batch_bytes(b) for b in range(len(plan.batches))) * min(workers, len(plan.batches))
    memory += results_bytes(plan)
    return "\n".join(
        [
            f"plan: {len(plan.runs)} run{'s' if len(plan.runs) > 1 else ''} in {len(plan.batches)} "
            f"batch{'es' if len(plan.batches) > 1 else ''}" + (f": {', '.join(varied)}" if varied else ""),
            f"matrices: {'; '.join(shown)}",
            f"expected: about {duration(seconds)} with {workers} worker{'s' if workers > 1 else ''}, "
            f"{_size(memory)} of arrays",
            f"results: {_size(dataset_bytes(plan))} in {results_name(plan)}, and results.csv",
        ]
    )


def _size(count: int) -> str:
    return f"{count / 2**20:.0f} MiB" if count > 2**20 else "under 1 MiB"


def _shown(value: float | tuple[int, ...]) -> str:
    label = axis_label(value)
    return label if isinstance(label, str) else f"{label:g}"


@contextmanager
def show_progress(*, quiet: bool = False) -> Iterator[Callable[[SweepProgress], None] | None]:
    """Follow a sweep on stderr: a bar on a terminal, otherwise a line now and then; runs, throughput and time left."""
    if quiet:
        yield None
        return
    if not sys.stderr.isatty():
        spoke = [-1e9]

        def say(state: SweepProgress) -> None:
            if state.seconds - spoke[0] >= 10 or state.runs == state.total:
                spoke[0] = state.seconds
                print(f"{state.runs} of {state.total} runs, {_state(state)}", file=sys.stderr, flush=True)

        yield say
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.completed} of {task.total} runs"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, state="starting")

        def update(state: SweepProgress) -> None:
            bar.update(task, completed=state.runs, total=state.total, state=_state(state))

        yield update


def _state(state: SweepProgress) -> str:
    parts = [f"{state.found} found finished"] if state.found else []
    if state.runs > state.found:
        parts.append(f"{state.runs_per_second:.3g} runs/s")
    if state.seconds_left is not None and state.runs < state.total:
        parts.append(f"about {duration(state.seconds_left)} left")
    return ", ".join(parts) or "starting"
