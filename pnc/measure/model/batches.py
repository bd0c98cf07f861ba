"""One pass of a model over batches, each layer's features handed to accumulators and forgotten."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import RandomSampler, WeightedRandomSampler
from torch.utils.data.distributed import DistributedSampler

from pnc.errors import InvalidInputError, PncError
from pnc.measure.accumulate.processes import gather_objects, process_count, together
from pnc.measure.arrays import take_of_each_class
from pnc.measure.model.hooks import evaluating, same_randomness, tapped
from pnc.measure.model.memory import out_of_memory
from pnc.measure.model.samples import batch_size, first_tensor, map_tensors, rows_of

__all__ = ["BatchSource", "SomeOfEachClass", "count_classes", "labels_in", "run_pass"]

_LABEL_KEYS = ("labels", "label", "y")


class BatchSource:
    """Batches of (inputs, labels) from a loader, on the device and in the dtype of a model.

    The samples that a `DistributedSampler` repeats, to give every process equally many, are left out.

    Args:
        batches: yields (inputs, labels) pairs, or mappings with a `labels` entry; NumPy arrays or tensors.
        model: whose first parameter says the device and, for real inputs, the dtype.
        again: whether more than one pass will be asked for.
        names: the labels in the order of their classes, where they are not 0…K-1.

    Raises:
        InvalidInputError: something that can be read once where more passes are needed.
    """

    def __init__(
        self, batches: Iterable[Any], model: nn.Module, *, again: bool, names: Sequence[Any] | None = None
    ) -> None:
        if not isinstance(batches, Iterable):
            raise InvalidInputError(
                got=f"batches of type {type(batches).__name__}",
                expected="a loader or a list of (inputs, labels) batches",
                next_step="pass a torch DataLoader, or [(x, y)]",
            )
        once = isinstance(batches, Iterator)
        if once and again:
            raise InvalidInputError(
                got="batches that can be read once only, for two passes",
                expected="a DataLoader or a list of batches",
                next_step="pass the loader itself, not iter(loader), or leave out what needs a second pass",
            )
        parameter = next(
            (tensor for tensor in itertools.chain(model.parameters(), model.buffers()) if tensor.is_floating_point()),
            torch.empty(0, dtype=torch.int64),
        )
        self.device = parameter.device
        self._dtype = parameter.dtype if parameter.is_floating_point() else None
        self._batches = iter(batches) if once else batches
        self._kept: list[Any] = []  # what `first` took from an iterator
        self._codes = None if names is None else {label: k for k, label in enumerate(names)}
        self.once = once
        self.cast: str | None = None  # said in the notes
        self._limit, self.notes = _sampling(batches)

    def first(self) -> Any | None:
        """The inputs of the first batch that is not empty; None where there is none."""
        for batch in self._batches:
            if self.once:
                self._kept.append(batch)
            inputs = self._placed(_parts(batch)[0])
            if batch_size(inputs):
                return inputs
        return None

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        source = itertools.chain(self._kept, self._batches) if self.once else self._batches
        left = self._limit
        for batch in source:
            inputs, labels = _parts(batch)
            inputs, labels = self._placed(inputs), self._coded(_labels(labels))
            if left is not None:
                size = batch_size(inputs)
                if size > left:
                    inputs, labels = rows_of(inputs, slice(0, left)), labels[:left]
                left -= min(size, left)
            yield inputs, labels

    def _coded(self, labels: list[Any] | torch.Tensor) -> torch.Tensor:
        if self._codes is None and torch.is_tensor(labels):
            return labels
        if self._codes is None:
            raise InvalidInputError(
                got=f"labels that are text, such as {labels[0]!r}",
                expected="whole numbers 0…K-1",
                next_step="leave `classes` out, or pass it as the list of the labels in the order of their classes",
            )
        values = labels.tolist() if torch.is_tensor(labels) else labels
        unknown = next((value for value in values if value not in self._codes), None)
        if unknown is not None:
            raise InvalidInputError(
                got=f"label {unknown!r}",
                expected=f"one of {', '.join(map(repr, list(self._codes)[:8]))}",
                next_step="name every label in `classes`, or check the labels",
            )
        return torch.tensor([self._codes[value] for value in values], dtype=torch.int64)

    def _placed(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._placed(item) for key, item in value.items()}
        if type(value) in (tuple, list):
            return type(value)(self._placed(item) for item in value)
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            value = _tensor(value)
        return map_tensors(value, self._moved)

    def _moved(self, value: torch.Tensor) -> torch.Tensor:
        if value.is_floating_point() and self._dtype is not None and value.dtype != self._dtype:
            self.cast = f"inputs were cast from {value.dtype} to {self._dtype}, the model's".replace("torch.", "")
            value = value.to(self._dtype)
        return value.to(self.device, non_blocking=True)

    def counted(self, samples: int) -> list[str]:
        """What is to be said of the number of samples that all processes counted."""
        data = getattr(self._batches, "dataset", None)
        try:
            there = len(data) if data is not None else samples
        except TypeError:
            return []
        shared = isinstance(_sampler(self._batches), DistributedSampler)
        total = samples if shared or process_count() == 1 else None
        if total is not None and total > there and not self.notes:
            return [f"{total} samples were counted of a data set of {there}: the loader repeats some"]
        return []


def _sampler(batches: Any) -> Any:
    found = getattr(getattr(batches, "batch_sampler", None), "sampler", None)
    return getattr(batches, "sampler", None) if found is None else found


def _sampling(batches: Any) -> tuple[int | None, list[str]]:
    """How many of its samples are no repeats, where a sampler repeats some to fill up, and what is to be said."""
    sampler, notes, limit = _sampler(batches), [], None
    if isinstance(sampler, DistributedSampler) and not sampler.drop_last:
        # the repeats stand at the end of the order that the processes take their samples from in turn
        data = len(sampler.dataset)  # type: ignore[arg-type]
        limit = max(0, -(-(data - sampler.rank) // sampler.num_replicas))
        if data % sampler.num_replicas:
            notes.append("samples that the sampler repeats, to give each process equally many, are left out")
    if isinstance(sampler, WeightedRandomSampler | RandomSampler) and sampler.replacement:
        notes.append("the sampler draws with replacement: numbers are of the samples as drawn, repeats counted")
    size = getattr(batches, "batch_size", None)
    if getattr(batches, "drop_last", False) and size and hasattr(sampler, "__len__") and len(sampler) % size:
        notes.append(f"the loader drops the last {len(sampler) % size} samples (drop_last)")
    return limit, notes


def _parts(batch: Any) -> tuple[Any, Any]:
    """Inputs and labels of a batch."""
    if isinstance(batch, Mapping):
        key = next((key for key in _LABEL_KEYS if key in batch), None)
        if key is not None:
            return {name: value for name, value in batch.items() if name != key}, batch[key]
    elif isinstance(batch, tuple | list) and len(batch) == 2:
        return tuple(batch)
    raise InvalidInputError(
        got=f"a batch of type {type(batch).__name__}"
        + (f" with {len(batch)} entries" if hasattr(batch, "__len__") else ""),
        expected="(inputs, labels), or a mapping with labels",
        next_step="let the loader yield pairs",
    )


def _tensor(values: Any) -> torch.Tensor:
    """A tensor; of an array that may not be written to, or that torch cannot look at in place, a copy."""
    if torch.is_tensor(values):
        # torch can hardly reckon with these
        return values.to(torch.int64) if values.dtype in (torch.uint16, torch.uint32, torch.uint64) else values
    array = np.asarray(values)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    elif not array.dtype.isnative or array.dtype.itemsize > 8:
        array = array.astype(np.float64 if array.dtype.itemsize > 8 else array.dtype.newbyteorder("="))
    usable = array.flags.writeable and all(stride >= 0 for stride in array.strides)
    return torch.from_numpy(array if usable else array.copy())


def _labels(labels: Any) -> list[Any] | torch.Tensor:
    """Labels as a tensor, yes and no as 1 and 0; text as a list.

    Raises:
        InvalidInputError: neither numbers nor text.
    """
    if not torch.is_tensor(labels):
        array = np.asarray(labels)
        if array.dtype.kind in "US" or (array.dtype.kind == "O" and all(isinstance(v, str) for v in array.flat)):
            return array.ravel().tolist()
        if array.dtype.kind not in "fiub":
            raise InvalidInputError(
                got=f"labels of dtype {array.dtype}",
                expected="whole numbers or text, one a sample",
                next_step="let the loader yield (inputs, labels)",
            )
        labels = _tensor(array)
    labels = _tensor(labels)
    return labels.to(torch.int64) if labels.dtype == torch.bool else labels


def labels_in(batches: Iterable[Any]) -> list[Any] | None:
    """The different labels of all batches, and of all processes, in order; None where the data set names its classes.

    Raises:
        InvalidInputError: batches that can be read once only, or labels that are neither whole numbers nor text.

    >>> labels_in([(None, ["dog", "cat"]), (None, ["cat"])]), labels_in([(None, [3, 1])])
    (['cat', 'dog'], [1, 3])
    """
    if _named_classes(batches) is not None:
        return None
    if not isinstance(batches, Iterable) or isinstance(batches, Iterator):
        raise InvalidInputError(
            got=f"batches of type {type(batches).__name__} and no number of classes",
            expected="a loader or a list of batches, which can be read more than once",
            next_step="pass classes=K",
        )

    def read() -> set[Any]:
        with same_randomness(batches):
            return {label for batch in batches for label in _whole(_parts(batch)[1])}

    found = set().union(*gather_objects(together(read)))
    if len({isinstance(label, str) for label in found}) > 1:
        raise InvalidInputError(
            got="labels that are numbers in one batch and text in another",
            expected="one kind of label",
            next_step="let the loader yield labels of one kind",
        )
    return sorted(found)


def _whole(labels: Any) -> list[Any]:
    y = _labels(labels)
    if not torch.is_tensor(y):
        return y
    if y.ndim == 1 and not y.numel():
        return []
    if y.is_floating_point() or y.ndim != 1:
        one_hot = y.ndim == 2 and bool(((y == 0) | (y == 1)).all() & (y.sum(1) == 1).all())
        raise InvalidInputError(
            got=f"labels of shape {tuple(y.shape)} and dtype {y.dtype}".replace("torch.", ""),
            expected="one whole number a sample",
            next_step="let the loader yield labels.argmax(1) for these one-hot rows"
            if one_hot
            else "let the loader yield (inputs, labels)",
        )
    return y.unique().tolist()


def _named_classes(batches: Any) -> int | None:
    names = getattr(getattr(batches, "dataset", None), "classes", None)
    return len(names) if isinstance(names, Sequence) and not isinstance(names, str) else None


def count_classes(batches: Iterable[Any]) -> int:
    """K, the largest label of all batches, and of all processes, plus one; of labels that are text, their number.

    What the loader's data set says of itself (`dataset.classes`, as torchvision's do) is believed; otherwise the
    batches are read once for their labels alone.

    Raises:
        InvalidInputError: batches that can be read once only, or without labels that are whole numbers or text.

    >>> count_classes([(None, [0, 2]), (None, [1])])
    3
    """
    found = labels_in(batches)
    if found is None:
        return _named_classes(batches) or 0
    return len(found) if not found or isinstance(found[0], str) else int(found[-1]) + 1


class SomeOfEachClass:
    """The first samples of each class of a source, in batches of their own; the others cost no forward pass.

    Args:
        source: of batches; read until every class has had its number.
        numbers: (K,) samples of each class.
        size: most samples a batch.
    """

    def __init__(self, source: BatchSource, numbers: torch.Tensor, *, size: int) -> None:
        self._source, self._numbers, self._size = source, numbers.cpu(), size

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        left = self._numbers.clone()
        for inputs, labels in self._source:
            if not bool((left > 0).any()):
                return
            y = labels.cpu()
            for rows in take_of_each_class(y, left).split(self._size):
                if len(rows):
                    yield rows_of(inputs, rows), y[rows]


def run_pass(
    model: nn.Module,
    source: Iterable[tuple[Any, torch.Tensor]],
    consumers: Sequence[Callable[[str, Any, torch.Tensor, int], None]],
    *,
    modules: Sequence[str] | None = None,
    with_inputs: bool = False,
    progress: Callable[[int], None] | None = None,
    before: Callable[[Any], None] | None = None,
) -> tuple[int, list[str]]:
    """Run the model over all batches in evaluation mode; every chosen module's output goes to the consumers.

    Where a batch does not fit into memory it is halved, as often as needed, and later batches start at the
    size that fitted. What a consumer took before the failure it is not given again: of the halves of a batch
    it sees only the layers of which it has not had the whole.

    Args:
        model: torch module.
        source: of batches.
        consumers: each called with a layer's name, what the module returned, the labels of the same rows and
            the index of the first row; the layer `input` is what the model is given. A consumer must use the
            features before it returns, and change nothing where it raises.
        modules: names of the modules to listen to.
        with_inputs: hand over the pair of a module's first argument and its output.
        progress: called with the number of samples before each batch.
        before: called with the inputs of each batch, or of each part of one that is halved, before the model is.

    Returns:
        The number of samples, and notes.

    Raises:
        InvalidInputError: out of memory with a single sample, a model that fails on a batch, or labels that do not fit
            the inputs.
    """
    stream = _Stream(consumers, before)
    samples = 0
    with evaluating(model), tapped(model, stream.take, modules, with_inputs=with_inputs) as run:
        for inputs, labels in source:
            if progress is not None:
                progress(samples)
            size = batch_size(inputs)
            if not size:
                continue
            if tuple(labels.shape) != (size,):
                raise InvalidInputError(
                    got=f"labels of shape {tuple(labels.shape)} for a batch of {size} samples",
                    expected=f"shape ({size},), one label a sample",
                    next_step="let the loader yield (inputs, labels)",
                )
            stream.attempt(run, inputs, labels, samples, frozenset())
            samples += size
    return samples, stream.notes


class _Stream:
    """Hands features to consumers, and a batch that does not fit into memory in halves."""

    def __init__(
        self,
        consumers: Sequence[Callable[[str, Any, torch.Tensor, int], None]],
        before: Callable[[Any], None] | None = None,
    ) -> None:
        self._consumers, self._before = consumers, before
        self._failed = False  # a consumer, not the model
        self._largest: int | None = None
        self._taken: set[tuple[str, int]] = set()
        self._labels, self._first = torch.empty(0), 0
        self.notes: list[str] = []

    def take(self, name: str, output: Any) -> None:
        for i, consume in enumerate(self._consumers):
            if (name, i) not in self._taken:
                try:
                    consume(name, output, self._labels, self._first)
                except Exception:
                    self._failed = True
                    raise
                self._taken.add((name, i))

    def attempt(
        self,
        run: Callable[[Any], Any],
        inputs: Any,
        labels: torch.Tensor,
        first: int,
        taken: frozenset[tuple[str, int]],
    ) -> None:
        size = batch_size(inputs)
        if self._largest is None or size <= self._largest:
            self._labels, self._first, self._taken = labels, first, set(taken)
            self._failed = False
            try:
                if self._before is not None:
                    self._before(inputs)
                self.take("input", first_tensor(inputs))
                run(inputs)
                return
            except PncError:
                raise
            except Exception as error:  # whatever the forward of anybody's network may raise
                if not out_of_memory(error):
                    if self._failed:
                        raise
                    raise _fails(size, error) from error
                reason = (str(error).splitlines() or ["no memory"])[0]
            # outside the handler, whose traceback would keep the activations alive
            if size == 1:
                raise InvalidInputError(
                    got=f"out of memory with a single sample ({reason})",
                    expected="a model and class means of its layers that fit into memory",
                    next_step="measure fewer layers at a time, or on a device with more memory",
                )
            self._largest = (size + 1) // 2
            self.notes = [f"out of memory: batches were halved to at most {self._largest} samples"]
            taken = frozenset(self._taken)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        middle = (size + 1) // 2
        for rows in (slice(0, middle), slice(middle, size)):
            self.attempt(run, rows_of(inputs, rows), labels[rows], first + rows.start, taken)


def _fails(samples: int, error: Exception) -> InvalidInputError:
    reason = (str(error).splitlines() or [""])[0]
    return InvalidInputError(
        got=f"a model that fails on a batch of {samples} sample{'s' if samples > 1 else ''}: "
        + f"{type(error).__name__}: {reason}",
        expected="a model that takes batches of every size that the loader yields",
        next_step="give batches of the size that it takes (drop_last leaves out a last one that is smaller)",
    )
