"""The linear tail of a trained hybrid network: certified always, predicted where weight decay has balanced it."""

import numpy as np
import pytest
import torch
from torch import nn

from pnc.data import Problem
from pnc.errors import NotApplicableError
from pnc.nets import build
from pnc.runs.tail_law import hold_linear_tail
from pnc.spec import NetworkSpec
from pnc.theory import exact_weights


def data(n=60, d=12, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    x = rng.normal(size=(3, d))[y] + 0.6 * rng.normal(size=(n, d))
    return torch.tensor(x, dtype=torch.float32), torch.from_numpy(y)


class Tail(nn.Module):
    """Features pass through ReLU unchanged (they are positive), then through given matrices."""

    def __init__(self, weights):
        super().__init__()
        self.relu = nn.ReLU()
        self.linear = nn.ModuleList([nn.Linear(*W.T.shape, bias=False, dtype=torch.float64) for W in weights])
        for module, W in zip(self.linear, weights):
            module.weight.data = torch.from_numpy(np.ascontiguousarray(W))

    def forward(self, x):
        x = self.relu(x)
        for module in self.linear:
            x = module(x)
        return x


def test_exactly_balanced_weights_follow_the_law():
    rng = np.random.default_rng(0)
    y = np.arange(24) % 3
    X = np.abs(rng.normal(size=(24, 30)))
    problem, network = Problem(X=X, y=y), NetworkSpec(depth=4, residual_scale=0.3)
    net = Tail(exact_weights(problem, network, seed=1))
    law = hold_linear_tail(net, [(torch.from_numpy(X), torch.from_numpy(y))])
    assert law.names == ("relu", "linear.0", "linear.1", "linear.2")
    assert law.residual_scale == pytest.approx(0.3, rel=1e-9)
    np.testing.assert_allclose(law.relative_error, 0, atol=1e-9)
    np.testing.assert_allclose(law.predicted.discrimination, law.measured.discrimination, atol=1e-9)
    assert law.inside


def test_weights_out_of_balance_are_seen_and_certified():
    rng = np.random.default_rng(0)
    y = np.arange(24) % 3
    X = np.abs(rng.normal(size=(24, 30)))
    weights = exact_weights(Problem(X=X, y=y), NetworkSpec(depth=4, residual_scale=0.3), seed=1)
    weights[1][0] *= 3
    law = hold_linear_tail(Tail(weights), [(torch.from_numpy(X), torch.from_numpy(y))])
    assert np.abs(law.relative_error).max() > 0.01
    assert law.inside


@pytest.mark.parametrize("decay", [0.0, 3e-2])
def test_a_trained_hybrid(decay):
    torch.manual_seed(0)
    net = build("hybrid", input_shape=(12,), classes=3, width=24, depth=6, nonlinear=2, batch_norm=False)
    x, y = data()
    target = nn.functional.one_hot(y).float()
    optimiser = torch.optim.SGD(net.parameters(), 0.1, weight_decay=decay)
    for _ in range(3000):
        optimiser.zero_grad()
        (net(x) - target).square().sum(1).mean().backward()
        optimiser.step()
    law = hold_linear_tail(net, [(x, y)])
    assert law.names == ("body.1.1", "body.2.0", "body.3.0", "body.4.0")
    assert law.inside
    if decay:  # balance holds after long decay
        assert np.abs(law.relative_error).max() < 0.02
        assert np.abs(law.predicted.discrimination - law.measured.discrimination).max() < 0.01


def test_refused():
    x, y = data()
    with pytest.raises(NotApplicableError, match="here 1 linear module"):
        hold_linear_tail(nn.Sequential(nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3)), [(x, y)])
    with pytest.raises(NotApplicableError, match="a bias in 2"):
        hold_linear_tail(nn.Sequential(nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 3)), [(x, y)])
