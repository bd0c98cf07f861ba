"""What a command does where its output cannot be written, or not in Greek; whatever the notebook's backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PNC = [sys.executable, "-c", "from pnc.cli.main import main; main()"]
SMALL = ["simulate", "--depth", "2", "--classes", "2", "--samples-per-class", "2", "--device", "cpu", "--quiet"]
FULL = Path("/dev/full")


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **options.pop("env", {})}
    return subprocess.run([*PNC, *arguments], check=False, env=environment, stderr=subprocess.PIPE, **options)


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_disk_behind_stdout_is_one_line(options, tmp_path):
    with open(FULL, "wb") as full:
        done = run(*SMALL, *options, "--out", str(tmp_path / "run"), stdout=full)
    assert done.returncode == 2
    assert done.stderr.decode().count("\n") == 1
    assert "No space left on device" in done.stderr.decode()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["verdict"] == "AGREES"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_closed_streams(closed, tmp_path):
    command = " ".join(f"'{word}'" for word in [*PNC, *SMALL, "--out", str(tmp_path / "run")])
    done = subprocess.run(f"{command} {closed}", shell=True, check=False, capture_output=True, text=True)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "cp437"])
def test_text_falls_back_to_what_the_stream_can_hold(encoding):
    done = run(*SMALL, stdout=subprocess.PIPE, env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    greek = "ε" in text
    assert greek == (encoding == "cp437")  # that one has an ε
    assert greek or "eps = 0.3" in text
    assert "alpha = 1" in text or "α = 1" in text


@pytest.mark.parametrize("backend", ["nonsense", "module://matplotlib_inline.backend_inline", "TkAgg"])
def test_figures_do_not_depend_on_the_backend_of_a_notebook(backend, tmp_path):
    done = run(*SMALL, "--out", str(tmp_path / "run"), stdout=subprocess.PIPE, env={"MPLBACKEND": backend})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "curves.png").stat().st_size > 10_000


def test_a_warning_is_one_line_without_its_place_in_the_code():
    code = "import warnings; from pnc.cli.streams import prepare_streams as p; p(); warnings.warn('a long\\nstory')"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr == "warning: a long story\n"
