"""A training that is killed and resumed ends as if nothing had happened, bit for bit."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError
from pnc.train import Batches, Checkpoint, latest_checkpoint, read_checkpoint, train, write_checkpoint
from tests.train.cases import clusters, images, measure, network, same_weights, spec
from tests.train.killed import STEPS

ROOT = Path(__file__).resolve().parents[2]


def start(folder: Path, result: Path, pause: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.train.killed", str(folder), str(result), str(pause)], cwd=ROOT
    )


def kill_at(folder: Path, result: Path, step: int, *, delay: float) -> None:
    """SIGKILL once a checkpoint of `step` is there, and a moment later: in a step, a write or a measurement."""
    process = start(folder, result, 0.03)
    try:
        end = time.monotonic() + 60
        while not any(int(path.stem.split("-")[1]) >= step for path in folder.glob("step-*.safetensors")):
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < end, "it never came so far"
            time.sleep(0.001)
        time.sleep(delay)
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not result.exists()


def test_killed_three_times_the_weights_and_curves_are_the_same(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    reference = start(tmp_path / "reference", whole, 0.0)
    # the moments differ from run to run only in where a step stands: all of them have to be right
    steps = sorted(np.random.default_rng().choice(np.arange(1, STEPS - 8), 3, replace=False).tolist())
    for step in steps:
        kill_at(tmp_path / "killed", broken, step, delay=float(np.random.default_rng().uniform(0, 0.03)))
    assert start(tmp_path / "killed", broken, 0.0).wait(60) == 0
    assert reference.wait(60) == 0
    expected, found = load_file(whole), load_file(broken)
    assert expected.keys() == found.keys()
    assert {"losses", "train-0", "test-6"} <= expected.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == [], f"killed at {steps}"


class StopError(Exception):
    """Stands for whatever ends a process."""


class Stopping:
    """Ends a training at a step, from within its measurement of time: nothing of the loop is skipped or repeated."""

    def __init__(self, model: torch.nn.Module, calls: int) -> None:
        self.calls = calls
        model.register_forward_pre_hook(self)

    def __call__(self, model: torch.nn.Module, inputs: object) -> None:
        self.calls -= model.training
        if self.calls < 0:
            raise StopError


@pytest.mark.parametrize(
    "options",
    [
        {"optimiser": "sgd", "schedule": "step", "warmup_epochs": 1},
        {"optimiser": "momentum", "loss": "cross-entropy", "weight_decay": 1e-2},
        {"optimiser": "adamw", "precision": "float64"},
        {"optimiser": "adamw", "precision": "bfloat16", "batch_size": None},
        {"crop": 1, "flip": True, "channels_last": True},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
@pytest.mark.parametrize("stop", [3, 8])
def test_every_kind_of_state_is_kept(options: dict, stop: int, tmp_path: Path) -> None:
    pictures = "crop" in options
    data, dimension = (images(), 36) if pictures else (clusters(), 8)
    if options.get("batch_size", 0) is None:
        stop = min(stop, 3)  # of four steps

    def net() -> torch.nn.Sequential:
        model = network(dropout=0.3, dimension=dimension)
        if pictures:
            model.insert(0, torch.nn.Conv2d(1, 1, 3, padding=1))
            torch.nn.init.constant_(model[0].weight, 0.1)
            torch.nn.init.constant_(model[0].bias, 0.0)
        return model

    chosen = spec(**({"batch_size": 8} | options))
    whole, broken, resumed = net(), net(), net()
    train(whole, data, chosen)
    Stopping(broken, stop)
    with pytest.raises(StopError):
        train(broken, data, chosen, checkpoints=tmp_path, checkpoint_seconds=0)
    run = train(resumed, data, chosen, checkpoints=tmp_path, resume=True)
    assert run.resumed_from == stop
    assert same_weights(whole, resumed)


def test_the_optimiser_has_a_state_to_keep(tmp_path: Path) -> None:
    """Without it the test above could not fail: dropping the momentum changes the weights."""
    whole, broken, resumed = network(), network(), network()
    train(whole, clusters(), spec())
    Stopping(broken, 5)
    with pytest.raises(StopError):
        train(broken, clusters(), spec(), checkpoints=tmp_path, checkpoint_seconds=0)
    found, _ = latest_checkpoint(tmp_path)
    without = {name: t for name, t in found.tensors.items() if not name.startswith("optimiser.")}
    assert len(without) < len(found.tensors)
    write_checkpoint(tmp_path, Checkpoint(step=found.step, tensors=without, state=found.state))
    train(resumed, clusters(), spec(), checkpoints=tmp_path, resume=True)
    assert not same_weights(whole, resumed)


def test_history_and_curves_are_those_of_an_undisturbed_run(tmp_path: Path) -> None:
    chosen = spec(measure_every=1)
    whole = train(network(), clusters(), chosen, test=clusters(seed=1), measure=measure)
    model = network()
    Stopping(model, 9)
    with pytest.raises(StopError):
        train(
            model, clusters(), chosen, test=clusters(seed=1), measure=measure, checkpoints=tmp_path,
            checkpoint_seconds=0,
        )  # fmt: skip
    run = train(
        network(), clusters(), chosen, test=clusters(seed=1), measure=measure, checkpoints=tmp_path, resume=True
    )
    assert run.measurements == whole.measurements
    assert [(r.step, r.loss, r.accuracy, r.learning_rate) for r in run.history] == [
        (r.step, r.loss, r.accuracy, r.learning_rate) for r in whole.history
    ]


def test_a_training_that_ended_is_not_trained_again(tmp_path: Path) -> None:
    first, second = network(), network(seed=1)
    train(first, clusters(), spec(), checkpoints=tmp_path)
    run = train(second, clusters(), spec(), checkpoints=tmp_path, resume=True)
    assert run.resumed_from == run.steps == 16
    assert same_weights(first, second)


def test_checkpoints_are_two_and_nothing_partial_is_left(tmp_path: Path) -> None:
    train(network(), clusters(), spec(), checkpoints=tmp_path, checkpoint_seconds=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-000000015.safetensors", "step-000000016.safetensors",
    ]  # fmt: skip
    assert read_checkpoint(tmp_path / "step-000000015.safetensors").step == 15


def test_a_checkpoint_cut_short_is_passed_over_with_a_note(tmp_path: Path) -> None:
    whole, resumed = network(), network()
    train(whole, clusters(), spec(), checkpoints=tmp_path, checkpoint_seconds=0)
    last = tmp_path / "step-000000016.safetensors"
    last.write_bytes(last.read_bytes()[:-10])
    run = train(resumed, clusters(), spec(), checkpoints=tmp_path, resume=True)
    assert run.resumed_from == 15
    assert any("step-000000016.safetensors, which cannot be read" in note for note in run.notes)
    assert same_weights(whole, resumed)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x00" * 100])
def test_what_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "step-000000001.safetensors"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_checkpoint(path)


def test_other_options_and_other_data_are_not_resumed(tmp_path: Path) -> None:
    train(network(), clusters(), spec(), checkpoints=tmp_path)
    with pytest.raises(InvalidInputError, match=r"learning_rate 0.05, now 0.1"):
        train(network(), clusters(), spec(learning_rate=0.1), checkpoints=tmp_path, resume=True)
    with pytest.raises(InvalidInputError, match="other samples"):
        train(network(), clusters(seed=5), spec(), checkpoints=tmp_path, resume=True)
    other = network()
    other[2] = torch.nn.GELU()  # the same weights, another network
    with pytest.raises(InvalidInputError, match="other layers"):
        train(other, clusters(), spec(), checkpoints=tmp_path, resume=True)
    with pytest.raises(InvalidInputError, match="resume"):
        train(network(), clusters(), spec(), checkpoints=tmp_path)
    with pytest.raises(InvalidInputError, match=r"of the checkpoint.*missing 2\.weight, 2\.bias"):
        train(network(norm=True), clusters(), spec(), checkpoints=tmp_path, resume=True)


def test_measuring_does_not_change_the_training() -> None:
    one, other = network(dropout=0.3), network(dropout=0.3)
    train(one, clusters(), spec())

    def noisy(model: torch.nn.Sequential, batches: Batches, split: str) -> LayerCurve:
        torch.rand(7)
        return measure(model, batches, split)

    run = train(other, clusters(), spec(measure_every=2), measure=noisy)
    assert [m.epoch for m in run.measurements] == [0, 2, 4]
    assert same_weights(one, other)


def test_a_run_as_json_is_complete() -> None:
    run = train(network(), clusters(), spec(measure_every=0), measure=measure)
    text = json.loads(json.dumps(run.to_dict()))
    assert len(text["history"]) == 4
    assert text["measurements"][0]["curve"]["compression"] == run.last().curve.compression.tolist()
