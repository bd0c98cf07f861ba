"""Figures of spectra: what is drawn is what was measured; U4 on random features."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from torch import nn

from pnc.errors import InvalidInputError
from pnc.measure import measure_compressed, measure_model
from pnc.report.spectra import draw_accuracies, draw_centre_error, projected_error_bound, variance_figure
from tests.measure.nets import mlp


def clusters(seed, classes=4, dimension=9, samples=48, spread=0.1):
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    x = rng.standard_normal((classes, dimension))[y] + spread * rng.standard_normal((samples, dimension))
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y)


def compressed(x, y, dimensions, **options):
    return measure_compressed(
        nn.Sequential(nn.Identity(), nn.Linear(x.shape[1], int(y.max()) + 1)), [(x, y)], [(x, y)],
        classes=int(y.max()) + 1, site="0", dimensions=dimensions, svm=False, **options,
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0.01, 0.05, 0.2, 1.0]), st.sampled_from([1024, 4]))
def test_u4_bounds_the_measured_error(seed, spread, width):
    x, y = clusters(seed, spread=spread)
    site = compressed(x, y, [1, 2, 3, 5, 8], width=width, sketch=4)
    bound = projected_error_bound(site)
    assert all(kept.centre_error <= bound for kept in site.kept if kept.dimensions >= 3)
    # the formula written out
    z = x.double().numpy()
    means = np.stack([z[y == k].mean(0) for k in range(4)])
    within = ((z - means[y]) ** 2).sum() / len(z)
    pairs = [((means[i] - means[j]) ** 2).sum() - within * 8 for i in range(4) for j in range(i)]
    written = min(1.0, 4 * within / min(pairs)) if min(pairs) > 0 else 1.0
    assert bound in (pytest.approx(written, rel=1e-6), 1.0)
    if site.exact:
        assert bound == pytest.approx(written, rel=1e-6)


def test_u4_says_nothing_of_a_sketch_without_a_measurement_of_it():
    x, y = clusters(0, spread=0.05)
    assert projected_error_bound(compressed(x, y, [1, 2])) < 1
    sketched = compressed(x, y, [1, 2], width=4, sketch=4)
    assert not sketched.exact
    assert projected_error_bound(sketched) == 1.0
    measured = compressed(x, y, [1, 3], width=4, sketch=4)
    assert projected_error_bound(measured) < 1
    lossy = tuple(replace(kept, variance=0.5) for kept in measured.kept)
    assert projected_error_bound(replace(measured, kept=lossy)) == 1.0


def test_variance_curves_and_floors_are_drawn():
    x, y = torch.randn(50, 5).double(), torch.arange(50) % 3
    curves = {
        label: measure_model(mlp(seed=seed), [(x, y)], classes=3, layers=["2", "5"], spectra=True)
        for seed, label in enumerate(("before", "after"))
    }
    figure = variance_figure(curves, uncentred=["after"], columns=2)
    panels = figure.axes
    assert [panel.get_title().split(" ")[0] for panel in panels[:3]] == ["input", "2", "5"]
    [before] = [line for line in panels[1].lines if line.get_label() == "before"]
    z = mlp(seed=0).eval()[:3](x).detach().numpy()
    variance = np.linalg.svd(z - z.mean(0), compute_uv=False) ** 2
    np.testing.assert_allclose(before.get_ydata(), np.cumsum(variance) / variance.sum(), rtol=1e-9)
    floors = [line for line in panels[1].lines if line.get_marker() == "^"]
    c = curves["before"].compression[1]
    np.testing.assert_allclose(floors[0].get_xdata(), [1, 2])
    np.testing.assert_allclose(floors[0].get_ydata(), [1 / ((1 + c) * 2), 1 / (1 + c)])
    assert sum(line.get_linestyle() == ":" for line in panels[1].lines) == 1


def test_other_layers_are_refused():
    x, y = torch.randn(50, 5).double(), torch.arange(50) % 3
    curves = {name: measure_model(mlp(), [(x, y)], classes=3, layers=[name], spectra=True) for name in ("2", "5")}
    with pytest.raises(InvalidInputError, match="different layers"):
        variance_figure(curves)
    with pytest.raises(InvalidInputError, match="0 curves"):
        variance_figure({})


def test_accuracies_and_errors_are_drawn():
    sites = [compressed(*clusters(seed, spread=0.05), [1, 3, 5]) for seed in range(3)]
    one, two = Figure().subplots(1, 2)
    draw_accuracies(one, sites, "own_accuracy", colour="k", label="plain")
    means = np.mean([[kept.own_accuracy for kept in site.kept] for site in sites], axis=0)
    np.testing.assert_allclose(one.lines[0].get_ydata(), means)
    assert one.lines[1].get_ydata()[0] == pytest.approx(np.mean([site.whole.own_accuracy for site in sites]))
    draw_centre_error(two, sites[0], colour="k", label="site")
    assert two.lines[0].get_ydata().tolist() == [kept.centre_error for kept in sites[0].kept]
    assert two.lines[1].get_xdata().tolist() == [3, 5]
    assert two.lines[1].get_ydata()[0] == projected_error_bound(sites[0])
