"""The plan of a sweep: every run with the hash of its spec, and the batches in which they advance together.

The plan follows from the sweep alone: neither what is finished already nor how many workers there are changes it, so
that an interrupted sweep ends with the numbers it would have had.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
import os
from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pnc.data import Problem, draw, resolve_data
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec
from pnc.sweep.grid import AXES, Sweep, Value

__all__ = ["FORMAT", "Plan", "Run", "axis_label", "make_plan"]

FORMAT = 2
"""Version of what is hashed and written; results of another version are refused."""

_RUNS_A_BATCH = 64
_USUAL_EPSILON = 0.3  # the paper's
_RUN_BYTES = 1200  # of a run in a plan
_COPIES = 16  # of the weights: what the integrator keeps, twice
_OVERHEAD = 0.035  # seconds: drawing, measuring, certificate
_SECONDS_A_GRADIENT = (8e-6, 2.5e-9)  # a run, and each weight, in a batch


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a sweep.

    Args:
        coordinates: value of every axis that the run has, and its seed.
        problem: how its data are drawn; `None` where all runs share data that were read.
        network: depth, width, ε, α.
        train: how it is trained.
        data: digest of the data that were read; empty where they are drawn.
        certificate: whether to compute the certificate of its weights.
        full_checks: whether to check the assumptions on the full matrices.
    """

    coordinates: Mapping[str, Value]
    problem: ProblemSpec | None
    network: NetworkSpec
    train: SimulationSpec
    data: str
    certificate: bool
    full_checks: bool

    @cached_property
    def hash(self) -> str:
        """Of everything that decides the numbers; the device does not count as part of the question."""
        train = self.train.to_dict()
        del train["device"]
        spec = {
            "format": FORMAT,
            "problem": self.problem.to_dict() if self.problem else self.data,
            "network": self.network.to_dict(),
            "train": train,
            "certificate": self.certificate,
            "full_checks": self.full_checks,
        }
        return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:32]


def axis_label(value: Value) -> float | str:
    """A value as the results show it: sizes of unequal classes are text.

    >>> axis_label(10), axis_label((5, 10, 20))
    (10, '5/10/20')
    """
    return "/".join(map(str, value)) if isinstance(value, tuple) else value


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Runs, in the order of the results, and the batches in which they are computed.

    Args:
        sweep: what was asked for.
        runs: each once, whatever grids it belongs to.
        batches: indices of the runs of each batch.
        shapes: (inputs' rank, width, depth, classes) in the coordinates of each batch.
        problem: data that all runs share; `None` where each draws its own.
    """

    sweep: Sweep
    runs: tuple[Run, ...]
    batches: tuple[tuple[int, ...], ...]
    shapes: tuple[tuple[int, int, int, int], ...]
    problem: Problem | None

    @property
    def axes(self) -> list[str]:
        """Axes of the result: those that any run has."""
        return [name for name in AXES if any(name in run.coordinates for run in self.runs)]

    def values(self, axis: str) -> list[Value]:
        """The values of an axis that runs have, or the seeds, increasing; sizes of classes as words are ordered."""
        found = {run.coordinates[axis] for run in self.runs if axis in run.coordinates}
        return sorted(found, key=lambda value: value if isinstance(value, tuple) else (value,))

    def batch_name(self, batch: int) -> str:
        """Of a batch's file: a hash of its runs."""
        joined = "".join(self.runs[i].hash for i in self.batches[batch])
        return hashlib.sha256(joined.encode()).hexdigest()[:24]

    def batch_bytes(self, batch: int) -> int:
        """About what a process needs to compute a batch, beside Python and its libraries."""
        rank, width, depth, classes = self.shapes[batch]
        weights = 8 * (width * rank + (depth - 2) * width**2 + classes * width)
        stacked = min(len(self.batches[batch]), max(1, (1 << 22) // weights))
        runs = [self.runs[i] for i in self.batches[batch]]
        # every run holds its data, its initial weights and its result
        held = sum(8 * 3 * r.problem.samples * r.problem.dimension for r in runs if r.problem)
        return _COPIES * weights * stacked + 3 * weights * len(runs) + held

    def batch_seconds(self, batch: int) -> float:
        """About how long one core computes a batch: the plateau of Y1 and the relaxation after it."""
        rank, width, depth, classes = self.shapes[batch]
        weights = width * rank + (depth - 2) * width**2 + classes * width
        fixed, each = _SECONDS_A_GRADIENT
        total = 0.0
        for i in self.batches[batch]:
            run = self.runs[i]
            samples = _stated(run.problem, self.problem).samples
            smallest = min(run.problem.counts) if run.problem else samples / classes
            signal = math.sqrt(smallest) / run.network.label_scale
            scale = run.network.residual_scale
            plateau = samples / max(2 * signal * max(depth - 2, 1) * scale ** (depth - 2), 1e-300)
            if run.train.engine == "flow":
                gradients = 120 * depth + 6 * math.sqrt(plateau)
            else:
                rate = run.train.learning_rate or samples / (2 * depth * signal ** (2 - 2 / depth))
                gradients = min(run.train.steps, 100 * depth + 1.4 * plateau / rate)
            total += _OVERHEAD + gradients * (fixed + each * weights)
        return total

    def require_memory(self, *, workers: int, results: int = 0, available: int | None = None) -> None:
        """Refuse a plan whose largest batches, or whose results, do not fit.

        Args:
            workers: batches at a time on this machine.
            results: bytes of the results.
            available: bytes; by default what this machine grants.

        Raises:
            InvalidInputError: with both numbers.
        """
        available = _available_memory() if available is None else available
        largest = max(range(len(self.batches)), key=self.batch_bytes)
        workers = min(workers, len(self.batches))
        weights = workers * self.batch_bytes(largest)
        if weights + results <= available:
            return
        rank, width, depth, _ = self.shapes[largest]
        if weights >= results:
            what = f"{workers} at a time; weights of {depth} layers, {width} × {width}, inputs of rank {rank}"
            advice = "use fewer `workers`, reduced coordinates, a smaller width or fewer samples"
        else:
            what = f"{results / 2**30:.3g} GiB of them for the results of {len(self.runs)} runs"
            advice = "split the grid into several sweeps"
        raise InvalidInputError(
            got=f"a grid that needs about {(weights + results) / 2**30:.3g} GiB ({what})",
            expected=f"at most the {available / 2**30:.3g} GiB of this machine",
            next_step=advice,
        )


def _available_memory() -> int:
    """Bytes of memory that this machine or its control group grants."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(OSError, ValueError):  # another system, or no limit
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min(limits)


def make_plan(sweep: Sweep, *, device: str = "auto") -> Plan:
    """The plan of a sweep.

    Args:
        sweep: what to run.
        device: where; it is not part of a run's hash.

    Raises:
        InvalidInputError: a value that no run can have, data that cannot be read, more runs than fit the memory.

    >>> from pnc.sweep.grid import read_sweep
    >>> plan = make_plan(read_sweep(depth="2:3", width="200,300", seeds=2))
    >>> len(plan.runs), plan.batches, plan.shapes[0]
    (8, ((0, 1, 2, 3), (4, 5, 6, 7)), (30, 33, 2, 3))
    """
    settings = sweep.settings
    count = settings.seeds * sum(math.prod(map(len, grid.values())) for grid in sweep.grids)
    if count * _RUN_BYTES > (available := _available_memory()):
        raise InvalidInputError(
            got=f"a grid that needs about {count * _RUN_BYTES / 2**30:.3g} GiB (for the plan of {count:,} runs alone)",
            expected=f"at most the {available / 2**30:.3g} GiB of this machine",
            next_step="split the grid into several sweeps",
        )
    problem, digest = (None, "") if settings.synthetic else _read(sweep)
    named = frozenset(name for grid in sweep.grids for name in grid)
    runs: dict[str, Run] = {}
    for grid in sweep.grids:
        names = [name for name in AXES if name in grid]
        for values in itertools.product(*(grid[name] for name in names)):
            point = dict(zip(names, values, strict=True))
            for seed in range(settings.seed, settings.seed + settings.seeds):
                run = _run(sweep, point, named, seed, digest, device, problem)
                runs.setdefault(run.hash, run)
    ordered = tuple(runs.values())
    groups: dict[tuple, list[int]] = defaultdict(list)
    for i, run in enumerate(ordered):
        groups[_shape(run, problem)].append(i)
    batches, shapes = [], []
    for shape, members in groups.items():
        for start in range(0, len(members), _RUNS_A_BATCH):
            batches.append(tuple(members[start : start + _RUNS_A_BATCH]))
            shapes.append(shape)
    return Plan(sweep=sweep, runs=ordered, batches=tuple(batches), shapes=tuple(shapes), problem=problem)


def _run(
    sweep: Sweep,
    point: Mapping[str, Any],  # values of the kinds that `AXES` names
    named: Set[str],
    seed: int,
    digest: str,
    device: str,
    shared: Problem | None,
) -> Run:
    """One run, with a coordinate for every axis that its grid or, among `named`, another one states."""
    settings = sweep.settings
    problem = None
    if settings.kind is not None:
        given = {n: point[n] for n in ("classes", "samples_per_class", "dimension", "theta") if n in point}
        if isinstance(sizes := given.get("samples_per_class"), tuple):
            given.setdefault("classes", len(sizes))
        problem = ProblemSpec(kind=settings.kind, seed=seed, **given)
        if len(set(problem.counts)) == 1:  # the same data, however their sizes were written
            problem = replace(problem, samples_per_class=problem.counts[0])
    network = NetworkSpec(
        depth=point["depth"],
        width=point.get("width"),
        residual_scale=point.get("epsilon", _USUAL_EPSILON),
        label_scale=point.get("label_scale", 1.0),
    )
    train = SimulationSpec(
        weights=settings.weights,
        engine=settings.engine,
        coordinates=settings.coordinates,
        learning_rate=settings.learning_rate,
        steps=settings.steps,
        loss_tolerance=settings.loss_tolerance,
        dtype=settings.dtype,
        device=device,
        seed=seed,
    )
    stated = {"epsilon": network.residual_scale, "label_scale": network.label_scale}
    if problem is not None:
        stated |= {"classes": problem.classes, "samples_per_class": problem.samples_per_class}
        if problem.kind == "nearly-orthonormal":
            stated["theta"] = problem.theta
        if "dimension" in named:
            stated["dimension"] = problem.dimension
    if "width" in named:
        stated["width"] = _width(network, _stated(problem, shared))
    return Run(
        coordinates={**point, **stated, "seed": seed},
        problem=problem,
        network=network,
        train=train,
        data=digest,
        certificate=settings.certificates,
        full_checks=settings.full_checks,
    )


def _width(network: NetworkSpec, data: Problem | ProblemSpec) -> int:
    """The width of a network, that which `prepare` chooses where none is stated."""
    return network.width or max(512, data.dimension, 32 * data.classes)


def _shape(run: Run, problem: Problem | None) -> tuple[int, int, int, int]:
    """(Inputs' rank, width, depth, classes) in the coordinates of the run; of generic inputs where they are drawn."""
    data = _stated(run.problem, problem)
    dimension, classes, width = data.dimension, data.classes, _width(run.network, data)
    rank = min(data.samples, dimension)
    if run.train.coordinates == "full":
        return dimension, width, run.network.depth, classes
    return rank, min(width, min(width, rank) + classes), run.network.depth, classes


def _read(sweep: Sweep) -> tuple[Problem, str]:
    settings = sweep.settings
    problem = resolve_data(
        settings.data,
        data_dir=settings.data_dir,
        components=settings.components,
        whiten=settings.whiten,
        scale=settings.scale,
    )
    digest = hashlib.sha256(np.ascontiguousarray(problem.X).data).hexdigest()
    digest += hashlib.sha256(np.ascontiguousarray(problem.y).data).hexdigest()
    return problem, digest


def problem_of(run: Run, shared: Problem | None) -> Problem:
    """The data of a run."""
    data = _stated(run.problem, shared)
    return draw(data) if isinstance(data, ProblemSpec) else data


def _stated(own: ProblemSpec | None, shared: Problem | None) -> ProblemSpec | Problem:
    """How the data of a run are drawn, or the data that all runs share."""
    data = shared if own is None else own
    assert data is not None  # a plan whose runs draw no data holds what they share
    return data
