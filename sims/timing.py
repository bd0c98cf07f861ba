"""Every timing that the README quotes: ratios within one run, on one machine.

    python -m sims.timing                  # command line, simulation, measurement
    python -m sims.timing --device cuda    # simulation engines on a GPU beside the CPU

Prints Markdown tables. Nothing here is asserted: machines differ.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Annotated, Any

import numpy as np
import torch
import typer

from pnc.data import draw
from pnc.simulate import simulate
from pnc.spec import NetworkSpec, ProblemSpec, TrainSpec
from sims import timing_measure, timing_sweep

__all__ = ["main"]

_PNC = (sys.executable, "-c", "from pnc.cli.main import main; main()")


def _wall(command: Sequence[str], repeats: int) -> float:
    """Median wall time of a whole command, after one warm-up."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:])


def command_rows() -> list[dict[str, Any]]:
    """Whole commands, interpreter and imports included."""
    commands = {
        "pnc --version": (["--version"], 5),
        "pnc --help": (["--help"], 5),
        "pnc predict": (["predict"], 5),
        "pnc simulate --depth 8 --classes 10": (["simulate", "--depth", "8", "--classes", "10"], 3),
        "the same at --width 4096": (["simulate", "--depth", "8", "--classes", "10", "--width", "4096"], 3),
    }
    rows = [
        {"command": f"`{name}`" if name.startswith("pnc") else name, "seconds": _wall([*_PNC, *arguments], repeats)}
        for name, (arguments, repeats) in commands.items()
    ]
    base = _wall([sys.executable, "-c", "import torch"], 5)
    rows.append({"command": "(`python -c 'import torch'`)", "seconds": base})
    return rows


def _steps_per_second(run: Callable[[], Any], steps: int, device: str) -> float:
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return steps / (time.perf_counter() - start)


_SMALL = (("reduced", 4096, 16, 300), ("full", 1024, 5, 50))
_LARGE = (("full", 4096, 16, 20),)  # drawing 4096 × 4096 rotations takes minutes on two cores


def engine_rows(device: str, engines: Sequence[tuple[str, int, int, int]]) -> list[dict[str, Any]]:
    """Steps a second of descent, reduced and full, and the rate at which the weights are read and written."""
    problem = draw(ProblemSpec(classes=3, samples_per_class=10))
    rows = []
    for coordinates, width, depth, steps in engines:
        network = NetworkSpec(depth=depth, width=width, residual_scale=0.3)
        train = TrainSpec(engine="descent", coordinates=coordinates, steps=steps, learning_rate=1e-3, device=device)
        seconds = min(simulate(problem, network, train).seconds for _ in range(2))  # the first one warms up
        size = width if coordinates == "full" else problem.samples + problem.classes
        # K rows backward, K columns forward, one outer product a layer: weights are read three times and written once
        bytes_moved = 8 * 5 * (depth - 2) * size**2
        rows.append(
            {
                "engine": f"{coordinates}, width {width}, L = {depth}",
                "device": device,
                "steps/s": steps / seconds,
                "GB/s of weights": bytes_moved * steps / seconds / 1e9,
            }
        )
    return rows


def copy_bandwidth(device: str) -> float:
    """GB/s of a large copy, bytes read and written: the limit that the full engine runs into."""
    source = torch.zeros(2**26 if device != "cpu" else 2**24, dtype=torch.float64, device=device)
    target = torch.empty_like(source)
    rate = _steps_per_second(lambda: [target.copy_(source) for _ in range(10)], 10, device)
    return rate * 2 * source.numel() * 8 / 1e9


def _markdown(rows: list[dict[str, Any]]) -> None:
    header = list(rows[0])
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        cells = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()]
        print("| " + " | ".join(cells) + " |")
    print(flush=True)


def main(
    device: Annotated[str, typer.Option(help="cpu, or cuda for the engines on a GPU beside the CPU.")] = "cpu",
) -> None:
    """Print the tables."""
    name = torch.cuda.get_device_name() if device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    print(f"torch {torch.__version__}, NumPy {np.__version__}, {name}\n")
    if device != "cpu":
        rows = engine_rows(device, _SMALL + _LARGE) + engine_rows("cpu", _SMALL)
        print(f"copy: {copy_bandwidth(device):.0f} GB/s on {device}, {copy_bandwidth('cpu'):.0f} GB/s on cpu\n")
        _markdown(rows)
        return
    _markdown(command_rows())
    _markdown(engine_rows("cpu", _SMALL))
    for threads in sorted({1, torch.get_num_threads()}):
        _markdown(timing_measure.rows(threads))
        _markdown(timing_sweep.rows(threads))


if __name__ == "__main__":
    typer.run(main)
