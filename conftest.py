"""For the tests and the examples in docstrings: what an optional package is missing for is skipped, with its name, and
the calls whose shapes are checked are counted anew."""

from tests.needs import pytest_make_collect_report, pytest_runtest_makereport
from tests.shapes import count_anew

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport", "pytest_runtest_setup"]


def pytest_runtest_setup() -> None:
    count_anew()
