"""A network's tail as one linear map: exact where it is linear, and as good as scikit-learn's ridge where it is not."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pnc.errors import InvalidInputError
from pnc.measure import fit_linear_map, fit_linear_tail, measure_compressed
from pnc.nets import LinearTail, build
from tests.measure.nets import Residual, mlp


def data(samples=60, dimension=5, classes=3, seed=0):
    torch.manual_seed(seed)
    y = torch.arange(samples) % classes
    return torch.randn(classes, dimension).double()[y] + torch.randn(samples, dimension).double(), y


def test_a_linear_tail_is_reproduced_exactly():
    """Three linear layers, the tail's outputs as the target: the one map is their product."""
    x, y = data()
    torch.manual_seed(1)
    front = nn.Sequential(nn.Linear(5, 8), nn.ReLU())
    tail = nn.Sequential(nn.Linear(8, 6), nn.Linear(6, 3))
    model = nn.Sequential(*front, *tail).double()
    short = fit_linear_tail(model, [(x[:30], y[:30]), (x[30:], y[30:])], classes=3, site="1", target="outputs")
    with torch.no_grad():
        z = front(x)
        condition = float(torch.linalg.cond(z - z.mean(0)))
        new = torch.randn(50, 5).double()
        # least squares: rounding times the condition number squared
        tolerance = 1e-15 * condition**2 * float(model(x).abs().max())
        assert (short(new) - model(new)).abs().max() < tolerance < 1e-6
        product = tail[1].weight @ tail[0].weight
        assert (short.linear.weight - product).abs().max() < tolerance
    assert short.kept_parameters(new) == sum(p.numel() for p in front.parameters()) + 3 * 9


@pytest.mark.parametrize("dimensions", [None, 4])
@pytest.mark.parametrize("target", ["labels", "outputs"])
def test_a_loader_may_shuffle(target, dimensions):
    x, y = data()
    model = mlp()
    loader = DataLoader(TensorDataset(x, y), 7, shuffle=True)
    options = {"classes": 3, "site": "2", "dimensions": dimensions, "target": target}
    found, expected = (fit_linear_tail(model, batches, **options) for batches in (loader, [(x, y)]))
    assert (found(x) - expected(x)).abs().max() < 1e-8


def test_a_tail_that_bends_is_not():
    x, y = data()
    model = mlp(depth=4)
    short = fit_linear_tail(model, [(x, y)], classes=3, site="2", target="outputs")
    assert (short(x) - model.eval()(x)).abs().max() > 1e-3


@pytest.mark.parametrize("dimensions", [None, 3])
def test_it_is_the_linear_map_of_the_table(dimensions):
    x, y = data(samples=90)
    model = mlp(width=8)
    train, test = [(x[:60], y[:60])], [(x[60:], y[60:])]
    short = fit_linear_tail(model, train, classes=3, site="2", dimensions=dimensions).eval()
    found = measure_compressed(model, train, test, classes=3, site="2", dimensions=[3])
    expected = found.whole if dimensions is None else found.kept[0]
    assert (short(x[60:]).argmax(1) == y[60:]).double().mean().item() == pytest.approx(expected.linear_accuracy)
    assert sum(p.numel() for p in short.linear.parameters()) == found.linear_parameters
    with torch.no_grad():
        z = model.eval()[:3](x).numpy()
        scores = z - z[:60].mean(0)
        if dimensions is not None:
            scores = scores @ np.linalg.svd(scores[:60])[2][:dimensions].T
        outputs = fit_linear_map(scores[:60], np.eye(3)[y[:60]])(scores[60:])
        np.testing.assert_allclose(short(x[60:]), outputs, atol=1e-9)


def test_a_convolution_s_activations():
    torch.manual_seed(2)
    model = Residual()
    y = torch.arange(45) % 3
    x = torch.randn(45, 1, 6, 6) + 2 * torch.randn(3, 1, 6, 6)[y]
    short = fit_linear_tail(model, [(x, y)], classes=3, site="layer1.0", dimensions=10).eval()
    assert (short(x).argmax(1) == y).float().mean() > 0.9
    assert short.linear.in_features == 4 * 36


def ridge(z, t, penalty):
    """The minimiser of Σ‖W(z - z̄) + t̄ - t‖² + penalty ‖W‖² by least squares on rows that stand for the penalty."""
    centre, level, d = z.mean(0), t.mean(0), z.shape[1]
    rows = np.vstack([z - centre, np.sqrt(penalty) * np.eye(d)])
    weights = np.linalg.lstsq(rows, np.vstack([t - level, np.zeros((d, t.shape[1]))]), rcond=1e-13)[0]
    return lambda new: level + (new - centre) @ weights


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([3, 12, 40]), st.sampled_from([0.0, 0.3, 3.0]))
def test_the_penalty_is_the_one_that_leaving_out_chooses(seed, dimension, noise):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((15, dimension)) + 3
    t = z[:, :2] @ rng.standard_normal((2, 2)) + noise * rng.standard_normal((15, 2))
    fitted = fit_linear_map(z, t)
    penalty = fitted.ridge * np.linalg.norm(z - z.mean(0), 2) ** 2
    new = rng.standard_normal((5, dimension))
    # rounding times the condition number, squared where directions are missing
    np.testing.assert_allclose(fitted(new), ridge(z, t, penalty)(new), atol=1e-7)

    def left_out(share):
        penalty, missed = share * np.linalg.norm(z - z.mean(0), 2) ** 2, []
        for i in range(15):
            rest = np.arange(15) != i
            missed.append(((ridge(z[rest], t[rest], penalty)(z[[i]]) - t[i]) ** 2).sum())
        return np.mean(missed)

    assert fitted.left_out_error == pytest.approx(left_out(fitted.ridge), rel=1e-6, abs=1e-12)
    for other in (1e-6, 1e-3, 1e-2, 0.1, 1.0, 10.0):
        assert left_out(other) >= fitted.left_out_error * (1 - 1e-5)


def test_the_tail_is_not_computed():
    reached = []
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    network[2].register_forward_hook(lambda *_: reached.append(1))
    short = LinearTail(network, site="1", linear=nn.Linear(3, 4))
    z = network[:2](torch.ones(5, 2))
    assert torch.equal(short(torch.ones(5, 2)), short.linear(z))
    assert not reached
    short(torch.ones(5, 2)).sum().backward()
    assert network[0].weight.grad is not None
    assert network[2].weight.grad is None
    assert not network[1]._forward_hooks


def test_the_second_call_of_a_shared_activation():
    relu = nn.ReLU()
    network = nn.Sequential(nn.Linear(2, 3), relu, nn.Linear(3, 3), relu, nn.Linear(3, 2))
    short = LinearTail(network, site="1", linear=nn.Linear(3, 2), call=2)
    x = torch.randn(4, 2)
    assert torch.equal(short(x), short.linear(network[:4](x)))


def test_of_a_built_network():
    network = build("vgg-11-bn", input_shape=(1, 8, 8), classes=3, width=2)
    short = LinearTail(network, site="body.stage4", linear=nn.Linear(16, 3)).eval()
    assert short(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    assert short.kept_parameters(torch.zeros(2, 1, 8, 8)) < sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"target": "label"}, "labels or outputs"),
        ({"dimensions": 6}, "6 dimensions of 2, which has 6"),
        ({"site": "22"}, "matches no module"),
        ({"classes": 2}, "label 2"),
    ],
)
def test_bad_input(options, match):
    x, y = data()
    with pytest.raises(InvalidInputError, match=match):
        fit_linear_tail(mlp(), [(x, y)], **({"classes": 3, "site": "2"} | options))


def test_activations_that_are_too_many(monkeypatch):
    monkeypatch.setattr("pnc.measure.compress.linear_tail.MOST_ENTRIES", 100)
    x, y = data()
    with pytest.raises(InvalidInputError, match="too many to hold"):
        fit_linear_tail(mlp(), [(x, y)], classes=3, site="2")
    assert fit_linear_tail(mlp(), [(x, y)], classes=3, site="2", dimensions=2).linear.in_features == 6


def test_bad_parts():
    with pytest.raises(InvalidInputError, match="site = 'bdy'"):
        LinearTail(mlp(), site="bdy", linear=nn.Linear(1, 1))
    with pytest.raises(InvalidInputError, match="one row of targets a sample"):
        fit_linear_map(np.ones((3, 2)), np.ones((2, 1)))
