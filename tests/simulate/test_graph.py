"""Recorded steps: what is replayed is what was asked for, whoever has left the stack in the meantime.

Without a GPU the kernels are recorded by torch's tracer, which like a CUDA graph keeps addresses and forgets all Python
in between: a step that asks for a value, or depends on it, cannot be recorded by either.
"""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from pnc.data import draw
from pnc.simulate import Outcome, graph, simulate_batch
from pnc.simulate.graph import StepGraph
from pnc.simulate.networks import Networks
from pnc.spec import NetworkSpec, ProblemSpec, SimulationSpec

# a host value inside a recorded step would be the one of the recording for ever
FROM_THE_HOST = ("lift_fresh", "_local_scalar_dense", "nonzero", "_to_copy", "scalar_tensor")


class Tracer:
    """Records on the CPU and counts: recordings by the number of rows, and replays."""

    def __init__(self):
        self.rows, self.replays = [], 0

    def __call__(self, launch, device):
        assert device.type == "cpu"

        def kernels():
            launch()
            return ()

        traced = make_fx(kernels)()
        for node in traced.graph.nodes:
            assert not any(name in str(node.target) for name in FROM_THE_HOST), node
        self.rows.append(len(next(traced.buffers())))

        def replay():
            self.replays += 1
            traced()

        return replay


def case(seed, *, depth=4, width=60, scale=0.3, n=4, device="cpu", **train):
    problem = draw(ProblemSpec(classes=3, samples_per_class=n, seed=seed))
    network = NetworkSpec(depth=depth, width=width, residual_scale=scale)
    return problem, network, SimulationSpec(device=device, seed=seed, **train)


FLOWS = [case(seed, scale=scale, width=width) for seed, scale, width in ((0, 0.3, 60), (1, 0.5, 33), (2, 0.2, 400))]
FLOWS += [case(seed, scale=0.25 + 0.04 * seed, loss_tolerance=10.0**-seed) for seed in range(3, 8)]
FLOWS += [case(9, steps=15), case(10, depth=2), case(11, depth=7)]
DESCENTS = [case(seed, engine="descent", steps=steps) for seed, steps in ((0, 3000), (1, 13), (2, 400), (3, 7))]
DESCENTS += [case(4, engine="descent", learning_rate=50.0, steps=500), case(5, engine="descent", loss_tolerance=1e-5)]


def assert_close(one, other, tolerance=1e-12):
    assert (one.outcome, one.steps) == (other.outcome, other.steps)
    for a, b in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())
    np.testing.assert_allclose(one.flow_time, other.flow_time, rtol=tolerance)


@pytest.fixture
def all_weights(monkeypatch):
    """All weights of a flow are trained, as on a GPU, in place of the two matrices that stand for them (Y5)."""
    monkeypatch.setattr("pnc.simulate.run.PreparedRun.balanced", False)


@pytest.mark.usefixtures("all_weights")
@pytest.mark.parametrize("runs", [FLOWS, DESCENTS], ids=["flow", "descent"])
def test_replayed_steps_end_where_launched_ones_do(runs, monkeypatch):
    expected = simulate_batch(runs)
    tracer = Tracer()
    monkeypatch.setattr("pnc.simulate.train.recorder_of", lambda *a, **k: tracer)
    found = simulate_batch(runs)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)
    assert len({run.outcome for run in found}) >= 2
    # replayed for most of the way, recorded again only where half of a stack had left
    assert tracer.replays > 10 * len(tracer.rows)
    assert len(set(tracer.rows)) >= 2


def test_float32_and_full_coordinates_are_replayed_too(monkeypatch):
    runs = [case(s, width=30, coordinates="full", dtype="float32", loss_tolerance=1e-6) for s in range(3)]
    expected = simulate_batch(runs)
    tracer = Tracer()
    monkeypatch.setattr("pnc.simulate.train.recorder_of", lambda *a, **k: tracer)
    for one, other in zip(simulate_batch(runs), expected, strict=True):
        assert_close(one, other, tolerance=1e-12)
    assert tracer.replays


def networks_of(rows):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(rows, *shape, dtype=torch.float64, generator=generator)

    return Networks(
        factor=normal(4, 4), target=normal(2, 4), samples=1 + normal().square(), shapes=((4, 4), (2, 4))
    ), normal(24)


def doubling(networks, fixed, state, control):
    """Passes the last state on and adds control to twice the present one, times what is fixed."""
    _, now = state
    return now, 2 * now * fixed[0] + control


def test_a_graph_is_recorded_anew_when_half_of_its_rows_are_idle():
    recorded = []

    def record(launch, device):
        launch()
        launch()  # what warms up must not be seen
        recorded.append(True)
        return launch

    step = StepGraph(doubling, record)
    networks, y = networks_of(8)
    for rows, wanted in ((8, 1), (7, 1), (5, 1), (4, 2), (3, 2), (2, 3), (1, 4), (6, 5)):
        some, start = networks.take(slice(rows)), y[:rows]
        controls = torch.arange(3.0, dtype=torch.float64)[:, None, None].expand(3, rows, 1)
        scale = torch.full((rows, 1), 0.5, dtype=torch.float64)
        before, now = step.run(some, (scale,), (start, start), controls)
        assert len(recorded) == wanted
        torch.testing.assert_close(before, start + 1, rtol=0, atol=1e-15)
        torch.testing.assert_close(now, start + 3, rtol=0, atol=1e-15)
        assert len(now) == rows


def test_what_a_graph_gives_back_is_not_what_it_writes_to_next():
    step = StepGraph(doubling, lambda launch, device: launch)
    networks, y = networks_of(2)
    controls, scale = torch.ones(1, 2, 1, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
    first = step.run(networks, (scale,), (y, y), controls)
    kept = [array.clone() for array in first]
    step.run(networks, (scale,), first, controls)
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True))


def test_the_tracer_refuses_a_step_that_asks_the_device():
    def asks(networks, fixed, state, control):
        return (state[0] / 2,) if state[0].sum() > 0 else state

    def brings(networks, fixed, state, control):
        return (state[0] + torch.tensor([1.0], dtype=torch.float64),)

    networks, y = networks_of(2)
    for step in (asks, brings):
        with pytest.raises((RuntimeError, AssertionError)):
            StepGraph(step, Tracer()).run(networks, (), (y,), y[None, :, :1])


def test_a_step_that_cannot_be_recorded_is_launched_with_a_warning(monkeypatch):
    class Broken:
        def __init__(self, *a, **k):
            pass

        def __enter__(self):
            raise RuntimeError("operation not permitted when stream is capturing")

        def __exit__(self, *a):
            return False

    class Stream:
        def wait_stream(self, other):
            pass

    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph", Broken)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    for name in ("device", "stream"):
        monkeypatch.setattr(torch.cuda, name, lambda _: contextlib.nullcontext())
    monkeypatch.setattr(graph, "_side_stream", lambda device: Stream())
    networks, y = networks_of(2)
    step = StepGraph(doubling, graph._record_cuda)
    ones = torch.ones(2, 1, dtype=torch.float64)
    with pytest.warns(RuntimeWarning, match="could not be recorded as a CUDA graph .operation not permitted"):
        _, now = step.run(networks, (ones,), (y, y), ones[None])
    torch.testing.assert_close(now, 2 * y + 1, rtol=0, atol=1e-15)


@pytest.mark.cuda
@pytest.mark.usefixtures("all_weights")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device: graphs of its kernels are recorded")
@pytest.mark.parametrize("runs", [FLOWS, DESCENTS], ids=["flow", "descent"])
def test_captured_steps_end_where_launched_ones_do(runs, monkeypatch):
    on_device = [
        (problem, network, SimulationSpec(**(train.to_dict() | {"device": "cuda"}))) for problem, network, train in runs
    ]
    captured, recordings = graph._record_cuda, []

    def counted(launch, device):
        replay = captured(launch, device)
        recordings.append(replay is not launch)
        return replay

    monkeypatch.setattr(graph, "_record_cuda", counted)
    found = simulate_batch(on_device)
    assert recordings
    assert all(recordings)
    monkeypatch.setattr("pnc.simulate.train.recorder_of", lambda *a, **k: None)
    for one, other in zip(found, simulate_batch(on_device), strict=True):
        assert_close(one, other)
    for one, other in zip(found, simulate_batch(runs), strict=True):  # the CPU's
        assert one.outcome is other.outcome
        if one.outcome is Outcome.CONVERGED:
            np.testing.assert_allclose(one.measured.compression, other.measured.compression, rtol=1e-6)
