"""For the tests and the examples in docstrings: what an optional package is missing for is skipped, with its name."""

from tests.needs import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]
