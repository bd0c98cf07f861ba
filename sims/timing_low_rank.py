"""Timing of the virtual low-rank layer: ways to the principal subspace, and what a step of ResNet-18 costs more.

    python -m sims.timing_low_rank            # 8192 × 4096 activations, ResNet-18 on images of 28 × 28
    python -m sims.timing_low_rank --smoke    # 1024 × 512, images of 8 × 8

The activations of the first table are drawn: low rank with noise, and a spectrum that falls like that of a trained
layer (a power of the index, then a ReLU). Nothing is asserted: machines differ.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from pnc.nets import (
    LowRankLayer,
    build,
    captured_share,
    largest_angle,
    subspace_by_nystrom,
    subspace_by_random_range,
    subspace_by_svd,
)

__all__ = ["projection_rows", "step_rows"]

RANK = 10


def _activations(kind: str, n: int, m: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    if kind == "rank 10 and noise":
        low = torch.randn(n, RANK, generator=draw) @ torch.randn(RANK, m, generator=draw)
        return low + 0.5 * torch.randn(n, m, generator=draw)
    directions = min(256, m)
    scale = torch.arange(1.0, directions + 1) ** -1.0
    drawn = torch.randn(n, directions, generator=draw) * scale
    return torch.relu(drawn @ torch.randn(directions, m, generator=draw))


def projection_rows(n: int = 8192, m: int = 4096, *, repeats: int = 3) -> list[dict[str, Any]]:
    """Seconds, captured variance and the largest angle, each beside the full decomposition's."""

    def by_gram(z: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return torch.linalg.eigh(z.T @ z)[1][:, -RANK:]

    ways: dict[str, Callable[..., torch.Tensor]] = {
        "eigenvectors of the Gram matrix": by_gram,
        "randomised, no power iteration": lambda z, generator: subspace_by_random_range(
            z, RANK, generator=generator, power_iterations=0
        ),
        "randomised, 1 power iteration": lambda z, generator: subspace_by_random_range(z, RANK, generator=generator),
        "Nyström, 1 expert of 40 columns": lambda z, generator: subspace_by_nystrom(
            z, RANK, generator=generator, experts=1
        ),
        "Nyström, 3 experts of 40 columns": lambda z, generator: subspace_by_nystrom(z, RANK, generator=generator),
    }
    rows = []
    for kind in ("rank 10 and noise", "ReLU of falling spectrum"):
        z = _activations(kind, n, m)
        start = time.perf_counter()
        best = subspace_by_svd(z, RANK)
        full = time.perf_counter() - start
        most = captured_share(z, best)
        rows.append(_row(kind, "full SVD", full, full, most, most, 0.0))
        for name, way in ways.items():
            seconds, shares, angles = [], [], []
            for seed in range(1 if way is by_gram else repeats):
                generator = torch.Generator().manual_seed(seed)
                start = time.perf_counter()
                basis = way(z, generator=generator)
                seconds.append(time.perf_counter() - start)
                shares.append(captured_share(z, basis))
                angles.append(largest_angle(best, basis))
            rows.append(_row(kind, name, median(seconds), full, min(shares), most, max(angles)))
    return rows


def _row(kind: str, name: str, seconds: float, full: float, share: float, most: float, angle: float) -> dict[str, Any]:
    return {
        "activations": kind,
        "projection": name,
        "seconds": seconds,
        "times faster": full / seconds,
        "captured variance": share,
        "lost, % of the best": 100 * (1 - share / most),
        "largest angle, °": angle,
    }


def step_rows(size: int = 28, *, sites: Sequence[str] = ("body.stage3", "body.stage4")) -> list[dict[str, Any]]:
    """Seconds of a step (forward, backward) of ResNet-18 with the layer after a stage and without, in turn."""
    torch.manual_seed(0)
    model = build("resnet-18", input_shape=(1, size, size), classes=10).train()
    return [_step_row(model, site, size) for site in sites]


def _step_row(
    model: nn.Module, site: str, size: int, *, batch: int = 128, repeats: int = 5, every: int = 10
) -> dict[str, Any]:
    x, y = torch.randn(batch, 1, size, size), torch.randint(0, 10, (batch,))
    seen: dict[str, torch.Tensor] = {}

    def keep(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        seen["a"] = output

    handle = model.get_submodule(site).register_forward_hook(keep)
    model(x)
    layer = LowRankLayer(seen["a"][0].numel(), rank=RANK)
    latest = torch.cat([seen["a"].detach()] * 4)

    def step(with_layer: bool) -> float:
        start = time.perf_counter()
        loss = functional.cross_entropy(model(x), y)
        if with_layer:
            compression, norm = layer(seen["a"])
            loss = loss + compression.mean() + norm.mean()
        loss.backward()
        return time.perf_counter() - start

    projecting = []
    for seed in range(repeats):
        start = time.perf_counter()
        layer.project(latest, generator=torch.Generator().manual_seed(seed))
        projecting.append(time.perf_counter() - start)
    step(True), step(False)  # warm-up
    pairs = [(step(True), step(False)) for _ in range(repeats)]  # what slows the machine slows both
    handle.remove()
    share = median(projecting) / every
    return {
        "ResNet-18, low-rank layer at": site,
        "width": layer.width,
        "seconds without": median(plain for _, plain in pairs),
        "seconds with": median(both for both, _ in pairs),
        f"projecting, 1/{every} of": median(projecting),
        "overhead, %": 100 * median((both + share) / plain - 1 for both, plain in pairs),
    }


def main() -> None:
    """Print both tables for the threads that torch was given."""
    smoke = "--smoke" in sys.argv
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    sizes = (1024, 512) if smoke else (8192, 4096)
    for rows in (projection_rows(*sizes), step_rows(8 if smoke else 28)):
        print()
        for row in rows:
            print(", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)


if __name__ == "__main__":
    main()
