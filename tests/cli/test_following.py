"""`pnc compare RUN …`: runs and seeds against the laws, as a user asks for them."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from pnc.curves import FIELDS, LayerCurve
from pnc.data import draw
from pnc.spec import NetworkSpec, ProblemSpec
from pnc.theory import predict
from tests.cli.commands import run

L = np.arange(9)


def record(seed=0, *, verdict=None, ratio=0.6, linear=True, depth=9, projection=0, loss="mse", **provenance):
    """What `pnc train --out` writes into run.json, as far as compare reads it."""
    rng = np.random.default_rng(seed)
    compression = 3 * ratio**L * np.exp(0.03 * rng.standard_normal(9))
    discrimination = 0.1 + 0.09 * L if linear else 0.95 - 0.9 * 0.5**L
    curve = LayerCurve(
        layers=L,
        compression=compression,
        discrimination=discrimination + 0.005 * rng.standard_normal(9),
        within_scatter=compression,
        between_scatter=np.ones(9),
        separation_fuzziness=20 * 0.5**L,
    ).to_dict()
    curve["provenance"] = {
        "source": "measured on a model", "samples": 200, "classes": 2, "class_counts": [100, 100],
        "dimensions": [10] * 9, "split": "train", **provenance,
    }  # fmt: skip
    return {
        **curve,
        "splits": {"train": {**curve, "accuracy": 0.5 if verdict else 1.0}},
        "training": {"spec": {"loss": loss, "label_scale": 2.0}},
        "network": {"name": "mlp", "depth": depth, "projection": projection},
        "verdict": verdict,
    }


@pytest.fixture
def folder(tmp_path):
    """Writes a run folder and returns its path."""

    def write(name, **options):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(record(**options)))
        return tmp_path / name

    return write


def test_a_run_that_follows(capsys, folder):
    ended = run(capsys, "compare", folder("a"))
    assert ended.status == 0
    assert ended.err == ""
    assert ended.out.splitlines()[-1].startswith("FOLLOWS: ")
    for words in ("geometric law of C: FOLLOWS", "linear law of D: FOLLOWS", "ε_eff", "by analogy", "Pearson r"):
        assert words in ended.out


def test_its_json_has_the_fields_of_every_command(capsys, folder):
    found = run(capsys, "compare", folder("a"), "--json").json()
    assert {*FIELDS, "layers", "provenance"} <= found.keys()
    assert found["verdict"] == "FOLLOWS"
    assert found["geometric"]["phase"]["onset"] == 1
    assert found["residual_scale"]["label_scale"] == 2.0  # of the record
    assert found["residual_scale"]["depth"] == 9


def test_the_run_is_overridden_by_options(capsys, folder):
    options = ("--depth", 5, "--label-scale", 1, "--samples-per-class", "10,40", "--from-layer", 2, "--json")
    found = run(capsys, "compare", folder("a"), *options).json()
    scale = found["residual_scale"]
    assert (scale["depth"], scale["label_scale"]) == (5, 1.0)
    assert scale["samples_per_class"] == pytest.approx(20)
    assert found["geometric"]["layers"][0] == 2


@pytest.mark.parametrize(("depth", "expected"), [(7, 9), (None, 9)])  # the last layer is 8
def test_a_projection_head_counts_in_the_depth(capsys, folder, depth, expected):
    found = run(capsys, "compare", folder("a", depth=depth, projection=2), "--json").json()
    assert found["residual_scale"]["depth"] == expected


@pytest.mark.parametrize(
    ("options", "status", "word"),
    [({"linear": False}, 3, "DEPARTS"), ({"verdict": "NOT_CONVERGED"}, 4, "NOT_CONVERGED")],
)
def test_statuses(capsys, folder, options, status, word):
    ended = run(capsys, "compare", folder("a", **options))
    assert ended.status == status
    assert ended.out.splitlines()[-1].startswith(word)


def test_too_few_layers_are_inconclusive(capsys, tmp_path):
    short = LayerCurve.from_dict(record()).at(range(5)).to_dict()
    (tmp_path / "short.json").write_text(json.dumps(short))
    ended = run(capsys, "compare", tmp_path / "short.json")
    assert ended.status == 4
    assert "UNDECIDED" in ended.out


def test_a_violated_theorem_is_shouted(capsys, folder):
    broken = folder("a", leading_variance=[[0.01, 0.01]] * 9, ranks=[{"centred": {"stable_rank": 1.0}}] * 9)
    ended = run(capsys, "compare", broken, "--json")
    assert ended.status == 3
    assert "BUG: U1 fails at layer 0" in ended.err
    assert ended.json()["verdict"] == "DISAGREES"


def test_seeds_give_a_table(capsys, folder):
    ended = run(capsys, "compare", *(folder(f"run{seed}", seed=seed) for seed in range(3)))
    assert ended.status == 0
    assert "over seeds" in ended.out
    assert "run2" in ended.out
    found = run(capsys, "compare", *(folder(f"again{seed}", seed=seed) for seed in range(3)), "--json").json()
    row = found["table"]["ratio"]
    assert row["lower"] < 0.6 < row["upper"]
    assert len(found["runs"]) == 3
    assert found["compression"][1] == pytest.approx(np.prod([r["compression"][1] for r in found["runs"]]) ** (1 / 3))


def test_two_measured_files_are_seeds_and_a_prediction_is_not(capsys, tmp_path):
    for seed in range(2):
        (tmp_path / f"{seed}.json").write_text(json.dumps(record(seed)))
    theory = predict(draw(ProblemSpec(classes=2, samples_per_class=9)), NetworkSpec(depth=9)).to_json()
    (tmp_path / "predicted.json").write_text(theory)
    assert "over seeds" in run(capsys, "compare", tmp_path / "0.json", tmp_path / "1.json").out
    against = run(capsys, "compare", tmp_path / "predicted.json", tmp_path / "1.json")
    assert "C predicted" in against.out


def test_a_run_of_simulate_may_be_followed(capsys, tmp_path):
    small = ("--depth", 8, "--classes", 3, "--samples-per-class", 4, "--width", 64)
    assert run(capsys, "simulate", *small, "--out", tmp_path / "linear", "--quiet").status in (0, 4)
    ended = run(capsys, "compare", tmp_path / "linear", "--json")
    phase = ended.json()["geometric"]["phase"]
    assert phase["onset"] == 1
    scale = ended.json()["residual_scale"]
    assert scale["depth"] == 8
    assert scale["value"] == pytest.approx(0.3, rel=0.02)


def test_out_writes_a_page(capsys, folder, tmp_path):
    ended = run(capsys, "compare", folder("a"), folder("b", seed=1), "--out", tmp_path / "report")
    assert ended.status == 0
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"SHA256SUMS",
        "following.json", "following.png", "following.svg", "curves.csv", "report.html", "figures",
    }  # fmt: skip
    page = (tmp_path / "report" / "report.html").read_text()
    assert '<span class="mark" aria-hidden="true">✓</span> FOLLOWS</h2>' in page
    assert "<svg" in page
    assert "<script" not in page
    assert "http" not in re.sub(r"(?s)<svg.*?>", "", page)  # drawings name their namespaces alone
    assert json.loads((tmp_path / "report" / "following.json").read_text())["verdict"] == "FOLLOWS"
    again = run(capsys, "compare", folder("c"), "--out", tmp_path / "report")
    assert again.status == 2
    assert "force" in again.err


@pytest.mark.parametrize("name", ["nothing", "empty", "text", "list", "predicted", "no-curve", "no-split"])
def test_bad_input_is_one_line(capsys, tmp_path, folder, name):
    options = ()
    target = tmp_path / name
    if name == "empty":
        target.mkdir()
    elif name == "no-split":
        target, options = folder(name), ("--split", "test")
    elif name != "nothing":
        theory = {"provenance": {"kind": "theory"}}
        target.write_text({"text": "{", "list": "[]", "predicted": json.dumps(theory), "no-curve": "{}"}[name])
    ended = run(capsys, "compare", target, *options, "--out", tmp_path / "out")
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert ended.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("found", [{"provenance": "x", "layers": [0]}, {"comparison": {"measured": "x"}}])
def test_a_record_of_other_parts_is_one_line(capsys, tmp_path, found):
    (tmp_path / "a.json").write_text(json.dumps(found))
    ended = run(capsys, "compare", tmp_path / "a.json")
    assert ended.status == 2
    assert ended.err.count("\n") == 1


def test_one_run_is_not_two_seeds(capsys, folder):
    a, b = folder("a"), folder("b", seed=1)
    for same in (a, a / "run.json", a / ".." / "a"):
        ended = run(capsys, "compare", a, b, same)
        assert ended.status == 2
        assert "each run once" in ended.err


def test_layers_before_the_input_are_refused(capsys, folder):
    assert run(capsys, "compare", folder("a"), "--from-layer", -3).status == 2


def test_runs_that_are_no_seeds_are_refused(capsys, folder):
    ended = run(capsys, "compare", folder("a"), folder("b", depth=7))
    assert ended.status == 2
    assert "seeds of one network" in ended.err


def test_options_of_runs_do_nothing_beside_a_prediction_and_are_refused(capsys, tmp_path):
    (tmp_path / "m.json").write_text(json.dumps(record()))
    theory = predict(draw(ProblemSpec(classes=2, samples_per_class=9)), NetworkSpec(depth=9)).to_json()
    (tmp_path / "p.json").write_text(theory)
    for option in (("--depth", 5), ("--split", "test")):
        ended = run(capsys, "compare", tmp_path / "p.json", tmp_path / "m.json", *option)
        assert ended.status == 2
        assert "option of runs" in ended.err


def test_a_measured_curve_beside_a_predicted_one_is_written_too(capsys, tmp_path):
    (tmp_path / "m.json").write_text(json.dumps(record()))
    theory = predict(draw(ProblemSpec(classes=2, samples_per_class=9)), NetworkSpec(depth=9)).to_json()
    (tmp_path / "p.json").write_text(theory)
    ended = run(capsys, "compare", tmp_path / "p.json", tmp_path / "m.json", "--out", tmp_path / "x")
    assert ended.status == 3
    assert {path.name for path in (tmp_path / "x").iterdir()} == {
        "SHA256SUMS", "curves.csv", "figures", "predicted.csv", "report.html", "run.json",
    }  # fmt: skip
    assert json.loads((tmp_path / "x" / "run.json").read_text())["verdict"] == "DISAGREES"


@pytest.mark.parametrize(
    "provenance",
    [
        {"nearest_centre_accuracy": ["x"] * 9},
        {"leading_variance": ["x"] * 9},
        {"ranks": [{}] * 9},
        {"class_counts": "many"},
        {"class_counts": ["x", "y"]},
        {"noise_floor": ["x"] * 9},
        {"smallest_separation": [[1]] * 9},
        {"samples": "x", "class_counts": None},
    ],
    ids=lambda value: next(iter(value)),
)
def test_a_provenance_that_no_measurement_wrote_is_one_line(capsys, folder, provenance):
    ended = run(capsys, "compare", folder("a", **provenance))
    assert ended.status == 2
    assert ended.err.count("\n") == 1


def test_runs_of_different_trainings_are_no_seeds(capsys, folder):
    ended = run(capsys, "compare", folder("a"), folder("b", loss="cross-entropy"))
    assert ended.status == 2
    assert "differ in training.loss: mse and cross-entropy" in ended.err
