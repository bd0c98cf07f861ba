"""That a test without its optional package is skipped, with the name of it, and that no other failure is."""

from __future__ import annotations

import pytest

import tests.needs
from pnc.errors import InvalidInputError


@pytest.fixture
def without_foolbox(monkeypatch):
    monkeypatch.setattr(tests.needs, "MISSING", {"foolbox": ("foolbox", "robust")})
    monkeypatch.setattr(tests.needs, "_refusals", [])
    return tests.needs


def refused(next_step: str) -> InvalidInputError:
    return InvalidInputError(got="nothing", expected="something", next_step=next_step)


def test_what_was_refused_for_want_of_a_package_is_named(without_foolbox):
    assert without_foolbox.needs(refused("pip install foolbox")) == "needs foolbox (extra `robust`)"
    assert without_foolbox.needs(ModuleNotFoundError(name="foolbox.attacks")) == "needs foolbox (extra `robust`)"
    without_foolbox._noted(
        InvalidInputError.__new__(InvalidInputError), got="a", expected="b", next_step="pip install foolbox"
    )
    assert without_foolbox.needs(AssertionError("2 == 0")) == "needs foolbox (extra `robust`)"


def test_other_failures_stay_failures(without_foolbox):
    assert without_foolbox.needs(AssertionError("foolbox gives 3, expected 4")) is None
    assert without_foolbox.needs(refused("pip install scikit-learn")) is None
    assert without_foolbox.needs(ModuleNotFoundError(name="pnc.nothing")) is None


def test_nothing_is_skipped_for_what_is_there(monkeypatch):
    monkeypatch.setattr(tests.needs, "MISSING", {})
    assert tests.needs.needs(refused("pip install foolbox")) is None
