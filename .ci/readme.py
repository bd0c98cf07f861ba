"""Run every command that the given pages show with a `$ ` prompt, page by page, each in an empty folder of its own, and
check its exit status.

A line `# exit 3` after a command states a status other than 0.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def commands(text: str) -> list[tuple[str, int]]:
    """(command, expected status) of every prompt inside fenced `console` blocks, continuation lines joined."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", text, flags=re.S):
        for match in re.finditer(r"^\$ (.+(?:\\\n.+)*)$", block, flags=re.M):
            line = match[1].replace("\\\n", " ")
            status = re.search(r"#\s*exit (\d+)\s*$", line)
            found.append((line, int(status[1]) if status else 0))
    return found


def main() -> int:
    counts = [run_page(Path(page)) for page in sys.argv[1:]]
    return 1 if not counts or any(failed or not found for found, failed in counts) else 0


def run_page(page: Path) -> tuple[int, int]:
    """Number of commands, and of those that failed."""
    found = commands(page.read_text(encoding="utf-8"))
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for line, expected in found:
            if line.startswith(("git clone", "cd ", "python3 -m venv", ". ", "pip install", "pre-commit", "pytest")):
                continue  # done before, or elsewhere in the same script
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
            ok = done.returncode == expected
            failed += not ok
            print(f"{'ok  ' if ok else 'FAIL'} {time.monotonic() - start:6.1f} s  $ {line}", flush=True)
            if not ok:
                print(f"exit {done.returncode}, expected {expected}\n{done.stdout}\n{done.stderr}")
    print(f"{page}: {len(found)} commands, {failed} failed")
    return len(found), failed


if __name__ == "__main__":
    sys.exit(main())
