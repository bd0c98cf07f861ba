"""Pages of many runs: a sweep, an experiment, runs side by side."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.compare import worst_status
from pnc.curves import LayerCurve
from pnc.report.axes import log_labels
from pnc.report.pages.curves import curves_section
from pnc.report.pages.laws import steps_after
from pnc.report.pages.model import Cell, Page, Plot, Section, Table, Tone
from pnc.report.style import Style
from pnc.report.text import number

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

__all__ = ["experiment_page", "side_by_side_page", "summary_tables", "sweep_page"]

_TONES: Mapping[int, Tone] = {0: "good", 3: "bad", 4: "open"}
_ROWS = 400  # of a sweep that a page shows; results.csv has all


def sweep_page(dataset: xarray.Dataset, *, title: str, record: Mapping[str, Any], again: Sequence[str] = ()) -> Page:
    """A grid of simulations: verdicts, and for each the largest error and both rates.

    Args:
        dataset: of the sweep.
        title: of the page.
        record: what was run.
        again: how to run it again.
    """
    verdicts = [str(name) for name in dataset["verdict"].values.ravel() if str(name)]
    counts = {name: verdicts.count(name) for name in sorted(set(verdicts))}
    status = worst_status(verdicts)
    axes = [str(name) for name in dataset["verdict"].dims]
    varied = [name for name in axes if dataset.sizes[name] > 1]
    rows, cells = _cells(dataset, axes)
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    header = (*axes, "outcome", "verdict", "largest error of C", "C(l+1)/C(l)", "loss", "why")
    table = Table(
        caption=f"The runs{f', the first {_ROWS} of {len(rows)}' if len(rows) > _ROWS else ''}; dimensionless",
        header=header,
        rows=tuple(rows[:_ROWS]),
    ).without_empty_columns()
    plots = tuple(_against(name, cells) for name in varied if name in cells and _numeric(cells[name]))
    worst = max(counts, key=lambda name: (worst_status([name]) == status, counts[name])) if counts else "NOT_CONVERGED"
    return Page(
        command="sweep", title=title, verdict=f"{len(verdicts)} runs: {told}", tone=_TONES[status],
        meaning="Every run is held against the theory by itself; the worst of them decides the exit status.",
        steps=steps_after(worst), sections=(Section(title="Runs", plots=plots, tables=(table,)),), record=record,
        again=tuple(again),
    )  # fmt: skip


def _numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _cells(dataset: xarray.Dataset, axes: list[str]) -> tuple[list[tuple[Cell, ...]], dict[str, list[Any]]]:
    """A row a run, and the same by column for the plots."""
    rows: list[tuple[Cell, ...]] = []
    columns: dict[str, list[Any]] = {name: [] for name in (*axes, "error")}
    outcomes = dataset["outcome"].values
    for place in np.ndindex(outcomes.shape):
        outcome = str(outcomes[place])
        if not outcome:
            continue
        run = dataset.isel(dict(zip(axes, place)))
        where = [run[name].values.item() if name in run.coords else int(at) for name, at in zip(axes, place)]
        error = (
            np.abs(np.asarray(run["relative_error"].values, dtype=float)) if "relative_error" in run else np.array([])
        )
        largest = float(np.nanmax(error)) if np.isfinite(error).any() else None
        slope = float(run["geometric_slope"])
        shown = None if largest is None else f"{largest:.2%}"
        told = (outcome, str(run["verdict"].values) or None, shown, math.exp(slope), float(run["loss"]))
        rows.append((*where, *told, str(run["reason"].values)))
        for name, value in zip((*axes, "error"), (*where, largest), strict=True):
            columns[name].append(value)
    return rows, columns


def _against(name: str, cells: Mapping[str, list[Any]]) -> Plot:
    pairs = [(x, y) for x, y in zip(cells[name], cells["error"], strict=True) if y]

    def draw(axis: Axes, style: Style) -> None:
        if pairs:
            x, y = zip(*pairs)
            axis.plot(x, y, **style.look(0, joined=False))
            log_labels(axis, y)
            values = sorted(set(x))
            if len(values) <= 12:
                axis.set_xticks(values, [number(value) for value in values])
        axis.set_xlabel(name.replace("_", " "))
        axis.set_ylabel("largest error of C, relative")
        axis.grid(lw=0.6)

    return Plot(
        name=f"error_{name}",
        title=f"Largest error of C against {name.replace('_', ' ')}",
        caption=f"The largest relative error of C over the layers of each run, against its {name.replace('_', ' ')}; "
        "logarithmic axis.",
        table=Table(caption="The numbers of the plot", header=(name, "largest error"), rows=tuple(pairs)),
        draw=draw,
    )


def experiment_page(
    name: str,
    summary: Mapping[str, Any],
    pictures: Mapping[str, Path],
    *,
    what: str,
    record: Mapping[str, Any],
    again: Sequence[str] = (),
) -> Page:
    """An experiment: its figures, and what it found as tables.

    Args:
        name: of the experiment.
        summary: what it found.
        pictures: name → SVG file that it drew.
        what: it is, in one line.
        record: what was run.
        again: how to run it again.
    """
    drawn = {
        said: (
            f"Figure of the experiment {name}: {what} The numbers are in the tables below.",
            path.read_text(encoding="utf-8"),
        )
        for said, path in pictures.items()
        if path.stat().st_size < 600_000
    }
    left_out = [said for said in pictures if said not in drawn]
    text = (what, *(f"The figure {said} is too large to stand here; it lies beside this page." for said in left_out))
    sections = [Section(title="Figures", text=text, pictures=drawn)]
    tables = summary_tables(summary)
    if tables:
        sections.append(Section(title="What was found", tables=tuple(tables)))
    return Page(
        command="reproduce", title=f"{name}: {what}", verdict="Reproduced", tone="open",
        meaning="What was measured stands in the tables below; hold it against what was published.",
        sections=tuple(sections), record=record, again=tuple(again),
    )  # fmt: skip


def _spoken(key: str) -> str:
    return key.replace("_", " ")


def _plain(value: Any) -> Cell:
    """A cell of a number, a word, an interval or a short list."""
    if value is None or isinstance(value, str | int | float):
        return str(value) if isinstance(value, bool) else value
    if (
        isinstance(value, Mapping)
        and {"mean", "lower", "upper"} <= set(value)
        and isinstance(value["mean"], int | float)
    ):
        low, high = (float("nan") if value[end] is None else value[end] for end in ("lower", "upper"))
        return f"{number(value['mean'])} [{number(low)}, {number(high)}]"
    if isinstance(value, list | tuple) and all(item is None or isinstance(item, str | int | float) for item in value):
        shown = [number(item) if isinstance(item, float) else "–" if item is None else str(item) for item in value]
        return ", ".join(shown) if len(shown) <= 24 else f"{', '.join(shown[:12])}, … ({len(shown)} in all)"
    return None


def summary_tables(summary: Mapping[str, Any], *, title: str = "") -> list[Table]:
    """Whatever an experiment found, as tables: facts in one, every group in one of its own, equal rows together.

    >>> tables = summary_tables({"seeds": 3, "plain": {"accuracy": 0.5}, "low rank": {"accuracy": 0.6}})
    >>> [(table.caption, table.header, table.rows) for table in tables][1]
    ('Results', ('', 'accuracy'), (('plain', 0.5), ('low rank', 0.6)))
    """
    facts, groups, lists = {}, {}, {}
    for key, value in summary.items():
        if isinstance(value, Mapping) and _plain(value) is None:
            groups[key] = value
        elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            lists[key] = value
        else:
            facts[key] = value
    found: list[Table] = []
    if facts:
        rows = tuple((_spoken(key), _plain(value)) for key, value in facts.items())
        found.append(Table(caption=title or "Facts", header=("", "value"), rows=rows))
    flat = {key: value for key, value in groups.items() if all(_is_cell(item) for item in value.values())}
    if len(flat) > 1 and len({tuple(value) for value in flat.values()}) == 1:
        header = tuple(_spoken(name) for name in next(iter(flat.values())))
        rows = tuple((_spoken(key), *map(_plain, value.values())) for key, value in flat.items())
        found.append(Table(caption=title or "Results", header=("", *header), rows=rows))
        groups = {key: value for key, value in groups.items() if key not in flat}
    for key, value in groups.items():
        found += summary_tables(value, title=f"{title}, {_spoken(key)}".removeprefix(", "))
    for key, items in lists.items():
        names = list(dict.fromkeys(name for item in items for name in item if _is_cell(item[name])))
        rows = tuple(tuple(_plain(item.get(name)) for name in names) for item in items)
        caption = f"{title}, {_spoken(key)}".removeprefix(", ")
        found.append(Table(caption=caption, header=tuple(map(_spoken, names)), rows=rows))
    return [table for table in found if table.rows and table.header]


def _is_cell(value: Any) -> bool:
    return value is None or _plain(value) is not None


def side_by_side_page(
    runs: Mapping[str, Mapping[str, Any]], *, title: str, record: Mapping[str, Any], again: Sequence[str] = ()
) -> Page:
    """Several runs in one page: their curves in one plot, and what became of each.

    Args:
        runs: name → what run.json holds.
        title: of the page.
        record: what was put together.
        again: how to do it again.
    """
    curves = {name: curve for name, found in runs.items() if (curve := _curve_of(found)) is not None}
    rows: list[tuple[Cell, ...]] = []
    for name, found in runs.items():
        curve = curves.get(name)
        accuracy = (found.get("splits") or {}).get("train", {}).get("accuracy")
        rows.append(
            (
                name, str(found.get("command", "")), found.get("verdict") or "none",
                None if curve is None else len(curve),
                None if curve is None else float(curve.compression[-1]),
                None if curve is None else float(curve.discrimination[-1]),
                None if accuracy is None else f"{accuracy:.2%}",
            )
        )  # fmt: skip
    table = Table(
        caption="The runs; C and D of the last layer, dimensionless; accuracy of the training split",
        header=("run", "command", "verdict", "layers", "C", "D", "accuracy"),
        rows=tuple(rows),
    ).without_empty_columns()
    verdicts = [str(found["verdict"]) for found in runs.values() if found.get("verdict")]
    sections = [Section(title="Side by side", tables=(table,))]
    if curves:
        sections.append(replace(curves_section(curves), title="Their layers"))
    differing = _differences({name: found.get("request") or {} for name, found in runs.items()})
    if differing:
        sections.append(Section(title="In what they differ", tables=(differing,)))
    told = ", ".join(f"{name}: {found.get('verdict') or 'none'}" for name, found in runs.items())
    return Page(
        command="report", title=title, verdict=f"{len(runs)} runs", tone="open", meaning=f"Verdicts: {told}.",
        steps=("Runs that differ by their seed alone are judged together by pnc compare.",) if verdicts else (),
        sections=tuple(sections), record=record, again=tuple(again),
    )  # fmt: skip


def _curve_of(found: Mapping[str, Any]) -> LayerCurve | None:
    for place in (found.get("comparison"), found):
        if isinstance(place, Mapping) and place.get("layers") is not None and place.get("within_scatter") is not None:
            return LayerCurve.from_dict(place)
    return None


def _differences(requests: Mapping[str, Mapping[str, Any]]) -> Table | None:
    flat = {name: dict(_flat(request)) for name, request in requests.items()}
    keys = sorted({key for found in flat.values() for key in found})
    rows = []
    for key in keys:
        values = [found.get(key) for found in flat.values()]
        if any(value != values[0] for value in values):
            rows.append((re.sub(r"[._]", " ", key), *(None if value is None else str(value) for value in values)))
    if not rows:
        return None
    return Table(caption="Options that are not the same", header=("option", *flat), rows=tuple(rows))


def _flat(value: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, item in value.items():
        found += _flat(item, f"{before}{key}.") if isinstance(item, Mapping) else [(f"{before}{key}", item)]
    return found
