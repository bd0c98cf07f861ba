"""What `pnc measure` prints: a table a split for people, one object for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pnc.cli.output import closest_classes, law_line, number, print_table, say

if TYPE_CHECKING:
    from pnc.curves import LayerCurve, LayerRanks
    from pnc.measure import Attribution
    from pnc.runs import MeasureResult

__all__ = ["print_measured"]


def print_measured(result: MeasureResult) -> None:
    """A table a split, both laws, and where rounding hides layers."""
    from pnc.compare import fit_laws

    say(result.title)
    for note in result.notes:
        say(f"note: {note}")
    for split, curve in result.curves.items():
        _print(split, curve, result.below_noise[split], result.collapsed.get(split))
        laws = fit_laws(curve)
        say(law_line("geometric law: C_(l+1)/C_l", laws["geometric"], None, geometric=True))
        say(law_line("linear law: D_(l+1) - D_l", laws["linear"], None, geometric=False))
        if any(table is not None for table in curve.classes):
            _print_classes(curve)
        if split in result.attributions:
            _print_attribution(result.attributions[split])
    for split, found in result.attributions.items():
        for violation in found.violations:
            say(f"DISAGREES: {split}: {violation} (U5, which holds for every network)")
    if any(result.below_noise.values()):
        layers = sorted({layer for some in result.below_noise.values() for layer in some})
        say(f"BELOW_NOISE: C at layers {layers} (*) is not resolved above the rounding of the features; use float64")


def _print_attribution(found: Attribution) -> None:
    """A row a module, what kinds of modules add up to, and the whole."""
    before, after = found.compression
    say("\nwhere C changes (U5): log C_out - log C_in = Δ log tr Σ_W - Δ log tr Σ_B of each module")
    whole = 0.0
    rows = []
    for effect in found.effects:
        whole += effect.compression
        changes = (effect.within, effect.between, effect.compression, whole)
        rows.append([effect.name, effect.kind, *(f"{change:+.3f}" for change in changes)])
    print_table(["module", "kind", "Δ log tr Σ_W", "Δ log tr Σ_B", "Δ log C", "sum so far"], rows)
    shares = ", ".join(f"{kind} {share:+.3f}" for kind, share in found.by_kind().items())
    say(f"log C: {shares}; together {whole:+.3f}, C from {number(before)} to {number(after)}")
    for note in found.notes:
        say(f"note: {note}")


def _print(split: str, curve: LayerCurve, hidden: list[int], collapsed: Mapping[str, Any] | None) -> None:
    notes, origin = curve.notes, curve.origin
    named = any(note.name is not None for note in notes)
    if split != "features":
        say(f"\n{split}: {origin.samples} samples, K = {origin.classes}")
    for remark in origin.remarks:
        say(f"note: {remark}")
    layers = curve.layers.tolist()
    fuzziness = curve.separation_fuzziness.tolist()
    columns = {
        "layer": [str(l) for l in layers],
        "name": [note.name or "" for note in notes] if named else None,
        "dtype": [note.dtype or "" for note in notes] if len({note.dtype for note in notes}) > 1 or not named else None,
        "d": [str(note.dimension) for note in notes],
        "C": [number(c) + ("*" if l in hidden else "") for l, c in zip(layers, curve.compression, strict=True)],
        "± C": _numbers([note.compression_error for note in notes], 2),
        "noise floor": _numbers([note.noise_floor for note in notes], 2) if hidden or not named else None,
        "D": [number(d, 5) for d in curve.discrimination],
        "of classes": closest_classes(curve),
        "± D": _numbers([note.discrimination_error for note in notes], 2),
        "tr Σ_W": [number(v) for v in curve.within_scatter],
        "tr Σ_B": [number(v) for v in curve.between_scatter],
        "fuzziness": None if all(map(math.isnan, fuzziness)) else _numbers(fuzziness, 4),
        "CDNV": _numbers([note.class_distance_normalised_variance for note in notes], 4),
        "rank": _ranks([note.ranks for note in notes]),
        "centre": _accuracies([(n.nearest_centre_accuracy, n.held_out_nearest_centre_accuracy) for n in notes]),
        "probe": _accuracies([(n.linear_probe_accuracy, n.held_out_linear_probe_accuracy) for n in notes]),
    }
    shown = {name: values for name, values in columns.items() if values is not None}
    print_table(list(shown), zip(*shown.values(), strict=True))
    if notes[0].compression_error is not None:
        looked_at = origin.error_samples or origin.samples
        say(f"±: standard error from sampling the data, to first order, from {looked_at} samples")
        for line in _bias(curve):
            say(line)
    for name, reason in (origin.skipped or {}).items():
        say(f"skipped {name}: {reason}")
    if collapsed is not None:
        where = collapsed["head"] or f"layer {collapsed['layer']}"
        line = (
            f"neural collapse at {where}: NC1 {number(collapsed['variability'])}, "
            f"NC2 {number(collapsed['equinorm'])} (norms), {number(collapsed['equiangularity'])} (angles)"
        )
        if collapsed["head"] is not None:
            line += (
                f", NC3 {number(collapsed['self_duality'])}, NC4 {number(collapsed['disagreement'])}; accuracy "
                f"{collapsed['accuracy']:.2%}, of the nearest centre {collapsed['nearest_centre_accuracy']:.2%}"
            )
        else:
            line += "; NC3 and NC4 need the classifier"
        say(line)


def _print_classes(curve: LayerCurve) -> None:
    """A row a class of every layer."""
    say(
        "\nclass by class: C_k, spread over tr Σ_B; nearest class by cosine, angle and margin to it; D over its 1 - cos"
    )
    shown = zip(curve.layers.tolist(), curve.classes, strict=True)
    rows = [
        [
            str(layer) if not k else "", str(k), number(table.spread[k]), str(table.nearest[k]),
            f"{table.angle[k]:.2f}°", number(table.margin[k], 3), _share(table.share[k]),
        ]
        for layer, table in shown
        if table is not None
        for k in range(len(table.spread))
    ]  # fmt: skip
    print_table(["layer", "class", "C_k", "nearest", "angle", "margin", "share of D"], rows)


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0%}"


def _bias(curve: LayerCurve) -> list[str]:
    """A line where so few samples move C by more than a quarter of its standard error."""
    pairs = [
        (note.compression_bias, note.compression_bias / c)
        for note, c in zip(curve.notes, curve.compression.tolist(), strict=True)
        if c > 0
        and note.compression_bias is not None
        and note.compression_error is not None
        and abs(note.compression_bias) > note.compression_error / 4
    ]
    if not pairs:
        return []
    most = max((share for _, share in pairs), key=abs)
    return [f"note: C of so few samples is low by up to {-most:.1%} on average (compression_bias in --json)"]


def _numbers(values: Sequence[float | None], digits: int) -> list[str] | None:
    if all(value is None for value in values):
        return None
    return [number(math.nan if value is None else value, digits) for value in values]


def _accuracies(values: Sequence[tuple[float | None, float | None]]) -> list[str] | None:
    """Of a probe, on samples that it was not fitted to; where there are none, on those that it was."""
    known = [own if held_out is None else held_out for own, held_out in values]
    return None if all(v is None for v in known) else ["" if v is None else f"{v:.2%}" for v in known]


def _ranks(values: Sequence[LayerRanks | None]) -> list[str] | None:
    """Numerical rank: the share of summed singular values; an interval where a sketch leaves one."""
    if all(value is None for value in values):
        return None
    ranks = [("", "") if value is None else value.uncentred.numerical_rank for value in values]
    return [str(low) if low == high else f"{low}–{high}" for low, high in ranks]
