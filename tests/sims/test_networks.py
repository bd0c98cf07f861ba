"""Training from seeds: what is finished is kept, what was interrupted goes on, what is another run is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.stats

from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError
from pnc.train import Samples, load_run
from sims.common import new_figure, own_data
from sims.networks import Case, Data, draw, over_seeds, summary, train_from_seeds


@pytest.fixture(scope="module")
def data():
    import torch

    draws = np.random.default_rng(0)
    centres = draws.standard_normal((3, 6))
    y = np.repeat(range(3), 20)
    x = torch.from_numpy(centres[y] + 0.3 * draws.standard_normal((60, 6)))
    halves = np.arange(0, 60, 2), np.arange(1, 60, 2)
    train, test = (Samples(x=x[rows], y=torch.from_numpy(y[rows]), classes=3) for rows in halves)
    return Data(train=train, test=test, source={"name": "clusters", "options": {"data": "clusters"}})


CASE = Case(network="mlp", options={"width": 8, "depth": 6, "batch_norm": False}, training={"epochs": 3})


def test_finished_runs_are_not_trained_again(data, tmp_path, monkeypatch):
    first = train_from_seeds("net", CASE, data, tmp_path, seeds=2, quiet=True)

    def refuse(*args, **options):
        raise AssertionError("trained again")

    monkeypatch.setattr("pnc.runs.training.train", refuse)
    again = train_from_seeds("net", CASE, data, tmp_path, seeds=2, quiet=True)
    for one, other in zip(first, again, strict=True):
        for name, split in one.splits.items():
            assert (split.loss, split.accuracy) == (other.splits[name].loss, other.splits[name].accuracy)
        for split in ("train", "test"):
            assert np.array_equal(one.curves[split].compression, other.curves[split].compression)
        assert np.array_equal(one.values("numerical_rank"), other.values("numerical_rank"))
    assert not np.array_equal(first[0].values("compression"), first[1].values("compression"))
    with pytest.raises(AssertionError, match="trained again"):  # a third seed is not there
        train_from_seeds("net", CASE, data, tmp_path, seeds=3, quiet=True)


def test_another_recipe_is_refused(data, tmp_path):
    train_from_seeds("net", CASE, data, tmp_path, seeds=1, quiet=True)
    other = Case(network="mlp", options=CASE.options, training={"epochs": 4})
    with pytest.raises(InvalidInputError, match=r"epochs 3, now 4.*`out`"):
        train_from_seeds("net", other, data, tmp_path, seeds=1, quiet=True)


def test_an_interrupted_run_goes_on(data, tmp_path, monkeypatch):
    whole = train_from_seeds("net", CASE, data, tmp_path / "whole", seeds=1, quiet=True)
    with monkeypatch.context() as patch:
        patch.setattr("pnc.runs.training._measured", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train_from_seeds("net", CASE, data, tmp_path / "broken", seeds=1, quiet=True)
    assert not (tmp_path / "broken/runs/net-0").exists()
    [run] = train_from_seeds("net", CASE, data, tmp_path / "broken", seeds=1, quiet=True)
    record = json.loads((run.result.folder / "run.json").read_text())
    assert record["training"]["resumed_from"] == record["training"]["steps"] == 3
    assert np.array_equal(run.values("compression"), whole[0].values("compression"))
    assert [path.name for path in (tmp_path / "broken/runs").iterdir()] == ["net-0"]  # no checkpoints are left


def test_a_run_folder_holds_the_network(data, tmp_path):
    [run] = train_from_seeds("net", CASE, data, tmp_path, seeds=1, quiet=True)
    saved = load_run(run.result.folder)
    outputs = saved.model(data.train.x.float())
    assert float((outputs.argmax(1) == data.train.y).float().mean()) == pytest.approx(
        run.splits["train"].accuracy, abs=1e-7
    )
    record = json.loads((run.result.folder / "run.json").read_text())
    assert LayerCurve.from_dict(record) == run.curves["train"]


def test_data_may_depend_on_the_seed(data, tmp_path):
    asked = []

    def of_seed(seed):
        asked.append(seed)
        return data

    train_from_seeds("net", CASE, of_seed, tmp_path, seeds=2, quiet=True)
    assert asked == [0, 1]


def test_what_has_not_been_learned_is_not_judged(data, tmp_path):
    shallow = Case(network="mlp", options=CASE.options, training={"epochs": 1, "learning_rate": 1e-9})
    found = summary(train_from_seeds("net", shallow, data, tmp_path, seeds=2, quiet=True), ["compression"])
    assert found["accuracy"]["train"]["mean"] < 0.95
    assert found["verdict"] == "NOT_CONVERGED"
    assert found["verdict_of_seeds"] == ["NOT_CONVERGED"] * 2
    assert found["universal_violations"] == []


@pytest.mark.parametrize("logarithmic", [False, True])
def test_intervals_are_students(logarithmic):
    values = np.random.default_rng(1).uniform(1, 2, (4, 3))
    found = over_seeds(values, logarithmic=logarithmic)
    x = np.log(values) if logarithmic else values
    ends = scipy.stats.t.interval(0.95, 3, loc=x.mean(0), scale=scipy.stats.sem(x, axis=0))
    expected = [x.mean(0), *ends]
    for key, value in zip(("mean", "lower", "upper"), expected, strict=True):
        np.testing.assert_allclose(found[key], np.exp(value) if logarithmic else value, rtol=1e-12)


def test_one_seed_has_no_interval():
    found = over_seeds([[1.0, 2.0]])
    assert found["mean"].tolist() == [1.0, 2.0]
    assert np.isnan(found["lower"]).all()


def test_panels(data, tmp_path):
    figure, panels = new_figure(2, rows=3)
    assert len(panels) == len(figure.axes) == 6
    runs = train_from_seeds("net", CASE, data, tmp_path, seeds=2, quiet=True)
    draw(panels[0], runs, "compression", colour="k", label="net")
    draw(panels[1], runs, "discrimination", colour="k", split="test")
    assert panels[0].get_yscale() == "log"
    assert panels[1].get_yscale() == "linear"
    x, y = panels[1].lines[0].get_data()
    assert x.tolist() == list(range(6))
    np.testing.assert_allclose(y, np.mean([run.curves["test"].discrimination for run in runs], axis=0), rtol=1e-12)


def test_data_are_given_to_those_who_take_them():
    assert own_data(lambda out, *, data=None: {}, "a.csv") == {"data": "a.csv"}
    assert own_data(lambda out: {}, None) == {}
    with pytest.raises(InvalidInputError, match="leave it out"):
        own_data(lambda out: {}, "a.csv")
