"""`pnc robustness`, as a user runs it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.cli.commands import run
from tests.robust.nets import Scaled, clusters, trained

QUICK = ["--noise", "none", "--attack", "pgd", "--radius", "0.05,0.1", "--quiet"]


class Masked(nn.Module):
    """What `module:function` finds: a network that hides its gradients, without its weights."""

    def __init__(self, factor=1e4):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
        self.factor = factor

    def forward(self, x):
        return self.factor * self.net(x)


class Plain(Masked):
    """The same in the open."""

    def __init__(self):
        super().__init__(1.0)


@pytest.fixture
def files(tmp_path):
    """A problem file of pixels with a test split, and the weights of a network that knows it."""
    for name, seed, samples in (("train", 1, 600), ("test", 2, 240)):
        x, y = clusters(samples, seed)
        np.savez(tmp_path / f"{name}.npz", X=x.reshape(samples, -1), y=y)
    save_file(Scaled(trained()).state_dict(), tmp_path / "weights.safetensors")
    return tmp_path


def of(files, name="Plain"):
    data = ["--data", files / "train.npz", "--test-data", files / "test.npz"]
    return [f"tests.cli.test_robustness:{name}", "--weights", files / "weights.safetensors", *data]


@pytest.fixture
def trained_run(files, capsys):
    """A run folder."""
    out = files / "run"
    data = ["--data", files / "train.npz", "--test-data", files / "test.npz"]
    sizes = ["--width", 32, "--depth", 3, "--epochs", 10, "--no-spectra", "--device", "cpu", "--quiet"]
    options = ["--loss", "cross-entropy", "--batch-norm", "--accuracy-limit", 0, "--out", out]
    assert run(capsys, "train", "mlp", *data, *sizes, *options).status == 0
    return out


def test_a_plain_network_is_attacked_and_passes(files, capsys):
    ended = run(capsys, "robustness", *of(files), "--radius", "0.05,0.1", "--quiet")
    assert ended.status == 0, ended.err
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["none", "100.00%"] in [row[:2] for row in rows]
    assert {"fgsm", "bim", "pgd", "noise"} <= {row[0] for row in rows if row}
    assert "DeepFool: ρ" in ended.out
    assert "not asked: images made for another network" in ended.out
    assert "FAILS" not in ended.out
    assert "no check fails" in ended.out


def test_a_masked_network_exits_with_3_and_says_why(files, capsys):
    ended = run(capsys, "robustness", *of(files, "Masked"), *QUICK)
    assert ended.status == 3
    assert "MASKED" in ended.out
    assert "the gradient does not vanish" in ended.out
    found = run(capsys, "robustness", *of(files, "Masked"), *QUICK, "--json")
    assert found.status == 3
    assert found.json()["verdict"] == "MASKED"
    assert "gradients" in found.json()["checks"]["failed"]
    unasked = run(capsys, "robustness", *of(files, "Masked"), *QUICK, "--no-checks")
    assert unasked.status == 0
    assert "only an upper bound" in unasked.out


def test_json_and_the_folder_agree_with_the_library(files, capsys):
    from pnc.robust import AttackSpec, PixelModel, pixel_noise, run_attack

    out = files / "out"
    options = [
        "--attack",
        "pgd,fgsm",
        "--noise",
        "0.5",
        "--norm",
        "l2",
        "--radius",
        "0.4",
        "--steps",
        "3,6",
        "--seed",
        4,
    ]
    ended = run(capsys, "robustness", *of(files), *options, "--restarts", 2, "--targeted", "--out", out, "--json", "-q")
    assert ended.status == 0, ended.err
    found = ended.json()
    assert [(one["attack"], one["steps"], one["restarts"]) for one in found["attacks"]] == [
        ("pgd", 3, 2), ("pgd", 6, 2), ("fgsm", 1, 1),
    ]  # fmt: skip
    x, y = clusters(240, 2)
    spec = AttackSpec(attack="pgd", radius=0.4, norm="l2", steps=6, restarts=2, targeted=True, seed=4)
    by_library = run_attack(PixelModel(trained()), x.reshape(240, -1), y, spec)
    assert found["attacks"][1]["accuracy"] == by_library.accuracy
    noisy = pixel_noise(PixelModel(trained()), x.reshape(240, -1), y, 0.5, seed=4)
    assert found["noise"][0]["accuracy"] == noisy.accuracy
    with np.load(out / "samples.npz") as samples:
        assert samples["attack_1_success"].tolist() == by_library.success.tolist()
        assert samples["attack_1_target"].tolist() == by_library.targets.tolist()
        assert samples["noise_0_correct"].tolist() == noisy.correct.tolist()
        assert samples["y"].tolist() == y.tolist()
    record = json.loads((out / "run.json").read_text())
    assert record["attacks"] == found["attacks"]
    assert record["command"] == "robustness"
    again = run(capsys, "robustness", *of(files), *QUICK, "--out", out)
    assert again.status == 2
    assert "force" in again.err


def test_the_subset_is_the_first_of_every_class(files, capsys):
    ended = run(capsys, "robustness", *of(files), *QUICK, "--samples-per-class", 30, "--json")
    assert ended.json()["clean"]["samples"] == 120


def test_a_run_folder_and_its_source(trained_run, files, capsys):
    options = [trained_run, "--source", trained_run, *QUICK]
    ended = run(capsys, "robustness", *options, "--json")
    assert ended.status == 0, ended.err
    found = ended.json()
    record = json.loads((trained_run / "run.json").read_text())
    assert found["clean"]["accuracy"] == pytest.approx(record["splits"]["test"]["accuracy"])
    assert found["split"] == "test"
    transfer = next(check for check in found["checks"]["checks"] if check["name"] == "transfer")
    # from itself: the same images, so nothing differs
    assert transfer["violation"] == 0
    # other data, in the run's own standardisation
    other = run(capsys, "robustness", trained_run, *QUICK, "--no-checks", "--data", files / "test.npz", "--json")
    assert other.json()["clean"] == found["clean"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--attack", "pdg"], "did you mean pgd?"),
        (["--attack", "deepfol"], "did you mean deepfool?"),
        (["--attack", ","], "at least one"),
        (["--radius", "8"], "at most 1"),
        (["--radius", "8/255,-1"], "radius = -1"),
        (["--radius", "3000", "--norm", "l2"], "at most √d = 8"),
        (["--radius", "8/0"], "--radius '8/0'"),
        (["--radius", "wide"], "--radius 'wide'"),
        (["--steps", "7.5,20"], "whole numbers"),
        (["--steps", "20"], "--steps 7,20"),
        (["--norm", "l7"], "one of linf, l2"),
        (["--noise", "1.5"], "probability 1.5"),
        (["--restarts", "0"], "restarts = 0"),
        (["--samples-per-class", "1000"], "samples_per_class = 1000"),
        (["--device", "cuda:99"], "device"),
        (["--weights", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--source", "nowhere"], "nowhere"),
        (["--out", "/dev/null"], "output folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(options, words, files, capsys):
    ended = run(capsys, "robustness", *of(files), *QUICK, *options)
    assert ended.status == 2
    assert words in ended.err
    assert ended.err.count("\n") == 1
    assert not ended.out


@pytest.mark.parametrize(
    ("options", "words"), [(["--steps", "20"], "--steps 7,20"), (["--noise", "0.5,1.5"], "probability 1.5")]
)
def test_options_are_checked_before_the_data_are_read(options, words, files, capsys):
    ended = run(capsys, "robustness", *of(files)[:3], "--data", files / "nowhere.npz", *options)
    assert ended.status == 2
    assert words in ended.err


def test_data_of_another_scale_are_refused_with_their_range(files, capsys):
    x, y = clusters(240, 2)
    np.savez(files / "wide.npz", X=3 * x.reshape(240, -1) - 1, y=y)
    ended = run(capsys, "robustness", *of(files)[:3], *QUICK, "--data", files / "wide.npz")
    assert ended.status == 2
    assert "images in [-1, 2]" in ended.err
    assert "[0, 1]" in ended.err


def test_without_a_test_split_it_says_so(files, capsys):
    ended = run(capsys, "robustness", *of(files)[:3], *QUICK, "--data", files / "test.npz", "--no-checks")
    assert ended.status == 0
    assert "there is no test split" in ended.out


def test_a_network_needs_weights_and_a_run_needs_none(files, trained_run, capsys):
    ended = run(capsys, "robustness", "mlp", "--data", files / "train.npz")
    assert ended.status == 2
    assert "--weights" in ended.err
    for options in (["--weights", files / "weights.safetensors"], ["--width", 3], ["--data-dir", files]):
        ended = run(capsys, "robustness", trained_run, *options)
        assert ended.status == 2
        assert str(options[0]) in ended.err
        assert ended.err.count("\n") == 1


def test_a_network_that_draws_its_own_random_numbers_is_repeatable(files, capsys):
    outs = [run(capsys, "robustness", *of(files, "Dropping"), *QUICK, "--json").json() for _ in range(2)]
    assert outs[0] == outs[1]


class Dropping(Plain):
    """Noise in evaluation mode."""

    def forward(self, x):
        return super().forward(x + 0.05 * torch.randn_like(x))
