"""What a command takes, as its signature says it: the golden file of all commands is written and compared by this."""

from __future__ import annotations

import enum
import inspect
import json
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from typer.models import ParameterInfo

from pnc.cli.main import COMMANDS

GOLDEN = Path(__file__).parents[1] / "golden" / "command_line.json"


def options_of(command: Any) -> dict[str, dict[str, Any]]:
    """Name of each parameter → its flags, type, choices, default, metavar, help, panel and least value."""
    found = {}
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if get_origin(parameter.annotation) is not Annotated:
            continue  # typer.Context
        kind, *rest = get_args(parameter.annotation)
        (said,) = (one for one in rest if isinstance(one, ParameterInfo))
        flags = [] if said.default is ... else [said.default]
        default = parameter.default
        found[parameter.name] = {
            "flags": [*flags, *(said.param_decls or ())],
            "type": _words(kind),
            "required": default is parameter.empty,
            "default": None if default is parameter.empty else _plain(default),
            "metavar": said.metavar,
            "help": said.help,
            "panel": said.rich_help_panel,
            "least": said.min,
        }
    return found


def _words(kind: Any) -> str:
    if get_origin(kind) in (Union, types.UnionType):
        return " | ".join(_words(one) for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is list:
        return f"list of {_words(get_args(kind)[0])}"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if issubclass(kind, enum.Enum):
        return f"one of {', '.join(one.value for one in kind)}"
    return kind.__name__


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def command_line() -> dict[str, Any]:
    """Every command's options, in the words above."""
    return {command.__name__: options_of(command) for command in COMMANDS}


if __name__ == "__main__":
    commands = [
        f" {json.dumps(name)}: {{\n"
        + ",\n".join(f"  {json.dumps(key)}: {json.dumps(of, ensure_ascii=False)}" for key, of in options.items())
        + "\n }"
        for name, options in command_line().items()
    ]
    GOLDEN.write_text("{\n" + ",\n".join(commands) + "\n}\n", encoding="utf-8")
