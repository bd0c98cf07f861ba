"""Run a command in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from pnc.cli.main import main


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """stdout as one strict JSON object."""

        def refuse(name):
            raise ValueError(f"{name} is not JSON")

        return json.loads(self.out, parse_constant=refuse)


def run(capsys, *arguments) -> Ended:
    """The command's exit status, stdout and stderr."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return Ended(status=end.value.code, out=captured.out, err=captured.err)
