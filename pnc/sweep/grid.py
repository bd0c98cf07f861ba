"""What to sweep over: values of every parameter, from a TOML file or from words on a command line."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from pnc.errors import InvalidInputError
from pnc.fields import Whole, declarations
from pnc.spec.sweep import SweepAxes, SweepSettings
from pnc.toml_file import read_toml

__all__ = ["AXES", "Sweep", "SweepSettings", "parse_values", "read_sweep"]

AXES: dict[str, type] = {
    axis.name: int if isinstance(axis.limits, Whole) else float for axis in declarations(SweepAxes)
}
"""Parameters that a sweep can vary, and what their values are; in the order of the result's dimensions."""

Value = float | tuple[int, ...]
"""Of an axis: a number; of `samples_per_class` also the sizes of unequal classes."""

_OF_DATA = ("classes", "samples_per_class", "dimension", "theta")
_MOST_VALUES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A union of product grids, with what their runs have in common.

    Args:
        grids: for each grid the values of every axis that it states.
        settings: common to all runs.

    Raises:
        InvalidInputError: an axis without values, or one that has no meaning for the data.
    """

    grids: tuple[Mapping[str, tuple[Value, ...]], ...]
    settings: SweepSettings = field(default_factory=SweepSettings)

    def __post_init__(self) -> None:
        for grid in self.grids:
            if "depth" not in grid:
                raise InvalidInputError(
                    got="a grid without depths", expected="at least one depth", next_step="pass `depth=2:8`"
                )
            for name, values in grid.items():
                if not values:
                    raise InvalidInputError(
                        got=f"an empty grid: {name} has no value",
                        expected="at least one value for every parameter",
                        next_step=f"give {name} a value, or leave it out for its default",
                    )
                misplaced = name in _OF_DATA and not self.settings.synthetic
                if misplaced or (name == "theta" and self.settings.data != "nearly-orthonormal"):
                    raise InvalidInputError(
                        got=f"{name} with data = {self.settings.data!r}",
                        expected=f"{name} only with "
                        + ("nearly-orthonormal data" if name == "theta" else "synthetic data"),
                        next_step=f"leave {name} out, or choose other data",
                    )

    def to_dict(self) -> dict[str, Any]:
        return {
            "grids": [{name: list(values) for name, values in grid.items()} for grid in self.grids],
            "settings": asdict(self.settings),
        }


def parse_values(name: str, value: Any) -> tuple[Value, ...]:
    """The values that one parameter takes: a number, a list, `"200,300"`, `"2:12"` or `"0.1:0.5:0.1"`, ends included.

    Sizes of unequal classes are one value of `samples_per_class`: `"5/10/20"`, or a list within the list.

    Args:
        name: one of `AXES`.
        value: text, a number, or a list of either.

    Raises:
        InvalidInputError: not numbers of the parameter's kind, a range that is empty or has no step.

    >>> parse_values("depth", "2:5,8"), parse_values("epsilon", "0.1:0.3:0.1")
    ((2, 3, 4, 5, 8), (0.1, 0.2, 0.3))
    >>> parse_values("samples_per_class", "10,5/10/20"), parse_values("samples_per_class", [10, [5, 10, 20]])
    ((10, (5, 10, 20)), (10, (5, 10, 20)))
    """
    kind = AXES[name]
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    found: list[Value] = []
    for part in parts:
        if isinstance(part, str) and not part.strip():
            continue
        if name == "samples_per_class" and isinstance(part, str) and "/" in part:
            part = part.split("/")
        ends = part.split(":") if isinstance(part, str) else [part]
        try:
            if name == "samples_per_class" and isinstance(part, list | tuple) and part:
                found.append(tuple(_number(size, int) for size in part))
                continue
            if not 1 <= len(ends) <= 3:
                raise ValueError
            found += _range(*(_number(end, kind) for end in ends), kind=kind)
        except (ValueError, OverflowError):
            words = "whole numbers" if kind is int else "numbers"
            example = {int: "2:12 or 200,300", float: "0.1,0.3 or 0.1:0.5:0.1"}[kind]
            example += ", or 5/10/20 for unequal classes" if name == "samples_per_class" else ""
            raise InvalidInputError(
                got=f"{name} = {value!r}",
                expected=f"{words}, a list or a range first:last[:step]",
                next_step=f"write for instance {example}",
            ) from None
    if len(found) > _MOST_VALUES:
        raise InvalidInputError(
            got=f"{len(found)} values of {name}",
            expected=f"at most {_MOST_VALUES}",
            next_step="choose a larger step",
        )
    return tuple(dict.fromkeys(found))


N = TypeVar("N", int, float)


def _number(value: Any, kind: type[N]) -> N:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    number = float(value)
    if not math.isfinite(number) or (kind is int and number != int(number)):
        raise ValueError
    return kind(number)


def _range(first: float, last: float | None = None, step: float | None = None, *, kind: type) -> list[float]:
    if last is None:
        return [first]
    if step is None and kind is float:
        raise ValueError  # between 0.1 and 0.5 lies no natural list of numbers
    step = 1 if step is None else step
    if step <= 0:
        raise ValueError
    count = math.floor((last - first) / step + 1e-9) + 1
    if count > _MOST_VALUES:
        raise OverflowError
    # 0.1 + 2 · 0.1 is to be the number that 0.3 reads as
    return [kind(first + i * step) if kind is int else float(f"{first + i * step:.12g}") for i in range(count)]


def read_sweep(source: str | Path | Mapping[str, Any] | None = None, **options: Any) -> Sweep:
    """A sweep from a TOML file (or what one holds), with options that take precedence over it.

    Top-level keys are axes and settings; every `[[grid]]` table states axes of a further grid, which takes from the top
    level what it does not state. The sweep is the union of its grids.

    Args:
        source: path of a TOML file, or a mapping.
        options: axes and settings; `None` means not given.

    Raises:
        InvalidInputError: no such file, not TOML, an unknown key (the nearest known one is named), a value of the wrong
            kind.

    >>> sweep = read_sweep({"depth": "2:3", "seeds": 2, "grid": [{"width": 200}, {"width": [300], "depth": 5}]})
    >>> [sorted(grid.items()) for grid in sweep.grids]
    [[('depth', (2, 3)), ('width', (200,))], [('depth', (5,)), ('width', (300,))]]
    """
    stated = (
        dict(source)
        if isinstance(source, Mapping)
        else read_toml(source, instead="state the grid with options such as `depth=2:8`")
        if source is not None
        else {}
    )
    tables = stated.pop("grid", None)
    if tables is not None and not (
        isinstance(tables, list) and tables and all(isinstance(table, Mapping) for table in tables)
    ):
        raise InvalidInputError(
            got=f"grid = {tables!r}",
            expected="tables [[grid]], at least one",
            next_step="write [[grid]] above its keys",
        )
    stated |= {name: value for name, value in options.items() if value is not None}
    known = [*AXES, *(f.name for f in fields(SweepSettings))]
    for name in stated:
        _require_known(name, [*known, "grid"])
    for table in tables or []:
        for name in table:
            _require_known(name, list(AXES), where=" in [[grid]]")
    axes = {name: parse_values(name, stated.pop(name)) for name in AXES if name in stated}
    grids = [
        axes | {name: parse_values(name, value) for name, value in table.items() if options.get(name) is None}
        for table in tables or [{}]
    ]
    settings = SweepSettings(**stated)
    return Sweep(grids=tuple(grids), settings=settings)


def _require_known(name: str, known: Iterable[str], where: str = "") -> None:
    known = list(known)
    if name not in known:
        near = difflib.get_close_matches(name.replace("-", "_"), known, n=1, cutoff=0.4)
        raise InvalidInputError(
            got=f"the unknown key {name!r}{where}",
            expected=f"one of {', '.join(known)}",
            next_step=f"did you mean {near[0]}?" if near else "remove it",
        )
