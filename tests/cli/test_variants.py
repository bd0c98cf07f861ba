"""`--skip`, `--weight-decay` and `--loss` of predict and simulate."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from pnc.data import draw
from pnc.spec import NetworkSpec, ProblemSpec, VariantSpec
from pnc.theory.cross_entropy import predict_cross_entropy
from pnc.theory.residual import ResidualSpec, predict_residual, residual_ratio_bounds
from pnc.theory.variant import predict_variant
from pnc.theory.weight_decay import class_fates, predict_weight_decay
from tests.cli.commands import run
from tests.oracles import measure_layer

SMALL = ("--depth", 4, "--classes", 3, "--samples-per-class", 4)
PROBLEM = draw(ProblemSpec(classes=3, samples_per_class=4))
WHITE = draw(ProblemSpec(classes=3, samples_per_class=4, theta=0.0))


def test_predict_of_a_residual_network(capsys):
    found = run(capsys, "predict", *SMALL, "--skip", 0.7, "--json").json()
    network = ResidualSpec(depth=4, block_scale=0.7)
    law = predict_residual(PROBLEM, network)
    assert found["provenance"]["statement"] == "R1"
    assert found["layers"] == [0, 1, 2, 3]  # depth counts the classifier
    assert found["compression"] == pytest.approx(law.compression.tolist(), rel=1e-12)
    bounds = residual_ratio_bounds(found["assumptions"]["theta_spectral"], [4, 4, 4], network)
    assert found["bounds"]["compression_upper"] == pytest.approx(law.compression[0] * bounds.cumulative_upper)
    shown = run(capsys, "predict", *SMALL, "--skip", 0.7)
    assert "bounds (R3)" in shown.out
    assert "law: R1" in shown.out


@pytest.mark.parametrize(
    ("options", "statement"),
    [
        (("--skip", 1, "--skip-embedding", 0.5), "R6"),
        (("--skip", 1, "--skip-block", "two-matrix", "--epsilon", 0.4), "R7"),
        (("--skip", 1, "--skip-classifier", 0.5), "R8"),
        (("--weight-decay", 0.01), "V2"),
        (("--weight-decay", 0.01, "--time", 50), "V1"),
        (("--loss", "cross-entropy", "--training-loss", 0.01), "E2"),
        (("--loss", "cross-entropy", "--time", 40), "E2"),
        (("--loss", "cross-entropy", "--weight-decay", 0.003), "E3"),
    ],
)
def test_every_statement_is_reached(capsys, options, statement):
    found = run(capsys, "predict", *SMALL, "--theta", 0, *options, "--json").json()
    assert found["provenance"]["statement"] == statement
    assert found["bounds"] == {"compression_lower": None, "compression_upper": None}


def test_predict_of_weight_decay_and_cross_entropy(capsys):
    found = run(capsys, "predict", *SMALL, "--weight-decay", 0.01, "--time", 30, "--epsilon", 0.4, "--json").json()
    law = predict_weight_decay(PROBLEM, NetworkSpec(depth=4, residual_scale=0.4), weight_decay=0.01, time=30)
    assert found["compression"] == pytest.approx(law.compression.tolist(), rel=1e-12)
    options = ("--theta", 0, "--loss", "cross-entropy", "--training-loss", 0.01)
    found = run(capsys, "predict", *SMALL, *options, "--json").json()
    law = predict_cross_entropy(WHITE, NetworkSpec(depth=4), loss=0.01)
    assert found["discrimination"] == pytest.approx(law.discrimination.tolist(), rel=1e-9)


@pytest.mark.parametrize(
    ("options", "statement"),
    [
        (("--skip", 0.7), "R1"),
        (("--skip", 0.7, "--skip-embedding", 0.6), "R6"),
        (("--weight-decay", 0.01, "--epsilon", 0.5), "V1"),
        (("--loss", "cross-entropy", "--depth", 2, "--theta", 0), "E2"),
        (("--loss", "cross-entropy", "--theta", 0.4), "E1"),
        (("--loss", "cross-entropy", "--weight-decay", 0.003, "--theta", 0), "E1"),
    ],
)
def test_simulations_agree_with_their_statement(capsys, options, statement):
    ended = run(capsys, "simulate", *SMALL, *options, "--json", "--quiet")
    found = ended.json()
    assert found["verdict"] == "AGREES"
    assert ended.status == 0
    assert found["predicted"]["provenance"]["statement"] == statement
    assert max(np.abs(found["relative_error"])) < 0.1
    shown = run(capsys, "simulate", *SMALL, *options, "--quiet")
    assert f"law: {statement}" in shown.out
    assert "AGREES" in shown.out


def test_without_a_statement_it_is_simulated_all_the_same(capsys, tmp_path):
    options = ("--skip", 1, "--skip-classifier", 0.5)
    ended = run(capsys, "simulate", *SMALL, *options, "--quiet")
    assert ended.status == 4
    assert "no prediction: R8 does not apply" in ended.out
    found = run(capsys, "simulate", *SMALL, *options, "--json", "--quiet").json()
    assert found["predicted"] is None
    assert len(found["measured"]["compression"]) == 4
    refused = run(capsys, "simulate", *SMALL, *options, "--out", tmp_path / "run", "--quiet")
    assert refused.status == 2
    assert not (tmp_path / "run").exists()


def test_a_network_that_will_not_train_is_said_before_any_time_is_spent(capsys):
    ended = run(capsys, "simulate", "--depth", 5, "--weight-decay", 0.5, "--quiet")
    assert ended.status == 2
    assert "λ_esc" in ended.err
    assert "never learn" in ended.err
    assert "--weight-decay" in ended.err


def test_a_wrong_law_disagrees(capsys, monkeypatch):
    """The verdict can say no: with the growth of one block too few."""
    import pnc.runs.variant as module

    real = predict_residual
    monkeypatch.setattr(
        module,
        "predict_residual",
        lambda p, n: real(p, ResidualSpec(depth=n.depth, block_scale=1.6 * n.block_scale)),
    )
    assert run(capsys, "simulate", *SMALL, "--skip", 0.7, "--quiet").status == 3


def test_a_run_folder_is_written(capsys, tmp_path):
    folder = tmp_path / "run"
    ended = run(capsys, "simulate", *SMALL, "--weight-decay", 0.01, "--epsilon", 0.5, "--out", folder, "--quiet")
    assert ended.status == 0
    record = json.loads((folder / "run.json").read_text())
    assert record["request"]["variant"]["weight_decay"] == 0.01
    assert (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("predict", "--skip", 0), "--skip"),
        (("predict", "--weight-decay", -0.1), "--weight-decay"),
        (("predict", "--skip-block", "two-matrix"), "--skip"),
        (("predict", "--skip", 1, "--weight-decay", 0.1), "R1 does not apply"),
        (("predict", "--skip", 1, "--width", 30), "--width"),
        (("predict", "--time", 5), "--time"),
        (("predict", "--training-loss", 0.1), "--training-loss"),
        (("predict", "--loss", "cross-entropy"), "E2 does not apply"),
        (("predict", "--loss", "cross-entropy", "--theta", 0), "loss"),
        (("predict", "--weight-decay", 0.1, "--width", 5), "width"),
        (("simulate", "--skip", 1, "--weights", "default"), "--weights"),
        (("simulate", "--loss", "cross-entropy", "--time", 5, "--training-loss", 0.1), "--training-loss"),
        (("simulate", "--loss", "hinge"), "--loss"),
    ],
)
def test_bad_combinations_get_one_line(capsys, options, word):
    ended = run(capsys, *options)
    assert ended.status == 2
    assert ended.out == ""
    assert len(ended.err.strip().splitlines()) == 1
    assert word in ended.err


def test_a_plain_variant_is_the_plain_law():
    law = predict_variant(PROBLEM, NetworkSpec(depth=4), VariantSpec())
    assert law.origin.statement == "T1"
    fates = class_fates([4, 4, 4], depth=4, weight_decay=0.001, start=0.3)
    assert set(fates.fates) == {"lives"}


@pytest.mark.parametrize("options", [("--weight-decay", 0.01), ("--loss", "cross-entropy"), ("--time", 30)])
def test_what_no_statement_covers_is_simulated_without_a_prediction(options, capsys):
    ended = run(capsys, "simulate", *SMALL, "--skip", 0.8, *options, "--quiet", "--json")
    assert ended.status == 4
    found = ended.json()
    assert found["predicted"] is None
    assert found["missing"].startswith("R1 does not apply")
    assert len(found["measured"]["compression"]) == 4
    text = run(capsys, "simulate", *SMALL, "--skip", 0.8, *options, "--quiet").out
    assert "no prediction: R1 does not apply" in text
    assert ("cross-entropy" in text.split("variant: ")[1].split("\n")[0]) == ("cross-entropy" in options)


def test_what_ends_such_a_training_is_said_once(capsys):
    ended = run(capsys, "simulate", *SMALL, "--skip", 0.8, "--training-loss", 0.1)
    assert ended.status == 2
    assert "--training-loss with the squared error" in ended.err


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--skip", 0.8), ["block_1", "block_2", "block_3"]),
        (("--skip", 0.8, "--skip-embedding", 0.7), ["embedding", "block_1", "block_2", "block_3"]),
        (("--weight-decay", 0.01, "--epsilon", 0.5), ["W_1", "W_2", "W_3"]),
        (("--loss", "cross-entropy", "--theta", 0), ["W_1", "W_2", "W_3"]),
    ],
)
def test_run_folders_hold_weights_and_the_curves_along_training(options, names, capsys, tmp_path):
    out = tmp_path / "run"
    ended = run(capsys, "simulate", *SMALL, *options, "--record", 10, "--out", out, "--quiet", "--json")
    found, held = ended.json(), load_file(out / "weights.safetensors")
    problem = draw(ProblemSpec(classes=3, samples_per_class=4, theta=0.0 if "--theta" in options else 0.2))
    z, compression = problem.X @ held["basis"], []
    for name in [*names, None]:
        compression.append(measure_layer(z, problem.y).compression)
        z = z if name is None else z @ held[name].T
    start = 1 if "embedding" in names else 0  # layer 0 is behind the embedding
    measured = found["measured"]["compression"]
    # curves of residual networks are extrapolated to step size 0, weights are those of the smallest step
    wanted = compression[start : start + len(measured)]
    np.testing.assert_allclose(wanted, measured, rtol=3e-2 if "--skip" in options else 1e-6)
    assert (out / "training.png").stat().st_size > 5_000
