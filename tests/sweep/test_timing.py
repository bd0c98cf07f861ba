"""The code behind the timing tables, at toy size: what is counted, and that every row is there."""

from __future__ import annotations

import pytest
import torch

from sims import timing_engine
from sims.timing_engine import Case, Limits, beside_cpu, rows

TOYS = (
    Case(coordinates="reduced", width=64, depth=3, steps=(10, 40)),
    Case(coordinates="reduced", width=64, depth=3, runs=3, steps=(10, 40)),
    Case(coordinates="full", width=40, depth=4, steps=(10, 40)),
)


def test_every_case_is_timed_on_the_device_and_beside_two_cores():
    before = torch.get_num_threads()
    found = beside_cpu("cpu", TOYS, size=64)
    assert torch.get_num_threads() == before
    assert [row["engine"] for row in found[::2]] == [case.name for case in TOYS]
    assert all(row["steps/s"] > 0 and row["share of the limit"] > 0 for row in found)
    assert all(row["× CPU"] == 1 for row in found[1::2])
    for one, other in zip(found[::2], found[1::2], strict=True):
        assert one["× CPU"] == one["steps/s"] / other["steps/s"]


@pytest.mark.parametrize(
    ("case", "weights"), [(TOYS[0], 33 * 30 + 33**2 + 3 * 33), (TOYS[2], 40 * 50 + 2 * 40**2 + 120)]
)
def test_the_limit_is_the_rate_that_is_reached_first(case, weights, monkeypatch):
    # 30 steps more take a second more
    monkeypatch.setattr(timing_engine, "_trained", lambda device, case, runs, steps: (steps - 10) / 30)
    [row] = rows("cpu", [case], Limits(bandwidth=64 * weights * 60, arithmetic=1e30))
    assert row["steps/s"] == pytest.approx(30)
    assert (row["limit"], row["share of the limit"]) == ("memory", pytest.approx(0.5))
    [row] = rows("cpu", [case], Limits(bandwidth=1e30, arithmetic=20 * weights * 40))
    assert (row["limit"], row["share of the limit"]) == ("arithmetic", pytest.approx(0.75))


def test_the_weights_that_are_counted_are_those_that_are_trained(monkeypatch):
    seen = []
    train = timing_engine.train_stack
    monkeypatch.setattr(
        timing_engine, "train_stack", lambda stack, recorders: seen.append(stack) or train(stack, recorders)
    )
    for case in TOYS:
        timing_engine._trained("cpu", case, case.runs, 2)
    assert [len(stack) for stack in seen] == [1, 3, 1]
    assert [sum(rows * columns for rows, columns in stack[0].shapes) for stack in seen] == [2178, 2178, 5320]
