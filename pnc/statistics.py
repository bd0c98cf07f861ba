"""Intervals of means and of shares, over SciPy's distributions: the only place where they are computed.

Student's interval of a mean (normal values), the exact binomial interval of Clopper and Pearson (1934), and a bound
on the difference of two shares counted on the same samples. `scipy.special` is used rather than `scipy.stats`, which
takes half a second to import.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import betaincinv, stdtr, stdtrit

__all__ = ["excess_bound", "share_bound", "share_interval", "student_cdf", "student_interval", "student_reach"]


def student_reach(freedom: int, confidence: float) -> float:
    """How many standard errors a two-sided Student interval reaches to either side of its centre.

    Args:
        freedom: degrees of freedom, 1 or more.
        confidence: of the interval, two-sided.

    >>> round(student_reach(2, 0.95), 3)
    4.303
    """
    return float(stdtrit(freedom, (1 + confidence) / 2))


def student_cdf(freedom: int, t: Float[np.ndarray, ...]) -> Float[np.ndarray, ...]:
    """The probability that a Student variable is at most t.

    >>> float(student_cdf(3, np.array(0.0)))
    0.5
    """
    return stdtr(freedom, t)


def student_interval(
    values: Float[np.ndarray, "n ..."], *, confidence: float = 0.95
) -> tuple[Float[np.ndarray, ...], Float[np.ndarray, ...], Float[np.ndarray, ...]]:
    """Mean over the first axis and the two ends of its Student interval.

    With fewer than two values there is no interval: both ends are NaN.

    Args:
        values: (n, …) taken as independent and normal, in any unit.
        confidence: of the interval, two-sided.

    Returns:
        mean, lower and upper, each of shape (…), in the unit of the values.

    >>> [round(float(end), 3) for end in student_interval(np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.484, 4.484]
    """
    values = np.asarray(values, dtype=np.float64)
    n, mean = len(values), values.mean(axis=0)
    if n < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    reach = student_reach(n - 1, confidence) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, mean - reach, mean + reach


def share_interval(hits: int, samples: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The Clopper–Pearson interval of a share: it covers the true one with at least this confidence.

    Args:
        hits: k.
        samples: n; 0 gives (0, 1).
        confidence: of the interval, two-sided.

    >>> [round(end, 4) for end in share_interval(0, 100)]
    [0.0, 0.0362]
    """
    tail = (1 - confidence) / 2
    return share_bound(hits, samples, tail=tail), 1 - share_bound(samples - hits, samples, tail=tail)


def share_bound(hits: int, samples: int, *, tail: float) -> float:
    """The lower Clopper–Pearson bound: the share at which k hits or more of n have the probability `tail`.

    >>> round(share_bound(100, 100, tail=0.01), 4)  # 0.01^(1/100)
    0.955
    """
    return 0.0 if hits == 0 else float(betaincinv(hits, samples - hits + 1, tail))


def excess_bound(one: Bool[np.ndarray, " N"], other: Bool[np.ndarray, " N"], *, tail: float) -> tuple[float, float]:
    """By how much `one` holds more often than `other` on the same samples: the difference, and its lower bound.

    Only samples where they differ count: of b with `one` alone and c with `other` alone, the difference is (b - c)/n,
    and its bound the lower one of b/n less the upper one of c/n, each at half the tail (Bonferroni, so never too
    small a probability).

    Returns:
        The difference and the bound that it exceeds with probability 1 - tail or more.

    >>> a, b = np.arange(100) < 50, np.arange(100) < 30
    >>> [round(v, 3) for v in excess_bound(a, b, tail=0.01)]
    [0.2, 0.057]
    """
    samples = len(one)
    if samples == 0:
        return 0.0, -1.0
    alone, against = int((one & ~other).sum()), int((other & ~one).sum())
    lower = share_bound(alone, samples, tail=tail / 2)
    upper = 1 - share_bound(samples - against, samples, tail=tail / 2)
    return (alone - against) / samples, lower - upper
