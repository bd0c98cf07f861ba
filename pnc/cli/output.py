"""What commands print: tables for people on stdout, JSON for programs, progress on stderr."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnc.cli.flags import in_flags
from pnc.errors import InvalidInputError
from pnc.report.text import number, print_table, printable, span

if TYPE_CHECKING:
    from pnc.compare import Comparison, LawFit
    from pnc.curves import LayerCurve

__all__ = [
    "abridged",
    "closest_classes",
    "law_line",
    "number",
    "print_comparison",
    "print_json",
    "print_table",
    "printable",
    "read_text",
    "say",
    "span",
]

_WHOLE = 64  # layers that a table shows one by one


_COLOURS = {
    **dict.fromkeys(("AGREES", "FOLLOWS"), "32"),
    **dict.fromkeys(("DISAGREES", "DEPARTS", "MASKED"), "31"),
    **dict.fromkeys(("NOT_CONVERGED", "BELOW_NOISE", "ASSUMPTION_VIOLATED", "UNDECIDED"), "33"),
}
_VERDICT = re.compile(rf"^({'|'.join(_COLOURS)})(?=:)", re.MULTILINE)


def say(text: str = "") -> None:
    """A line, or a few, for people: parameters as flags of the running command, nothing that a terminal would obey.

    On a terminal a verdict at the beginning of a line is bold and coloured, unless NO_COLOR is set.
    """
    shown = printable(in_flags(text), lines=True)
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        shown = _VERDICT.sub(lambda found: f"\x1b[1;{_COLOURS[found[1]]}m{found[1]}\x1b[0m", shown)
    print(shown)


def _with_flags(value: Any) -> Any:
    """The same JSON, its sentences with the flags of the running command."""
    if isinstance(value, str):
        return in_flags(value)
    if isinstance(value, dict):
        return {key: _with_flags(one) for key, one in value.items()}
    return [_with_flags(one) for one in value] if isinstance(value, list | tuple) else value


def print_json(value: dict[str, Any]) -> None:
    """One object with sorted keys."""
    print(json.dumps(_with_flags(value), sort_keys=True, allow_nan=False))


def abridged(layers: int) -> list[int]:
    """Which layers a table shows: all of a network of ordinary depth, of a deeper one as people would pick them.

    The first ten and the last three, and 1, 2 and 5 times the powers of ten between them.

    >>> abridged(3), abridged(2000)[8:]
    ([0, 1, 2], [8, 9, 10, 20, 50, 100, 200, 500, 1000, 1997, 1998, 1999])
    """
    if layers <= _WHOLE:
        return list(range(layers))
    round_ones = (factor * 10**power for power in range(1, len(str(layers))) for factor in (1, 2, 5))
    return sorted({*range(10), *(l for l in round_ones if l < layers), *range(layers - 3, layers)})


def closest_classes(curve: LayerCurve) -> list[str] | None:
    """The two classes that D is made of, layer by layer; `None` where no layer says them."""
    if all(note.closest_classes is None for note in curve.notes):
        return None
    return ["" if note.closest_classes is None else "{}, {}".format(*note.closest_classes) for note in curve.notes]


def law_line(name: str, fit: LawFit | None, predicted: LawFit | None, *, geometric: bool) -> str:
    """One line for a fitted law: rate, interval, R², where the phase begins, and the prediction's own rate."""
    if fit is None:
        return f"{name}: fewer than two layers to fit"

    def rate(slope: float) -> str:
        return number(math.exp(slope) if geometric else slope)

    text = f"{name} = {rate(fit.slope)}"
    if not math.isnan(fit.slope_lower):
        text += f"  {fit.confidence:.0%} interval [{rate(fit.slope_lower)}, {rate(fit.slope_upper)}]"
    if not math.isnan(fit.r_squared):
        text += f"  R² = {fit.r_squared:.6f}"
    text += f"  layers {fit.onset}…{fit.onset + fit.layers - 1}"
    if predicted is not None:
        text += f"  predicted {rate(predicted.slope)}"
    return text


def _share(value: float) -> str:
    """A relative error in per cent."""
    if not math.isfinite(value):
        return "–"
    if abs(value) < 5e-5:
        return "0.00%"
    return f"{value:+.2%}" if abs(value) < 10 else f"×{value + 1:.3g}"


def print_curve(curve: LayerCurve, *, bounds: tuple[Any, Any] | None = None, bound: str = "") -> None:
    """The table of a curve alone.

    Args:
        curve: of a prediction or a measurement.
        bounds: (lower, upper) of C at its layers.
        bound: the statement that they are of.
    """
    shown = abridged(len(curve))
    header = ["layer", "C", *([f"bounds ({bound})"] if bounds else []), "D", "tr Σ_W", "tr Σ_B", "fuzziness"]
    print_table(
        header,
        (
            [
                str(l),
                number(curve.compression[i]),
                *([span(bounds[0][i], bounds[1][i])] if bounds else []),
                number(curve.discrimination[i], 6),
                number(curve.within_scatter[i]),
                number(curve.between_scatter[i]),
                number(curve.separation_fuzziness[i]),
            ]
            for i, l in zip(shown, curve.layers[shown].tolist())
        ),
    )
    if len(shown) < len(curve):
        say(f"{len(shown)} of {len(curve)} layers are shown; --json gives all")


def print_comparison(comparison: Comparison) -> None:
    """The table of predicted, measured, error and bounds, the two fits, and the limits that were applied."""
    predicted, measured, bounds = comparison.predicted, comparison.measured, comparison.bounds
    certificate, layers = comparison.certificate, measured.layers.tolist()

    def interval(lower: Any, upper: Any, within: Any, digits: int) -> list[str]:
        places = {l: i for i, l in enumerate(within.layers.tolist())}
        return [span(lower[places[l]], upper[places[l]], digits) for l in layers]

    compression = {
        "layer": [str(l) for l in layers],
        "C predicted": [number(v) for v in predicted.compression],
        "C measured": [number(v) for v in measured.compression],
        "error": [_share(v) for v in comparison.relative_error],
    }
    discrimination = {
        "layer": compression["layer"],
        "D predicted": [number(v, 5) for v in predicted.discrimination],
        "D measured": [number(v, 5) for v in measured.discrimination],
        "error of 1-D": [number(v, 2) for v in comparison.discrimination_error],
    }
    if bounds is not None:
        compression["bounds (T5)"] = interval(bounds.compression_lower, bounds.compression_upper, bounds, 4)
        discrimination["bounds (T6)"] = interval(bounds.discrimination_lower, bounds.discrimination_upper, bounds, 5)
    if certificate is not None:
        c = certificate
        compression["certificate (T8)"] = interval(c.compression_lower, c.compression_upper, c, 4)
        discrimination["certificate (T8)"] = interval(c.discrimination_lower, c.discrimination_upper, c, 6)
    shown = abridged(len(layers))
    for table, errors in ((compression, comparison.relative_error), (discrimination, comparison.discrimination_error)):
        rows = list(zip(*table.values(), strict=True))
        worst = max(range(len(rows)), key=lambda i, errors=errors: abs(errors[i]) if errors[i] == errors[i] else -1.0)
        print_table(list(table), (rows[i] for i in sorted({*shown, worst})))
        say()
    if len(shown) < len(layers):
        say(f"{len(shown)} of {len(layers)} layers are shown, and that of the largest error; --json gives all")
    if bounds is not None:
        for name in ("T5", "T6"):
            column = bounds.compression_lower if name == "T5" else bounds.discrimination_lower
            if all(math.isnan(value) for value in column.tolist()):
                say(f"no {name} bounds: {bounds.reasons[name]}")
    if certificate is not None:
        say(f"certificate (T8): widest at layer {layers[-1]} by the {certificate.dominant_term[layers[-1]]}")
    say(law_line("geometric law: C_(l+1)/C_l", comparison.geometric, comparison.geometric_predicted, geometric=True))
    say(law_line("linear law: D_(l+1) - D_l", comparison.linear, comparison.linear_predicted, geometric=False))
    violations = {name: value for name, value in comparison.moment_violation.items() if value is not None}
    if len(violations) == len(comparison.moment_violation):
        say(
            "moment law (T7), largest violation: "
            + ", ".join(f"{name.replace('_', ' ')} {number(value, 2)}" for name, value in violations.items())
        )
    for name, law in (("law of C", comparison.laws["geometric"]), ("law of D", comparison.laws["linear"])):
        say(f"{name}: {law}")
    for note in comparison.notes:
        say(f"note: {note}")
    limits = comparison.limits
    say(
        f"limits: C_l within {100 * limits.compression:.4g}%, D_l within {100 * limits.discrimination:.4g}% of its "
        f"predicted change, 1 - D_l within {100 * limits.discrimination:.4g}% plus {limits.discrimination_floor:g}"
    )


def read_text(path: str) -> str:
    """The text of a file, or of stdin for `-`.

    Raises:
        InvalidInputError: no such file, not text.
    """
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            got=f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}",
            expected="a JSON file, or - for stdin",
            next_step="write one with `pnc predict --json > predicted.json`",
        ) from error
