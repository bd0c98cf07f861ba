"""Runs in a batch against the same runs alone: not a bit may differ, whoever the neighbours are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pnc.data import draw
from pnc.simulate import Outcome, simulate, simulate_batch
from pnc.simulate import batch as batching
from pnc.simulate.flow import flow_start, flow_step
from pnc.simulate.networks import Networks
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec


def case(seed, *, depth=4, width=60, scale=0.3, label_scale=1.0, n=4, theta=0.2, **train):
    problem = draw(ProblemSpec(classes=3, samples_per_class=n, theta=theta, seed=seed))
    network = NetworkSpec(depth=depth, width=width, residual_scale=scale, label_scale=label_scale)
    return problem, network, SimulationSpec(device="cpu", seed=seed, **train)


def assert_same(one, other):
    assert (one.outcome, one.steps, one.evaluations) == (other.outcome, other.steps, other.evaluations)
    assert (one.loss, one.flow_time) == (other.loss, other.flow_time)
    np.testing.assert_array_equal(one.learning_rate, other.learning_rate)
    for a, b in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("compression", "discrimination", "within_scatter", "between_scatter"):
        np.testing.assert_array_equal(getattr(one.measured, name), getattr(other.measured, name))


MIXED = [
    *(case(seed, width=width, scale=scale) for seed, width, scale in ((0, 60, 0.3), (1, 400, 0.2), (2, 33, 0.5))),
    *(case(seed, depth=depth) for seed, depth in ((3, 2), (4, 7), (5, 3))),
    *(
        case(seed, theta=theta, label_scale=α, n=n)
        for seed, theta, α, n in ((6, 0.9, 1, 4), (7, 0, 3, 4), (8, 0.1, 1, 7))
    ),
    case(9, steps=15),
    case(10, loss_tolerance=1e-8),
]


def test_a_run_has_the_same_numbers_alone_and_in_a_batch():
    together = simulate_batch(MIXED)
    for arguments, found in zip(MIXED, together, strict=True):
        assert_same(found, simulate(*arguments))
    assert {run.outcome for run in together} == {Outcome.CONVERGED, Outcome.PLATEAU}
    assert len({run.steps for run in together}) > 3  # they left the batch at different times


def test_neighbours_and_their_order_change_nothing():
    some = [MIXED[i] for i in (7, 0, 10, 2)]
    together = simulate_batch(MIXED)
    for found, again in zip(simulate_batch(some), [together[i] for i in (7, 0, 10, 2)], strict=True):
        assert_same(found, again)


@pytest.mark.parametrize("size", [1, 4, 64])
def test_the_size_of_a_stack_changes_nothing(size, monkeypatch):
    runs = [case(seed, scale=0.25 + 0.02 * seed) for seed in range(6)]
    expected = simulate_batch(runs)
    parameters = sum(w.size for w in expected[0].weights)
    monkeypatch.setitem(batching._STACKED_BYTES, "cpu", 8 * parameters * size)
    for found, before in zip(simulate_batch(runs), expected, strict=True):
        assert_same(found, before)


def test_descent_ends_every_run_at_its_own_look():
    stable = simulate(*case(0, engine="descent")).stable_learning_rate
    rates = [None, stable / 3, stable * 2, stable * 40, stable / 1000]
    runs = [case(seed, engine="descent", learning_rate=rate, steps=2000) for seed, rate in enumerate(rates)]
    runs += [case(7, engine="descent", steps=13), case(8, engine="descent", loss_tolerance=1e-5)]
    together = simulate_batch(runs)
    for arguments, found in zip(runs, together, strict=True):
        assert_same(found, simulate(*arguments))
    outcomes = [run.outcome for run in together]
    assert outcomes[3] is Outcome.DIVERGED
    assert outcomes[4] is outcomes[5] is Outcome.PLATEAU
    assert outcomes[0] is outcomes[1] is outcomes[6] is Outcome.CONVERGED


@pytest.mark.parametrize(
    "options", [{"weights": "default"}, {"weights": "exact"}, {"dtype": "float32"}, {"coordinates": "full"}]
)
def test_other_weights_coordinates_and_precisions(options):
    runs = [case(seed, width=40, **options, loss_tolerance=1e-9) for seed in range(3)]
    for arguments, found in zip(runs, simulate_batch(runs), strict=True):
        assert_same(found, simulate(*arguments))


def test_inputs_of_different_ranks_in_full_coordinates():
    runs = []
    for seed, n in enumerate((2, 4, 3, 4)):
        problem = draw(ProblemSpec(classes=3, samples_per_class=n, dimension=20, seed=seed))
        network = NetworkSpec(depth=3, width=20)
        runs.append(
            (problem, network, SimulationSpec(coordinates="full", loss_tolerance=1e-8, device="cpu", seed=seed))
        )
    for arguments, found in zip(runs, simulate_batch(runs), strict=True):
        assert_same(found, simulate(*arguments))


def test_histories_are_those_of_the_runs_alone():
    runs = [case(seed, record=6 * seed, scale=0.2 + 0.05 * seed) for seed in range(4)]
    together = simulate_batch(runs)
    assert together[0].history is None
    for arguments, found in zip(runs[1:], together[1:], strict=True):
        alone = simulate(*arguments).history
        for name, value in vars(alone).items():
            np.testing.assert_array_equal(getattr(found.history, name), value)


def test_a_neighbour_that_blows_up_is_not_felt_in_a_flow_step():
    networks, starts = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        one = Networks(
            factor=torch.from_numpy(rng.standard_normal((1, 5, 5))),
            target=torch.from_numpy(rng.standard_normal((1, 2, 5))),
            samples=torch.tensor([5.0], dtype=torch.float64),
            shapes=((6, 5), (6, 6), (2, 6)),
        )
        networks.append(one)
        starts.append(torch.from_numpy(0.3 * rng.standard_normal((1, 78))))
    starts[1] = 1e200 * starts[1]
    stacked = replace(
        networks[0],
        **{name: torch.cat([getattr(n, name) for n in networks]) for name in ("factor", "target", "samples")},
    )
    scale = torch.full((3,), 0.3, dtype=torch.float64)
    state, moved = flow_step(stacked, flow_start(stacked, torch.cat(starts)), tolerance=1e-3, scale=scale)
    for i in (0, 2):
        alone, went = flow_step(networks[i], flow_start(networks[i], starts[i]), tolerance=1e-3, scale=scale[:1])
        assert bool(moved[i]) == bool(went[0])
        for name in ("y", "slope", "step", "time", "curvature"):
            assert torch.equal(getattr(state, name)[i], getattr(alone, name)[0]), name


def test_progress_counts_the_runs_that_have_ended():
    told = []
    simulate_batch([case(0), case(1, depth=2), case(2, n=5)], progress=told.append)
    assert told == [2, 3]


def test_an_empty_batch_is_answered():
    assert simulate_batch([]) == []


def test_ctrl_c_leaves_the_batch_without_results(monkeypatch):
    calls = iter(range(100))

    def interrupted(*arguments, **options):
        if next(calls) == 5:
            raise KeyboardInterrupt
        return flow_step(*arguments, **options)

    monkeypatch.setattr("pnc.simulate.train.flow_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        simulate_batch([case(0), case(1)])
