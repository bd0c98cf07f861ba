"""Too little memory: as an error, and before it comes to that, by measuring some layers after the others."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.running import FEW_CLASSES
from pnc.memory import available_memory

__all__ = ["bytes_needed", "free_memory", "groups_within", "out_of_memory"]

_SHARE = 0.5  # of what is free; the model, its activations and other programs need some too
_MEANS, _MEANS_OF_MANY, _FUZZINESS, _PROBES = 16, 8, 8, 24  # bytes for each entry of the class means


def out_of_memory(error: BaseException) -> bool:
    """Too little memory, on a device or on the CPU, whose allocator raises a RuntimeError of no class of its own.

    >>> out_of_memory(MemoryError()), out_of_memory(RuntimeError("shapes differ"))
    (True, False)
    """
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def bytes_needed(
    classes: int, dimension: int, *, fuzziness: bool, probes: bool, spectra: tuple[int, int] | None
) -> int:
    """What a layer of so many entries takes to be measured, beyond the model's own memory, in bytes.

    Class means and sums for K × d entries, their whitening, probes, and the factor of the spectrum.

    >>> bytes_needed(1000, 802_816, fuzziness=False, probes=False, spectra=None) / 2**30
    11.96...
    """
    second = 8 + _FUZZINESS * fuzziness + _PROBES * probes
    first = _MEANS if classes <= FEW_CLASSES else _MEANS_OF_MANY
    means = classes * dimension * max(first, second)
    if spectra is None:
        return means
    width, sketch = spectra
    return means + 24 * dimension * (dimension if dimension <= width else min(sketch, dimension))


def free_memory(device: torch.device) -> int | None:
    """What is free on a device, in bytes; None where it is not known."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return available_memory() if device.type == "cpu" else None


def groups_within(needed: Mapping[str, int], free: int | None, *, largest: int = 0) -> list[list[str]]:
    """Layers in groups that fit into half of the free memory, in their order.

    Args:
        needed: name → bytes.
        free: bytes; None: all in one group.
        largest: bytes that one layer takes for a moment besides.

    Raises:
        InvalidInputError: a layer that does not fit by itself.

    >>> groups_within({"a": 3, "b": 4, "c": 5}, 16), groups_within({"a": 3, "b": 4, "c": 5}, None)
    ([['a', 'b'], ['c']], [['a', 'b', 'c']])
    """
    if free is None:
        return [list(needed)]
    room = free * _SHARE - largest
    groups: list[list[str]] = []
    filled = 0
    for name, size in needed.items():
        if size > room:
            raise InvalidInputError(
                got=f"layer {name}, whose class means and what goes with them take {_gigabytes(size + largest)}",
                expected=f"at most half of the {_gigabytes(free)} that are free",
                next_step='average positions (`pool` "mean"), name other `layers`, or use a machine with more memory',
            )
        if not groups or filled + size > room:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += size
    return groups


def _gigabytes(size: float) -> str:
    return f"{size / 2**30:.3g} GiB"
