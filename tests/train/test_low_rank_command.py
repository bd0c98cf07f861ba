"""`pnc train --low-rank-site`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tests.train.test_command import SMALL, files, pnc

__all__ = ["files"]  # the fixture


def test_the_record_says_what_the_layer_did(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = [*files, *SMALL, "--epochs", 20, "--learning-rate", 0.02, "--measure-every", 10]
    layer = ["--low-rank-site", "body.1", "--rank", 2, "--low-rank-weight", 3, "--low-rank-projection", "randomised"]
    assert pnc("train", "mlp", *options, *layer, "--out", out, "--json", "--accuracy-limit", 0) == 0
    result = json.loads(capsys.readouterr().out)["training"]["low_rank"]
    assert result == json.loads((out / "run.json").read_text())["training"]["low_rank"]
    assert result["spec"]["compression_weight"] == 3
    assert result["sites"] == ["body.1"]
    assert result["widths"] == [16]
    for split in ("train", "test"):
        assert result["before"][split]["body.1"]["centred"] < result["after"][split]["body.1"]["centred"] <= 1
    assert result["step_seconds"]["with"] > 0
    # the network is the plain one
    assert pnc("train", "mlp", *options, "--out", tmp_path / "plain", "--quiet", "--accuracy-limit", 0) == 0
    plain, low = (load_file(tmp_path / name / "weights.safetensors") for name in ("plain", "run"))
    assert {name: value.shape for name, value in plain.items()} == {name: value.shape for name, value in low.items()}
    assert json.loads((tmp_path / "plain" / "run.json").read_text())["training"]["low_rank"] is None


def test_it_prints_a_row_a_site(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    layer = ["--low-rank-site", "body.[01]", "--rank", 2, "--low-rank-unit", 1, "--norm-weight", 0.5]
    assert pnc("train", "mlp", *files, *SMALL, *layer, "--low-rank-every", 2, "--accuracy-limit", 0) == 0
    text = capsys.readouterr().out
    assert "low rank: r = 2, weights 1 (L_c) and 0.5 (L_n), 4 projections by nystrom" in text
    assert [line.split()[0] for line in text[text.index("low rank:") :].splitlines()[2:4]] == ["body.0", "body.1"]
    assert "a step takes" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--low-rank-site", "bdy.1"], "did you mean 'body.1'"),
        (["--low-rank-site", "body.1", "--rank", 16], "a rank below 16"),
        (["--low-rank-site", "body.1", "--rank", 600], "a rank below 16"),
        (["--low-rank-site", "body.1", "--rank", 0], "rank = 0"),
        (["--rank", 3], "--rank without --low-rank-site"),
        (["--low-rank-weight", 3], "--low-rank-weight without --low-rank-site"),
        (["--low-rank-site", "body.1", "--low-rank-unit", "large"], "unit = 'large'"),
        (["--low-rank-site", "body.1", "--low-rank-projection", "qr"], "projection = 'qr'"),
        (["--low-rank-site", "0"], "ends the names of"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(
    options: list, words: str, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pnc("train", "mlp", *files, *SMALL, *options, "--out", tmp_path / "run") == 2
    text = capsys.readouterr().err
    assert words in text
    assert text.count("\n") == 1
    assert not any("run" in path.name for path in tmp_path.iterdir())
