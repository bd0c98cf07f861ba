"""What depends on pairs of classes: D, the class-distance normalised variance, and the distances of U3 and U4."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int

from pnc.measure.arrays import empty, squared_norms

__all__ = [
    "ClassPairs",
    "class_distance_normalised_variance",
    "class_geometry",
    "class_pairs",
    "closest_pair",
    "discrimination",
    "discrimination_of_pair",
    "gaps_of_pairs",
]

_BLOCK_ENTRIES = 2**22  # of a block of classes against all: 32 MiB of float64
_BLOCK_CLASSES = 128  # of many classes, so that half of the products, each pair the other way round, is not taken
_NEAR = 1e-5  # squared distance, relative to both squared norms, below which a product of means has lost its digits
_TIED = 64 * torch.finfo(torch.float64).eps  # cosines that differ by less may be in the wrong order
_UNIT = torch.finfo(torch.float64).eps


class _Moments(Protocol):
    """Counts (K,), means (K, d) and within-class sums of squares (K,), as `ClassMoments` holds them."""

    counts: torch.Tensor
    means: torch.Tensor
    squares: torch.Tensor


def _blocks(classes: int) -> Iterator[slice]:
    """Rows of a K × K matrix that are looked at together."""
    rows = min(max(1, _BLOCK_ENTRIES // classes), _BLOCK_CLASSES)
    for start in range(0, classes, rows):
        yield slice(start, min(start + rows, classes))


def _norms(means: torch.Tensor) -> torch.Tensor:
    """(…, K, 1) norms to divide by: 1 for a mean that is zero."""
    norms = torch.linalg.vector_norm(means, dim=-1, keepdim=True)
    return torch.where(norms == 0, 1, norms)


def _cosines(means: torch.Tensor, norms: torch.Tensor, rows: slice) -> torch.Tensor:
    """(…, b, K - start): cosines of a block of classes with it and those after it; -inf on and below the diagonal."""
    units = means[..., rows, :] / norms[..., rows, :]
    cosines = (units @ means[..., rows.start :, :].mT).div_(norms[..., rows.start :, :].mT)
    # masked, not dropped: leaving zeros of a triangle out would lose pairs that are exactly orthogonal
    upper = torch.ones(cosines.shape[-2:], dtype=torch.bool, device=means.device).triu_(1)
    return cosines.masked_fill_(~upper, -torch.inf)


def gaps_of_pairs(
    means: Float[torch.Tensor, "K d"], norms: Float[torch.Tensor, "K 1"], pairs: Int[torch.Tensor, "P 2"]
) -> Float[torch.Tensor, " P"]:
    """1 - cos = ‖û - v̂‖²/2 of (P, 2) pairs, which keeps the digits that 1 - cos loses for nearly parallel means."""
    parts = pairs.split(max(1, _BLOCK_ENTRIES // means.shape[1]))
    units = ((means[part[:, i]] / norms[part[:, i]] for i in (0, 1)) for part in parts)
    return torch.cat([(one - other).square().sum(-1) / 2 for one, other in units])


def closest_pair(means: Float[torch.Tensor, "K d"]) -> Int[torch.Tensor, " 2"]:
    """The two classes whose means have the largest cosine; of pairs that rounding cannot order, by their distance.

    >>> closest_pair(torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.1]], dtype=torch.float64)).tolist()
    [0, 2]
    """
    norms = _norms(means)
    best, candidates = -math.inf, torch.zeros((0, 2), dtype=torch.int64, device=means.device)
    for rows in _blocks(means.shape[0]):
        cosines = _cosines(means, norms, rows)
        largest = float(cosines.max())
        if largest < best - _TIED or largest == -math.inf:
            continue
        best = max(best, largest)
        found = torch.nonzero(cosines >= best - _TIED)[:4096] + rows.start
        # of the ties so far the nearest one is kept, so that they stay few
        candidates = torch.cat([candidates, found]) if largest <= best else found
        candidates = candidates[gaps_of_pairs(means, norms, candidates).argmin()][None]
    return candidates[0]


def discrimination(
    means: Float[torch.Tensor, "*batch K d"], spread: Float[torch.Tensor, "*batch K"] | None = None
) -> Float[torch.Tensor, "*batch"]:
    """D = 1 - max_{k≠k'} cos(μ_k, μ_k'), means not centred (theory note, section 1); dimensionless.

    Args:
        means: (…, K, d) class means, K ≥ 2.
        spread: (…, K) root mean square distance of a class's samples from their mean. A mean is zero, and D
            undefined (NaN), where its norm is what rounding leaves of samples that cancel: at most 8u times
            the spread.

    >>> discrimination(torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])).item()
    1.0
    >>> discrimination(torch.tensor([[1.0, 0.0], [0.0, 0.0]])).item()
    nan
    """
    if means.ndim == 2:
        return discrimination_of_pair(means, closest_pair(means), spread)
    norms = _norms(means)
    closest = _cosines(means, norms, slice(0, means.shape[-2])).flatten(-2).argmax(-1)
    return discrimination_of_pair(
        means, torch.stack([closest // means.shape[-2], closest % means.shape[-2]], -1), spread
    )


def discrimination_of_pair(
    means: Float[torch.Tensor, "*batch K d"],
    pair: Int[torch.Tensor, "*batch 2"],
    spread: Float[torch.Tensor, "*batch K"] | None = None,
) -> Float[torch.Tensor, "*batch"]:
    """`discrimination` where the closest pair of classes is known.

    >>> discrimination_of_pair(torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]]), torch.tensor([0, 1])).item()
    1.0
    """
    rounding = 0 if spread is None else 8 * _UNIT * spread
    undefined = (torch.linalg.vector_norm(means, dim=-1) <= rounding).any(-1)
    chosen = torch.take_along_dim(means, pair[..., None], dim=-2)
    units = chosen / _norms(chosen)
    distance = (units[..., 0, :] - units[..., 1, :]).square().sum(-1) / 2
    return torch.where(undefined, torch.nan, distance)


@dataclass(frozen=True, kw_only=True)
class ClassPairs:
    """Numbers of the pairs of classes and of the class means (theory note, section 4).

    Args:
        class_distance_normalised_variance: CDNV, dimensionless.
        smallest_separation: Δ² = min_{k≠k'} ‖μ_k - μ_k'‖², squared feature norm.
        projected_separation: the bracket of U4, min_{k≠k'} [‖μ_k - μ_k'‖² - tr Σ_W (1/p_k + 1/p_k')], which may be
            negative; squared feature norm.
        smallest_mean_square: min_k ‖μ_k‖², squared feature norm.
        mean_square: Σ_k p_k ‖μ_k‖².
        largest_mean_square: max_k ‖μ_k‖².
    """

    class_distance_normalised_variance: float
    smallest_separation: float
    projected_separation: float
    smallest_mean_square: float
    mean_square: float
    largest_mean_square: float


@torch.no_grad()
def class_pairs(moments: _Moments) -> ClassPairs:
    """All pairs of classes, a block of classes against all at a time: O(K² d) operations, O(block · K + K d) memory.

    Squared distances are ‖a‖² + ‖b‖² - 2a·b of means centred at their own mean, in float64. Where that has cancelled
    (means much nearer to one another than to the centre), and for the pair that decides a minimum, the difference of
    the two means is taken itself.

    Args:
        moments: counts, means and squares of K classes; CDNV is NaN where a class has no sample or two means coincide.

    >>> from types import SimpleNamespace
    >>> means = torch.tensor([[1.0], [5.0]], dtype=torch.float64)
    >>> pairs = class_pairs(SimpleNamespace(counts=torch.tensor([2, 2]), means=means, squares=torch.tensor([2.0, 2.0])))
    >>> pairs.class_distance_normalised_variance, pairs.smallest_separation, pairs.projected_separation
    (0.0625, 16.0, 12.0)
    """
    means, counts = moments.means, moments.counts.to(torch.float64)
    classes = counts.numel()
    p = counts / counts.sum()
    variance = moments.squares / counts
    within = float(moments.squares.sum() / counts.sum())
    squares = squared_norms(means)
    centred = torch.sub(means, means.mean(0), out=empty(*means.shape, dtype=means.dtype, device=means.device))
    norms = squared_norms(centred)
    coincide = float((8 * _UNIT) ** 2 * squares.max())
    total, undefined = 0.0, bool((counts == 0).any())
    separation = bracket = math.inf
    for rows in _blocks(classes):
        sums = norms[rows, None] + norms[rows.start :]
        distances = torch.addmm(sums, centred[rows], centred[rows.start :].mT, alpha=-2)
        upper = torch.ones(distances.shape, dtype=torch.bool, device=means.device).triu_(1)
        near = (distances <= _NEAR * sums) & upper
        for pairs in torch.nonzero(near).split(max(1, _BLOCK_ENTRIES // means.shape[1])):
            first, second = pairs.mT + rows.start
            distances[pairs[:, 0], pairs[:, 1]] = (means[first] - means[second]).square().sum(1)
        distances.masked_fill_(~upper, torch.inf)
        undefined |= bool((distances <= coincide).any())
        inverse = 1 / distances  # 0 on and below the diagonal
        total += float(variance[rows] @ inverse.sum(1) + inverse.sum(0) @ variance[rows.start :])
        penalty = within * (1 / p[rows, None] + 1 / p[rows.start :])
        separation = min(separation, _least(distances, means, rows.start))
        bracket = min(bracket, _least(distances, means, rows.start, penalty))
    pairs_of_classes = classes * (classes - 1) / 2
    return ClassPairs(
        class_distance_normalised_variance=math.nan if undefined else total / (2 * pairs_of_classes),
        smallest_separation=separation,
        projected_separation=bracket,
        smallest_mean_square=float(squares.min()),
        mean_square=float(p @ squares),
        largest_mean_square=float(squares.max()),
    )


def _least(distances: torch.Tensor, means: torch.Tensor, start: int, less: torch.Tensor | None = None) -> float:
    """The least distance (less something, a pair each) of a block; of the pair that has it, by its difference."""
    values = distances if less is None else distances - less
    i, j = divmod(int(values.argmin()), values.shape[1])
    if math.isinf(float(values[i, j])):  # the last class alone
        return math.inf
    exact = float((means[start + i] - means[start + j]).square().sum())
    return exact if less is None else exact - float(less[i, j])


def class_distance_normalised_variance(moments: _Moments) -> float:
    """CDNV, the mean over pairs k ≠ k' of (v_k + v_k') / (2 ‖μ_k - μ_k'‖²); dimensionless.

    v_k is the mean squared distance of class k from its mean (Galanti, György and Hutter 2022). NaN where two
    means coincide or a class has no sample.

    >>> from pnc.measure import ClassMoments
    >>> moments = ClassMoments(classes=2, dimension=1).update([[0.0], [2.0], [4.0], [6.0]], [0, 0, 1, 1])
    >>> class_distance_normalised_variance(moments)
    0.0625
    """
    return class_pairs(moments).class_distance_normalised_variance


def class_geometry(moments: _Moments) -> dict[str, float]:
    """The numbers of `ClassPairs` that U3 and U4 need beside C and D, by name.

    Args:
        moments: every class must have a sample.
    """
    found = vars(class_pairs(moments)).copy()
    del found["class_distance_normalised_variance"]
    return found
