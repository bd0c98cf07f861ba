"""Random labelled features for the measurement tests, and the rounding float64 leaves in their moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

UNIT = np.finfo(np.float64).eps


@dataclass(frozen=True)
class Case:
    x: np.ndarray
    y: np.ndarray
    batches: list  # index arrays that together hold every sample once

    @property
    def classes(self):
        return int(self.y.max()) + 1

    @property
    def dimension(self):
        return self.x.shape[1]


@st.composite
def cases(draw, *, dtype=np.float64, most_classes=5, least=1, most_samples=9, most_dimension=6):
    """Imbalanced classes in any order around means of any size, cut into batches of any size."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes = draw(st.integers(2, most_classes))
    sizes = draw(st.lists(st.integers(least, most_samples), min_size=classes, max_size=classes))
    dimension = draw(st.integers(1, most_dimension))
    common, spread = draw(st.sampled_from([0.0, 1.0, 30.0])), draw(st.sampled_from([0.01, 1.0, 10.0]))
    means = rng.standard_normal((classes, dimension)) + common
    y = rng.permutation(np.repeat(np.arange(classes), sizes))
    x = (means[y] + spread * rng.standard_normal((y.size, dimension))).astype(dtype)
    cuts = np.sort(rng.integers(0, y.size + 1, draw(st.integers(0, 4))))
    order = rng.permutation(y.size)
    return Case(x, y, [part for part in np.split(order, cuts) if part.size])


def within_tolerance(case, exact):
    """Relative rounding of tr Σ_W: sums of N d terms, and class means off by u ‖μ‖ a batch.

    A mean that is off by e changes a class's sum of squares by at most 2 e n σ a merge, 2 e/σ of it.
    """
    spread = float(exact.within) ** 0.5
    largest = max(float(sum(v * v for v in mean)) for mean in exact.means) ** 0.5
    condition = largest / spread if spread else 0.0
    return UNIT * (case.x.size + 8 * (len(case.batches) + 1) * (1 + condition))


def between_tolerance(case, exact):
    """Relative rounding of tr Σ_B: differences of means that are each off by u ‖μ‖ a batch."""
    largest = max(float(sum(v * v for v in mean)) for mean in exact.means) ** 0.5
    spread = float(exact.within) ** 0.5
    between = float(exact.between) ** 0.5
    return UNIT * (case.x.size + 8 * (len(case.batches) + 1) * (largest + spread) / between)
