"""Faults, as they happen: kills at random moments, damaged files, a full disk, two processes at once.

    python -m tests.faults --trials 50
    python -m tests.faults --trials 50 --only compare

Each trial ends in the results of an undisturbed run, bit for bit, with nothing left behind, or in one line of refusal.
Commands run in forks of this process, which has imported everything, so that a kill hits the command and not its start.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pnc.report.dynamics
import pnc.report.training
import pnc.runs.simulation
import pnc.runs.training
import pnc.sweep.execute
from pnc.cli.main import main as pnc
from pnc.errors import InvalidInputError
from pnc.records import read_run
from pnc.report.canvas import new_figure
from pnc.train import latest_checkpoint, load_run

__all__ = ["COMMANDS", "Ended", "damages", "disk_full", "kills", "two_at_once"]

_TIMES = ("seconds", "resumed_from", "projection_seconds", "step_seconds")
_ENDS_WELL = (0, 3, 4)  # a verdict is none the worse for being a bad one


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, `None` where it was killed, and what it wrote to stderr."""

    status: int | None
    err: str


def start(arguments: list[str], log: Path, *, most_bytes: int | None = None) -> int:
    """The command in a fork; its number."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if most_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        pnc(arguments)
    except SystemExit as end:
        sys.stderr.flush()
        os._exit(int(end.code or 0))
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def wait(child: int, log: Path) -> Ended:
    """Until the command has ended."""
    _, how = os.waitpid(child, 0)
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return Ended(status=os.waitstatus_to_exitcode(how) if os.WIFEXITED(how) else None, err=text)


def run(arguments: list[str], log: Path, **options: Any) -> Ended:
    """The command, to its end."""
    return wait(start(arguments, log, **options), log)


def contents(folder: Path) -> dict[str, Any]:
    """Every file of a folder, by its name; run.json without times, the list of digests without run.json's."""
    found: dict[str, Any] = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder).as_posix()
        if name == "run.json":
            found[name] = _timeless(json.loads(file.read_text(encoding="utf-8")))
        elif name == "SHA256SUMS":
            found[name] = [line for line in file.read_text().splitlines() if not line.endswith("run.json")]
        else:
            found[name] = file.read_bytes()
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key not in _TIMES}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def _problem(place: Path) -> Path:
    draws = np.random.default_rng(0)
    y = np.repeat(range(3), 40)
    file = place / "problem.npz"
    np.savez(file, X=(0.3 + 0.4 * np.eye(3, 8)[y] + 0.05 * draws.standard_normal((120, 8))).clip(0, 1), y=y)
    return file


def _train(place: Path, out: Path) -> list[str]:
    return ["train", "mlp", "--data", str(place / "problem.npz"), "--width", "16", "--depth", "4", "--epochs", "30",
            "--batch-size", "10", "--device", "cpu", "--quiet", "--checkpoint-seconds", "0.05", "--no-spectra",
            "--accuracy-limit", "0", "--resume", "--out", str(out)]  # fmt: skip


def _simulate(place: Path, out: Path) -> list[str]:
    del place
    return ["simulate", "--depth", "4", "--record", "10", "--device", "cpu", "--quiet", "--out", str(out)]


def _sweep(place: Path, out: Path) -> list[str]:
    del place
    return ["sweep", "--depth", "2:4", "--width", "60", "--epsilon", "0.3,0.4", "--seeds", "3", "--workers", "1",
            "--device", "cpu", "--quiet", "--out", str(out)]  # fmt: skip


def _trained(place: Path) -> Path:
    """A run that other commands read, made where it is not there yet."""
    if not (place / "trained").exists():
        _problem(place)
        ended = run([*_train(place, place / "trained"), "--depth", "7", "--epochs", "3"], place / "log")
        assert ended.status == 0, ended.err
    return place / "trained"


def _compare(place: Path, out: Path) -> list[str]:
    return ["compare", str(_trained(place)), "--out", str(out)]


def _robustness(place: Path, out: Path) -> list[str]:
    return ["robustness", str(_trained(place)), "--attack", "fgsm,pgd", "--radius", "0.1", "--steps", "3,6", "--device",
            "cpu", "--no-checks", "--quiet", "--out", str(out)]  # fmt: skip


def _reproduce(place: Path, out: Path) -> list[str]:
    del place
    return ["reproduce", "cross_entropy_angles", "--scale", "smoke", "--quiet", "--out", str(out)]


COMMANDS: dict[str, Callable[[Path, Path], list[str]]] = {
    "train": _train,
    "simulate": _simulate,
    "sweep": _sweep,
    "compare": _compare,
    "robustness": _robustness,
    "reproduce": _reproduce,
}
REPLACING = ("train", "simulate", "compare", "robustness")  # those that have --force
LOCKING = ("train", "simulate", "sweep")  # those that take long enough for two to meet


def undisturbed(name: str, place: Path) -> tuple[dict[str, Any], float]:
    """What the command leaves, and the seconds that it takes."""
    arguments = COMMANDS[name](place, place / "whole")
    began = time.perf_counter()
    ended = run(arguments, place / "log")
    assert ended.status in _ENDS_WELL, ended.err
    return contents(place / "whole"), time.perf_counter() - began


def kills(name: str, trials: int, place: Path, *, seed: int = 0, replaced: bool = False) -> int:
    """Kill the command at a random moment, then run it to its end; how many of the kills hit it alive.

    Args:
        name: of the command.
        trials: how many kills.
        place: an empty folder.
        seed: of the moments.
        replaced: whether there is a run at `--out`, which `--force` replaces.
    """
    draws, hit = random.Random(seed), 0
    _problem(place)
    expected, seconds = undisturbed(name, place)
    for trial in range(trials):
        above = place / f"trial-{trial}"
        above.mkdir()
        arguments = COMMANDS[name](place, above / "run")
        if replaced:
            shutil.copytree(place / "whole", above / "run")
            arguments = [*[word for word in arguments if word != "--resume"], "--force"]
        child = start(arguments, above / "log")
        time.sleep(draws.uniform(0, 1.1 * seconds))
        os.kill(child, signal.SIGKILL)
        hit += wait(child, above / "log").status is None
        if replaced:
            assert (above / "run" / "SHA256SUMS").exists()  # the old folder or the new one, never none
            if name in ("train", "simulate"):
                read_run(above / "run")
        elif name in REPLACING and name != "train" and (above / "run").exists():
            arguments.append("--force")
        ended = run(arguments, above / "log")
        assert ended.status in _ENDS_WELL, (trial, ended.err)
        found = contents(above / "run")
        assert found.keys() == expected.keys(), (trial, found.keys() ^ expected.keys())
        for file, content in expected.items():
            assert _same(file, found[file], content, above / "run", place / "whole"), (trial, file)
        left = sorted(entry.name for entry in above.iterdir())
        assert left == ["log", "run"], (trial, left)
        shutil.rmtree(above)
    return hit


def _same(file: str, found: Any, expected: Any, one: Path, other: Path) -> bool:
    if file == "results.nc":  # HDF5 writes the hour of its making
        import xarray

        with xarray.open_dataset(one / file) as a, xarray.open_dataset(other / file) as b:
            return a.identical(b)
    if file == "SHA256SUMS" or isinstance(found, bytes):
        return found == expected
    return json.loads(json.dumps(found).replace(str(one), "OUT")) == json.loads(
        json.dumps(expected).replace(str(other), "OUT")
    )


def _flip(file: Path, draws: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[draws.randrange(len(content))] ^= 1 << draws.randrange(8)
    file.write_bytes(content)


def damages(trials: int, place: Path, *, seed: int = 0) -> dict[str, tuple[int, int]]:
    """Flip one random bit of a file, then read it: kind → how many were refused (or passed over), and harmless."""
    draws = random.Random(seed)
    _problem(place)
    expected, _ = undisturbed("train", place)
    model = load_run(place / "whole").model.state_dict()
    found = {}
    for kind in ("run.json", "weights.safetensors", "SHA256SUMS"):
        refused = harmless = 0
        for _ in range(trials):
            folder = shutil.copytree(place / "whole", place / "damaged")
            _flip(folder / kind, draws)
            try:
                again = load_run(folder)
            except InvalidInputError as error:
                refused += "\n" not in str(error)
            else:
                weights = again.model.state_dict()
                assert all(torch.equal(value, weights[name]) for name, value in model.items()), kind
                assert _timeless(again.record.to_dict()) == expected["run.json"], kind
                harmless += 1
            shutil.rmtree(folder)
        found[kind] = refused, harmless
    found["checkpoint"] = _damaged_checkpoints(trials, place, draws)
    return found


def _damaged_checkpoints(trials: int, place: Path, draws: random.Random) -> tuple[int, int]:
    """The newest of two checkpoints is damaged: the one before is taken, or what is read is the same to the bit."""
    child = start(_train(place, place / "halted"), place / "log")
    folder = place / ".halted.checkpoints"
    while len(list(folder.glob("step-*.safetensors"))) < 2:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    wait(child, place / "log")
    kept, _ = latest_checkpoint(folder)
    assert kept is not None
    passed_over = harmless = 0
    for _ in range(trials):
        copy = shutil.copytree(folder, place / "copy")
        newest = max(copy.glob("step-*.safetensors"))
        _flip(newest, draws)
        read, notes = latest_checkpoint(copy)
        assert read is not None
        if read.step == kept.step:
            assert read.state == kept.state
            assert all(torch.equal(value, kept.tensors[name]) for name, value in read.tensors.items())
            harmless += 1
        else:
            assert read.step < kept.step
            assert notes
            passed_over += 1
        shutil.rmtree(copy)
    return passed_over, harmless


def disk_full(name: str, trials: int, place: Path, *, seed: int = 0) -> int:
    """No file may become larger than a random size: how many of the commands were stopped by it, each in one line."""
    draws, stopped = random.Random(seed), 0
    _problem(place)
    expected, _ = undisturbed(name, place)
    largest = max(len(content) for content in expected.values() if isinstance(content, bytes))
    for trial in range(trials):
        above = place / f"full-{trial}"
        above.mkdir()
        arguments = COMMANDS[name](place, above / "run")
        ended = run(arguments, above / "log", most_bytes=draws.randrange(largest))
        if ended.status not in _ENDS_WELL:
            stopped += 1
            assert ended.status == 2, (trial, ended)
            assert ended.err.count("\n") == 1, (trial, ended)
            assert name in ("sweep", "reproduce") or not (above / "run").exists()
            assert run(arguments, above / "log").status in _ENDS_WELL
        assert contents(above / "run").keys() == expected.keys()
        left = sorted(entry.name for entry in above.iterdir())
        assert left == ["log", "run"], (trial, left)
        shutil.rmtree(above)
    return stopped


def two_at_once(name: str, place: Path) -> None:
    """Of two commands on one folder one ends well, and the other is refused while the first still works."""
    _problem(place)
    expected, _ = undisturbed(name, place)
    arguments = COMMANDS[name](place, place / "run")
    first = start(arguments, place / "log-1")
    lock = place / ("run/.lock" if name == "sweep" else ".run.lock")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(OSError):
            if lock.read_text() == str(first):
                break
        time.sleep(0.001)
    second = run(arguments, place / "log-2")
    assert second.status == 2, second
    assert f"process {first}" in second.err
    assert second.err.count("\n") == 1
    assert wait(first, place / "log-1").status == 0
    assert contents(place / "run").keys() == expected.keys()


def main() -> None:
    """All of them, with their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[*COMMANDS, "damages"], help="one command, or the damaged files")
    options = parser.parse_args()
    commands = [name for name in COMMANDS if options.only in (None, name)]
    new_figure(1, 1)

    def inside(task: Callable[[Path], Any]) -> Any:
        with tempfile.TemporaryDirectory() as place:
            return task(Path(place))

    for name in commands:
        hit = inside(lambda place, name=name: kills(name, options.trials, place, seed=options.seed))
        print(f"{name}: {options.trials} kills, {hit} of a living process: the same results, nothing left", flush=True)
    for name in (name for name in commands if name in REPLACING):
        hit = inside(lambda place, name=name: kills(name, options.trials, place, seed=options.seed, replaced=True))
        print(f"{name} --force: {options.trials} kills, {hit} of a living process: the old run or the new", flush=True)
    damaged = inside(lambda place: damages(options.trials, place)) if options.only in (None, "damages") else {}
    for kind, (refused, harmless) in damaged.items():
        print(f"{kind}: {refused + harmless} flipped bits: {refused} refused, {harmless} harmless", flush=True)
    for name in commands:
        stopped = inside(lambda place, name=name: disk_full(name, options.trials, place))
        print(f"{name}: {options.trials} full disks, {stopped} of them stopped it, in one line", flush=True)
    for name in (name for name in commands if name in LOCKING):
        inside(lambda place, name=name: two_at_once(name, place))
        print(f"{name}: of two at once one is refused", flush=True)


if __name__ == "__main__":
    main()
