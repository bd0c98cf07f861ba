"""Where the compression happens (U5): the change of log C, module by module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.report.pages.model import Plot, Section, Table
from pnc.report.style import Style
from pnc.report.text import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["attribution_section"]

_BARS = 24  # modules that a plot shows: those with the largest effects


def attribution_section(label: str, found: Mapping[str, Any]) -> Section:
    """Every module of the path with its share of the change of log C.

    Args:
        label: the split.
        found: `Attribution.to_dict()`, as JSON has it.
    """
    names = [str(name) for name in found["names"]]
    columns = {key: np.array(found[key], dtype=float) for key in ("log_within", "log_between", "log_compression")}
    change = columns["log_compression"]
    shown = np.sort(np.argsort(-np.abs(np.nan_to_num(change)))[:_BARS])
    before, after = found["compression"]

    def draw(axis: Axes, style: Style) -> None:
        at = np.arange(len(shown))
        down = change[shown] < 0
        for kind, colour, label in ((down, style.series[0], "compresses"), (~down, style.series[1], "expands")):
            if kind.any():
                axis.barh(at[kind], change[shown][kind], color=colour, label=label)
        axis.axvline(0, color=style.ink, lw=0.8)
        axis.set_yticks(at, [_short(names[i]) for i in shown], fontsize=7)
        axis.invert_yaxis()
        axis.set_xlabel("change of log C")
        axis.grid(axis="x", lw=0.6)
        axis.legend(fontsize=8)

    by_kind = tuple(sorted(((kind, float(value)) for kind, value in found["by_kind"].items()), key=lambda one: one[1]))
    modules = Table(
        caption="Every module in the order of the path, differences of logarithms",
        header=("module", "kind", "log tr Σ_W", "log tr Σ_B", "log C"),
        rows=tuple(
            (name, str(kind), float(w), float(b), float(c))
            for name, kind, w, b, c in zip(names, found["kinds"], *columns.values(), strict=True)
        ),
    )
    most = [name for name, _ in by_kind if _ < 0][:1]
    told = f"C goes from {number(float(before))} to {number(float(after))}; the modules' shares add up to that change."
    plot = Plot(
        name=f"attribution_{label}",
        title="Which modules compress",
        caption=told
        + (f" Most of it is done by modules of the kind {most[0]}." if most else "")
        + (f" The {_BARS} largest of {len(names)} are drawn." if len(names) > _BARS else ""),
        table=modules,
        draw=draw,
    )
    kinds = Table(caption="By kind of module, change of log C", header=("kind", "change of log C"), rows=by_kind)
    return Section(
        title=f"Where the compression happens (U5), {label}",
        text=tuple(str(note) for note in found.get("notes", ())),
        plots=(plot,),
        tables=(kinds,),
        lists={"Inequalities that fail, which they must not": violations}
        if (violations := [str(one) for one in found.get("violations", ())])
        else {},
    )


def _short(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:10]}…{name[-11:]}"
