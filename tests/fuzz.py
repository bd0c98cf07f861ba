"""Hostile numbers for every option of every command: an answer, or one line and exit status 2; bounded time and memory.

    python -m tests.fuzz                 # every option with every value, one after another
    python -m tests.fuzz --only train

A command runs in a fork, with limits on its processor time and on the memory that it may ask for. The tests draw some
of the cases, and pairs of options, with Hypothesis.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import resource
import signal
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import pnc.report.training
import pnc.runs.simulation
import pnc.runs.training
import pnc.sweep.execute  # noqa: F401
from pnc.cli.main import COMMANDS, main
from tests.cli.signatures import options_of

__all__ = ["HOSTILE", "Ended", "base", "numbers_of", "prepare", "tried"]

HOSTILE = (
    "0", "-1", "1e18", "1e23", "1e308", "1e400", "1000000000000000000", "99999999999", "1" + "0" * 4999,
    "-" + "9" * 400, "nan", "inf", "-inf", "1e-320", "0.5", "-0.0", "", " ", "1,2,3", "1:1000000000", "0:1:1e-12",
    ",".join(["3"] * 20000),
    "1_0", "٣", "0x10", "1/0", "8/255", "--", "=1", "1e", "٠,٠", "5:2", "1:2:0", "nan,nan", "1e18,1e18", "True", "None",
)  # fmt: skip
_WORDS = ("data", "test_data", "name", "network", "attack", "probe", "only", "layers", "source", "weights")
_NUMBERS = itertools.count()  # of folders that are written to
PROCESSOR_SECONDS, MORE_MEMORY = 12, 3 * 2**30


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status, or the signal that ended it as a negative number; and what it said."""

    status: int
    out: str
    err: str

    def wrong(self) -> str | None:
        """What is wrong with this end, if anything is."""
        if self.status < 0:
            return f"ended by {signal.Signals(-self.status).name}"
        if "Traceback" in self.err:
            return "traceback: " + self.err.strip().splitlines()[-1]
        if self.status not in (0, 2, 3, 4):
            return f"status {self.status}"
        if self.status == 2 and (self.err.count("\n") != 1 or not self.err.startswith("pnc: ")):
            return f"not one line: {self.err[:300]!r}"
        return f"a line of {len(self.err)} characters" if self.status == 2 and len(self.err) > 2000 else None


def tried(arguments: list[str]) -> Ended:
    """The command in a fork, in the present folder."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")  # pytest holds others
            os._exit(_ended(arguments))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read(2**20).decode(errors="replace"))
    return Ended(status, *texts)


def _ended(arguments: list[str]) -> int:
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (own + MORE_MEMORY, own + MORE_MEMORY))
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (used + PROCESSOR_SECONDS, used + PROCESSOR_SECONDS + 1))
    status = 0
    try:
        main(arguments)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def prepare(place: Path) -> None:
    """The small problem and the run that the base commands read."""
    draws = np.random.default_rng(0)
    y = np.repeat(range(3), 12)
    np.savez(place / "problem.npz", X=(0.3 + 0.4 * np.eye(3, 8)[y] + 0.05 * draws.random((36, 8))).clip(0, 1), y=y)
    ended = tried([*base("train", place), "--out", str(place / "run")])
    assert ended.status in (0, 4), ended.err


def base(command: str, place: Path) -> list[str]:
    """A command that takes a second, to which options are added."""
    run, problem = str(place / "run"), str(place / "problem.npz")
    small = ["--classes", "2", "--samples-per-class", "2"]
    return {
        "predict": ["predict", "--depth", "3", *small],
        "simulate": ["simulate", "--depth", "2", *small, "--steps", "20", "--quiet", "--device", "cpu"],
        "train": ["train", "mlp", "--data", problem, "--width", "8", "--depth", "5", "--epochs", "1", "--device", "cpu",
                  "--quiet", "--no-spectra", "--accuracy-limit", "0"],
        "sweep": ["sweep", "--depth", "2", "--classes", "2", "--samples-per-class", "2", "--epsilon", "0.5",
                  "--workers", "1", "--quiet", "--device", "cpu", "--steps", "20",
                  "--out", str(place / f"sweep-{next(_NUMBERS)}")],
        "reproduce": ["reproduce", "none"],
        "measure": ["measure", run, "--device", "cpu", "--quiet"],
        "choose": ["choose", run, "--device", "cpu", "--quiet"],
        "tail": ["tail", run, "--device", "cpu", "--quiet"],
        "compress": ["compress", run, "--site", "body.1", "--dimensions", "4", "--device", "cpu", "--quiet"],
        "compare": ["compare", run],
        "report": ["report", run, "--out", str(place / f"report-{next(_NUMBERS)}")],
        "robustness": ["robustness", run, "--attack", "fgsm", "--radius", "0.1", "--no-checks", "--device", "cpu",
                       "--quiet"],
        "verify": ["verify", "--only", "E2"],
        "cite": ["cite"],
    }[command]  # fmt: skip


def numbers_of(command: str) -> list[str]:
    """The options of a command that take numbers, as numbers or as text."""
    options = next(options_of(one) for one in COMMANDS if one.__name__ == command)
    takes = {
        name: of for name, of in options.items()
        if of["type"] in ("int", "float") or (of["type"] in ("str", "list of str") and name not in _WORDS)
    }  # fmt: skip
    flags = (max((flag for flag in of["flags"] if flag.startswith("--")), key=len, default="") for of in takes.values())
    return [flag for flag in flags if flag]


def _all() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=[one.__name__ for one in COMMANDS])
    parser.add_argument("--sample", type=int, help="so many cases, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    names = [given.only] if given.only else [one.__name__ for one in COMMANDS]
    cases = [(name, option, value) for name in names for option in numbers_of(name) for value in HOSTILE]
    if given.sample is not None:
        cases = random.Random(given.seed).sample(cases, min(given.sample, len(cases)))
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        os.chdir(place)
        prepare(place)
        for command, option, value in cases:
            if wrong := tried([*base(command, place), f"{option}={value}"]).wrong():
                bad += 1
                print(f"{command} {option}={value[:30]}: {wrong}", flush=True)
    print(f"{len(cases)} commands, {bad} of them wrong")
    raise SystemExit(bad > 0)


if __name__ == "__main__":
    _all()
