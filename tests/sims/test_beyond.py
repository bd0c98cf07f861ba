"""Residual networks, weight decay and cross-entropy as experiments: trained and predicted agree."""

from __future__ import annotations

import importlib
import json

import pytest


def reproduced(name, tmp_path):
    found = importlib.import_module(f"sims.{name}").reproduce(tmp_path, quiet=True)
    assert found == json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    return found


def test_total_compression_of_residual_networks(tmp_path):
    found = reproduced("residual_depth", tmp_path)
    assert found["largest_error"] < 5e-3
    growing, flat, falling = (found[name]["trained"] for name in ("1", "1/sqrt(m)", "1/m"))
    assert growing[-1] > 8 * growing[0]
    assert flat[-1] / flat[-2] == pytest.approx(1, abs=0.05)
    assert falling[-1] < 0.5 * falling[0]
    for name in ("1", "1/sqrt(m)", "1/m"):
        rows = zip(found[name]["least"], found[name]["trained"], found[name]["most"], strict=True)
        assert all(least <= 1.005 * trained and trained <= 1.005 * most for least, trained, most in rows)


def test_minority_classes_die_first(tmp_path):
    found = reproduced("minority_collapse", tmp_path)["depth 3"]
    assert found["order"] == [3, 6, 12, 24]
    assert found["alive"] == [fate == "lives" for fate in found["fates"]]
    assert found["largest_error_of_C"] < 1e-4
    assert found["D_trained"] == pytest.approx(found["D_law"], abs=1e-3)


def test_every_point_of_the_map(tmp_path):
    found = reproduced("weight_decay_map", tmp_path)
    assert found["wrong"] == 0
    assert found["counted"] >= 12
    assert {row["predicted"] for row in found["points"]} == {"lives", "never starts", "dies"}


@pytest.mark.slow
def test_angles_of_cross_entropy(tmp_path):
    found = reproduced("cross_entropy_angles", tmp_path)
    for row in found.values():
        assert row["D_of_the_measured_map"] == pytest.approx(row["D"], abs=1e-3)
        assert (row["D"] > 0.97 * row["simplex"]) == row["simplex_expected"]


@pytest.mark.slow
def test_laws_of_trained_relu_networks(tmp_path):
    found = reproduced("relu_laws", tmp_path)
    law = found["within_class_law"]
    assert 0.93 < law["least"] <= law["most"] < 1.07
    assert all(run["gate"] < 0.01 for run in law["runs"])
    assert found["not_fitted"][0]["gate"] > 10
    assert found["not_fitted"][0]["measured_over_law"][-1] > 2
    assert found["never_revived"]["revivals"] == 0
    assert found["never_revived"]["least_scatter_over_bound"] >= 1
    assert found["never_revived"]["least_C_less_bound"] >= 0
    assert max(row["C_error"] for row in found["class_flow"]) < 0.2
    assert found["last_cosine"][0][0]["over_law"] == pytest.approx(1, abs=0.15)  # of width 1,000
    assert {row["wrong_labels"] for row in found["gaussian_gates"]} == {0.0, 0.3}
    for row in found["gaussian_gates"]:
        assert max(abs(value - 1) for value in row["law_over_C_before_training"]) < 0.1


@pytest.mark.slow
def test_rank_of_weights_and_its_bound(tmp_path):
    found = reproduced("weight_rank", tmp_path)
    assert found["violated"] == 0
    assert 0.01 < found["largest_share_of_bound"] <= 1
    assert len(found["layers"]) == 3


def test_bound_of_convolutions():
    """U7 on patches: holds under batch norm; a filter as large as the image is the linear layer that it is."""
    import torch
    from torch import nn

    from sims.weight_rank import measure_weights

    torch.manual_seed(0)
    x, y = torch.randn(12, 2, 8, 8), torch.arange(12) % 3
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, stride=2), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(96, 3)
    )
    for row in measure_weights(model, x, y, classes=3, weight_decay=0.1):
        assert row["beyond_K"] <= row["bound"]
    whole = nn.Sequential(nn.Conv2d(2, 6, 8), nn.Flatten(), nn.ReLU(), nn.Linear(6, 3))
    flat = nn.Sequential(nn.Flatten(), nn.Linear(128, 6), nn.ReLU(), nn.Linear(6, 3))
    flat[1].weight.data = whole[0].weight.detach().flatten(1).clone()
    flat[1].bias.data = whole[0].bias.detach().clone()
    flat[3].load_state_dict(whole[3].state_dict())
    pairs = [measure_weights(net, x, y, classes=3, weight_decay=0.1) for net in (whole, flat)]
    for one, two in zip(*pairs):
        for key in ("norm", "beyond_K", "bound"):
            assert one[key] == pytest.approx(two[key], rel=1e-5)
