"""The timings that the README quotes: ratios within one run, on one machine.

    python -m sims.timing                  # command line, simulation, measurement, sweeps, Dask
    python -m sims.timing --growth         # time and memory of each command against each size, kept in growth.json
    python -m sims.timing --device cuda    # simulation engines on a GPU beside two CPU cores

Minutes each, and on their own: `python -m sims.timing_model` (measuring a ResNet-18) and
`python -m sims.timing_low_rank` (projections, a training step with the low-rank layer).

Prints Markdown tables. Nothing here is asserted: machines differ.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import torch
import typer

from . import timing_cluster, timing_engine, timing_growth, timing_measure, timing_sweep

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
    grown: Annotated[bool, typer.Option("--growth", help="Only how time and memory grow.")] = False,
    out: Annotated[Path, typer.Option(help="Where the growth is kept; an earlier one there is compared.")] = Path(
        "growth.json"
    ),
) -> None:
    """Print the tables."""
    if grown:
        timing_growth.main(out, _markdown)
        return
    name = torch.cuda.get_device_name() if device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    print(f"torch {torch.__version__}, NumPy {np.__version__}, {name}\n")
    if device != "cpu":
        _markdown(timing_engine.beside_cpu(device, timing_engine.SMALL + timing_engine.LARGE))
        return
    _markdown(command_rows())
    _markdown(timing_engine.rows("cpu", timing_engine.SMALL, timing_engine.limits("cpu")))
    for threads in sorted({1, torch.get_num_threads()}):
        _markdown(timing_measure.rows(threads))
        _markdown(timing_sweep.rows(threads))
    if importlib.util.find_spec("distributed"):
        _markdown(timing_cluster.rows())


if __name__ == "__main__":
    typer.run(main)
