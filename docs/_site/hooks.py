"""Pages that the program writes: the reference of every public name, what `--help` says, texts that lie elsewhere."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]


def rooms() -> list[str]:
    """`pnc` and its rooms, in the order of the layers."""
    import pnc

    return ["pnc", *(f"pnc.{room}" for room in sorted(pnc.ROOMS) if room != "cli")]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    pages = {
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "contributing.md": (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").replace("](docs/", "]("),
        "proofs.md": (ROOT / "proofs_check" / "LEDGER.md").read_text(encoding="utf-8").replace("](../docs/", "]("),
        "reference/command_line.md": command_line(),
        "reference/index.md": index(),
        **{f"reference/{room}.md": room_page(room) for room in rooms()},
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def _first_line(module: str) -> str:
    return (importlib.import_module(module).__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def index() -> str:
    rows = "\n".join(f"| [`{room}`]({room}.md) | {_first_line(room)} |" for room in rooms())
    return f"# Python reference\n\nEvery public name, room by room.\n\n| room | what is in it |\n|---|---|\n{rows}\n"


def room_page(room: str) -> str:
    module = importlib.import_module(room)
    names = sorted((name for name in module.__all__ if not name.startswith("_")), key=lambda name: (name[0].islower(), name))
    entries = "\n\n".join(f"::: {room}.{name}" for name in names)
    return f"# `{room}`\n\n::: {room}\n    options:\n      show_root_heading: false\n      members: false\n\n{entries}\n"


def command_line() -> str:
    """What `pnc --help` and each command's say."""
    from pnc.cli.main import COMMANDS, main

    os.environ |= {"COLUMNS": "100", "NO_COLOR": "1"}
    parts = ["# Command line\n"]
    for words in ([], *([name] for name in COMMANDS)):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            main([*words, "--help"])
        parts.append(f"## `{' '.join(['pnc', *words])}`\n\n```text\n{said.getvalue().strip()}\n```\n")
    return "\n".join(parts)
