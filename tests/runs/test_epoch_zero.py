"""A network before its training: measured as it was built, and held against N1."""

import json

import numpy as np
import pytest
import torch

from pnc.data import load_splits
from pnc.nets import build
from pnc.runs import DataSource, NetworkSource, TrainRequest, train_and_measure
from pnc.runs.epoch_zero import look_before_training
from pnc.train import TrainSpec, as_samples, as_split_samples
from tests.oracles import measure_layer
from tests.runs.test_initialisation import samples as noisy
from tests.train.cases import clusters


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.npz"
    x, y = clusters(60)
    np.savez(path, X=x, y=y)
    return path


def trained(rows, out, **options):
    request = TrainRequest(
        network=NetworkSource(name="mlp", width=40, depth=4, seed=5),
        data=DataSource(data=rows),
        training=TrainSpec(epochs=3, learning_rate=0.01, batch_size=20),
        accuracy_limit=0.0,
        device="cpu",
        **options,
    )
    return train_and_measure(request, out=out)


def test_epoch_zero_is_the_network_as_it_was_built(rows, tmp_path):
    result = trained(rows, tmp_path / "run")
    found = result.to_dict()["initialisation"]
    samples, _ = as_split_samples(load_splits(rows))
    fresh = build("mlp", input_shape=(8,), classes=3, width=40, depth=4, seed=5).eval()
    hidden = samples.x.float()
    for l, layer in enumerate([torch.nn.Identity(), *fresh.body.children()]):
        with torch.no_grad():
            hidden = layer(hidden)
        exact = measure_layer(hidden.double().numpy(), samples.y.numpy())
        before = found["splits"]["train"]
        assert before["compression"][l] == pytest.approx(exact.compression, rel=1e-5)
        assert before["discrimination"][l] == pytest.approx(exact.discrimination, abs=1e-5)
    with torch.no_grad():
        outputs = fresh(samples.x.float()).double().numpy()
    wanted = ((outputs - np.eye(3)[samples.y.numpy()]) ** 2).sum(1).mean()
    assert before["loss"] == pytest.approx(wanted, rel=1e-5)
    assert before["accuracy"] == (outputs.argmax(1) == samples.y.numpy()).mean()
    assert found["verdict"] == "AGREES"
    assert found["law"]["samples"] == 60
    # the folder says the same
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["initialisation"] == found
    table = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert table[1] == f"0,0,{before['loss']!r},{before['accuracy']!r},"
    assert len(table) == 2 + 3
    # training itself knows nothing of it
    assert len(result.trained.history) == 3


def test_weights_that_were_given_have_no_law(rows, tmp_path):
    first = trained(rows, tmp_path / "first")
    found = trained(rows, None, start_from=tmp_path / "first" / "weights.safetensors").to_dict()["initialisation"]
    assert (found["law"], found["verdict"]) == (None, None)
    assert found["missing"] == "the weights that training begins with were given"
    np.testing.assert_allclose(found["splits"]["train"]["compression"], first.curves["train"].compression, rtol=1e-9)


def test_weights_that_are_no_draw_of_the_law_disagree():
    """A tanh network does not lie where the law of a ReLU network has it."""
    source = NetworkSource(name="mlp", width=512, depth=5)
    wrong = build("mlp", input_shape=(20,), classes=3, width=512, depth=5, activation="tanh")
    found = look_before_training(wrong, source, {"train": noisy((20,))}, TrainSpec())
    assert found.verdict.name == "DISAGREES"
    assert "body.3" in found.law.outside
    assert found.told.startswith(f"C at {4 - len(found.law.outside)} of 4 layers inside")


def test_many_samples_are_not_all_looked_at_and_small_classes_are_kept(monkeypatch):
    monkeypatch.setattr("pnc.runs.epoch_zero._MOST_SAMPLES", 30)
    x, y = clusters(90)
    keep = (y != 2) | (np.cumsum(y == 2) <= 4)
    samples = as_samples((torch.tensor(x[keep]), torch.tensor(y[keep])))
    source = NetworkSource(name="mlp", width=16, depth=3)
    model = build("mlp", input_shape=(8,), classes=3, width=16, depth=3)
    found = look_before_training(model, source, {"train": samples}, TrainSpec())
    assert found.splits["train"].curve.origin.class_counts == (10, 10, 4)


def test_a_network_of_unknown_weights_has_no_law(rows):
    x, y = clusters(30)
    samples = as_samples((torch.tensor(x), torch.tensor(y)))
    source = NetworkSource(name="somewhere:else")
    model = build("mlp", input_shape=(8,), classes=3, width=16, depth=3)
    found = look_before_training(model, source, {"train": samples}, TrainSpec())
    assert found.law is None
    assert "somewhere:else is not known" in found.told
