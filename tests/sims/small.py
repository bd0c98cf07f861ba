"""Experiments made small: few images, few neurons, one epoch; nothing else of them is changed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matplotlib.figure import Figure

import sims.he_su_law
import sims.networks
from pnc.data import load_splits
from pnc.data.fashion_mnist import FASHION_MNIST_FOLDER

__all__ = ["IMAGES", "installed", "small_experiments"]

IMAGES = 5  # of a class

installed = pytest.mark.skipif(not FASHION_MNIST_FOLDER.is_dir(), reason="needs Debian's package dataset-fashion-mnist")


def small_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train on 5 images a class for one epoch at width 12; the figure of a single run stays empty."""
    trained = sims.networks._trained

    def small(case, data, seed, folder, *, quiet):
        options = {**case.options, **({"width": 12} if "width" in case.options else {})}
        case = replace(case, options=options, training={**case.training, "epochs": 1})
        return trained(case, data, seed, folder, quiet=quiet)

    def few(data, **options):
        images = {"samples_per_class": IMAGES, "test_samples_per_class": IMAGES}
        return load_splits(data, **{**options, **(images if data in ("fashion-mnist", "cifar-10") else {})})

    monkeypatch.setattr(sims.networks, "_trained", small)
    monkeypatch.setattr("pnc.runs.training.load_splits", few)
    monkeypatch.setattr(sims.he_su_law, "load_splits", few)
    monkeypatch.setattr("pnc.report.training.training_figure", lambda *a, **k: Figure(figsize=(1, 1)))
