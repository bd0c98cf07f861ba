"""U1 and U2 against NumPy's SVD, on any features; they hold everywhere, and a wrong number is noticed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pnc.compare import variance_floors
from pnc.measure import measure_model
from tests.measure.nets import Residual


def drawn(seed, classes, dimension, spread, sizes=30):
    """Clusters of unequal sizes and any spread."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, sizes)])
    scale = spread * rng.exponential(size=dimension)
    x = rng.standard_normal((classes, dimension))[y] + scale * rng.standard_normal((y.size, dimension))
    return x.astype(np.float32).astype(float), y  # what a model without weights is given


def floors_of(x, y, **options):
    batch = torch.from_numpy(x), torch.from_numpy(y)
    model = nn.Sequential(nn.Identity())
    curve = measure_model(model, [batch], classes=int(y.max()) + 1, layers=["0"], spectra=True, **options)
    return variance_floors(curve)[1]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(2, 5), st.integers(1, 12), st.sampled_from([1e-3, 0.3, 1.0, 10.0]),
    st.sampled_from([{}, {"width": 3, "sketch": 4}]),
)  # fmt: skip
def test_they_hold_for_any_features(seed, classes, dimension, spread, sketched):
    x, y = drawn(seed, classes, dimension, spread)
    floor = floors_of(x, y, **sketched)
    variance = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    share = variance[: classes - 1].sum() / variance.sum()
    assert floor.share[0] - 1e-12 <= share <= floor.share[1] + 1e-12
    assert floor.stable_rank[0] * (1 - 1e-12) <= variance.sum() / variance[0] <= floor.stable_rank[1] * (1 + 1e-12)
    means = np.stack([x[y == k].mean(0) for k in range(classes)])
    within = ((x - means[y]) ** 2).sum()
    between = ((means[y] - x.mean(0)) ** 2).sum()
    rounding = 1e-6 * (1 + within / between) ** 0.5 * 4  # of float32 deviations, next to the distances of the means
    assert floor.share_floor == pytest.approx(between / (within + between), rel=rounding)
    assert floor.stable_rank_ceiling == pytest.approx((1 + within / between) * (classes - 1), rel=rounding)
    assert floor.holds
    assert floor.share_slack == floor.share[0] - floor.share_floor
    assert floor.stable_rank_slack == floor.stable_rank_ceiling / floor.stable_rank[1]


def test_a_wrong_number_is_noticed():
    floor = floors_of(*drawn(0, 3, 8, 0.3))
    assert floor.holds
    assert not replace(floor, share=(floor.share_floor - 0.01,) * 2).holds
    assert not replace(floor, stable_rank=(floor.stable_rank_ceiling * 1.01,) * 2).holds


def test_collapsed_features_leave_no_slack_in_u1():
    x, y = drawn(1, 4, 6, 0.0)
    floor = floors_of(x, y)
    assert floor.share_floor == pytest.approx(1)
    assert floor.share_slack == pytest.approx(0, abs=1e-6)
    assert floor.holds


def test_layers_whose_means_coincide_are_left_out():
    x = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    curve = measure_model(
        nn.Sequential(nn.Identity(), nn.Identity()), [(x, torch.tensor([0, 0, 1, 1]))], classes=2, layers=["0"],
        spectra=True,
    )  # fmt: skip
    assert variance_floors(curve) == []


def test_every_block_of_a_network():
    torch.manual_seed(0)
    y = torch.arange(60) % 3
    x = torch.randn(60, 1, 8, 8) + torch.randn(3, 1, 8, 8)[y]
    curve = measure_model(Residual(), [(x, y)], classes=3, spectra=True, width=64, sketch=8)
    floors = variance_floors(curve)
    assert [floor.name for floor in floors] == curve.provenance["names"]
    assert all(floor.holds for floor in floors)
    assert [floor.share_floor for floor in floors] == pytest.approx([1 / (1 + c) for c in curve.compression])
