"""The verdict by parts: each part says of a trained network what an independent computation says."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from pnc.compare import UniversalChecks
from pnc.runs import DataSource, NetworkSource, TrainRequest, train_and_measure
from pnc.runs.epoch_zero import EpochZero
from pnc.runs.parts import line_part, parts_of
from pnc.train import TrainSpec, as_samples
from tests.cli.commands import run
from tests.oracles import measure_layer
from tests.train.cases import clusters

NOTHING = UniversalChecks(checks={}, not_computed={})


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    x, y = clusters(60)
    np.savez(folder / "rows.npz", X=x, y=y)
    request = TrainRequest(
        network=NetworkSource(name="hybrid", width=24, depth=5, nonlinear=2),
        data=DataSource(data=folder / "rows.npz"),
        training=TrainSpec(epochs=20, learning_rate=0.01, batch_size=20),
        accuracy_limit=0.0,
        device="cpu",
    )
    return train_and_measure(request, out=folder / "run")


def test_a_training_is_judged_by_parts(result):
    record = result.to_dict()
    parts = {part["name"]: part for part in record["parts"]}
    assert list(parts) == ["initialisation", "linear tail", "inequalities", "attribution", "straight line"]
    assert parts["initialisation"]["told"].startswith(record["initialisation"]["verdict"])
    # the whole change of log C, from the outputs of the network itself
    x, y = clusters(60)
    with torch.no_grad():
        outputs = result.trained.model(torch.tensor(x).float()).double().numpy()
    whole = np.log(measure_layer(outputs, y).compression / measure_layer(x, y).compression)
    assert sum(parts["attribution"]["details"]["by_kind"].values()) == pytest.approx(whole, abs=1e-4)
    assert parts["attribution"]["outcome"] == "held"
    # the tail's certificate, against features computed here
    tail = parts["linear tail"]
    assert tail["outcome"] == "held"
    hidden = torch.tensor(x).float()
    measured = []
    with torch.no_grad():
        for l, layer in enumerate(result.trained.model.body.children()):
            hidden = layer(hidden)
            if l >= 1:
                measured.append(measure_layer(hidden.double().numpy(), y).compression)
    certificate = tail["details"]["certificate"]["compression"]
    low, high = certificate["lower"], [np.inf if end is None else end for end in certificate["upper"]]
    assert all(a * (1 - 1e-5) <= c <= b * (1 + 1e-5) for a, c, b in zip(low, measured, high, strict=True))
    assert parts["inequalities"]["outcome"] == "held"
    assert parts["straight line"]["told"].startswith(record["following"]["verdict"])


def test_compare_of_the_run_says_the_same_parts(capsys, result):
    record = json.loads((result.folder / "run.json").read_text())
    ended = run(capsys, "compare", result.folder, "--json")
    found = ended.json()
    assert found["parts"][:-1] == record["parts"][:-1]
    assert found["parts"][-1]["told"].startswith(found["verdict"])
    text = run(capsys, "compare", result.folder).out
    assert "by parts:\n  initialisation (N1): " in text
    assert text.index("by parts:") < text.rindex(found["verdict"])  # whether the curve is straight comes last


def parts_by_name(model, x, y):
    samples = as_samples((torch.tensor(x), torch.tensor(y)))
    found = parts_of(model.eval(), samples, before=EpochZero(missing="nothing"), universal=NOTHING)
    return {part.name: part for part in found}


def test_what_does_not_apply_says_why():
    x, y = clusters(30)
    torch.manual_seed(0)
    parts = parts_by_name(nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)), x.astype(np.float32), y)
    assert parts["linear tail"].outcome == "not tested"
    assert "here 1 linear module" in parts["linear tail"].told
    assert parts["initialisation"].outcome == "not tested"
    assert parts["inequalities"].outcome == "not tested"
    odd = nn.Sequential(nn.Linear(8, 6), nn.Flatten(0), nn.Unflatten(0, (-1, 6)), nn.Linear(6, 3))
    assert "features of 1 of shape" in parts_by_name(odd, x.astype(np.float32), y)["attribution"].told


class Liar(nn.ReLU):
    def forward(self, x):
        return 3 * x


def test_a_broken_inequality_is_not_held():
    x, y = clusters(30)
    torch.manual_seed(0)
    part = parts_by_name(nn.Sequential(nn.Linear(8, 6), Liar()), x.astype(np.float32), y)["inequalities"]
    assert part.outcome == "not held"
    assert part.told.startswith("1: tr Σ_W times 9")


@pytest.mark.parametrize(
    ("verdict", "outcome"), [("FOLLOWS", "held"), ("DEPARTS", "not held"), ("UNDECIDED", "not tested")]
)
def test_the_line(verdict, outcome):
    assert line_part(verdict, "because").outcome == outcome
