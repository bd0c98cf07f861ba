"""A run folder read again: the same network, the same samples, and clear words where one of them has gone."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pnc.data.fashion_mnist import FASHION_MNIST_FOLDER
from pnc.errors import InvalidInputError
from pnc.train import load_run
from tests.train.cases import clusters
from tests.train.test_command import SMALL, pnc

FEW_TESTED = ("--test-samples-per-class", "2")
MODULE = """
from torch import nn

def small(input_shape, classes):
    return nn.Sequential(nn.Linear(input_shape[0], 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, classes))
"""


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name, seed in (("train", 0), ("test", 1)):
        x, y = clusters(60, seed=seed)
        np.savez(tmp_path / f"{name}.npz", X=x, y=y)
    return ["--data", str(tmp_path / "train.npz"), "--test-data", str(tmp_path / "test.npz")]


def train(out: Path, *options: str, network: str = "mlp") -> Path:
    small = SMALL if network == "mlp" else ["--epochs", "3", "--device", "cpu", "--quiet"]
    assert pnc("train", network, *small, "--accuracy-limit", 0, *options, "--out", out) == 0
    return out


def accuracy(run, split: str) -> float:
    samples = run.load_split(split)
    with torch.no_grad():
        hits = [(run.model(x).argmax(1) == y).sum() for x, y in samples.batches(32, dtype=run.dtype)]
    return int(sum(hits)) / len(samples)


def test_the_network_and_the_data_are_those_of_the_run(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # relative paths, read again from another folder
    relative = [Path(option).name if option.endswith(".npz") else option for option in files]
    out = train(tmp_path / "run", *relative, "--precision", "float64", "--batch-norm", "--projection", "1")
    monkeypatch.chdir("/")
    run = load_run(out)
    assert (run.name, run.classes, run.input_shape, run.spec.epochs) == ("mlp", 3, (8,), 3)
    assert not run.model.training
    saved = load_file(out / "weights.safetensors")
    assert {name: value.dtype for name, value in run.model.state_dict().items()} == {
        name: value.dtype for name, value in saved.items()
    }
    assert all(torch.equal(value, saved[name]) for name, value in run.model.state_dict().items())
    for split in ("train", "test"):
        assert accuracy(run, split) == run.record.splits[split].accuracy
    assert np.array_equal(run.load_split("test").x, clusters(60, seed=1)[0])
    with pytest.raises(InvalidInputError, match="split = 'valid'"):
        run.load_split("valid")


@pytest.mark.skipif(not FASHION_MNIST_FOLDER.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_pixels_keep_the_scale_of_the_training_split(tmp_path):
    sizes = ["--samples-per-class", "5", "--test-samples-per-class", "1,2,1,1,1,1,1,1,1,1"]
    run = load_run(train(tmp_path / "run", "--data", "fashion-mnist", *sizes))
    training, test = run.load_split("train"), run.load_split("test")
    assert (len(training), len(test)) == (50, 11)
    pixels = training.x.double() / 255
    assert torch.allclose(training.mean, pixels.mean(), rtol=1e-12)
    assert torch.equal(test.mean, training.mean)
    assert torch.equal(test.scale, training.scale)
    assert accuracy(run, "test") == run.record.splits["test"].accuracy


def test_other_data_are_taken_as_those_of_the_run(files, tmp_path):
    run = load_run(train(tmp_path / "run", *files))
    x, y = clusters(30, seed=5)
    assert torch.equal(run.take((x, y)).x, torch.from_numpy(x))
    for wrong, words in (
        ((x[:, :5], y), "shape (5,)"),
        ((x, y % 2), "no sample in class 2"),
        ((x, y + 1), "label 3 with 3 classes"),
        (((x > 0).astype(np.uint8), y), "pixels in the data for a network that was trained on numbers"),
    ):
        with pytest.raises(InvalidInputError, match=re.escape(words)):
            run.take(wrong)


@pytest.mark.skipif(not FASHION_MNIST_FOLDER.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_other_pixels_have_the_scale_of_the_runs(tmp_path):
    run = load_run(train(tmp_path / "run", "--data", "fashion-mnist", "--samples-per-class", "5", *FEW_TESTED))
    images = torch.randint(0, 255, (40, 1, 28, 28), dtype=torch.uint8)
    taken = run.take((images, torch.arange(40) % 10))
    assert torch.equal(taken.mean, run.load_split("train").mean)
    assert torch.equal(taken.scale, run.load_split("train").scale)
    with pytest.raises(InvalidInputError, match="trained on pixels"):
        run.take((images.float(), torch.arange(40) % 10))


def test_without_a_test_split(files, tmp_path):
    run = load_run(train(tmp_path / "run", *files[:2]))
    assert run.load_split("test") is None


def test_somebody_elses_network(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(MODULE)
    out = train(tmp_path / "run", *files, network="nets.py:small")
    monkeypatch.chdir("/")
    with pytest.raises(InvalidInputError, match=r"the code .*nets\.py:small; .*`trust_code`"):
        load_run(out)
    run = load_run(out, trust_code=True)
    assert run.name.endswith("nets.py:small")
    assert accuracy(run, "train") == run.record.splits["train"].accuracy
    (tmp_path / "nets.py").unlink()
    with pytest.raises(InvalidInputError, match="no file"):
        load_run(out, trust_code=True)


def test_data_that_have_gone_or_changed(files, tmp_path):
    run = load_run(train(tmp_path / "run", *files))
    x, y = clusters(60, seed=1)
    x[3, 2] += 1
    np.savez(tmp_path / "test.npz", X=x, y=y)
    with pytest.raises(InvalidInputError, match=r"a test split of .* that is not the one of"):
        run.load_split("test")
    (tmp_path / "train.npz").unlink()
    with pytest.raises(InvalidInputError, match=re.escape("train.npz, which is not there")):
        run.load_split("train")


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    x, y = clusters(60)
    np.savez(folder / "train.npz", X=x, y=y)
    return train(folder / "run", "--data", str(folder / "train.npz"))


@pytest.fixture
def folder(kept, tmp_path) -> Path:
    return shutil.copytree(kept, tmp_path / "run")


def change_record(folder: Path, part: str, **entries: object) -> None:
    record = json.loads((folder / "run.json").read_text())
    record[part] = {key: value for key, value in (record[part] | entries).items() if value is not None}
    (folder / "run.json").write_text(json.dumps(record))
    sign(folder)


def sign(folder: Path) -> None:
    """List the files as they are now, as if they had been written like that."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != "SHA256SUMS"]
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder)}\n" for file in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def no_weights(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()


def other_weights(folder: Path) -> None:
    weights = load_file(folder / "weights.safetensors")
    del weights["body.1.0.weight"]
    save_file(weights | {"more": torch.zeros(1), "head.weight": torch.zeros(3, 2)}, folder / "weights.safetensors")
    sign(folder)


def pickled_weights(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(pickle.dumps(print))
    sign(folder)


def damaged_weights(folder: Path) -> None:
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[-5] ^= 4
    (folder / "weights.safetensors").write_bytes(content)


def not_json(folder: Path) -> None:
    (folder / "run.json").write_text("{")
    sign(folder)


def other_command(folder: Path) -> None:
    (folder / "run.json").write_text('{"command": "simulate"}')
    sign(folder)


def older(folder: Path) -> None:
    change_record(folder, "network", classes=None)


def odd_spec(folder: Path) -> None:
    change_record(folder, "training", spec=[3])


def later(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text()) | {"format": 3}
    (folder / "run.json").write_text(json.dumps(record))
    sign(folder)


def odd_type(folder: Path) -> None:
    change_record(folder, "network", input_shape=["8"])


def unsigned(folder: Path) -> None:
    (folder / "SHA256SUMS").unlink()


def unknown_network(folder: Path) -> None:
    change_record(folder, "network", name="mpl")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (shutil.rmtree, "run.json, which cannot be read (No such file"),
        (damaged_weights, "weights.safetensors, which is not what was written"),
        (no_weights, "weights.safetensors, which cannot be read"),
        (other_weights, "missing body.1.0.weight; not in the network: more; head.weight is (3, 2) instead of (3, 16)"),
        (pickled_weights, "weights.safetensors, which cannot be read"),
        (not_json, "not JSON"),
        (other_command, "a run of simulate"),
        (older, "without network.classes"),
        (odd_spec, "training.spec"),
        (odd_type, "run.json, where network.input_shape.0 is '8'"),
        (later, "run.json of format 3; expected a format up to 2"),
        (unsigned, "there is no SHA256SUMS"),
        (unknown_network, "did you mean mlp?"),
    ],
)
def test_what_cannot_be_read_is_said(folder, spoil, words):
    spoil(folder)
    with pytest.raises(InvalidInputError) as caught:
        load_run(folder)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
