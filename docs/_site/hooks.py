"""Pages that the program writes: the reference of every public name, what `--help` says, texts that lie elsewhere."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import os
import pkgutil
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]


def rooms() -> list[str]:
    """`pnc` and those of its rooms that a user imports."""
    import pnc

    names = sorted(f"pnc.{module.name}" for module in pkgutil.iter_modules(pnc.__path__) if module.name != "cli")
    return ["pnc", *names]


def public_names(room: str) -> list[str]:
    """What a room lists in `__all__`: classes first, then functions."""
    listed = importlib.import_module(room).__all__
    return sorted((name for name in listed if not name.startswith("__")), key=lambda name: (name[0].islower(), name))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Every room goes under "Reference" in the navigation."""
    assert config.nav is not None
    (reference,) = (entry["Reference"] for entry in config.nav if "Reference" in entry)
    reference += [{room: f"reference/{room}.md"} for room in rooms()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    def text(*path: str) -> str:
        return ROOT.joinpath(*path).read_text(encoding="utf-8")

    pages = {
        "changelog.md": text("CHANGELOG.md"),
        "contributing.md": text("CONTRIBUTING.md").replace("](docs/", "]("),
        "proofs.md": text("proofs_check", "LEDGER.md").replace("](../docs/", "]("),
        "experiments.md": text("docs", "experiments.md").replace("<!-- experiments -->", experiments()),
        "reference/command_line.md": command_line(),
        "reference/index.md": index(),
        **{f"reference/{room}.md": room_page(room) for room in rooms()},
    }
    for path, content in pages.items():
        if (there := files.get_file_from_path(path)) is not None:
            files.remove(there)
        files.append(File.generated(config, path, content=content))
    return files


def index() -> str:
    rows = []
    for room in rooms():
        said = (importlib.import_module(room).__doc__ or "").strip().split("\n\n")[0]
        rows.append(f"| [`{room}`]({room}.md) | {' '.join(said.split())} |")
    return (
        "# Python reference\n\nEvery public name, room by room.\n\n| room | what is in it |\n|---|---|\n"
        + "\n".join(rows)
    )


def room_page(room: str) -> str:
    head = f"# {room}\n\n::: {room}\n    options:\n      show_root_heading: false\n      members: false\n"
    return "\n\n".join([head, *(f"::: {room}.{name}" for name in public_names(room))]) + "\n"


def experiments() -> str:
    """Name and docstring of every experiment."""
    found = []
    for path in sorted((ROOT / "sims").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "reproduce" for node in tree.body):
            first, _, rest = (ast.get_docstring(tree) or "").partition("\n")
            found.append(f"### `{path.stem}`\n\n**{first}**\n\n{rest.strip(chr(10))}\n")
    return "## All of them\n\n" + "\n".join(found)


def command_line() -> str:
    """What `pnc --help` and the help of each command say."""
    import typer

    from pnc.cli.main import app

    os.environ |= {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    command = typer.main.get_command(app)
    parts = ["# Command line\n"]
    for words in ([], *([name] for name in getattr(command, "commands"))):  # noqa: B009 (not declared of all commands)
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            app(args=[*words, "--help"], prog_name="pnc", standalone_mode=False)
        parts.append(f"## {' '.join(['pnc', *words])}\n\n```text\n{said.getvalue().strip()}\n```\n")
    return "\n".join(parts)
