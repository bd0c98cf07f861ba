"""Class by class, from class moments: how wide each is, which class is nearest, and at what angle and distance."""

from __future__ import annotations

import math

import torch

from pnc.curves import ClassTable
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.quantities.class_pairs import gaps_of_pairs

__all__ = ["class_table", "named_pair"]

_BLOCK = 128  # classes against all others at a time
_ALL_COSINES = 100  # classes up to which all pairs are kept


def named_pair(moments: ClassMoments) -> tuple[int, int] | None:
    """The two classes that D is made of; `None` where D is undefined.

    >>> named_pair(ClassMoments(classes=2, dimension=1).update([[1.0], [2.0]], [0, 1]))
    (0, 1)
    """
    if math.isnan(moments.discrimination()):
        return None
    first, second = sorted(moments.closest_pair().tolist())
    return first, second


@torch.no_grad()
def class_table(moments: ClassMoments) -> ClassTable:
    """What each class contributes to C and D.

    Args:
        moments: every class must have a sample.

    >>> moments = ClassMoments(classes=2, dimension=2).update(
    ...     [[0.0, 2.0], [0.0, 4.0], [4.0, 0.0], [4.0, 0.0]], [0, 0, 1, 1])
    >>> found = class_table(moments)
    >>> found.nearest.tolist(), found.angle.round(9).tolist(), found.margin.tolist()
    ([1, 0], [90.0, 90.0], [5.0, 5.0])
    """
    means, counts = moments.means, moments.counts
    variance = moments.squares / counts
    norms = torch.linalg.vector_norm(means, dim=1, keepdim=True)
    spread = torch.sqrt(variance)
    # as D has it: a mean is zero where its norm is no more than what rounding leaves of samples that cancel
    undefined = norms[:, 0] <= 8 * torch.finfo(torch.float64).eps * spread
    lengths = torch.where(norms == 0, 1, norms)
    units = means / lengths
    nearest = torch.empty_like(counts)
    for start in range(0, moments.classes, _BLOCK):
        cosines = units[start : start + _BLOCK] @ units.mT
        rows = torch.arange(len(cosines), device=means.device)
        cosines[rows, start + rows] = -torch.inf
        cosines[:, undefined] = -torch.inf
        nearest[start : start + _BLOCK] = cosines.argmax(1)
    pairs = torch.stack([torch.arange(moments.classes, device=means.device), nearest], 1)
    first, second = moments.closest_pair().tolist()
    nearest[first], nearest[second] = second, first  # of ties that rounding cannot order, those that D takes
    pairs[:, 1] = nearest
    gaps = torch.where(undefined | undefined[nearest], torch.nan, gaps_of_pairs(means, lengths, pairs))
    distances = torch.cat([(means[part[:, 0]] - means[part[:, 1]]).norm(dim=1) for part in pairs.split(_BLOCK)])
    between = moments.between_scatter()
    return ClassTable(
        spread=(variance / (between if between > 0 else math.nan)).cpu().numpy(),
        nearest=nearest.cpu().numpy(),
        # of the chord 2 sin(angle/2), whose square is twice the gap: arccos loses the digits of small angles
        angle=torch.rad2deg(2 * torch.asin(torch.sqrt(gaps / 2).clamp(max=1))).cpu().numpy(),
        margin=(distances / (spread + spread[nearest])).cpu().numpy(),
        share=(moments.discrimination() / gaps).cpu().numpy(),
        cosines=(units @ units.mT).clamp(-1, 1).cpu().numpy() if moments.classes <= _ALL_COSINES else None,
    )
