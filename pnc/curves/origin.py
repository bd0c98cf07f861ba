"""`Origin`: where a curve comes from, as far as it concerns all of its layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pnc.curves.reading import read_bool, read_list, read_mapping, read_whole, read_word

__all__ = ["Origin", "read_origin"]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What is known of a curve as a whole; `None`: not said.

    Args:
        source: how the numbers were obtained, in words.
        kind: `theory` for a prediction, `simulation` for a trained deep linear network.
        split: `train` or `test`.
        device: on which the features were measured.
        dtype: of all layers, where it is one; otherwise each layer's notes say it.
        mode: in which a model was run.
        samples: N.
        classes: K.
        class_counts: samples of each class.
        processes: that measured together.
        classifier: the last layer's name, where it is the network's output and no feature.
        skipped: modules that were not measured → why.
        converged: whether training had reached its minimum.
        error_samples: samples that standard errors were taken from.
        statement: of the theory, that a prediction is taken from.
        reason: why that one.
        not_applicable: statement → why it says nothing of these data.
        remarks: what a reader of the numbers should know; `notes` in the JSON.
        further: everything else that is to be said, by its name in the JSON.
    """

    source: str | None = None
    kind: str | None = None
    split: str | None = None
    device: str | None = None
    dtype: str | None = None
    mode: str | None = None
    samples: int | None = None
    classes: int | None = None
    class_counts: tuple[int, ...] | None = None
    processes: int | None = None
    classifier: str | None = None
    skipped: Mapping[str, str] | None = None
    converged: bool | None = None
    error_samples: int | None = None
    statement: str | None = None
    reason: str | None = None
    not_applicable: Mapping[str, str] | None = None
    remarks: tuple[str, ...] = ()
    further: Mapping[str, Any] = field(default_factory=dict)

    def with_further(self, **facts: Any) -> Origin:
        """The same with more that is to be said.

        >>> Origin(source="a file").with_further(file="f.npz").to_dict()
        {'source': 'a file', 'file': 'f.npz'}
        """
        return replace(self, further={**self.further, **facts})

    @property
    def samples_per_class(self) -> tuple[float, ...] | None:
        """The class sizes as far as they are known: each, or N/K for all; `None` where neither is.

        >>> Origin(samples=30, classes=3).samples_per_class
        (10.0,)
        """
        if self.class_counts:
            return tuple(float(count) for count in self.class_counts)
        return (self.samples / self.classes,) if self.samples and self.classes else None

    def to_dict(self) -> dict[str, Any]:
        """What is said, by its name in the JSON."""
        said: dict[str, Any] = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name not in ("remarks", "further") and getattr(self, item.name) is not None
        }
        if self.class_counts is not None:
            said["class_counts"] = list(self.class_counts)
        said |= {name: dict(said[name]) for name in ("skipped", "not_applicable") if name in said}
        if self.mode is not None:  # of a model that was run: neither is left open
            said.setdefault("split", None)
            said.setdefault("classifier", None)
        if self.remarks or self.device is not None:
            said["notes"] = list(self.remarks)
        return {**said, **self.further}


def _words(name: str, value: object) -> tuple[str, ...]:
    return read_list(name, value, read_word)


def _counts(name: str, value: object) -> tuple[int, ...]:
    return read_list(name, value, read_whole)


def _reasons(name: str, value: object) -> Mapping[str, str]:
    return {str(key): read_word(name, reason) for key, reason in read_mapping(name, value).items()}


_WORDS = ("source", "kind", "split", "device", "dtype", "mode", "classifier", "statement", "reason")

_READERS: Mapping[str, Callable[[str, object], Any]] = {
    **dict.fromkeys(_WORDS, read_word),
    **dict.fromkeys(("samples", "classes", "processes", "error_samples"), read_whole),
    "class_counts": _counts,
    "skipped": _reasons,
    "not_applicable": _reasons,
    "converged": read_bool,
    "notes": _words,
}


def read_origin(provenance: Mapping[str, Any]) -> Origin:
    """The inverse of `Origin.to_dict`.

    Raises:
        InvalidInputError: an entry that neither a measurement nor a prediction writes.
    """
    rest = dict(provenance)
    known = {}
    for key, read in _READERS.items():
        value = rest.pop(key, None)
        if value is not None:
            known["remarks" if key == "notes" else key] = read(key, value)
    return Origin(further=rest, **known)
