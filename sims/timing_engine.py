"""Timing of the engines: descent in reduced and in full coordinates, on a GPU beside two CPU cores.

    python -m sims.timing --device cuda

Only steps are timed: every case runs twice, with few steps and with many, and the difference counts, so that neither
copying the weights to the device nor recording a graph is in it.

The limit is the smaller of two rates, both measured here on the same device: of a large copy, bytes read and written,
over the bytes that a step moves; of a large product in float64 over the operations of a step. A step moves eight
numbers for every weight: the backward and the forward product read it (2), the gradient is written, read and written as
one row (3), the update reads both and writes one (3). (A kernel made for it could do with three.) It takes 6 K + 2
operations a weight. Weights that stay in a cache can go beyond the limit of the memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from pnc.data import draw
from pnc.simulate.device import threads_for
from pnc.simulate.run import prepare, train_stack
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec

__all__ = ["LARGE", "SMALL", "Case", "Limits", "beside_cpu", "limits", "rows"]

_CORES = 2


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is timed.

    Args:
        coordinates: `reduced` or `full`.
        width: of the network.
        depth: of the network.
        runs: in one stack on a GPU; a CPU gets as many of them as its cache holds, at most.
        steps: few and many.
    """

    coordinates: str
    width: int
    depth: int
    runs: int = 1
    steps: tuple[int, int] = (10, 110)

    @property
    def name(self) -> str:
        many = f", {self.runs} runs" if self.runs > 1 else ""
        return f"{self.coordinates}, width {self.width}, L = {self.depth}{many}"


SMALL = (
    Case(coordinates="reduced", width=4096, depth=16, steps=(100, 600)),
    Case(coordinates="reduced", width=4096, depth=16, runs=1024),
    Case(coordinates="full", width=1024, depth=5),
)
LARGE = (Case(coordinates="full", width=4096, depth=16, steps=(10, 20)),)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a device can do.

    Args:
        bandwidth: bytes a second, of a copy.
        arithmetic: operations a second, of a product in float64.
    """

    bandwidth: float
    arithmetic: float


def _seconds(task: Callable[[], Any], device: str) -> float:
    def finish() -> None:
        if torch.device(device).type != "cpu":
            torch.cuda.synchronize(device)

    finish()
    start = time.perf_counter()
    task()
    finish()
    return time.perf_counter() - start


def limits(device: str, *, size: int | None = None) -> Limits:
    """Bandwidth and arithmetic of a device, the best of five.

    Args:
        device: where.
        size: rows and columns of the matrices; by default too large for a cache.
    """
    size = size or (2048 if torch.device(device).type == "cpu" else 8192)
    source = torch.ones(size, size, dtype=torch.float64, device=device)
    target = torch.empty_like(source)
    copied = min(_seconds(lambda: target.copy_(source), device) for _ in range(6))
    multiplied = min(_seconds(lambda: torch.mm(source, source, out=target), device) for _ in range(6))
    return Limits(bandwidth=16 * size**2 / copied, arithmetic=2 * size**3 / multiplied)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def rows(device: str, cases: Sequence[Case], found: Limits) -> list[dict[str, Any]]:
    """Steps a second of every case, in aggregate over its runs, and their share of the limit."""
    return [_row(device, case, found) for case in cases]


def _row(device: str, case: Case, found: Limits) -> dict[str, Any]:
    runs, processes, problem = case.runs, 1, ProblemSpec()
    if torch.device(device).type == "cpu" and runs > 1:
        runs, processes = min(runs, 32), _CORES  # a sweep has a process on every core, and each a stack like this
    seconds = [min(_trained(device, case, runs, steps) for _ in range(2)) for steps in case.steps]
    inputs, width = problem.dimension, case.width
    if case.coordinates == "reduced":
        inputs, width = problem.samples, problem.samples + problem.classes
    weights = width * inputs + (case.depth - 2) * width**2 + problem.classes * width
    rate = processes * runs * (case.steps[1] - case.steps[0]) / max(seconds[1] - seconds[0], 1e-9)
    moved, operations = 8 * 8 * weights * rate, (6 * problem.classes + 2) * weights * rate
    shares = {"memory": moved / found.bandwidth, "arithmetic": operations / found.arithmetic}
    limit = max(shares, key=lambda name: shares[name])
    return {
        "engine": case.name,
        "device": device,
        "steps/s": rate,
        "GB/s of weights": moved / 1e9,
        "share of the limit": shares[limit],
        "limit": limit,
    }


def _trained(device: str, case: Case, runs: int, steps: int) -> float:
    # PyTorch's initial weights where they are full: a step takes as long, and drawing wide rotations takes minutes
    train = {"engine": "descent", "coordinates": case.coordinates, "steps": steps, "learning_rate": 1e-3}
    train |= {"loss_tolerance": 1e-300, "weights": "default" if case.coordinates == "full" else "orthogonal"}
    network = NetworkSpec(depth=case.depth, width=case.width, residual_scale=0.3)
    stack = [
        prepare(draw(ProblemSpec(seed=seed)), network, SimulationSpec(device=device, seed=seed, **train))
        for seed in range(runs)
    ]
    with threads_for(max(stack[0].shapes[1]), stack[0].device):
        return _seconds(lambda: train_stack(stack, [run.recorder() for run in stack]), device)


def beside_cpu(device: str, cases: Sequence[Case], *, size: int | None = None) -> list[dict[str, Any]]:
    """Every case on a device and on two CPU cores, and how many times faster the device is."""
    with _threads(_CORES):
        host = rows("cpu", cases, limits("cpu", size=size))
    there = rows(device, cases, limits(device, size=size))
    for one, other in zip(there, host, strict=True):
        one["× CPU"], other["× CPU"] = one["steps/s"] / other["steps/s"], 1.0
    return [row for pair in zip(there, host, strict=True) for row in pair]
