"""`pnc predict NET`: the law before training for data of one's own, and options without a meaning for it."""

import numpy as np
import pytest

from pnc.data import load_splits
from pnc.runs import NetworkSource, predict_network
from pnc.train import as_split_samples
from tests.cli.commands import run
from tests.cli.test_bad_input import refused, says_what_to_do
from tests.train.cases import clusters


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.npz"
    x, y = clusters(60)
    np.savez(path, X=x, y=y)
    return path


def test_it_prints_what_the_library_predicts(capsys, rows):
    options = ("--data", rows, "--width", 48, "--depth", 4, "--activation", "tanh", "--no-batch-norm", "--seed", 3)
    found = run(capsys, "predict", "mlp", *options, "--draws", 4, "--json").json()
    network = NetworkSource(name="mlp", width=48, depth=4, activation="tanh", batch_norm=False, seed=3)
    samples, _ = as_split_samples(load_splits(rows))
    law = predict_network(network, samples, draws=4)
    assert found["provenance"]["statement"] == "N1"
    assert found["names"] == ["input", "body.0", "body.1", "body.2"]
    for name in ("compression_interval", "discrimination_interval", "fuzziness_interval"):
        np.testing.assert_allclose(found[name], getattr(law, name), rtol=1e-9)
    assert found["compression"] == pytest.approx(law.predicted.compression.tolist(), rel=1e-12)
    text = run(capsys, "predict", "mlp", *options, "--draws", 4).out
    assert "mlp before training" in text
    assert "law: N1" in text


def test_depth_and_width_are_the_networks_own_where_they_are_not_given(capsys, rows):
    found = run(capsys, "predict", "hybrid", "--data", rows, "--width", 16, "--nonlinear", 2, "--json").json()
    assert found["provenance"]["network"]["depth"] is None
    assert found["provenance"]["network"]["nonlinear"] == 2


def test_a_module_without_a_closed_form_is_named(capsys, rows, tmp_path):
    (tmp_path / "normed.py").write_text(
        "from torch import nn\n\n\ndef normed(input_shape, classes):\n"
        "    return nn.Sequential(nn.Linear(input_shape[0], 6), nn.LayerNorm(6), nn.Linear(6, classes))\n"
    )
    line = refused(capsys, "predict", f"{tmp_path / 'normed.py'}:normed", "--data", rows)
    assert "1 is a LayerNorm" in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("mlp",), "the network mlp without --data"),
        (("mlp", "--data", "rows", "--theta", 0.1), "--theta with the network mlp"),
        (("mlp", "--data", "rows", "--skip", 1), "--skip with the network mlp"),
        (("mlp", "--data", "rows", "--symbolic"), "--symbolic with the network mlp"),
        (("--activation", "tanh"), "--activation with a deep linear network"),
        (("resnet-8", "--data", "rows"), "did you mean"),
        (("mlp", "--data", "rows", "--draws", 2), "draws"),
    ],
)
def test_what_has_no_meaning_is_refused(options, said, capsys, rows):
    line = refused(capsys, "predict", *[rows if one == "rows" else one for one in options])
    assert said in says_what_to_do(line)
