"""A few of the trials of `python -m tests.faults`; `PNC_FAULT_TRIALS` asks for more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TRIALS = int(os.environ.get("PNC_FAULT_TRIALS", "1"))
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_faults_end_in_the_same_results_or_in_one_line():
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # forks of threads may deadlock
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--trials", str(TRIALS)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 23
