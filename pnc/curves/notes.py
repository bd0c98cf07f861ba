"""`LayerNotes`: what is known of one layer beside the five quantities of the curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from pnc.curves.class_table import ClassTable
from pnc.curves.reading import (
    read_bool,
    read_list,
    read_mapping,
    read_number,
    read_numbers,
    read_pair,
    read_whole,
    read_word,
    unreadable,
)

__all__ = ["LayerNotes", "LayerRanks", "Ranks", "SpectrumError", "layer_columns", "read_layer_notes"]


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Ranks of features under five definitions; of a sketched spectrum each is known by its least and its most.

    Args:
        numerical_rank: least number of singular values that hold 95 % of their sum (the paper's).
        variance_rank: least number that hold 95 % of the sum of squares.
        stable_rank: ‖Z‖_F²/‖Z‖₂².
        effective_rank: exponential of the entropy of σ/Σσ; NaN where the spectrum is not exact.
        threshold_rank: how many are above 0.001 of the largest.
    """

    numerical_rank: tuple[float, float]
    variance_rank: tuple[float, float]
    stable_rank: tuple[float, float]
    effective_rank: float
    threshold_rank: tuple[float, float]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ranks:
        """Of numbers, and [least, most] where a rank is only bounded; what is missing is NaN."""
        bounds = {
            name: read_pair(f"ranks, {name}", data.get(name))
            for name in ("numerical_rank", "variance_rank", "stable_rank", "threshold_rank")
        }
        return cls(effective_rank=read_number("ranks, effective_rank", data.get("effective_rank")), **bounds)

    def to_dict(self) -> dict[str, float | list[float]]:
        """A number where least and most are one, `[least, most]` elsewhere."""
        return {name: _settled(value) for name, value in vars(self).items()}


def _settled(value: float | tuple[float, float]) -> float | list[float]:
    if not isinstance(value, tuple):
        return value
    low, high = value
    return low if low == high or (math.isnan(low) and math.isnan(high)) else [low, high]


@dataclass(frozen=True, kw_only=True)
class LayerRanks:
    """Ranks of a layer's features as they are, and about their mean."""

    uncentred: Ranks
    centred: Ranks

    def to_dict(self) -> dict[str, Any]:
        return {"uncentred": self.uncentred.to_dict(), "centred": self.centred.to_dict()}


@dataclass(frozen=True, kw_only=True)
class SpectrumError:
    """How far off the singular values of a layer can be (see `pnc.measure.Spectrum`).

    Args:
        exact: whether nothing was left out.
        squared_error: bound on the spectral norm of what was left out, squared feature norm.
        missing: its trace, squared feature norm.
        rounding: by how much squares of singular values may be off for rounding, squared feature norm; 0: as little as
            float64 allows.
    """

    exact: bool
    squared_error: float
    missing: float
    rounding: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerNotes:
    """What a measurement knows of one layer. `None`: not measured; NaN: measured, and undefined.

    Args:
        name: of the module.
        kind: `input`, or the class of the module.
        shape: of one sample's output.
        dtype: in which the features were computed.
        dimension: d_l, entries of a sample.
        noise_floor: C_l below which rounding is measured.
        between_rank: directions between class means.
        class_distance_normalised_variance: mean over pairs of (Var_k + Var_k')/(2 ‖μ_k - μ_k'‖²), dimensionless.
        smallest_separation: min_{k≠k'} ‖μ_k - μ_k'‖², squared feature norm, as the four below.
        projected_separation: the bracket of U4, min_{k≠k'} [‖μ_k - μ_k'‖² - tr Σ_W (1/p_k + 1/p_k')].
        smallest_mean_square: min_k ‖μ_k‖².
        mean_square: Σ_k p_k ‖μ_k‖².
        largest_mean_square: max_k ‖μ_k‖².
        closest_classes: the two classes whose means have the largest cosine: D is this pair.
        class_table: the layer class by class.
        ranks: of the features as they are and centred.
        singular_values: (r,) of the features as they are, decreasing, feature norm.
        singular_values_centred: (s,) of centred features.
        spectrum_error: how far off both can be.
        leading_variance: least and most share of the variance in the top K-1 principal components.
        nearest_centre_accuracy: of the samples that the centres were taken from.
        linear_probe_accuracy: of the samples that the probe was fitted to.
        projected_centre_accuracy: by the nearest centre after projection to the top K-1 principal components (U4).
        held_out_nearest_centre_accuracy: of samples that the centres have not seen; likewise the two below.
        held_out_linear_probe_accuracy: likewise.
        held_out_projected_centre_accuracy: likewise.
        compression_error: standard error of C_l from sampling.
        compression_bias: expected C_l less that of infinitely many samples.
        discrimination_error: standard error of D_l.
    """

    name: str | None = None
    kind: str | None = None
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    dimension: int | None = None
    noise_floor: float | None = None
    between_rank: int | None = None
    class_distance_normalised_variance: float | None = None
    smallest_separation: float | None = None
    projected_separation: float | None = None
    smallest_mean_square: float | None = None
    mean_square: float | None = None
    largest_mean_square: float | None = None
    closest_classes: tuple[int, int] | None = None
    class_table: ClassTable | None = None
    ranks: LayerRanks | None = None
    singular_values: Float[np.ndarray, " r"] | None = None
    singular_values_centred: Float[np.ndarray, " s"] | None = None
    spectrum_error: SpectrumError | None = None
    leading_variance: tuple[float, float] | None = None
    nearest_centre_accuracy: float | None = None
    linear_probe_accuracy: float | None = None
    projected_centre_accuracy: float | None = None
    held_out_nearest_centre_accuracy: float | None = None
    held_out_linear_probe_accuracy: float | None = None
    held_out_projected_centre_accuracy: float | None = None
    compression_error: float | None = None
    compression_bias: float | None = None
    discrimination_error: float | None = None


_KEYS = {"name": "names", "kind": "kinds", "shape": "shapes", "dimension": "dimensions"}
"""Field → name of the list in the JSON, where that is another."""

_MEASURED = ("dtype", "dimension", "noise_floor", "between_rank")
"""What every measured curve has in its JSON, null where it is not known."""


def _optional(read: Callable[[str, object], Any], name: str, value: object) -> Any:
    return None if value is None else read(name, value)


def _shape(name: str, value: object) -> tuple[int, ...]:
    return read_list(name, value, read_whole)


def _pair(name: str, value: object) -> tuple[int, ...]:
    pair = _shape(name, value)
    if len(pair) != 2:
        raise unreadable(name, value, "two classes")
    return pair


def _ranks(name: str, value: object) -> LayerRanks:
    data = read_mapping(name, value)
    return LayerRanks(
        uncentred=Ranks.from_dict(read_mapping(name, data.get("uncentred", {}))),
        centred=Ranks.from_dict(read_mapping(name, data.get("centred"))),
    )


def _error(name: str, value: object) -> SpectrumError:
    data = read_mapping(name, value)
    numbers = {part: read_number(f"{name}, {part}", data.get(part)) for part in ("squared_error", "missing")}
    numbers["rounding"] = read_number(f"{name}, rounding", data.get("rounding", 0.0))
    return SpectrumError(exact=read_bool(f"{name}, exact", data.get("exact", numbers["missing"] == 0)), **numbers)


_READERS: Mapping[str, Callable[[str, object], Any]] = {
    **{field.name: read_number for field in fields(LayerNotes)},
    **{name: partial(_optional, read_word) for name in ("name", "kind", "dtype")},
    **{name: partial(_optional, read_whole) for name in ("dimension", "between_rank")},
    "shape": partial(_optional, _shape),
    "closest_classes": partial(_optional, _pair),
    "class_table": partial(_optional, ClassTable.from_dict),
    "ranks": partial(_optional, _ranks),
    "singular_values": partial(_optional, read_numbers),
    "singular_values_centred": partial(_optional, read_numbers),
    "spectrum_error": partial(_optional, _error),
    "leading_variance": partial(_optional, read_pair),
}


def read_layer_notes(provenance: Mapping[str, Any], layers: int) -> tuple[tuple[LayerNotes, ...], Mapping[str, Any]]:
    """The notes of so many layers from the lists of a provenance, and what else it says.

    Raises:
        InvalidInputError: a list of another length, or an entry that no measurement writes.

    >>> notes, rest = read_layer_notes({"names": ["input", "fc"], "samples": 4}, 2)
    >>> notes[1].name, rest
    ('fc', {'samples': 4})
    """
    columns: dict[str, tuple[Any, ...]] = {}
    rest = dict(provenance)
    for name, read in _READERS.items():
        key = _KEYS.get(name, name)
        if rest.get(key) is None or (name == "dtype" and isinstance(rest[key], str)):  # one for all is the origin's
            continue
        columns[name] = read_list(key, rest.pop(key), lambda key, value, read=read: read(key, value))
        if len(columns[name]) != layers:
            raise unreadable(key, provenance[key], f"one entry for each of {layers} layers")
    rows = zip(*columns.values(), strict=True) if columns else ((),) * layers
    return tuple(LayerNotes(**dict(zip(columns, row, strict=True))) for row in rows), rest


def layer_columns(notes: Sequence[LayerNotes]) -> dict[str, list[Any]]:
    """The inverse of `read_layer_notes`: a list for each thing that is known of any layer.

    >>> layer_columns([LayerNotes(name="input"), LayerNotes(name="fc")])
    {'names': ['input', 'fc']}
    """
    measured = any(note.dtype is not None for note in notes)
    columns: dict[str, list[Any]] = {}
    for name in _READERS:
        values = [getattr(note, name) for note in notes]
        if all(value is None for value in values) and not (measured and name in _MEASURED):
            continue
        columns[_KEYS.get(name, name)] = [_plain(value) for value in values]
    return columns


def _plain(value: Any) -> Any:
    if isinstance(value, ClassTable | LayerRanks | SpectrumError):
        return value.to_dict()
    return list(value) if isinstance(value, tuple) else value
