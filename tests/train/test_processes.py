"""Two processes train as one does."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from pnc.errors import InvalidInputError
from pnc.train import Processes, latest_checkpoint, train
from tests.train.cases import clusters, network, spec
from tests.train.shared import CASES, curves, run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "tests.train.shared", str(folder)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", CASES)
def test_curves_are_those_of_one_process(name: str, two: Path) -> None:
    one = curves(run(name))
    first, second = (load_file(two / f"{name}-{rank}.safetensors") for rank in range(2))
    assert {key for key in one if key.startswith("C-")} <= first.keys()
    for key, value in one.items():
        # float64, some dozens of steps: sums in another order differ by about 1e-14; 1e-6 is what is promised
        np.testing.assert_allclose(first[key], value, rtol=1e-9, atol=1e-11, err_msg=key)
    for key in second:
        np.testing.assert_allclose(second[key], first[key], rtol=0, atol=1e-14, err_msg=key)


def test_half_of_the_batch_alone_is_another_training(two: Path) -> None:
    """What each process would do without the other: the tolerance above would notice."""
    x, y = clusters(61)
    alone = train(network(), (x[::2], y[::2]), replace(CASES["plain"][0], batch_size=6, measure_every=None))
    shared = load_file(two / "plain-0.safetensors")
    assert abs(shared["1.weight"] - alone.model[1].weight.detach().numpy()).max() > 1e-3


def test_what_two_processes_wrote_one_can_go_on_from(two: Path) -> None:
    found, _ = latest_checkpoint(two / "checkpoints")
    assert found.state["processes"] == 2
    result = run("plain", checkpoints=two / "checkpoints", resume=True)
    assert result.resumed_from == found.step
    assert any("processes 1 instead of 2" in note for note in result.notes)


def test_batches_too_small_to_share_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def many(device: torch.device) -> Iterator[Processes]:
        yield Processes(rank=0, world=8)

    monkeypatch.setattr(sys.modules["pnc.train.loop"], "joined_processes", many)
    with pytest.raises(InvalidInputError, match="8 processes"):
        train(network(), clusters(), spec(batch_size=4))


def test_shares_cover_the_batch() -> None:
    for world in (1, 2, 3, 7):
        rows = [list(range(11))[Processes(rank=rank, world=world).share(11)] for rank in range(world)]
        assert sorted(itertools.chain(*rows)) == list(range(11))
