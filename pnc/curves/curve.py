"""`LayerCurve`: what theory predicts and what measurement returns, layer by layer."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from pnc.curves.class_table import ClassTable
from pnc.curves.json_ready import json_ready
from pnc.curves.notes import LayerNotes, layer_columns, read_layer_notes
from pnc.curves.origin import Origin, read_origin
from pnc.curves.shown import Shown
from pnc.curves.units import NUMBERS_OF_LAYERS, described
from pnc.errors import InvalidInputError

if TYPE_CHECKING:
    import xarray

__all__ = ["FIELDS", "LayerCurve"]

FIELDS = ("compression", "discrimination", "within_scatter", "between_scatter", "separation_fuzziness")

_ROUNDING = 1e-6  # of what other programs wrote in single precision
_WRITE_IT = "write it with `pnc predict --json`, `pnc simulate --json` or `pnc measure --json`"


@dataclass(frozen=True, kw_only=True, init=False, eq=False)
class LayerCurve(Shown):
    """One number a layer, for each of the quantities that the theory speaks of.

    Args:
        layers: (n_layers,) layer indices, increasing; 0 is the input.
        compression: (n_layers,) C_l = tr Σ_W / tr Σ_B, dimensionless; NaN where tr Σ_B = 0.
        discrimination: (n_layers,) D_l = 1 - max_{k≠k'} cos(μ_k, μ_k'), means not centred; NaN where a mean
            is zero.
        within_scatter: (n_layers,) tr Σ_W, squared feature norm.
        between_scatter: (n_layers,) tr Σ_B, squared feature norm.
        separation_fuzziness: (n_layers,) tr(Σ_W Σ_B⁺), dimensionless; NaN where not computed.
        notes: what is known of each layer beside; one a layer, or none at all.
        origin: where the numbers come from, as far as it concerns all layers.
        provenance: notes and origin as one mapping, in the form that they have in JSON; instead of the two.

    Raises:
        InvalidInputError: arrays of different lengths, layers that do not increase, a provenance that nothing writes.

    >>> curve = LayerCurve(layers=[0, 1], compression=[2.0, 0.5], discrimination=[0.1, 0.6],
    ...                    within_scatter=[1.0, 0.5], between_scatter=[0.5, 1.0],
    ...                    notes=[LayerNotes(name="input"), LayerNotes(name="fc")], origin=Origin(samples=60))
    >>> LayerCurve.from_json(curve.to_json()) == curve
    True
    >>> curve.notes[1].name, curve.origin.samples
    ('fc', 60)
    """

    layers: Int[np.ndarray, " n_layers"]
    compression: Float[np.ndarray, " n_layers"]
    discrimination: Float[np.ndarray, " n_layers"]
    within_scatter: Float[np.ndarray, " n_layers"]
    between_scatter: Float[np.ndarray, " n_layers"]
    separation_fuzziness: Float[np.ndarray, " n_layers"]
    notes: tuple[LayerNotes, ...]
    origin: Origin

    def __init__(
        self,
        *,
        layers: ArrayLike | Iterable[int],
        compression: ArrayLike,
        discrimination: ArrayLike,
        within_scatter: ArrayLike,
        between_scatter: ArrayLike,
        separation_fuzziness: ArrayLike | None = None,
        notes: Sequence[LayerNotes] = (),
        origin: Origin | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        values = dict(zip(FIELDS, (compression, discrimination, within_scatter, between_scatter, separation_fuzziness)))
        layers = np.asarray(layers)
        if layers.size and layers.dtype.kind not in "iu":  # a cast would make 1.5 layer 1
            raise InvalidInputError(
                got=f"layers {layers.tolist()}",
                expected="layer indices, whole numbers",
                next_step="number the layers from 0",
            )
        layers = layers.astype(np.int64)
        object.__setattr__(self, "layers", layers)
        if layers.ndim != 1 or layers.size == 0 or np.any(np.diff(layers) <= 0):
            raise InvalidInputError(
                got=f"layers {layers.tolist()}",
                expected="at least one layer index, increasing",
                next_step="sort the layers and drop repeated ones",
            )
        for name, given in values.items():
            value = np.full(layers.shape, np.nan) if given is None else np.asarray(given, dtype=np.float64)
            if value.shape != layers.shape:
                raise InvalidInputError(
                    got=f"{name} of shape {value.shape} for {layers.size} layers",
                    expected=f"shape ({layers.size},)",
                    next_step="give one number a layer",
                )
            object.__setattr__(self, name, value)
        if provenance is not None:
            notes, rest = read_layer_notes(provenance, layers.size)
            origin = read_origin(rest)
        notes = tuple(notes) or (LayerNotes(),) * layers.size
        if len(notes) != layers.size:
            raise InvalidInputError(
                got=f"notes of {len(notes)} layers for {layers.size} layers",
                expected="notes of every layer, or none",
                next_step="give one LayerNotes a layer",
            )
        object.__setattr__(self, "notes", notes)
        object.__setattr__(self, "origin", origin or Origin())

    @property
    def classes(self) -> tuple[ClassTable | None, ...]:
        """Of every layer what each class contributes, where that was measured (`per_class`)."""
        return tuple(note.class_table for note in self.notes)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Notes and origin as one mapping, in the form that they have in JSON: lists of one entry a layer, and facts.

        Read `notes` and `origin` instead; this view stays for one release.
        """
        return MappingProxyType({**self.origin.to_dict(), **layer_columns(self.notes)})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LayerCurve):
            return NotImplemented
        return (
            np.array_equal(self.layers, other.layers)
            and all(np.array_equal(getattr(self, f), getattr(other, f), equal_nan=True) for f in FIELDS)
            and json_ready(self.provenance) == json_ready(other.provenance)
        )

    def __repr__(self) -> str:
        """The sizes, and where C and D begin and end.

        >>> LayerCurve(layers=[0, 1], compression=[2.0, 0.5], discrimination=[0.1, 0.6], within_scatter=[1.0, 0.5],
        ...            between_scatter=[0.5, 1.0])
        LayerCurve(layers 0…1, C 2 → 0.5, D 0.1 → 0.6)
        """
        facts = {"split": self.origin.split, "N": self.origin.samples, "K": self.origin.classes}
        told = [str(value) if name == "split" else f"{name} = {value}" for name, value in facts.items() if value]
        ends = [
            f"{symbol} {float(values[0]):.4g} → {float(values[-1]):.4g}"
            for symbol, values in (("C", self.compression), ("D", self.discrimination))
        ]
        return f"LayerCurve({', '.join([f'layers {self.layers[0]}…{self.layers[-1]}', *told, *ends])})"

    def __len__(self) -> int:
        return self.layers.size

    def at(self, layers: Iterable[int]) -> LayerCurve:
        """The curve at some of its layers, in increasing order.

        Raises:
            InvalidInputError: a layer that the curve does not have.
        """
        wanted = np.unique(np.fromiter(layers, dtype=np.int64))
        missing = np.setdiff1d(wanted, self.layers)
        if missing.size:
            raise InvalidInputError(
                got=f"layers {missing.tolist()}",
                expected=f"layers among {self.layers.tolist()}",
                next_step="choose layers that the curve has",
            )
        index = np.searchsorted(self.layers, wanted)
        return replace(
            self,
            layers=wanted,
            notes=tuple(self.notes[i] for i in index),
            **{name: getattr(self, name)[index] for name in FIELDS},
        )

    def to_dict(self) -> dict[str, Any]:
        """The fields that other tools may rely on, as plain lists; undefined numbers are `None`."""
        return json_ready(
            {"layers": self.layers, **{f: getattr(self, f) for f in FIELDS}, "provenance": self.provenance}
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LayerCurve:
        """The inverse of `to_dict`; further keys are ignored.

        Raises:
            InvalidInputError: a required field is missing or null, is not a list of numbers, or holds numbers that
                no features have (a negative scatter, a cosine above 1).
        """
        required = ("layers", *FIELDS[:4])
        missing = [name for name in required if data.get(name) is None]
        if missing:
            raise InvalidInputError(
                got=f"an object without {', '.join(missing)}",
                expected=f"the fields {', '.join(required)}",
                next_step=_WRITE_IT,
            )
        try:
            layers = np.array(data["layers"])
            numbers = {
                # the quotient refuses strings, which `float` would read
                name: np.array([np.nan if v is None else v / 1 for v in data[name]], dtype=np.float64)
                for name in FIELDS
                if data.get(name) is not None
            }
            provenance = dict(data.get("provenance") or {})
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInputError(
                got=f"a field that is not a list of numbers ({error})",
                expected="lists of numbers and nulls",
                next_step=_WRITE_IT,
            ) from error
        for name, values in numbers.items():
            most = 2 if name == "discrimination" else math.inf
            wrong = values[(values < -_ROUNDING) | (values > most + _ROUNDING)]
            if wrong.size:
                raise InvalidInputError(
                    got=f"{name} = {wrong[0]}",
                    expected="numbers from 0 to 2" if name == "discrimination" else "numbers that are not negative",
                    next_step=_WRITE_IT,
                )
        return cls(
            layers=layers,
            compression=numbers["compression"],
            discrimination=numbers["discrimination"],
            within_scatter=numbers["within_scatter"],
            between_scatter=numbers["between_scatter"],
            separation_fuzziness=numbers.get("separation_fuzziness"),
            provenance=provenance,
        )

    def to_json(self) -> str:
        """One JSON object with sorted keys."""
        return json.dumps(self.to_dict(), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> LayerCurve:
        """The inverse of `to_json`.

        Raises:
            InvalidInputError: not JSON, not an object, or a field is missing.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(
                got=f"text that is not JSON ({error})",
                expected="one JSON object",
                next_step=_WRITE_IT,
            ) from error
        if not isinstance(data, dict):
            raise InvalidInputError(
                got=f"a JSON {type(data).__name__}",
                expected="one JSON object",
                next_step=_WRITE_IT,
            )
        return cls.from_dict(data)

    def to_csv(self, path: str | Path | None = None) -> str:
        """A header and one row a layer; written to `path` where one is given. Undefined numbers are empty.

        Names of layers and standard errors stand in further columns where they are known.
        """
        known = [name for name in CSV_NOTES if any(getattr(note, name) is not None for note in self.notes)]
        lines = [_csv_line(["layer", *FIELDS, *known])]
        for i, layer in enumerate(self.layers.tolist()):
            row = [getattr(self, name)[i].item() for name in FIELDS]
            row += [getattr(self.notes[i], name) for name in known]
            lines.append(_csv_line([layer, *map(_csv_cell, row)]))
        text = "".join(lines)
        if path is not None:
            Path(path).write_bytes(text.encode("utf-8"))
        return text

    def to_dataset(self) -> xarray.Dataset:
        """An `xarray.Dataset` with dimension `layer`; every variable and coordinate has `long_name` and `units`.

        The five quantities, and of each layer's notes every number that was measured; the names of the layers are a
        coordinate, the provenance an attribute (as JSON).

        >>> LayerCurve(layers=[0, 1], compression=[2.0, 0.5], discrimination=[0.1, 0.6], within_scatter=[1.0, 0.5],
        ...            between_scatter=[0.5, 1.0]).to_dataset()["within_scatter"].attrs["units"]
        'squared feature norm'
        """
        import xarray

        coordinates: dict[str, Any] = {"layer": ("layer", self.layers, described("layer"))}
        if any(note.name is not None for note in self.notes):
            names = np.array([note.name or "" for note in self.notes])
            coordinates["name"] = ("layer", names, described("name"))
        values: dict[str, Any] = {name: ("layer", getattr(self, name), described(name)) for name in FIELDS}
        for name in NUMBERS_OF_LAYERS:
            column = [getattr(note, name) for note in self.notes]
            if any(value is not None for value in column):
                numbers = np.array([np.nan if value is None else value for value in column], dtype=np.float64)
                values[name] = ("layer", numbers, described(name))
        return xarray.Dataset(
            values, coords=coordinates, attrs={"provenance": json.dumps(json_ready(self.provenance), sort_keys=True)}
        )


CSV_NOTES = ("name", "compression_error", "discrimination_error")
"""Of a layer's notes: what a CSV has where it is known."""


def _csv_line(row: Sequence[str | int]) -> str:
    """One row; a name with either half of a line end in it is quoted."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(row)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _csv_cell(value: float | str | None) -> str:
    if isinstance(value, str):
        return value
    return repr(float(value)) if value is not None and math.isfinite(value) else ""
