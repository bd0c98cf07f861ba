"""One pass of a model over batches, each layer's features handed to accumulators and forgotten."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.processes import gather_objects, together
from pnc.measure.model.layers import batch_size, evaluating, first_tensor, rows_of, tapped
from pnc.measure.model.memory import out_of_memory

__all__ = ["BatchSource", "SomeOfEachClass", "count_classes", "run_pass"]

_LABEL_KEYS = ("labels", "label", "y")


class BatchSource:
    """Batches of (inputs, labels) from a loader, on the device and in the dtype of a model.

    Args:
        batches: yields (inputs, labels) pairs, or mappings with a `labels` entry; NumPy arrays or tensors.
        model: whose first parameter says the device and, for real inputs, the dtype.
        again: whether more than one pass will be asked for.

    Raises:
        InvalidInputError: something that can be read once where more passes are needed.
    """

    def __init__(self, batches: Iterable[Any], model: nn.Module, *, again: bool) -> None:
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
        parameter = next(itertools.chain(model.parameters(), model.buffers()), torch.empty(0))
        self.device = parameter.device
        self._dtype = parameter.dtype if parameter.is_floating_point() else None
        self._batches = iter(batches) if once else batches
        self._kept: list[Any] = []  # what `first` took from an iterator
        self.once = once
        self.cast: str | None = None  # said in the notes

    def first(self) -> Any | None:
        """The inputs of the first batch that is not empty; None where there is none."""
        for batch in self._batches:
            if self.once:
                self._kept.append(batch)
            inputs, _ = self._split(batch)
            if batch_size(inputs):
                return inputs
        return None

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        source = itertools.chain(self._kept, self._batches) if self.once else self._batches
        for batch in source:
            yield self._split(batch)

    def _split(self, batch: Any) -> tuple[Any, Any]:
        inputs, labels = _parts(batch)
        return self._placed(inputs), labels

    def _placed(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._placed(item) for key, item in value.items()}
        if type(value) in (tuple, list):
            return type(value)(self._placed(item) for item in value)
        if isinstance(value, np.ndarray):
            value = _tensor(value)
        if not torch.is_tensor(value):
            return value
        if value.is_floating_point() and self._dtype is not None and value.dtype != self._dtype:
            self.cast = f"inputs were cast from {value.dtype} to {self._dtype}, the model's".replace("torch.", "")
            value = value.to(self._dtype)
        return value.to(self.device, non_blocking=True)


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
        return values
    array = np.asarray(values)
    usable = array.flags.writeable and all(stride >= 0 for stride in array.strides)
    return torch.from_numpy(array if usable else array.copy())


def count_classes(batches: Iterable[Any]) -> int:
    """K, the largest label of all batches, and of all processes, plus one.

    What the loader's data set says of itself (`dataset.classes`, as torchvision's do) is believed; otherwise the
    batches are read once for their labels alone.

    Raises:
        InvalidInputError: batches that can be read once only, or without labels that are whole numbers.

    >>> count_classes([(None, [0, 2]), (None, [1])])
    3
    """
    names = getattr(getattr(batches, "dataset", None), "classes", None)
    if isinstance(names, Sequence) and not isinstance(names, str):
        return len(names)
    if not isinstance(batches, Iterable) or isinstance(batches, Iterator):
        raise InvalidInputError(
            got=f"batches of type {type(batches).__name__} and no number of classes",
            expected="a loader or a list of batches, which can be read more than once",
            next_step="pass classes=K",
        )
    largest = together(lambda: max((_largest_label(_parts(batch)[1]) for batch in batches), default=-1))
    return max(gather_objects(largest)) + 1


def _largest_label(labels: Any) -> int:
    y = _tensor(labels)
    if y.ndim == 1 and not y.numel():
        return -1
    if y.is_floating_point() or y.ndim != 1:
        raise InvalidInputError(
            got=f"labels of shape {tuple(y.shape)} and dtype {y.dtype}".replace("torch.", ""),
            expected="one whole number a sample",
            next_step="let the loader yield (inputs, labels)",
        )
    return int(y.max())


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
            y = _tensor(labels).cpu()
            member = y[:, None] == torch.arange(left.numel())
            wanted = member & (member.cumsum(0) <= left)
            left -= wanted.sum(0)
            for rows in torch.nonzero(wanted.any(1)).flatten().split(self._size):
                if len(rows):
                    yield rows_of(inputs, rows), y[rows]


def run_pass(
    model: nn.Module,
    source: BatchSource,
    consumers: Sequence[Callable[[str, Any, torch.Tensor, int], None]],
    *,
    modules: Sequence[str] | None = None,
    with_inputs: bool = False,
    progress: Callable[[int], None] | None = None,
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

    Returns:
        The number of samples, and notes.

    Raises:
        InvalidInputError: out of memory with a single sample, or labels that do not fit the inputs.
    """
    stream = _Stream(consumers)
    samples = 0
    with evaluating(model), tapped(model, stream.take, modules, with_inputs=with_inputs) as run:
        for inputs, labels in source:
            if progress is not None:
                progress(samples)
            size = batch_size(inputs)
            if not size:
                continue
            labels = _tensor(labels)
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

    def __init__(self, consumers: Sequence[Callable[[str, Any, torch.Tensor, int], None]]) -> None:
        self._consumers = consumers
        self._largest: int | None = None
        self._taken: set[tuple[str, int]] = set()
        self._labels, self._first = torch.empty(0), 0
        self.notes: list[str] = []

    def take(self, name: str, output: Any) -> None:
        for i, consume in enumerate(self._consumers):
            if (name, i) not in self._taken:
                consume(name, output, self._labels, self._first)
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
            try:
                self.take("input", first_tensor(inputs))
                run(inputs)
                return
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
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
