"""What run.json keeps of a request holds from any folder."""

from __future__ import annotations

from pathlib import Path

from pnc.runs import AttackRequest, NetworkSource, ProblemSource, SimulateRequest, TrainRequest
from pnc.runs.requests import DataSource, request_record
from pnc.spec import NetworkSpec
from pnc.spec.training import TrainSpec


def test_places_become_absolute_and_names_stay_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a").mkdir()
    for name in ("problem.npz", "test.npz", "w.safetensors"):
        (tmp_path / name).write_text("")
    simulate = SimulateRequest(network=NetworkSpec(depth=3), problem=ProblemSource(data="problem.npz"))
    assert request_record(simulate)["problem"]["data"] == str(tmp_path / "problem.npz")
    train = TrainRequest(
        network=NetworkSource(name="mlp"), training=TrainSpec(), data=DataSource(data="mnist", test_data="test.npz"),
        start_from=Path("w.safetensors"),
    )  # fmt: skip
    record = request_record(train)
    assert record["data"]["data"] == "mnist"
    assert record["data"]["test_data"] == str(tmp_path / "test.npz")
    assert record["start_from"] == str(tmp_path / "w.safetensors")
    assert record["network"]["name"] == "mlp"
    assert record["training"]["epochs"] == 100
    attack = request_record(AttackRequest(network="runs/a", source="resnet-18"))
    assert (attack["network"], attack["source"]) == (str(tmp_path / "runs" / "a"), "resnet-18")
