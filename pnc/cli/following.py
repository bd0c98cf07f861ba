"""What `pnc compare` and `pnc train` print of how networks follow the laws."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pnc.cli.output import closest_classes, number, print_table, say, span

if TYPE_CHECKING:
    from pnc.compare import Following, FollowingSeeds, LawEvidence, UniversalChecks

__all__ = ["law_lines", "print_following", "print_following_seeds", "print_parts", "shout"]

_ROWS = {
    "ratio": "C_(l+1)/C_l",
    "residual_scale": "ε_eff",
    "onset": "onset of C's phase",
    "discrimination_slope": "D_(l+1) - D_l",
    "pearson": "Pearson r (He & Su)",
}


def shout(checks: Iterable[UniversalChecks]) -> None:
    """Every violated theorem, on stderr, whatever else is printed."""
    for check in checks:
        for violation in check.violations:
            print(
                f"pnc: BUG: {violation}. It holds for the features of every network: pnc has measured wrongly, or the "
                "file was changed. Please report it with the file.",
                file=sys.stderr,
            )


def print_parts(parts: Sequence[Mapping[str, Any]]) -> None:
    """What held of what theory says of the network, one line each; the last is the verdict, which is said elsewhere."""
    if parts:
        say("\nby parts:")
    for part in parts[:-1]:
        say(f"  {part['name']} ({part['statement']}): {part['outcome']}: {part['told']}")


def law_lines(evidence: LawEvidence) -> list[str]:
    """Verdict, phase and alternatives of one law."""
    geometric = evidence.law == "geometric"
    name = "geometric law of C" if geometric else "linear law of D"
    lines = [f"{name}: {evidence.verdict.name}"]
    phase = evidence.phase
    if phase is not None:

        def rate(slope: float) -> float:
            return math.exp(slope) if geometric else slope

        ends = (
            f"[{phase.onset_lower}, {phase.onset_upper}]" if phase.onset_lower < phase.onset_upper else "nowhere else"
        )
        lines.append(
            f"  from layer {phase.onset} ({phase.confidence:.0%}: {ends}), {phase.layers} layers, "
            f"{'C_(l+1)/C_l' if geometric else 'D_(l+1) - D_l'} = {number(rate(phase.slope))} "
            f"{span(rate(phase.slope_lower), rate(phase.slope_upper))}, R² = {number(phase.r_squared)}, largest misfit "
            + (f"{100 * math.expm1(phase.misfit):+.2g} % of C" if geometric else f"{phase.misfit:+.2g}")
            + f" at layer {phase.misfit_layer}"
        )
    if evidence.alternatives:
        shown = ", ".join(
            f"{a.name} {'–' if math.isnan(a.difference) else format(a.difference, '+.1f')}"
            for a in evidence.alternatives
        )
        lines.append(f"  AICc of the alternatives less the law's (above 0: the law is better): {shown}")
    return lines


def print_following(found: Following, names: list[str]) -> None:
    """Curve, laws, and what else is known of one network."""
    curve = found.curve
    print(f"{names[0]}: {len(curve)} layers, {curve.origin.samples or 'unknown'} samples")
    for note in found.notes:
        print(f"note: {note}")
    slack = {(name, check.layer): check.slack for name, checks in found.universal.checks.items() for check in checks}
    columns = {
        "layer": [str(l) for l in curve.layers.tolist()],
        "C": [number(v) for v in curve.compression.tolist()],
        "D": [number(v, 5) for v in curve.discrimination.tolist()],
    }
    if all(math.isnan(v) for v in curve.compression.tolist()):
        columns["fuzziness"] = [number(v) for v in curve.separation_fuzziness.tolist()]
    pairs = closest_classes(curve)
    if pairs is not None:
        columns["of classes"] = pairs
    for name in ("U1", "U2", "U3", "U4"):
        if name in found.universal.checks:
            columns[f"{name} slack"] = [number(slack.get((name, l), math.nan), 3) for l in curve.layers.tolist()]
    print_table(list(columns), zip(*columns.values(), strict=True))
    for part in (found.geometric, found.linear):
        if part is not None:
            print("\n".join(law_lines(part)))
    scale = found.residual_scale
    if scale is not None:
        print(
            f"ε_eff = {number(scale.value)} {span(scale.lower, scale.upper)} by analogy with T2, L = {scale.depth}, "
            f"n = {number(scale.samples_per_class)}, α = {number(scale.label_scale)}"
        )
    separability = found.separability
    for accuracy, layer in (
        ("nearest centre", separability.nearest_centre), ("linear probe", separability.linear_probe)
    ):  # fmt: skip
        if layer is not None:
            print(f"separable by the {accuracy} from layer {layer} on ({separability.share:.0%} of the last layer)")
    for name, shape in found.traces.items():
        if shape is not None:
            word = "holds" if shape.holds else f"fails by {number(shape.violation, 2)}"
            falls = "" if shape.falls_at is None else f", ratio falls most at layer {shape.falls_at}"
            print(f"moment law (T7, linear networks) of the {name.replace('_', ' ')}: {word}{falls}")
    law = found.equi_separation
    if law is not None:
        print(
            f"He & Su: log fuzziness against l, Pearson r = {number(law.pearson, 5)} "
            f"{span(law.pearson_lower, law.pearson_upper)}, ratio {number(law.ratio)} "
            f"{span(law.ratio_lower, law.ratio_upper)}"
        )
    kept = [name for name, checks in found.universal.checks.items() if all(check.slack >= 0 for check in checks)]
    if kept:
        print(f"hold at every layer where they say something: {', '.join(kept)}")
    for name, why in found.universal.not_computed.items():
        print(f"{name} not computed: {why}")


def print_following_seeds(found: FollowingSeeds, names: list[str]) -> None:
    """Each run in a line, the table over them, and the laws over all."""
    for note in found.notes:
        print(f"note: {note}")

    def law(part: LawEvidence | None) -> str:
        if part is None or part.phase is None:
            return "–"
        return f"{part.verdict.name} from {part.phase.onset}"

    print_table(
        ["run", "C", "D", "verdict"],
        ([name, law(run.geometric), law(run.linear), run.verdict.name] for name, run in zip(names, found.runs)),
    )
    print()
    seeds = [str(i + 1) for i in range(len(names))]
    print_table(
        ["over seeds", *seeds, "mean", f"{found.confidence:.0%} interval"],
        (
            [
                _ROWS[name],
                *("–" if value is None else number(value) for value in row.values),
                number(row.mean),
                span(row.lower, row.upper),
            ]
            for name, row in found.table.items()
        ),
    )
    print()
    for part in (found.geometric, found.linear):
        if part is not None:
            print("\n".join(law_lines(part)))
