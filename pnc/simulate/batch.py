"""Many runs at once: those of equal shapes are stacked and advance together (`train`)."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pnc.data import Problem
from pnc.simulate.device import threads_for
from pnc.simulate.outcome import Outcome
from pnc.simulate.run import PreparedRun, Simulation, prepare, simulate, train_stack
from pnc.spec import NetworkSpec, SimulationSpec
from pnc.threads import threads_by_size

__all__ = ["simulate_batch"]

# of the weights that advance together: a core's cache holds little more, a GPU is filled
_STACKED_BYTES = {"cpu": 1 << 22, "cuda": 1 << 28}


def simulate_batch(
    runs: Sequence[tuple[Problem, NetworkSpec, SimulationSpec]],
    *,
    progress: Callable[[int], None] | None = None,
) -> list[Simulation]:
    """Train many deep linear networks together: each result is that of `simulate` alone.

    Runs of equal shapes (rank of the inputs, reduced width, classes, depth) and the same engine are stacked, whatever
    their seed, width, ε, α, data, tolerance and budget.

    Args:
        runs: problem, network and training of each.
        progress: called with the number of runs that have ended.

    Raises:
        InvalidInputError: as `simulate` does.
        KeyboardInterrupt: Ctrl-C; nothing is returned then.

    >>> import numpy as np
    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> network = NetworkSpec(depth=3, width=300)
    >>> [run.outcome.name for run in simulate_batch([(problem, network, SimulationSpec(seed=s)) for s in range(3)])]
    ['CONVERGED', 'CONVERGED', 'CONVERGED']
    """
    prepared = []
    for run in runs:
        with threads_by_size(*run[0].X.shape):  # as `simulate` alone: sums depend on the number of threads
            prepared.append(prepare(*run))
    results: dict[int, Simulation] = {}
    for indices in _stacks(prepared):
        members = [prepared[i] for i in indices]
        recorders = [run.recorder() for run in members]
        began = time.perf_counter()
        size = max(runs[i][0].X.shape for i in indices)
        with threads_by_size(*size), threads_for(max(members[0].shapes[1]), members[0].device):
            trained = train_stack(members, recorders)
        if any(end.outcome is Outcome.INTERRUPTED for end in trained):
            raise KeyboardInterrupt
        seconds = (time.perf_counter() - began) / len(members)
        for i, end, recorder in zip(indices, trained, recorders, strict=True):
            with threads_by_size(*runs[i][0].X.shape):
                found = prepared[i].finish(end, recorder, seconds=seconds)
            if found.coordinates.cut_off > prepared[i].train.cut_off:
                found = simulate(*runs[i])
            results[i] = found
        if progress is not None:
            progress(len(results))
    return [results[i] for i in range(len(runs))]


def _stacks(runs: Sequence[PreparedRun]) -> Iterator[list[int]]:
    """Indices of runs that can advance together, and no more of them at once than are fast."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for i, run in enumerate(runs):
        exact = run.train.weights == "exact"
        rank = run.data.scale.size  # of full weights the shapes do not tell it
        groups[run.shapes, rank, run.device, run.train.dtype, run.train.engine, exact].append(i)
    for (shapes, _, device, dtype, _, _), members in groups.items():
        size = sum(rows * columns for rows, columns in shapes) * (8 if dtype == "float64" else 4)
        parts = -(-len(members) // max(1, _STACKED_BYTES[device.type] // size))
        for part in range(parts):  # of equal sizes, give or take one
            yield members[part * len(members) // parts : (part + 1) * len(members) // parts]
