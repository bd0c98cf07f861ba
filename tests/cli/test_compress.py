"""`pnc compress` on a run folder, and what it refuses."""

import json

import numpy as np
import pytest

from pnc.data import Problem, save_problem
from tests.cli.commands import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An MLP of width 12 on three clusters, both splits."""
    from pnc.cli.main import main

    place = tmp_path_factory.mktemp("compress")
    rng = np.random.default_rng(0)
    centres = 2 * rng.standard_normal((3, 8))
    for name, seed in (("train", 1), ("test", 2)):
        y = np.arange(90) % 3
        x = centres[y] + np.random.default_rng(seed).standard_normal((90, 8))
        save_problem(place / f"{name}.npz", Problem(X=x, y=y))
    command = [
        "train", "mlp", "--data", place / "train.npz", "--test-data", place / "test.npz", "--width", 12, "--depth", 4,
        "--epochs", 20, "--no-spectra", "--quiet", "--out", place / "run",
    ]  # fmt: skip
    with pytest.raises(SystemExit):
        main([str(word) for word in command])
    return place / "run"


def sites(folder):
    return [name for name in json.loads((folder / "run.json").read_text())["provenance"]["names"] if name != "input"]


def test_a_table_and_the_same_as_json(capsys, folder):
    site = sites(folder)[1]
    ended = run(capsys, "compress", folder, "--site", site, "--dimensions", "1,2,5")
    assert ended.status == 0
    assert ended.err == ""
    assert "own tail" in ended.out
    assert "U1: C = " in ended.out
    found = run(capsys, "compress", folder, "--site", site, "--dimensions", "1,2,5", "--json").json()
    assert [kept["dimensions"] for kept in found["kept"]] == [1, 2, 5]
    assert found["dimension"] == found["whole"]["dimensions"] == 12
    assert found["samples"] == found["test_samples"] == 90
    assert found["kept"][1]["variance"] >= found["bounds"]["variance_share_lower"]
    assert found["whole"]["own_accuracy"] == json.loads((folder / "run.json").read_text())["splits"]["test"]["accuracy"]
    for kept in found["kept"]:
        assert f"{kept['own_accuracy']:.2%}" in ended.out


def test_the_end_of_a_name_and_fewer_samples(capsys, folder):
    options = ("--dimensions", 2, "--no-svm", "--samples-per-class", 20, "--test-samples-per-class", 10, "--json")
    found = run(capsys, "compress", folder, "--site", "0.1", *options).json()
    assert found["site"] == "body.0.1"
    assert (found["samples"], found["test_samples"]) == (60, 30)
    assert found["kept"][0]["svm_accuracy"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--dimensions", 12), "which has 12; expected 1 to 11"),
        (("--dimensions", "0,3"), "got 0 dimensions"),
        (("--dimensions", "two"), "whole numbers separated by commas"),
        (("--site", "hed"), "did you mean 'head'"),
        (("--site", "body.*"), "layers; expected one layer"),
        (("--samples-per-class", 31), "which has 30 samples"),
        (("--samples-per-class", 1), "expected at most 2"),
        (("--strength", 0), "strength = 0.0 of a linear SVM; expected a finite number above 0"),
        (("--strength", "nan"), "strength = nan"),
        (("--strength", "inf"), "strength = inf"),
        (("--strength", -1), "strength = -1.0"),
    ],
)
def test_what_is_refused(capsys, folder, options, said):
    given = ("--site", sites(folder)[1], "--dimensions", 5)
    ended = run(capsys, "compress", folder, *given, *options)
    assert ended.status == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert ended.out == ""


def test_a_folder_that_is_none(capsys, tmp_path):
    ended = run(capsys, "compress", tmp_path, "--site", "head")
    assert ended.status == 2
    assert "pnc train --out" in ended.err


def test_experiments_by_either_spelling(capsys, monkeypatch, tmp_path):
    import sims.low_rank

    monkeypatch.setattr(sims.low_rank, "reproduce", lambda out, **options: {"scale": options["scale"]})
    for name in ("low-rank", "low_rank"):
        ended = run(capsys, "reproduce", name, "--scale", "smoke", "--out", tmp_path, "--json")
        assert ended.json()["experiment"] == "low_rank"
