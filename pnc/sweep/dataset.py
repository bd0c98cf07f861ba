"""Records of runs → one labelled dataset, and its table."""

from __future__ import annotations

import csv
import errno
import importlib.util
import io
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.errors import InvalidInputError
from pnc.sweep.plan import Plan, axis_label
from pnc.sweep.records import LAYER_FIELDS, SCALAR_FIELDS, TEXT_FIELDS
from pnc.sweep.store import write_atomically, write_folder_atomically

if TYPE_CHECKING:
    import xarray

__all__ = ["dataset_bytes", "make_dataset", "make_table", "results_bytes", "results_name", "write_results"]

_ZARR_BEYOND = 1 << 28  # bytes of a dataset's numbers
_CHUNK = 1 << 26  # bytes; what compresses a Zarr chunk takes 2 GiB at most
_TEXT = 800  # bytes of a cell's texts, of which the longest decides
_RECORD = 32  # bytes that a number takes in a record, which all are held until the end


def _shape(plan: Plan) -> list[int]:
    return [len(plan.values(name)) for name in (*plan.axes, "seed")]


def _depth(plan: Plan) -> int:
    return max(run.network.depth for run in plan.runs)


def dataset_bytes(plan: Plan) -> int:
    """Of the numbers in the dataset of a plan: cells that belong to no grid count too."""
    return 8 * math.prod(_shape(plan)) * (len(LAYER_FIELDS) * _depth(plan) + len(SCALAR_FIELDS))


def results_bytes(plan: Plan) -> int:
    """About what records and dataset take together."""
    numbers = sum(len(LAYER_FIELDS) * run.network.depth + len(SCALAR_FIELDS) for run in plan.runs)
    return dataset_bytes(plan) + _TEXT * math.prod(_shape(plan)) + _RECORD * numbers


def results_name(plan: Plan) -> str:
    """Where the dataset of a plan is written: `results.nc`, or `results.zarr` for a large one where Zarr is installed.

    Raises:
        InvalidInputError: a dataset too large for what is installed.

    >>> from pnc.sweep.grid import read_sweep
    >>> from pnc.sweep.plan import make_plan
    >>> results_name(make_plan(read_sweep(depth="2:3")))
    'results.nc'
    """
    size = dataset_bytes(plan)
    if size > _ZARR_BEYOND and importlib.util.find_spec("zarr"):
        return "results.zarr"
    if size >= 2**31 and not importlib.util.find_spec("netCDF4"):
        raise InvalidInputError(
            got=f"results of {size / 2**30:.3g} GiB",
            expected="at most 2 GiB, where neither zarr nor netCDF4 is installed",
            next_step="pip install netcdf4 zarr",
        )
    return "results.nc"


def make_dataset(plan: Plan, records: Mapping[str, Mapping[str, Any]]) -> xarray.Dataset:
    """One dataset: a dimension for every axis, then `seed` and `layer`.

    Numbers that a run does not have are NaN; so are combinations of a union of grids that belong to none of them, whose
    `outcome` is empty. Where sizes of unequal classes are among the values, `samples_per_class` is a coordinate of
    text.

    Args:
        plan: the runs and their coordinates.
        records: of all runs, by hash.
    """
    import xarray

    axes = [*plan.axes, "seed"]
    values, shape, depth = {name: plan.values(name) for name in axes}, tuple(_shape(plan)), _depth(plan)
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
        coords={name: _coordinate(found) for name, found in values.items()} | {"layer": np.arange(depth)},
        attrs={"title": "pnc sweep", "plan": _plan_text(plan)},
    )


def _coordinate(values: list[Any]) -> list[Any]:
    labels = [axis_label(value) for value in values]
    return [str(label) for label in labels] if any(isinstance(label, str) for label in labels) else labels


def _plan_text(plan: Plan) -> str:
    import json

    return json.dumps(plan.sweep.to_dict(), sort_keys=True)


def make_table(plan: Plan, records: Mapping[str, Mapping[str, Any]]) -> str:
    """One row a run, in plan order; numbers of a layer in columns such as `compression_2`. Undefined ones are empty."""
    axes = [*plan.axes, "seed"]
    depth = _depth(plan)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [*axes, *TEXT_FIELDS, *SCALAR_FIELDS, *(f"{name}_{l}" for name in LAYER_FIELDS for l in range(depth))]
    )
    for run in plan.runs:
        record = records[run.hash]
        row = [_harmless(axis_label(run.coordinates[name])) if name in run.coordinates else "" for name in axes]
        row += [_harmless(record.get(name, "")) for name in TEXT_FIELDS]
        row += [_cell(record.get(name)) for name in SCALAR_FIELDS]
        for name in LAYER_FIELDS:
            found = record.get(name, [])
            row += [_cell(found[l] if l < len(found) else None) for l in range(depth)]
        writer.writerow(row)
    return text.getvalue()


def _harmless(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: words that begin like one get an apostrophe.

    >>> _harmless("=1+1"), _harmless("CONVERGED"), _harmless(-0.5)
    ("'=1+1", 'CONVERGED', -0.5)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(value)


def write_results(folder: Path, dataset: xarray.Dataset, table: str, *, name: str = "results.nc") -> None:
    """Write the dataset and `results.csv`, each complete or not at all.

    NetCDF-4 where the package for it is installed (the extra `store`), NetCDF-3 by SciPy elsewhere; xarray reads both,
    and Zarr.

    Args:
        folder: the sweep's, which nobody else works on.
        dataset: what `make_dataset` gives.
        table: what `make_table` gives.
        name: what `results_name` gives.
    """
    for left in folder.glob(".results.*"):  # by a process that was killed here
        _remove(left)
    if name == "results.zarr":
        chunks = {name: {"chunks": _chunks(found.shape, found.dtype.itemsize)} for name, found in dataset.items()}
        with write_folder_atomically(folder / name) as temporary:
            # version 2 of the format: version 3 has no text of fixed length yet
            dataset.to_zarr(temporary, mode="w", zarr_format=2, consolidated=True, encoding=chunks)
    else:
        engine = "netcdf4" if importlib.util.find_spec("netCDF4") else "scipy"
        with write_atomically(folder / name) as temporary:
            try:
                dataset.to_netcdf(temporary, engine=engine)
            except RuntimeError as error:  # of the netCDF library, which does not say what the disk said
                raise OSError(errno.EIO, f"{name} could not be written ({error}): is there room?") from error
    with write_atomically(folder / "results.csv") as temporary:
        temporary.write_text(table, encoding="utf-8")
    _remove(folder / ("results.nc" if name == "results.zarr" else "results.zarr"))  # of a smaller or larger sweep


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Of an array: the first dimensions are cut until a chunk is small enough.

    >>> _chunks((100, 1000, 1000), 8)
    (7, 1000, 1000)
    """
    chunk = list(shape)
    for d in range(len(chunk)):
        while math.prod(chunk) * itemsize > _CHUNK and chunk[d] > 1:
            chunk[d] = -(-chunk[d] // 2)
    return tuple(chunk)
