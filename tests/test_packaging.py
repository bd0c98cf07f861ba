"""A wheel of this very tree: which names it installs, that nothing is missing from it, that its commands run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pnc.cli.beside import beside

ROOT = Path(__file__).resolve().parents[1]
INSTALLED = {"pnc": "pnc", "sims": "pnc_experiments", "proofs_check": "pnc_proofs"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, unpacked as an installer would."""
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("needs setuptools (extra `test`)")
    source, built, target = (tmp_path_factory.mktemp(name) for name in ("source", "built", "target"))
    for name in INSTALLED:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    code = f"from setuptools.build_meta import build_wheel; build_wheel({str(built)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as file:
        file.extractall(target)
    return target


def run(wheel: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; from pnc.cli.main import main; sys.argv[0] = 'pnc'; main({list(arguments)!r})"
    environment = os.environ | {"PYTHONPATH": str(wheel)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_only_names_that_are_ours_are_installed(wheel):
    assert {path.name for path in wheel.iterdir() if path.suffix != ".dist-info"} == set(INSTALLED.values())


def test_nothing_of_the_packages_is_missing(wheel):
    for folder, name in INSTALLED.items():
        wanted = {path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*") if path.is_file()}
        wanted = {path for path in wanted if "__pycache__" not in path.parts and path.suffix != ".md"}
        assert wanted == {path.relative_to(wheel / name) for path in (wheel / name).rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "--only", "U2", "--depth", "quick"], "DISCHARGED: "),
        (["cite", "T5"], "@article{wang2025layerwise"),
        (["reproduce"], "fig4_linear"),
        (["reproduce", "fig4", "--scale", "smoke"], "written to reproduce/fig4_linear-smoke"),
    ],
)
def test_its_commands_run_from_an_empty_folder(wheel, tmp_path, arguments, said):
    if arguments[0] == "verify":
        pytest.importorskip("flint", reason="needs python-flint (extra `proofs`)")
        pytest.importorskip("z3", reason="needs z3-solver (extra `proofs`)")
    done = run(wheel, tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


def test_another_package_of_the_same_name_is_passed_over(wheel, tmp_path):
    """A project of the user's own with folders `sims` and `proofs_check`, the current folder in front of the path."""
    for name in ("sims", "proofs_check"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')\n")
    done = run(wheel, tmp_path, "reproduce", "--json")
    assert done.returncode == 0, done.stderr
    assert "fig4_linear" in done.stdout
    done = run(wheel, tmp_path, "cite", "T5")
    assert done.returncode == 0, done.stderr


def test_a_clone_runs_its_own_experiments(monkeypatch, tmp_path):
    assert beside("pnc_experiments", "sims") in ("sims", "pnc_experiments")
    assert beside("nothing_of_that_name", "tests") == "tests"
    assert beside("nothing_of_that_name", "json") is None
