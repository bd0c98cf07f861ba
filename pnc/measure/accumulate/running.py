"""Class moments of wide features at the speed of reading them: what forward hooks can afford."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.arrays import as_labels

__all__ = ["BatchLabels", "RunningMoments"]

_SHIFT_SAMPLES = 16  # whose mean is a class's first shift: of a single one, outlying, Σt would cancel
_FLUSH_SAMPLES = 2048  # float32 deviations are taken from a fixed shift for about this long
_CORE_ENTRIES = 2**17
_ACCELERATOR_ENTRIES = 2**23
_ROW_ENTRIES = 2**13  # from here on a row is worth an operation of its own, and needs no gathering


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchLabels:
    """A batch's labels, sorted once for all layers.

    Args:
        y: (N,) int64 labels 0…K-1.
        present: (P,) classes in the batch.
        counts: (P,) rows of each.
        order: (N,) rows, class by class.
    """

    y: Int[torch.Tensor, " N"]
    present: Int[torch.Tensor, " P"]
    counts: Int[torch.Tensor, " P"]
    order: Int[torch.Tensor, " N"]

    @classmethod
    def of(
        cls, labels: object, *, samples: int, classes: int, device: torch.device | str, first_sample: int = 0
    ) -> BatchLabels:
        """The labels of a batch on a device; `first_sample` is the index of its first row in errors.

        Raises:
            InvalidInputError: not one label 0…K-1 a sample.

        >>> BatchLabels.of([2, 0, 2], samples=3, classes=3, device="cpu").present.tolist()
        [0, 2]
        """
        y = as_labels(labels, samples=samples, classes=classes, device=device, first_sample=first_sample)
        y = y.contiguous()  # of a view with steps, such as a process's share, `searchsorted` would warn
        present, counts = torch.unique(y, return_counts=True)
        return cls(y=y, present=present, counts=counts, order=torch.argsort(y, stable=True))


class RunningMoments:
    """Class moments of (N, d) features, one reading of them a batch; the sums become `ClassMoments`.

    Deviations from a shift, t = z - c_k, are taken in the features' own precision (float32 for narrower ones,
    float64 on an accelerator), where the shift is a float32 copy of the running class mean, exact to subtract.
    A batch's Σt is summed in that precision, ‖t‖² a row at a time; totals are float64. Each of the two is
    then off by at most a few units of the features' own rounding relative to the *deviations*, not to the
    means: tr Σ_W and the distances between means by a relative 1e-6 for float32, whatever the means. Float64
    features lose nothing.

    After about 2,000 samples the sums are merged into `ClassMoments` (Chan, Golub and LeVeque 1979) and the
    shift is renewed, so that a drift of the means cannot make Σt² - ‖Σt‖²/n cancel.

    Args:
        classes: K.
        dimension: d.
        device: where to work.

    >>> y = BatchLabels.of([0, 0, 1, 1], samples=4, classes=2, device="cpu")
    >>> running = RunningMoments(classes=2, dimension=1)
    >>> running.update(torch.tensor([[0.0], [2.0], [4.0], [6.0]]), y).moments().compression()
    0.25
    """

    def __init__(self, *, classes: int, dimension: int, device: torch.device | str = "cpu") -> None:
        self._total = ClassMoments(classes=classes, dimension=dimension, device=device)
        device = self._total.device
        self._known = [False] * classes
        self._shifts = torch.zeros((classes, dimension), dtype=torch.float32, device=device)
        self._sums: torch.Tensor | None = None  # there as soon as there is something to add
        self._squares = torch.zeros(classes, dtype=torch.float64, device=device)
        self._counts = torch.zeros(classes, dtype=torch.int64, device=device)
        self._since = 0

    @property
    def dimension(self) -> int:
        """d, entries of a sample."""
        return self._shifts.shape[1]

    @torch.no_grad()
    def update(
        self, x: Float[torch.Tensor, "N d"], labels: BatchLabels, *, name: str = "features", first_sample: int = 0
    ) -> RunningMoments:
        """Add a batch; nothing is added where an exception is raised.

        Args:
            x: features.
            labels: of the same rows.
            name: what to call the features in an error.
            first_sample: index of the first row in an error.

        Raises:
            InvalidInputError: another dimension, or entries that are NaN, infinite, or too large to square.
        """
        if x.shape[1] != self.dimension:
            raise InvalidInputError(
                got=f"{name} of dimension {x.shape[1]}",
                expected=f"dimension {self.dimension}, as before",
                next_step="give every sample the same size, or reduce the features to one size",
            )
        for k, rows in zip(labels.present.tolist(), labels.order.split(labels.counts.tolist()), strict=True):
            if not self._known[k]:
                shift = x[rows[:_SHIFT_SAMPLES]].to(torch.float32).mean(0)
                self._shifts[k] = shift if torch.isfinite(shift).all() else x[rows[0]]
                self._known[k] = True
        if x.device.type != "cpu":
            sums, squares = self._accelerated(x, labels)
        elif x.shape[1] >= _ROW_ENTRIES:
            sums, squares = self._row_by_row(x, labels)
        else:
            sums, squares = self._in_chunks(x, labels)
        if not torch.isfinite(squares).all():
            self._flush()
            # float64 has room for the squares of what float32 can hold; what is not finite is named there
            self._total.update(x, labels.y, name=name, first_sample=first_sample)
            return self
        if self._sums is None:
            self._sums = torch.zeros(self._shifts.shape, dtype=torch.float64, device=self._shifts.device)
        self._sums.index_add_(0, labels.present, sums)
        self._squares.index_add_(0, labels.present, squares)
        self._counts.index_add_(0, labels.present, labels.counts)
        self._since += x.shape[0]
        if self._since >= _FLUSH_SAMPLES:
            self._flush()
        return self

    def _row_by_row(self, x: torch.Tensor, labels: BatchLabels) -> tuple[torch.Tensor, torch.Tensor]:
        kind = torch.float64 if x.dtype == torch.float64 else torch.float32
        sums = torch.zeros((labels.present.numel(), x.shape[1]), dtype=kind)
        squares = torch.zeros(labels.present.numel(), dtype=torch.float64)
        t = torch.empty(x.shape[1], dtype=kind)
        # class by class, so that a class's shift and sum stay in the cache
        for i, rows in enumerate(labels.order.split(labels.counts.tolist())):
            shift, total, norms = self._shifts[labels.present[i]], sums[i], []
            for row in rows.tolist():
                torch.sub(x[row], shift, out=t)
                total += t
                norms.append(torch.dot(t, t))
            squares[i] = torch.stack(norms).to(torch.float64).sum()
        return sums.to(torch.float64), squares

    def _in_chunks(self, x: torch.Tensor, labels: BatchLabels) -> tuple[torch.Tensor, torch.Tensor]:
        kind = torch.float64 if x.dtype == torch.float64 else torch.float32
        local = torch.searchsorted(labels.present, labels.y)
        sums = torch.zeros((labels.present.numel(), x.shape[1]), dtype=kind)
        squares = torch.zeros(labels.present.numel(), dtype=torch.float64)
        shifts = self._shifts[labels.present]
        rows = max(16, _CORE_ENTRIES * torch.get_num_threads() // x.shape[1])
        for start in range(0, x.shape[0], rows):
            k = local[start : start + rows]
            t = x[start : start + rows].to(kind) - shifts[k]
            sums.index_add_(0, k, t)
            squares.index_add_(0, k, torch.linalg.vecdot(t, t).to(torch.float64))
        return sums.to(torch.float64), squares

    def _accelerated(self, x: torch.Tensor, labels: BatchLabels) -> tuple[torch.Tensor, torch.Tensor]:
        # float64 throughout: matrix products in float32 may be set to drop digits, float64 ones may not
        local = torch.searchsorted(labels.present, labels.y)
        groups = labels.present.numel()
        sums = x.new_zeros((groups, x.shape[1]), dtype=torch.float64)
        squares = x.new_zeros(groups, dtype=torch.float64)
        classes = torch.arange(groups, device=x.device)
        rows = max(1, _ACCELERATOR_ENTRIES // x.shape[1])
        for start in range(0, x.shape[0], rows):
            k = local[start : start + rows]
            t = x[start : start + rows].to(torch.float64, copy=True).sub_(self._shifts[labels.present[k]])
            member = (classes[:, None] == k).to(torch.float64)
            sums.addmm_(member, t)
            squares.addmv_(member, torch.linalg.vecdot(t, t))
        return sums, squares

    def _flush(self) -> None:
        """Merge the sums into the total, and start again from its means."""
        if self._sums is None:
            return
        n = self._counts.clamp(min=1).to(torch.float64)
        delta = self._sums.div_(n[:, None])
        recent = ClassMoments(classes=n.numel(), dimension=self.dimension, device=n.device)
        recent.squares = (self._squares - n * torch.linalg.vecdot(delta, delta)).clamp_(min=0)
        # zero where a class has no samples: its shift may come from a batch that was refused
        recent.means = delta.add_(self._shifts).masked_fill_((self._counts == 0)[:, None], 0)
        recent.counts = self._counts
        if self._total.samples:
            self._total.merge(recent)
            self._sums.zero_()
        else:  # the first time the sums themselves become the means, without another K × d numbers
            self._total, self._sums = recent, None
        self._squares.zero_()
        self._counts = torch.zeros_like(self._counts)
        self._since = 0
        # zero too for a class without samples; its first row will be the shift
        self._shifts.copy_(self._total.means)
        self._known = (self._total.counts > 0).tolist()

    @torch.no_grad()
    def moments(self) -> ClassMoments:
        """The moments of all samples so far; not a copy."""
        if self._since:
            self._flush()
        return self._total
