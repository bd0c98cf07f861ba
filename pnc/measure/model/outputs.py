"""Which tensor of what a module returns is measured, and which of its axes counts the samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

__all__ = ["Place", "find_place", "part_of", "tensors_in", "with_part"]

_DEEPEST = 4


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the features of a module's output are.

    Args:
        part: key or index of an output that is not one tensor, a tuple of them where it is nested; None: it is one.
        axis: the axis that counts the samples.
        shape: of one sample.
        reason: why there are no features; empty where there are.
        others: parts that hold features too.
        ambiguous: axes that were as long as the batch where only one size of batches could be tried.
    """

    part: Any = None
    axis: int = 0
    shape: tuple[int, ...] = ()
    reason: str = ""
    others: tuple[Any, ...] = ()
    ambiguous: tuple[int, ...] = ()


def tensors_in(output: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], torch.Tensor]]:
    """Every tensor of an output with the keys, indices and field names that lead to it, in order.

    >>> [path for path, _ in tensors_in((torch.ones(1), {"h": [torch.ones(1)]}, "text"))]
    [(0,), (1, 'h', 0)]
    """
    if torch.is_tensor(output):
        yield path, output
    elif len(path) >= _DEEPEST or isinstance(output, PackedSequence):
        return
    elif isinstance(output, Mapping):
        for key, item in output.items():
            yield from tensors_in(item, (*path, key))
    elif isinstance(output, tuple | list):
        for i, item in enumerate(output):
            yield from tensors_in(item, (*path, i))
    elif is_dataclass(output) and not isinstance(output, type):
        for each in fields(output):
            yield from tensors_in(getattr(output, each.name, None), (*path, each.name))


def part_of(output: Any, part: Any) -> Any:
    """The entry of an output that a `Place` names; None where it is not there.

    >>> part_of({"h": (1, 2)}, ("h", 1)), part_of((1,), 3)
    (2, None)
    """
    if part is None:
        return output
    for key in part if isinstance(part, tuple) else (part,):
        try:
            output = getattr(output, key) if is_dataclass(output) and not isinstance(output, Mapping) else output[key]
        except (KeyError, IndexError, TypeError, AttributeError):
            return None
    return output


def with_part(output: Any, path: tuple[Any, ...], value: Any) -> Any:
    """An output with another entry in the place that a path of keys leads to, of the same type.

    >>> with_part({"h": (1, 2)}, ("h", 1), 3)
    {'h': (1, 3)}
    """
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(output, Mapping):
        items = {name: with_part(item, rest, value) if name == key else item for name, item in output.items()}
        return type(output)(items)  # type: ignore[call-arg]
    if isinstance(output, tuple | list):
        entries = [with_part(item, rest, value) if i == key else item for i, item in enumerate(output)]
        return type(output)(*entries) if hasattr(output, "_fields") else type(output)(entries)
    return replace(output, **{key: with_part(getattr(output, key), rest, value)})


def find_place(output: Any, samples: int, again: Any = None, again_samples: int | None = None) -> Place:
    """Where the features are, found by what changes with the number of samples.

    Of several tensors the first with real numbers that are not whole is taken: hidden states come before what is kept
    for other uses, and indices are no features.

    Args:
        output: of a module.
        samples: in the batch that it was given.
        again: of the same module, for another number of samples; without it an axis is one of the samples where it is
            as long as the batch.
        again_samples: that number.

    >>> seen = find_place((torch.ones(2, 2, 7), torch.ones(7, 2)), 2, (torch.ones(2, 3, 7), torch.ones(7, 3)), 3)
    >>> seen.part, seen.axis, seen.shape, seen.others
    (0, 1, (2, 7), (1,))
    """
    found = list(tensors_in(output))
    if isinstance(output, PackedSequence):
        return Place(reason="its output is a packed sequence: rows of all samples and times together")
    if not found:
        kind = f"a {type(output).__name__} without a tensor" if _holds(output) else f"of type {type(output).__name__}"
        return Place(reason=f"its output is {kind}" + ("" if _holds(output) else ", not a tensor"))
    others = dict(tensors_in(again)) if again_samples is not None else {}
    places = [_place(path, tensor, samples, others.get(path), again_samples) for path, tensor in found]
    good = [(place, tensor) for place, (_, tensor) in zip(places, found, strict=True) if not place.reason]
    real = [place for place, tensor in good if tensor.is_floating_point() or tensor.is_quantized]
    usable = real or [place for place, _ in good]
    if not usable:
        return places[0]
    first = usable[0]
    return Place(
        part=first.part,
        axis=first.axis,
        shape=first.shape,
        ambiguous=first.ambiguous,
        others=tuple(place.part for place in usable[1:]),
    )


def _holds(output: Any) -> bool:
    return isinstance(output, Mapping | tuple | list) or (is_dataclass(output) and not isinstance(output, type))


def _place(
    path: tuple[Any, ...], tensor: torch.Tensor, samples: int, again: torch.Tensor | None, again_samples: int | None
) -> Place:
    part = None if not path else path[0] if len(path) == 1 else path
    if tensor.is_nested:
        return Place(part=part, reason="its output is a nested tensor: samples of different sizes")
    shape, kind = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
    follow = [axis for axis, length in enumerate(shape) if length == samples]
    unlike: list[int] = []
    if again is not None and again_samples is not None and again.ndim == tensor.ndim:
        pairs = list(enumerate(zip(shape, again.shape, strict=True)))
        follow = [axis for axis, pair in pairs if pair == (samples, again_samples)]
        unlike = [axis for axis, (one, other) in pairs if one != other and axis not in follow]
    several = len(follow) > 1 and again is not None
    if several or unlike:
        grows = f"axes {follow} of it are" if several else f"axis {unlike[0]} of it changes with"
        return Place(
            part=part,
            reason=f"its output has shape {shape} for {samples} samples, {grows} "
            + ("as long as the batch: no row a sample of one size" if several else "the batch: no row a sample"),
        )
    if not follow:
        return Place(part=part, reason=f"its output has shape {shape} for {samples} samples: no row a sample")
    if tensor.numel() == 0:
        return Place(part=part, reason=f"its output has shape {shape}: nothing in it")
    if tensor.is_complex() or tensor.dtype == torch.bool:
        return Place(part=part, reason=f"its output has dtype {kind}: not real numbers")
    axis = follow[0]
    return Place(
        part=part,
        axis=axis,
        shape=(*shape[:axis], *shape[axis + 1 :]),
        ambiguous=tuple(follow) if len(follow) > 1 else (),
    )
