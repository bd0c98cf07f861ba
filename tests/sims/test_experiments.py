"""Every experiment with trained networks, made small: its numbers are those of its runs, its figure has its panels."""

from __future__ import annotations

import csv
import importlib
import json
import sys

import numpy as np
import pytest

import sims.blocks
import sims.fig2_umap
from pnc.cli.main import main
from pnc.errors import InvalidInputError
from tests.sims.small import IMAGES, installed, small_experiments

PANELS = {
    "fig1_mlp_hybrid": 4, "fig1_published_recipe": 4, "fig4_nonlinear": 4, "depths": 4, "he_su_law": 2, "blocks": 6,
    "blocks_trained": 6,
}  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    small_experiments(monkeypatch)
    monkeypatch.setattr(sims.blocks, "NETWORKS", {"vgg-11-bn": "k", "resnet-18": "r"})


def column(file, name):
    with open(file, encoding="utf-8", newline="") as rows:
        return np.array([float(row[name]) for row in csv.DictReader(rows)])


def panels(folder, name):
    return (folder / f"{name}.svg").read_text(encoding="utf-8").count('id="axes_')


@installed
@pytest.mark.parametrize("name", PANELS)
def test_numbers_are_those_of_the_runs(small, name, tmp_path):
    found = importlib.import_module(f"sims.{name}").reproduce(tmp_path, quiet=True)
    assert found == json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    assert panels(tmp_path, name) == PANELS[name]
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    labels = {folder.name.rsplit("-", 1)[0] for folder in (tmp_path / "runs").iterdir()}
    assert labels == set(found)
    for label, numbers in found.items():
        files = sorted((tmp_path / "runs").glob(f"{label}-[0-9]/curves.csv"))
        assert len(files) == (1 if name.startswith("blocks") else 3)
        compression = np.array([column(file, "compression") for file in files])
        np.testing.assert_allclose(numbers["compression"]["mean"], np.exp(np.log(compression).mean(0)), rtol=1e-12)
        assert numbers["universal_violations"] == []
        assert numbers["layers"] == list(range(len(numbers["names"])))


@installed
def test_pearson_is_of_log_fuzziness(small, tmp_path):
    from scipy.stats import pearsonr

    found = importlib.import_module("sims.he_su_law").reproduce(tmp_path, quiet=True)
    for label, numbers in found.items():
        for seed, r in enumerate(numbers["table"]["pearson"]["values"]):
            fuzziness = column(tmp_path / f"runs/{label}-{seed}/curves.csv", "separation_fuzziness")
            assert r == pytest.approx(pearsonr(range(len(fuzziness)), np.log(fuzziness))[0], abs=1e-12)


@installed
def test_depths_do_without_cifar(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PNC_DATA_DIR", str(tmp_path / "nothing"))
    found = importlib.import_module("sims.depths").reproduce(tmp_path / "out", scale="paper", quiet=True)
    assert found["left_out"].startswith("cifar-10: got")
    assert "without cifar-10" in capsys.readouterr().err
    assert len(found) == 7


@pytest.mark.parametrize("name", ["fig1", "blocks"])
def test_the_published_data_are_asked_for_clearly(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PNC_DATA_DIR", str(tmp_path / "nothing"))
    with pytest.raises(SystemExit) as end:
        main(["reproduce", name, "--scale", "paper", "--out", str(tmp_path / "out")])
    assert end.value.code == 2
    assert "cifar-10" in capsys.readouterr().err.lower()
    assert not (tmp_path / "out").exists()


@installed
def test_embedded_layers(small, tmp_path, monkeypatch):
    # UMAP itself has its own test: what it needs to be compiled takes longer than all the others
    draws = np.random.default_rng(0)
    monkeypatch.setattr(sims.fig2_umap, "_embedding", lambda: lambda rows: draws.standard_normal((len(rows), 2)))
    found = sims.fig2_umap.reproduce(tmp_path, quiet=True)
    assert panels(tmp_path, "fig2_umap") == 8
    with np.load(tmp_path / "fig2_umap.npz") as points:
        y, plane = points["y"], [points[f"layer_{l}"] for l in range(8)]
    assert y.shape == (10 * IMAGES,)
    for share, some in zip(found["same_class_share"]["plane"], plane, strict=True):
        distances = np.linalg.norm(some[:, None] - some[None], axis=2)
        own = []
        for i, row in enumerate(distances):
            nearest = [j for j in np.argsort(row, kind="stable") if j != i][: sims.fig2_umap.NEIGHBOURS]
            own.append(np.mean(y[nearest] == y[i]))
        assert share == pytest.approx(np.mean(own), abs=1e-12)


@pytest.mark.slow
def test_umap_keeps_clusters_and_repeats_itself():
    pytest.importorskip("umap")
    y = np.repeat(range(3), 20)
    rows = (10 * np.eye(3)[y] + np.random.default_rng(0).standard_normal((60, 3))).astype(np.float32)
    embed = sims.fig2_umap._embedding()
    plane = embed(rows)
    assert np.array_equal(plane, embed(rows))
    assert sims.fig2_umap.same_class_share(plane, y) == 1.0
    assert sims.fig2_umap.same_class_share(plane, np.roll(y, 7)) < 0.9


def test_without_umap(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(InvalidInputError, match="pip install umap-learn"):
        sims.fig2_umap.reproduce(tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()
