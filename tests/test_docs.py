"""The documentation builds without a warning, and every public name of every room is in it."""

from __future__ import annotations

import inspect
import os
import pkgutil
import subprocess
import sys
import zlib
from importlib import import_module
from pathlib import Path

import pytest

import pnc

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def documented(tmp_path_factory) -> set[str]:
    """What the inventory of a site built from this tree lists."""
    for name in ("material", "mkdocstrings"):
        pytest.importorskip(name, reason=f"needs {name} (extra `docs`)")
    site = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    _, _, _, _, packed = (site / "objects.inv").read_bytes().split(b"\n", 4)
    return {line.split(" ")[0] for line in zlib.decompress(packed).decode().splitlines()}


def test_every_public_name_is_in_the_reference(documented):
    rooms = [pnc, *(import_module(f"pnc.{room.name}") for room in pkgutil.iter_modules(pnc.__path__))]
    names = {f"{room.__name__}.{name}" for room in rooms if room.__name__ != "pnc.cli" for name in room.__all__}
    missing = {name for name in names if not name.endswith("__")} - documented
    assert len(names) > 200
    assert not missing


def test_every_public_name_has_a_docstring():
    rooms = [import_module(f"pnc.{room.name}") for room in pkgutil.iter_modules(pnc.__path__) if room.name != "cli"]
    silent = [
        f"{room.__name__}.{name}"
        for room in rooms
        for name in room.__all__
        if inspect.isroutine(thing := getattr(room, name)) or inspect.isclass(thing)
        if not thing.__doc__
    ]
    assert not silent
