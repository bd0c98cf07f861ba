"""`pnc verify`: run the proof ledger."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pnc.cli.beside import beside
from pnc.cli.options import JsonOption, SeedOption
from pnc.cli.output import number, print_json, print_table
from pnc.errors import InvalidInputError

__all__ = ["proofs_check", "verify"]


class DepthChoice(StrEnum):
    quick = "quick"
    standard = "standard"
    deep = "deep"


def verify(
    only: Annotated[str | None, typer.Option("--only", metavar="T5,U1,…", help="Some statements; default all.")] = None,
    depth: Annotated[
        DepthChoice, typer.Option("--depth", help="How many instances the ball checks and stress tests try.")
    ] = DepthChoice.standard,
    attack: Annotated[
        int,
        typer.Option(
            "--attack", metavar="RESTARTS", help="Try to break every inequality instead, from so many starts."
        ),
    ] = 0,
    save: Annotated[
        Path | None, typer.Option("--save", help="With --attack: keep the best instances there, replayable.")
    ] = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
) -> None:
    """Check every step of every proof by machine; exit 3 where one is open or refuted."""
    if attack < 0:
        raise InvalidInputError(
            got=f"--attack {attack}", expected="a number of restarts above 0", next_step="pass --attack 10000"
        )
    progress = None if quiet else _on_stderr
    if attack:
        if only is not None:
            raise InvalidInputError(
                got="--attack with --only", expected="one of them", next_step="leave out --only: all are attacked"
            )
        raise typer.Exit(_attack(attack, seed=seed, save=save, json=json, progress=progress))
    ledger = proofs_check()
    report = ledger.verify(only, depth=depth.value, seed=seed, progress=progress)
    if json:
        print_json(report.to_dict())
    else:
        _print_report(report)
    raise typer.Exit(0 if report.status.value == "DISCHARGED" else 3)


def proofs_check(module: str = "") -> Any:
    """The ledger, or a module of it: it lies beside the library and is loaded by name, for `pnc` does not depend on it.

    Raises:
        InvalidInputError: the ledger, or a library that it proves with, is not installed.
    """
    package = beside("pnc_proofs", "proofs_check")
    try:
        if package is None:
            raise ModuleNotFoundError(name="pnc_proofs")
        return importlib.import_module(f"{package}{module}")
    except ModuleNotFoundError as error:
        raise InvalidInputError(
            got=f"no module {error.name}",
            expected="the proof ledger and what it proves with",
            next_step="pip install python-flint z3-solver",
        ) from error


def _print_report(report: Any) -> None:
    for item in report.statements:
        tight = "" if item.slack is None else f", smallest slack {number(item.slack, 3)}"
        print(f"{item.number} {item.title}: {report.effective_status(item.number).value}{tight}")
        for step in item.steps:
            slack = "" if step.slack is None else f" (slack {number(step.slack, 3)})"
            print(f"  {step.key:<4}{step.status.value:<11} {step.kind.value}: {' '.join(step.claim.split())}{slack}")
            if step.status.value != "DISCHARGED":
                print(f"      {step.evidence}")
    steps = [step for item in report.statements for step in item.steps]
    done = sum(step.status.value == "DISCHARGED" for step in steps)
    print(
        f"\n{report.status.value}: {done} of {len(steps)} steps of {len(report.statements)} statements discharged, "
        f"{report.depth} depth, seed {report.seed}, {report.seconds:.1f} s"
    )


def _on_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def _attack(restarts: int, *, seed: int, save: Path | None, json: bool, progress: Callable[[str], None] | None) -> int:
    proofs_check().require_provers()
    results = proofs_check(".attacks").attack_all(
        restarts=restarts, steps=100, seed=seed, folder=save, progress=progress
    )
    broken = [result.name for result in results if result.violated]
    if json:
        print_json(
            {
                "restarts": sum(result.restarts for result in results),
                "seed": seed,
                "violated": broken,
                "attacks": [
                    {
                        "name": result.name,
                        "restarts": result.restarts,
                        "slack": result.slack,
                        "slack_interval": [result.ball_slack_lower, result.ball_slack_upper],
                        "reach": result.reach,
                        "saved": None if result.path is None else str(result.path),
                    }
                    for result in results
                ],
            }
        )
    else:
        print_table(
            ["attack", "restarts", "reach", "smallest slack, enclosed"],
            (
                [
                    result.name,
                    str(result.restarts),
                    f"{result.reach:.5f}",
                    f"[{result.ball_slack_lower:.4e}, {result.ball_slack_upper:.4e}]",
                ]
                for result in results
            ),
        )
        total = sum(result.restarts for result in results)
        print(f"\n{'VIOLATED: ' + ', '.join(broken) if broken else f'no violation in {total} restarts'}")
    return 3 if broken else 0
