"""Pages of what a person decides: which layer to read out, where to cut, what few dimensions are worth, what an attack
leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.choose import Choice, ForeignInputs, TailCosts
from pnc.choose.foreign import SCORES
from pnc.measure import CompressedSite, KeptDimensions
from pnc.report.axes import log_labels, whole_axis
from pnc.report.pages.curves import curves_section
from pnc.report.pages.laws import steps_after
from pnc.report.pages.model import Cell, Page, Plot, Section, Table
from pnc.report.style import Style
from pnc.report.text import number, signed
from pnc.robust import Robustness

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["choice_page", "compressed_page", "robustness_page", "tail_page"]


def _bars(axis: Axes, style: Style, x: Sequence[float], y: np.ndarray, low: np.ndarray, high: np.ndarray, place: int,
          label: str) -> None:  # fmt: skip
    """Points with intervals of their own shape."""
    look = style.look(place)
    axis.plot(x, y, label=label, **look)
    reach = np.maximum([y - low, high - y], 0)
    axis.errorbar(x, y, yerr=reach, fmt="none", ecolor=look["color"], capsize=3, elinewidth=1.2)


def choice_page(
    choice: Choice,
    foreign: ForeignInputs | None = None,
    *,
    title: str,
    notes: Sequence[str] = (),
    record: Mapping[str, Any],
    again: Sequence[str] = (),
) -> Page:
    """Layers ranked for a linear readout, and which tells foreign inputs."""
    best, last = choice.best, choice.readouts[-1]
    ties = {readout.layer for readout in choice.ties}
    others = [f"{readout.layer} ({readout.name})" for readout in choice.ties if readout is not best]
    reasons = [f"Left-out accuracy {best.accuracy:.1%} ± {best.standard_error:.1%} of {choice.samples} samples."]
    if others:
        reasons.append(f"As good within the error: layers {', '.join(others)}.")
    if last is not best:
        gap, error = choice.gap(last)
        reasons.append(f"The last layer costs {100 * gap:.1f} ± {100 * error:.1f} points.")
    layers = choice.curve.layers.tolist()
    rows: list[tuple[Cell, ...]] = []
    for readout, c, d in zip(choice.readouts, choice.curve.compression, choice.curve.discrimination, strict=True):
        said = "best" if readout is best else "as good, within the error" if readout.layer in ties else ""
        rows.append(
            (readout.layer, readout.name, readout.width, float(c), float(d), f"{readout.accuracy:.1%}",
             f"{readout.standard_error:.1%}", said)
        )  # fmt: skip
    accuracy = np.array([readout.accuracy for readout in choice.readouts])
    error = np.array([readout.standard_error for readout in choice.readouts])

    def draw(axis: Axes, style: Style) -> None:
        low, high = np.maximum(accuracy - error, 0), np.minimum(accuracy + error, 1)
        _bars(axis, style, layers, accuracy, low, high, 0, "left-out accuracy ± standard error")
        axis.plot([best.layer], [best.accuracy], "*", ms=14, color=style.series[1], label="best")
        whole_axis(axis, layers, name="layer", other="accuracy")
        axis.legend()

    plot = Plot(
        name="readout",
        title="What a linear readout gets out of every layer",
        caption="Accuracy of a ridge regression of the classes, every sample left out in turn, with one standard "
        f"error; best at layer {best.layer} with {best.accuracy:.1%}.",
        table=Table(
            caption="The numbers of the plot, shares",
            header=("layer", "accuracy", "standard error"),
            rows=tuple((r.layer, r.accuracy, r.standard_error) for r in choice.readouts),
        ),
        draw=draw,
    )
    header = ("layer", "name", "width", "C", "D", "left-out accuracy", "±", "")
    ranking = Table(caption="Every layer; C and D dimensionless", header=header, rows=tuple(rows))
    sections = [
        Section(title="Layers for a linear readout", text=(*notes, *choice.notes), plots=(plot,), tables=(ranking,)),
        *([] if foreign is None else [_foreign_section(foreign)]),
        curves_section({"features": choice.curve}),
    ]
    return Page(
        command="choose", title=title, verdict=f"Use layer {best.layer} ({best.name})", tone="good",
        meaning="Of all layers its features let a linear readout tell the classes best.", reasons=tuple(reasons),
        steps=(
            f"Read out layer {best.layer}; of layers that are as good, the earliest is the cheapest.",
            "Check the choice on data that were not used for it.",
        ),
        sections=tuple(sections), record=record, again=tuple(again),
    )  # fmt: skip


def _foreign_section(found: ForeignInputs) -> Section:
    layers = found.curve.layers.tolist()
    layer, best = found.best
    rows: list[tuple[Cell, ...]] = []
    for at, name, scores in zip(layers, found.names, found.detections, strict=True):
        for score in SCORES:
            one = scores[score]
            (low, high), (least, most) = one.area_interval, one.false_positives_interval
            rows.append(
                (at, name, score, one.area, f"[{low:.3f}, {high:.3f}]", f"{one.false_positives:.1%}",
                 f"[{least:.1%}, {most:.1%}]")
            )  # fmt: skip

    def draw(axis: Axes, style: Style) -> None:
        for place, score in enumerate(SCORES):
            ones = [scores[score] for scores in found.detections]
            low, high = np.array([one.area_interval for one in ones]).T
            _bars(axis, style, layers, np.array([one.area for one in ones]), low, high, place, score)
        whole_axis(axis, layers, name="layer", other="AUROC")
        axis.legend()

    header = ("layer", "name", "score", "AUROC", "95 %", "FPR at 95 %", "95 % interval")
    table = Table(caption="Every layer and score, shares", header=header, rows=tuple(rows))
    plot = Plot(
        name="foreign",
        title="Which layer tells foreign inputs",
        caption=f"Area under the receiver operating characteristic with 95 % intervals, {found.foreign} foreign "
        f"against {found.own} own samples; best at layer {layer} by {best}.",
        table=table,
        draw=draw,
    )
    return Section(title="Foreign inputs", text=found.notes, plots=(plot,), tables=(table,))


def tail_page(
    costs: TailCosts,
    *,
    title: str,
    notes: Sequence[str] = (),
    record: Mapping[str, Any],
    again: Sequence[str] = (),
) -> Page:
    """What it costs to replace everything behind each layer by one linear map."""
    earliest, layers = costs.earliest, costs.curve.layers.tolist()
    rows: list[tuple[Cell, ...]] = []
    for cut, c in zip(costs.cuts, costs.curve.compression, strict=True):
        low, high = (100 * end for end in cut.interval)
        rows.append(
            (cut.layer, cut.name, float(c), f"{cut.accuracy:.2%}", signed(100 * cut.cost),
             f"[{signed(low)}, {signed(high)}]",
             cut.parameters, cut.linear_parameters, f"{cut.time_share:.0%}")
        )  # fmt: skip
    cost = np.array([cut.cost for cut in costs.cuts])
    low, high = np.array([cut.interval for cut in costs.cuts]).T

    def draw(axis: Axes, style: Style) -> None:
        _bars(axis, style, layers, 100 * cost, 100 * low, 100 * high, 0, "cost, 95 % interval")
        axis.axhline(100 * costs.limit, color=style.ink, ls="--", lw=1, label="allowed")
        whole_axis(axis, layers, name="cut after layer", other="points of accuracy lost")
        axis.legend()

    plot = Plot(
        name="tail",
        title="What a cut costs",
        caption=f"Points of accuracy lost when one linear map follows a layer, with 95 % intervals, on "
        f"{costs.held_out} held-out samples; allowed: {100 * costs.limit:g}.",
        table=Table(
            caption="The numbers of the plot, shares",
            header=("layer", "cost", "lower", "upper"),
            rows=tuple((cut.layer, cut.cost, *cut.interval) for cut in costs.cuts),
        ),
        draw=draw,
    )
    header = (
        "layer", "name", "C", "accuracy", "cost, points", "95 %", "parameters cut", "of the map", "time saved",
    )  # fmt: skip
    table = Table(caption="Cut after every layer; C dimensionless", header=header, rows=tuple(rows))
    if earliest is None:
        verdict, meaning = "No tail", f"No cut is sure to cost {100 * costs.limit:g} points or less."
        steps = ("Allow a larger loss, or measure on more held-out samples: the intervals are what decides.",)
    else:
        verdict = f"Cut after layer {earliest.layer} ({earliest.name})"
        meaning = f"It surely costs {100 * costs.limit:g} points or less."
        steps = (
            f"Replace what follows by one linear map: {earliest.parameters} parameters become "
            f"{earliest.linear_parameters}.",
        )
    text = (f"Whole network: {costs.accuracy:.2%} of {costs.held_out} samples; maps fitted to {costs.samples}.",)
    return Page(
        command="tail", title=title, verdict=verdict, tone="open" if earliest is None else "good", meaning=meaning,
        steps=steps, record=record, again=tuple(again),
        sections=(
            Section(title="Every cut", text=(*text, *notes, *costs.notes), plots=(plot,), tables=(table,)),
            curves_section({"train": costs.curve}),
        ),
    )  # fmt: skip


_READOUTS = {
    "linear SVM": "svm_accuracy",
    "the network's own tail": "own_accuracy",
    "one linear map": "linear_accuracy",
    "nearest class centre": "centre_accuracy",
}


def compressed_page(
    found: CompressedSite,
    *,
    title: str,
    variance_share: float,
    centre_error: float,
    notes: Sequence[str] = (),
    record: Mapping[str, Any],
    again: Sequence[str] = (),
) -> Page:
    """What a layer's activations are worth in few dimensions."""
    every = (*found.kept, found.whole)
    least = _enough(found)
    rows: list[tuple[Cell, ...]] = [
        (
            one.dimensions, f"{number(one.factor)} ×", f"{one.variance:.2%}",
            *(None if (share := getattr(one, name)) is None else f"{share:.2%}" for name in _READOUTS.values()),
        )
        for one in every
    ]  # fmt: skip

    def draw(axis: Axes, style: Style) -> None:
        m = [one.dimensions for one in found.kept]
        for place, (label, name) in enumerate(_READOUTS.items()):
            values = [getattr(one, name) for one in found.kept]
            if None not in values:
                axis.plot(m, [100 * value for value in values], label=label, **style.look(place))
        log_labels(axis, m, which="x")
        if len(m) <= 8:
            axis.set_xticks(m, [str(one) for one in m])
        axis.set_xlabel("dimensions kept")
        axis.set_ylabel("accuracy, %")
        axis.grid(lw=0.6)
        axis.legend()

    table = Table(
        caption="Accuracy on held-out samples against the dimensions that are kept",
        header=("dimensions", "factor", "variance", *_READOUTS),
        rows=tuple(rows),
    ).without_empty_columns()
    plot = Plot(
        name="compressed",
        title="Accuracy against dimensions",
        caption=f"Accuracy against the principal components of {found.site} that are kept, of {found.dimension}.",
        table=Table(
            caption="The numbers of the plot, shares",
            header=("dimensions", *_READOUTS),
            rows=tuple((one.dimensions, *(getattr(one, name) for name in _READOUTS.values())) for one in every),
        ).without_empty_columns(),
        draw=draw,
    )
    K = found.classes
    text = [
        f"{found.site}: {' × '.join(map(str, found.shape))} = {found.dimension} entries, {found.samples} training and "
        f"{found.test_samples} test samples.",
        f"U1: C = {number(found.moments.compression())}, so {K - 1} directions hold {variance_share:.2%} or more of "
        "the variance.",
        f"Own tail: {found.tail_parameters} parameters of {found.network_parameters}; linear map: "
        f"{found.linear_parameters}.",
    ]
    if centre_error < 1:
        text.append(f"U4: the nearest centre in {K - 1} or more of them errs on {centre_error:.2%} at most (training).")
    if least is None:
        verdict = "Few dimensions are not enough"
        meaning = "The network's own tail loses more than one point in every number of dimensions that was tried."
        steps = ("Keep more dimensions, or look at a later layer.",)
    else:
        verdict = f"{least.dimensions} dimensions are enough"
        meaning = (
            f"In {least.dimensions} of {found.dimension} dimensions the network keeps {least.own_accuracy:.2%}, of "
            f"{found.whole.own_accuracy:.2%} in all."
        )
        steps = (
            f"Keep {least.dimensions} principal components of {found.site}: that is {number(least.factor)} × less.",
        )
    return Page(
        command="compress", title=title, verdict=verdict, tone="open" if least is None else "good", meaning=meaning,
        steps=steps, record=record, again=tuple(again),
        sections=(
            Section(title="In few dimensions", text=(*text, *notes), plots=(plot,), tables=(table,)),
        ),
    )  # fmt: skip


def _enough(found: CompressedSite) -> KeptDimensions | None:
    """The fewest dimensions in which the network's own tail loses no more than a point."""
    kept = [one for one in found.kept if one.own_accuracy >= found.whole.own_accuracy - 0.01]
    return min(kept, key=lambda one: one.dimensions, default=None)


def robustness_page(
    result: Robustness,
    *,
    title: str,
    masked: str | None,
    notes: Sequence[str] = (),
    record: Mapping[str, Any],
    again: Sequence[str] = (),
) -> Page:
    """Accuracy under attack and noise with intervals, and the checks of gradient masking."""
    rows: list[tuple[Cell, ...]] = []

    def row(name: str, strength: Cell, steps: Cell, found: Any, hit: Cell) -> None:
        low, high = found.interval()
        rows.append((name, strength, steps, f"{found.accuracy:.2%}", f"[{low:.2%}, {high:.2%}]", hit))

    row("none", None, None, result.clean, None)
    for one in result.attacks:
        tries = f" × {one.spec.restarts}" if one.spec.restarts > 1 else ""
        hit = f"{one.success_rate:.2%}" if one.targets is not None else None
        row(one.spec.attack, float(one.spec.radius), f"{one.spec.steps}{tries}", one, hit)
    for noisy in result.noise:
        row("random pixels", float(noisy.probability), None, noisy, None)
    attacks = Table(
        caption="Accuracy under attack; strength is a radius of pixels in [0, 1], or the probability of a random pixel",
        header=("attack", "strength", "steps", "accuracy", "95 % interval", "target hit"),
        rows=tuple(rows),
    ).without_empty_columns()
    series: dict[str, list[Any]] = {}
    for one in result.attacks:
        series.setdefault(f"{one.spec.attack}, {one.spec.steps} steps", []).append(one)

    def draw(axis: Axes, style: Style) -> None:
        for place, (label, ones) in enumerate(series.items()):
            ones = sorted(ones, key=lambda one: one.spec.radius)
            low, high = np.array([one.interval() for one in ones]).T
            share = np.array([one.accuracy for one in ones])
            _bars(axis, style, [one.spec.radius for one in ones], 100 * share, 100 * low, 100 * high, place, label)
        axis.axhline(100 * result.clean.accuracy, color=style.ink, ls="--", lw=1, label="not attacked")
        axis.set_xlabel("radius")
        axis.set_ylabel("accuracy, %")
        axis.set_ylim(-3, 103)
        axis.grid(lw=0.6)
        axis.legend(fontsize=8)

    plots = (
        Plot(
            name="attacks",
            title="Accuracy under attack",
            caption="Accuracy against the radius of the attack, with 95 % intervals (Clopper and Pearson), which stay "
            f"between 0 and 100 %; not attacked: {result.clean.accuracy:.2%} of {result.clean.samples} samples.",
            table=attacks,
            draw=draw,
        ),
    )
    sections = [
        Section(title="Under attack", text=(*notes, *result.notes), plots=plots if series else (), tables=(attacks,))
    ]
    words = {True: "holds", False: "FAILS", None: "not asked"}
    reasons: tuple[str, ...] = ()
    if result.checks is not None:
        checks = result.checks.checks
        reasons = tuple(
            f"{check.name} fails: {check.statement} ({check.detail})" for check in checks if check.passed is False
        )
        table = Table(
            caption=f"Checks of gradient masking, at {result.checks.confidence:.0%}",
            header=("check", "", "violated by", "beyond chance", "what it says"),
            rows=tuple(
                (check.name, words[check.passed], _share(check.violation), _share(check.bound), check.statement)
                for check in checks
            ),
        )
        sections.append(Section(title="Does the number mean anything?", tables=(table,)))
    found = result.deepfool
    if found is not None:
        told = f"Mean ‖r‖/‖x‖ = {number(found.mean_relative)} ± {number(found.standard_error, 2)}."
        hits = f"Found for {int(found.found.sum())} of {len(found.found)} samples."
        sections.append(Section(title="DeepFool", text=(told, hits)))
    if masked is not None:
        verdict, meaning, steps = "MASKED", f"{masked[:1].upper()}{masked[1:]}.", steps_after("MASKED")
    elif result.checks is None:
        verdict, meaning = "Not checked", "No checks of gradient masking were made: accuracy is only an upper bound."
        steps = ("Ask for the checks before believing any accuracy under attack.",)
    else:
        verdict = "No check fails"
        meaning = "Nothing says that gradients are masked; accuracy under attack is still only an upper bound."
        steps = ("Read the strongest attack's accuracy, with its interval.",)
    tone = "bad" if masked is not None else "open"
    return Page(
        command="robustness", title=title, verdict=verdict, tone=tone, meaning=meaning, reasons=reasons, steps=steps,
        sections=tuple(sections), record=record, again=tuple(again),
    )  # fmt: skip


def _share(value: float | None) -> str | None:
    return None if value is None else f"{max(0.0, value):.1%}"
