"""One pass of a model over batches, each layer's features handed to accumulators and forgotten."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.measure.capture import batch_size, evaluating, rows_of, tapped

__all__ = ["BatchSource", "run_pass"]

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
        self._once = once
        self.cast: str | None = None  # said in the notes

    def first(self) -> Any | None:
        """The inputs of the first batch; None where there is no batch."""
        if self._once:
            self._kept = list(itertools.islice(self._batches, 1))
            pairs = iter(self._kept)
        else:
            pairs = iter(self._batches)
        for batch in pairs:
            return self._split(batch)[0]
        return None

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        source = itertools.chain(self._kept, self._batches) if self._once else self._batches
        for batch in source:
            yield self._split(batch)

    def _split(self, batch: Any) -> tuple[Any, Any]:
        if isinstance(batch, Mapping):
            key = next((key for key in _LABEL_KEYS if key in batch), None)
            if key is not None:
                return self._placed({name: v for name, v in batch.items() if name != key}), batch[key]
        elif isinstance(batch, tuple | list) and len(batch) == 2:
            return self._placed(batch[0]), batch[1]
        raise InvalidInputError(
            got=f"a batch of type {type(batch).__name__}"
            + (f" with {len(batch)} entries" if hasattr(batch, "__len__") else ""),
            expected="(inputs, labels), or a mapping with labels",
            next_step="let the loader yield pairs",
        )

    def _placed(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._placed(item) for key, item in value.items()}
        if type(value) in (tuple, list):
            return type(value)(self._placed(item) for item in value)
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value)
        if not torch.is_tensor(value):
            return value
        if value.is_floating_point() and self._dtype is not None and value.dtype != self._dtype:
            self.cast = f"inputs were cast from {value.dtype} to {self._dtype}, the model's".replace("torch.", "")
            value = value.to(self._dtype)
        return value.to(self.device, non_blocking=True)


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def run_pass(
    model: nn.Module,
    source: BatchSource,
    consume: Callable[[str, Any, Any, int], None],
    *,
    begin: Callable[[Any, Any, int], None] = lambda inputs, labels, first: None,
    modules: list[str] | None = None,
) -> tuple[int, list[str]]:
    """Run the model over all batches in evaluation mode; every chosen module's output goes to `consume`.

    Where a batch does not fit into memory it is halved, as often as needed, and later batches start at the
    size that fitted. What `consume` took before the failure is not taken again: for the halves of a batch it
    is called only for layers that have not had the whole.

    Args:
        model: torch module.
        source: of batches.
        consume: called with the layer's name, what the module returned, the labels of the same rows and the
            index of the first row; it must use the features before it returns, and change nothing where it
            raises.
        begin: called with the inputs, labels and first index of a batch before the model sees them.
        modules: names of the modules to listen to.

    Returns:
        The number of samples, and notes.

    Raises:
        InvalidInputError: out of memory with a single sample.
    """
    samples, largest, notes = 0, None, []
    labels_now: Any = None
    first_now = 0
    done: set[str] = set()
    seen: set[str] = set()

    def hand_over(name: str, output: Any) -> None:
        if name not in done:
            consume(name, output, labels_now, first_now)
            seen.add(name)

    def attempt(run: Callable[[Any], Any], inputs: Any, labels: Any, first: int, had: frozenset[str]) -> None:
        nonlocal labels_now, first_now, done, seen, largest
        size = batch_size(inputs)
        if largest is not None and size > largest:
            halves(run, inputs, labels, first, had)
            return
        labels_now, first_now, done, seen = labels, first, set(had), set()
        try:
            run(inputs)
            return
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            if size == 1:
                raise InvalidInputError(
                    got=f"out of memory with a single sample ({str(error).splitlines()[0] if str(error) else 'no memory'})",
                    expected="a model and moments that fit into memory",
                    next_step="measure fewer layers at a time (layers=…), or on a device with more memory",
                ) from None
            had = had | frozenset(seen)
        # outside the handler: the traceback would keep the activations alive
        largest = (size + 1) // 2
        notes[:] = [f"a batch did not fit into memory: batches were halved to {largest} samples"]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        halves(run, inputs, labels, first, had)

    def halves(run: Any, inputs: Any, labels: Any, first: int, had: frozenset[str]) -> None:
        size = batch_size(inputs)
        middle = (size + 1) // 2
        attempt(run, rows_of(inputs, slice(0, middle)), labels[:middle], first, had)
        attempt(run, rows_of(inputs, slice(middle, size)), labels[middle:], first + middle, had)

    with evaluating(model), tapped(model, hand_over, modules) as run:
        for inputs, labels in source:
            size = batch_size(inputs)
            if not torch.is_tensor(labels):
                labels = torch.as_tensor(np.asarray(labels))
            if tuple(labels.shape) != (size,):
                raise InvalidInputError(
                    got=f"labels of shape {tuple(labels.shape)} for a batch of {size} samples",
                    expected=f"shape ({size},), one label a sample",
                    next_step="let the loader yield (inputs, labels)",
                )
            begin(inputs, labels, samples)
            attempt(run, inputs, labels, samples, frozenset())
            samples += size
    return samples, notes
