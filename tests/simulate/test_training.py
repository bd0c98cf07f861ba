"""How a simulation ends, what it leaves behind, and what it refuses."""

from __future__ import annotations

import inspect
import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from beartype import beartype
from jaxtyping import jaxtyped

import pnc.simulate.train as training
from pnc.compare import Verdict, compare
from pnc.data import Problem, draw
from pnc.errors import InvalidInputError
from pnc.measure import measure_features
from pnc.simulate import Outcome, initial, initial_weights, simulate
from pnc.simulate.balanced import BalancedNetworks
from pnc.simulate.device import resolve_device
from pnc.simulate.economical import economical
from pnc.simulate.flow import FlowState, flow_start, flow_step
from pnc.simulate.networks import Networks
from pnc.simulate.run import prepare
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec
from pnc.theory import predict, rounding_allowance

PROBLEM = draw(ProblemSpec(classes=3, samples_per_class=4))
NETWORK = NetworkSpec(depth=4, width=64, residual_scale=0.4)


def run(**options):
    return simulate(PROBLEM, NETWORK, SimulationSpec(device="cpu", **options))


@pytest.fixture
def told_every_step(monkeypatch):
    """A clock on which every look at it takes a second: progress is reported at every opportunity."""
    seconds = itertools.count()
    monkeypatch.setattr(training.time, "perf_counter", lambda: float(next(seconds)))


@pytest.mark.parametrize("engine", ["flow", "descent"])
@pytest.mark.parametrize("tolerance", [1e-16, 1e-28])
def test_the_loss_falls_to_its_tolerance_without_cancellation(engine, tolerance):
    found = run(engine=engine, loss_tolerance=tolerance)
    assert found.outcome is Outcome.CONVERGED
    assert 0 < found.loss <= tolerance
    # the loss that the weights have, over all samples, from their own product
    product = np.linalg.multi_dot(found.weights[::-1]) @ found.basis.T
    labels = np.eye(3)[PROBLEM.y].T
    missed = np.linalg.norm(product @ PROBLEM.X.T - labels) ** 2 / np.linalg.norm(labels) ** 2
    assert missed < 2 * tolerance + 1e-29


def test_weights_reproduce_the_measured_curve():
    for coordinates in ("reduced", "full"):
        found = run(coordinates=coordinates)
        features = [PROBLEM.X, PROBLEM.X @ found.basis if coordinates == "reduced" else PROBLEM.X]
        for w in found.weights[:-1]:
            features.append(features[-1] @ w.T)
        del features[1]
        again = measure_features(features, PROBLEM.y)
        for name in ("compression", "discrimination", "within_scatter", "between_scatter", "separation_fuzziness"):
            np.testing.assert_allclose(getattr(again, name), getattr(found.measured, name), rtol=1e-8)


@pytest.mark.parametrize("coordinates", ["reduced", "full"])
@pytest.mark.parametrize("width", [8, 20, 30])  # narrower than the input, as wide, wider
def test_exact_weights_need_no_training_and_follow_the_law(coordinates, width):
    network = NetworkSpec(depth=4, width=width, residual_scale=0.4)
    found = simulate(PROBLEM, network, SimulationSpec(weights="exact", coordinates=coordinates, device="cpu"))
    assert (found.outcome, found.steps, found.loss) == (Outcome.CONVERGED, 0, 0.0)
    assert (found.residual_projection is not None) == (width < PROBLEM.dimension)
    law = predict(PROBLEM, network, residual_projection=found.residual_projection)
    allowed = rounding_allowance(PROBLEM, network, residual_projection=found.residual_projection)
    error = np.abs(found.measured.compression / law.compression - 1)
    assert np.all(error <= np.maximum(1e-9, allowed))
    assert found.residuals.residual_interval == pytest.approx((0.4, 0.4), abs=1e-12)


def test_a_narrow_network_keeps_the_residual_directions_that_it_reports():
    """d_h < d: T1 with the projection that W_1 was drawn with, in either coordinates."""
    problem = draw(ProblemSpec(classes=3, samples_per_class=10, dimension=60))
    network = NetworkSpec(depth=4, width=40, residual_scale=0.3)
    reduced, full = (
        simulate(problem, network, SimulationSpec(device="cpu", coordinates=name)) for name in ("reduced", "full")
    )
    np.testing.assert_allclose(
        reduced.residual_projection.T @ reduced.residual_projection,
        full.residual_projection.T @ full.residual_projection,
        atol=1e-12,
    )
    law = predict(problem, network, residual_projection=reduced.residual_projection)
    blind = predict(problem, NetworkSpec(depth=4, residual_scale=0.3))
    ours, theirs = (np.abs(reduced.measured.compression / curve.compression - 1)[1:].max() for curve in (law, blind))
    assert ours < 0.1
    assert theirs > 0.2


@pytest.mark.parametrize("engine", ["flow", "descent"])
def test_a_budget_that_ends_on_the_plateau_says_so(engine):
    problem, network = draw(ProblemSpec(classes=3)), NetworkSpec(depth=8, width=64, residual_scale=0.2)
    found = simulate(problem, network, SimulationSpec(engine=engine, steps=15, device="cpu"))
    assert (found.outcome, found.steps) == (Outcome.PLATEAU, 15)
    assert "`residual_scale`" in found.advice
    assert found.loss > 0.5
    assert compare(predict(problem, network), found.measured).verdict is Verdict.NOT_CONVERGED


@pytest.mark.parametrize("engine", ["flow", "descent"])
def test_a_budget_that_ends_while_the_loss_falls_says_so(engine):
    whole = run(engine=engine, loss_tolerance=1e-20)
    found = run(engine=engine, loss_tolerance=1e-20, steps=whole.steps - 15)
    assert found.outcome is Outcome.STEP_LIMIT
    assert found.steps == whole.steps - 15
    assert "`steps`" in found.advice


def test_a_diverging_learning_rate_is_answered_with_one_that_converges():
    found = run(engine="descent", learning_rate=50.0)
    assert found.outcome is Outcome.DIVERGED
    suggested = float(found.advice.rsplit(" ", 1)[1])
    again = run(engine="descent", learning_rate=suggested)
    assert again.outcome is Outcome.CONVERGED
    assert found.measured.provenance["converged"] is False
    assert np.isfinite(found.loss)
    assert np.isfinite(found.measured.compression).all()  # of the last state that was
    assert all(np.isfinite(w).all() for w in found.weights)


def test_the_history_of_a_diverging_run_is_finite():
    found = run(engine="descent", learning_rate=8.0, record=20)
    assert found.outcome is Outcome.DIVERGED
    assert all(np.isfinite(values).all() for values in vars(found.history).values())


def test_a_learning_rate_beyond_the_edge_of_stability_never_converges_silently():
    """Somewhere between stable and explosive descent wanders; it must not be called converged."""
    stable = run(engine="descent").stable_learning_rate
    for factor in (3, 6, 12, 25):
        found = run(engine="descent", learning_rate=factor * stable, steps=4000)
        residual = np.linalg.multi_dot(found.weights[::-1]) @ found.basis.T @ PROBLEM.X.T - np.eye(3)[PROBLEM.y].T
        if found.outcome is Outcome.CONVERGED:
            assert np.linalg.norm(residual) < 1e-6
        else:
            assert found.outcome in (Outcome.DIVERGED, Outcome.STEP_LIMIT, Outcome.PLATEAU, Outcome.STALLED)


@pytest.mark.parametrize(("engine", "phase"), [("flow", "flow"), ("flow", "descent"), ("descent", "descent")])
@pytest.mark.usefixtures("told_every_step")
def test_an_interruption_leaves_a_usable_result(engine, phase):
    told = []

    def interrupt(progress):
        told.append(progress)
        if progress.phase == phase and progress.steps >= 20:
            raise KeyboardInterrupt

    found = simulate(PROBLEM, NETWORK, SimulationSpec(engine=engine, record=5, device="cpu"), progress=interrupt)
    assert found.outcome is Outcome.INTERRUPTED
    assert found.steps == told[-1].steps
    assert np.isfinite(found.measured.compression).all()
    assert found.history.time[-1] == found.flow_time
    np.testing.assert_allclose(found.history.compression[-1], found.measured.compression, rtol=1e-12)
    comparison = compare(predict(PROBLEM, NETWORK), found.measured)
    assert comparison.verdict is Verdict.NOT_CONVERGED


def test_an_interruption_between_the_phases_leaves_a_usable_result(monkeypatch):
    taken = BalancedNetworks.curvature

    def interrupt(self, y, probe, *, iterations):
        if iterations == 20 and not np.allclose(probe.abs().max(), 0) and self.error(y).square().sum() < 2e-5:
            raise KeyboardInterrupt
        return taken(self, y, probe, iterations=iterations)

    monkeypatch.setattr(BalancedNetworks, "curvature", interrupt)
    assert run().outcome is Outcome.INTERRUPTED


@pytest.mark.usefixtures("told_every_step")
def test_progress_tells_phase_loss_and_time_left():
    told = []
    simulate(PROBLEM, NETWORK, SimulationSpec(device="cpu"), progress=told.append)
    assert [phase for phase, _ in itertools.groupby(p.phase for p in told)] == ["flow", "descent"]
    assert all(a.steps <= b.steps for a, b in itertools.pairwise(told))
    assert told[-1].loss < 1e-10
    finishing = [p for p in told if p.phase == "descent"][-1]
    assert finishing.seconds_left is not None
    assert finishing.seconds_left >= 0


def test_float32_stalls_with_advice_or_converges_to_what_it_resolves():
    problem = draw(ProblemSpec(classes=5))
    beyond = SimulationSpec(
        dtype="float32", loss_tolerance=1e-30, device="cpu"
    )  # at 1e-16 rounding decides which it is
    stalled = simulate(problem, NetworkSpec(depth=3, width=256), beyond)
    assert stalled.outcome is Outcome.STALLED
    assert "float64" in stalled.advice
    assert "`loss_tolerance`" in stalled.advice
    assert stalled.steps < 10_000
    found = run(dtype="float32", loss_tolerance=1e-9)
    assert found.outcome is Outcome.CONVERGED
    floor = np.array(found.measured.provenance["noise_floor"])
    fine = np.array(run().measured.provenance["noise_floor"])
    assert np.all(floor[1:] > 1e6 * fine[1:])
    np.testing.assert_allclose(found.measured.compression, run().measured.compression, rtol=2e-3)


def test_float32_features_compressed_below_its_rounding_are_below_noise():
    network = NetworkSpec(depth=8, width=64, residual_scale=0.05)
    found = simulate(PROBLEM, network, SimulationSpec(weights="exact", dtype="float32", device="cpu"))
    comparison = compare(predict(PROBLEM, network), found.measured)
    assert comparison.verdict is Verdict.BELOW_NOISE


def test_one_seed_one_result():
    first, second, third = (run(seed=seed).measured for seed in (1, 1, 2))
    assert first == second
    assert not np.array_equal(first.compression, third.compression)


@pytest.mark.parametrize("name", ["cuda:99", "mps", "meta", "nothing", "cpu:x", ""])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(InvalidInputError, match="`device=auto`"):
        resolve_device(name)


@pytest.mark.parametrize("train", [{}, {"engine": "descent"}, {"weights": "exact"}, {"coordinates": "full"}])
@pytest.mark.parametrize("network", [{"residual_scale": 1.5}, {"residual_scale": 0.4, "label_scale": 1e6}])
def test_initial_weights_that_hide_every_direction_are_refused_with_a_scale_that_does_not(network, train):
    spec = NetworkSpec(depth=4, width=64, **network)
    with pytest.raises(InvalidInputError, match="no direction to learn") as refused:
        simulate(PROBLEM, spec, SimulationSpec(device="cpu", **train))
    suggested = float(re.search(r"`residual_scale` below (\S+)", refused.value.next_step)[1])
    prepare(PROBLEM, replace(spec, residual_scale=0.98 * suggested), SimulationSpec(device="cpu", **train))
    with pytest.raises(InvalidInputError):
        prepare(PROBLEM, replace(spec, residual_scale=1.02 * suggested), SimulationSpec(device="cpu", **train))


def test_classes_that_no_linear_map_tells_apart_are_refused():
    problem = Problem(X=[[1.0, 0], [-1, 0], [0, 1], [0, -1]], y=[0, 0, 1, 1])
    with pytest.raises(InvalidInputError, match="tell the classes apart"):
        simulate(problem, NetworkSpec(depth=4, width=64), SimulationSpec(device="cpu"))


def test_threads_are_left_as_they_were():
    before = torch.get_num_threads()
    run(steps=3)
    assert torch.get_num_threads() == before


def test_one_sample_a_class_is_answered():
    problem = Problem(X=np.eye(3, 6), y=[0, 1, 2])
    network = NetworkSpec(depth=4, width=300)
    found = simulate(problem, network, SimulationSpec(device="cpu"))
    assert found.outcome.converged
    assert np.all(found.measured.compression == 0)
    assert compare(predict(problem, network), found.measured).verdict is Verdict.AGREES


def test_a_zero_class_mean_is_answered():
    X = np.zeros((4, 5))
    X[0, 0], X[1, 0], X[2, 1], X[3, 2] = 1, -1, 1, 1
    problem, network = Problem(X=X, y=[0, 0, 1, 1]), NetworkSpec(depth=3, width=300)
    found = simulate(problem, network, SimulationSpec(device="cpu"))
    assert found.outcome.converged
    law = predict(problem, network)
    assert np.isnan(found.measured.discrimination[0])
    np.testing.assert_array_equal(np.isnan(found.measured.discrimination), np.isnan(law.discrimination))


@pytest.mark.parametrize("points", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("engine", ["flow", "descent"])
def test_history_runs_from_start_to_end_in_so_many_points(points, engine):
    found = run(engine=engine, record=points)
    history = found.history
    assert 1 <= len(history.time) <= points
    assert history.compression.shape == history.discrimination.shape == (len(history.time), NETWORK.depth)
    assert np.all(np.diff(history.time) > 0)
    assert history.time[-1] == found.flow_time
    assert history.loss[-1] == found.loss
    np.testing.assert_allclose(history.compression[-1], found.measured.compression, rtol=1e-12)
    if points > 1:
        assert (history.time[0], history.loss[0]) == (0.0, 1.0)
        start = initial_weights(PROBLEM, NETWORK, SimulationSpec())[0]
        features = PROBLEM.X @ found.basis @ start[0].T
        first = measure_features([PROBLEM.X, features], PROBLEM.y)
        np.testing.assert_allclose(history.compression[0, :2], first.compression, rtol=1e-9)
    if points in (2, 3):
        assert len(history.time) == points
    assert set(history.to_dict()) == {"time", "loss", "compression", "discrimination"}


def test_a_long_history_is_thinned_evenly():
    found = run(engine="descent", learning_rate=0.05, record=10)
    assert found.steps > 400
    gaps = np.diff(found.history.time)[:-1]  # the end comes when it comes
    assert len(gaps) == 8
    assert gaps.max() <= 2.001 * gaps.min()


def test_no_history_unless_asked_for():
    assert run().history is None


def test_recording_changes_nothing():
    assert run(record=7).measured.compression.tolist() == run().measured.compression.tolist()


def test_arrays_have_the_shapes_that_signatures_state():
    def checked(function):
        return jaxtyped(typechecker=beartype)(inspect.unwrap(function))

    data = checked(economical)(PROBLEM, NETWORK)
    jaxtyped(typechecker=beartype)(type(data))(**vars(data))
    rng = np.random.default_rng(0)
    assert checked(inspect.unwrap(initial.haar))(rng, 3, 5).shape == (3, 5)
    for make in (
        initial.reduced_orthogonal_weights,
        initial.full_orthogonal_weights,
        initial.default_weights,
    ):
        weights = checked(make)(data, NETWORK, seed=0)
        assert len(weights) == NETWORK.depth
    assert checked(initial.first_factor)(data, NetworkSpec(depth=2, width=5), seed=0).shape == (5, 20)
    networks = Networks(
        factor=torch.from_numpy(data.basis * data.scale)[None],
        target=torch.from_numpy(data.target)[None],
        samples=torch.tensor([12.0], dtype=torch.float64),
        shapes=tuple(w.shape for w in weights),
    )
    y = checked(Networks.join)(networks, [torch.from_numpy(w)[None] for w in weights])
    checked(Networks.split)(networks, y)
    checked(Networks.gradient)(networks, y)
    checked(Networks.error)(networks, y)
    checked(Networks.curvature)(networks, y, y, iterations=1)
    state = checked(flow_start)(networks, y)
    state, _ = checked(flow_step)(networks, state, tolerance=1e-3, scale=torch.ones(1))
    jaxtyped(typechecker=beartype)(FlowState)(**vars(state))
    jaxtyped(typechecker=beartype)(type(run(record=3).history))(**vars(run(record=3).history))
