"""`pnc train`, as a user runs it: on the real Fashion-MNIST images and on a problem file."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from pnc.cli.main import main
from pnc.curves import FIELDS
from pnc.data.fashion_mnist import FASHION_MNIST_FOLDER
from pnc.nets import build
from pnc.train import load_weights
from tests.train.cases import clusters

SMALL = ["--width", "16", "--depth", "4", "--epochs", "3", "--batch-size", "20", "--device", "cpu", "--quiet"]


def pnc(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code)


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name, seed in (("train", 0), ("test", 1)):
        x, y = clusters(60, seed=seed)
        np.savez(tmp_path / f"{name}.npz", X=x, y=y)
    return ["--data", str(tmp_path / "train.npz"), "--test-data", str(tmp_path / "test.npz")]


def test_a_run_folder_holds_everything(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    options = [*files, *SMALL, "--epochs", "20", "--measure-every", "10", "--learning-rate", "0.02"]
    assert pnc("train", "mlp", *options, "--out", out, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["layers"] == [0, 1, 2, 3]
    assert set(FIELDS) <= result.keys()
    assert result["splits"]["test"]["samples"] == 60
    record = json.loads((out / "run.json").read_text())
    assert record["training"]["spec"]["epochs"] == 20
    assert record["network"]["name"] == "mlp"
    rows = table(out / "curves.csv")
    assert [float(row["compression"]) for row in rows] == result["compression"]
    assert [int(row["epoch"]) for row in table(out / "history.csv")] == list(range(21))
    trajectory = table(out / "trajectory.csv")
    assert {(row["epoch"], row["split"]) for row in trajectory} == {
        (epoch, split) for epoch in ("0", "10", "20") for split in ("train", "test")
    }
    assert (out / "curves.png").stat().st_size > 10_000
    # the weights are those of the network that was measured
    model = build("mlp", input_shape=(8,), classes=3, width=16, depth=4)
    load_weights(model, out / "weights.safetensors")
    model.eval()
    x, y = clusters(60)
    with torch.no_grad():
        right = model(torch.from_numpy(x).float()).argmax(1).numpy() == y
    assert right.mean() == result["splits"]["train"]["accuracy"]
    assert not any(path.name.startswith(".run") for path in tmp_path.iterdir())


def test_it_is_deterministic_and_resumes_what_was_interrupted(files: list[str], tmp_path: Path) -> None:
    from pnc.train import train as run_training

    assert pnc("train", "mlp", *files, *SMALL, "--out", tmp_path / "one", "--accuracy-limit", 0) == 0

    class StopError(Exception):
        pass

    class Halted:
        def __call__(self, *arguments: object, **options: object) -> object:
            def stop(progress: object) -> None:
                raise StopError

            return run_training(*arguments, **{**options, "progress": stop})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pnc.runs.training.train", Halted())
        patch.setattr("pnc.train.loop._SEEN_EVERY", 0.0)
        arguments = ["train", "mlp", *files, *SMALL, "--out", str(tmp_path / "two"), "--checkpoint-seconds", "0"]
        with pytest.raises(StopError):
            main(arguments)
    assert not (tmp_path / "two").exists()
    assert pnc(*arguments) == 2  # neither --resume nor --force
    assert pnc(*arguments, "--resume", "--accuracy-limit", 0) == 0
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert json.loads((tmp_path / "two" / "run.json").read_text())["training"]["resumed_from"] >= 1
    for name in ("curves.csv", "curves_test.csv"):
        assert (tmp_path / "one" / name).read_text() == (tmp_path / "two" / name).read_text()


@pytest.mark.parametrize("limit", [0, 1.1])
def test_a_finished_training_is_complete(
    limit: float, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cluster that queues a job again wants to hear so, with the run's own status; other options are refused."""
    out = tmp_path / "run"
    arguments = ["train", "mlp", *files, *SMALL, "--accuracy-limit", limit, "--out", out, "--resume"]
    status = 0 if limit == 0 else 4
    assert pnc(*arguments, "--json") == status
    first, before = json.loads(capsys.readouterr().out), {path: path.stat().st_mtime_ns for path in out.iterdir()}
    (tmp_path / ".run.checkpoints").mkdir()  # by a process that was killed after the folder had been renamed
    assert pnc(*arguments) == status
    text = capsys.readouterr().out
    assert text.startswith(f"complete: {out} holds this training")
    assert "test: 60 samples" in text
    assert pnc(*arguments, "--json") == status
    assert json.loads(capsys.readouterr().out) == first
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    assert not (tmp_path / ".run.checkpoints").exists()
    assert pnc(*arguments, "--learning-rate", 0.5) == 2
    assert "learning_rate 0.001, now 0.5" in capsys.readouterr().err


def test_a_finished_training_of_a_version_with_fewer_options_is_complete(files: list[str], tmp_path: Path) -> None:
    """What that version did not know was as it is by default."""
    out = tmp_path / "run"
    arguments = ["train", "mlp", *files, *SMALL, "--accuracy-limit", 0, "--out", out, "--resume", "--quiet"]
    assert pnc(*arguments) == 0
    record = json.loads((out / "run.json").read_text())
    for group in ("data", "measurement"):
        del record["request"][group][list(record["request"][group])[-1]]
    del record["request"]["measurement"]["attribute"]
    (out / "run.json").write_text(json.dumps(record))
    sums = (out / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256((out / "run.json").read_bytes()).hexdigest()
    sums = [f"{digest}  run.json" if line.endswith("  run.json") else line for line in sums]
    (out / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert pnc(*arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


@pytest.mark.parametrize(("depth", "expected"), [(4, 6), (None, None)])
def test_a_projection_head_counts_in_the_depth(
    depth: int | None, expected: int | None, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pnc.compare import follow

    given = []

    def watched(curve: object, **options: object) -> object:
        given.append(options["depth"])
        return follow(curve, **options)

    monkeypatch.setattr("pnc.runs.training.follow", watched)
    options = ["--width", 16, "--epochs", 1, "--device", "cpu", "--quiet", "--projection", 2, "--accuracy-limit", 0]
    assert pnc("train", "mlp", *files, *options, *(["--depth", depth] if depth else [])) == 0
    assert given == [expected]


@pytest.mark.skipif(not FASHION_MNIST_FOLDER.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_real_images_print_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--samples-per-class", "20", "--test-samples-per-class", "10", "--crop", "2", "--flip"]
    assert pnc("train", "hybrid", *SMALL, "--depth", 5, "--nonlinear", 2, *options, "--accuracy-limit", 0) == 0
    text = capsys.readouterr().out
    assert "200 samples" in text
    assert "test: 100 samples" in text
    assert "geometric law" in text


def test_a_network_that_has_not_learned_is_inconclusive(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert pnc("train", "mlp", *files, *SMALL, "--learning-rate", 1e-9) == 4
    assert "NOT_CONVERGED" in capsys.readouterr().out


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("limit", [0, 1.1])
def test_a_violated_theorem_is_no_success(
    split: str, limit: float, files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pnc.measure import measure_splits

    def wrong(*arguments: object, **options: object) -> object:
        curves = measure_splits(*arguments, **options)
        notes = [replace(note, leading_variance=(0.01, 0.01)) for note in curves[split].notes]
        return {**curves, split: replace(curves[split], notes=notes)}

    monkeypatch.setattr("pnc.runs.training.measure_splits", wrong)
    assert pnc("train", "mlp", *files, *SMALL, "--accuracy-limit", limit) == 3
    captured = capsys.readouterr()
    assert "BUG: U1 fails at layer 0" in captured.err
    assert ("DISAGREES: " in captured.out) == (split == "train")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--loss", "hinge"], "loss = 'hinge'"),
        (["--resume"], "--resume without --out"),
        (["--milestones", "half"], "milestones"),
        (["--layers", "no.such"], "no.such"),
        (["--start-from", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--samples-per-class", "3"], "only with images and texts"),
        (["--precision", "float16"], "float16"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(
    options: list[str], words: str, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert pnc("train", "mlp", *files, *SMALL, "--measure-every", 1, *options) == 2
    text = capsys.readouterr().err
    assert words in text
    assert text.count("\n") == 1


def test_a_training_that_diverges_is_not_converged(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert pnc("train", "mlp", *files, *SMALL, "--learning-rate", "1e30", "--optimiser", "sgd") == 4
    text = capsys.readouterr().err
    assert "training stopped at step" in text
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("network", "words"),
    [("net.py:wrong", "Sequential, which fails on samples of shape (8,)"), ("torch.nn:Identity", "without parameters")],
)
def test_a_network_that_does_not_fit_is_one_line(
    network: str, words: str, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text("from torch import nn\n\n\ndef wrong():\n    return nn.Sequential(nn.Linear(10, 3))\n")
    assert pnc("train", network, *files, "--epochs", 1, "--device", "cpu", "--quiet") == 2
    text = capsys.readouterr().err
    assert words in text
    assert text.count("\n") == 1


def test_a_run_folder_is_the_configuration_that_repeats_it(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another folder, bit for bit; what is given besides wins."""
    monkeypatch.chdir(tmp_path)
    relative = ["--data", "train.npz", "--test-data", "test.npz"]
    options = [
        "--batch-size",
        "0",
        "--optimiser",
        "momentum",
        "--low-rank-site",
        "body.1",
        "--rank",
        "3",
        "--seed",
        "5",
    ]
    assert pnc("train", "mlp", *relative, *SMALL, *options, "--out", "one", "--accuracy-limit", 0) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert pnc("train", "--config", "../one", "--out", "../two", "--quiet") == 0
    first, second = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("one", "two"))
    assert first["request"] == second["request"]
    assert first["request"]["training"]["batch_size"] is None
    weights = [load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two")]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    assert pnc("train", "--config", "../one", "--epochs", "2", "--out", "../three", "--quiet") == 0
    assert json.loads((tmp_path / "three" / "run.json").read_text())["request"]["training"]["epochs"] == 2
