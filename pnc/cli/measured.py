"""What `pnc measure` prints: a table a split for people, one object for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from pnc.cli.output import law_line, number, print_json, print_table

if TYPE_CHECKING:
    from pnc.curves import LayerCurve

__all__ = ["report_measured"]


def report_measured(
    curves: Mapping[str, LayerCurve],
    collapsed: Mapping[str, Any],
    *,
    json: bool,
    heading: list[str],
    record: Mapping[str, Any],
) -> None:
    """Print what was measured; exit status 4 where rounding hides some of it."""
    from pnc.compare import fit_geometric_law, fit_linear_law
    from pnc.curves import json_ready

    first = next(iter(curves))
    hidden = {split: _below_noise(curve) for split, curve in curves.items()}
    laws = {
        split: {"geometric": fit_geometric_law(curve), "linear": fit_linear_law(curve)}
        for split, curve in curves.items()
    }
    verdict = "BELOW_NOISE" if any(hidden.values()) else None
    if json:
        plain = {
            split: {
                **curve.to_dict(),
                "laws": {name: None if fit is None else fit.to_dict() for name, fit in laws[split].items()},
                "below_noise": hidden[split],
                **({"neural_collapse": collapsed[split]} if split in collapsed else {}),
            }
            for split, curve in curves.items()
        }
        many = {} if first == "features" else {"splits": plain}
        print_json(json_ready({**plain[first], **many, **record, "verdict": verdict}))
    else:
        print("\n".join(heading))
        for split, curve in curves.items():
            _print(split, curve, hidden[split], collapsed.get(split))
            print(law_line("geometric law: C_(l+1)/C_l", laws[split]["geometric"], None, geometric=True))
            print(law_line("linear law: D_(l+1) - D_l", laws[split]["linear"], None, geometric=False))
        if verdict:
            layers = sorted({layer for some in hidden.values() for layer in some})
            print(
                f"BELOW_NOISE: C at layers {layers} (*) is not resolved above the rounding of the features; use float64"
            )
    if verdict:
        raise typer.Exit(4)


def _below_noise(curve: LayerCurve) -> list[int]:
    from pnc.measure import resolved

    usable = resolved(curve, 0.1).tolist()
    layers = zip(curve.layers.tolist(), usable, curve.compression.tolist(), strict=True)
    return [layer for layer, good, c in layers if not good and c > 0]


def _print(split: str, curve: LayerCurve, hidden: list[int], collapsed: Mapping[str, Any] | None) -> None:
    provenance = curve.provenance
    if split != "features":
        print(f"\n{split}: {provenance['samples']} samples, K = {provenance['classes']}")
    for note in provenance["notes"]:
        print(f"note: {note}")
    layers = curve.layers.tolist()
    floor, fuzziness = provenance["noise_floor"], curve.separation_fuzziness.tolist()
    columns = {
        "layer": [str(l) for l in layers],
        "name": provenance.get("names"),
        "dtype": provenance["dtype"] if len(set(provenance["dtype"])) > 1 or "names" not in provenance else None,
        "d": [str(d) for d in provenance["dimensions"]],
        "C": [number(c) + ("*" if l in hidden else "") for l, c in zip(layers, curve.compression, strict=True)],
        "± C": _numbers(provenance.get("compression_error"), 2),
        "noise floor": _numbers(floor, 2) if hidden or "names" not in provenance else None,
        "D": [number(d, 5) for d in curve.discrimination],
        "± D": _numbers(provenance.get("discrimination_error"), 2),
        "tr Σ_W": [number(v) for v in curve.within_scatter],
        "tr Σ_B": [number(v) for v in curve.between_scatter],
        "fuzziness": None if all(map(math.isnan, fuzziness)) else _numbers(fuzziness, 4),
        "CDNV": _numbers(provenance.get("class_distance_normalised_variance"), 4),
        "rank": _ranks(provenance.get("ranks")),
        "centre": _accuracies(provenance, "nearest_centre_accuracy"),
        "probe": _accuracies(provenance, "linear_probe_accuracy"),
    }
    shown = {name: values for name, values in columns.items() if values is not None}
    print_table(list(shown), zip(*shown.values(), strict=True))
    if "compression_error" in provenance:
        looked_at = provenance.get("error_samples", provenance["samples"])
        print(f"±: standard error from sampling the data, to first order, from {looked_at} samples")
        for line in _bias(curve):
            print(line)
    for name, reason in provenance.get("skipped", {}).items():
        print(f"skipped {name}: {reason}")
    if collapsed is not None:
        print(
            f"neural collapse at {collapsed['head']}: NC1 {number(collapsed['variability'])}, "
            f"NC2 {number(collapsed['equinorm'])} (norms), {number(collapsed['equiangularity'])} (angles), "
            f"NC3 {number(collapsed['self_duality'])}, NC4 {number(collapsed['disagreement'])}; "
            f"accuracy {collapsed['accuracy']:.2%}, of the nearest centre {collapsed['nearest_centre_accuracy']:.2%}"
        )


def _bias(curve: LayerCurve) -> list[str]:
    """A line where so few samples move C by more than a quarter of its standard error."""
    pairs = [
        (bias, bias / c)
        for bias, error, c in zip(
            curve.provenance["compression_bias"], curve.provenance["compression_error"], curve.compression, strict=True
        )
        if c > 0 and abs(bias) > error / 4
    ]
    if not pairs:
        return []
    most = max((share for _, share in pairs), key=abs)
    return [f"note: C of so few samples is low by up to {-most:.1%} on average (compression_bias in --json)"]


def _numbers(values: list[float | None] | None, digits: int) -> list[str] | None:
    return None if values is None else [number(float("nan") if v is None else v, digits) for v in values]


def _accuracies(provenance: Mapping[str, Any], name: str) -> list[str] | None:
    """Of a probe, on the samples that it was fitted to or on those of another split."""
    values = provenance.get(name, provenance.get(f"held_out_{name}"))
    return None if values is None else [f"{v:.2%}" for v in values]


def _ranks(values: list[Mapping[str, Any]] | None) -> list[str] | None:
    """Numerical rank: the share of summed singular values; an interval where a sketch leaves one."""
    if values is None:
        return None
    ranks = [rank["uncentred"]["numerical_rank"] for rank in values]
    return ["–".join(map(str, rank)) if isinstance(rank, list) else str(rank) for rank in ranks]
