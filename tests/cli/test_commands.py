"""What the commands answer: fields, tables, statuses, files."""

from __future__ import annotations

import io
import json
import os
import re
import stat

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pnc.compare import Verdict
from pnc.data import Problem, draw, save_features, save_problem
from pnc.spec import NetworkSpec, ProblemSpec
from pnc.theory import exact_weights, predict
from tests.cli.commands import run

SMALL = ("--depth", 4, "--classes", 3, "--samples-per-class", 4, "--width", 200)
FIELDS = {
    "layers",
    "compression",
    "discrimination",
    "within_scatter",
    "between_scatter",
    "separation_fuzziness",
    "provenance",
}
EXTRA = {"predicted", "measured", "bounds", "relative_error", "residuals", "verdict", "advice"}


@pytest.fixture
def features(tmp_path):
    """Features of constructed weights: (file, problem, network)."""
    problem, network = draw(ProblemSpec(classes=3, samples_per_class=5)), NetworkSpec(depth=5)
    layers = [problem.X]
    for W in exact_weights(problem, network, seed=0)[:-1]:
        layers.append(layers[-1] @ W.T)
    save_features(tmp_path / "features.npz", layers, problem.y)
    save_problem(tmp_path / "problem.npz", problem)
    return tmp_path / "features.npz", problem, network


def test_version(capsys):
    assert re.fullmatch(r"pnc \d+\.\d+\.\d+\n", run(capsys, "--version").out)


@pytest.mark.parametrize("command", ["predict", "simulate", "measure", "compare"])
def test_every_command_explains_itself(capsys, command):
    ended = run(capsys, command, "--help")
    assert ended.status == 0
    assert "--json" in ended.out
    assert command in run(capsys, "--help").out


def test_predict_gives_the_law(capsys, features):
    _, problem, network = features
    ended = run(
        capsys, "predict", "--data", features[0].parent / "problem.npz", "--depth", 5, "--epsilon", 0.3, "--json"
    )
    assert ended.status == 0
    assert ended.err == ""
    found = ended.json()
    assert set(found) >= FIELDS | {"bounds"}
    assert found["layers"] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(found["compression"], predict(problem, network).compression, rtol=1e-12)


def test_predict_prints_a_table(capsys):
    ended = run(capsys, "predict", "--depth", 3)
    assert ended.status == 0
    assert "law: T1" in ended.out
    assert len(re.findall(r"(?m)^ +[012] ", ended.out)) == 3


@pytest.mark.parametrize("command", [("predict", "--depth", 4), ("simulate", *SMALL)])
def test_json_has_sorted_keys_and_one_line(capsys, command):
    ended = run(capsys, *command, "--json")
    assert ended.out.count("\n") == 1
    found = ended.json()
    assert ended.out.strip() == json.dumps(found, sort_keys=True)
    assert ended.err == ""


def test_simulate_agrees(capsys):
    ended = run(capsys, "simulate", *SMALL)
    assert ended.status == 0
    assert ended.err == ""
    assert "converged: loss" in ended.out
    assert ended.out.splitlines()[-1].startswith("AGREES: ")
    for text in ("geometric law", "linear law", "bounds (T5)", "limits: ", "seed 0", "ε = 0.3", "θ = 0.2"):
        assert text in ended.out


def test_simulate_has_the_fields_that_other_tools_rely_on(capsys):
    found = run(capsys, "simulate", *SMALL, "--json", "--record", 5).json()
    assert set(found) >= FIELDS | EXTRA
    assert set(found["predicted"]) == set(found["measured"]) == FIELDS
    assert found["layers"] == [0, 1, 2, 3]
    assert found["compression"] == found["measured"]["compression"]
    assert found["outcome"] == "CONVERGED"
    assert len(found["history"]["time"]) == 5
    assert {"lower", "upper"} <= set(found["bounds"]["compression"])
    assert found["provenance"]["device"] == "cpu" or found["provenance"]["device"].startswith("cuda")


def test_one_seed_one_output_and_another_another(capsys):
    first, second, third = (
        run(capsys, "simulate", *SMALL, "--json", "--seed", seed).json()["compression"] for seed in (4, 4, 5)
    )
    assert first == second
    assert first != third


@pytest.mark.parametrize("weights", ["exact", "default"])
def test_other_initial_weights(capsys, weights):
    ended = run(
        capsys, "simulate", "--depth", 3, "--samples-per-class", 4, "--width", 40, "--weights", weights, "--json"
    )
    found = ended.json()
    expected = Verdict.AGREES if weights == "exact" else Verdict.ASSUMPTION_VIOLATED
    assert found["verdict"] == expected.name
    assert ended.status == expected.exit_status
    assert ("default_weights" in found) == (weights == "default")


@pytest.mark.parametrize(
    ("options", "outcome", "advice"),
    [
        (("--engine", "descent", "--learning-rate", 1000), "DIVERGED", "smaller --learning-rate"),
        (("--engine", "descent", "--steps", 5), "PLATEAU", "--epsilon"),
        (("--engine", "flow", "--steps", 5), "PLATEAU", "more --steps"),
        (("--steps", 130, "--loss-tolerance", 1e-300), "STEP_LIMIT", "raise --steps"),
    ],
)
def test_runs_that_do_not_converge_are_inconclusive_with_advice(capsys, tmp_path, options, outcome, advice):
    ended = run(capsys, "simulate", *SMALL, *options, "--json", "--out", tmp_path / "run")
    found = ended.json()
    assert ended.status == 4
    assert (found["outcome"], found["verdict"]) == (outcome, "NOT_CONVERGED")
    assert advice in found["advice"]
    assert (tmp_path / "run" / "run.json").exists()
    printed = run(capsys, "simulate", *SMALL, *options)
    assert printed.status == 4
    assert advice in printed.out.splitlines()[-1]
    assert "nan" not in printed.out


def test_an_impossible_limit_blames_the_weights_while_the_certificate_holds(capsys):
    ended = run(capsys, "simulate", *SMALL, "--compression-limit", 1e-9)
    assert ended.status == 4
    assert ended.out.splitlines()[-1].startswith("ASSUMPTION_VIOLATED")
    assert "certificate (T8) has them" in ended.out
    assert "limits: C_l within 1e-07%" in ended.out


def test_out_writes_a_folder_and_force_replaces_it(capsys, tmp_path):
    place = tmp_path / "deep" / "run"
    ended = run(capsys, "simulate", *SMALL, "--out", place)
    assert ended.status == 0
    assert f"written to {place}" in ended.out
    record = json.loads((place / "run.json").read_text())
    assert record["command"] == "simulate"
    assert record["comparison"]["verdict"] == "AGREES"
    refused = run(capsys, "simulate", *SMALL, "--out", place, "--seed", 9)
    assert refused.status == 2
    assert json.loads((place / "run.json").read_text()) == record
    assert run(capsys, "simulate", *SMALL, "--out", place, "--seed", 9, "--force").status == 0
    assert json.loads((place / "run.json").read_text())["train"]["seed"] == 9
    assert [path.name for path in place.parent.iterdir()] == ["run"]


def test_measure_answers_for_every_layer(capsys, features):
    path, problem, network = features
    ended = run(capsys, "measure", path, "--json")
    assert ended.status == 0
    found = ended.json()
    assert set(found) >= FIELDS
    np.testing.assert_allclose(found["compression"], predict(problem, network).compression, rtol=1e-8)
    assert None not in found["separation_fuzziness"]
    quick = run(capsys, "measure", path, "--json", "--no-fuzziness").json()
    assert quick["separation_fuzziness"] == [None] * 5
    printed = run(capsys, "measure", path)
    assert "K = 3, N = 15" in printed.out
    assert "geometric law" in printed.out


@pytest.mark.parametrize("how", ["files", "stdin first", "stdin second"])
def test_compare_takes_what_predict_and_measure_write(capsys, features, monkeypatch, how):
    path, *_ = features
    measured = run(capsys, "measure", path, "--json").out
    predicted = run(
        capsys, "predict", "--data", path.parent / "problem.npz", "--depth", 5, "--epsilon", 0.3, "--json"
    ).out
    names = {"predicted": path.parent / "p.json", "measured": path.parent / "m.json"}
    for name, text in (("predicted", predicted), ("measured", measured)):
        names[name].write_text(text)
    if how != "files":
        name = "predicted" if how == "stdin first" else "measured"
        names[name].unlink()
        names[name] = "-"
        monkeypatch.setattr("sys.stdin", io.StringIO({"predicted": predicted, "measured": measured}[name]))
    ended = run(capsys, "compare", names["predicted"], names["measured"], "--json")
    assert ended.status == 0
    found = ended.json()
    assert set(found) >= FIELDS | EXTRA
    assert found["verdict"] == "AGREES"
    assert max(abs(e) for e in found["relative_error"]) < 1e-8


def test_compare_disagrees_with_another_prediction(capsys, features):
    path, *_ = features
    (path.parent / "m.json").write_text(run(capsys, "measure", path, "--json").out)
    wrong = run(capsys, "predict", "--data", path.parent / "problem.npz", "--depth", 5, "--epsilon", 0.4, "--json")
    (path.parent / "p.json").write_text(wrong.out)
    ended = run(capsys, "compare", path.parent / "p.json", path.parent / "m.json")
    assert ended.status == 3
    assert ended.out.splitlines()[-1].startswith("DISAGREES")


def test_what_simulate_writes_may_be_compared(capsys, tmp_path):
    (tmp_path / "s.json").write_text(run(capsys, "simulate", *SMALL, "--json").out)
    (tmp_path / "p.json").write_text(run(capsys, "predict", *SMALL[:6], "--json").out)
    assert run(capsys, "compare", tmp_path / "p.json", tmp_path / "s.json").status == 0
    # the comparison's own output has the measured curve's fields
    again = run(capsys, "compare", tmp_path / "p.json", tmp_path / "s.json", "--json")
    (tmp_path / "c.json").write_text(again.out)
    assert run(capsys, "compare", tmp_path / "p.json", tmp_path / "c.json").status == 0
    unfinished = run(capsys, "simulate", *SMALL, "--steps", 3, "--json")
    (tmp_path / "s.json").write_text(unfinished.out)
    assert run(capsys, "compare", tmp_path / "p.json", tmp_path / "s.json").status == 4


def test_cite_gives_the_paper(capsys):
    ended = run(capsys, "cite")
    assert ended.status == 0
    assert "wang2025layerwise" in ended.out


def test_verify_checks_a_statement(capsys):
    pytest.importorskip("flint")
    ended = run(capsys, "verify", "--only", "U1", "--depth", "quick", "--json", "--quiet")
    assert ended.status == 0
    assert ended.json()["status"] == "DISCHARGED"
    assert run(capsys, "verify", "--only", "X9").status == 2
    assert run(capsys, "verify", "--attack", -1).status == 2


# ---- input that is unusual and yet answered ------------------------------------------------------------------


def test_gaps_in_labels_are_closed_with_a_note(capsys, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "p.npz", X=rng.standard_normal((6, 10)), y=[2, 2, 5, 5, 9, 9])
    for command in ("predict", "simulate"):
        ended = run(capsys, command, "--data", tmp_path / "p.npz", "--depth", 3)
        assert ended.status in (0, 4)
        assert "note: labels [2, 5, 9] were renumbered 0…2" in ended.out
    np.savez(tmp_path / "f.npz", layer_0=rng.standard_normal((6, 10)), y=[2, 2, 5, 5, 9, 9])
    assert "renumbered" in run(capsys, "measure", tmp_path / "f.npz").out


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.uint8])
def test_labels_and_features_of_many_dtypes_are_taken(capsys, tmp_path, dtype):
    rng = np.random.default_rng(0)
    X = (10 * rng.standard_normal((12, 5)) + 100).astype(dtype)
    y = np.repeat([0, 1, 2], 4)
    labels = y.astype(dtype)
    np.savez(tmp_path / "f.npz", layer_1=X, y=labels)
    ended = run(capsys, "measure", tmp_path / "f.npz", "--json")
    assert ended.status == 0
    x = X.astype(np.float64)
    means = np.array([x[y == k].mean(0) for k in range(3)])
    within = np.square(x - means[y]).sum() / 12
    assert ended.json()["within_scatter"][0] == pytest.approx(within, rel=1e-12)


def test_bfloat16_features_are_taken(capsys, tmp_path):
    x = torch.randn(12, 5, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    save_file({"layer_3": x, "y": torch.arange(12) % 3}, tmp_path / "f.safetensors")
    found = run(capsys, "measure", tmp_path / "f.safetensors", "--json").json()
    assert found["layers"] == [3]
    wide, y = x.double().numpy(), np.arange(12) % 3
    means = np.array([wide[y == k].mean(0) for k in range(3)])
    assert found["within_scatter"][0] == pytest.approx(np.square(wide - means[y]).sum() / 12, rel=1e-12)


def test_float32_features_below_their_rounding_are_inconclusive(capsys, tmp_path):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 20)
    centres = rng.standard_normal((2, 50))
    noisy = centres[y] + 1e-7 * rng.standard_normal((40, 50))
    for dtype, status in ((np.float32, 4), (np.float64, 0)):
        np.savez(tmp_path / "f.npz", layer_0=noisy.astype(dtype), y=y)
        ended = run(capsys, "measure", tmp_path / "f.npz", "--json")
        assert ended.status == status
        assert ended.json()["verdict"] == ("BELOW_NOISE" if status else None)
    np.savez(tmp_path / "f.npz", layer_0=noisy.astype(np.float32), y=y)
    assert "use float64" in run(capsys, "measure", tmp_path / "f.npz").out


@pytest.mark.parametrize("command", ["predict", "simulate"])
@pytest.mark.parametrize("kind", ["duplicated", "more samples than dimensions"])
def test_singular_gram_matrices_leave_the_rest(capsys, tmp_path, command, kind):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8, 12)) / 3 if kind == "duplicated" else rng.standard_normal((40, 5)) / 6
    y = np.arange(len(X)) % 2
    if kind == "duplicated":
        X[2] = X[0]
    save_problem(tmp_path / "p.npz", Problem(X=X, y=y))
    ended = run(capsys, command, "--data", tmp_path / "p.npz", "--depth", 3, "--epsilon", 0.2)
    assert ended.status in (0, 3, 4)
    if command == "predict":
        assert ended.status == 0
    assert "G is singular" in ended.out
    assert "T5" in ended.out


def test_one_sample_a_class_is_answered(capsys):
    for command in ("predict", "simulate"):
        ended = run(capsys, command, "--depth", 4, "--classes", 5, "--samples-per-class", 1, "--json")
        assert ended.status == 0, ended.out
        assert ended.json()["compression"] == [0.0] * 4
    assert run(capsys, "simulate", "--depth", 4, "--classes", 5, "--samples-per-class", 1).status == 0


def test_a_zero_class_mean_is_answered(capsys, tmp_path):
    X = np.zeros((4, 5))
    X[0, 0], X[1, 0], X[2, 1], X[3, 2] = 1, -1, 1, 1
    save_problem(tmp_path / "p.npz", Problem(X=X, y=[0, 0, 1, 1]))
    save_features(tmp_path / "f.npz", [X], [0, 0, 1, 1])
    for command in (
        ("predict", "--data", tmp_path / "p.npz", "--depth", 3),
        ("simulate", "--data", tmp_path / "p.npz", "--depth", 3),
        ("measure", tmp_path / "f.npz"),
    ):
        ended = run(capsys, *command, "--json")
        assert ended.status == 0, ended
        assert ended.json()["discrimination"][0] is None
        assert run(capsys, *command).status == 0


def test_class_means_that_coincide_are_answered(capsys, tmp_path):
    X = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    save_features(tmp_path / "f.npz", [X], [0, 0, 1, 1])
    ended = run(capsys, "measure", tmp_path / "f.npz", "--json")
    assert ended.json()["compression"] == [None]
    assert ended.status == 0


def test_unequal_classes_and_label_scale(capsys):
    ended = run(capsys, "simulate", "--depth", 3, "--samples-per-class", "3,5,9", "--label-scale", 2, "--epsilon", 0.2)
    assert ended.status == 0
    assert "n = 3…9" in ended.out
    assert "α = 2" in ended.out


def test_an_interrupted_run_is_shown_and_written(capsys, tmp_path, monkeypatch):
    from pnc.simulate.balanced import BalancedNetworks

    gradient, calls = BalancedNetworks.gradient, iter(range(10**9))

    def interrupt(self, y):
        if next(calls) == 150:
            raise KeyboardInterrupt
        return gradient(self, y)

    monkeypatch.setattr(BalancedNetworks, "gradient", interrupt)
    ended = run(capsys, "simulate", *SMALL, "--out", tmp_path / "run", "--json")
    assert ended.status == 4
    assert ended.json()["outcome"] == "INTERRUPTED"
    assert json.loads((tmp_path / "run" / "run.json").read_text())["outcome"] == "INTERRUPTED"


def test_verify_without_its_provers_says_what_to_install(capsys, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "flint" else find(name, *rest))
    for options in ((), ("--attack", "10")):
        ended = run(capsys, "verify", *options)
        assert ended.status == 2
        assert ended.err.startswith("pnc: got no module flint")
        assert "pip install python-flint z3-solver" in ended.err


def test_a_deep_network_is_shown_abridged(capsys):
    """A table of 100,000 rows is read by nobody; the JSON still has every layer."""
    ended = run(capsys, "predict", "--depth", 3000, "--epsilon", 0.99)
    rows = [line.split()[0] for line in ended.out.splitlines() if re.match(r" *\d+  ", line)]
    assert rows == [str(l) for l in (*range(11), 20, 50, 100, 200, 500, 1000, 2000, 2997, 2998, 2999)]
    assert "21 of 3000 layers are shown; --json gives all" in ended.out
    whole = json.loads(run(capsys, "predict", "--depth", 3000, "--epsilon", 0.99, "--json").out)
    assert whole["layers"] == list(range(3000))
    shown = next(line for line in ended.out.splitlines() if line.split()[:1] == ["2000"])
    assert float(shown.split()[1]) == pytest.approx(whole["compression"][2000], rel=1e-3)


def test_files_and_folders_are_as_private_as_the_umask_says(capsys, tmp_path):
    before = os.umask(0o077)
    try:
        run(capsys, "simulate", "--depth", 3, "--width", 60, "--out", tmp_path / "run", "--quiet")
    finally:
        os.umask(before)
    places = [tmp_path / "run", *(tmp_path / "run").rglob("*")]
    assert len(places) > 5
    assert {stat.S_IMODE(place.stat().st_mode) & 0o077 for place in places} == {0}


def test_a_name_cannot_command_the_terminal(capsys, tmp_path):
    """Escape sequences in a file's name are shown, not obeyed."""
    path = tmp_path / "red\x1b[31m.npz"
    np.savez(path, y=[0, 0, 1, 1], layer_0=[[0.0], [2.0], [4.0], [6.0]])
    ended = run(capsys, "measure", path)
    assert ended.status == 0
    assert "\x1b" not in ended.out + ended.err
    assert "red\\x1b[31m.npz" in ended.out
    ended = run(capsys, "measure", tmp_path / "no\x1b[31m.npz")
    assert "\x1b" not in ended.err


def test_a_deep_simulation_is_shown_abridged(capsys):
    ended = run(capsys, "simulate", "--depth", 150, "--classes", 2, "--samples-per-class", 4)
    rows = [line.split()[0] for line in ended.out.splitlines() if re.match(r" +\d+  ", line)]
    assert ended.status in (0, 4)
    assert len(rows) < 60
    assert rows.count("149") == 2  # C and D at the last layer
    assert "of 150 layers are shown" in ended.out
