"""What is imported when: nothing that needs no torch loads it, and rooms import downwards only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).resolve().parents[1]

HEAVY = ("torch", "matplotlib", "xarray", "sympy")


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after running `code`."""
    report = "import sys; print('\\n' + ' '.join({name.split('.')[0] for name in sys.modules}))"
    source = f"import atexit\natexit.register(lambda: exec({report!r}))\n{code}"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False, cwd=ROOT)
    assert "Traceback" not in done.stderr, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def command(*arguments: str) -> str:
    return f"from pnc.cli.main import main; main({list(arguments)!r})"


@pytest.mark.parametrize(
    "code",
    [
        "import pnc",
        "import pnc.theory, pnc.data, pnc.spec, pnc.curves",
        command("--version"),
        command("--help"),
        command("simulate", "--help"),
        command("robustness", "--help"),
        command("train", "--help"),
        command("measure", "--help"),
        command("predict", "--depth", "4", "--json"),
        command("predict", "--depth", "1"),
    ],
)
def test_heavy_modules_stay_out(code):
    assert not loaded_by(code).intersection(HEAVY)


@pytest.mark.parametrize("code", [command("--version"), command("--help")])
def test_a_question_about_the_program_loads_no_numbers_either(code):
    assert "scipy" not in loaded_by(code)


def test_that_test_sees_torch_where_it_is_needed():
    assert "torch" in loaded_by(command("simulate", "--depth", "2", "--steps", "1", "--quiet"))


def test_rooms_import_downwards_only():
    from importlinter import cli

    status = cli.lint_imports(
        config_filename=str(ROOT / "pyproject.toml"), no_cache=True, is_debug_mode=False, show_timings=False
    )
    assert status == cli.EXIT_STATUS_SUCCESS


def circles(graph) -> list[list[str]]:
    """Files that import one another in a circle, whether when they are loaded, in a function or for types alone."""
    files = sorted(graph.modules)
    place = {file: i for i, file in enumerate(files)}
    imports = [(place[file], place[used]) for file in files for used in graph.find_modules_directly_imported_by(file)]
    matrix = csr_matrix((np.ones(len(imports)), tuple(zip(*imports))), shape=(len(files),) * 2)
    count, circle = connected_components(matrix, connection="strong")
    return [found for i in range(count) if len(found := [files[j] for j in np.flatnonzero(circle == i).tolist()]) > 1]


def test_no_circle_among_files():
    graph = grimp.build_graph("pnc", "sims", "proofs_check", cache_dir=None)
    assert len(graph.modules) > 200
    assert circles(graph) == []
    graph.add_import(importer="pnc.curves.curve", imported="pnc.compare.laws.follow")
    assert {"pnc.curves.curve", "pnc.compare.laws.follow"} <= set(circles(graph)[0])
