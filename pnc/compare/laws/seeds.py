"""`follow_seeds`: the same network trained from several seeds, judged together, with a table over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pnc.compare.laws.evidence import LawEvidence, weigh_law
from pnc.compare.laws.follow import Following, advice_on, combined_verdict, exhausted, follow
from pnc.compare.laws.phase import LEAST_LAYERS
from pnc.compare.laws.residual_scale import effective_residual_scale
from pnc.compare.laws.same_but_seed import differing_field
from pnc.compare.laws.usable_layers import law_values
from pnc.compare.verdict import Verdict
from pnc.curves import LayerCurve, Origin, Shown, json_ready
from pnc.errors import InvalidInputError
from pnc.statistics import student_interval

if TYPE_CHECKING:
    import xarray

__all__ = ["FollowingSeeds", "SeedInterval", "follow_seeds"]


@dataclass(frozen=True, kw_only=True)
class SeedInterval:
    """A quantity over seeds: its values, their mean and its Student interval (NaN with fewer than two values)."""

    values: tuple[float | None, ...]
    mean: float
    lower: float
    upper: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class FollowingSeeds(Shown):
    """What several trainings of one network do, held against the laws.

    Args:
        runs: each curve by itself.
        geometric: the law of C over all of them: one noise level, one onset, a line for each.
        linear: the law of D; `None` where D is 1 everywhere.
        table: quantity → its values and interval: `ratio` (its mean is geometric: logarithms are averaged),
            `residual_scale` (likewise), `onset` (of each run by itself), `discrimination_slope`, `pearson` (by Fisher's
            z). Ratio and slope of D are those of the common phase.
        confidence: of the intervals.
        verdict: over all seeds.
        reasons: what led to it.
        notes: what a reader of the numbers should know.
    """

    runs: tuple[Following, ...]
    geometric: LawEvidence
    linear: LawEvidence | None
    table: Mapping[str, SeedInterval]
    confidence: float
    verdict: Verdict
    reasons: tuple[str, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        told = "; ".join(self.reasons) or self.verdict.value
        return f"FollowingSeeds({len(self.runs)} runs, {self.verdict.name}: {told})"

    def to_dataset(self) -> xarray.Dataset:
        """The dataset of the mean curve, verdict and reasons as attributes."""
        return self.mean_curve.to_dataset().assign_attrs(verdict=self.verdict.name, reasons=list(self.reasons))

    @property
    def mean_curve(self) -> LayerCurve:
        """Means over the runs; of C, scatters and fuzziness geometric."""
        curves = [run.curve for run in self.runs]

        def mean(name: str) -> np.ndarray:
            values = np.array([getattr(curve, name) for curve in curves])
            if name == "discrimination":
                return values.mean(axis=0)
            with np.errstate(divide="ignore"):
                return np.exp(np.log(values).mean(axis=0))

        return LayerCurve(
            layers=curves[0].layers,
            origin=Origin(source="mean over seeds", further={"seeds": len(curves)}),
            compression=mean("compression"),
            discrimination=mean("discrimination"),
            within_scatter=mean("within_scatter"),
            between_scatter=mean("between_scatter"),
            separation_fuzziness=mean("separation_fuzziness"),
        )

    @property
    def advice(self) -> str:
        """One line: the verdict's advice and what led to it."""
        return advice_on(self.verdict, self.reasons)

    def to_dict(self) -> dict[str, Any]:
        """The mean curve's fields, the runs, the table and the verdict, ready for JSON."""
        return json_ready(
            {
                **self.mean_curve.to_dict(),
                "runs": [run.to_dict() for run in self.runs],
                "geometric": self.geometric.to_dict(),
                "linear": None if self.linear is None else self.linear.to_dict(),
                "table": {name: interval.to_dict() for name, interval in self.table.items()},
                "confidence": self.confidence,
                "verdict": self.verdict.name,
                "reasons": list(self.reasons),
                "advice": self.advice,
                "notes": list(self.notes),
            }
        )


def _interval(
    values: Sequence[float | None],
    confidence: float,
    forward: Callable[[float], float] = float,
    back: Callable[[float], float] = float,
) -> SeedInterval | None:
    known = [forward(value) for value in values if value is not None and math.isfinite(value)]
    if not known:
        return None
    ends = student_interval(np.array(known), confidence=confidence)
    mean, lower, upper = (back(float(end)) if math.isfinite(end) else math.nan for end in ends)
    return SeedInterval(values=tuple(values), mean=mean, lower=lower, upper=upper)


def _onsets(runs: Sequence[Following], confidence: float) -> SeedInterval | None:
    """Of the onsets of C of each run, within the layers where a phase can begin."""
    found = _interval([None if r.geometric.phase is None else float(r.geometric.phase.onset) for r in runs], confidence)
    if found is None:
        return None
    layers = [run.geometric.layers for run in runs if run.geometric.phase is not None]
    first, last = min(some[0] for some in layers), max(some[-LEAST_LAYERS] for some in layers)
    return replace(found, lower=max(found.lower, float(first)), upper=min(found.upper, float(last)))


def _joint(
    curves: Sequence[LayerCurve], law: Literal["geometric", "linear"], *, first_layer: int, confidence: float
) -> LawEvidence:
    """The law over all curves, at the layers that can be used in every one."""
    parts = [law_values(curve, law, first_layer=first_layer) for curve in curves]
    common = parts[0][0]
    for layers, _, _ in parts[1:]:
        common = np.intersect1d(common, layers)
    values = np.array([known[np.isin(layers, common)] for layers, known, _ in parts])
    asked = curves[0].layers[curves[0].layers >= first_layer]
    return weigh_law(
        law, common, values, confidence=confidence, left_out=np.setdiff1d(asked, common.astype(np.int64)).tolist()
    )


def follow_seeds(
    curves: Sequence[LayerCurve],
    *,
    depth: int | None = None,
    samples_per_class: int | Sequence[int] | None = None,
    label_scale: float = 1.0,
    confidence: float = 0.95,
    first_layer: int = 1,
    separability_share: float = 0.95,
    converged: Sequence[bool | None] | None = None,
    notes: Sequence[str] = (),
) -> FollowingSeeds:
    """Judge several trainings of one network together; arguments as for `follow`.

    Each curve has lines of its own; noise level and onset are common. The criterion then has n points a curve, so the
    same rule (see `weigh_law`) decides much more than it can for one network of few layers.

    Args:
        curves: two or more, with the same layers.
        converged: one for each curve.
        notes: further ones, to be reported beside the result's own.

    Raises:
        InvalidInputError: fewer than two curves, curves of different layers, networks or data, or as `follow`.

    >>> l = np.arange(8)
    >>> curves = [LayerCurve(layers=l, compression=3 * ratio**l, discrimination=0.1 + 0.1 * l,
    ...                      within_scatter=3 * ratio**l, between_scatter=np.ones(8)) for ratio in (0.4, 0.5, 0.6)]
    >>> found = follow_seeds(curves, samples_per_class=100)
    >>> found.verdict.name, round(found.table["ratio"].mean, 3)
    ('FOLLOWS', 0.493)
    """
    differing = differing_field(curves)
    if len(curves) >= 2 and differing is not None:
        raise InvalidInputError(
            got=f"curves that differ in {differing}",
            expected="seeds of one network on one set of data: everything alike but the seed",
            next_step="compare each network by itself",
        )
    if len(curves) < 2 or any(not np.array_equal(curve.layers, curves[0].layers) for curve in curves):
        raise InvalidInputError(
            got=f"{len(curves)} curves of layers {' and '.join(str(curve.layers.tolist()) for curve in curves[:3])}",
            expected="two or more curves with the same layers",
            next_step="pass seeds of one network, measured at the same layers",
        )
    runs = tuple(
        follow(
            curve, depth=depth, samples_per_class=samples_per_class, label_scale=label_scale, confidence=confidence,
            first_layer=first_layer, separability_share=separability_share,
            converged=None if converged is None else converged[i],
        )
        for i, curve in enumerate(curves)
    )  # fmt: skip
    curves = [run.curve for run in runs]
    options = {"first_layer": first_layer, "confidence": confidence}
    geometric, linear = (_joint(curves, law, **options) for law in ("geometric", "linear"))
    if all(exhausted(curve, first_layer=first_layer) for curve in curves):
        linear = None
    parts = [part for part in (geometric, linear) if part is not None]
    verdict = combined_verdict([part.verdict for part in parts])
    reasons = [reason for part in parts for reason in part.reasons]
    wrong = [reason for run in runs if run.verdict is Verdict.DISAGREES for reason in run.reasons]
    unfinished = [i + 1 for i, run in enumerate(runs) if run.verdict is Verdict.NOT_CONVERGED]
    if wrong:
        verdict, reasons = Verdict.DISAGREES, wrong
    elif unfinished:
        verdict = Verdict.NOT_CONVERGED
        reasons.insert(0, f"of runs {', '.join(map(str, unfinished))}")

    slopes = {name: () if part is None or part.phase is None else part.phase.slopes for name, part in
              (("geometric", geometric), ("linear", linear))}  # fmt: skip
    scales = [
        None
        if run.residual_scale is None
        else effective_residual_scale(
            slope,
            depth=run.residual_scale.depth,
            samples_per_class=run.residual_scale.samples_per_class,
            label_scale=label_scale,
        ).value
        for run, slope in zip(runs, slopes["geometric"], strict=False)
    ]
    separations = [run.equi_separation for run in runs]
    rows = {
        "ratio": _interval([math.exp(slope) for slope in slopes["geometric"]], confidence, math.log, math.exp),
        "residual_scale": _interval(scales, confidence, math.log, math.exp),
        "onset": _onsets(runs, confidence),
        "discrimination_slope": _interval(list(slopes["linear"]), confidence),
        "pearson": _interval(
            [None if law is None or abs(law.pearson) == 1 else law.pearson for law in separations],
            confidence,
            math.atanh,
            math.tanh,
        ),
    }
    all_notes = dict.fromkeys([*notes, *(note for run in runs for note in run.notes)])
    return FollowingSeeds(
        runs=runs,
        geometric=geometric,
        linear=linear,
        table={name: row for name, row in rows.items() if row is not None},
        confidence=confidence,
        verdict=verdict,
        reasons=tuple(reasons),
        notes=tuple(all_notes),
    )
