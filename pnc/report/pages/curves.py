"""Sections on layers: C and D with their errors, the table of the layers, ranks beside U1, classes, U1 to U4."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pnc.compare import check_universal, variance_floors
from pnc.curves import LayerCurve, LayerNotes
from pnc.report.axes import log_labels, whole_axis
from pnc.report.pages.model import Cell, Plot, Section, Table
from pnc.report.style import Style
from pnc.report.text import number, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Band", "curve_plot", "curves_section", "layer_table", "ranks_section", "universal_section"]

Quantity = Literal["compression", "discrimination"]
_SYMBOL = {"compression": "C", "discrimination": "D"}
_SAID = {
    "compression": "compression C = tr Σ_W / tr Σ_B",
    "discrimination": "discrimination D = 1 - largest cosine of two class means",
}


@dataclass(frozen=True, kw_only=True)
class Band:
    """An interval a layer that a statement gives.

    Args:
        label: the statement.
        layers: that it speaks of.
        lower, upper: NaN where it says nothing.
        bars: drawn as bars at the layers instead of a band along them.
    """

    label: str
    layers: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    bars: bool = False


def error_of(note: LayerNotes, quantity: Quantity) -> float:
    """The standard error from sampling; NaN where it was not measured."""
    found = note.compression_error if quantity == "compression" else note.discrimination_error
    return math.nan if found is None else found


def _interval(value: np.ndarray, error: np.ndarray, quantity: Quantity) -> tuple[np.ndarray, np.ndarray]:
    """One standard error to both sides: of C on the scale of its logarithm, so that no end is negative; of D within
    [0, 2]."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if quantity == "compression":
            factor = np.exp(np.minimum(error / value, 5.0))
            return value / factor, value * factor
        return np.maximum(value - error, 0.0), np.minimum(value + error, 2.0)


def curve_plot(
    quantity: Quantity,
    curves: Mapping[str, LayerCurve],
    *,
    lines: Mapping[str, LayerCurve] | None = None,
    bands: Sequence[Band] = (),
    title: str = "",
    onset: tuple[int, int] | None = None,
    fitted: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> Plot:
    """C (logarithmic) or D against the layer.

    Args:
        quantity: which.
        curves: measured: label → curve, drawn with markers and, where known, standard errors.
        lines: predicted: drawn without markers.
        bands: bounds and certificates.
        title: of the panel.
        onset: first and last layer at which a phase may begin.
        fitted: label → layers and values of a law or an alternative.
    """
    lines = lines or {}
    fitted = fitted or {}
    symbol = _SYMBOL[quantity]

    def draw(axis: Axes, style: Style) -> None:
        for band in bands:
            known = np.isfinite(band.lower) & np.isfinite(band.upper)
            if not known.any():
                continue
            if band.bars:
                axis.vlines(
                    band.layers[known], band.lower[known], band.upper[known], color=style.series[2], lw=5, alpha=0.45,
                    label=band.label,
                )  # fmt: skip
            else:
                axis.fill_between(
                    band.layers, band.lower, band.upper, color=style.band, alpha=0.45, lw=0, label=band.label
                )
        if onset is not None:
            axis.axvspan(onset[0] - 0.12, onset[1] + 0.12, color=style.band, alpha=0.35, lw=0, label="onset, 95 %")
        for place, (label, curve) in enumerate(lines.items()):
            values = _drawable(getattr(curve, quantity), quantity)
            axis.plot(curve.layers, values, "-", color=style.series[place % 7], lw=2, label=label)
        for place, (label, (at, values)) in enumerate(fitted.items()):
            axis.plot(at, values, label=label, color=style.ink, linestyle=Style.DASHES[place % 8], lw=1.4)
        for place, (label, curve) in enumerate(curves.items(), 1 if lines else 0):
            values = _drawable(getattr(curve, quantity), quantity)
            look = style.look(place, joined=not lines)
            error = np.array([error_of(note, quantity) for note in curve.notes])
            axis.plot(curve.layers, values, label=label, mfc="none" if lines else None, **look)
            if np.isfinite(error).any():
                low, high = _interval(values, error, quantity)
                reach = np.nan_to_num(np.array([values - low, high - values]), nan=0.0)
                axis.errorbar(
                    curve.layers, values, yerr=np.maximum(reach, 0), fmt="none", ecolor=look["color"], elinewidth=1.2,
                    capsize=3,
                )  # fmt: skip
        everything = [getattr(c, quantity) for c in (*curves.values(), *lines.values())]
        if quantity == "compression":
            log_labels(axis, np.concatenate(everything))
        else:
            axis.ticklabel_format(axis="y", useOffset=False)
        whole_axis(
            axis,
            np.concatenate([c.layers for c in (*curves.values(), *lines.values())]),
            name="layer",
            other=f"{quantity} {symbol}",
        )
        if len(axis.get_legend_handles_labels()[1]) > 1:
            axis.legend()

    return Plot(
        name=quantity,
        title=title or f"{quantity.capitalize()} {symbol} at every layer",
        caption=_caption(quantity, curves, lines, bands),
        table=_plotted(quantity, curves, lines, bands),
        draw=draw,
    )


def _drawable(values: np.ndarray, quantity: Quantity) -> np.ndarray:
    return np.where(values > 0, values, np.nan) if quantity == "compression" else values


def _caption(
    quantity: Quantity, curves: Mapping[str, LayerCurve], lines: Mapping[str, LayerCurve], bands: Sequence[Band]
) -> str:
    """What is drawn, with the first and the last value of every curve."""
    parts = []
    for label, curve in (*lines.items(), *curves.items()):
        values = getattr(curve, quantity)
        first, last = int(curve.layers[0]), int(curve.layers[-1])
        error = error_of(curve.notes[-1], quantity)
        shown = number(float(values[-1])) + (f" ± {number(error, 2)}" if math.isfinite(error) else "")
        parts.append(f"{label}: from {number(float(values[0]))} at layer {first} to {shown} at layer {last}")
    said = _SAID[quantity]
    text = f"{said[0].upper()}{said[1:]}, dimensionless{', logarithmic axis' if quantity == 'compression' else ''}. "
    text += "; ".join(parts) + "."
    if bands:
        text += " Shaded: " + ", ".join(band.label for band in bands) + "."
    if any(math.isfinite(error_of(note, quantity)) for curve in curves.values() for note in curve.notes):
        text += " Bars: one standard error from sampling the data."
    return text


def _plotted(
    quantity: Quantity, curves: Mapping[str, LayerCurve], lines: Mapping[str, LayerCurve], bands: Sequence[Band]
) -> Table:
    symbol = _SYMBOL[quantity]
    columns: dict[str, dict[int, float]] = {}
    for label, curve in (*lines.items(), *curves.items()):
        columns[f"{symbol}, {label}"] = dict(zip(curve.layers.tolist(), getattr(curve, quantity).tolist()))
        errors = [error_of(note, quantity) for note in curve.notes]
        columns[f"standard error, {label}"] = dict(zip(curve.layers.tolist(), errors))
    for band in bands:
        for end in ("lower", "upper"):
            columns[f"{band.label}, {end}"] = dict(zip(band.layers.tolist(), getattr(band, end).tolist()))
    layers = sorted({layer for column in columns.values() for layer in column})
    return Table(
        caption=f"The numbers of the plot: {quantity} {symbol}, dimensionless",
        header=("layer", *columns),
        rows=tuple((layer, *(column.get(layer) for column in columns.values())) for layer in layers),
    ).without_empty_columns()


def curves_section(
    curves: Mapping[str, LayerCurve],
    *,
    lines: Mapping[str, LayerCurve] | None = None,
    bands: Mapping[Quantity, Sequence[Band]] | None = None,
    text: Iterable[str] = (),
    title: str = "Layer by layer",
    hidden: Mapping[str, Sequence[int]] | None = None,
) -> Section:
    """C and D of every split with errors, and a table a split."""
    bands = bands or {}
    remarks = [remark for curve in curves.values() for remark in curve.origin.remarks]
    skipped = {
        f"{name} was not measured: {why}"
        for curve in curves.values()
        for name, why in (curve.origin.skipped or {}).items()
    }
    return Section(
        title=title,
        text=(*text, *dict.fromkeys(remarks), *sorted(skipped)),
        plots=(
            curve_plot("compression", curves, lines=lines, bands=bands.get("compression", ())),
            curve_plot("discrimination", curves, lines=lines, bands=bands.get("discrimination", ())),
        ),
        tables=tuple(layer_table(label, curve, (hidden or {}).get(label, ())) for label, curve in curves.items()),
    )


def _accuracy(own: float | None, held_out: float | None) -> str | None:
    value = own if held_out is None else held_out
    return None if value is None or math.isnan(value) else f"{value:.2%}"


def layer_table(label: str, curve: LayerCurve, hidden: Sequence[int] = ()) -> Table:
    """Everything that is known of every layer of one split, the layers with their names."""
    header = (
        "layer", "name", "dimensions", "C", "± C", "noise floor of C", "D", "± D", "tr Σ_W", "tr Σ_B", "fuzziness",
        "CDNV", "nearest centre", "linear probe",
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for i, (layer, note) in enumerate(zip(curve.layers.tolist(), curve.notes, strict=True)):
        C = float(curve.compression[i])
        rows.append(
            (
                layer, note.name, note.dimension, f"{number(C)} (below noise)" if layer in hidden else C,
                note.compression_error, note.noise_floor, float(curve.discrimination[i]), note.discrimination_error,
                float(curve.within_scatter[i]), float(curve.between_scatter[i]), float(curve.separation_fuzziness[i]),
                note.class_distance_normalised_variance,
                _accuracy(note.nearest_centre_accuracy, note.held_out_nearest_centre_accuracy),
                _accuracy(note.linear_probe_accuracy, note.held_out_linear_probe_accuracy),
            )
        )  # fmt: skip
    samples = curve.origin.samples
    facts = f"{samples} samples" if samples else "unknown number of samples"
    if curve.origin.classes:
        facts += f", K = {curve.origin.classes}"
    told = "tr Σ_W and tr Σ_B in squared feature norm; all else dimensionless"
    return Table(
        caption=f"Every layer, {label} ({facts}); {told}", header=header, rows=tuple(rows)
    ).without_empty_columns()


def ranks_section(label: str, curve: LayerCurve) -> Section | None:
    """Ranks of the features, and U1: the share of the variance in K - 1 directions with its floor 1/(1 + C)."""
    floors = {floor.layer: floor for floor in variance_floors(curve)} if _has_spectra(curve) else {}
    rows: list[tuple[Cell, ...]] = []
    for layer, note in zip(curve.layers.tolist(), curve.notes, strict=True):
        if note.ranks is None:
            continue
        plain, centred = note.ranks.uncentred, note.ranks.centred
        floor = floors.get(layer)
        share = note.leading_variance
        rows.append(
            (
                layer, note.name, note.dimension, _known(plain.numerical_rank), _known(plain.stable_rank),
                plain.effective_rank, _known(centred.stable_rank),
                None if floor is None else floor.stable_rank_ceiling, None if share is None else _known(share),
                None if floor is None else floor.share_floor,
            )
        )  # fmt: skip
    if not rows:
        return None
    table = Table(
        caption=f"Ranks of the features, {label}",
        header=(
            "layer", "name", "dimensions", "numerical rank (95 % of Σσ)", "stable rank", "effective rank",
            "stable rank, centred", "at most (U2)", "variance in K - 1 directions", "at least (U1)",
        ),
        rows=tuple(rows),
    ).without_empty_columns()  # fmt: skip
    measured = {
        layer: note.leading_variance
        for layer, note in zip(curve.layers.tolist(), curve.notes, strict=True)
        if note.leading_variance is not None
    }
    promised = {layer: floor.share_floor for layer, floor in floors.items()}
    if not measured:
        return Section(title=f"Ranks, {label}", tables=(table,))

    def draw(axis: Axes, style: Style) -> None:
        at = list(measured)
        low, high = np.array(list(measured.values()), dtype=float).T
        axis.fill_between(at, low, high, color=style.series[0], alpha=0.3, lw=0)
        axis.plot(at, low, label="measured", **style.look(0))
        if promised:
            look = style.look(1, joined=False)
            axis.plot(list(promised), list(promised.values()), label="at least, by U1: 1/(1 + C)", mfc="none", **look)
        whole_axis(axis, curve.layers, name="layer", other="share of the variance")
        axis.set_ylim(0, 1.03)
        axis.legend()

    numbers = tuple((layer, *measured.get(layer, (None, None)), promised.get(layer)) for layer in curve.layers.tolist())
    plot = Plot(
        name=f"variance_{label}".replace(" ", "_"),
        title="Variance in the first K - 1 directions",
        caption=f"Share of the variance of the centred features in K - 1 directions, {label}, and what U1 promises "
        "from C alone. The measured share lies above it at every layer, as it has to in every network.",
        table=Table(
            caption="The numbers of the plot, shares",
            header=("layer", "measured, least", "measured, most", "at least (U1)"),
            rows=numbers,
        ),
        draw=draw,
    )
    return Section(title=f"Ranks, {label}", plots=(plot,), tables=(table,))


def _has_spectra(curve: LayerCurve) -> bool:
    return any(note.leading_variance is not None for note in curve.notes)


def _known(interval: tuple[float, float]) -> Cell:
    low, high = interval
    return low if low == high or math.isnan(low) else span(low, high)


def universal_section(curves: Mapping[str, LayerCurve]) -> Section:
    """U1 to U4, which hold for the features of every network: how near each came to failing, or why it was not
    checked."""
    rows: list[tuple[Cell, ...]] = []
    missing: list[str] = []
    for label, curve in curves.items():
        found = check_universal(curve)
        for name, checks in found.checks.items():
            least = min(checks, key=lambda check: check.slack)
            state = "holds" if least.slack >= 0 else "FAILS"
            rows.append((name, label, state, len(checks), least.slack, least.layer, least.value, least.bound))
        missing += [f"{name}, {label}: {why}" for name, why in found.not_computed.items()]
    table = Table(
        caption="Inequalities of every network, with the layer at which each comes nearest to failing",
        header=("statement", "of", "", "layers", "least slack", "at layer", "measured", "bound"),
        rows=tuple(rows),
    )
    return Section(
        title="What holds for every network (U1–U4)",
        text=("They follow from the definitions: where one failed, a number would be wrong.",),
        tables=(table,) if rows else (),
        lists={"Not checked": missing} if missing else {},
    )
