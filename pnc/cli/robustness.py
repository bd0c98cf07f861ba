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
from pnc.cli.output import number, print_json, print_table
from pnc.errors import InvalidInputError
from pnc.report.live import live_line

if TYPE_CHECKING:
    from pnc.robust import PixelModel, Robustness
    from pnc.train import Samples

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
    names = _words("--attack", attack)
    radii, counts = _numbers("--radius", radius), _numbers("--steps", steps)
    probabilities = [] if noise == "none" else _numbers("--noise", noise)
    from pnc.robust import evaluate_robustness

    within = _attacks(names, radii, counts, norm, targeted, restarts)
    _check_rest(radii, counts, probabilities, checks=checks)
    if out is not None:
        from pnc.records import check_folder

        check_folder(out, force=force)
    from pnc.simulate.device import resolve_device

    where = resolve_device(device)
    options = {"data": data, "test_data": test_data, "data_dir": data_dir, "download": download}
    model, samples, described = _loaded(
        network, weights, {"width": width, "depth": depth}, options, trust_code=trust_code
    )
    images, labels = _chosen(samples, samples_per_class)
    other = None if source is None else _source(source, samples, trust_code=trust_code).to(where)
    with live_line(shown=not quiet and sys.stderr.isatty()) as line:
        result = evaluate_robustness(
            model.to(where), images, labels, attacks=within, radii=radii, steps=[int(n) for n in counts], norm=norm,
            targeted=targeted, restarts=restarts, noise=probabilities, with_deepfool="deepfool" in names, checks=checks,
            source=other, seed=seed, batch_size=batch_size,
            progress=None if line is None else lambda what, share: line(what, share, ""),
        )  # fmt: skip
    record = {"network": network, "weights": weights, "source": source, **described}
    full = {
        **{key: str(value) if isinstance(value, Path) else value for key, value in record.items()},
        **result.to_dict(),
        "notes": [*described["notes"], *result.notes],
        "verdict": "MASKED" if result.masked else None,
    }
    if out is not None:
        _write(out, full, result, labels.numpy(), force=force)
    if json:
        print_json(full)
    else:
        _print(full, result)
        if out is not None:
            print(f"written to {out}")
    from pnc.compare import Verdict

    raise typer.Exit(Verdict.MASKED.exit_status if result.masked else 0)


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


def _attacks(
    names: list[str], radii: list[float], steps: list[float], norm: str, targeted: bool, restarts: int
) -> list[str]:
    """The attacks within a ball, each of them checked with its budget before any data are read."""
    from pnc.fields import nearest
    from pnc.robust import ATTACKS, AttackSpec, attack_named
    from pnc.robust.attacks.libraries import load_art, load_foolbox

    known = (*ATTACKS, "deepfool")
    for name in names:
        if name not in known:
            raise nearest("attack", name, known)
    for r in radii:
        for name in names:
            if name == "deepfool":
                continue
            again = restarts if attack_named(name).random_start else 1
            AttackSpec(attack=name, radius=r, norm=norm, steps=int(steps[0]), targeted=targeted, restarts=again)
        AttackSpec(radius=r, norm=norm, restarts=restarts)
    load_foolbox()
    if "auto" in names:
        load_art()
    return [name for name in names if name != "deepfool"]


def _check_rest(radii: list[float], steps: list[float], probabilities: list[float], *, checks: bool) -> None:
    """What the noise and the checks of masking need, before any data are read."""
    from pnc.robust.masking.checks import check_compared
    from pnc.robust.noise import check_probability

    for probability in probabilities:
        check_probability(probability)
    if checks:
        check_compared(radii, steps)


def _loaded(
    network: str, weights: Path | None, sizes: dict[str, int | None], options: dict[str, Any], *, trust_code: bool
) -> tuple[PixelModel, Samples, dict[str, Any]]:
    """The network, the samples to attack, and what they are called."""
    from pnc.nets import build
    from pnc.train import load_run, load_weights

    if Path(network).is_dir():
        _refuse("a run folder, which has its own", {"--weights": weights, **_flags(sizes)})
        run = load_run(network, trust_code=trust_code)
        if options["data"] is None:
            _refuse("the data of the run", {key: value or None for key, value in _flags(options).items()})
            train, tested, source = run.load_split("train"), run.load_split("test"), run.data.to_dict()
        else:
            # standardised as the network was trained, whatever it is shown
            train = run.load_split("train")
            train, tested, source = _splits(options, like=train)
        model, name = run.model, run.name
    else:
        if weights is None:
            raise InvalidInputError(
                got=f"{network}, which is no folder, without --weights",
                expected="a run folder of pnc train --out, or a network with its weights",
                next_step="train one with: pnc train mlp --out run",
            )
        train, tested, source = _splits({**options, "data": options["data"] or "fashion-mnist"})
        model = build(network, input_shape=train.input_shape, classes=train.classes, **sizes)
        load_weights(model, weights)
        name = network
    notes = list(source["notes"])
    if tested is None:
        notes.append("there is no test split: the training samples are attacked")
    samples = train if tested is None else tested
    described = {
        "name": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "data": source["name"],
        "split": "train" if tested is None else "test",
        "notes": notes,
    }
    return _pixels(model.eval(), train), samples, described


def _splits(options: dict[str, Any], like: Samples | None = None) -> tuple[Samples, Samples | None, dict[str, Any]]:
    from pnc.data import load_splits
    from pnc.train import as_samples, as_split_samples

    splits = load_splits(**options)
    if like is None:
        return *as_split_samples(splits), splits.describe()
    chosen = splits.train if splits.test is None else splits.test
    return like, as_samples(chosen, like=like, name=f"the data {options['data']}"), splits.describe()


def _flags(options: dict[str, Any]) -> dict[str, Any]:
    return {"--" + name.replace("_", "-"): value for name, value in options.items()}


def _refuse(what: str, given: dict[str, Any]) -> None:
    for flag, value in given.items():
        if value is not None:
            raise InvalidInputError(got=f"{flag} with {what}", expected="none", next_step=f"leave out {flag}")


def _pixels(model: Any, train: Samples) -> PixelModel:
    """The standardisation of the training split moves into the network."""
    from pnc.robust import PixelModel

    return PixelModel(model) if train.mean is None else PixelModel(model, train.mean, train.scale)


def _chosen(samples: Samples, sizes: str | None) -> tuple[Any, Any]:
    """Images and labels to attack, the first of every class where a size is given."""
    from pnc.data.subset import first_of_each_class

    if sizes is None:
        return samples.x, samples.y
    kept = first_of_each_class(samples.y.numpy(), class_sizes(sizes))
    return samples.x[kept], samples.y[kept]


def _source(folder: Path, samples: Samples, *, trust_code: bool) -> PixelModel:
    from pnc.train import load_run

    run = load_run(folder, trust_code=trust_code)
    if (run.input_shape, run.classes) != (samples.input_shape, samples.classes):
        raise InvalidInputError(
            got=f"--source {folder} for inputs {run.input_shape} and {run.classes} classes",
            expected=f"{samples.input_shape} and {samples.classes}, as the network that is attacked",
            next_step="train the plain network on the same data",
        )
    return _pixels(run.model, run.load_split("train"))


def _write(out: Path, full: dict[str, Any], result: Robustness, labels: Any, *, force: bool) -> None:
    """run.json, and samples.npz with what became of every sample."""
    import numpy as np

    from pnc.records import RunRecord, new_folder, write_record

    arrays = {"y": labels, "clean": result.clean.correct}
    for i, one in enumerate(result.attacks):
        arrays |= {f"attack_{i}_correct": one.correct, f"attack_{i}_success": one.success}
        arrays[f"attack_{i}_distance"] = one.distance
        if one.targets is not None:
            arrays[f"attack_{i}_target"] = one.targets
    for i, noisy in enumerate(result.noise):
        arrays[f"noise_{i}_correct"] = noisy.correct
    if result.deepfool is not None:
        arrays |= {"deepfool_relative": result.deepfool.relative, "deepfool_found": result.deepfool.found}
    with new_folder(out, force=force) as folder:
        write_record(folder, RunRecord(command="robustness", verdict=full["verdict"], details=full))
        np.savez_compressed(folder / "samples.npz", **arrays)


def _print(full: dict[str, Any], result: Robustness) -> None:
    from pnc.compare import Verdict

    print(
        f"{full['name']}, {full['parameters']} parameters, on {result.clean.samples} samples of {full['data']}, "
        f"{full['split']} split"
    )
    for note in full["notes"]:
        print(f"note: {note}")
    print()
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
        print(
            f"DeepFool: ρ = mean ‖r‖/‖x‖ = {number(found.mean_relative)} ± {number(found.standard_error, 2)}, "
            f"found for {int(found.found.sum())} of {len(found.found)}"
        )
    if result.checks is None:
        print("no checks of gradient masking were made: accuracy under attack is only an upper bound")
        return
    print()
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
            print(f"{words[check.passed]}: {check.statement} ({check.detail})")
    if result.masked:
        print(f"\nMASKED: {Verdict.MASKED.value}")
    elif any(check.passed for check in result.checks.checks):
        print("\nno check fails: nothing says that gradients are masked; accuracy under attack is still an upper bound")


def _share(result: Any) -> list[str]:
    low, high = result.interval()
    return [f"{result.accuracy:.2%}", f"[{low:.2%}, {high:.2%}]"]
