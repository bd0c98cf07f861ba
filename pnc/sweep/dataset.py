"""Records of runs → one labelled dataset, and its table."""

from __future__ import annotations

import csv
import importlib.util
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.sweep.plan import Plan
from pnc.sweep.records import LAYER_FIELDS, SCALAR_FIELDS, TEXT_FIELDS
from pnc.sweep.store import write_atomically

if TYPE_CHECKING:
    import xarray

__all__ = ["make_dataset", "make_table", "write_results"]


def make_dataset(plan: Plan, records: Mapping[str, Mapping[str, Any]]) -> xarray.Dataset:
    """One dataset: a dimension for every axis, then `seed` and `layer`.

    Numbers that a run does not have are NaN; so are combinations of a union of grids that belong to none of them, whose
    `outcome` is empty.

    Args:
        plan: the runs and their coordinates.
        records: of all runs, by hash.
    """
    import xarray

    axes = [*plan.axes, "seed"]
    values = {name: sorted({run.coordinates[name] for run in plan.runs if name in run.coordinates}) for name in axes}
    shape = tuple(len(values[name]) for name in axes)
    depth = max(run.network.depth for run in plan.runs)
    layers = {name: np.full((*shape, depth), np.nan) for name in LAYER_FIELDS}
    scalars = {name: np.full(shape, np.nan) for name in SCALAR_FIELDS}
    longest = {name: max(1, *(len(records[run.hash].get(name, "")) for run in plan.runs)) for name in TEXT_FIELDS}
    texts = {name: np.full(shape, "", dtype=f"<U{longest[name]}") for name in TEXT_FIELDS}
    for run in plan.runs:
        record = records[run.hash]
        at = tuple(values[name].index(run.coordinates[name]) for name in axes)
        for name, array in layers.items():
            found = record.get(name, ())
            array[(*at, slice(len(found)))] = found
        for name, array in scalars.items():
            array[at] = record.get(name, np.nan)
        for name, array in texts.items():
            array[at] = record.get(name, "")
    described = LAYER_FIELDS | SCALAR_FIELDS | TEXT_FIELDS
    return xarray.Dataset(
        {name: ((*axes, "layer"), array, {"long_name": described[name]}) for name, array in layers.items()}
        | {name: (axes, array, {"long_name": described[name]}) for name, array in (scalars | texts).items()},
        coords={**values, "layer": np.arange(depth)},
        attrs={"title": "pnc sweep", "plan": _plan_text(plan)},
    )


def _plan_text(plan: Plan) -> str:
    import json

    return json.dumps(plan.sweep.to_dict(), sort_keys=True)


def make_table(plan: Plan, records: Mapping[str, Mapping[str, Any]]) -> str:
    """One row a run, in plan order; numbers of a layer in columns such as `compression_2`. Undefined ones are empty."""
    axes = [*plan.axes, "seed"]
    depth = max(run.network.depth for run in plan.runs)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [*axes, *TEXT_FIELDS, *SCALAR_FIELDS, *(f"{name}_{l}" for name in LAYER_FIELDS for l in range(depth))]
    )
    for run in plan.runs:
        record = records[run.hash]
        row = [run.coordinates.get(name, "") for name in axes]
        row += [record.get(name, "") for name in TEXT_FIELDS]
        row += [_cell(record.get(name)) for name in SCALAR_FIELDS]
        for name in LAYER_FIELDS:
            found = record.get(name, [])
            row += [_cell(found[l] if l < len(found) else None) for l in range(depth)]
        writer.writerow(row)
    return text.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(value)


def write_results(folder: Path, dataset: xarray.Dataset, table: str) -> None:
    """Write `results.nc` and `results.csv`, each complete or not at all.

    NetCDF-4 where the package for it is installed (the extra `store`), NetCDF-3 by SciPy elsewhere; xarray reads both.
    """
    engine = "netcdf4" if importlib.util.find_spec("netCDF4") else "scipy"
    with write_atomically(folder / "results.nc") as temporary:
        dataset.to_netcdf(temporary, engine=engine)
    with write_atomically(folder / "results.csv") as temporary:
        temporary.write_text(table, encoding="utf-8")
