"""Verdicts: each is reached, in the order of precedence, for the stated reason and at the stated limits."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnc.compare import Limits, Verdict, assumption_failures, compare
from pnc.curves import LayerCurve
from pnc.data import draw
from pnc.errors import InvalidInputError
from pnc.measure import measure_features
from pnc.spec import NetworkSpec, ProblemSpec
from pnc.theory import WeightAssumptions, bounds, certify, exact_weights, measure_weights, predict
from tests.compare.curves import curve

C = np.array([2.0, 0.2, 0.02, 0.002])
D = np.array([0.9, 0.92, 0.94, 0.96])
UNKNOWN = "assumptions not measured: whether theory or weights are to blame is not known"


def residuals(*, error=0.0, imbalance=0.0, variance=0.0, mean=0.3):
    return WeightAssumptions(
        map_error=error,
        map_error_relative=error,
        imbalance=np.array([0.0, imbalance, 0.0]),
        residual_smallest=np.full(3, 0.3),
        residual_largest=np.full(3, 0.3),
        residual_mean=np.array([0.3, 0.3, mean]),
        residual_variance=np.array([0.0, 0.0, variance]),
    )


def verdict(measured, *, predicted=None, **options):
    return compare(curve(C, D) if predicted is None else predicted, measured, **options)


def test_equal_curves_agree():
    found = verdict(curve(C, D, converged=True))
    assert found.verdict is Verdict.AGREES
    assert found.reasons == ()
    assert found.relative_error.tolist() == [0, 0, 0, 0]


def test_what_is_not_known_is_said():
    assert verdict(curve(C, D)).reasons == ("whether training had converged is not known",)


@given(share=st.floats(-0.5, 0.5), layer=st.integers(0, 3), limit=st.floats(0.01, 0.4))
def test_compression_is_held_to_its_limit(share, layer, limit):
    factor = np.ones(4)
    factor[layer] += share
    found = verdict(curve(C * factor, D, converged=True), limits=Limits(compression=limit))
    assert found.relative_error[layer] == pytest.approx(share, abs=1e-12)
    if abs(abs(share) - limit) > 1e-9:
        assert (found.verdict is Verdict.DISAGREES) == (abs(share) > limit)
    if found.verdict is Verdict.DISAGREES:
        assert found.reasons[0].startswith(f"C_{layer} is off by")


@given(gap=st.floats(-0.1, 0.1), layer=st.integers(0, 3), limit=st.floats(0.01, 0.4))
def test_discrimination_is_held_to_its_limit(gap, layer, limit):
    changed = D.copy()
    changed[layer] -= gap
    found = verdict(curve(C, changed, converged=True), limits=Limits(discrimination=limit))
    allowed = min(limit * (1 - D[layer]) + 0.005, limit * 0.06)  # of the change predicted, from 0.9 to 0.96
    assert found.discrimination_error[layer] == pytest.approx(gap, abs=1e-12)
    if abs(abs(gap) - allowed) > 1e-9:
        assert (found.verdict is Verdict.DISAGREES) == (abs(gap) > allowed)
        assert (found.laws["linear"].outcome == "not followed") == (abs(gap) > allowed)
    if found.verdict is Verdict.DISAGREES:
        assert f"1 - D_{layer} is off by" in found.reasons[0]


def test_the_worst_layer_is_named():
    found = verdict(curve(C * [1, 1.2, 3.0, 1.3], D, converged=True))
    assert found.reasons == ("C_2 is 3 times predicted (limit 10%; 3 of 4 layers)", UNKNOWN)


NOISY = {"noise_floor": [1e-20, 1e-20, 1e-20, 1e-2]}
WRONG = C * [1, 1.5, 1, 1]

VERDICTS = [
    (Verdict.AGREES, 0, curve(C, D, converged=True), {}),
    (Verdict.DISAGREES, 3, curve(WRONG, D, converged=True), {}),
    (Verdict.NOT_CONVERGED, 4, curve(C, D, converged=False), {}),
    (Verdict.BELOW_NOISE, 4, curve(C, D, converged=True, **NOISY), {}),
    (Verdict.ASSUMPTION_VIOLATED, 4, curve(C, D, converged=True), {"residuals": residuals(error=0.1)}),
    # and which comes first where several apply
    (Verdict.NOT_CONVERGED, 4, curve(WRONG, D, converged=False, **NOISY), {"residuals": residuals(error=0.1)}),
    (Verdict.ASSUMPTION_VIOLATED, 4, curve(WRONG, D, converged=True, **NOISY), {"residuals": residuals(error=0.1)}),
    (Verdict.DISAGREES, 3, curve(WRONG, D, converged=True, **NOISY), {}),
]


@pytest.mark.parametrize(("expected", "status", "measured", "options"), VERDICTS)
def test_every_verdict_is_reached_in_its_order(expected, status, measured, options):
    if "residuals" in options:
        options = options | {"residual_scale": 0.3}
    found = verdict(measured, **options)
    assert found.verdict is expected
    assert expected.exit_status == status
    assert found.advice.startswith(expected.value)
    json.dumps(found.to_dict(), allow_nan=False)


def test_every_verdict_has_a_case():
    of_other_commands = {Verdict.FOLLOWS, Verdict.DEPARTS, Verdict.UNDECIDED, Verdict.MASKED}
    assert {case[0] for case in VERDICTS} == set(Verdict) - of_other_commands


def test_converged_may_be_stated():
    assert verdict(curve(C, D), converged=False).verdict is Verdict.NOT_CONVERGED
    assert verdict(curve(C, D, converged=False), converged=True).verdict is Verdict.AGREES


def test_a_layer_below_its_noise_floor_is_not_compared():
    found = verdict(curve(C * [1, 1, 1, 40], D, converged=True, noise_floor=[1e-9, 1e-9, 1e-9, 1.0]))
    assert found.verdict is Verdict.BELOW_NOISE
    assert found.reasons == ("C is not resolved above rounding at layers [3]",)


def test_no_compression_has_no_noise_to_be_below_of():
    none = curve(np.zeros(4), D, converged=True, noise_floor=[1e-3] * 4)
    assert compare(curve(np.zeros(4), D), none).verdict is Verdict.AGREES
    # rounding where the law says nothing at all
    rounded = curve(np.full(4, 1e-30), D, converged=True, noise_floor=[1e-28] * 4)
    assert compare(curve(np.zeros(4), D), rounded).verdict is Verdict.BELOW_NOISE
    # and more than that
    real = curve(np.full(4, 1e-3), D, converged=True, noise_floor=[1e-28] * 4)
    assert compare(curve(np.zeros(4), D), real).verdict is Verdict.DISAGREES


def test_a_compression_defined_in_one_curve_only_disagrees():
    found = verdict(curve([2.0, np.nan, 0.02, 0.002], D, converged=True))
    assert found.verdict is Verdict.DISAGREES
    assert found.reasons == ("C is defined in only one of the curves at layers [1]", UNKNOWN)
    both = curve([2.0, np.nan, 0.02, 0.002], D)
    assert compare(both, replace(both, provenance={"converged": True})).verdict is Verdict.AGREES


def test_a_discrimination_defined_in_one_curve_only_is_said():
    found = verdict(curve(C, [np.nan, 0.92, 0.94, 0.96], converged=True))
    assert any("D is defined in only one of the curves at layers [0]" in reason for reason in found.reasons)


def test_nothing_to_compare_is_not_agreement():
    nothing = curve(np.full(3, np.nan), np.full(3, np.nan), converged=True)
    found = compare(nothing, nothing)
    assert found.verdict.exit_status == 4
    assert any("nothing to compare" in reason for reason in found.reasons)


def test_only_common_layers_are_compared():
    measured = curve([0.2, 0.02, 7.0], [0.92, 0.94, 0.1], layers=[1, 2, 9], converged=True, noise_floor=[0, 0, 99.0])
    found = verdict(measured)
    assert found.verdict is Verdict.AGREES
    assert found.measured.layers.tolist() == found.predicted.layers.tolist() == [1, 2]
    # what came out may go in again
    again = compare(found.predicted, found.measured)
    assert again.verdict is Verdict.AGREES
    assert compare(curve(C, D), LayerCurve.from_json(json.dumps(found.to_dict()))).verdict is Verdict.AGREES


def test_no_common_layer_is_refused():
    with pytest.raises(InvalidInputError, match="at least one layer in common"):
        verdict(curve([1.0], layers=[7]))


def test_residuals_need_their_scale():
    with pytest.raises(InvalidInputError, match="residual_scale"):
        verdict(curve(C, D), residuals=residuals())


@pytest.mark.parametrize(
    ("broken", "statement"),
    [
        ({"error": 1.01 * Limits().map_error}, "A1"),
        ({"error": float("nan")}, "A1"),
        ({"imbalance": 1.01 * Limits().imbalance * 0.09}, "A2"),
        ({"variance": (1.01 * Limits().residual_distance * 0.3) ** 2}, "A3"),
        ({"mean": 0.3 * (1 + 1.01 * Limits().residual_distance)}, "A3"),
    ],
)
def test_every_assumption_is_held_to_its_limit(broken, statement):
    failures = assumption_failures(residuals(**broken), Limits(), residual_scale=0.3)
    assert len(failures) == 1
    assert failures[0].startswith(statement)


def test_assumptions_within_their_limits_are_not_failures():
    limits = Limits()
    fine = residuals(
        error=0.99 * limits.map_error,
        imbalance=0.99 * limits.imbalance * 0.09,
        variance=(0.99 * limits.residual_distance * 0.3) ** 2,
    )
    assert assumption_failures(fine, limits, residual_scale=0.3) == ()
    tight = Limits(map_error=1e-4, imbalance=0.1, residual_distance=0.1)
    assert len(assumption_failures(fine, tight, residual_scale=0.3)) == 3


@pytest.mark.parametrize("name", list(Limits.__dataclass_fields__))
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_limits_are_numbers_above_zero(name, value):
    with pytest.raises(InvalidInputError, match=f"limit {name}"):
        Limits(**{name: value})


def test_moment_violations_are_those_of_the_traces():
    geometric = curve(0.1 ** np.arange(5.0), converged=True)
    kept = compare(geometric, geometric).moment_violation
    assert kept["within_scatter"] == pytest.approx(0, abs=1e-12)
    assert kept["between_scatter"] == pytest.approx(0, abs=1e-12)
    # two atoms: a moment sequence still, though C is not geometric
    atoms = 0.3 ** np.arange(5.0) + 0.7 * 0.05 ** np.arange(5.0)
    assert compare(curve(atoms), curve(atoms)).moment_violation["within_scatter"] == pytest.approx(0, abs=1e-9)
    # a per-layer ratio that falls
    falling = curve([1.0, 0.5, 0.1, 0.01])
    assert compare(falling, falling).moment_violation["within_scatter"] > 0.1
    holes = curve([1.0, 0.1, 0.01], layers=[0, 2, 3])
    assert compare(holes, holes).moment_violation == {"within_scatter": None, "between_scatter": None}
    nothing = curve([1.0, 0.0, 0.0])
    assert compare(nothing, nothing).moment_violation["within_scatter"] is None


PROBLEM = draw(ProblemSpec(classes=3, samples_per_class=10, theta=0.5))
NETWORK = NetworkSpec(depth=6, residual_scale=0.3)


def constructed():
    weights = exact_weights(PROBLEM, NETWORK, seed=0)
    features = [PROBLEM.X]
    for W in weights[:-1]:
        features.append(features[-1] @ W.T)
    return weights, features


def test_constructed_weights_agree_within_bounds():
    weights, features = constructed()
    found = compare(
        predict(PROBLEM, NETWORK),
        measure_features(features, PROBLEM.y),
        bounds=bounds(PROBLEM, NETWORK),
        residuals=measure_weights(weights, PROBLEM, NETWORK),
        residual_scale=0.3,
        converged=True,
        limits=Limits(compression=1e-8, discrimination=1e-8, discrimination_floor=1e-9),
    )
    assert found.verdict is Verdict.AGREES
    assert found.within_bounds.all()
    assert found.geometric.slope == pytest.approx(found.geometric_predicted.slope, rel=1e-9)
    json.dumps(found.to_dict(), allow_nan=False)


def off_by_one_layer(law):
    return law.compression * np.exp(np.log(law.compression[-1] / law.compression[0]) / 5), law.discrimination


def exponent_of_one_layer_less(law):
    return law.compression * 10 ** (law.layers / 6 - law.layers / 5), law.discrimination


def scale_not_squared(law):
    return law.compression * 0.3 ** -law.layers.astype(float), law.discrimination


def classes_weighted_by_samples(law):
    return law.compression * 10, law.discrimination


def centred_means(law):
    """D of centred class means: of nearly orthonormal data 1 + 1/(K-1) in every layer."""
    return law.compression, np.full(len(law), 1.5)


def swapped_curves(law):
    return law.discrimination, law.compression


def reversed_layers(law):
    return law.compression[::-1], law.discrimination


@pytest.mark.parametrize(
    "wrong",
    [
        off_by_one_layer,
        exponent_of_one_layer_less,
        scale_not_squared,
        classes_weighted_by_samples,
        centred_means,
        swapped_curves,
        reversed_layers,
    ],
)
def test_wrong_predictions_are_rejected_at_the_default_limits(wrong):
    law = predict(PROBLEM, NETWORK)
    _, features = constructed()
    measured = measure_features(features, PROBLEM.y)
    compression, discrimination = wrong(law)
    found = compare(replace(law, compression=compression, discrimination=discrimination), measured, converged=True)
    assert found.verdict is Verdict.DISAGREES


def test_a_curve_outside_its_bounds_is_reported():
    law, limits = predict(PROBLEM, NETWORK), bounds(PROBLEM, NETWORK)
    outside = replace(law, compression=law.compression * np.array([1, 1, 1, 1.5, 1, 0.5]), provenance={})
    found = compare(law, outside, bounds=limits, converged=True)
    assert found.within_bounds.tolist() == [True, True, True, False, True, False]


def test_with_a_certificate_the_weights_are_to_blame_inside_and_the_theory_outside():
    problem = draw(ProblemSpec(classes=2, samples_per_class=3, seed=1))
    network = NetworkSpec(depth=3, width=10, residual_scale=0.3)
    weights = exact_weights(problem, network, seed=0)
    certificate = certify(weights, problem.X, problem.y)
    ideal = predict(problem, network)
    settled = {"certificate": certificate, "converged": True}
    assert compare(ideal, ideal, **settled).verdict is Verdict.AGREES
    # a prediction that is off while the measured curve is where the certificate has it
    off = curve(1.5 * ideal.compression, ideal.discrimination)
    inside = compare(off, ideal, **settled)
    assert inside.verdict is Verdict.ASSUMPTION_VIOLATED
    assert any("certificate (T8)" in reason for reason in inside.reasons)
    # a measured curve that no weights with this certificate have, whatever the prediction says
    outside = compare(off, off, **settled)
    assert outside.verdict is Verdict.DISAGREES
    assert outside.certified.tolist() == [False, False, False]
    assert compare(ideal, off, converged=True).verdict is Verdict.DISAGREES
