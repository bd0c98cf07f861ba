"""Commands as users start them: a process with a status, two streams and perhaps a terminal."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

PNC = [sys.executable, "-c", "from pnc.cli.main import main; main()"]


def start(*arguments, **options):
    return subprocess.run(
        [*PNC, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=100, **options
    )


def test_statuses_and_streams():
    done = start("predict", "--depth", 3, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    json.loads(done.stdout)
    done = start("predict", "--depth", 1)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("pnc: got depth = 1; ")


def test_the_installed_command_is_the_same_program():
    from importlib.metadata import entry_points

    (entry,) = entry_points(group="console_scripts", name="pnc")
    assert entry.value == "pnc.cli.main:main"


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell's pipe")
def test_predict_may_be_piped_into_compare(tmp_path):
    sizes = ["--depth", "3", "--samples-per-class", "4", "--width", "300"]
    done = start("simulate", *sizes, "--json")
    assert done.returncode == 0
    (tmp_path / "measured.json").write_text(done.stdout)
    pnc = shlex.join(PNC)
    pipe = (
        f"{pnc} predict {' '.join(sizes[:4])} --json | {pnc} compare - {shlex.quote(str(tmp_path / 'measured.json'))}"
    )
    done = subprocess.run(["sh", "-c", pipe], capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    assert "AGREES" in done.stdout


@pytest.mark.parametrize("arguments", [["predict", "--depth", "12"], ["predict", "--json"], ["--version"]])
def test_a_reader_that_leaves_early_is_no_error(arguments):
    with subprocess.Popen([*PNC, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


@pytest.mark.skipif(os.name == "nt", reason="a POSIX signal")
def test_ctrl_c_during_training_leaves_a_result(tmp_path):
    # a plateau of millions of steps, and a shell that tells when training has begun
    code = (
        "import signal, sys, pnc.simulate.train as training\n"
        "from pnc.cli.main import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # shells have background jobs ignore it
        "measure = training._Stack.measure\n"
        "def told(*arguments):\n"
        "    if not told.spoken:\n"
        "        told.spoken = True\n"
        "        print('training', file=sys.stderr, flush=True)\n"
        "    return measure(*arguments)\n"
        "told.spoken = False\n"
        "training._Stack.measure = told\n"
        "main()\n"
    )
    arguments = ["simulate", "--depth", "9", "--epsilon", "0.05", "--engine", "descent", "--steps", "100000000"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "--json", "--out", str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr.readline() == "training\n"
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert err == ""
    assert process.returncode == 4
    found = json.loads(out)
    assert (found["outcome"], found["verdict"]) == ("INTERRUPTED", "NOT_CONVERGED")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["outcome"] == "INTERRUPTED"
