"""Mutation testing: one-line changes drawn at random, each run against the tests that reach the changed line.

    python -m tests.mutation map --out build/mutation                       # which test reaches which line: minutes
    python -m tests.mutation run --out build/mutation --count 150 --seed 0  # seconds a mutant; may be interrupted

The mutants are those of cosmic-ray. A place in the code is drawn first, uniformly, then one of the changes that can be
made there. Runs happen in a copy of the tree; of the tests that reach the line the fastest come first; what survives
them is run against every test that reaches the file. `--out` keeps a line of JSON for each mutant.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Mutant", "draw", "run"]

ROOMS = ("theory", "measure", "compare", "records")
TESTS = tuple(f"{place}/{room}" for room in ROOMS for place in ("tests", "pnc"))
TESTS += ("tests/test_curves.py", "tests/report", "tests/choose", "tests/runs")
LONGEST_TEST, LONGEST_RUN, LONGEST_REST = 8.0, 200.0, 40.0  # seconds
_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow")
_ORDER = ("Eq", "NotEq", "Lt", "LtE", "Gt", "GtE")
OPERATORS = (
    *(f"core/ReplaceBinaryOperator_{a}_{b}" for a in _ARITHMETIC for b in _ARITHMETIC if a != b),
    *(f"core/ReplaceComparisonOperator_{a}_{b}" for a in _ORDER for b in _ORDER if a != b),
    "core/ReplaceComparisonOperator_Is_IsNot",
    "core/ReplaceComparisonOperator_IsNot_Is",
    "core/ReplaceUnaryOperator_USub_UAdd",
    "core/ReplaceUnaryOperator_Delete_USub",
    "core/ReplaceUnaryOperator_Delete_Not",
    "core/ReplaceUnaryOperator_Delete_Invert",
    "core/AddNot",
    "core/ReplaceTrueWithFalse",
    "core/ReplaceFalseWithTrue",
    "core/ReplaceAndWithOr",
    "core/ReplaceOrWithAnd",
    "core/ReplaceBreakWithContinue",
    "core/ReplaceContinueWithBreak",
    "core/NumberReplacer",
    "core/ZeroIterationForLoop",
)


@dataclass(frozen=True)
class Mutant:
    """One change: the operator of cosmic-ray and its occurrence in the module, and the line where it acts."""

    module: str
    line: int
    operator: str
    occurrence: int


def draw(modules: list[str], count: int, seed: int) -> list[Mutant]:
    """So many mutants of these modules: places drawn uniformly without replacement, then a change at each."""
    from cosmic_ray.ast import ast_nodes, get_ast_from_path
    from cosmic_ray.plugins import get_operator

    operators = [(name, get_operator(name)()) for name in OPERATORS]
    places: dict[tuple[Any, ...], list[Mutant]] = defaultdict(list)
    for module in modules:
        nodes = list(ast_nodes(get_ast_from_path(Path(module))))
        for name, operator in operators:
            positions = (position for node in nodes for position in operator.mutation_positions(node))
            for occurrence, (start, end) in enumerate(positions):
                places[(module, *start, *end)].append(Mutant(module, start[0], name, occurrence))
    generator = random.Random(seed)
    chosen = generator.sample(sorted(places), min(count, len(places)))
    order = [sorted(places[place], key=lambda m: (m.operator, m.occurrence)) for place in chosen]
    return [generator.choice(mutants) for mutants in order]


class Reach:
    """Which tests reach a line or a file, and how long each takes."""

    def __init__(self, folder: Path, root: Path) -> None:
        from coverage import CoverageData

        self._data = CoverageData(basename=str(folder / "coverage"))
        self._data.read()
        self._root = root
        self.seconds: dict[str, float] = json.loads((folder / "seconds.json").read_text())
        self._of_file: dict[str, list[str]] = defaultdict(list)
        for test in self.seconds:
            self._of_file[test.partition("::")[0]].append(test)

    def _tests(self, contexts: list[str]) -> set[str]:
        found: set[str] = set()
        for context in contexts:
            test, _, phase = context.rpartition("|")
            if phase == "run":
                found.add(test)
            elif test:  # a fixture may serve every test of its file
                found |= set(self._of_file[test.partition("::")[0]])
        return {test for test in found if self.seconds.get(test, LONGEST_TEST + 1) <= LONGEST_TEST}

    def line(self, module: str, line: int) -> list[str]:
        """The tests that run a line, the fastest first."""
        contexts = self._data.contexts_by_lineno(str(self._root / module)).get(line, [])
        return sorted(self._tests(list(contexts)), key=lambda test: self.seconds[test])

    def file(self, module: str) -> list[str]:
        """The tests that run anything of a module, the fastest first."""
        by_line = self._data.contexts_by_lineno(str(self._root / module)).values()
        return sorted(self._tests([c for contexts in by_line for c in contexts]), key=lambda test: self.seconds[test])


def survey(folder: Path, tests: list[str]) -> None:
    """Run the tests once and keep which reaches which line, and the seconds of each."""
    import pytest

    seconds: Counter[str] = Counter()

    class Times:
        def pytest_runtest_logreport(self, report: Any) -> None:
            seconds[report.nodeid] += report.duration

    folder.mkdir(parents=True, exist_ok=True)
    os.environ["COVERAGE_FILE"] = str(folder / "coverage")
    rooms = [f"--cov=pnc.{room}" for room in ROOMS]
    options = ["-q", "-p", "no:cacheprovider", "-m", "not slow", "--cov-context=test", "--cov-report="]
    status = pytest.main([*options, *rooms, *tests], plugins=[Times()])
    (folder / "seconds.json").write_text(json.dumps(dict(seconds)))
    (folder / "root").write_text(os.getcwd())
    if status:
        raise SystemExit(f"the tests fail without any mutant (status {int(status)})")


def _copy(folder: Path) -> None:
    """The tracked and new files of the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if Path(name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, folder / name)


def _tried(tests: list[str], seconds: float, *options: str) -> tuple[str, str]:
    """`killed` and the test that failed, `timeout`, or `survived`; the tests run in a fork, in the present folder."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        for name in [
            name for name in sys.modules if name.partition(".")[0] in ("pnc", "sims", "proofs_check", "tests")
        ]:
            del sys.modules[name]
        sys.path[:] = [os.getcwd(), *(entry for entry in sys.path if entry not in ("", os.getcwd()))]
        os.environ |= {"PYTHONPATH": os.getcwd(), "HYPOTHESIS_PROFILE": "first"}
        import pytest

        class First:
            def pytest_runtest_logreport(self, report: Any) -> None:
                if report.failed:
                    os.write(writing, report.nodeid.encode()[:2000] + b"\n")

        status = 3
        with contextlib.suppress(BaseException):
            # plugins are imported here already, which pytest would warn of
            quietly = ["-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
            status = int(pytest.main(["-x", "-q", *quietly, *options, *tests], plugins=[First()]))
        os._exit(status)
    os.close(writing)
    end = time.monotonic() + seconds
    status = None
    while status is None and time.monotonic() < end:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        else:
            time.sleep(0.02)
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    if status is None:
        os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as stream:
        failed = stream.read().decode(errors="replace").partition("\n")[0]
    if status is None:
        return "timeout", ""
    if status not in (0, 1, 2, 4):  # passed, failed, a module that does not import, tests that it then lacks
        raise RuntimeError(f"pytest ends with {status}")
    return ("survived", "") if status == 0 else ("killed", failed or f"pytest ends with {status}")


def _change(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def run(mutants: list[Mutant], reach: Reach, root: Path) -> Iterator[dict[str, Any]]:
    """Each mutant's change and its end; `root` holds a copy of the tree that may be written to."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    os.chdir(root)
    for mutant in mutants:
        path = Path(mutant.module)
        before = path.read_text(encoding="utf-8")
        after = mutate_code(before, get_operator(mutant.operator)(), mutant.occurrence) or before
        start = time.monotonic()
        near, far = reach.line(mutant.module, mutant.line), reach.file(mutant.module)
        try:
            _write(path, after)
            end, by = _tried(near, LONGEST_RUN) if near else ("survived", "")
            if end == "timeout" and 4 * sum(reach.seconds[test] for test in near) > LONGEST_RUN:
                end = "survived"  # many tests on a busy machine, and not a loop without an end
            if end == "survived" and len(far) > len(near):
                rest = [test for test in far if test not in set(near)]
                end, by = _tried(rest, LONGEST_REST if near else LONGEST_RUN)
                end = "survived" if end == "timeout" else end
        finally:
            _write(path, before)
        seconds = time.monotonic() - start
        found = {"change": _change(before, after), "end": end, "by": by, "tests": len(near), "seconds": seconds}
        yield asdict(mutant) | found


def _write(path: Path, code: str) -> None:
    """The code, and no compiled one of the same second and length."""
    path.write_text(code, encoding="utf-8")
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
        compiled.unlink()


def main() -> None:
    """`map` or `run`."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("task", choices=["map", "run"])
    parser.add_argument("--out", type=Path, default=Path("build/mutation"))
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no mutant after so many seconds")
    parser.add_argument("--again", action="store_true", help="only the mutants that survived, with today's tests")
    parser.add_argument("--only", default="pnc", help="only the drawn mutants of modules whose path begins so")
    parser.add_argument("tests", nargs="*", help="for `map`: which tests; default those of the rooms", default=TESTS)
    given = parser.parse_args()
    out = given.out.resolve()
    if given.task == "map":
        survey(out, list(given.tests))
        return
    modules = sorted(p.as_posix() for room in ROOMS for p in Path("pnc", room).rglob("*.py") if p.stat().st_size)
    mutants = draw(modules, given.count, given.seed)
    results = out / f"seed{given.seed}{'-again' if given.again else ''}.jsonl"
    done = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    known = {(d["module"], d["operator"], d["occurrence"]) for d in done}
    if given.again:
        first = [json.loads(line) for line in (out / f"seed{given.seed}.jsonl").read_text().splitlines()]
        alive = {(d["module"], d["operator"], d["occurrence"]) for d in first if d["end"] == "survived"}
        mutants = [m for m in mutants if (m.module, m.operator, m.occurrence) in alive]
    left = [m for m in mutants if (m.module, m.operator, m.occurrence) not in known and m.module.startswith(given.only)]
    # imported once, before the forks
    import hypothesis
    import scipy.linalg
    import scipy.optimize
    import scipy.special
    import scipy.stats
    import sympy
    import torch

    del hypothesis, scipy, sympy, torch
    end = time.monotonic() + given.seconds
    reach = Reach(out, Path((out / "root").read_text()))
    with tempfile.TemporaryDirectory() as folder, results.open("a") as stream:
        _copy(Path(folder))
        os.chdir(folder)
        for options in (["--collect-only"], []):
            tests = sorted(reach.seconds, key=lambda test: reach.seconds[test])
            if _tried(tests if options else tests[:200], 600.0, *options)[0] != "survived":
                raise SystemExit("the tests that were kept fail without any mutant: map them again")
        for found in run(left, reach, Path(folder)):
            stream.write(json.dumps(found) + "\n")
            stream.flush()
            done.append(found)
            if found["end"] == "survived":
                print(f"{found['module']}:{found['line']}", *found["change"], sep="\n  ", flush=True)
            if time.monotonic() > end:
                break
    counts = Counter(found["end"] for found in done)
    print(
        f"seed {given.seed}: {len(done)} of {len(mutants)} mutants:", ", ".join(f"{n} {e}" for e, n in counts.items())
    )


if __name__ == "__main__":
    main()
