"""Timing of batches: steps a second of `descent`, reduced, against a plain autograd run of the same network.

    python -m sims.timing_sweep

30 samples, 3 classes, L = 5, width 700, float64. The reference is what anyone would write first: full-batch loss on an
`nn.Sequential` of linear layers, `backward()`, `SGD.step()`. Both run in one process, in turns, with torch set to the
same number of threads; matrices of 33 × 33 are multiplied by one of them only, so that more threads help the reference
alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from pnc.data import draw
from pnc.simulate import simulate, simulate_batch
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec

__all__ = ["rows"]

DEPTH, WIDTH, EPSILON, RATE = 5, 700, 0.3, 0.1


def _autograd(steps: int, seed: int = 0) -> Callable[[], None]:
    """Plain full-batch training of the full network."""
    problem = draw(ProblemSpec(classes=3, samples_per_class=10, kind="orthonormal-noise", seed=seed))
    sizes = [problem.dimension, *[WIDTH] * (DEPTH - 1), problem.classes]
    generator = torch.Generator().manual_seed(seed)
    layers = [
        torch.nn.Linear(a, b, bias=False, dtype=torch.float64) for a, b in zip(sizes[:-1], sizes[1:], strict=True)
    ]
    net = torch.nn.Sequential(*layers)
    for layer in layers:
        with torch.no_grad():
            layer.weight.copy_(EPSILON * torch.nn.init.orthogonal_(torch.empty_like(layer.weight), generator=generator))
    optimiser = torch.optim.SGD(net.parameters(), lr=RATE)
    X, Y = torch.from_numpy(problem.X.copy()), torch.nn.functional.one_hot(torch.from_numpy(problem.y.copy())).double()

    def run() -> None:
        for _ in range(steps):
            optimiser.zero_grad()
            ((net(X) - Y).square().sum() / X.shape[0]).backward()
            optimiser.step()

    return run


def _descents(steps: int, runs: int) -> list[tuple[Any, Any, Any]]:
    # a tolerance that no run reaches: every one takes all its steps
    network = NetworkSpec(depth=DEPTH, width=WIDTH, residual_scale=EPSILON)
    return [
        (
            draw(ProblemSpec(classes=3, samples_per_class=10, kind="orthonormal-noise", seed=seed)),
            network,
            SimulationSpec(
                engine="descent", learning_rate=RATE, steps=steps, loss_tolerance=1e-300, seed=seed, device="cpu"
            ),
        )
        for seed in range(runs)
    ]


def rows(threads: int, *, batch: int = 64, repeats: int = 3) -> list[dict[str, Any]]:
    """Steps a second of plain autograd, one run alone, and a batch in aggregate; ratios to the first, medians of
    repeats.

    Training alone is timed: neither drawing the data nor measuring the layers, which a plain run does not do either.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found: dict[str, list[float]] = {"plain autograd": [], "alone": [], f"batch of {batch}": []}
    try:
        plain = _autograd(steps=20)
        plain()
        for _ in range(repeats + 1):  # they take turns, so that all of them meet the same neighbours
            start = time.perf_counter()
            plain()
            found["plain autograd"].append(20 / (time.perf_counter() - start))
            [one] = _descents(400, 1)
            found["alone"].append(400 / simulate(*one).seconds)
            many = simulate_batch(_descents(200, batch))
            found[f"batch of {batch}"].append(200 * batch / sum(run.seconds for run in many))
    finally:
        torch.set_num_threads(before)
    rates = {name: sorted(values[1:])[len(values[1:]) // 2] for name, values in found.items()}
    return [
        {
            "descent, L = 5, width 700": name,
            "threads": threads,
            "steps/s": rate,
            "ratio": rate / rates["plain autograd"],
        }
        for name, rate in rates.items()
    ]


def main() -> None:
    """Print the table for one thread and for all that torch was given."""
    print(f"{'':20} {'threads':>7} {'steps/s':>10} {'ratio':>8}")
    for threads in sorted({1, torch.get_num_threads()}):
        for row in rows(threads):
            name = row["descent, L = 5, width 700"]
            print(f"{name:20} {threads:7d} {row['steps/s']:10.0f} {row['ratio']:8.1f}")


if __name__ == "__main__":
    sys.exit(main())
