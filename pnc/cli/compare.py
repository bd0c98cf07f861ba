"""`pnc compare`: a predicted curve against a measured one, or trained networks against the laws."""

from __future__ import annotations

from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnc.cli.following import print_following, print_following_seeds, print_parts, shout
from pnc.cli.options import (
    CompressionLimitOption,
    DiscriminationLimitOption,
    ForceOption,
    JsonOption,
    OutOption,
    StyleOption,
    limits_of,
)
from pnc.cli.output import print_comparison, print_json, print_table, read_text, say
from pnc.errors import InvalidInputError
from pnc.report.style import STYLES
from pnc.spec.shared import SIZES

if TYPE_CHECKING:
    from pnc.compare import Comparison, Following, FollowingSeeds, MeasuredRun

__all__ = ["compare"]

RUNS = "Runs against the laws"
PUBLISHED = "published:"


def compare(
    curves: Annotated[
        list[str],
        typer.Argument(
            help="`predicted.json measured.json`, the one of `pnc predict`, the other of `pnc measure` or "
            "`pnc simulate`; or one or more measured: run folders of `pnc train`, JSON of `pnc train` or "
            "`pnc measure`; `published:NAME`, curves that are kept with pnc (`published:` lists them). Several "
            "measured ones are seeds of one network. - is stdin.",
            metavar="CURVES",
        ),
    ],
    compression_limit: CompressionLimitOption = 0.10,
    discrimination_limit: DiscriminationLimitOption = 0.10,
    split: Annotated[str, typer.Option("--split", help="train or test, of a run.", rich_help_panel=RUNS)] = "train",
    from_layer: Annotated[
        int, typer.Option("--from-layer", min=0, help="Fitted from there on; 0: with the input.", rich_help_panel=RUNS)
    ] = 1,
    confidence: Annotated[float, typer.Option("--confidence", help="Of every interval.", rich_help_panel=RUNS)] = 0.95,
    depth: Annotated[
        int | None,
        typer.Option("--depth", help="L, for ε_eff; default what the run says.", rich_help_panel=RUNS),
    ] = None,
    samples_per_class: Annotated[
        str | None,
        typer.Option("--samples-per-class", metavar="N|N,N,…", help="n, for ε_eff; likewise.", rich_help_panel=RUNS),
    ] = None,
    label_scale: Annotated[
        float | None, typer.Option("--label-scale", help="α, for ε_eff; likewise.", rich_help_panel=RUNS)
    ] = None,
    out: OutOption = None,
    style: StyleOption = "screen",
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Hold a measured curve against a predicted one, or trained networks
    against the laws, and give a verdict.

    FOLLOWS: from a layer on, for at least 4 layers and to the last, log C_l
    falls along a straight line and D_l moves towards 1 along one, and the
    corrected Akaike criterion (AICc) prefers this to a constant, to a constant
    from that layer on, to a steady bend, and to a single exponential (C with a
    floor, D with a limit). The richer of two descriptions must be lower by 2.

    DEPARTS: one of these is preferred for C or for D, or the sign is wrong.

    UNDECIDED: too close to call, or too few layers. One network needs 7 behind
    the input, two seeds or more need 6, six or more need 5.

    DISAGREES: U1-U4, which hold for every network, do not: a number is wrong.

    Exit status: 0 agrees or follows, 2 bad input, 3 disagrees or departs,
    4 inconclusive.
    """
    limits = limits_of(compression_limit, discrimination_limit)
    if curves.count("-") > 1:
        raise InvalidInputError(
            got="- for both curves" if len(curves) == 2 else "- for several curves",
            expected="at most one of them on stdin",
            next_step="write the other to a file",
        )
    if curves == [PUBLISHED]:
        _list_published(json=json)
        return
    _refuse_twice(curves)
    texts = [
        None if name.startswith(PUBLISHED) or (name != "-" and Path(name).is_dir()) else read_text(name)
        for name in curves
    ]
    if len(curves) == 2 and not _all_measured(texts):
        if split != "train" or any(x is not None for x in (depth, samples_per_class, label_scale)):
            raise InvalidInputError(
                got="a predicted curve with an option of runs",
                expected="--split, --depth, --samples-per-class and --label-scale with measured curves alone",
                next_step="leave it out",
            )
        if out is not None:
            from pnc.records import check_folder

            check_folder(out, force=force)
        comparison = _against_theory(curves, texts, limits)
        if out is not None:
            from pnc.runs.comparison import write_comparison

            write_comparison(out, comparison, names=curves, style=STYLES[style], force=force)
        if json:
            print_json(comparison.to_dict())
        else:
            print_comparison(comparison)
            say(f"\n{comparison.verdict.name}: {comparison.advice}")
            if out is not None:
                say(f"written to {out}")
        raise typer.Exit(comparison.verdict.exit_status)
    runs = _read(curves, texts, split)
    if out is not None:
        from pnc.records import check_folder

        check_folder(out, force=force)
    from pnc.compare import Following

    sizes = None if samples_per_class is None else SIZES.value("samples_per_class", samples_per_class)
    found = _follow(
        runs, depth=depth, label_scale=label_scale, samples_per_class=sizes,
        first_layer=from_layer, confidence=confidence,
    )  # fmt: skip
    shout(run.universal for run in ((found,) if isinstance(found, Following) else found.runs))
    names = [run.name for run in runs]
    if out is not None:
        from pnc.report.following import write_following

        title = ", ".join(Path(name).name for name in names)
        write_following(out, found, names=names, title=title, style=STYLES[style], force=force)
    if json:
        parts = _parts(runs, found)
        print_json({**found.to_dict(), "names": names, **({"parts": parts} if parts else {})})
    else:
        if isinstance(found, Following):
            print_following(found, names)
        else:
            print_following_seeds(found, names)
        print_parts(_parts(runs, found))
        say(f"\n{found.verdict.name}: {found.advice}")
        if out is not None:
            say(f"written to {out}")
    raise typer.Exit(found.verdict.exit_status)


def _parts(runs: list[MeasuredRun], found: Following | FollowingSeeds) -> list[dict[str, Any]]:
    """What else was said of a single run, and last whether its curves are straight."""
    from pnc.compare import Following

    if len(runs) != 1 or not runs[0].parts or not isinstance(found, Following):
        return []
    from pnc.runs.parts import line_part

    return [*map(dict, runs[0].parts), line_part(found.verdict.name, found.advice).to_dict()]


def _list_published(*, json: bool) -> None:
    from pnc.compare import published_curves, published_names

    kept = [published_curves(name) for name in published_names()]
    if json:
        print_json({one.name: {"about": one.about, "source": one.source} for one in kept})
    else:
        print_table(["name", ""], [[f"{PUBLISHED}{one.name}", one.about] for one in kept])


def _refuse_twice(curves: list[str]) -> None:
    """One run given twice would count as two seeds."""
    seen: dict[Path, str] = {}
    for name in curves:
        path = Path(name).resolve()
        path = path / "run.json" if path.is_dir() else path
        if path in seen:
            raise InvalidInputError(
                got=f"{name} twice" if seen[path] == name else f"{seen[path]} and {name}, which are one file",
                expected="each run once: they count as seeds",
                next_step="leave one out",
            )
        seen[path] = name


def _all_measured(texts: list[str | None]) -> bool:
    """Whether both are runs: folders, or curves that say that they were measured."""
    from pnc.compare import is_prediction

    def measured(text: str | None) -> bool:
        if text is None:
            return True
        try:
            record = loads(text)
            return not is_prediction(record) and "source" in (record.get("provenance") or {})
        except (ValueError, AttributeError, TypeError):
            return False

    return all(measured(text) for text in texts)


def _against_theory(curves: list[str], texts: list[str | None], limits: Any) -> Comparison:
    from pnc.compare import compare as compare_curves
    from pnc.curves import LayerCurve
    from pnc.theory import Certificate

    read = []
    for name, text in zip(curves, texts, strict=True):
        if text is None:
            raise InvalidInputError(
                got=f"the folder {name} beside a curve that was not measured",
                expected="two JSON files, predicted and measured, or runs alone",
                next_step="compare runs with each other, or the measured JSON with the predicted one",
            )
        read.append(text)
    theory, curve = LayerCurve.from_json(read[0]), LayerCurve.from_json(read[1])  # refuse what is not one object
    intervals = loads(read[1]).get("certificate")
    return compare_curves(
        theory,
        curve,
        limits=limits,
        certificate=None if intervals is None else Certificate.from_dict(intervals),
    )


def _read(curves: list[str], texts: list[str | None], split: str) -> list[MeasuredRun]:
    from pnc.compare import MeasuredRun, parse_record, published_curves, read_record

    found = []
    for name, text in zip(curves, texts, strict=True):
        if text is None and name.startswith(PUBLISHED):
            found += published_curves(name.removeprefix(PUBLISHED)).runs(split)
            continue
        record = read_record(name) if text is None else parse_record(text, name=name)
        found.append(MeasuredRun.from_record(record, name=name, split=split))
    return found


def _follow(
    runs: list[MeasuredRun], *, depth: int | None, label_scale: float | None, **options: Any
) -> Following | FollowingSeeds:
    from pnc.compare import differing_entry, follow, follow_seeds

    for name in ("network", "data", "training", "low_rank"):
        differing = differing_entry([run.recipe.get(name) for run in runs], name=name)
        if differing is not None:
            raise InvalidInputError(
                got=f"runs that differ in {differing}",
                expected="seeds of one network, data set and training: everything alike but the seed",
                next_step="compare each network by itself",
            )
    options |= {
        "depth": runs[0].depth if depth is None else depth,
        "label_scale": runs[0].label_scale if label_scale is None else label_scale,
    }
    if len(runs) == 1:
        return follow(runs[0].curve, converged=runs[0].converged, notes=_notes(runs), **options)
    return follow_seeds(
        [run.curve for run in runs], converged=[run.converged for run in runs], notes=_notes(runs), **options
    )


def _notes(runs: list[MeasuredRun]) -> list[str]:
    notes = [note for run in runs for note in run.notes]
    notes += [f"{run.name}: {run.reason}" for run in runs if run.reason]
    return list(dict.fromkeys(notes))
