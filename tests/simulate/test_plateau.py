"""Small initial weights: plateaus are passed at once, and the run ends where it would without that."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pnc.compare import Verdict, compare
from pnc.data import draw
from pnc.simulate import simulate
from pnc.simulate import train as training
from pnc.simulate.balanced import BalancedNetworks
from pnc.simulate.plateau import plateau
from pnc.simulate.run import prepare
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec
from pnc.theory import predict

CPU = SimulationSpec(device="cpu")


@pytest.mark.parametrize(
    ("depth", "scale", "counts"), [(6, 0.1, 10), (5, 0.05, (3, 5, 9)), (8, 0.15, 5), (2, 0.003, 5)]
)
def test_a_run_ends_where_it_does_step_by_step(depth, scale, counts, monkeypatch):
    problem = draw(ProblemSpec(samples_per_class=counts))
    network = NetworkSpec(depth=depth, residual_scale=scale)
    found = simulate(problem, network, CPU)
    monkeypatch.setattr(training, "_PLATEAU_REACH", 0.0)  # no outputs are small enough
    monkeypatch.setattr(training, "_FLOW_TOLERANCE", 1e-5)
    slow = simulate(problem, network, CPU)
    np.testing.assert_allclose(found.measured.compression, slow.measured.compression, rtol=1e-4)
    np.testing.assert_allclose(found.measured.discrimination, slow.measured.discrimination, atol=1e-6)
    assert found.flow_time == pytest.approx(slow.flow_time, rel=0.15)  # the steps of the end are long
    # two layers leave a plateau exponentially, in few steps of order 5 as well
    assert found.evaluations < (0.7 if depth > 2 else 1.0) * slow.evaluations


def test_the_first_plateau_is_one_flow_for_every_scale():
    """Homogeneous in ε: the same steps, and a length of ε^-(L-2) but for where it ends."""
    problem, ends = draw(ProblemSpec()), []
    for scale in (1e-2, 1e-3, 1e-4):
        run = prepare(problem, NetworkSpec(depth=6, residual_scale=scale), CPU)
        found = plateau(run.networks(), run.start(), reach=1e-2)
        ends.append((found.times[-1] * scale**4, found.evaluations))
    np.testing.assert_allclose([time for time, _ in ends], ends[-1][0], rtol=1e-4)
    assert max(n for _, n in ends) < 2.5 * min(n for _, n in ends)


def test_the_frozen_force_is_that_of_the_whole_flow():
    """At the end of a plateau what moved goes on in the whole flow as fast as in the frozen one; not far beyond it."""
    run, missed = prepare(draw(ProblemSpec()), NetworkSpec(depth=6, residual_scale=0.01), CPU), []
    networks = run.networks()
    for reach in (1e-3, 1e-2, 0.9):
        found = plateau(networks, run.start(), reach=reach)
        y = torch.from_numpy(found.points[-1])[None]
        slope, last = (v.numpy()[0, : y.shape[1] // 2] for v in (networks.gradient(y)[0], y))
        missed.append(abs(np.linalg.norm(last) / np.linalg.norm(slope) / found.growth - 1))
    assert missed[0] < 2e-3
    assert missed[1] < 2e-2
    assert missed[2] > 0.1


def test_no_plateau_where_nothing_waits():
    run = prepare(draw(ProblemSpec()), NetworkSpec(depth=3, residual_scale=0.5), CPU)
    assert plateau(run.networks(), run.start(), reach=1e-2) is None


@pytest.mark.parametrize("scale", [0.1, 0.01, 0.001])
def test_small_scales_end_and_agree_where_rounding_lets_them(scale):
    problem, network = draw(ProblemSpec()), NetworkSpec(depth=6, residual_scale=scale)
    run = simulate(problem, network, CPU)
    assert run.outcome.converged
    assert run.evaluations < 4000
    law = predict(problem, network)
    error = np.abs(run.measured.compression / law.compression - 1)
    # what is left of the loss is not seen: it would be ten thousand times C at the last layer for ε = 0.01
    layers = np.arange(6) <= (3 if scale < 0.01 else 5)
    assert error[layers].max() < 0.05
    verdict = compare(law, run.measured, residuals=run.residuals, residual_scale=scale).verdict
    assert verdict in ((Verdict.BELOW_NOISE,) if scale < 0.01 else (Verdict.AGREES,))


def test_a_large_tolerance_is_what_was_asked_for():
    problem, network = draw(ProblemSpec()), NetworkSpec(depth=6, residual_scale=0.01)
    run = simulate(problem, network, SimulationSpec(device="cpu", loss_tolerance=1e-8))
    assert 1e-16 < run.loss <= 1e-8


def test_plateaus_are_passed_by_each_run_of_a_batch_for_itself():
    from pnc.simulate import simulate_batch

    runs = [
        (draw(ProblemSpec(seed=s)), NetworkSpec(depth=6, residual_scale=scale), SimulationSpec(device="cpu", seed=s))
        for s, scale in enumerate((0.3, 0.02, 0.1))
    ]
    for arguments, found in zip(runs, simulate_batch(runs), strict=True):
        alone = simulate(*arguments)
        assert found.evaluations == alone.evaluations
        np.testing.assert_array_equal(found.measured.compression, alone.measured.compression)
    assert isinstance(prepare(*runs[0]).networks(), BalancedNetworks)
