"""What a measurement notes of each layer, read from a curve's provenance, which may come from any file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError

__all__ = ["noted_counts", "noted_numbers", "noted_pairs", "noted_stable_ranks", "noted_words"]


def _refuse(name: str, value: Any) -> InvalidInputError:
    return InvalidInputError(
        got=f"{value!r:.60} in the provenance's {name}",
        expected="what a measurement writes there",
        next_step="measure the network again with `pnc train` or `pnc measure`",
    )


def _number(name: str, value: Any) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise _refuse(name, value)


def _column(curve: LayerCurve, name: str) -> list[Any]:
    """One entry a layer; `None` everywhere where there is no such list."""
    values = curve.provenance.get(name)
    known = isinstance(values, list | tuple) and len(values) == len(curve)
    return list(values) if known else [None] * len(curve)


def noted_numbers(curve: LayerCurve, name: str) -> list[float | None]:
    """A number a layer, or `None`.

    Raises:
        InvalidInputError: an entry that is neither.

    >>> curve = LayerCurve(layers=[0, 1], compression=[1, 1], discrimination=[1, 1], within_scatter=[1, 1],
    ...                    between_scatter=[1, 1], provenance={"mean_square": [2.0, None]})
    >>> noted_numbers(curve, "mean_square"), noted_numbers(curve, "dimensions")
    ([2.0, None], [None, None])
    """
    return [_number(name, value) for value in _column(curve, name)]


def noted_pairs(curve: LayerCurve, name: str) -> list[tuple[float, float] | None]:
    """Two numbers a layer, or `None`.

    Raises:
        InvalidInputError: an entry that is neither.
    """
    found: list[tuple[float, float] | None] = []
    for value in _column(curve, name):
        if value is not None and not (isinstance(value, list | tuple) and len(value) == 2):
            raise _refuse(name, value)
        ends = None if value is None else tuple(_number(name, end) for end in value)
        found.append(None if ends is None or None in ends else ends)
    return found


def noted_words(curve: LayerCurve, name: str) -> list[str | None]:
    """A word a layer, or `None`.

    Raises:
        InvalidInputError: an entry that is neither.
    """
    found = _column(curve, name)
    for value in found:
        if not (value is None or isinstance(value, str)):
            raise _refuse(name, value)
    return found


def noted_stable_ranks(curve: LayerCurve) -> list[float | None]:
    """The least stable rank of the centred features that the spectrum allows, a layer each, or `None`.

    Raises:
        InvalidInputError: ranks of another form.
    """
    found: list[float | None] = []
    for value in _column(curve, "ranks"):
        centred = value.get("centred") if isinstance(value, Mapping) else None
        if value is not None and not isinstance(centred, Mapping):
            raise _refuse("ranks", value)
        stable = None if centred is None else centred.get("stable_rank")
        if isinstance(stable, list | tuple) and stable:
            stable = stable[0]
        found.append(_number("ranks", stable))
    return found


def noted_counts(curve: LayerCurve) -> list[float] | None:
    """The class sizes as far as they are known: each, or N/K for all; `None` where neither is.

    Raises:
        InvalidInputError: sizes that are no numbers.
    """
    known = curve.provenance
    counts = known.get("class_counts")
    if counts:
        if not isinstance(counts, list | tuple):
            raise _refuse("class_counts", counts)
        return [_number("class_counts", count) for count in counts]
    samples, classes = (_number(name, known.get(name)) for name in ("samples", "classes"))
    return [samples / classes] if samples and classes else None
