"""What an optional package or data set is missing for is skipped, with its name; nothing is where all are there.

A test that fails is skipped instead if the library refused something during it for want of what is not installed here,
or if it imports that itself. So no test needs a mark, and one that is written tomorrow is covered too.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Generator
from typing import Any

import pytest

import pnc.errors
from pnc.data.fashion_mnist import FASHION_MNIST_FOLDER

# package to import: what `pip install` calls it, and the extra that brings it
OPTIONAL = {
    "distributed": ("distributed", "cluster"),
    "flint": ("python-flint", "proofs"),
    "foolbox": ("foolbox", "robust"),
    "netCDF4": ("netcdf4", "store"),
    "sklearn": ("scikit-learn", "probe"),
    "transformers": ("transformers", "text"),
    "umap": ("umap-learn", "viz"),
    "z3": ("z3-solver", "proofs"),
    "zarr": ("zarr", "store"),
}
MISSING = {module: names for module, names in OPTIONAL.items() if importlib.util.find_spec(module) is None}
DEBIAN = "dataset-fashion-mnist"

_refusals: list[str] = []
_init = pnc.errors.InvalidInputError.__init__


def _noted(self: pnc.errors.InvalidInputError, **parts: str) -> None:
    _init(self, **parts)
    _refusals.append(str(self))


if MISSING or not FASHION_MNIST_FOLDER.is_dir():
    pnc.errors.InvalidInputError.__init__ = _noted


def needs(error: BaseException) -> str | None:
    """Of a failure: what was missing, if anything was."""
    if (known := getattr(error, "missing_here", None)) is not None:  # of a fixture, raised for each of its tests
        return known
    said = [*_refusals, str(error)]
    imported = error.__cause__ if isinstance(error, pytest.Collector.CollectError) else error
    for module, (package, extra) in MISSING.items():
        absent = isinstance(imported, ModuleNotFoundError) and (imported.name or "").split(".")[0] == module
        if absent or any("pip install" in text and package in text.partition("pip install")[2] for text in said):
            return f"needs {package} (extra `{extra}`)"
    if not FASHION_MNIST_FOLDER.is_dir() and any(DEBIAN in text for text in said):
        return f"needs Debian's package {DEBIAN}"
    return None


def _skipped(report: Any, call: pytest.CallInfo[Any], place: tuple[str, int]) -> None:
    error = None if call.excinfo is None else call.excinfo.value
    if report.outcome == "failed" and error is not None and (reason := needs(error)) is not None:
        error.missing_here = reason  # type: ignore[attr-defined]
        report.outcome, report.longrepr = "skipped", (*place, f"Skipped: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _skipped(report, call, (str(item.path), (item.location[1] or 0) + 1))
    if call.when == "teardown":
        _refusals.clear()
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if (call := getattr(report, "call", None)) is not None:
        _skipped(report, call, (str(collector.path), 0))
    return report
