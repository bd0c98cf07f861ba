"""Run folders of the version before are read: `tests/golden/runs_of_format_1.py` says how they were written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pnc.compare import MeasuredRun, read_record
from pnc.errors import InvalidInputError
from pnc.records import NetworkRecord, RunRecord, check_folder, read_run
from pnc.spec import NetworkSpec
from pnc.train import load_run
from tests.cli.commands import run

GOLDEN = Path(__file__).parents[1] / "golden" / "format_1"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    place = tmp_path / "runs"
    shutil.copytree(GOLDEN, place)
    for file in place.rglob("run.json"):
        file.write_text(file.read_text().replace("FOLDER", str(place)))
    return place


def change(folder: Path, **entries: object) -> None:
    file = folder / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))


def as_far_as(old, new):
    """Of `new` what `old` has a place for: later versions say more, and nothing else."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {key: as_far_as(old[key], new[key]) for key in old if key in new}
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [as_far_as(a, b) for a, b in zip(old, new, strict=True)]
    return new


def test_records_are_read(runs):
    trained = read_run(runs / "trained", command="train")
    assert (trained.format, trained.converged, trained.request) == (1, True, None)
    assert isinstance(trained.network, NetworkRecord)
    assert (trained.network.name, trained.network.input_shape, trained.network.width) == ("mlp", (4,), 8)
    assert list(trained.splits) == ["train"]
    assert trained.splits["train"].accuracy == 1.0
    unlearned, experiment = read_run(runs / "unlearned"), read_run(runs / "experiment")
    assert (unlearned.converged, experiment.converged) == (False, False)
    assert list(experiment.splits) == ["train", "test"]
    simulated = read_run(runs / "simulated", command="simulate")
    assert simulated.network == NetworkSpec(depth=3, width=8)
    assert simulated.converged
    assert read_run(runs / "attacked").details["clean"]["accuracy"] == 0.5
    with pytest.raises(InvalidInputError, match="a run of simulate"):
        read_run(runs / "simulated", command="train")


def test_a_record_is_read_as_it_was_written(runs):
    for name in ("trained", "experiment", "simulated", "attacked"):
        old = json.loads((runs / name / "run.json").read_text())
        new = json.loads(json.dumps(read_run(runs / name).to_dict()))
        for key in old.keys() - {"network", "data", "splits"}:
            assert as_far_as(old[key], new[key]) == old[key]
        again = RunRecord.from_dict(new, name="again")
        assert json.loads(json.dumps(again.to_dict())) == new
        for part in {"network", "data"} & old.keys() if name != "attacked" else ():
            assert {key: new[part][key] for key in old[part]} == old[part]


@pytest.mark.parametrize(("accuracy", "expected"), [(1.0, True), (0.5, False)])
def test_a_run_that_was_called_disagrees_is_judged_by_its_accuracy(runs, accuracy, expected):
    folder = runs / "trained"
    splits = json.loads((folder / "run.json").read_text())["splits"]
    splits["train"]["accuracy"] = accuracy
    change(folder, verdict="DISAGREES", splits=splits)
    assert read_run(folder).converged is expected
    assert MeasuredRun.from_record(read_record(folder), name="run").converged is expected


def test_the_network_and_its_data_are_loaded(runs):
    for name, split in (("trained", "train"), ("experiment", "test")):
        saved = load_run(runs / name)
        x, y = next(iter(saved.load_split(split).batches(100)))
        with torch.no_grad():
            accuracy = float((saved.model(x).argmax(1) == y).double().mean())
        assert accuracy == saved.record.splits[split].accuracy


def test_an_experiments_run_is_measured_on_other_images(runs, capsys):
    """It recorded no mean and scale of its pixels, so that other images were taken for something else."""
    saved = load_run(runs / "experiment")
    pixels = saved.load_split("train").x.double().numpy() / 255
    other = np.zeros((4, 4, 4), dtype=np.uint8), [0, 1, 0, 1]
    taken = saved.take(other)
    np.testing.assert_allclose(taken.mean.numpy(), [pixels.mean()], rtol=1e-12)
    np.testing.assert_allclose(taken.scale.numpy(), [pixels.std()], rtol=1e-12)
    options = ("--quick", "--device", "cpu", "--json")
    ended = run(capsys, "measure", runs / "experiment", "--data", runs / "images", *options)
    assert ended.status == 0, ended.err
    found, own = ended.json(), run(capsys, "measure", runs / "experiment", *options).json()
    assert found["compression"] == own["compression"]
    assert found["converged"] is False


def test_old_results_are_replaced_and_what_lies_beside_them_is_not(runs):
    for name in ("trained", "simulated", "attacked"):
        check_folder(runs / name, force=True)
    (runs / "trained" / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match=r"holds notes\.txt"):
        check_folder(runs / "trained", force=True)
