"""The command line as a whole: what every command takes is what it took, word by word."""

from __future__ import annotations

import json

import pytest

from pnc.cli.main import COMMANDS
from tests.cli.signatures import GOLDEN, command_line

BEFORE = json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("command", [command.__name__ for command in COMMANDS])
def test_nothing_of_the_command_line_is_lost(command):
    """Every flag with its type, default, metavar, help, panel and order within its panel; new ones may be added."""
    now = command_line()[command]
    for name, option in BEFORE[command].items():
        assert now.get(name) == option, name
    for panel in {option["panel"] for option in BEFORE[command].values()}:
        before = [name for name, option in BEFORE[command].items() if option["panel"] == panel]
        assert [name for name in now if name in before] == before
