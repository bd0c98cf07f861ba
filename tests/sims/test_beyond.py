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
