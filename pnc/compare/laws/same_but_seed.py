"""Whether trainings differ by their seed alone, as those must that are averaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pnc.curves import LayerCurve, json_ready

__all__ = ["differing_entry", "differing_field"]

_ABOUT_ORIGIN = ("kind", "split", "mode", "samples", "classes", "class_counts", "classifier")
_ABOUT_LAYERS = ("name", "kind", "shape", "dimension")
_MISSING = object()


def differing_field(curves: Sequence[LayerCurve]) -> str | None:
    """What says that curves are not of one network on data of one kind: its name and both values; else `None`.

    Only what both curves say is held against each other.

    >>> from pnc.curves import Origin
    >>> few, many = (LayerCurve(layers=[0], compression=[1.0], discrimination=[1.0], within_scatter=[1.0],
    ...                         between_scatter=[1.0], origin=Origin(samples=n)) for n in (12, 60000))
    >>> differing_field([few, many])
    'samples: 12 and 60000'
    """
    for other in curves[1:]:
        first = curves[0]
        for name in _ABOUT_ORIGIN:
            one, two = getattr(first.origin, name), getattr(other.origin, name)
            if one is not None and two is not None and one != two:
                return f"{name}: {_shown(one)} and {_shown(two)}"
        for layer, note, its in zip(first.layers.tolist(), first.notes, other.notes):
            for name in _ABOUT_LAYERS:
                one, two = getattr(note, name), getattr(its, name)
                if one is not None and two is not None and one != two:
                    return f"{name} of layer {layer}: {_shown(one)} and {_shown(two)}"
        for name in ("network", "train", "problem"):
            found = differing_entry([first.origin.further.get(name), other.origin.further.get(name)], name=name)
            if found is not None:
                return found
    return None


def differing_entry(records: Sequence[Any], *, name: str) -> str | None:
    """The first entry by which nested records differ, seeds apart: its path and both values; else `None`.

    A record that is `None` says nothing. Entries named `seed` or ending in `_seed` may differ.

    >>> differing_entry([{"loss": "mse", "seed": 0}, {"loss": "cross-entropy", "seed": 1}], name="training")
    'training.loss: mse and cross-entropy'
    """
    known = [json_ready(record) for record in records if record is not None]
    for other in known[1:]:
        for path, one, two in _differences(known[0], other, name):
            return f"{path}: {_shown(one)} and {_shown(two)}"
    return None


def _differences(one: Any, two: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for key in sorted({*one, *two}):
            if not (key == "seed" or str(key).endswith("_seed")):
                yield from _differences(one.get(key, _MISSING), two.get(key, _MISSING), f"{path}.{key}")
    elif one is not two and one != two:
        yield path, one, two


def _shown(value: Any) -> str:
    return "nothing" if value is _MISSING else f"{value}"[:60]
