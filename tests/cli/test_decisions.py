"""`pnc choose` and `pnc tail` on the command line: their JSON, what they print, and what they refuse."""

import numpy as np
import pytest

from pnc.cli.main import main
from tests.cli.commands import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small trained run with a test split, foreign rows of numbers, and a file of features."""
    place = tmp_path_factory.mktemp("decisions")
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 10))
    for name, n, shift in (("train", 150, 0.0), ("test", 90, 0.0), ("foreign", 60, 6.0)):
        y = np.arange(n) % 3
        np.savez(place / f"{name}.npz", X=centres[y] + 0.7 * rng.normal(size=(n, 10)) + shift, y=y)
    y = np.arange(60) % 3
    np.savez(
        place / "features.npz", y=y, layer_0=rng.normal(size=(60, 4)), layer_1=centres[y] + rng.normal(size=(60, 10))
    )
    arguments = [
        "train", "mlp", "--data", place / "train.npz", "--test-data", place / "test.npz", "--width", 16, "--depth", 4,
        "--epochs", 15, "--learning-rate", 0.01, "--batch-size", 32, "--out", place / "run", "--quiet",
    ]  # fmt: skip
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    assert end.value.code in (0, 4)
    return place


def test_choose_a_layer_of_a_run(capsys, folder):
    done = run(capsys, "choose", folder / "run", "--json")
    assert done.status == 0, done.err
    found = done.json()
    assert found["layers"] == [0, 1, 2, 3]
    assert found["samples"] == 90  # the split that the network has not seen
    assert len(found["names"]) == len(found["criterion"]) == len(found["standard_error"]) == 4
    assert found["best"] in found["ties"]
    assert found["criterion"][found["best"]] == max(found["criterion"])
    text = run(capsys, "choose", folder / "run").out
    assert f"use layer {found['best']} (" in text
    seen = run(capsys, "choose", folder / "run", "--split", "train").out
    assert "the network was trained on these samples" in seen


def test_foreign_inputs_are_told(capsys, folder):
    done = run(capsys, "choose", folder / "run", "--foreign", folder / "foreign.npz", "--json")
    assert done.status == 0, done.err
    found = done.json()["foreign"]
    assert (found["own_samples"], found["foreign_samples"]) == (90, 60)
    assert found["scores"]["Mahalanobis"][0]["area"] > 0.95
    assert "tells them best" in run(capsys, "choose", folder / "run", "--foreign", folder / "foreign.npz").out


def test_cut_the_tail_of_a_run(capsys, folder):
    done = run(capsys, "tail", folder / "run", "--limit", 0.2, "--json")
    assert done.status == 0, done.err
    found = done.json()
    assert found["held_out_samples"] == 90
    assert found["parameters_cut"][0] == 10 * 16 + 2 * 16 * 16 + 16 * 3 + 3 * 2 * 16  # batch norm has two a unit
    assert found["linear_parameters"] == [33, 51, 51, 51]
    earliest = found["earliest"]
    assert earliest is not None
    assert f"cut after layer {earliest} (" in run(capsys, "tail", folder / "run", "--limit", 0.2).out


def test_choose_among_saved_features(capsys, folder):
    found = run(capsys, "choose", folder / "features.npz", "--json").json()
    assert found["best"] == 1
    assert found["names"] == ["layer 0", "layer 1"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tail", "features.npz"], "no classifier at its end"),
        (["tail", "run", "--limit", "2"], "--limit"),
        (["choose", "features.npz", "--foreign", "foreign.npz"], "--foreign"),
        (["choose", "run", "--foreign", "foreign.npz", "--split", "test"], "a held-out split"),
        (["choose", "run", "--foreign", "nothing.npz"], "nothing.npz"),
        (["choose", "nowhere"], "network 'nowhere' without --data"),
        (["choose", "run", "--most-samples", "1"], "most-samples"),
    ],
)
def test_refused_in_one_line(capsys, monkeypatch, folder, arguments, words):
    monkeypatch.chdir(folder)
    done = run(capsys, *arguments)
    assert done.status == 2
    assert done.err.count("\n") == 1
    assert words in done.err
    assert done.out == ""
