"""Sections on the laws: what was predicted and how it held; where a phase begins, and what explains the curve else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pnc.compare import (
    Comparison,
    Following,
    FollowingSeeds,
    LawEvidence,
    Verdict,
    alternative_fit,
)
from pnc.curves import LayerCurve
from pnc.report.pages.curves import Band, Quantity, curve_plot, curves_section
from pnc.report.pages.model import Cell, Section, Table, Tone
from pnc.report.text import number, span

__all__ = [
    "STEPS",
    "TONES",
    "assumptions_section",
    "comparison_sections",
    "following_sections",
    "steps_after",
    "tone_of",
]

TONES: Mapping[str, Tone] = {
    "AGREES": "good",
    "FOLLOWS": "good",
    "DISAGREES": "bad",
    "DEPARTS": "bad",
    "MASKED": "bad",
}
"""Verdict → tone; every other one leaves the question open."""

STEPS: Mapping[str, tuple[str, ...]] = {
    "AGREES": ("Nothing has to be done: the numbers below say how near the two are, layer by layer.",),
    "FOLLOWS": ("Read the rate and its interval below; repeat with other seeds to learn how much it varies.",),
    "DISAGREES": (
        "Look at the layer that is named, and at the assumptions below: one that is broken explains a deviation, none "
        "that is broken does not.",
    ),
    "DEPARTS": (
        "Look below at what explains the curve better than the law, and from which layer on.",
        "The law is about deep linear layers behind a nonlinear part: measure a deeper network, or one with linear "
        "layers at its end, before giving the law up.",
    ),
    "UNDECIDED": ("Train the same network with other seeds and compare all runs at once: that is what decides.",),
    "NOT_CONVERGED": ("Train longer: until the training has reached its minimum the laws say nothing.",),
    "BELOW_NOISE": ("Use float64 for the layers that are marked, or leave them out.",),
    "ASSUMPTION_VIOLATED": (
        "See below which assumption fails and by how much; orthogonal initial weights of a smaller scale keep them.",
    ),
    "MASKED": ("Attack with more steps, larger radii and another network's images before believing any accuracy.",),
}
"""Verdict → what to do first."""


def tone_of(verdict: str | None) -> Tone:
    """Good, bad or open."""
    return "open" if verdict is None else TONES.get(verdict, "open")


def steps_after(verdict: str) -> tuple[str, ...]:
    """What to do first after a verdict."""
    return STEPS.get(verdict, ())


def comparison_sections(comparison: Comparison) -> list[Section]:
    """Curves with theory, bounds and certificates; errors; the laws; the assumptions."""
    predicted, measured = comparison.predicted, comparison.measured
    section = curves_section(
        {"measured": measured},
        lines={f"predicted ({predicted.origin.statement})" if predicted.origin.statement else "predicted": predicted},
        bands=_bands(comparison),
        title="Theory and measurement, layer by layer",
    )
    tables = (_errors(comparison), *section.tables)
    found = [
        Section(title=section.title, text=section.text, plots=section.plots, tables=tables),
        _laws(comparison),
        assumptions_section(comparison),
    ]
    return [part for part in found if part is not None]


def _bands(comparison: Comparison) -> dict[Quantity, list[Band]]:
    bands: dict[Quantity, list[Band]] = {"compression": [], "discrimination": []}
    bounds, certificate, layers = comparison.bounds, comparison.certificate, comparison.measured.layers
    if bounds is not None:
        bands["compression"].append(
            Band(label="bounds (T5)", layers=bounds.layers, lower=bounds.compression_lower,
                 upper=bounds.compression_upper)
        )  # fmt: skip
        bands["discrimination"].append(
            Band(label="bounds (T6)", layers=bounds.layers, lower=bounds.discrimination_lower,
                 upper=bounds.discrimination_upper)
        )  # fmt: skip
    if certificate is not None:
        place = np.searchsorted(certificate.layers, layers)
        for name, low, high in (
            ("compression", certificate.compression_lower, certificate.compression_upper),
            ("discrimination", certificate.discrimination_lower, certificate.discrimination_upper),
        ):
            quantity: Quantity = "compression" if name == "compression" else "discrimination"
            bands[quantity].append(
                Band(label="certificate (T8)", layers=layers, lower=low[place], upper=high[place], bars=True)
            )
    return bands


def _errors(comparison: Comparison) -> Table:
    predicted, measured = comparison.predicted, comparison.measured
    bounds, certificate = comparison.bounds, comparison.certificate

    def interval(within: LayerCurve | object | None, name: str, layer: int) -> str | None:
        layers = getattr(within, "layers", None)
        if layers is None or layer not in layers:
            return None
        place = int(np.searchsorted(layers, layer))
        low, high = float(getattr(within, f"{name}_lower")[place]), float(getattr(within, f"{name}_upper")[place])
        return None if math.isnan(low) and math.isnan(high) else span(low, high, 5)

    rows: list[tuple[Cell, ...]] = []
    for i, layer in enumerate(measured.layers.tolist()):
        error = float(comparison.relative_error[i])
        rows.append(
            (
                layer, float(predicted.compression[i]), float(measured.compression[i]),
                None if not math.isfinite(error) else _per_cent(error),
                interval(bounds, "compression", layer), interval(certificate, "compression", layer),
                number(float(predicted.discrimination[i]), 6), number(float(measured.discrimination[i]), 6),
                float(comparison.discrimination_error[i]),
                interval(bounds, "discrimination", layer), interval(certificate, "discrimination", layer),
            )
        )  # fmt: skip
    return Table(
        caption="Predicted and measured, dimensionless; the error of C is relative, that of 1 − D absolute",
        header=(
            "layer", "C predicted", "C measured", "error", "C: bounds (T5)", "C: certificate (T8)", "D predicted",
            "D measured", "error of 1 − D", "D: bounds (T6)", "D: certificate (T8)",
        ),
        rows=tuple(rows),
    ).without_empty_columns()  # fmt: skip


def _per_cent(share: float) -> str:
    """A signed share; no sign where it rounds to nothing.

    >>> _per_cent(0.0081), _per_cent(-1e-7)
    ('+0.81%', '0.00%')
    """
    return "0.00%" if abs(share) < 5e-5 else f"{share:+.2%}"


def _laws(comparison: Comparison) -> Section:
    rows: list[tuple[Cell, ...]] = []
    for name, fit, theory, rate in (
        ("geometric: C at a layer over C at the layer before", comparison.geometric, comparison.geometric_predicted,
         math.exp),
        ("linear: D at a layer less D at the layer before", comparison.linear, comparison.linear_predicted, float),
    ):  # fmt: skip
        outcome = comparison.laws["geometric" if rate is math.exp else "linear"]
        rows.append(
            (
                name, outcome.outcome, None if fit is None else rate(fit.slope),
                None if fit is None else span(rate(fit.slope_lower), rate(fit.slope_upper)),
                None if theory is None else rate(theory.slope),
                None if fit is None else fit.r_squared,
                None if fit is None else f"{fit.onset} to {fit.onset + fit.layers - 1}", outcome.reason,
            )
        )  # fmt: skip
    limits = comparison.limits
    return Section(
        title="The two laws",
        text=(
            f"Limits: C within {limits.compression:.4g} of the prediction, D within {limits.discrimination:.4g} of its "
            "predicted change.",
            *comparison.notes,
        ),
        tables=(
            Table(
                caption="Rate of each law, fitted and predicted; the interval is of 95 %",
                header=("law", "outcome", "rate", "interval", "predicted", "R²", "layers", "why"),
                rows=tuple(rows),
            ).without_empty_columns(),
        ),
    )


def assumptions_section(comparison: Comparison) -> Section | None:
    """A1 to A3 of the theory note, and how well the trained weights keep each."""
    residuals, limits = comparison.residuals, comparison.limits
    if residuals is None:
        return None
    low, high = residuals.residual_interval
    imbalance = max(float(value) for value in residuals.imbalance)
    scale = math.sqrt(low * high) if low > 0 else high
    worst = imbalance / scale**2 if scale else math.nan
    rows = (
        ("A1: the product of the weights is the minimum-norm map", "distance ν/‖MX‖", residuals.map_error_relative,
         limits.map_error, _held(residuals.map_error_relative, limits.map_error)),
        ("A2: neighbouring weights are balanced", "largest δ, in units of ε²", worst, limits.imbalance,
         _held(worst, limits.imbalance)),
        ("A3: all residual singular values are ε", "smallest and largest", span(low, high), None,
         f"within {number(max(abs(high / scale - 1), abs(1 - low / scale)), 2)} of each other, relatively"
         if scale else "no residual"),
    )  # fmt: skip
    return Section(
        title="The assumptions, and how well each held",
        tables=(
            Table(
                caption="Assumptions of the closed form (T1), measured on the trained weights; dimensionless",
                header=("assumption", "what is measured", "value", "limit", "held"),
                rows=rows,
            ),
        ),
    )


def _held(value: float, limit: float) -> str:
    return "undefined" if math.isnan(value) else "yes" if value <= limit else "no"


def following_sections(found: Following | FollowingSeeds) -> list[Section]:
    """Each law with its phase and what else could explain the curve."""
    sections = [
        _law_section(found, found.geometric, "compression"),
        _law_section(found, found.linear, "discrimination"),
    ]
    if isinstance(found, FollowingSeeds):
        header = ("quantity", *(f"run {i + 1}" for i in range(len(found.runs))), "mean", "lower", "upper")
        rows = tuple(
            (name.replace("_", " "), *row.values, row.mean, row.lower, row.upper) for name, row in found.table.items()
        )
        table = Table(caption=f"Over seeds, intervals of {found.confidence:.0%}", header=header, rows=rows)
        sections.append(Section(title="Over seeds", tables=(table,)))
    return sections


def _law_section(found: Following | FollowingSeeds, evidence: LawEvidence | None, quantity: Quantity) -> Section:
    title = "Does C fall geometrically?" if quantity == "compression" else "Does D rise linearly?"
    if evidence is None:
        return Section(title=title, text=("D is 1 at every layer: there is no way left to go, so this is not asked.",))
    curve = found.curve if isinstance(found, Following) else found.mean_curve
    runs = (
        {"measured": found.curve}
        if isinstance(found, Following)
        else {f"run {i + 1}": run.curve for i, run in enumerate(found.runs)}
    )
    phase, text, onset = evidence.phase, list(evidence.reasons), None
    fitted: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    if phase is not None:
        geometric = quantity == "compression"
        rate = math.exp if geometric else float
        symbol = "C(l+1)/C(l)" if geometric else "D(l+1) − D(l)"
        ends = span(rate(phase.slope_lower), rate(phase.slope_upper))
        text.insert(
            0, f"{evidence.verdict.name}: {symbol} = {number(rate(phase.slope))} {ends} from layer {phase.onset} on."
        )
        onset = (phase.onset_lower, phase.onset_upper)
        at = np.array(evidence.layers, dtype=float)
        inside = np.linspace(phase.onset, at[-1], 40)
        start, slope = float(np.mean(phase.starts)), float(np.mean(phase.slopes))
        line = start + slope * (inside - phase.onset)
        fitted["law"] = (inside, np.exp(line) if geometric else line)
        values = getattr(curve, quantity)[np.searchsorted(curve.layers, evidence.layers)]
        values = np.log(values) if geometric else values
        ranked = sorted((a for a in evidence.alternatives if math.isfinite(a.criterion)), key=lambda a: a.criterion)
        for other in ranked[:2]:
            fit = alternative_fit(other.name, at, values, onset=phase.onset)
            fitted[f"{other.name}, AICc {other.difference:+.1f}"] = (at, np.exp(fit) if geometric else fit)
    better = {Verdict.FOLLOWS: "the law", Verdict.DEPARTS: "this", Verdict.UNDECIDED: "open"}
    rows: list[tuple[Cell, ...]] = [("the law", evidence.criterion, 0.0, "")]
    rows += [(a.name, a.criterion, a.difference, better[a.verdict]) for a in evidence.alternatives]
    tables = [
        Table(
            caption="The law and what else could explain the curve; above 0 the law is better, by 2 or more decides",
            header=("description", "AICc", "less the law's", "better is"),
            rows=tuple(rows),
        )
    ]
    if phase is not None and len(phase.onset_weights) > 1:
        weights = tuple((layer, weight) for layer, weight in phase.onset_weights.items())
        tables.append(Table(caption="Where the phase begins", header=("layer", "probability"), rows=weights))
    plot = curve_plot(quantity, runs, onset=onset, fitted=fitted, title=f"{title} {evidence.verdict.name}")
    return Section(title=title, text=tuple(text), plots=(replace(plot, name=f"law_{quantity}"),), tables=tuple(tables))
