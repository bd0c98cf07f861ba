"""What `pnc.callbacks.Watch` at its defaults costs: share of an epoch of ResNet-18 on Fashion-MNIST.

    python -m sims.timing_callback

An epoch is 60,000 images in batches of 128; its time is that of a training step, the median of five, times 469. The
measurement is of the default subsample of 1,000 images, twice, the second time being what every further epoch pays.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch
from torch import nn

from pnc.callbacks import Watch
from pnc.nets import build

__all__ = ["measure_cost"]

_IMAGES, _BATCH = 60_000, 128


def measure_cost(network: str = "resnet-18", *, steps: int = 5) -> dict[str, float]:
    """Seconds of an epoch and of a measurement, and their quotient."""
    torch.manual_seed(0)
    model = build(network, input_shape=(1, 28, 28), classes=10)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.randn(1000, 1, 28, 28), torch.arange(1000) % 10
    watch = Watch(samples=[(x, y)])
    seconds = []
    for step in range(steps + 1):  # the first warms up
        start = time.perf_counter()
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x[:_BATCH]), y[:_BATCH]).backward()
        optimiser.step()
        if step:
            seconds.append(time.perf_counter() - start)
    epoch = statistics.median(seconds) * -(-_IMAGES // _BATCH)
    watch(model, 1)
    start = time.perf_counter()
    watch(model, 2)
    measured = time.perf_counter() - start
    return {"epoch": epoch, "measurement": measured, "share": measured / epoch}


if __name__ == "__main__":
    found = measure_cost()
    print(f"epoch {found['epoch']:.1f} s, measurement {found['measurement']:.2f} s: {found['share']:.2%} of an epoch")
    sys.exit(0 if found["share"] <= 0.03 else 1)
