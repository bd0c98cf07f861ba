"""`LayerCurve`: what theory predicts and what measurement returns, layer by layer."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.errors import InvalidInputError

if TYPE_CHECKING:
    import xarray

__all__ = ["FIELDS", "LayerCurve", "json_ready"]

FIELDS = ("compression", "discrimination", "within_scatter", "between_scatter", "separation_fuzziness")

# what a measurement notes of each layer
_LAYERWISE = {
    "between_rank",
    "class_distance_normalised_variance",
    "compression_bias",
    "compression_error",
    "dimensions",
    "discrimination_error",
    "dtype",
    "held_out_linear_probe_accuracy",
    "held_out_nearest_centre_accuracy",
    "held_out_projected_centre_accuracy",
    "kinds",
    "largest_mean_square",
    "leading_variance",
    "linear_probe_accuracy",
    "mean_square",
    "names",
    "nearest_centre_accuracy",
    "noise_floor",
    "projected_centre_accuracy",
    "projected_separation",
    "ranks",
    "shapes",
    "singular_values",
    "smallest_mean_square",
    "smallest_separation",
    "spectrum_error",
}

_WRITE_IT = "write it with `pnc predict --json`, `pnc simulate --json` or `pnc measure --json`"


def json_ready(value: Any) -> Any:
    """`value` with arrays as lists and every number that JSON lacks (NaN, ±∞) as `None`.

    >>> json_ready({"a": np.array([1.0, np.nan])})
    {'a': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return json_ready(value.tolist())
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if isinstance(value, np.generic):
        return json_ready(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@dataclass(frozen=True, kw_only=True)
class LayerCurve:
    """One number a layer, for each of the quantities that the theory speaks of.

    Args:
        layers: (n_layers,) layer indices, increasing; 0 is the input.
        compression: (n_layers,) C_l = tr Σ_W / tr Σ_B, dimensionless; NaN where tr Σ_B = 0.
        discrimination: (n_layers,) D_l = 1 - max_{k≠k'} cos(μ_k, μ_k'), means not centred; NaN where a mean
            is zero.
        within_scatter: (n_layers,) tr Σ_W, squared feature norm.
        between_scatter: (n_layers,) tr Σ_B, squared feature norm.
        separation_fuzziness: (n_layers,) tr(Σ_W Σ_B⁺), dimensionless; NaN where not computed.
        provenance: where the numbers come from: statement or dtype, device, sample count, noise floor, seeds.

    Raises:
        InvalidInputError: arrays of different lengths, or layers that do not increase.

    >>> curve = LayerCurve(layers=[0, 1], compression=[2.0, 0.5], discrimination=[0.1, 0.6],
    ...                    within_scatter=[1.0, 0.5], between_scatter=[0.5, 1.0])
    >>> LayerCurve.from_json(curve.to_json()) == curve
    True
    """

    layers: np.ndarray
    compression: np.ndarray
    discrimination: np.ndarray
    within_scatter: np.ndarray
    between_scatter: np.ndarray
    separation_fuzziness: np.ndarray = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        layers = np.asarray(self.layers)
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
        for name in FIELDS:
            value = getattr(self, name)
            value = np.full(layers.shape, np.nan) if value is None else np.asarray(value, dtype=np.float64)
            if value.shape != layers.shape:
                raise InvalidInputError(
                    got=f"{name} of shape {value.shape} for {layers.size} layers",
                    expected=f"shape ({layers.size},)",
                    next_step="give one number a layer",
                )
            object.__setattr__(self, name, value)
        object.__setattr__(self, "provenance", dict(self.provenance))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LayerCurve):
            return NotImplemented
        return (
            np.array_equal(self.layers, other.layers)
            and all(np.array_equal(getattr(self, f), getattr(other, f), equal_nan=True) for f in FIELDS)
            and json_ready(self.provenance) == json_ready(other.provenance)
        )

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
        provenance = dict(self.provenance)
        for name in _LAYERWISE & provenance.keys():
            values = provenance[name]
            if isinstance(values, list | tuple | np.ndarray) and len(values) == len(self):
                provenance[name] = [values[i] for i in index]
        return LayerCurve(
            layers=wanted,
            provenance=provenance,
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
            InvalidInputError: a required field is missing or null, or is not a list of numbers.
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
        return cls(layers=layers, provenance=provenance, **numbers)

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
        except json.JSONDecodeError as error:
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
        """A header and one row a layer; written to `path` where one is given. Undefined numbers are empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["layer", *FIELDS])
        for i, layer in enumerate(self.layers.tolist()):
            row = [getattr(self, name)[i].item() for name in FIELDS]
            writer.writerow([layer, *(repr(v) if math.isfinite(v) else "" for v in row)])
        if path is not None:
            Path(path).write_text(text.getvalue(), encoding="utf-8")
        return text.getvalue()

    def to_dataset(self) -> xarray.Dataset:
        """An `xarray.Dataset` with dimension `layer`; the provenance becomes its attributes (as JSON)."""
        import xarray

        return xarray.Dataset(
            {name: ("layer", getattr(self, name)) for name in FIELDS},
            coords={"layer": self.layers},
            attrs={"provenance": json.dumps(json_ready(self.provenance), sort_keys=True)},
        )
