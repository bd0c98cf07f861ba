"""`compare`: predicted against measured, layer by layer, and a verdict."""

from __future__ import annotations

import math

import numpy as np

from pnc.compare.laws.law_fits import fit_geometric_law, fit_linear_law
from pnc.compare.laws.usable_layers import above_noise
from pnc.compare.limits import Limits
from pnc.compare.prediction.assumptions import assumption_failures, assumptions_in_words
from pnc.compare.prediction.comparison import Comparison, Law, LawOutcome
from pnc.compare.verdict import Verdict
from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError
from pnc.measure.quantities.noise_floor import rounding_unit
from pnc.theory import Certificate, LayerBounds, WeightAssumptions, moment_law

__all__ = ["compare"]


def _noise_limited(curve: LayerCurve, limits: Limits) -> np.ndarray:
    """Layers whose C_l cannot be told from rounding to the accuracy asked for, by the floor that the curve carries."""
    return ~above_noise(curve, limits.compression) & (curve.compression > 0)


def _discrimination_rounding(curve: LayerCurve) -> np.ndarray:
    """By how much rounding can have moved D_l: of features, then of norms and products of their means in float64."""
    unit = float(np.finfo(np.float64).eps)
    found = []
    for note in curve.notes:
        dimension = note.dimension or 1
        features = unit if note.dtype is None else rounding_unit(note.dtype)
        found.append(8 * features * math.sqrt(dimension) + 8 * unit * dimension)
    return np.array(found)


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
    `limits.compression` and D_l within the limit below of the prediction for ideal weights; and, where a certificate is
    given, C_l and D_l inside what the theory guarantees for the weights as they are (T8), which leaves no tolerance to
    choose. With a certificate, DISAGREES is said only outside of it; inside, a prediction that is off means that the
    weights are, and the reason names how. What is not known (convergence, weights) is said in the reasons.

    D_l may be off by `limits.discrimination` of the change that is predicted of D over the layers, and by what rounding
    and ν can do; and by `limits.discrimination` of 1 - D_l plus `limits.discrimination_floor` at most. Between the two
    the deviation is of the size of the law itself. Of weights that are known (`residuals` or `certificate`) it can be
    their own, and the law of D is then not tested; of weights that are not, the curves disagree. `laws` says for each
    law whether it was followed, not followed, or not tested and why.

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
    compared_d = np.isfinite(gap)
    change = float(np.ptp(predicted.discrimination[compared_d])) if compared_d.any() else 0.0
    resolution = _discrimination_rounding(measured)
    if residuals is not None and math.isfinite(residuals.map_error_relative):
        resolution = resolution + 2 * residuals.map_error_relative
    coarse = limits.discrimination * np.abs(1 - predicted.discrimination) + limits.discrimination_floor
    fine = np.minimum(coarse, limits.discrimination * change + resolution)
    moves = bool(limits.discrimination * change > resolution.max())
    off_d = compared_d & (np.abs(gap) > fine) & moves
    known = residuals is not None or certificate is not None
    allowed = coarse if known or not moves else fine
    wrong_d = compared_d & (np.abs(gap) > allowed)
    compared_c = np.isfinite(relative) & ~hidden
    wrong_c = compared_c & (np.abs(relative) > limits.compression)
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
    failures: tuple[str, ...] = ()
    if residuals is not None and residual_scale is not None:
        failures = assumption_failures(residuals, limits, residual_scale=residual_scale)
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
    elif certificate is not None and (wrong_c.any() or wrong_d.any()) and not undefined.any():
        # what the theory guarantees for these weights holds: it is the weights that are off the ideal
        verdict = Verdict.ASSUMPTION_VIOLATED
        at = int(np.flatnonzero(wrong_c | wrong_d)[-1])
        term = certificate.dominant_term[certificate.layers.tolist().index(common[at])]
        reasons.append(
            "C and D are where the certificate (T8) has them, so it is the weights that are off the ideal, at layer "
            f"{common[at]}" + (f" most by the {term}" if term else "")
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
    if verdict is Verdict.AGREES and off_d.any() and not wrong_d.any():
        reasons.append("the law of D is not tested: these weights' own departure from A1–A3 moves D as much")
    if verdict is Verdict.DISAGREES and not outside.any():
        if residuals is not None and residual_scale is not None:
            weights = assumptions_in_words(residuals, residual_scale=residual_scale)
            reasons.append(f"A1–A3 are measured, and within their limits: {weights}")
        else:
            reasons.append("assumptions not measured: whether theory or weights are to blame is not known")
    if converged is None:
        reasons.append("whether training had converged is not known")

    blocked = None
    if verdict is Verdict.NOT_CONVERGED:
        blocked = "training has not reached its minimum"
    elif failures:
        blocked = "the weights are not what it assumes: " + "; ".join(failures)
    laws: dict[Law, LawOutcome] = {
        "geometric": _geometric_outcome(
            relative, compared_c, wrong_c | undefined | (outside & compared_c), limits, blocked
        ),
        "linear": _linear_outcome(
            gap, compared_d, wrong_d | (outside & compared_d), off_d, blocked, change=change, moves=moves,
            certified=certificate is not None, limits=limits,
        ),
    }  # fmt: skip
    notes = [
        *_linear_law_note(predicted, float(resolution.max())),
        *_bounds_note(measured, bounds, inside, certified, residuals, residual_scale),
    ]
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
        laws=laws,
        verdict=verdict,
        reasons=tuple(reasons),
        notes=tuple(notes),
        limits=limits,
        bounds=bounds,
        certificate=certificate,
        residuals=residuals,
        moment_violation={
            name: _moment_violation(full, getattr(full, name)) for name in ("within_scatter", "between_scatter")
        },
    )


def _geometric_outcome(
    relative: np.ndarray, compared: np.ndarray, wrong: np.ndarray, limits: Limits, blocked: str | None
) -> LawOutcome:
    """Whether C_l is where it is predicted."""
    if blocked is not None:
        return LawOutcome(outcome="not tested", reason=blocked)
    if not (compared | wrong).any():
        return LawOutcome(outcome="not tested", reason="C is undefined, or below rounding, at every layer")
    largest = float(np.max(np.abs(relative[compared]), initial=0.0))
    if wrong.any():
        return LawOutcome(
            outcome="not followed",
            reason=f"at {wrong.sum()} layers C_l is off by more than {100 * limits.compression:.4g}% (by up to "
            f"{largest:.2%}), undefined, or outside the certificate",
        )
    return LawOutcome(
        outcome="followed",
        reason=f"C_l is within {largest:.2%} of the prediction at {compared.sum()} layers (limit "
        f"{100 * limits.compression:.4g}%)",
    )


def _linear_outcome(
    gap: np.ndarray,
    compared: np.ndarray,
    wrong: np.ndarray,
    off: np.ndarray,
    blocked: str | None,
    *,
    change: float,
    moves: bool,
    certified: bool,
    limits: Limits,
) -> LawOutcome:
    """Whether D_l moves as it is predicted to move."""
    if blocked is not None:
        return LawOutcome(outcome="not tested", reason=blocked)
    if not compared.any():
        return LawOutcome(outcome="not tested", reason="D is undefined at every layer")
    largest = float(np.max(np.abs(gap[compared])))
    share = f", {largest / change:.2g} times the change of {change:.2g} that is predicted" if change > 0 else ""
    if wrong.any():
        return LawOutcome(outcome="not followed", reason=f"D_l is off by up to {largest:.2g}{share}")
    if not moves:
        return LawOutcome(
            outcome="not tested",
            reason=f"D is predicted to change by {change:.2g} over the layers, which rounding and ν hide",
        )
    if off.any():
        cause = (
            "D_l is where the certificate (T8) has it, so that the weights' own departure from A1–A3 moves D by "
            "that much"
            if certified
            else "whether the law is wrong or the weights' departure from A1–A3 did it, a certificate (T8) tells"
        )
        return LawOutcome(outcome="not tested", reason=f"D_l is off by up to {largest:.2g}{share}: {cause}")
    return LawOutcome(
        outcome="followed",
        reason=f"D_l is within {largest:.2g} of the prediction{share} (limit {limits.discrimination:.0%})",
    )


def _linear_law_note(predicted: LayerCurve, resolution: float) -> list[str]:
    """Where theory itself predicts that D falls, and so no linear rise: what is predicted, and why."""
    D = predicted.discrimination
    if not np.isfinite(D).all() or D.size < 2:
        return []
    peak = np.maximum.accumulate(D)
    lowest = int(np.argmax(peak - D))
    fall = float(peak[lowest] - D[lowest])
    if fall <= max(resolution, 0.01 * float(np.ptp(D))):
        return []
    highest = int(np.argmax(D[: lowest + 1]))
    statement = predicted.origin.statement or "the theory"
    reason = (predicted.origin.not_applicable or {}).get("T6")
    why = f"T6, from which that law follows, does not apply ({reason})" if reason else "these are not the data of T6"
    return [
        f"the paper's linear law, by which D rises in equal steps, is not what {statement} predicts here: D is "
        f"predicted to fall from {D[highest]:.3g} at layer {predicted.layers[highest]} to {D[lowest]:.3g} at layer "
        f"{predicted.layers[lowest]}, since {why}: every direction of the class means grows by its own singular "
        "value, and where the fastest ones are shared by classes, the means of these turn towards each other"
    ]


def _bounds_note(
    measured: LayerCurve,
    bounds: LayerBounds | None,
    inside: np.ndarray | None,
    certified: np.ndarray | None,
    residuals: WeightAssumptions | None,
    residual_scale: float | None,
) -> list[str]:
    """Why points outside the bounds for ideal weights need not be wrong."""
    if bounds is None:
        return []
    index = np.searchsorted(bounds.layers, measured.layers)
    D, rounding = measured.discrimination, _discrimination_rounding(measured)
    outside = {
        "C_l outside T5": np.zeros(len(measured), dtype=bool) if inside is None else ~inside,
        "D_l outside T6": (D < bounds.discrimination_lower[index] - rounding)
        | (D > bounds.discrimination_upper[index] + rounding),
    }
    found = [f"{name} at layers {measured.layers[where].tolist()}" for name, where in outside.items() if where.any()]
    if not found:
        return []
    text = f"{' and '.join(found)}: these bounds are for weights that obey A1–A3 exactly"
    if residuals is not None and residual_scale is not None:
        text += f", and these are off ({assumptions_in_words(residuals, residual_scale=residual_scale)})"
    if certified is not None and certified.all():
        text += "; all points lie in the certificate (T8), which holds for the weights as they are"
    return [text]
