"""Class moments of wide features at the speed of reading them: what forward hooks can afford."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.arrays import as_labels

__all__ = ["FEW_CLASSES", "BatchLabels", "RunningMoments"]

_SHIFT_SAMPLES = 16  # whose mean is a class's first shift: of a single one, outlying, Σt would cancel
_FLUSH_SAMPLES = 2048  # float32 deviations are taken from a fixed shift for about this long
_CORE_ENTRIES = 2**17
_ACCELERATOR_ENTRIES = 2**23
_ROW_ENTRIES = 2**13  # from here on a row is worth an operation of its own, and needs no gathering
FEW_CLASSES = 1024  # up to here sums of all classes are kept beside the means, and merged now and then
_BLOCK_ENTRIES = 2**17  # of what a batch of more classes is looked at in at a time
_LARGEST = {torch.float32: 1e14, torch.float64: 1e146}  # features up to here have squares that can be summed


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

    Of few classes the sums are merged into `ClassMoments` (Chan, Golub and LeVeque 1979) after about 2,000 samples,
    when the shift is renewed, so that a drift of the means cannot make Σt² - ‖Σt‖²/n cancel: 12 bytes for each entry
    of the means (16 for float64 features). Of many classes a batch is merged at once, and touches only those that
    occur in it: 8 bytes.

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
        self._few = classes <= FEW_CLASSES
        # of few classes: the mean of a class that is new since the last merge is its shift
        self._known = [False] * classes if self._few else []
        self._sums: torch.Tensor | None = None  # there as soon as there is something to add
        self._squares = torch.zeros(classes, dtype=torch.float64, device=device)
        self._counts = torch.zeros(classes, dtype=torch.int64, device=device)
        self._since = 0

    @property
    def dimension(self) -> int:
        """d, entries of a sample."""
        return self._total.dimension

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
        if not self._few:
            least, most = torch.aminmax(x)
            if float(torch.maximum(-least, most)) <= _LARGEST[_precision(x)]:  # false where any is NaN
                self._merge_batch(x, labels)
            else:
                self._total.update(x, labels.y, name=name, first_sample=first_sample)
            return self
        for k, rows in zip(labels.present.tolist(), labels.order.split(labels.counts.tolist()), strict=True):
            if not self._known[k]:
                shift = x[rows[:_SHIFT_SAMPLES]].to(torch.float32).mean(0)
                self._total.means[k] = shift if torch.isfinite(shift).all() else x[rows[0]].to(torch.float32)
                self._known[k] = True
        shifts = self._total.means[labels.present].to(torch.float32)
        if x.device.type != "cpu":
            sums, squares = self._accelerated(x, labels, shifts)
        elif x.shape[1] >= _ROW_ENTRIES:
            sums, squares = self._row_by_row(x, labels, shifts)
        else:
            sums, squares = self._in_chunks(x, labels, shifts)
        if not torch.isfinite(squares).all():
            self._flush()
            # float64 has room for the squares of what float32 can hold; what is not finite is named there
            self._total.update(x, labels.y, name=name, first_sample=first_sample)
            return self
        if self._sums is None:
            self._sums = torch.zeros(self._total.means.shape, dtype=sums.dtype, device=sums.device)
        self._sums.index_add_(0, labels.present, sums.to(self._sums.dtype))
        self._squares.index_add_(0, labels.present, squares)
        self._counts.index_add_(0, labels.present, labels.counts)
        self._since += x.shape[0]
        if self._since >= _FLUSH_SAMPLES:
            self._flush()
        return self

    def _row_by_row(
        self, x: torch.Tensor, labels: BatchLabels, shifts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        kind = _precision(x)
        sums = torch.zeros((labels.present.numel(), x.shape[1]), dtype=kind)
        squares = torch.zeros(labels.present.numel(), dtype=torch.float64)
        t = torch.empty(x.shape[1], dtype=kind)
        # class by class, so that a class's shift and sum stay in the cache
        for i, rows in enumerate(labels.order.split(labels.counts.tolist())):
            shift, total, norms = shifts[i], sums[i], []
            for row in rows.tolist():
                torch.sub(x[row], shift, out=t)
                total += t
                norms.append(torch.dot(t, t))
            squares[i] = torch.stack(norms).to(torch.float64).sum()
        return sums, squares

    def _in_chunks(
        self, x: torch.Tensor, labels: BatchLabels, shifts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        kind = _precision(x)
        local = torch.searchsorted(labels.present, labels.y)
        sums = torch.zeros((labels.present.numel(), x.shape[1]), dtype=kind)
        squares = torch.zeros(labels.present.numel(), dtype=torch.float64)
        rows = max(16, _CORE_ENTRIES * torch.get_num_threads() // x.shape[1])
        for start in range(0, x.shape[0], rows):
            k = local[start : start + rows]
            t = x[start : start + rows].to(kind) - shifts[k]
            sums.index_add_(0, k, t)
            squares.index_add_(0, k, torch.linalg.vecdot(t, t).to(torch.float64))
        return sums, squares

    def _accelerated(
        self, x: torch.Tensor, labels: BatchLabels, shifts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # float64 throughout: matrix products in float32 may be set to drop digits, float64 ones may not
        local = torch.searchsorted(labels.present, labels.y)
        groups = labels.present.numel()
        sums = x.new_zeros((groups, x.shape[1]), dtype=torch.float64)
        squares = x.new_zeros(groups, dtype=torch.float64)
        classes = torch.arange(groups, device=x.device)
        rows = max(1, _ACCELERATOR_ENTRIES // x.shape[1])
        for start in range(0, x.shape[0], rows):
            k = local[start : start + rows]
            t = x[start : start + rows].to(torch.float64, copy=True).sub_(shifts[k])
            member = (classes[:, None] == k).to(torch.float64)
            sums.addmm_(member, t)
            squares.addmv_(member, torch.linalg.vecdot(t, t))
        return sums, squares

    def _merge_batch(self, x: torch.Tensor, labels: BatchLabels) -> None:
        """A batch into the total, a block of columns after another, of the classes that it holds alone."""
        kind, present = _precision(x), labels.present
        local = torch.searchsorted(present, labels.y)
        before = self._total.counts[present]
        # a class that is new is shifted by its mean here, for which single precision is enough
        new = torch.nonzero((before == 0)[local])[:, 0]
        merge = _Merge(self._total, present, labels.counts)
        entries = _BLOCK_ENTRIES * torch.get_num_threads() if x.device.type == "cpu" else _ACCELERATOR_ENTRIES
        width = max(32, entries // x.shape[0])
        for start in range(0, x.shape[1], width):
            columns = slice(start, start + width)
            part = x[:, columns]
            shifts = self._total.means[:, columns].index_select(0, present).to(torch.float32)
            if new.numel():
                some = part[new].to(torch.float32) / labels.counts[local[new], None]
                shifts.index_add_(0, local[new], some)
            t = shifts.index_select(0, local)
            t = torch.sub(part, t, out=t) if part.dtype == t.dtype else part.to(kind) - t
            merge.squares.index_add_(0, local, _squared_norms(t))
            sums = torch.zeros(shifts.shape, dtype=kind, device=x.device).index_add_(0, local, t)
            merge.add(columns, sums, shifts)
        merge.finish()

    def _flush(self) -> None:
        """Merge the sums into the total, and start again from its means."""
        # a class without samples may have a shift from a batch that was refused
        self._total.means[(self._total.counts == 0) & (self._counts == 0)] = 0
        if self._sums is not None:
            merge = _Merge(self._total, torch.arange(self._total.classes, device=self._total.device), self._counts)
            merge.squares += self._squares
            width = max(1, _ACCELERATOR_ENTRIES // self._total.classes)
            for start in range(0, self.dimension, width):
                columns = slice(start, start + width)
                shifts = self._total.means[:, columns].to(torch.float32)
                merge.add(columns, self._sums[:, columns], shifts)
            merge.finish()
            self._sums.zero_()
            self._squares.zero_()
            self._counts = torch.zeros_like(self._counts)
            self._since = 0
        self._known = (self._total.counts > 0).tolist()  # of the others the first row will be the shift

    @torch.no_grad()
    def moments(self) -> ClassMoments:
        """The moments of all samples so far; not a copy."""
        if self._few:
            self._flush()
        return self._total


class _Merge:
    """Sums of deviations of some classes on their way into moments, a block of columns after another.

    Args:
        total: the moments.
        present: (P,) the classes.
        counts: (P,) samples of each, which may be none.
    """

    def __init__(self, total: ClassMoments, present: torch.Tensor, counts: torch.Tensor) -> None:
        self._total, self._present, self._counts = total, present, counts
        self._n = total.counts[present].to(torch.float64)
        self._m = counts.to(torch.float64)
        self._share = torch.where(counts > 0, self._m / (self._n + self._m), 0)
        self.squares = torch.zeros_like(self._m)  # Σ‖t‖², to which the caller adds
        self._about_means = torch.zeros_like(self._m)
        self._between = torch.zeros_like(self._m)

    def add(self, columns: slice, sums: torch.Tensor, shifts: torch.Tensor) -> None:
        """(P, w) sums Σt of deviations from the (P, w) shifts, which are merged into these columns of the means."""
        mean = sums.div_(self._m.clamp(min=1).to(sums.dtype)[:, None])
        self._about_means += self._m * _squared_norms(mean)
        target = self._total.means[:, columns]
        # from the mean that the class has so far, which is zero where it is new; in place, for memory that is fresh
        # is slower than arithmetic
        delta = target.index_select(0, self._present).neg_().add_(shifts).add_(mean)
        self._between += self._n * self._share * _squared_norms(delta)
        target.index_add_(0, self._present, delta.mul_(self._share[:, None]))

    def finish(self) -> None:
        """Add squares and counts, once all columns were merged."""
        # one sample has no spread, whatever rounding leaves of it
        within = torch.where(self._m > 1, (self.squares - self._about_means).clamp(min=0), 0)
        self._total.squares.index_add_(0, self._present, within + self._between)
        self._total.counts.index_add_(0, self._present, self._counts)


def _squared_norms(rows: torch.Tensor) -> torch.Tensor:
    """(P,) float64 squared norms of (P, w) rows, without a matrix of squares."""
    return torch.linalg.vector_norm(rows, dim=1).to(torch.float64).square_()


def _precision(x: torch.Tensor) -> torch.dtype:
    """In which deviations are taken."""
    return torch.float64 if x.dtype == torch.float64 or x.device.type != "cpu" else torch.float32
