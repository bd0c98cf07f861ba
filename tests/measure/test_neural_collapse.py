"""Neural collapse: zero at collapse, and its definitions on networks that are far from it."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.measure.model.neural_collapse import equiangularity, equinorm, measure_neural_collapse, self_duality
from tests.measure.nets import Returning, mlp


def slow(features, outputs, W, y):
    K = W.shape[0]
    means = np.stack([features[y == k].mean(0) for k in range(K)])
    p = np.bincount(y) / y.size
    deviation = features - means[y]
    within = deviation.T @ deviation / y.size
    about = means - p @ means
    between = about.T @ (p[:, None] * about)
    m = means - means.mean(0)
    norms = np.linalg.norm(m, axis=1)
    cosines = (m @ m.T / norms / norms[:, None])[~np.eye(K, dtype=bool)]
    centre = ((features[:, None] - means[None]) ** 2).sum(2).argmin(1)
    chosen = outputs.argmax(1)
    return {
        "variability": np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / K,
        "equinorm": norms.std() / norms.mean(),
        "equiangularity": np.abs(cosines + 1 / (K - 1)).mean(),
        "self_duality": ((W / np.linalg.norm(W) - m / np.linalg.norm(m)) ** 2).sum(),
        "disagreement": (centre != chosen).mean(),
        "accuracy": (chosen == y).mean(),
        "nearest_centre_accuracy": (centre == y).mean(),
    }


@pytest.mark.parametrize("counts", [(20, 20, 20), (35, 15, 10)])
def test_the_definitions(counts):
    generator = torch.Generator().manual_seed(0)
    y = torch.repeat_interleave(torch.tensor(counts))[torch.randperm(60, generator=generator)]
    x = torch.randn(3, 5, generator=generator, dtype=torch.float64)[y]
    x = x + torch.randn(60, 5, generator=generator, dtype=torch.float64)
    model = mlp().eval()
    with torch.no_grad():
        features = model[:6](x).numpy()
        outputs = model(x).numpy()
    got = asdict(measure_neural_collapse(model.train(), zip_list(x, y, 17), classes=3))
    for name, value in slow(features, outputs, model[6].weight.detach().numpy(), y.numpy()).items():
        assert got[name] == pytest.approx(value, rel=1e-10), name
    assert (got["head"], got["samples"]) == ("6", 60)
    assert model.training


def zip_list(x, y, size):
    return list(zip(x.split(size), y.split(size), strict=True))


def test_collapsed_features_are_collapsed():
    K = 4
    simplex = torch.eye(K, dtype=torch.float64) - 1 / K
    model = nn.Sequential(Returning(lambda x: x @ simplex + 3), nn.Linear(K, K, dtype=torch.float64))
    with torch.no_grad():
        model[1].weight.copy_(5 * simplex)
        model[1].bias.zero_()
    y = torch.arange(40) % K
    found = measure_neural_collapse(model, zip_list(torch.eye(K, dtype=torch.float64)[y], y, 9), classes=K)
    for name in ("variability", "equinorm", "equiangularity", "self_duality"):
        assert getattr(found, name) == pytest.approx(0, abs=1e-14)
    assert (found.disagreement, found.accuracy, found.nearest_centre_accuracy) == (0, 1, 1)


def test_each_measure_sees_its_own_departure():
    simplex = torch.eye(3, dtype=torch.float64)
    scaled = simplex.clone()
    scaled[0] *= 2
    turned = simplex @ torch.linalg.qr(torch.arange(9.0, dtype=torch.float64).reshape(3, 3) ** 2 + 1)[0]
    assert equinorm(scaled) > 0.1
    assert equiangularity(torch.tensor([[1.0, 0], [0.9, 0.1], [0, 1.0]], dtype=torch.float64)) > 0.1
    assert equiangularity(turned) == pytest.approx(0, abs=1e-14)
    assert self_duality(-simplex + 1 / 3, simplex) == pytest.approx(4)


def test_bad_input():
    x, y = torch.randn(6, 5, dtype=torch.float64), torch.arange(6) % 3
    with pytest.raises(InvalidInputError, match="head 'nothing'"):
        measure_neural_collapse(mlp(), [(x, y)], classes=3, head="nothing")
    with pytest.raises(InvalidInputError, match="no linear module"):
        measure_neural_collapse(mlp(), [(x, y)], classes=7)
    with pytest.raises(InvalidInputError, match="no sample"):
        measure_neural_collapse(mlp(), [], classes=3)
    with pytest.raises(InvalidInputError, match="read once"):
        measure_neural_collapse(mlp(), iter([(x, y)]), classes=3)
    shared = nn.Linear(3, 3, dtype=torch.float64)
    with pytest.raises(InvalidInputError, match="head 1#2, which is not called once"):
        measure_neural_collapse(
            nn.Sequential(nn.Linear(5, 3, dtype=torch.float64), shared, shared), [(x, y)], classes=3
        )
