"""Whether curves follow one law, judged against each alternative by an information criterion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from pnc.compare.laws.criterion import DECISIVE, corrected_criterion, verdict_between
from pnc.compare.laws.phase import Phase, find_phase, noise_squares, onset_price
from pnc.compare.laws.shapes import approach, bend, constant, flat_from, floor, squares
from pnc.compare.verdict import Verdict
from pnc.curves import json_ready

__all__ = ["PHASE_LAYERS", "Alternative", "LawEvidence", "alternative_fit", "weigh_law"]

PHASE_LAYERS = 4
"""Layers that a phase must have for a verdict."""


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """What else could explain the curve.

    Args:
        name: `constant`, `constant phase`, `bend`, `floor` or `approach`.
        criterion: AICc of its best fit.
        difference: the alternative's criterion minus the law's: above 0 speaks for the law.
        verdict: FOLLOWS where the law wins, DEPARTS where the alternative does.
    """

    name: str
    criterion: float
    difference: float
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "verdict": self.verdict.name}


@dataclass(frozen=True, kw_only=True)
class LawEvidence:
    """One law, of one curve or of several.

    Args:
        law: `geometric` (log C_l is straight) or `linear` (D_l is).
        layers: that were fitted.
        left_out: further layers of the curve from the first fitted on, where the quantity is undefined or below noise.
        phase: `None` with fewer than three layers.
        criterion: AICc of the law.
        alternatives: each with its difference and who wins.
        verdict: FOLLOWS, DEPARTS or UNDECIDED.
        reasons: what led to it, with numbers.
    """

    law: Literal["geometric", "linear"]
    layers: tuple[int, ...]
    left_out: tuple[int, ...]
    phase: Phase | None
    criterion: float
    alternatives: tuple[Alternative, ...]
    verdict: Verdict
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return json_ready(
            {
                **vars(self),
                "phase": None if self.phase is None else self.phase.to_dict(),
                "alternatives": [alternative.to_dict() for alternative in self.alternatives],
                "verdict": self.verdict.name,
            }
        )


def alternative_fit(
    name: str, layers: Float[np.ndarray, " n"], values: Float[np.ndarray, " n"], *, onset: int
) -> Float[np.ndarray, " n"]:
    """The best fit of an alternative to one curve, at its layers.

    Args:
        name: as in `Alternative`.
        layers: (n,) that were fitted.
        values: (n,) log C_l or D_l.
        onset: of the phase, for a constant phase.

    >>> alternative_fit("constant", np.arange(3.0), np.array([1.0, 2.0, 3.0]), onset=0).tolist()
    [2.0, 2.0, 2.0]
    """
    shapes = {"constant": constant, "constant phase": partial(flat_from, onset), "bend": bend}
    return {**shapes, "floor": floor, "approach": approach}[name](layers, values)


def _alternatives(
    law: str, layers: np.ndarray, values: np.ndarray, phase: Phase, criterion: float
) -> tuple[Alternative, ...]:
    curves, n = values.shape
    broken = phase.layers < n
    names = ["constant", *(["constant phase"] if broken else []), "bend", "floor" if law == "geometric" else "approach"]
    found = []
    for name in names:
        misfit = sum(squares(y, alternative_fit(name, layers, y, onset=phase.onset)) for y in values)
        own = {"constant": 1, "constant phase": 2}.get(name, 3)
        # a constant phase begins where the search put it
        value = onset_price(n) if name == "constant phase" else 0.0
        value += corrected_criterion(max(misfit, noise_squares(values)), points=curves * n, parameters=curves * own + 1)
        difference, verdict = math.nan, Verdict.UNDECIDED
        if math.isfinite(value) and math.isfinite(criterion):
            difference = value - criterion
            verdict = verdict_between(criterion, value, further_parameters=own - (3 if broken else 2))
        found.append(Alternative(name=name, criterion=value, difference=difference, verdict=verdict))
    return tuple(found)


def weigh_law(
    law: Literal["geometric", "linear"],
    layers: Float[np.ndarray, " n"],
    values: Float[np.ndarray, "curves n"],
    *,
    confidence: float,
    left_out: Sequence[int] = (),
) -> LawEvidence:
    """Weigh a law against its alternatives.

    The law: log C_l falls along a straight line from the onset to the last layer; D_l moves towards 1 along one. Before
    the onset the curve may have another rate; no onset is the law in its strongest form. FOLLOWS means: the phase has
    at least 4 layers, its rate has the right sign, and by AICc the law wins against

    * `constant`: nothing happens at any layer, and `constant phase`: nothing happens from the onset on;
    * `bend`: the rate changes steadily (y = a + b l + c l² over all layers);
    * for C `floor`: one exponential down to a floor, C = c + A r^l over all layers;
    * for D `approach`: one exponential approach to a limit, D = a - b e^{-c l} over all layers.

    "Wins" is `verdict_between`: the richer of two must be lower by 2, of equals either. DEPARTS means that an
    alternative wins, or the wrong sign; UNDECIDED everything else: fewer than 4 layers in the phase, differences too
    small, and too few points to tell, where even a bend that takes away nine tenths of the law's misfit could not win
    (fewer than 7 layers of one curve, 6 of two or more).

    Args:
        law: which.
        layers: (n,) that all curves have.
        values: (curves, n) log C_l or D_l, finite; several curves share noise level and onset, and nothing else.
        confidence: of onset and slope.
        left_out: layers that could not be used, for the record.

    >>> l = np.arange(1.0, 8)
    >>> weigh_law("linear", l, np.array([0.1 + 0.1 * l]), confidence=0.95).verdict.name
    'FOLLOWS'
    >>> weigh_law("linear", l, np.array([0.9 - 0.8 * 0.5**l]), confidence=0.95).reasons[0]
    'a single exponential approach explains D better than the law: AICc lower by 23'
    """
    curves, n = values.shape
    symbol = "log C" if law == "geometric" else "D"
    base = {"law": law, "layers": tuple(int(l) for l in layers), "left_out": tuple(int(l) for l in left_out)}
    if n < 3:
        return LawEvidence(
            **base,
            phase=None,
            criterion=math.inf,
            alternatives=(),
            verdict=Verdict.UNDECIDED,
            reasons=(_too_few(symbol, n, curves),),
        )
    phase, criterion = find_phase(layers, values, confidence=confidence)
    alternatives = _alternatives(law, layers, values, phase, criterion)
    towards = phase.slope if law == "linear" else -phase.slope
    if law == "linear" and values[:, -phase.layers :].mean() > 1:  # every pair of means is obtuse (T6)
        towards = -towards
    lost = [a for a in alternatives if a.verdict is Verdict.DEPARTS]
    open_ones = [a for a in alternatives if a.verdict is Verdict.UNDECIDED]
    reasons: list[str] = []
    if not _can_tell(curves, n):
        verdict = Verdict.UNDECIDED
        reasons.append(_too_few(symbol, n, curves))
    elif lost:
        verdict = Verdict.DEPARTS
        reasons += [_says(a, symbol, phase) for a in sorted(lost, key=lambda a: a.difference)]
        reasons.append(f"the law misses {symbol} most at layer {phase.misfit_layer}, by {phase.misfit:+.2g}")
    elif not towards > 0:
        verdict = Verdict.DEPARTS
        reasons.append(f"{symbol} {'rises' if law == 'geometric' else 'moves away from 1'} from layer {phase.onset} on")
    elif phase.layers < PHASE_LAYERS:
        verdict = Verdict.UNDECIDED
        reasons.append(
            f"the straight phase of {symbol} has {phase.layers} layers from {phase.onset} on; a verdict needs "
            f"{PHASE_LAYERS}"
        )
    elif open_ones:
        verdict = Verdict.UNDECIDED
        reasons += [
            f"{symbol}: the law and {_WORDS[a.name]} are too close to call, AICc differs by {a.difference:+.2g}"
            for a in open_ones
        ]
    else:
        verdict = Verdict.FOLLOWS
        nearest = min(alternatives, key=lambda a: a.difference)
        reasons.append(
            f"{symbol} is straight from layer {phase.onset} on: AICc lower by {nearest.difference:.2g} than of "
            f"{_WORDS[nearest.name]}, the nearest alternative"
        )
    return LawEvidence(
        **base, phase=phase, criterion=criterion, alternatives=alternatives, verdict=verdict, reasons=tuple(reasons)
    )


_WORDS = {
    "constant": "a constant",
    "constant phase": "a constant phase",
    "bend": "a steady bend",
    "floor": "a single exponential with a floor",
    "approach": "a single exponential approach",
}


def _can_tell(curves: int, layers: int) -> bool:
    """Whether a bend that takes away nine tenths of a line's misfit would win: AICc is stern with few points."""
    points = curves * layers
    line, bend = (corrected_criterion(1.0, points=points, parameters=curves * own + 1) for own in (2, 3))
    return bend - line + DECISIVE <= points * math.log(10)


def _too_few(symbol: str, layers: int, curves: int) -> str:
    needed = next(n for n in range(3, 99) if _can_tell(curves, n))
    of = "one network" if curves == 1 else f"{curves} networks"
    return f"{symbol} is known at {layers} layers, too few to tell a line from a bend: {of} must have {needed}"


def _says(alternative: Alternative, symbol: str, phase: Phase) -> str:
    text = _WORDS[alternative.name]
    if alternative.name == "constant phase":
        text += f" from layer {phase.onset} on"
    better = "better than" if alternative.difference <= -DECISIVE else "as well as"
    return f"{text} explains {symbol} {better} the law: AICc lower by {-alternative.difference:.2g}"
