"""What the second passes share: features whose moments are complete, each row less the mean of its class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.centred_rows import centred_chunks
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.arrays import as_labels, as_matrix

__all__ = ["deviations", "require_complete"]


def require_complete(moments: ClassMoments) -> None:
    """Refuse moments with a class that has no sample.

    Raises:
        InvalidInputError: there is one.
    """
    if bool((moments.counts == 0).any()):
        raise InvalidInputError(
            got="moments with a class that has no sample",
            expected="the complete moments of the same features",
            next_step="finish the first pass before the second",
        )


def deviations(
    moments: ClassMoments, features: Any, labels: Any
) -> tuple[torch.Tensor, Iterator[tuple[torch.Tensor, torch.Tensor]]]:
    """The labels of a batch, and in chunks the class (one, or one a row) and z_i - μ_{y_i} of its rows, in float64.

    Args:
        moments: of all samples.
        features: (N, …), flattened.
        labels: (N,).

    Raises:
        InvalidInputError: shapes or labels that do not fit.

    >>> moments = ClassMoments(classes=2, dimension=1).update([[0.0], [2.0], [4.0], [6.0]], [0, 0, 1, 1])
    >>> y, chunks = deviations(moments, [[6.0], [0.0]], [1, 0])
    >>> [(k.tolist(), t.tolist()) for k, t in chunks]
    [([0, 1], [[-1.0], [1.0]])]
    """
    device = moments.device
    x = as_matrix(features, device=device)
    if x.shape[1] != moments.dimension:
        raise InvalidInputError(
            got=f"features of dimension {x.shape[1]}",
            expected=f"dimension {moments.dimension}, as in the first pass",
            next_step="pass batches of the same features as in the first pass",
        )
    y = as_labels(labels, samples=x.shape[0], classes=moments.classes, device=device)
    present, local, counts = torch.unique(y, return_inverse=True, return_counts=True)
    order = torch.argsort(local, stable=True)
    chunks = centred_chunks(x, order, counts, moments.means[present])
    return y, ((present[chunk], t) for chunk, t in chunks)
