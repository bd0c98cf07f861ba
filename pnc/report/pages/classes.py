"""Classes: angles between their means as a heat map, the pairs that are worst separated, and how each class fares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pnc.curves import ClassTable, LayerCurve, LayerNotes
from pnc.report.axes import log_labels, whole_axis, whole_ticks
from pnc.report.pages.model import Cell, Plot, Section, Table
from pnc.report.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["classes_section"]

_WRITTEN = 12  # classes up to which each angle is written into its field
_WORST = 5


def classes_section(label: str, curve: LayerCurve, names: tuple[str, ...] = ()) -> Section | None:
    """What is known class by class; of a measurement without it the pair that D is made of; `None` where neither is.

    Args:
        label: the split.
        curve: of its layers.
        names: of the classes, in the order of their numbers.
    """
    pairs = _pairs(curve, names)
    tables = [note.class_table for note in curve.notes]
    known = [place for place, table in enumerate(tables) if table is not None]
    if not known:
        return None if pairs is None else Section(title=f"Classes, {label}", tables=(pairs,))
    last = known[-1]
    table = tables[last]
    assert table is not None
    where = _named(curve, last)
    plots = [] if table.cosines is None else [_heat_map(label, table, where, names)]
    plots.append(_spreads(label, curve, known, names))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            _class(k, names), float(table.spread[k]), _class(int(table.nearest[k]), names), float(table.angle[k]),
            float(table.margin[k]), float(table.share[k]),
        )
        for k in range(table.spread.size)
    )  # fmt: skip
    each = Table(
        caption=f"Every class at {where}; angles in degrees, all else dimensionless",
        header=("class", "spread C_k", "nearest class", "angle", "margin", "D over 1 − cosine"),
        rows=rows,
    )
    worst = _worst(table, names)
    return Section(
        title=f"Classes, {label}",
        text=(f"At {where} the worst separated pair is {worst[0]}.",) if worst else (),
        plots=tuple(plots),
        tables=(each,) if pairs is None else (each, pairs),
        lists={f"Worst separated pairs at {where}": worst} if worst else {},
    )


def _class(k: int, names: tuple[str, ...]) -> str:
    return names[k] if k < len(names) else str(k)


def _named(curve: LayerCurve, place: int) -> str:
    name = curve.notes[place].name
    return f"layer {int(curve.layers[place])}" + (f" ({name})" if name else "")


def _pairs(curve: LayerCurve, names: tuple[str, ...]) -> Table | None:
    """Layer by layer the pair of classes that D is made of."""

    def pair(note: LayerNotes) -> str | None:
        found = note.closest_classes
        return None if found is None else " and ".join(_class(k, names) for k in found)

    if all(note.closest_classes is None for note in curve.notes):
        return None
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (layer, note.name, float(d), pair(note))
        for layer, note, d in zip(curve.layers.tolist(), curve.notes, curve.discrimination, strict=True)
    )
    return Table(
        caption="The pair of classes that D is made of, at every layer; D dimensionless",
        header=("layer", "name", "D", "closest classes"),
        rows=rows,
    ).without_empty_columns()


def _angles(table: ClassTable) -> np.ndarray:
    assert table.cosines is not None
    return np.degrees(np.arccos(np.clip(table.cosines, -1, 1)))


def _worst(table: ClassTable, names: tuple[str, ...]) -> list[str]:
    if table.cosines is None:
        order = np.argsort(table.angle)[:_WORST]
        found = {tuple(sorted((int(k), int(table.nearest[k])))): float(table.angle[k]) for k in order}
    else:
        angles = _angles(table)
        first, second = np.triu_indices(len(angles), 1)
        order = np.argsort(angles[first, second])[:_WORST]
        found = {(int(first[i]), int(second[i])): float(angles[first[i], second[i]]) for i in order}
    return [
        f"{_class(one, names)} and {_class(two, names)}, {angle:.1f}°"
        for (one, two), angle in found.items()
        if np.isfinite(angle)
    ]


def _heat_map(label: str, table: ClassTable, where: str, names: tuple[str, ...]) -> Plot:
    angles = _angles(table)
    K = len(angles)
    shown = np.where(np.eye(K, dtype=bool), np.nan, angles)
    words = [_class(k, names) for k in range(K)]
    short = [word if len(word) <= 10 else f"{word[:9]}…" for word in words]

    def draw(axis: Axes, style: Style) -> None:
        # cividis: one brightness a value, alike for all kinds of colour vision
        image = axis.imshow(
            shown, cmap="cividis", vmin=np.nanmin(shown), vmax=np.nanmax(shown), interpolation="nearest"
        )
        if K <= _WRITTEN:
            middle = (np.nanmin(shown) + np.nanmax(shown)) / 2
            for (row, column), angle in np.ndenumerate(shown):
                if np.isfinite(angle):
                    ink = "#ffffff" if angle < middle else "#000000"
                    axis.text(column, row, f"{angle:.0f}", ha="center", va="center", fontsize=7, color=ink)
            axis.set_xticks(range(K), short, rotation=45, ha="right", fontsize=7)
            axis.set_yticks(range(K), short, fontsize=7)
        else:
            whole_ticks(axis, range(K))
            whole_ticks(axis, range(K), which="y")
        axis.spines[:].set_visible(False)
        axis.figure.colorbar(image, ax=axis, label="angle, degrees", shrink=0.85)

    low = float(np.nanmin(shown)) if np.isfinite(shown).any() else float("nan")
    return Plot(
        name=f"angles_{label}",
        title=f"Angles between class means, {where}",
        caption=f"Angles between the means of the classes at {where}, {label}, in degrees: the smallest is {low:.1f}; "
        f"means that are alike are dark. Fully collapsed and centred they would all be alike.",
        table=Table(
            caption="The numbers of the plot, degrees",
            header=("class", *words),
            rows=tuple((words[k], *(float(v) for v in shown[k])) for k in range(K)),
        ),
        draw=draw,
    )


def _spreads(label: str, curve: LayerCurve, known: list[int], names: tuple[str, ...]) -> Plot:
    """C_k against the layer: of all classes, or of those that end highest and lowest."""
    tables = [table for place in known if (table := curve.notes[place].class_table) is not None]
    spread = np.array([table.spread for table in tables])
    layers = curve.layers[known].tolist()
    order = np.argsort(-np.nan_to_num(spread[-1]))
    chosen = sorted(set(order[:4].tolist()) | set(order[-3:].tolist())) if spread.shape[1] > 7 else list(order)

    def draw(axis: Axes, style: Style) -> None:
        for place, k in enumerate(chosen):
            values = np.where(spread[:, k] > 0, spread[:, k], np.nan)
            axis.plot(layers, values, label=_class(int(k), names), **style.look(place))
        log_labels(axis, spread[:, chosen])
        whole_axis(axis, layers, name="layer", other="spread of a class C_k")
        axis.legend(fontsize=8)

    left = "" if len(chosen) == spread.shape[1] else f" Of {spread.shape[1]} those that end widest and tightest."
    return Plot(
        name=f"spreads_{label}",
        title="Every class by itself",
        caption=f"Mean squared distance of a class's samples from their mean, over tr Σ_B, {label}; C is their mean, "
        f"weighted by class sizes. Logarithmic axis.{left}",
        table=Table(
            caption="The numbers of the plot, dimensionless",
            header=("layer", *(_class(k, names) for k in range(spread.shape[1]))),
            rows=tuple((layer, *map(float, row)) for layer, row in zip(layers, spread)),
        ),
        draw=draw,
    )
