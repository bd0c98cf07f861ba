"""Timing of measuring a whole model: all layers of a ResNet-18, or one wide layer of 500 classes, against the bare
forward pass; fuzziness.

    python -m sims.timing_model --images 10000    # 10,000 is the default
    python -m sims.timing_model --smoke           # 1,000

Ratios are taken within one run: a batch goes through the bare network, then through the measured one, and so
on in turn. Standard errors, which take a second look at some 500 images, are measured too unless
`--no-uncertainty` is given. Nothing is asserted: machines differ.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from pnc.measure import ClassMoments, FuzzinessPass, measure_model

from .timing_measure import _draw, _peak_growth

__all__ = ["rows"]

BATCH, CLASSES = 100, 10
LAYERS = ("*relu*", "fc")  # the 17 convolutional layers after their activations, and the classifier


class _Block(nn.Module):
    """A basic residual block."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1, self.relu1 = nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2, self.relu2 = nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        z += self.shortcut(x)
        return self.relu2(z)


def resnet18() -> nn.Module:
    """ResNet-18 with the stem for 32 × 32 images, untrained: its speed is that of the trained one."""
    model = nn.Sequential()
    model.add_module("conv", nn.Conv2d(3, 64, 3, 1, 1, bias=False))
    model.add_module("bn", nn.BatchNorm2d(64))
    model.add_module("relu", nn.ReLU(inplace=True))
    channels = 64
    for stage, (outputs, stride) in enumerate(((64, 1), (128, 2), (256, 2), (512, 2)), 1):
        model.add_module(f"block{stage}a", _Block(channels, outputs, stride))
        model.add_module(f"block{stage}b", _Block(outputs, outputs, 1))
        channels = outputs
    model.add_module("pool", nn.AdaptiveAvgPool2d(1))
    model.add_module("flatten", nn.Flatten())
    model.add_module("fc", nn.Linear(512, CLASSES))
    return model.eval()


class _Images:
    """Batches of random images, the same at each reading; `then` runs before the next batch is given."""

    def __init__(self, samples: int, device: str, then: Any = None) -> None:
        self._samples, self._device, self._then = samples, device, then

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        generator = torch.Generator().manual_seed(0)
        for _ in range(self._samples // BATCH):
            x = torch.randn(BATCH, 3, 32, 32, generator=generator).to(self._device)
            y = torch.randint(0, CLASSES, (BATCH,), generator=generator)
            yield x, y
            if self._then is not None:
                self._then(x)


def _synchronise(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def model_rows(threads: int, *, samples: int, device: str = "cpu", uncertainty: bool = True) -> list[dict[str, Any]]:
    """Seconds and memory of measuring the 18 layers of a ResNet-18, beside the bare forward pass."""
    torch.manual_seed(0)
    model = resnet18().to(device)
    options = {"classes": CLASSES, "layers": LAYERS, "uncertainty": uncertainty}
    bare: list[float] = []

    @torch.no_grad()
    def forward(x: torch.Tensor) -> None:
        _synchronise(device)
        start = time.perf_counter()
        model(x)
        _synchronise(device)
        bare.append(time.perf_counter() - start)

    for x, _ in _Images(2 * BATCH, device):
        forward(x)  # warms up caches, thread pools and the choice of algorithms
    measure_model(model, _Images(2 * BATCH, device), **options)
    bare.clear()

    # the bare pass of a batch and its measured pass follow one another: what slows the machine slows both
    start = time.perf_counter()
    curve = measure_model(model, _Images(samples, device, forward), **options)
    _synchronise(device)
    seconds = time.perf_counter() - start - sum(bare)
    few = 5 * BATCH
    if device == "cpu":
        memory_bare = _peak_growth(lambda: [forward(x) for x, _ in _Images(few, device)])
        memory = _peak_growth(lambda: measure_model(model, _Images(few, device), **options))
    else:
        peaks = []
        for task in (
            lambda: [forward(x) for x, _ in _Images(few, device)],
            lambda: measure_model(model, _Images(few, device), **options),
        ):
            torch.cuda.reset_peak_memory_stats()
            task()
            peaks.append(torch.cuda.max_memory_allocated() / 2**20)
        memory_bare, memory = peaks
    return [
        {
            "name": f"ResNet-18, {len(curve) - 1} layers and the input, {samples} images"
            + (", standard errors" if uncertainty else ""),
            "device": device,
            "threads": threads,
            "seconds": seconds,
            "bare_seconds": sum(bare[: samples // BATCH]),
            "ratio": seconds / sum(bare[: samples // BATCH]),
            "memory_mib": memory,
            "bare_memory_mib": memory_bare,
            "memory_beyond_mib": memory - memory_bare,
        }
    ]


def wide_rows(threads: int, *, classes: int = 500, samples: int = 1000) -> list[dict[str, Any]]:
    """Seconds of measuring one layer of 65,536 entries and many classes, with all that depends on pairs of classes."""
    model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()).eval()
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(samples, 1, 64, 64, generator=generator), torch.arange(samples) % classes
    batches = list(zip(x.split(BATCH), y.split(BATCH), strict=True))
    with torch.no_grad():
        model(x[:BATCH])
        start = time.perf_counter()
        for some, _ in batches:
            model(some)
        middle = time.perf_counter()
    measure_model(model, batches, classes=classes, layers=["1"])
    return [
        {
            "name": f"{classes} classes of 65,536 entries, {samples} images",
            "threads": threads,
            "bare_seconds": middle - start,
            "seconds": time.perf_counter() - middle,
        }
    ]


def fuzziness_rows(threads: int, *, repeats: int = 3) -> list[dict[str, Any]]:
    """Fuzziness of 50,000 × 1024 features in two passes, against covariances and a pseudo-inverse."""
    x, y = _draw(0, "shuffled")
    classes = 10

    def ours() -> float:
        moments = ClassMoments(classes=classes, dimension=x.shape[1]).update(x, y)
        return FuzzinessPass(moments, rounding=2.0**-23).update(x, y).value()

    def covariances() -> float:
        data, labels = x.numpy().astype(np.float64), y.numpy()
        mean = data.mean(0)
        within, between = np.zeros((2, x.shape[1], x.shape[1]))
        for k in range(classes):
            rows_k = data[labels == k]
            centre = rows_k.mean(0)
            rows_k = rows_k - centre
            within += rows_k.T @ rows_k / labels.size
            between += rows_k.shape[0] / labels.size * np.outer(centre - mean, centre - mean)
        return float(np.trace(within @ np.linalg.pinv(between, rcond=1e-10, hermitian=True)))

    seconds, slow_seconds, values = [], [], (0.0, 0.0)
    for _ in range(repeats):
        start = time.perf_counter()
        exact = covariances()
        middle = time.perf_counter()
        values = ours(), exact
        seconds.append(time.perf_counter() - middle)
        slow_seconds.append(middle - start)
    return [
        {
            "name": f"fuzziness of {x.shape[0]} × {x.shape[1]}",
            "threads": threads,
            "seconds": median(seconds),
            "covariance_seconds": median(slow_seconds),
            "times_faster": median(slow / fast for slow, fast in zip(slow_seconds, seconds, strict=True)),
            "relative_difference": abs(values[0] / values[1] - 1),
        }
    ]


def rows(
    threads: int, *, smoke: bool = False, images: int | None = None, device: str = "cpu", uncertainty: bool = True
) -> list[dict[str, Any]]:
    """One row a task, on so many threads; `images` (a multiple of 100), otherwise 10,000, or 1,000 for `smoke`."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        samples = images or (1_000 if smoke else 10_000)
        model = model_rows(threads, samples=samples, device=device, uncertainty=uncertainty)
        return model + wide_rows(threads) + fuzziness_rows(threads)
    finally:
        torch.set_num_threads(before)


def main() -> None:
    """Print the table for the threads that torch was given."""
    parser = argparse.ArgumentParser(prog="python -m sims.timing_model", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, help="so many, in batches of 100; default 10,000")
    parser.add_argument("--smoke", action="store_true", help="1,000 images")
    parser.add_argument("--cuda", action="store_true", help="on the first CUDA device")
    parser.add_argument("--no-uncertainty", action="store_true", help="one pass alone")
    given = parser.parse_args()
    if given.images is not None and (given.images < BATCH or given.images % BATCH):
        parser.error(f"--images {given.images}: expected a multiple of {BATCH}")
    for row in rows(
        torch.get_num_threads(),
        smoke=given.smoke,
        images=given.images,
        device="cuda" if given.cuda else "cpu",
        uncertainty=not given.no_uncertainty,
    ):
        print(", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)


if __name__ == "__main__":
    main()
