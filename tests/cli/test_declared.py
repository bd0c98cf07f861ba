"""The command line as a whole: what every command takes is what it took, word by word."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from pnc.cli.declared import declared
from pnc.cli.flags import Command
from pnc.cli.main import COMMANDS, app
from pnc.errors import InvalidInputError
from pnc.fields import Group, Number, Option, Whole
from pnc.spec import LowRankSpec, NetworkSpec, SimulationSpec
from pnc.spec.shared import NONE_IS_ZERO, SHARES
from tests.cli.commands import run
from tests.cli.signatures import GOLDEN, command_line

BEFORE = json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("command", [command.__name__ for command in COMMANDS])
def test_nothing_of_the_command_line_is_lost(command):
    """Every flag with its type, default, metavar, help, panel and order within its panel; new ones may be added."""
    now = command_line()[command]
    for name, option in BEFORE[command].items():
        assert now.get(name) == option, name
    for panel in {option["panel"] for option in BEFORE[command].values()}:
        before = [name for name, option in BEFORE[command].items() if option["flags"] and option["panel"] == panel]
        assert [name for name in now if name in before] == before


@dataclass(frozen=True, kw_only=True)
class Longer(SimulationSpec):
    """What a contributor does who adds an option: one line in a spec."""

    patience: Annotated[int, Whole(1), Option("Steps without progress.", panel="Training")] = 7
    pieces: Annotated[int | None, Whole(1), Option("0: none.", text=NONE_IS_ZERO)] = 5
    ends: Annotated[tuple[float, ...], Number(above=0), Option("Where it pauses.", text=SHARES)] = (0.5,)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Specs within a spec, one of which may be left out, and fields that differ here."""

    network: Annotated[NetworkSpec, Group(defaults={"depth": 6}, only=("depth", "residual_scale", "width"))]
    simulation: Longer = dataclasses.field(default_factory=Longer)
    low_rank: LowRankSpec | None = None
    pause: Annotated[bool, Option("Whether.", switch=True)] = True


def command_of(seen, *, config=True):
    """A command line of one command that keeps what it was asked."""

    @declared(config=config)
    def work(asked: Asked, quiet: Annotated[bool, typer.Option("--quiet")] = False) -> None:
        seen.append((asked, quiet))

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=Command)(work)
    app.callback()(lambda: None)
    return app


def asked(*arguments):
    seen = []
    command_of(seen)(["work", *map(str, arguments)], standalone_mode=False)
    return seen[0]


def test_an_option_that_is_declared_once_is_everywhere():
    """Help, command line, TOML file and recorded run know the new field, with its limits; the spec is what names it."""
    request, quiet = asked("--patience", 9, "--epsilon", 0.4, "--seed", 3, "--quiet")
    assert (request.simulation.patience, request.network.residual_scale, request.simulation.seed) == (9, 0.4, 3)
    assert quiet
    assert asked()[0] == Asked(network=NetworkSpec(depth=6))
    help_text = CliRunner().invoke(command_of([]), ["work", "--help"], env={"COLUMNS": "120", "NO_COLOR": "1"}).output
    assert "--patience" in help_text
    assert "Steps without progress." in help_text
    with pytest.raises(
        InvalidInputError, match=r"got patience = 0; expected .*1 or more; pass for instance --patience 1"
    ):
        asked("--patience", 0)


def test_a_file_takes_the_place_of_options_and_options_win(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(
        "patience = 11\nepsilon = 0.25\nends = [0.25, 0.75]\npause = false\nloss-tolerance = 1e-12\n"
        'engine = "descent"\nlow_rank_site = ["stage3", "stage4"]\n',
        encoding="utf-8",
    )
    request, _ = asked("--config", path, "--epsilon", 0.5)
    assert request == Asked(
        network=NetworkSpec(depth=6, residual_scale=0.5),
        simulation=Longer(patience=11, ends=(0.25, 0.75), loss_tolerance=1e-12, engine="descent"),
        low_rank=LowRankSpec(sites=("stage3", "stage4")),
        pause=False,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("patence = 3", "unknown key 'patence' in .*did you mean patience?"),
        ("residual_scale = 3", "unknown key 'residual_scale'"),
        ("patience = true", "patience = True in .*; expected a value of the kind that --patience takes"),
        ("patience = [1]", r"patience = \[1\]"),
        ("pause = 'yes'", "pause = 'yes'"),
        ("patience = 0", "patience = 0"),
        ("[network]\ndepth = 3", "unknown key 'network'"),
        ("config = 'x'", "unknown key 'config'"),
        ("patience", "is not TOML"),
        ("patience = " + "9" * 5000, "is not TOML"),
        ("patience = " + "[" * 50000, "is not TOML"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_line(tmp_path, text, said):
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError, match=said) as caught:
        asked("--config", path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["patience = 2.5", "patience = 'many'", "engine = 'steam'"])
def test_a_value_of_a_file_is_read_as_if_it_were_typed(tmp_path, text):
    """2.5 is no whole number, in a file as on the command line."""
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=r"integer|'flow', 'descent'") as caught:
        asked("--config", path)
    assert "Invalid value for '--" in caught.value.format_message()


def test_a_recorded_run_is_asked_for_again(tmp_path):
    first, _ = asked(
        "--pieces",
        0,
        "--depth",
        4,
        "--patience",
        2,
        "--ends",
        "0.2,0.4",
        "--low-rank-site",
        "a",
        "--rank",
        3,
        "--no-pause",
    )
    record = {"command": "work", "request": dataclasses.asdict(first)}
    (tmp_path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    assert asked("--config", tmp_path)[0] == first
    assert asked("--config", tmp_path, "--depth", 5)[0].network.depth == 5
    (tmp_path / "run.json").write_text(json.dumps(record | {"command": "train"}), encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"a run of `pnc train`.*one of `pnc work`"):
        asked("--config", tmp_path)
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="does not say what was asked for"):
        asked("--config", tmp_path)


def test_a_command_may_ask_for_what_was_given_and_no_more():
    """Such a mapping can go over what a file says: a default of the spec would hide it."""
    seen = []

    @declared()
    def work(given: Annotated[dict[str, object], Group(stated=Longer)]) -> None:
        seen.append(given)

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=Command)(work)
    app.callback()(lambda: None)
    app(["work"], standalone_mode=False)
    app(["work", "--patience", "7", "--ends", "0.2,0.4", "--engine", "flow"], standalone_mode=False)
    assert seen == [{}, {"patience": 7, "ends": (0.2, 0.4), "engine": "flow"}]


def test_options_of_a_spec_that_was_not_asked_for_are_refused():
    with pytest.raises(InvalidInputError, match="got --rank without --low-rank-site"):
        asked("--rank", 3)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("pnc train --low-rank-", "--low-rank-site"), ("pnc simu", "simulate"), ("pnc simulate --weights ", "orthogonal")],
)
def test_the_shell_completes_commands_options_and_names(typed, offered):
    """What Typer's completion script of bash asks for."""
    words = {"_PNC_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    ended = CliRunner().invoke(app, [], env=words, prog_name="pnc")
    assert offered in ended.output.split()


NUMERIC = [
    (command, name, option)
    for command in ("predict", "simulate", "train", "measure", "robustness", "compress", "compare")
    for name, option in BEFORE[command].items()
    if option["type"] in ("int", "float") and option["flags"]
]


@pytest.mark.parametrize(("command", "name", "option"), NUMERIC, ids=[f"{c} {n}" for c, n, _ in NUMERIC])
def test_no_number_is_a_traceback(command, name, option, capsys, tmp_path, monkeypatch):
    """Thousands of digits, what is not finite, and words: one line and status 2 from every numeric option."""
    monkeypatch.chdir(tmp_path)
    np.savez("f.npz", y=[0, 0, 1, 1], layer_0=[[0.0], [2.0], [4.0], [6.0]])
    np.savez("p.npz", y=[0, 0, 1, 1], X=[[0.0], [2.0], [4.0], [6.0]])
    rest = {
        "train": ("mlp", "--data", "p.npz", "--low-rank-site", "body.0"),
        "measure": ("mlp", "--data", "p.npz"),
        "robustness": ("nothing",),
        "compress": ("nothing", "--site", "a"),
        "compare": ("f.npz",),
    }.get(command, ())
    for words in ("9" * 5000, "nan", "-inf"):
        ended = run(capsys, command, *rest, f"{option['flags'][0]}={words}")
        assert ended.status == 2, words[:20]
        assert ended.out == ""
        assert ended.err.count("\n") == 1
        assert len(ended.err) < 6000
