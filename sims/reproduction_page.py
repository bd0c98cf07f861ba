"""docs/reproduction.md out of a kept result: published beside measured, no number typed by hand.

    python -m sims.reproduction_page            # writes docs/reproduction.md
    python -m sims.reproduction_page --keep DIR # takes the result of `pnc reproduce published --out DIR` first

Kept results lie in sims/kept/: what was measured, when, on what, by which command, and a digest of the code that did.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import sys
from datetime import date
from pathlib import Path
from typing import Any

from pnc.records import software_versions
from pnc.report.text import number

from .published_values import ROWS, SOURCES, Published

__all__ = ["code_digest", "keep", "kept", "page", "stale"]

_HERE = Path(__file__).parent
_KEPT = _HERE / "kept" / "published.json"
_CODE = ("published.py", "fig6_assumptions.py")
_COMMAND = "pnc reproduce published --scale paper"


def code_digest() -> str:
    """Of the code that measures: a row that was measured by other code is stale."""
    found = hashlib.sha256()
    for name in _CODE:
        found.update((_HERE / name).read_bytes())
    return found.hexdigest()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def keep(folder: Path) -> None:
    """Take the result of a run into what is kept."""
    result = json.loads((folder / "published.json").read_text(encoding="utf-8"))
    record = {
        "command": _COMMAND, "date": date.today().isoformat(), "machine": _processor(),
        "software": software_versions(), "code": code_digest(), "result": result,
    }  # fmt: skip
    _KEPT.parent.mkdir(exist_ok=True)
    _KEPT.write_text(json.dumps(record, sort_keys=True, indent=1) + "\n", encoding="utf-8")


def kept() -> dict[str, Any]:
    """What was measured, and how."""
    return json.loads(_KEPT.read_text(encoding="utf-8"))


def stale(record: dict[str, Any]) -> list[str]:
    """Why rows are not what the code beside them would measure; empty where they are."""
    found = [] if record["code"] == code_digest() else [f"{', '.join(_CODE)} changed since {record['date']}"]
    missing = [row.measured for row in ROWS if row.measured is not None and row.measured not in record["result"]]
    return found + [f"no measurement of {name}" for name in missing]


def verdict(row: Published, found: dict[str, Any] | None) -> str:
    """Agrees, at smaller scale, differs (by how much, why), or cannot be run here (why).

    A measured mean agrees where its distance from the published one is within what that can be read to and twice the
    standard error of a difference of two means, of as many seeds as each is of.
    """
    if found is None or isinstance(row.value, str):
        return f"cannot be run here: {row.why}"
    off = found["mean"] - row.value
    reach = 2 * found["std"] * math.sqrt(1 / row.seeds + 1 / found["seeds"])
    if abs(off) <= row.precision + reach:
        return f"agrees, in another setting ({row.scale})" if row.scale else "agrees"
    why = f"; {row.scale or row.why}" if row.scale or row.why else ""
    share = f", {off / row.value:+.0%}" if row.value else ""
    return f"differs by {number(off, 2)}{share}{why}"


def _row(row: Published, record: dict[str, Any]) -> str:
    found = None if row.measured is None else record["result"][row.measured]
    value = row.value if isinstance(row.value, str) else number(row.value)
    shown = "–"
    if found is not None:
        spread = "" if math.isnan(found["std"]) else f" ± {number(found['std'], 2)}"
        shown = f"{number(found['mean'])}{spread} ({found['seeds']} seeds)"
    about = "≈ " if row.approximate else ""
    command = "–" if found is None else f"`{record['command']}`"
    when = "–" if found is None else record["date"]
    return f"| {row.what} | {about}{value} | {row.source} | {shown} | {verdict(row, found)} | {command} | {when} |"


def page(record: dict[str, Any]) -> str:
    """The page, in Markdown."""
    software = ", ".join(
        f"{name} {version}" for name, version in record["software"].items() if version and name != "commit"
    )
    lines = [
        "# Published beside measured",
        "",
        "Written by `python -m sims.reproduction_page` from kept results; a test fails where the code that measures",
        "has changed since. ≈: read off a plot. ±: standard deviation over seeds. *Agrees*: within what the published",
        "value can be read to and twice the standard error of the difference of the two means.",
        "",
        f"Measured on {record['machine']}, {record['date']}; {software}.",
        "",
        "| what | published | source | measured | outcome | command | date |",
        "|---|---|---|---|---|---|---|",
        *(_row(row, record) for row in ROWS),
        "",
        "## Sources",
        "",
        *(f"* {letter}: {said}" for letter, said in SOURCES.items()),
        "",
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Keep a result where one is given, and write the page."""
    if arguments[:1] == ["--keep"]:
        keep(Path(arguments[1]))
    target = _HERE.parent / "docs" / "reproduction.md"
    target.write_text(page(kept()), encoding="utf-8")
    print(f"{len(ROWS)} rows written to {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
