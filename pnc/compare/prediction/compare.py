"""`compare`: predicted against measured, layer by layer, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from pnc.compare.laws.law_fits import LawFit, fit_geometric_law, fit_linear_law
from pnc.compare.limits import Limits
from pnc.compare.verdict import Verdict
from pnc.curves import LayerCurve, json_ready
from pnc.errors import InvalidInputError
from pnc.measure import resolved
from pnc.theory import Certificate, LayerBounds, WeightAssumptions, moment_law

__all__ = ["Comparison", "assumption_failures", "compare"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
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
        verdict: the conclusion.
        reasons: what led to it, each with its numbers.
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
    verdict: Verdict
    reasons: tuple[str, ...]
    limits: Limits
    bounds: LayerBounds | None = None
    certificate: Certificate | None = None
    residuals: WeightAssumptions | None = None
    moment_violation: Mapping[str, float | None]

    @property
    def advice(self) -> str:
        """One line: the verdict's advice and what led to it."""
        return "; ".join([self.verdict.value, *self.reasons])

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
                    "geometric": {"measured": law(self.geometric), "predicted": law(self.geometric_predicted)},
                    "linear": {"measured": law(self.linear), "predicted": law(self.linear_predicted)},
                },
                "moment_violation": self.moment_violation,
                "limits": self.limits.to_dict(),
                "verdict": self.verdict.name,
                "reasons": list(self.reasons),
                "advice": self.advice,
            }
        )


def assumption_failures(residuals: WeightAssumptions, limits: Limits, *, residual_scale: float) -> tuple[str, ...]:
    """Which of A1–A3 measured weights break, each with the number and the limit; empty where none.

    A1: ν relative to ‖M X‖. A2: δ_l relative to ε². A3: root-mean-square distance of the residual singular values from
    ε, relative to ε; a few directions below ε, which every classifier leaves, do not count for much in a wide network.
    """
    found = []
    if not residuals.map_error_relative <= limits.map_error:
        found.append(f"A1 (minimum norm): ν/‖MX‖ = {residuals.map_error_relative:.3g}, limit {limits.map_error:.3g}")
    imbalance = float(np.nanmax(residuals.imbalance)) / residual_scale**2
    if not imbalance <= limits.imbalance:
        layer = int(np.nanargmax(residuals.imbalance)) + 1
        found.append(f"A2 (balance): δ_{layer} = {imbalance:.3g} ε², limit {limits.imbalance:.3g} ε²")
    distance = residuals.residual_distance(residual_scale) / residual_scale
    if not np.isnan(distance).all() and not np.nanmax(distance) <= limits.residual_distance:
        low, high = residuals.residual_interval
        found.append(
            f"A3 (one residual scale): singular values in [{low:.3g}, {high:.3g}], {np.nanmax(distance):.3g} ε from ε, "
            f"limit {limits.residual_distance:.3g} ε"
        )
    return tuple(found)


def _noise_limited(curve: LayerCurve, limits: Limits) -> np.ndarray:
    """Layers whose C_l cannot be told from rounding to the accuracy asked for, by the floor that the curve carries."""
    if any(note.noise_floor is None for note in curve.notes):
        return np.zeros(len(curve), dtype=bool)
    return ~np.asarray(resolved(curve, limits.compression)) & (curve.compression > 0)


def _between(values: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """lower ≤ values ≤ upper, and true where a value is undefined and there is nothing to guarantee."""
    return ~((values < lower) | (values > upper))


def _moment_violation(curve: LayerCurve, traces: np.ndarray) -> float | None:
    """By how much the traces break the moment law (T7); layers must run from 0 without a gap."""
    if len(curve) < 2 or not np.array_equal(curve.layers, np.arange(len(curve))) or not np.all(traces > 0):
        return None
    return moment_law(traces).violation()


def compare(
    predicted: LayerCurve,
    measured: LayerCurve,
    *,
    limits: Limits | None = None,
    bounds: LayerBounds | None = None,
    certificate: Certificate | None = None,
    residuals: WeightAssumptions | None = None,
    residual_scale: float | None = None,
    converged: bool | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """Hold a measured curve against a predicted one, at the layers that both have.

    AGREES means: converged as far as is known; the assumptions measured within their limits; at every layer C_l within
    `limits.compression` and 1 - D_l within `limits.discrimination` plus `limits.discrimination_floor` of the prediction
    for ideal weights; and, where a certificate is given, C_l and D_l inside what the theory guarantees for the weights
    as they are (T8), which leaves no tolerance to choose. With a certificate, DISAGREES is said only outside of it;
    inside, a prediction that is off means that the weights are, and the reason names how. What is not known
    (convergence, weights) is said in the reasons.

    Args:
        predicted: of theory.
        measured: of a simulation, a trained network or a feature file; layers below its noise floor are not compared.
        limits: `Limits()` where not given.
        bounds: T5 and T6, reported beside the curve.
        certificate: T8, of the weights that were measured.
        residuals: A1–A3 as measured on the weights.
        residual_scale: ε that the residuals are measured against.
        converged: whether training reached its minimum; taken from the measured curve's origin where not given.
        confidence: of the slopes' intervals.

    Raises:
        InvalidInputError: no layer in common; residuals without their ε.

    >>> curve = LayerCurve(layers=[0, 1, 2], compression=[2.0, 0.2, 0.02], discrimination=[0.9, 0.95, 0.97],
    ...                    within_scatter=[2.0, 0.2, 0.02], between_scatter=[1.0, 1.0, 1.0])
    >>> compare(curve, curve).verdict.name
    'AGREES'
    """
    limits = limits or Limits()
    common = np.intersect1d(predicted.layers, measured.layers)
    if common.size == 0:
        raise InvalidInputError(
            got=f"layers {predicted.layers.tolist()} predicted and {measured.layers.tolist()} measured",
            expected="at least one layer in common",
            next_step="predict with the depth of the network that was measured",
        )
    if residuals is not None and residual_scale is None:
        raise InvalidInputError(
            got="residuals without residual_scale", expected="the ε that they are held against", next_step="pass both"
        )
    for name, given in (("bounds", bounds), ("certificate", certificate)):
        if given is not None and not np.isin(common, given.layers).all():
            raise InvalidInputError(
                got=f"{name} of layers {given.layers.tolist()} for layers {common.tolist()}",
                expected=f"{name} of every layer that is compared",
                next_step="take them from the same network as the curves",
            )
    noisy = dict(zip(measured.layers.tolist(), _noise_limited(measured, limits).tolist(), strict=True))
    hidden = np.array([noisy[l] for l in common.tolist()])
    predicted, full = predicted.at(common), measured
    measured = measured.at(common)
    if converged is None:
        converged = measured.origin.converged

    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(
            measured.compression == predicted.compression, 0.0, measured.compression / predicted.compression - 1
        )
    gap = predicted.discrimination - measured.discrimination
    allowed = limits.discrimination * np.abs(1 - predicted.discrimination) + limits.discrimination_floor
    compared_c = np.isfinite(relative) & ~hidden
    compared_d = np.isfinite(gap)
    wrong_c = compared_c & (np.abs(relative) > limits.compression)
    wrong_d = compared_d & (np.abs(gap) > allowed)
    # a C in one curve alone is a difference, not a layer to leave out; rounding where the law says 0 is none
    undefined = np.isfinite(predicted.compression) != np.isfinite(measured.compression)
    undefined |= np.isinf(relative) & ~hidden
    one_sided = np.isfinite(predicted.discrimination) != np.isfinite(measured.discrimination)

    inside = None
    if bounds is not None and np.isfinite(bounds.compression_lower).any():
        index = np.searchsorted(bounds.layers, common)
        rounding = 1e-9 * measured.compression  # C_0 lies on both of its bounds
        inside = (measured.compression + rounding >= bounds.compression_lower[index]) & (
            measured.compression - rounding <= bounds.compression_upper[index]
        )

    certified = None
    if certificate is not None:
        index = np.searchsorted(certificate.layers, common)
        certified = _between(
            measured.compression, certificate.compression_lower[index], certificate.compression_upper[index]
        ) & _between(
            measured.discrimination, certificate.discrimination_lower[index], certificate.discrimination_upper[index]
        )

    reasons: list[str] = []
    failures = assumption_failures(residuals, limits, residual_scale=residual_scale) if residuals is not None else ()
    outside = np.zeros(common.size, dtype=bool) if certified is None else ~certified
    if outside.any():
        # a theorem about these very weights: no assumption is left to blame
        verdict = Verdict.DISAGREES
        reasons.append(f"outside the certificate (T8) at layers {common[outside].tolist()}")
    elif converged is False:
        verdict = Verdict.NOT_CONVERGED
    elif failures:
        verdict = Verdict.ASSUMPTION_VIOLATED
        reasons += failures
    elif certified is not None and (wrong_c.any() or wrong_d.any()) and not undefined.any():
        # what the theory guarantees for these weights holds: it is the weights that are off the ideal
        verdict = Verdict.ASSUMPTION_VIOLATED
        at = int(np.flatnonzero(wrong_c | wrong_d)[-1])
        reasons.append(
            "C and D are where the certificate (T8) has them, so it is the weights that are off the ideal, at layer "
            f"{common[at]} most by the {certificate.dominant_term[certificate.layers.tolist().index(common[at])]}"
        )
    elif wrong_c.any() or wrong_d.any() or undefined.any():
        verdict = Verdict.DISAGREES
    elif hidden.any():
        verdict = Verdict.BELOW_NOISE
    elif not (compared_c.any() or compared_d.any()):
        verdict = Verdict.ASSUMPTION_VIOLATED
        reasons.append("C and D are undefined at every layer, so there is nothing to compare")
    else:
        verdict = Verdict.AGREES
    settled = verdict is not Verdict.NOT_CONVERGED
    if settled and wrong_c.any():
        worst = int(np.argmax(np.where(wrong_c, np.abs(relative), -1)))
        share = (
            f"off by {relative[worst]:+.2%}" if relative[worst] < 1 else f"{relative[worst] + 1:.3g} times predicted"
        )
        reasons.append(
            f"C_{common[worst]} is {share} (limit {100 * limits.compression:.4g}%; "
            f"{wrong_c.sum()} of {compared_c.sum()} layers)"
        )
    if settled and wrong_d.any():
        worst = int(np.argmax(np.where(wrong_d, np.abs(gap) / allowed, -1)))
        reasons.append(
            f"1 - D_{common[worst]} is off by {gap[worst]:+.3g} (limit {allowed[worst]:.3g}; "
            f"{wrong_d.sum()} of {compared_d.sum()} layers)"
        )
    if undefined.any():
        reasons.append(f"C is defined in only one of the curves at layers {common[undefined].tolist()}")
    if one_sided.any():
        reasons.append(f"D is defined in only one of the curves at layers {common[one_sided].tolist()}")
    if hidden.any():
        reasons.append(f"C is not resolved above rounding at layers {common[hidden].tolist()}")
    if converged is None:
        reasons.append("whether training had converged is not known")

    geometric = fit_geometric_law(measured, confidence=confidence)
    linear = fit_linear_law(measured, confidence=confidence)
    return Comparison(
        predicted=predicted,
        measured=measured,
        relative_error=relative,
        discrimination_error=gap,
        within_bounds=inside,
        certified=certified,
        geometric=geometric,
        linear=linear,
        geometric_predicted=fit_geometric_law(
            predicted, confidence=confidence, onset=None if geometric is None else geometric.onset
        ),
        linear_predicted=fit_linear_law(
            predicted, confidence=confidence, onset=None if linear is None else linear.onset
        ),
        verdict=verdict,
        reasons=tuple(reasons),
        limits=limits,
        bounds=bounds,
        certificate=certificate,
        residuals=residuals,
        moment_violation={
            name: _moment_violation(full, getattr(full, name)) for name in ("within_scatter", "between_scatter")
        },
    )
