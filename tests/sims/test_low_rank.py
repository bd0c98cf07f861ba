"""The low-rank experiment where a layer is too large to be held at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import pnc.measure.compress.activations
import sims.low_rank as experiment
from pnc.measure import measure_compressed
from pnc.train import as_samples

SITE = "0"
RECIPE = {"sites": (SITE,)}


def clusters() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    y = np.arange(120) % 3
    return (3 * draw.standard_normal((3, 60))[y] + draw.standard_normal((120, 60))).astype(np.float32), y


def a_run(seed: int, *, whole: bool) -> dict:
    """What `_run` gives of a network without training."""
    torch.manual_seed(seed)
    x, y = (torch.from_numpy(part) for part in clusters())
    net = nn.Sequential(nn.Identity(), nn.Linear(60, 3))
    site = measure_compressed(net, [(x, y)], [(x, y)], classes=3, site=SITE, dimensions=experiment._DIMENSIONS)
    if not whole:
        site = replace(site, whole=replace(site.whole, svm_accuracy=None, linear_accuracy=None))
    share = {(split, kind): 0.5 for split in ("train", "test") for kind in ("centred", "uncentred")}
    return {
        "seed": seed, "test_accuracy": 0.9 + 0.01 * seed, "share": {SITE: share}, "compression": {SITE: 1.0},
        "ranks": {SITE: {"centred": {"stable": [2.0, 3.0]}}}, "site": {SITE: site}, "floors": [1, 1],
        "share_slack": 0.1, "stable_rank_slack": 0.1,
    }  # fmt: skip


@pytest.mark.parametrize("whole", [True, False])
def test_what_was_not_fitted_is_a_dash(whole, tmp_path):
    runs = {kind: [a_run(seed, whole=whole) for seed in range(3)] for kind in ("plain", "1-LR", "2-LR")}
    summary = experiment._summary(runs, RECIPE)
    rows = {row.split(" | ")[0].strip("| "): row for row in experiment._table(summary, RECIPE).splitlines()}
    for name in ("svm_accuracy_lost_in_10", "linear_tail_less_own"):
        assert (summary[SITE][name]["plain"] is None) == (not whole)
        assert rows[name].count(" – ") == (0 if whole else 3)
    assert summary[SITE]["own_accuracy_lost_in_10"]["plain"] is not None
    assert rows["test_accuracy_less_plain"].startswith("| test_accuracy_less_plain |  | 0.00% ± 0.00%")
    experiment._write_csv(tmp_path / "low_rank.csv", runs)


def test_a_large_layer_is_fitted_on_as_many_images_as_are_held(monkeypatch):
    samples = as_samples(clusters())
    assert experiment._held(samples, 60) is samples
    monkeypatch.setattr(pnc.measure.compress.activations, "MOST_ENTRIES", 60 * 100)
    some = experiment._held(samples, 60)
    assert torch.bincount(some.y).tolist() == [33, 33, 33]
    assert torch.equal(some.x, samples.x[: len(some)])
    batches = some.batches(50)
    found = measure_compressed(nn.Sequential(nn.Identity(), nn.Linear(60, 3)), batches, batches, classes=3, site=SITE,
                               dimensions=[5])  # fmt: skip
    assert found.whole.svm_accuracy is not None
    assert found.whole.linear_accuracy is not None


def test_a_network_is_trained_once(monkeypatch, tmp_path):
    """What is in its run folder is read again, with U1 and U2 of every epoch."""
    import pnc.runs.training
    from sims.networks import image_data

    recipe = experiment._RECIPES["smoke"] | {"epochs": 2, "width": 8}
    data = image_data(recipe["data"], train=8, test=4)
    monkeypatch.setattr(experiment, "_DIMENSIONS", (2, 10))
    found = experiment._run(recipe["sites"][:1], 0, recipe, data, tmp_path / "run")
    blocks, epochs = 6, 2
    assert found["floors"] == [blocks * (1 + epochs)] * 2
    monkeypatch.delattr(pnc.runs.training, "train")
    again = experiment._run(recipe["sites"][:1], 0, recipe, data, tmp_path / "run")
    assert again["curve"].keys() == found["curve"].keys()
    assert all(np.array_equal(again["curve"][site], curve) for site, curve in found["curve"].items())
    assert {name: again[name] for name in ("compression", "floors", "ranks", "seconds", "share_slack")} == {
        name: found[name] for name in ("compression", "floors", "ranks", "seconds", "share_slack")
    }
