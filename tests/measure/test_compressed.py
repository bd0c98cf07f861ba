"""Activations in m dimensions: scikit-learn's and NumPy's PCA, planted low rank, the network's own tail."""

import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pnc.errors import InvalidInputError
from pnc.measure import linear_svm_accuracy, measure_compressed
from pnc.measure.compress.activations import site_of, tail_parameters
from pnc.measure.compress.compressed import _span
from tests.measure.nets import Residual, mlp


def planted(rank=3, dimension=12, classes=4, samples=80, seed=0, noise=0.0):
    """Features in a subspace of `rank` dimensions (and noise beside it), labels that a linear map reads there."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((dimension, rank)))[0].T
    y = np.arange(samples) // 2 % classes  # both splits of `split` have every class
    x = (2 * rng.standard_normal((classes, rank))[y] + 0.5 * rng.standard_normal((samples, rank))) @ basis + 3.0
    return torch.from_numpy(x + noise * rng.standard_normal(x.shape)), torch.from_numpy(y)


def batches(x, y, size=17):
    return list(zip(x.split(size), y.split(size)))


def split(x, y):
    return batches(x[::2], y[::2]), batches(x[1::2], y[1::2])


def test_planted_low_rank_activations_lose_nothing():
    torch.manual_seed(0)
    x, y = planted(rank=3)
    model = nn.Sequential(nn.Identity(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 4)).double()
    found = measure_compressed(model, *split(x, y), classes=4, site="0", dimensions=[1, 2, 3, 5])
    two, three, five = found.kept[1:]
    assert three.variance == pytest.approx(1, abs=1e-12)
    assert two.variance < 0.99
    for name in ("svm_accuracy", "own_accuracy", "linear_accuracy", "centre_accuracy", "centre_error"):
        assert getattr(three, name) == getattr(five, name) == getattr(found.whole, name), name
    assert two.svm_accuracy < three.svm_accuracy
    assert found.exact
    assert found.notes == ()


def test_scores_and_shares_are_those_of_other_implementations():
    decomposition = pytest.importorskip("sklearn.decomposition")
    x, y = planted(rank=6, noise=0.3)
    train, test = split(x, y)
    found = measure_compressed(nn.Sequential(nn.Identity(), nn.Linear(12, 4)).double(), train, test, classes=4,
                               site="0", dimensions=[4], svm=True)  # fmt: skip
    pca = decomposition.PCA(4, svd_solver="full").fit(x[::2].numpy())
    assert found.kept[0].variance == pytest.approx(pca.explained_variance_ratio_.sum(), rel=1e-10)
    unit = x[::2].numpy().var(0).sum() ** 0.5
    scores = [pca.transform(part.numpy()) / unit for part in (x[::2], x[1::2])]
    assert found.kept[0].svm_accuracy == linear_svm_accuracy(scores[0], y[::2], scores[1], y[1::2])
    means = np.stack([scores[0][y[::2] == k].mean(0) for k in range(4)])
    nearest = [((part[:, None] - means) ** 2).sum(2).argmin(1) for part in scores]
    assert found.kept[0].centre_error == pytest.approx(np.mean(nearest[0] != y[::2].numpy()))
    assert found.kept[0].centre_accuracy == pytest.approx(np.mean(nearest[1] == y[1::2].numpy()))


@pytest.mark.parametrize("width", [1024, 4])
def test_the_own_tail_sees_the_reconstruction(width):
    """Against NumPy's SVD and the tail run by hand; with a narrow `width` from a sketch that loses nothing."""
    torch.manual_seed(0)
    model = mlp(dimension=9, width=16, classes=4, depth=4).eval()
    x, y = planted(rank=9, dimension=9, noise=0.4, samples=200)
    with torch.no_grad():
        model[-1].bias -= model(x).mean(0)
        y[1::2] = model(x[1::2]).argmax(1)  # labels of which every direction decides some
        front, tail = model[:3], model[3:]
        z, test_z = (front(part).numpy() for part in (x[::2], x[1::2]))
        mean = z.mean(0)
        right = np.linalg.svd(z - mean)[2]
        by_hand = []
        for m in (1, 2, 3, 5, 8):
            outputs = tail(torch.from_numpy(mean + (test_z - mean) @ right[:m].T @ right[:m]))
            by_hand.append((outputs.argmax(1) == y[1::2]).double().mean().item())
    options = {"classes": 4, "site": "2", "dimensions": [1, 2, 3, 5, 8], "width": width, "sketch": 128}
    found = measure_compressed(model, *split(x, y), **options)
    assert [kept.own_accuracy for kept in found.kept] == pytest.approx(by_hand)
    assert len(set(by_hand)) == 5
    assert found.whole.own_accuracy == 1


def test_more_dimensions_than_samples_and_a_sketch():
    """A convolution's activations, d > N: all dimensions are read in the span of the samples, and few from a sketch."""
    torch.manual_seed(1)
    model = Residual().double()
    y = torch.arange(60) % 3
    x = torch.randn(60, 1, 9, 9).double() + 2 * torch.randn(3, 1, 9, 9).double()[y]
    data = batches(x[:40], y[:40]), batches(x[40:], y[40:])
    options = {"classes": 3, "site": "layer1.0", "dimensions": [2, 10]}
    exact = measure_compressed(model, *data, **options)
    sketched = measure_compressed(model, *data, **options, width=8, sketch=20)
    assert exact.dimension == 4 * 81
    assert exact.shape == (4, 9, 9)
    assert exact.exact
    assert not sketched.exact
    assert "sketch" in sketched.notes[0]
    for one, other in zip(exact.kept, sketched.kept):
        assert 0.9 * one.variance < other.variance <= one.variance * (1 + 1e-12)
    # all 324 dimensions, without the detour over the span
    z = model.layer1[0](model.stem(x)).flatten(1).detach().numpy()
    z = (z - z[:40].mean(0)) / z[:40].var(0).sum() ** 0.5
    assert exact.whole.svm_accuracy == linear_svm_accuracy(z[:40], y[:40], z[40:], y[40:])
    assert exact.whole.svm_accuracy == sketched.whole.svm_accuracy
    means = np.stack([z[:40][y[:40] == k].mean(0) for k in range(3)])
    nearest = ((z[40:, None] - means) ** 2).sum(2).argmin(1)
    assert exact.whole.centre_accuracy == pytest.approx(np.mean(nearest == y[40:].numpy()))


def test_the_span_of_the_samples_keeps_inner_products():
    rng = np.random.default_rng(0)
    z, test_z = rng.standard_normal((10, 40)), rng.standard_normal((6, 40))
    mean = z.mean(0)
    inside, tested = _span(*(torch.from_numpy(part) for part in (z, test_z, mean)))
    assert inside.shape == (10, 9)  # centring takes one direction
    for part, other in ((z, inside), (test_z, tested)):
        np.testing.assert_allclose(other @ inside.mT, (part - mean) @ (z - mean).T, atol=1e-12)


def test_activations_that_are_too_many_are_not_held(monkeypatch):
    x, y = planted(rank=5, noise=0.2)
    model = nn.Sequential(nn.Identity(), nn.Linear(12, 4)).double()
    options = {"classes": 4, "site": "0", "dimensions": [3, 5]}
    held = measure_compressed(model, *split(x, y), **options)
    monkeypatch.setattr("pnc.measure.compress.activations.MOST_ENTRIES", 100)
    streamed = measure_compressed(model, *split(x, y), **options)
    assert streamed.whole.svm_accuracy is None
    assert "too many" in streamed.notes[0]
    assert streamed.kept == held.kept
    shuffled = [DataLoader(TensorDataset(x[i::2], y[i::2]), 9, shuffle=True) for i in (0, 1)]
    for one, other in zip(measure_compressed(model, *shuffled, **options).kept, held.kept):
        assert one.linear_accuracy == other.linear_accuracy
        assert one.svm_accuracy == other.svm_accuracy
    assert streamed.whole.centre_accuracy == held.whole.centre_accuracy
    assert streamed.whole.centre_error == held.whole.centre_error


def test_what_the_tail_costs():
    model = Residual(classes=3)
    x, y = torch.randn(12, 1, 5, 5), torch.arange(12) % 3
    found = measure_compressed(model, [(x, y)], [(x, y)], classes=3, site="layer1.0", dimensions=[2], svm=False)
    assert found.tail_parameters == sum(p.numel() for part in (model.layer1[1], model.fc) for p in part.parameters())
    assert found.linear_parameters == 3 * (4 * 25 + 1)
    assert found.network_parameters == sum(p.numel() for p in model.parameters())
    assert found.kept[0].svm_accuracy is None
    told = found.to_dict()
    assert told["kept"][0]["factor"] == 50
    assert told["compression"] == pytest.approx(found.moments.compression())


def test_weights_that_are_used_before_the_site_too_are_not_the_tail_s():
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(4, 3))
    x = torch.zeros(2, 4)
    assert tail_parameters(model, x, site_of(model, x, "1")) == 15


def test_the_model_is_left_as_it_was():
    model = mlp().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x, y = torch.randn(30, 5).double(), torch.arange(30) % 3
    measure_compressed(model, [(x, y)], [(x, y)], classes=3, site="2", dimensions=[2])
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"dimensions": [6]}, "6 dimensions of 2, which has 6; expected 1 to 5"),
        ({"dimensions": [2, 0]}, "0 dimensions"),
        ({"dimensions": []}, "no number of dimensions"),
        ({"site": "9"}, "matches no module"),
        ({"site": "[12]"}, "which means 1, 2"),
        ({"test": []}, "no batches"),
        ({"train": iter([])}, "read once only"),
        ({"classes": 4}, "no sample in class 3"),
    ],
)
def test_bad_input(options, match):
    x, y = torch.randn(30, 5).double(), torch.arange(30) % 3
    given = {"train": [(x, y)], "test": [(x, y)], "classes": 3, "site": "2", "dimensions": [2]} | options
    with pytest.raises(InvalidInputError, match=match):
        measure_compressed(mlp(), given.pop("train"), given.pop("test"), **given)


def test_too_few_samples():
    x, y = torch.randn(4, 5).double(), torch.arange(4) % 2
    with pytest.raises(InvalidInputError, match="at most 3"):
        measure_compressed(mlp(classes=2), [(x, y)], [(x, y)], classes=2, site="2", dimensions=[4])


def test_without_scikit_learn(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("sklearn")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InvalidInputError, match="pip install scikit-learn"):
        linear_svm_accuracy([[0.0], [1.0]], [0, 1], [[0.0]], [0])


def test_an_svm_that_does_not_converge():
    x, y = planted(noise=1.0)
    with pytest.raises(InvalidInputError, match="not converged in 1 steps"):
        linear_svm_accuracy(1e3 * x, y, x, y, iterations=1)


@pytest.mark.parametrize("strength", [0.0, -1.0, float("nan"), float("inf")])
def test_a_strength_that_cannot_be_is_refused(strength):
    with pytest.raises(InvalidInputError, match="finite number above 0"):
        linear_svm_accuracy([[0.0], [1.0]], [0, 1], [[0.5]], [0], strength=strength)
