"""`pnc robustness`: what is left of a network's accuracy under attack, and whether that number means anything."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnc.cli.options import (
    DATA,
    NETWORK,
    OUTPUT,
    DataDirOption,
    DownloadOption,
    ForceOption,
    JsonOption,
    QuietOption,
    SeedOption,
    TestDataOption,
    TrustCodeOption,
    class_sizes,
)
from pnc.cli.output import number, print_json, print_table, say
from pnc.errors import InvalidInputError
from pnc.report.live import live_line

if TYPE_CHECKING:
    from pnc.runs import AttackResult

__all__ = ["robustness"]

ATTACK = "Attack"


def robustness(
    network: Annotated[
        str,
        typer.Argument(
            help="A run folder of pnc train --out; or a network's name or module:function, with --weights.",
            metavar="RUN|NET",
        ),
    ],
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Of a network that is no run folder.", rich_help_panel=NETWORK)
    ] = None,
    width: Annotated[int | None, typer.Option("--width", help="Of such a network.", rich_help_panel=NETWORK)] = None,
    depth: Annotated[int | None, typer.Option("--depth", help="Of such a network.", rich_help_panel=NETWORK)] = None,
    source: Annotated[
        Path | None,
        typer.Option("--source", help="Run folder of the plain network, to attack from.", rich_help_panel=NETWORK),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="NAME|FOLDER|FILE",
            help="Default: the run's own; fashion-mnist for a network. Pixels, or numbers in [0, 1].",
            rich_help_panel=DATA,
        ),
    ] = None,
    test_data: TestDataOption = None,
    data_dir: DataDirOption = None,
    download: DownloadOption = False,
    samples_per_class: Annotated[
        str | None,
        typer.Option(
            "--samples-per-class",
            metavar="N|N,N,…",
            help="Attack the first n of every class of the test split; default all.",
            rich_help_panel=DATA,
        ),
    ] = None,
    attack: Annotated[
        str, typer.Option("--attack", help="fgsm, bim, pgd, deepfool, auto.", rich_help_panel=ATTACK)
    ] = "fgsm,bim,pgd,deepfool",
    radius: Annotated[
        str, typer.Option("--radius", help="Of pixels in [0, 1]: 0.03,0.06 or 8/255.", rich_help_panel=ATTACK)
    ] = "8/255,16/255",
    steps: Annotated[
        str, typer.Option("--steps", help="Of the iterated attacks; two or more for checks.", rich_help_panel=ATTACK)
    ] = "7,20",
    norm: Annotated[str, typer.Option("--norm", help="linf, l2.", rich_help_panel=ATTACK)] = "linf",
    targeted: Annotated[
        bool, typer.Option("--targeted", help="Towards a random other class.", rich_help_panel=ATTACK)
    ] = False,
    restarts: Annotated[
        int, typer.Option("--restarts", help="Of attacks that start at random.", rich_help_panel=ATTACK)
    ] = 1,
    noise: Annotated[
        str, typer.Option("--noise", help="Probabilities of a random pixel, or none.", rich_help_panel=ATTACK)
    ] = "0.4,0.6,0.8,1",
    checks: Annotated[
        bool, typer.Option("--checks/--no-checks", help="Of gradient masking.", rich_help_panel=ATTACK)
    ] = True,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, rich_help_panel=ATTACK)] = 256,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda.", rich_help_panel=ATTACK)] = "auto",
    trust_code: TrustCodeOption = False,
    seed: SeedOption = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write numbers and every sample there.", rich_help_panel=OUTPUT)
    ] = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Attack a network, and say MASKED (exit 3) where its defence only hides gradients."""
    from pnc.runs import AttackRequest, DataSource, attack_network

    request = AttackRequest(
        network=network, weights=weights, width=width, depth=depth, source=source,
        data=DataSource(data=data, test_data=test_data, data_dir=data_dir, download=download),
        samples_per_class=class_sizes(samples_per_class), attacks=tuple(_words("--attack", attack)),
        radii=tuple(_numbers("--radius", radius)), steps=tuple(int(n) for n in _numbers("--steps", steps)), norm=norm,
        targeted=targeted, restarts=restarts, noise=() if noise == "none" else tuple(_numbers("--noise", noise)),
        checks=checks, batch_size=batch_size, device=device, seed=seed, trust_code=trust_code,
    )  # fmt: skip
    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        result = attack_network(
            request, out=out, force=force,
            progress=None if line is None else lambda what, share: line(what, share, ""),
        )  # fmt: skip
    if json:
        print_json(result.to_dict())
    else:
        _print(result)
        if result.folder is not None:
            say(f"written to {result.folder}")
    raise typer.Exit(result.exit_status)


def _words(option: str, text: str) -> list[str]:
    found = [word.strip() for word in text.split(",") if word.strip()]
    if not found:
        raise InvalidInputError(got=f"{option} {text!r}", expected="at least one", next_step=f"leave out {option}")
    return list(dict.fromkeys(found))


def _numbers(option: str, text: str) -> list[float]:
    """`"8/255,0.1"` → [0.0313…, 0.1]."""
    found = []
    for word in _words(option, text):
        above, slash, below = word.partition("/")
        try:
            found.append(float(above) / (float(below) if slash else 1.0))
        except (ValueError, ZeroDivisionError):
            found.append(math.nan)
        if not math.isfinite(found[-1]):
            raise InvalidInputError(
                got=f"{option} {text!r}",
                expected="numbers or fractions separated by commas",
                next_step=f"pass for instance {option} {'7,20' if option == '--steps' else '0.4,0.6'}",
            )
        if option == "--steps" and (found[-1] != int(found[-1]) or found[-1] < 1):
            raise InvalidInputError(
                got=f"--steps {text!r}", expected="whole numbers, 1 or more", next_step="pass for instance --steps 7,20"
            )
    return found


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
