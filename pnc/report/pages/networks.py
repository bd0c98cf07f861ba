"""Pages of simulated, trained and measured networks, and of curves held against theory or laws."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.compare import Comparison, Following, FollowingSeeds, follow
from pnc.curves import LayerCurve
from pnc.errors import PncError
from pnc.report.axes import log_labels, whole_axis
from pnc.report.dynamics import shown_times
from pnc.report.pages.attribution import attribution_section
from pnc.report.pages.classes import classes_section
from pnc.report.pages.curves import curves_section, ranks_section, universal_section
from pnc.report.pages.laws import comparison_sections, following_sections, steps_after, tone_of
from pnc.report.pages.model import Cell, Page, Plot, Section, Table
from pnc.report.style import Style
from pnc.report.text import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pnc.simulate import History
    from pnc.theory import Dynamics
    from pnc.train import EpochRecord, Measurement

__all__ = ["comparison_page", "following_page", "measured_page", "simulated_page", "trained_page"]


def comparison_page(
    comparison: Comparison,
    *,
    command: str,
    title: str,
    record: Mapping[str, Any],
    again: Sequence[str] = (),
    further: Sequence[Section] = (),
) -> Page:
    """Theory beside measurement: verdict, curves with bounds and certificates, laws, assumptions.

    Args:
        comparison: what to report.
        command: which made it.
        title: of the page.
        record: what was run, as JSON has it.
        again: how to run it again.
        further: sections between the curves and the laws.
    """
    first, *rest = comparison_sections(comparison)
    verdict = comparison.verdict
    return Page(
        command=command, title=title, verdict=verdict.name, tone=tone_of(verdict.name),
        meaning=f"{_sentence(verdict.value)}.", reasons=comparison.reasons,
        steps=steps_after(verdict.name), sections=(first, *further, *rest), record=record,
        again=tuple(again),
    )  # fmt: skip


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def simulated_page(
    comparison: Comparison,
    *,
    title: str,
    record: Mapping[str, Any],
    again: Sequence[str] = (),
    history: History | None = None,
    dynamics: Dynamics | None = None,
    animation: bytes | None = None,
) -> Page:
    """A deep linear network held against the theory, with the curves along its training where they were recorded."""
    further = () if history is None else (_dynamics_section(history, dynamics, animation),)
    return comparison_page(comparison, command="simulate", title=title, record=record, again=again, further=further)


def _dynamics_section(history: History, dynamics: Dynamics | None, animation: bytes | None) -> Section:
    shown = history.time <= shown_times(history)[-1]
    time = history.time[shown]
    layers = history.compression.shape[1]
    chosen = sorted({0, *(round(i * (layers - 1) / 5) for i in range(6))}) if layers > 6 else list(range(layers))

    def along(name: str) -> Plot:
        recorded = np.asarray(getattr(history, name))[shown]
        recorded = recorded[:, None] if recorded.ndim == 1 else recorded
        theory = None if dynamics is None else np.asarray(getattr(dynamics, name))
        theory = theory[:, None] if theory is not None and theory.ndim == 1 else theory
        lines = [0] if name == "loss" else chosen
        symbol = {
            "compression": "compression C",
            "discrimination": "discrimination D",
            "loss": "loss, share of its start",
        }[name]

        def draw(axis: Axes, style: Style) -> None:
            for place, l in enumerate(lines):
                look = style.look(place, joined=False)
                values = (
                    np.where(recorded[:, l] > 0, recorded[:, l], np.nan) if name == "compression" else recorded[:, l]
                )
                axis.plot(time, values, label="simulated" if name == "loss" else f"layer {l}", mfc="none", **look)
                if theory is not None and dynamics is not None:
                    label = "predicted (Y1)" if place == 0 else None
                    axis.plot(dynamics.time, theory[:, l], "-", color=style.series[place % 7], lw=1.3, label=label)
            if name == "compression":
                log_labels(axis, recorded)
            else:
                axis.ticklabel_format(axis="y", useOffset=False)
            axis.set_xlabel("flow time")
            axis.set_ylabel(symbol)
            axis.grid(lw=0.6)
            axis.legend(fontsize=8)

        rows = tuple((float(t), *(float(v) for v in row[lines])) for t, row in zip(time, recorded))
        return Plot(
            name=f"training_{name}",
            title=f"{_sentence(symbol)} while training goes on",
            caption=f"{_sentence(symbol)} against flow time: dots simulated"
            + (", lines predicted by Y1." if dynamics is not None else ". Y1 predicts nothing here.")
            + (
                f" Layers {', '.join(map(str, chosen))} of {layers}." if len(chosen) < layers and name != "loss" else ""
            ),
            table=Table(
                caption="The numbers of the plot, simulated",
                header=("flow time", *(["loss"] if name == "loss" else [f"layer {l}" for l in lines])),
                rows=rows,
            ),
            draw=draw,
        )

    text = []
    if dynamics is None:
        text.append("Y1 does not apply here (it is for orthogonal initial weights, at least as wide as the data).")
    else:
        text += _contrary(history, dynamics, shown)
    told = "Compression and discrimination of every layer while training goes on: dots simulated, lines predicted."
    return Section(
        title="While training goes on",
        text=tuple(text),
        plots=(along("compression"), along("discrimination"), along("loss")),
        animation=None if animation is None else (animation, told),
    )


def _contrary(history: History, dynamics: Dynamics, shown: np.ndarray) -> list[str]:
    """Where Y1 predicts that D moves one way and the simulated D has moved the other."""
    wrong = []
    for l in range(1, history.discrimination.shape[1]):
        told = float(dynamics.discrimination[-1, l] - dynamics.discrimination[0, l])
        found = float(history.discrimination[shown, l][-1] - history.discrimination[0, l])
        if told * found < 0 and min(abs(told), abs(found)) > 1e-3:
            wrong.append(l)
    if not wrong:
        return []
    return [
        f"Y1 predicts D to move the other way than it does at layers {', '.join(map(str, wrong))}: Y1 is exact for "
        "orthonormal data only, and D is so near to 1 here that the departure of the data decides its direction."
    ]


def trained_page(
    curves: Mapping[str, LayerCurve],
    *,
    title: str,
    verdict: str | None,
    following: Mapping[str, Any],
    accuracies: Mapping[str, float],
    history: Iterable[EpochRecord],
    measurements: Iterable[Measurement] = (),
    depth: int | None = None,
    label_scale: float = 1.0,
    converged: bool | None = None,
    record: Mapping[str, Any],
    again: Sequence[str] = (),
    notes: Sequence[str] = (),
    classes: Sequence[str] = (),
    parts: Sequence[Mapping[str, Any]] = (),
) -> Page:
    """A trained network on its splits: verdict on the laws, layers, ranks, loss, and curves on the way.

    Args:
        curves: split → curve.
        title: of the page.
        verdict: that was recorded; `None` where one network does not decide it.
        following: what `follow` found, as run.json has it.
        accuracies: split → share of right samples.
        history: one record an epoch.
        measurements: on the way.
        depth: L, for ε_eff.
        label_scale: α.
        converged: whether training had.
        record: what was run.
        again: how to run it again.
        notes: what a reader of the numbers should know.
        classes: their names, where they have any.
        parts: what was predicted of the network, and how each held, as run.json has it.
    """
    first = next(iter(curves.values()))
    name = str(following["verdict"])
    told = ", ".join(f"{split} {share:.2%}" for split, share in accuracies.items())
    sections = [curves_section(curves, text=[f"Accuracy: {told}.", *notes])]
    sections += [_parts_section(parts)] if parts else []
    sections += _measured_sections(curves, classes)
    sections += _laws(first, depth=depth, label_scale=label_scale, converged=converged)
    sections += [universal_section(curves), _epochs_section(list(history), list(measurements))]
    return Page(
        command="train", title=title, verdict=verdict or name, tone=tone_of(name),
        meaning=f"{_sentence(str(following['advice']).split('; ')[0])}.",
        reasons=tuple(following["reasons"]), steps=steps_after(name), sections=tuple(sections), record=record,
        again=tuple(again),
    )  # fmt: skip


def _parts_section(parts: Sequence[Mapping[str, Any]]) -> Section:
    """What was predicted of the network, statement by statement, and how well each held."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (str(part["name"]), str(part.get("statement") or ""), str(part["outcome"]), str(part.get("told") or ""))
        for part in parts
    )
    table = Table(caption="Every prediction", header=("part", "statement", "outcome", "in words"), rows=rows)
    return Section(title="What was predicted, and how well each held", tables=(table.without_empty_columns(),))


def _laws(curve: LayerCurve, **options: Any) -> list[Section]:
    try:
        return following_sections(follow(curve, **options))
    except PncError as error:
        return [Section(title="The two laws", text=(f"Not judged: {error}",))]


def _measured_sections(curves: Mapping[str, LayerCurve], classes: Sequence[str]) -> list[Section]:
    parts = [ranks_section(label, curve) for label, curve in curves.items()]
    parts += [classes_section(label, curve, tuple(classes)) for label, curve in curves.items()]
    return [part for part in parts if part is not None]


def _epochs_section(history: list[EpochRecord], measurements: list[Measurement]) -> Section:
    epochs = [record.epoch for record in history]

    def draw(axis: Axes, style: Style) -> None:
        axis.plot(epochs, [record.loss for record in history], label="training loss", **style.look(0))
        log_labels(axis, [record.loss for record in history])
        whole_axis(axis, epochs, name="epoch", other="training loss")

    plots = []
    if history:
        last = history[-1]
        plots.append(
            Plot(
                name="loss",
                title="Loss",
                caption=f"Training loss against the epoch; at the end {number(last.loss)}, {last.accuracy:.2%} right.",
                table=Table(
                    caption="The numbers of the plot",
                    header=("epoch", "loss", "accuracy", "learning rate"),
                    rows=tuple((r.epoch, r.loss, r.accuracy, r.learning_rate) for r in history),
                ),
                draw=draw,
            )
        )
    on_the_way = [m for m in measurements if m.split == "train"]
    if on_the_way:
        plots += [_on_the_way(on_the_way, "compression"), _on_the_way(on_the_way, "discrimination")]
    return Section(title="While training went on", plots=tuple(plots))


def _on_the_way(measurements: list[Measurement], name: str) -> Plot:
    values = np.array([getattr(m.curve, name) for m in measurements])
    epochs = [m.epoch for m in measurements]
    layers = measurements[0].curve.layers.tolist()
    chosen = list(dict.fromkeys(round(i * (len(layers) - 1) / 5) for i in range(6)))

    def draw(axis: Axes, style: Style) -> None:
        for place, l in enumerate(chosen):
            axis.plot(epochs, values[:, l], label=f"layer {layers[l]}", **style.look(place))
        if name == "compression":
            log_labels(axis, values)
        whole_axis(axis, epochs, name="epoch", other=name)
        axis.legend(fontsize=8)

    return Plot(
        name=f"epochs_{name}",
        title=f"{name.capitalize()} against the epoch",
        caption=f"{name.capitalize()} of the training split at layers {', '.join(str(layers[l]) for l in chosen)}, "
        f"measured at {len(epochs)} epochs.",
        table=Table(
            caption="The numbers of the plot",
            header=("epoch", *(f"layer {layer}" for layer in layers)),
            rows=tuple((epoch, *map(float, row)) for epoch, row in zip(epochs, values)),
        ),
        draw=draw,
    )


def measured_page(
    curves: Mapping[str, LayerCurve],
    *,
    title: str,
    below_noise: Mapping[str, Sequence[int]],
    collapsed: Mapping[str, Mapping[str, Any]],
    attributions: Mapping[str, Mapping[str, Any]] | None = None,
    notes: Sequence[str] = (),
    classes: Sequence[str] = (),
    record: Mapping[str, Any],
    again: Sequence[str] = (),
    converged: bool | None = None,
) -> Page:
    """What a network or saved features do to their classes, layer by layer.

    Args:
        curves: split → curve.
        title: of the page.
        below_noise: split → layers that rounding hides.
        collapsed: split → NC1–NC4.
        attributions: split → the change of C attributed to modules, as JSON has it.
        notes: what a reader of the numbers should know.
        classes: their names, where they have any.
        record: what was measured.
        again: how to measure it again.
        converged: whether training had, where that is known.
    """
    first = next(iter(curves.values()))
    hidden = sorted({layer for some in below_noise.values() for layer in some})
    found = _judged(first, converged)
    reasons, steps = [_change(label, curve) for label, curve in curves.items()], []
    if hidden:
        reasons.append(f"C at layers {hidden} is not resolved above the rounding of the features.")
        steps.append("Measure again in float64: C at the layers that are marked is rounding.")
    if found is not None:
        reasons += [f"{found.verdict.name}: {found.advice}"]
        steps += list(steps_after(found.verdict.name))
    steps = list(dict.fromkeys(steps))
    sections = [curves_section(curves, text=notes, hidden=below_noise), *_measured_sections(curves, classes)]
    sections += [attribution_section(label, some) for label, some in (attributions or {}).items()]
    if found is not None:
        sections += following_sections(found)
    sections.append(universal_section(curves))
    if collapsed:
        sections.append(_collapse_section(collapsed))
    return Page(
        command="measure", title=title, verdict="BELOW_NOISE" if hidden else "Measured",
        tone="open" if hidden or found is None else tone_of(found.verdict.name),
        meaning=_where(first), reasons=tuple(reasons), steps=tuple(steps), sections=tuple(sections), record=record,
        again=tuple(again),
    )  # fmt: skip


def _judged(curve: LayerCurve, converged: bool | None) -> Following | None:
    try:
        return follow(curve, converged=converged)
    except PncError:
        return None


def _change(label: str, curve: LayerCurve) -> str:
    C, D = curve.compression, curve.discrimination
    return (
        f"{label}: C goes from {number(float(C[0]))} to {number(float(C[-1]))} and D from {number(float(D[0]))} to "
        f"{number(float(D[-1]))} over {len(curve)} layers."
    )


def _where(curve: LayerCurve) -> str:
    """The layer with the least C, and whether later ones undo it."""
    C = np.where(np.isfinite(curve.compression), curve.compression, math.inf)
    best = int(C.argmin())
    name = curve.notes[best].name
    named = f"layer {int(curve.layers[best])}" + (f" ({name})" if name else "")
    if best == len(curve) - 1:
        return f"Classes are tightest at the last layer, {named}: C = {number(float(C[best]))}."
    return (
        f"Classes are tightest at {named}, where C = {number(float(C[best]))}; at the last layer it is "
        f"{number(float(C[-1]))}, so the layers between undo some of it."
    )


def _collapse_section(collapsed: Mapping[str, Mapping[str, Any]]) -> Section:
    names = {
        "variability": "NC1, within over between",
        "equinorm": "NC2, norms of the means",
        "equiangularity": "NC2, angles of the means",
        "self_duality": "NC3, means and classifier",
        "disagreement": "NC4, disagreement with the nearest centre",
        "accuracy": "accuracy",
        "nearest_centre_accuracy": "accuracy of the nearest centre",
    }
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (said, *(found.get(name) for found in collapsed.values())) for name, said in names.items()
    )
    head = next(iter(collapsed.values())).get("head")
    table = Table(
        caption="Neural collapse, 0 where it is complete; the last two are shares", header=("", *collapsed), rows=rows
    )
    return Section(title=f"Neural collapse at the classifier ({head})", tables=(table,))


def following_page(
    found: Following | FollowingSeeds, *, title: str, record: Mapping[str, Any], again: Sequence[str] = ()
) -> Page:
    """Trained networks held against the laws: verdict, each law with its alternatives, layers, U1–U4.

    Args:
        found: what to report.
        title: of the page.
        record: what was compared.
        again: how to compare it again.
    """
    verdict = found.verdict
    if isinstance(found, Following):
        curves = {"measured": found.curve}
    else:
        curves = {f"run {i + 1}": run.curve for i, run in enumerate(found.runs)}
    ranks = [ranks_section(label, curve) for label, curve in curves.items()] if len(curves) == 1 else []
    classes = [classes_section(label, curve) for label, curve in curves.items()] if len(curves) == 1 else []
    sections = [
        *following_sections(found), curves_section(curves), *(part for part in (*ranks, *classes) if part is not None),
        universal_section(curves),
    ]  # fmt: skip
    lead = "a number contradicts a theorem" if verdict.name == "DISAGREES" else verdict.value
    return Page(
        command="compare", title=title, verdict=verdict.name, tone=tone_of(verdict.name), meaning=f"{_sentence(lead)}.",
        reasons=(*found.reasons, *found.notes), steps=steps_after(verdict.name), sections=tuple(sections),
        record=record, again=tuple(again),
    )  # fmt: skip


def named(path: str | Path) -> str:
    """The last part of a path, to stand in a title."""
    return Path(path).name
