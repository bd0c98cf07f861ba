"""`follow`: does a network, linear or not, follow the laws, from which layer, and how well?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pnc.compare.laws.equi_separation import EquiSeparation, equi_separation
from pnc.compare.laws.evidence import LawEvidence, weigh_law
from pnc.compare.laws.residual_scale import EffectiveScale, effective_residual_scale
from pnc.compare.laws.separability import Separability, separability_onset
from pnc.compare.laws.trace_shape import TraceShape, trace_shape
from pnc.compare.laws.usable_layers import above_noise, features_of, law_values
from pnc.compare.limits import Limits
from pnc.compare.universal.checks import UniversalChecks, check_universal
from pnc.compare.verdict import Verdict
from pnc.curves import LayerCurve, Shown, json_ready
from pnc.errors import InvalidInputError

if TYPE_CHECKING:
    import xarray

__all__ = ["Following", "advice_on", "combined_verdict", "exhausted", "follow"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Following(Shown):
    """What the layers of one network do, held against the laws.

    Args:
        curve: what was judged.
        geometric: the law of C: phase, rate, alternatives, verdict.
        linear: the law of D; `None` where D is 1 to within `Limits().discrimination_floor` at every layer, so that
            there is no way left to go.
        residual_scale: ε_eff, by analogy; `None` without a phase or without n.
        separability: where the classes become separable.
        traces: `within_scatter` and `between_scatter` → T7's test of shape, `None` where it does not apply.
        universal: U1–U4 at every layer.
        equi_separation: He & Su's law; `None` without fuzziness.
        verdict: the conclusion.
        reasons: what led to it, each with its numbers.
        notes: what a reader of the numbers should know.
    """

    curve: LayerCurve
    geometric: LawEvidence
    linear: LawEvidence | None
    residual_scale: EffectiveScale | None
    separability: Separability
    traces: Mapping[str, TraceShape | None]
    universal: UniversalChecks
    equi_separation: EquiSeparation | None
    verdict: Verdict
    reasons: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def advice(self) -> str:
        """One line: the verdict's advice and what led to it."""
        return advice_on(self.verdict, self.reasons)

    def __repr__(self) -> str:
        return f"Following({self.verdict.name}: {'; '.join(self.reasons) or self.verdict.value})"

    def to_dataset(self) -> xarray.Dataset:
        """The curve's dataset, verdict and reasons as attributes."""
        return self.curve.to_dataset().assign_attrs(verdict=self.verdict.name, reasons=list(self.reasons))

    def findings(self) -> dict[str, Any]:
        """Everything but the curve, ready for JSON."""

        def part(value: Any) -> Any:
            return None if value is None else value.to_dict()

        return json_ready(
            {
                "geometric": part(self.geometric),
                "linear": part(self.linear),
                "residual_scale": part(self.residual_scale),
                "separability": part(self.separability),
                "traces": {name: part(shape) for name, shape in self.traces.items()},
                "universal": part(self.universal),
                "equi_separation": part(self.equi_separation),
                "verdict": self.verdict.name,
                "reasons": list(self.reasons),
                "advice": self.advice,
                "notes": list(self.notes),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The curve's fields and the findings."""
        return {**self.curve.to_dict(), **self.findings()}


def advice_on(verdict: Verdict, reasons: Sequence[str]) -> str:
    """One line; no assumption is to blame where U1–U4 fail, which have none."""
    lead = "a number contradicts a theorem" if verdict is Verdict.DISAGREES else verdict.value
    return "; ".join([lead, *reasons])


def combined_verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """Of several laws: FOLLOWS where all do, DEPARTS where one does not, UNDECIDED otherwise."""
    if Verdict.DEPARTS in verdicts:
        return Verdict.DEPARTS
    return Verdict.FOLLOWS if all(verdict is Verdict.FOLLOWS for verdict in verdicts) else Verdict.UNDECIDED


def exhausted(curve: LayerCurve, *, first_layer: int) -> bool:
    """Whether D is 1 at every layer, as for orthonormal data, to within what a comparison forgives."""
    later = curve.layers >= first_layer
    distance = np.abs(1 - curve.discrimination[later])
    return distance.size > 0 and bool(np.all(distance <= Limits().discrimination_floor))


def _traces(curve: LayerCurve) -> dict[str, TraceShape | None]:
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.array([note.noise_floor or 0.0 for note in curve.notes])
        relative = {"within_scatter": np.sqrt(noise / curve.compression), "between_scatter": np.sqrt(noise)}
    found = {}
    for name, η in relative.items():
        rounding = float(np.max(2 * η + η**2))  # a square is off by that when its root is off by η
        traces = getattr(curve, name)
        found[name] = trace_shape(curve.layers, traces, rounding=rounding) if math.isfinite(rounding) else None
    return found


def follow(
    curve: LayerCurve,
    *,
    depth: int | None = None,
    samples_per_class: int | Sequence[int] | None = None,
    label_scale: float = 1.0,
    confidence: float = 0.95,
    first_layer: int = 1,
    separability_share: float = 0.95,
    converged: bool | None = None,
    notes: Sequence[str] = (),
) -> Following:
    """Judge whether the layers of any network follow the laws of compression and discrimination.

    FOLLOWS: from some layer on, for at least 4 layers and to the last, log C_l falls along a straight line and D_l
    moves towards 1 along one, and the corrected Akaike criterion prefers this to each alternative: a constant, a
    constant phase, a steady bend, and a single exponential (for C one with a floor, for D an approach to a limit); see
    `weigh_law`. DEPARTS: an alternative is preferred for one of the two, or the sign is wrong. UNDECIDED: too few
    layers, or too close to call; several seeds tell more (`follow_seeds`). NOT_CONVERGED, BELOW_NOISE: as in `compare`.
    DISAGREES only where an inequality fails that holds for every network (U1–U4): then a number is wrong.

    "How much" is the law's and each alternative's criterion, R² and the largest misfit in the phase.

    Args:
        curve: measured; the more of its optional parts it has (probes, spectra, fuzziness), the more is checked. The
            outputs of a classifier, where the origin names one, are left out.
        depth: L, weight matrices, for ε_eff; by default the last layer's number and a classifier after it.
        samples_per_class: n, or one size a class, for ε_eff; by default what the curve's origin says.
        label_scale: α.
        confidence: of all intervals.
        first_layer: fitted from there on: 1, since the input is the data's, not the network's. He & Su's law keeps it.
        separability_share: of the last layer's accuracy at which classes count as separable.
        converged: whether training had; by default what the origin says.
        notes: further ones, to be reported beside the result's own.

    Raises:
        InvalidInputError: a confidence outside (0, 1), a first layer beyond the last, sizes that make no sense.

    >>> l = np.arange(9)
    >>> curve = LayerCurve(layers=l, compression=3 * 0.4**l, discrimination=0.1 + 0.1 * l, within_scatter=3 * 0.4**l,
    ...                    between_scatter=np.ones(9))
    >>> found = follow(curve, samples_per_class=100)
    >>> found.verdict.name, found.geometric.phase.onset, round(found.residual_scale.value, 3)
    ('FOLLOWS', 1, 0.817)
    """
    if not 0 < confidence < 1:
        raise InvalidInputError(
            got=f"confidence = {confidence}", expected="a share in (0, 1)", next_step="pass for instance 0.95"
        )
    if first_layer > max(1, curve.layers[-1]):
        raise InvalidInputError(
            got=f"first layer {first_layer} of layers {curve.layers.tolist()}",
            expected="one of them",
            next_step="begin earlier",
        )
    curve, classifier = features_of(curve)
    if converged is None:
        converged = curve.origin.converged
    notes = list(notes)
    if classifier is not None:
        notes.append(f"{classifier} is the classifier: its outputs are no features, and are not judged")
    laws = {}
    for law in ("geometric", "linear"):
        layers, values, left_out = law_values(curve, law, first_layer=first_layer)
        laws[law] = weigh_law(law, layers, values[None], confidence=confidence, left_out=left_out)
        if left_out:
            notes.append(f"{'C' if law == 'geometric' else 'D'} cannot be used at layers {left_out}")
    geometric, linear = laws["geometric"], laws["linear"]
    if exhausted(curve, first_layer=first_layer):
        linear = None
        notes.append("D is 1 at every layer: the linear law has no way left to go, and is not asked for")

    later = curve.layers >= first_layer
    hidden = curve.layers[later & ~above_noise(curve, Limits().compression) & (curve.compression > 0)].tolist()
    universal = check_universal(curve)
    reasons = [reason for part in (geometric, linear) if part is not None for reason in part.reasons]
    verdict = combined_verdict([part.verdict for part in (geometric, linear) if part is not None])
    if universal.violations:
        verdict = Verdict.DISAGREES
        reasons = [
            f"{violation}: this holds for the features of every network, so a number is wrong; please report it"
            for violation in universal.violations
        ]
    elif converged is False:
        verdict = Verdict.NOT_CONVERGED
    elif verdict is Verdict.UNDECIDED and hidden:
        verdict = Verdict.BELOW_NOISE
        reasons.insert(0, f"C is not resolved above rounding at layers {hidden}")
    if converged is None:
        notes.append("whether training had converged is not known")

    sizes = samples_per_class if samples_per_class is not None else curve.origin.samples_per_class
    scale = None
    if geometric.phase is not None and sizes is not None:
        if depth is None:
            depth = int(curve.layers[-1]) + 1
            notes.append(
                f"L is taken as {depth}, the measured layers and a classifier; state it where a block has several"
            )
        phase = geometric.phase
        scale = effective_residual_scale(
            phase.slope, phase.slope_lower, phase.slope_upper,
            depth=depth, samples_per_class=sizes, label_scale=label_scale,
        )  # fmt: skip
    return Following(
        curve=curve,
        geometric=geometric,
        linear=linear,
        residual_scale=scale,
        separability=separability_onset(curve, share=separability_share),
        traces=_traces(curve),
        universal=universal,
        equi_separation=equi_separation(curve, confidence=confidence),
        verdict=verdict,
        reasons=tuple(reasons),
        notes=tuple(notes),
    )
