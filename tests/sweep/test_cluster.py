"""The same plan on a real local cluster of two worker processes, one of which is killed."""

from __future__ import annotations

import os
import signal

import pytest
import xarray

from pnc.errors import InvalidInputError, PncError
from pnc.sweep import execute, make_plan, read_sweep, run_sweep

distributed = pytest.importorskip("distributed", reason="needs dask.distributed (pnc[cluster])")

# what the cluster's own machinery warns about is not ours
pytestmark = pytest.mark.filterwarnings("default")

SPEC = {"depth": "2:6", "samples_per_class": 3, "width": 40, "seeds": 3, "loss_tolerance": 1e-12, "certificates": False}


@pytest.mark.slow
def test_a_killed_worker_costs_only_its_batch(tmp_path):
    plan = make_plan(read_sweep(SPEC), device="cpu")
    expected = run_sweep(plan, tmp_path / "here", workers=1)
    killed = []
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:

        def kill_one(state):
            if state.runs and not killed:
                killed.append(cluster.workers[0].pid)
                os.kill(killed[0], signal.SIGKILL)

        found = run_sweep(plan, tmp_path / "there", scheduler=cluster.scheduler_address, progress=kill_one)
    assert killed
    xarray.testing.assert_identical(found, expected)
    assert (tmp_path / "here" / "results.csv").read_bytes() == (tmp_path / "there" / "results.csv").read_bytes()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "tcp://127.0.0.1:port"])
def test_a_scheduler_that_is_not_there_is_said_so(address, tmp_path, monkeypatch):
    monkeypatch.setattr("pnc.parallel._SCHEDULER_TIMEOUT", 1)
    plan = make_plan(read_sweep(depth=2), device="cpu")
    with pytest.raises(InvalidInputError, match="which does not answer"):
        run_sweep(plan, tmp_path / "nowhere", scheduler=address)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (distributed.CancelledError("lost"), "the connection to the scheduler was lost"),
        (distributed.KilledWorker("run_batch", None, 3), "workers died one after another"),
    ],
)
def test_a_cluster_that_fails_is_said_so(error, said, monkeypatch):
    class Lost:
        loop = None

        def submit(self, *arguments, **options):
            return self

        def result(self):
            raise error

    monkeypatch.setattr(distributed, "as_completed", lambda futures, loop: iter(futures))
    with pytest.raises(PncError, match=f"{said}.*run the same command again"):
        list(execute._distributed(Lost(), {0: ([], None)}))
