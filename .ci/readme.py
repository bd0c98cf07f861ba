"""Run every command that the given pages show with a `$ ` prompt, page by page, each in an empty folder of its own.

Checked is the exit status and, where a `text` block follows, that the lines shown are those printed.

A line `# exit 3` after a command states a status other than 0. In a text block `…` stands for lines that are left out;
times (`1.2 s`) may differ.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

_ELSEWHERE = ("git clone", "cd ", "python3 -m venv", ". ", "pip install", "pre-commit", "pytest")


@dataclass
class Shown:
    """A command, the exit status that is expected, and the lines that are shown of its output."""

    line: str
    status: int
    output: list[str] = field(default_factory=list)


def commands(text: str) -> list[Shown]:
    """Every prompt inside fenced `console` blocks, continuation lines joined, with the `text` block that follows."""
    found: list[Shown] = []
    for kind, block in re.findall(r"```(console|text)\n(.*?)```", text, flags=re.S):
        if kind == "text":
            if found and not found[-1].output:
                found[-1].output = block.splitlines()
            continue
        for match in re.finditer(r"^\$ (.+(?:\\\n.+)*)$", block, flags=re.M):
            line = match[1].replace("\\\n", " ")
            status = re.search(r"#\s*exit (\d+)\s*$", line)
            found.append(Shown(line, int(status[1]) if status else 0))
    return found


def missing(shown: list[str], printed: str) -> str | None:
    """The first line that is shown and not printed, in the order shown; `None` where all are."""
    lines = iter(_plain(line) for line in printed.splitlines())
    wanted = (_plain(line) for line in shown if line.strip() not in ("", "…"))
    return next((line for line in wanted if line not in lines), None)


def _plain(line: str) -> str:
    return re.sub(r"\d+(\.\d+)? s\b", "T s", line).rstrip()


def main() -> int:
    counts = [run_page(Path(page)) for page in sys.argv[1:]]
    return 1 if not counts or any(failed or not found for found, failed in counts) else 0


def run_page(page: Path) -> tuple[int, int]:
    """Number of commands, and of those that failed."""
    found = commands(page.read_text(encoding="utf-8"))
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for shown in found:
            line = shown.line
            if line.startswith(_ELSEWHERE):  # done before, or elsewhere in the same script
                line = line.rpartition("&& ")[2]
                if not (shown.output and line.startswith("pnc ")):
                    continue
            start = time.monotonic()
            done = subprocess.run(
                line,
                shell=True,
                cwd=folder,
                env=os.environ | {"NO_COLOR": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
            lacking = missing(shown.output, done.stdout)
            ok = done.returncode == shown.status and lacking is None
            failed += not ok
            print(f"{'ok  ' if ok else 'FAIL'} {time.monotonic() - start:6.1f} s  $ {line}", flush=True)
            if lacking is not None:
                print(f"shown in {page} and not printed: {lacking!r}")
            if not ok:
                print(f"exit {done.returncode}, expected {shown.status}\n{done.stdout}\n{done.stderr}")
    print(f"{page}: {len(found)} commands, {failed} failed")
    return len(found), failed


if __name__ == "__main__":
    sys.exit(main())
