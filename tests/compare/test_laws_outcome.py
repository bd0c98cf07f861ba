"""What is said of each law: followed, not followed, or not tested because …, and one verdict whoever asks."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pnc.compare import Limits, Verdict, compare, compare_simulation, worst_status
from pnc.curves import LayerCurve
from pnc.data import Problem, draw
from pnc.measure import measure_features
from pnc.simulate import simulate
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec
from pnc.theory import bounds, exact_weights, measure_weights, predict
from tests.cli.commands import run
from tests.compare.curves import curve

DEFAULT = draw(ProblemSpec(classes=3, samples_per_class=10, seed=0))
NETWORK = NetworkSpec(depth=6, residual_scale=0.3)


def simulated(problem, *, epsilon=0.3, width=None, depth=6, seed=0):
    network = NetworkSpec(depth=depth, width=width, residual_scale=epsilon)
    return simulate(problem, network, SimulationSpec(seed=seed))


def features(problem, network):
    weights, found = exact_weights(problem, network, seed=0), [problem.X]
    for W in weights[:-1]:
        found.append(found[-1] @ W.T)
    return weights, found


@pytest.mark.parametrize("turn", [lambda D: 2 * D[0] - D, lambda D: D[::-1], lambda D: np.full(D.size, D[0])])
def test_a_wrong_slope_of_d_is_noticed_on_the_default_problem(turn):
    """D moves by 3e-4 there: of the wrong sign, reversed, or not at all, it used to agree."""
    law = predict(DEFAULT, NETWORK)
    assert np.ptp(law.discrimination) < 0.005
    wrong = replace(law, discrimination=turn(law.discrimination), origin=replace(law.origin, converged=True))
    found = compare(law, wrong)
    assert found.verdict is Verdict.DISAGREES
    assert found.laws["linear"].outcome == "not followed"
    assert found.laws["geometric"].outcome == "followed"


def test_ideal_weights_follow_both_laws_on_the_default_problem():
    weights, found = features(DEFAULT, NETWORK)
    ended = compare(
        predict(DEFAULT, NETWORK), measure_features(found, DEFAULT.y), converged=True, residual_scale=0.3,
        residuals=measure_weights(weights, DEFAULT, NETWORK),
    )  # fmt: skip
    assert ended.verdict is Verdict.AGREES
    assert {law.outcome for law in ended.laws.values()} == {"followed"}


def test_weights_that_move_d_as_much_as_the_law_leave_it_untested():
    found = simulated(DEFAULT)
    for certificate in (None, found.certificate):
        ended = compare_simulation(DEFAULT, found, certificate=certificate, bounds=bounds(DEFAULT, found.network))
        assert ended.verdict is Verdict.AGREES
        assert ended.laws["geometric"].outcome == "followed"
        law = ended.laws["linear"]
        assert law.outcome == "not tested"
        gap = np.abs(ended.predicted.discrimination - ended.measured.discrimination).max()
        assert f"off by up to {gap:.2g}" in law.reason
        assert "T8" in law.reason
        assert any("law of D is not tested" in reason for reason in ended.reasons)
        written = json.loads(json.dumps(ended.to_dict(), allow_nan=False))["laws"]["linear"]
        assert (written["outcome"], written["reason"]) == ("not tested", law.reason)
    outside = [note for note in ended.notes if "D_l outside T6 at layers" in note]
    assert len(outside) == 1
    assert "A1–A3 exactly" in outside[0]
    assert "all points lie in the certificate" in outside[0]


def test_d_is_followed_where_it_moves_enough():
    problem = draw(ProblemSpec(classes=3, samples_per_class=10, kind="gaussian-clusters", seed=0))
    found = compare_simulation(problem, simulated(problem, width=60))
    assert np.ptp(found.predicted.discrimination) > 0.1
    assert {law.outcome for law in found.laws.values()} == {"followed"}


def test_a_d_that_is_not_predicted_to_move_is_not_tested():
    problem = draw(ProblemSpec(classes=3, samples_per_class=10, kind="orthonormal", seed=0))
    found = compare_simulation(problem, simulated(problem, depth=4))
    assert found.verdict is Verdict.AGREES
    assert found.laws["linear"].outcome == "not tested"
    assert "rounding and ν hide" in found.laws["linear"].reason


def test_where_theory_predicts_a_falling_d_the_output_says_so_and_why():
    """Whitened data of more samples than dimensions, as 64 components of 60,000 images: T3 alone applies."""
    rng, y = np.random.default_rng(7), np.arange(80) % 4
    inputs = 0.7 * rng.standard_normal((4, 12))[y] + rng.standard_normal((80, 12)) + 1.0
    problem = Problem(X=np.linalg.svd(inputs, full_matrices=False)[0], y=y)
    law = predict(problem, NetworkSpec(depth=6, width=60, residual_scale=0.5))
    assert law.origin.statement == "T3"
    assert np.all(np.diff(law.discrimination) < -0.01)
    (note,) = compare(law, law).notes
    assert "linear law" in note
    assert "is not what T3 predicts here" in note
    assert law.origin.not_applicable["T6"] in note
    lowest = int(np.argmax(np.maximum.accumulate(law.discrimination) - law.discrimination))
    assert f"to {law.discrimination[lowest]:.3g} at layer {lowest}" in note
    rising = predict(DEFAULT, NETWORK)
    assert compare(rising, rising).notes == ()


def test_without_residuals_no_assumption_is_said_to_hold():
    law = curve([2.0, 0.2, 0.02, 0.002], [0.9, 0.92, 0.94, 0.96])
    off = curve([2.0, 0.3, 0.02, 0.002], [0.9, 0.92, 0.94, 0.96], converged=True)
    bare = compare(law, off)
    assert bare.verdict is Verdict.DISAGREES
    assert "assumptions not measured" in bare.advice
    assert "assumptions hold" not in bare.advice
    weights, _ = features(DEFAULT, NETWORK)
    known = compare(law, off, residuals=measure_weights(weights, DEFAULT, NETWORK), residual_scale=0.3)
    assert known.verdict is Verdict.DISAGREES
    assert "not measured" not in known.advice
    assert "A1–A3 are measured, and within their limits: A1 ν" in known.advice


def test_one_verdict_and_one_exit_status_whoever_asks(capsys, tmp_path):
    """ε = 0.9, width 512: the weights are off the ideal, and simulate, sweep and Python say so."""
    found = simulated(DEFAULT, epsilon=0.9, width=512)
    verdicts = {
        compare_simulation(DEFAULT, found, certificate=certificate).verdict for certificate in (None, found.certificate)
    }
    assert verdicts == {Verdict.ASSUMPTION_VIOLATED}
    options = ("--depth", 6, "--epsilon", 0.9, "--width", 512, "--classes", 3, "--samples-per-class", 10)
    alone = run(capsys, "simulate", *options, "--json", "--quiet")
    assert json.loads(alone.out)["verdict"] == "ASSUMPTION_VIOLATED"
    for certificates in ("--certificates", "--no-certificates"):
        out = tmp_path / certificates.strip("-")
        many = run(capsys, "sweep", *options, certificates, "--out", out, "--json", "--quiet")
        assert json.loads(many.out)["verdict"] == {"ASSUMPTION_VIOLATED": 1}
        assert many.status == alone.status == Verdict.ASSUMPTION_VIOLATED.exit_status == 4


def test_the_worst_of_many_verdicts_is_the_status():
    assert worst_status(["AGREES", "AGREES"]) == 0
    assert worst_status(["AGREES", "BELOW_NOISE"]) == 4
    assert worst_status(["NOT_CONVERGED", "DISAGREES", "AGREES"]) == 3


def test_laws_of_a_training_that_has_not_converged_are_not_tested():
    law = curve([2.0, 0.2, 0.02, 0.002], [0.9, 0.92, 0.94, 0.96])
    found = compare(law, law, converged=False)
    assert {law.outcome for law in found.laws.values()} == {"not tested"}
    assert all("minimum" in law.reason for law in found.laws.values())


def test_rounding_of_narrow_features_is_allowed_for():
    """A D that moves by less than float32 resolves cannot be followed or not."""
    D = np.array([0.9, 0.9 + 1e-8, 0.9 + 2e-8])
    law = curve([1.0, 0.1, 0.01], D)
    measured = LayerCurve.from_dict({**law.to_dict(), "provenance": {"dtype": ["float32"] * 3, "dimensions": [4] * 3}})
    coarse = compare(law, replace(measured, discrimination=D[::-1]), converged=True, limits=Limits())
    assert coarse.verdict is Verdict.AGREES
    assert coarse.laws["linear"].outcome == "not tested"
    exact = compare(law, replace(law, discrimination=D[::-1]), converged=True)
    assert exact.verdict is Verdict.DISAGREES
