"""The learning rate as a function of the time alone: a schedule without state resumes exactly."""

from __future__ import annotations

import math

from pnc.spec.training import TrainSpec

__all__ = ["learning_rate"]


def learning_rate(spec: TrainSpec, epoch: float) -> float:
    """The learning rate at a time in epochs, fractions included, from 0 to `spec.epochs`.

    Cosine: η (s + (1 - s)(1 + cos π t)/2) with t the share of the training after warm-up that has passed and s the
    final share. Step: η times `drop` to the number of milestones passed. Warm-up multiplies by a line from 0 to 1.


    >>> spec = TrainSpec(epochs=10, learning_rate=1.0, schedule="cosine", final_share=0.0)
    >>> [round(learning_rate(spec, t), 12) for t in (0, 5, 10)]
    [1.0, 0.5, 0.0]
    """
    if epoch < spec.warmup_epochs:
        return spec.learning_rate * epoch / spec.warmup_epochs
    passed = min(1.0, (epoch - spec.warmup_epochs) / (spec.epochs - spec.warmup_epochs))
    if spec.schedule == "cosine":
        share = spec.final_share + (1 - spec.final_share) * (1 + math.cos(math.pi * passed)) / 2
    elif spec.schedule == "step":
        share = spec.drop ** sum(passed >= milestone for milestone in spec.milestones)
    else:
        share = 1.0
    return spec.learning_rate * share
