"""`Comparison`: what was compared, what became of each law, and what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from pnc.compare.laws.law_fits import LawFit
from pnc.compare.limits import Limits
from pnc.compare.verdict import Verdict
from pnc.curves import LayerCurve, Shown, described, json_ready
from pnc.theory import Certificate, LayerBounds, WeightAssumptions

if TYPE_CHECKING:
    import xarray

__all__ = ["Comparison", "Law", "LawOutcome"]

Law = Literal["geometric", "linear"]


@dataclass(frozen=True, kw_only=True)
class LawOutcome:
    """What became of one law.

    Args:
        outcome: whether the measured curve followed the predicted one, or why that was not tested.
        reason: in one sentence, with numbers.
    """

    outcome: Literal["followed", "not followed", "not tested"]
    reason: str

    def __str__(self) -> str:
        return f"{self.outcome}{' because' if self.outcome == 'not tested' else ':'} {self.reason}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison(Shown):
    """What was compared and what follows.

    Args:
        predicted: at the layers that both curves have.
        measured: likewise.
        relative_error: (n,) C_l measured / predicted - 1; NaN where either is undefined.
        discrimination_error: (n,) (1 - D_l) measured - predicted.
        within_bounds: (n,) whether the measured C_l lies within the bounds; `None` where none were given or apply.
        certified: (n,) whether the measured C_l and D_l lie in their certificate; `None` where none was given.
        geometric: fit of log C_l against l, measured.
        linear: fit of D_l against l, measured.
        geometric_predicted: the same fit of the prediction, from the same onset.
        linear_predicted: likewise.
        laws: `geometric` (C) and `linear` (D) → whether the prediction was followed, and why.
        verdict: the conclusion.
        reasons: what led to it, each with its numbers.
        notes: what a reader of curves and figure should know beside.
        limits: the limits that were applied.
        bounds: what was passed.
        certificate: what was passed.
        residuals: what was passed.
        moment_violation: for `within_scatter` and `between_scatter`, the most by which the measured traces break an
            inequality of the moment law (T7), 0 where they keep all; traces of unconverged and of imperfect weights are
            held to it too. `None` where layers are missing or a trace is 0.
    """

    predicted: LayerCurve
    measured: LayerCurve
    relative_error: Float[np.ndarray, " n"]
    discrimination_error: Float[np.ndarray, " n"]
    within_bounds: Bool[np.ndarray, " n"] | None
    certified: Bool[np.ndarray, " n"] | None
    geometric: LawFit | None
    linear: LawFit | None
    geometric_predicted: LawFit | None
    linear_predicted: LawFit | None
    laws: Mapping[Law, LawOutcome]
    verdict: Verdict
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    limits: Limits
    bounds: LayerBounds | None = None
    certificate: Certificate | None = None
    residuals: WeightAssumptions | None = None
    moment_violation: Mapping[str, float | None]

    @property
    def advice(self) -> str:
        """One line: the verdict's advice and what led to it."""
        return "; ".join([self.verdict.value, *self.reasons])

    def __repr__(self) -> str:
        return f"Comparison({self.verdict.name}: {'; '.join(self.reasons) or self.verdict.value})"

    def to_dataset(self) -> xarray.Dataset:
        """The measured curve's dataset with the prediction, its errors, bounds and certificate.

        Every variable has `long_name` and `units`; verdict and reasons are attributes.
        """
        columns: dict[str, Any] = {
            "predicted_compression": self.predicted.compression,
            "predicted_discrimination": self.predicted.discrimination,
            "relative_error": self.relative_error,
            "difference_of_discrimination": self.discrimination_error,
        }
        for found, before in ((self.bounds, ""), (self.certificate, "certified_")):
            if found is None:
                continue
            known = np.isin(self.measured.layers, found.layers)
            place = np.searchsorted(found.layers, self.measured.layers[known])
            for name in ("compression_lower", "compression_upper", "discrimination_lower", "discrimination_upper"):
                column = np.full(len(self.measured), np.nan)
                column[known] = getattr(found, name)[place]
                columns[before + name] = column
        dataset = self.measured.to_dataset().assign(
            {name: ("layer", column, described(name)) for name, column in columns.items()}
        )
        return dataset.assign_attrs(verdict=self.verdict.name, reasons=list(self.reasons))

    def to_dict(self) -> dict[str, Any]:
        """The measured curve's fields with `predicted`, `measured`, `bounds`, `relative_error`, `residuals`, …"""

        def law(fit: LawFit | None) -> dict[str, Any] | None:
            return None if fit is None else fit.to_dict()

        return json_ready(
            {
                **self.measured.to_dict(),
                "predicted": self.predicted.to_dict(),
                "measured": self.measured.to_dict(),
                "bounds": None if self.bounds is None else self.bounds.to_dict(),
                "within_bounds": self.within_bounds,
                "certificate": None if self.certificate is None else self.certificate.to_dict(),
                "certified": self.certified,
                "relative_error": self.relative_error,
                "discrimination_error": self.discrimination_error,
                "residuals": None if self.residuals is None else self.residuals.to_dict(),
                "laws": {
                    "geometric": {
                        "measured": law(self.geometric),
                        "predicted": law(self.geometric_predicted),
                        **asdict(self.laws["geometric"]),
                    },
                    "linear": {
                        "measured": law(self.linear),
                        "predicted": law(self.linear_predicted),
                        **asdict(self.laws["linear"]),
                    },
                },
                "moment_violation": self.moment_violation,
                "limits": self.limits.to_dict(),
                "verdict": self.verdict.name,
                "reasons": list(self.reasons),
                "notes": list(self.notes),
                "advice": self.advice,
            }
        )
