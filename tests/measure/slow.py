"""What measurement should return, from the definitions: loops, exact rationals, 40 digits for roots.

Shares no code and no formula with the library: Σ_B⁺ is a d × d matrix here.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import mpmath as mp
import numpy as np


@dataclass(frozen=True)
class Exact:
    """The numbers of one layer; scatters are exact, the others correct to 40 digits, then rounded."""

    means: list
    within: Fraction
    between: Fraction
    compression: float
    discrimination: float
    fuzziness: float


def measure(x, y, *, class_weights=False, fuzziness=True):
    """The exact numbers of (N, d) float64 samples; classes 0…K-1 all have one."""
    rows = [[Fraction(float(v)) for v in row] for row in np.asarray(x, dtype=np.float64)]
    y = [int(k) for k in y]
    samples, classes, dimension = len(rows), max(y) + 1, len(rows[0])
    of = [[row for row, k in zip(rows, y) if k == wanted] for wanted in range(classes)]
    p = [Fraction(1, classes) if class_weights else Fraction(len(part), samples) for part in of]
    means = [[sum(column) / len(part) for column in zip(*part)] for part in of]
    centre = [sum(p[k] * means[k][j] for k in range(classes)) for j in range(dimension)]
    within = Fraction(0)
    for row, k in zip(rows, y):
        within += sum((row[j] - means[k][j]) ** 2 for j in range(dimension))
    within /= samples
    between = sum(p[k] * sum((means[k][j] - centre[j]) ** 2 for j in range(dimension)) for k in range(classes))
    return Exact(
        means=means,
        within=within,
        between=between,
        compression=float(within / between) if between else float("nan"),
        discrimination=_discrimination(means),
        fuzziness=_fuzziness(rows, y, means, p, centre) if fuzziness and between else float("nan"),
    )


def _discrimination(means):
    if any(not any(mean) for mean in means):
        return float("nan")
    with mp.workdps(60):
        smallest = None
        for a in range(len(means)):
            for b in range(a):
                dot = sum(u * v for u, v in zip(means[a], means[b]))
                norms = sum(u * u for u in means[a]) * sum(v * v for v in means[b])
                distance = 1 - _real(dot) / mp.sqrt(_real(norms))
                smallest = distance if smallest is None else min(smallest, distance)
        return float(smallest)


def _fuzziness(rows, y, means, p, centre):
    dimension = len(centre)
    with mp.workdps(40):
        sigma_w, sigma_b = mp.zeros(dimension), mp.zeros(dimension)
        for row, k in zip(rows, y):
            deviation = mp.matrix([_real(u - v) for u, v in zip(row, means[k])])
            sigma_w += deviation * deviation.T / len(rows)
        for k, mean in enumerate(means):
            deviation = mp.matrix([_real(u - v) for u, v in zip(mean, centre)])
            sigma_b += _real(p[k]) * deviation * deviation.T
        values, vectors = mp.eigsy(sigma_b)
        largest = max(abs(v) for v in values)
        total = mp.mpf(0)
        for j in range(dimension):
            if values[j] > largest * mp.mpf(10) ** -25:
                direction = vectors[:, j]
                total += (direction.T * sigma_w * direction)[0] / values[j]
        return float(total)


def _real(fraction):
    return mp.mpf(fraction.numerator) / mp.mpf(fraction.denominator)
