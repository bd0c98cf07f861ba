"""`pnc robustness`: what is left of a network's accuracy under attack, and whether that number means anything."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnc.cli.declared import declared
from pnc.cli.options import OUTPUT, ForceOption, JsonOption, QuietOption, StyleOption
from pnc.cli.output import number, print_json, print_table, say
from pnc.report.live import live_line
from pnc.report.style import STYLES
from pnc.runs.requests import AttackRequest

if TYPE_CHECKING:
    from pnc.runs import AttackResult

__all__ = ["robustness"]


@declared(config=True)
def robustness(
    request: AttackRequest,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write numbers and every sample there.", rich_help_panel=OUTPUT)
    ] = None,
    style: StyleOption = "screen",
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Attack a network, and say MASKED (exit 3) where its defence only hides gradients."""
    from pnc.runs import attack_network

    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        result = attack_network(
            request, out=out, style=STYLES[style], force=force,
            progress=None if line is None else lambda what, share: line(what, share, ""),
        )  # fmt: skip
    if json:
        print_json(result.to_dict())
    else:
        _print(result)
        if result.folder is not None:
            say(f"written to {result.folder}")
    raise typer.Exit(result.exit_status)


def _print(attacked: AttackResult) -> None:
    result = attacked.robustness
    say(
        f"{attacked.name}, {attacked.parameters} parameters, on {result.clean.samples} samples of {attacked.data}, "
        f"{attacked.split} split"
    )
    for note in (*attacked.notes, *result.notes):
        say(f"note: {note}")
    say()
    targeted = any(one.targets is not None for one in result.attacks)
    rows = [["none", "", "", *_share(result.clean), ""]]
    for one in result.attacks:
        spec = one.spec
        tries = f" × {spec.restarts}" if spec.restarts > 1 else ""
        reached = f"{one.success_rate:.2%}"
        rows.append([spec.attack, number(spec.radius), f"{spec.steps}{tries}", *_share(one), reached])
    for noisy in result.noise:
        rows.append(["noise", number(noisy.probability), "", *_share(noisy), ""])
    norm = "".join(sorted({f" {one.spec.norm}" for one in result.attacks}))
    header = ["attack", f"radius{norm}", "steps", "accuracy", "95 % interval", "target hit"]
    kept = len(header) if targeted else len(header) - 1
    print_table(header[:kept], (row[:kept] for row in rows))
    found = result.deepfool
    if found is not None:
        say(
            f"DeepFool: ρ = mean ‖r‖/‖x‖ = {number(found.mean_relative)} ± {number(found.standard_error, 2)}, "
            f"found for {int(found.found.sum())} of {len(found.found)}"
        )
    if result.checks is None:
        say("no checks of gradient masking were made: accuracy under attack is only an upper bound")
        return
    say()
    words = {True: "holds", False: "FAILS", None: "not asked"}
    print_table(
        ["check", "", "violated by", "beyond chance"],
        (
            [
                check.name,
                words[check.passed],
                "" if check.violation is None else f"{max(0.0, check.violation):.1%}",
                "" if check.bound is None else f"{max(0.0, check.bound):.1%}",
            ]
            for check in result.checks.checks
        ),
    )
    for check in result.checks.checks:
        if not check.passed:
            say(f"{words[check.passed]}: {check.statement} ({check.detail})")
    if attacked.verdict is not None:
        say(f"\nMASKED: {attacked.verdict.value}")
    elif any(check.passed for check in result.checks.checks):
        say("\nno check fails: nothing says that gradients are masked; accuracy under attack is still an upper bound")


def _share(result: Any) -> list[str]:
    low, high = result.interval()
    return [f"{result.accuracy:.2%}", f"[{low:.2%}, {high:.2%}]"]
