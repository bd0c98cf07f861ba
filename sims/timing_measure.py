"""Timing of the measurement: class moments and fuzziness against one reading of the same array.

    python -m sims.timing_measure

Every ratio is taken within one run, on the same array with the same number of threads: measuring and
`torch.sum` take turns, and medians are compared. Memory is the growth of the process's peak resident size.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

from pnc.measure import ClassMoments, FuzzinessPass, measure_features

__all__ = ["rows"]

SAMPLES, DIMENSION, CLASSES = 50_000, 1024, 10


def _draw(seed: int, order: str) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, d) float32 features of 10 classes, whose labels come sorted or shuffled."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(SAMPLES) * CLASSES // SAMPLES
    if order == "shuffled":
        y = y[torch.randperm(SAMPLES, generator=generator)]
    means = 2 * torch.randn(CLASSES, DIMENSION, generator=generator)
    x = torch.randn(SAMPLES, DIMENSION, generator=generator)
    for start in range(0, SAMPLES, 1000):
        x[start : start + 1000] += means[y[start : start + 1000]]
    return x, y


def _two_pass(x: torch.Tensor, y: torch.Tensor) -> tuple[float, float, float]:
    """C, D and tr(Σ_W Σ_B⁺) the slow way: NumPy, float64, two passes, the whole of Σ_B⁺."""
    labels, data = y.numpy(), x.numpy()
    means = np.stack([data[labels == k].mean(0, dtype=np.float64) for k in range(CLASSES)])
    p = np.bincount(labels) / labels.size
    centred = means - p @ means
    between = centred.T @ (p[:, None] * centred)
    within_covariance = np.zeros((DIMENSION, DIMENSION))
    for k in range(CLASSES):
        deviation = data[labels == k].astype(np.float64) - means[k]
        within_covariance += deviation.T @ deviation / labels.size
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[~np.eye(CLASSES, dtype=bool)]
    fuzziness = np.trace(within_covariance @ np.linalg.pinv(between, rcond=1e-10, hermitian=True))
    return np.trace(within_covariance) / np.trace(between), 1 - cosines.max(), float(fuzziness)


def _in_turn(reference: Callable[[], Any], task: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Median seconds of the task, and the median of its ratios to the reference run right before it."""
    seconds, ratios = [], []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        reference()
        middle = time.perf_counter()
        task()
        end = time.perf_counter()
        seconds.append(end - middle)
        ratios.append((end - middle) / (middle - start))
    return median(seconds[1:]), median(ratios[1:])  # the first of each warms caches and thread pools up


def _peak_growth(task: Callable[[], Any]) -> float:
    """MiB by which a task raises the process's peak resident memory; NaN where Linux's /proc is not there."""
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what earlier tasks freed must not serve this one unseen
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # resets the peak to what is resident now
        before = _status("VmRSS")
        task()
        return (_status("VmHWM") - before) / 1024
    except (OSError, AttributeError):
        return float("nan")


def _status(field: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field))


def rows(threads: int, *, repeats: int = 5, seed: int = 0) -> list[dict[str, Any]]:
    """One row a task: name, seconds, ratio to torch.sum on the same threads, MiB beyond the features, error.

    The (relative) error is the largest of those of what the task computes, against a slow two-pass reference.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    table = []
    try:
        for order in ("shuffled", "sorted"):
            x, y = _draw(seed, order)
            exact = np.array(_two_pass(x, y))
            x_numpy, y_numpy = x.numpy(), y.numpy()

            def one_pass(x=x, y=y) -> ClassMoments:
                return ClassMoments(classes=CLASSES, dimension=DIMENSION).update(x, y)

            moments = one_pass()

            def second_pass(x=x, y=y, moments=moments) -> float:
                return FuzzinessPass(moments, rounding=2.0**-23).update(x, y).value()

            def all_of_it(x=x_numpy, y=y_numpy) -> np.ndarray:
                curve = measure_features([x], y)
                fields = (curve.compression, curve.discrimination, curve.separation_fuzziness)
                return np.concatenate(fields)

            def pair(moments=moments) -> list[float]:
                return [moments.compression(), moments.discrimination()]

            tasks = {
                "C and D, one pass": (one_pass, pair(), exact[:2]),
                "fuzziness, second pass": (second_pass, [second_pass()], exact[2:]),
                "measure_features, both passes": (all_of_it, all_of_it(), exact),
            }
            for name, (task, value, truth) in tasks.items():
                gc.collect()
                seconds, ratio = _in_turn(lambda x=x: torch.sum(x), task, repeats)
                table.append(
                    {
                        "name": f"{name}, {order} labels",
                        "threads": threads,
                        "seconds": seconds,
                        "ratio": ratio,
                        "memory_mib": _peak_growth(task),
                        "relative_error": float(np.max(np.abs(np.array(value) / truth - 1))),
                    }
                )
    finally:
        torch.set_num_threads(before)
    return table


def main() -> None:
    """Print the table for one thread and for all that torch was given."""
    print(f"{SAMPLES} x {DIMENSION} float32 features, {CLASSES} classes; ratio: time over that of torch.sum")
    print(f"{'task':48} {'threads':>7} {'seconds':>8} {'ratio':>6} {'MiB':>6} {'error':>8}")
    for threads in sorted({1, torch.get_num_threads()}):
        for row in rows(threads):
            print(
                f"{row['name']:48} {row['threads']:7d} {row['seconds']:8.3f} {row['ratio']:6.1f} "
                f"{row['memory_mib']:6.1f} {row['relative_error']:8.1e}"
            )


if __name__ == "__main__":
    sys.exit(main())
