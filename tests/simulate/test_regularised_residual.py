"""Residual blocks with weight decay or cross-entropy: the flow in rank(X) dimensions is that of the full network."""

import numpy as np
import pytest
import torch

from pnc.data import Problem
from pnc.errors import InvalidInputError, NotApplicableError
from pnc.simulate import simulate_regularised_residual, simulate_residual
from pnc.theory.residual import ResidualSpec
from tests.oracles import measure_layer

rng = np.random.default_rng(4)
Y = np.repeat([0, 1, 2], [3, 2, 2])
X = rng.normal(size=(7, 9)) / 3 + rng.normal(size=(3, 9))[Y]


def full_flow(loss, decay, until, *, depth=4, skip=0.7, scale=1.5, step=0.02):
    """Weights of the network as it is written, in the dimension of the data: gradients by autograd, Runge-Kutta."""
    inputs, labels = torch.tensor(X), torch.eye(3, dtype=torch.float64)[Y]
    shapes = [(9, 9)] * (depth - 1) + [(3, 9)]

    def slope(weights):
        weights = [w.detach().requires_grad_() for w in weights]
        z = inputs
        for w in weights[:-1]:
            z = z + skip * z @ w.T
        outputs = z @ weights[-1].T
        if loss == "mse":
            value = ((outputs - labels / scale) ** 2).sum() / len(Y)
        else:
            value = torch.nn.functional.cross_entropy(outputs, torch.tensor(Y))
        return [-g - decay * w.detach() for g, w in zip(torch.autograd.grad(value, weights), weights)], float(
            value.detach()
        )

    def moved(weights, slopes, by):
        return [w + by * s for w, s in zip(weights, slopes)]

    weights = [torch.zeros(shape, dtype=torch.float64) for shape in shapes]
    for _ in range(round(until / step)):
        a = slope(weights)[0]
        b = slope(moved(weights, a, step / 2))[0]
        c = slope(moved(weights, b, step / 2))[0]
        d = slope(moved(weights, c, step))[0]
        weights = [w + step / 6 * (p + 2 * q + 2 * r + s) for w, p, q, r, s in zip(weights, a, b, c, d)]
    z, states = inputs, [inputs]
    for w in weights[:-1]:
        z = z + skip * z @ w.T
        states.append(z)
    return [measure_layer(state.numpy(), Y) for state in states], slope(weights)[1]


@pytest.mark.parametrize(("loss", "decay"), [("mse", 0.02), ("cross-entropy", 0.0), ("cross-entropy", 0.01)])
def test_it_is_the_flow_of_the_full_network(loss, decay):
    exact, value = full_flow(loss, decay, 8.0)
    network = ResidualSpec(depth=4, block_scale=0.7, label_scale=1.5)
    run = simulate_regularised_residual(Problem(X=X, y=Y), network, until=8.0, loss=loss, weight_decay=decay)
    np.testing.assert_allclose(run.measured.compression, [m.compression for m in exact], rtol=1e-6)
    np.testing.assert_allclose(run.measured.discrimination, [m.discrimination for m in exact], atol=1e-6)
    assert run.loss[-1] == pytest.approx(value, rel=1e-6)
    assert (run.measured.compression[1:] < 0.99 * run.measured.compression[:-1]).all()  # something has happened


def test_without_decay_it_ends_where_descent_does():
    problem, network = Problem(X=X, y=Y), ResidualSpec(depth=3, block_scale=1.0)
    flow = simulate_regularised_residual(problem, network, until=3000.0)
    np.testing.assert_allclose(
        flow.measured.compression, simulate_residual(problem, network).measured.compression, rtol=5e-3
    )


def test_weights_and_basis_are_the_network():
    run = simulate_regularised_residual(
        Problem(X=X, y=Y), ResidualSpec(depth=4, block_scale=0.7), until_loss=0.05, loss="cross-entropy"
    )
    assert run.loss[-1] == pytest.approx(0.05, rel=1e-6)
    z = X @ run.basis
    for w, c in zip(run.weights[:-1], run.measured.compression):
        assert measure_layer(z, Y).compression == pytest.approx(c, rel=1e-8)
        z = z + 0.7 * z @ w.T
    np.testing.assert_allclose(z @ run.weights[-1].T, X @ run.maps[-1].T, atol=1e-10)


def test_refused():
    problem = Problem(X=X, y=Y)
    with pytest.raises(NotApplicableError, match="all from zero"):
        simulate_regularised_residual(problem, ResidualSpec(depth=3, block_scale=1.0, classifier_scale=0.5), until=1.0)
    with pytest.raises(InvalidInputError, match="one of them"):
        simulate_regularised_residual(problem, ResidualSpec(depth=3, block_scale=1.0))
    with pytest.raises(InvalidInputError, match=r"-0\.1"):
        simulate_regularised_residual(problem, ResidualSpec(depth=3, block_scale=1.0), until=1.0, weight_decay=-0.1)
