"""Class moments as a `torchmetrics.Metric`, for Lightning and for loops of one's own.

Importing this module needs torchmetrics; `pnc.measure` itself does not import it.
"""

from __future__ import annotations

from typing import Any, cast

import torch

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.quantities.class_pairs import class_distance_normalised_variance

try:
    from torchmetrics import Metric
except ImportError as error:
    raise InvalidInputError(
        got="pnc.measure.metrics without torchmetrics",
        expected="torchmetrics installed",
        next_step="pip install torchmetrics, or use pnc.measure.ClassMoments, which merges too",
    ) from error

__all__ = ["CompressionMetric", "merge_states"]


def _unpacked(state: torch.Tensor) -> ClassMoments:
    return ClassMoments.from_state(
        {"means": state[:, :-2], "squares": state[:, -2], "counts": state[:, -1].to(torch.int64)}
    )


def _packed(moments: ClassMoments) -> torch.Tensor:
    return torch.cat([moments.means, moments.squares[:, None], moments.counts[:, None].to(torch.float64)], 1)


def merge_states(states: torch.Tensor) -> torch.Tensor:
    """Stacked (P, K, d+2) states of P processes as one (K, d+2): means, sums of squares, counts.

    Chan, Golub and LeVeque's update (1979), in the order of the stack; any of the states may be empty.

    >>> parts = [CompressionMetric(classes=2, dimension=1) for _ in range(3)]
    >>> for part, row in zip(parts, ([[0.0], [4.0]], [[2.0], [6.0]])):
    ...     part.update(torch.tensor(row), torch.tensor([0, 1]))
    >>> merge_states(torch.stack([part.state for part in parts])).tolist()
    [[1.0, 2.0, 2.0], [5.0, 2.0, 2.0]]
    """
    merged = _unpacked(states[0])
    for state in states[1:]:
        merged.merge(_unpacked(state))
    return _packed(merged)


class CompressionMetric(Metric):
    """C, D, tr Σ_W, tr Σ_B (theory note, section 1) and CDNV of one layer's features, as a torchmetrics metric.

    The state is one float64 tensor of fixed shape (K, d+2), means, sums of squares and counts, merged across
    processes by `merge_states`: correct for shares of any size, empty ones included. (A list state would be
    gathered wrongly there, and means alone cannot be merged without their counts.)

    Args:
        classes: K.
        dimension: d, entries of a flattened sample; needed before the first batch, since a process that sees
            none must hold a state of the same shape.
        kwargs: of `torchmetrics.Metric`.

    Raises:
        InvalidInputError: K < 2 or d < 1.

    >>> metric = CompressionMetric(classes=2, dimension=1)
    >>> metric.update(torch.tensor([[0.0], [2.0], [4.0], [6.0]]), torch.tensor([0, 0, 1, 1]))
    >>> metric.compute()["compression"].item()
    0.25
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    state: torch.Tensor

    def __init__(self, *, classes: int, dimension: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        empty = _packed(ClassMoments(classes=classes, dimension=dimension))
        self.add_state("state", default=empty, dist_reduce_fx=merge_states)

    def update(self, features: torch.Tensor, labels: torch.Tensor) -> None:
        """Add (N, …) features, flattened, and (N,) labels 0…K-1.

        Raises:
            InvalidInputError: shapes, labels or entries that cannot be used.
        """
        self.state = _packed(self.moments().update(features, labels))

    def compute(self) -> dict[str, torch.Tensor]:
        """The numbers by name, float64 scalars; NaN where undefined."""
        moments = self.moments()
        values = {
            "compression": moments.compression(),
            "discrimination": moments.discrimination(),
            "within_scatter": moments.within_scatter(),
            "between_scatter": moments.between_scatter(),
            "class_distance_normalised_variance": class_distance_normalised_variance(moments),
        }
        return {name: self.state.new_tensor(value) for name, value in values.items()}

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """The numbers of `compute`, or of those of several times, as a figure.

        Args:
            val: what `compute` or `forward` returned, once or as a list of several times; by default `compute()`.
            ax: an axis of matplotlib to draw on.

        Returns:
            The figure and its axis.

        >>> metric = CompressionMetric(classes=2, dimension=1)
        >>> metric.update(torch.tensor([[0.0], [2.0], [4.0], [6.0]]), torch.tensor([0, 0, 1, 1]))
        >>> figure, axis = metric.plot()
        >>> len(axis.get_lines()) > 0
        True
        """
        return self._plot(val, ax)

    def moments(self) -> ClassMoments:
        """The moments so far, a copy."""
        return _unpacked(self.state)

    def _apply(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        """Moves go through; a cast does not: `set_dtype`, or a trainer that casts a whole module (bf16-true).

        Differences of nearly equal numbers survive in float64 alone; features may have any dtype.
        """
        before, default = self.state, self._defaults["state"]
        moved = super()._apply(fn, *args, **kwargs)
        self.state = before.to(self.state.device)
        # torchmetrics lets a default be a list too, and this one is none
        place = cast(torch.Tensor, self._defaults["state"]).device
        self._defaults["state"] = cast(torch.Tensor, default).to(place)
        return moved
